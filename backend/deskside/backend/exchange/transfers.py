"""The one import or export that is under way, for as long as the program runs.

It belongs to the program, not to the page: a page that is loaded again finds it where it is. Paths come from
the system's dialogs, or from the user's terminal over the control socket (`offer`); no command takes one.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec
from loguru import logger

from deskside.backend.attachments.attachments import Attachments
from deskside.backend.attachments.content import Contents
from deskside.backend.errors import AppError, Conflict, NotFound
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import ConversationDeleted, TransferChanged
from deskside.backend.exchange.archive import open_archive
from deskside.backend.exchange.exporting import Export, Format, suggested_name, target_of
from deskside.backend.exchange.importing import Import, Program, program_of
from deskside.backend.exchange.report import Report, Skipped, SkippedCount, TransferCounts
from deskside.backend.paths import Paths
from deskside.backend.store import transfer
from deskside.backend.store.database import Store
from deskside.backend.transfer_state import Transfer

# A page has nothing from being told more often.
TELL_EVERY_S = 0.1
# A path that a terminal named is to be used at once.
MOST_OFFERS = 32


class SkippedReport(msgspec.Struct, frozen=True):
    """What was left out: counted by reason, and one by one as far as they are listed."""

    counts: list[SkippedCount]
    items: list[Skipped]


class Transfers:
    """Starts and stops transfers, one at a time."""

    def __init__(self, store: Store, events: EventBuffer, paths: Paths, attachments: Attachments) -> None:
        self._store = store
        self._events = events
        self._contents = Contents(paths.files)
        self._attachments = attachments
        self._offers: dict[str, Path] = {}
        self._current: Transfer | None = None
        self._path = Path()
        self._program: Program | None = None
        self._is_from_terminal = False
        self._report = Report()
        self._work: Import | Export | None = None
        self._task: asyncio.Task[None] | None = None
        self._ids = 0
        self._is_stopped = False

    @property
    def current(self) -> Transfer | None:
        """The one that is under way, or the last one until it is put away."""
        return self._current

    @property
    def skipped(self) -> SkippedReport:
        """What the current import leaves out."""
        return SkippedReport(self._report.counts, list(self._report.items))

    def offer(self, path: Path) -> str:
        """Let whoever has the returned word use this path once. From any thread."""
        ticket = secrets.token_urlsafe(24)
        self._offers[ticket] = path
        while len(self._offers) > MOST_OFFERS:
            self._offers.pop(next(iter(self._offers)), None)
        return ticket

    def take_offer(self, ticket: str) -> Path:
        """The path of an offer. NotFound where there is none."""
        path = self._offers.pop(ticket, None)
        if path is None:
            raise NotFound("No file was offered under this word.", hint="Start the command again.")
        return path

    async def look(
        self, path: Path, program: Program | None = None, *, is_from_terminal: bool = False
    ) -> Transfer:
        """Read a file and say what an import would bring; `program` None finds out whose it is. Raises
        Conflict while another transfer is under way, InvalidRequest for a file that is none."""
        self._check_idle()
        self._path = path
        self._program = program or await asyncio.to_thread(_find_out, path)
        self._is_from_terminal = is_from_terminal
        return self._start("import", "looking", self._import(is_trial=True))

    def import_(self) -> Transfer:
        """Import the file that was looked at. Conflict where none was."""
        self._check_idle()
        if self._current is None or self._current.state != "looked":
            raise Conflict("No file was looked at.", hint="Choose a file first.")
        return self._start("import", "working", self._import(is_trial=False))

    def export(
        self,
        path: Path,
        format: Format,
        chosen: Sequence[int] | None,
        *,
        is_from_terminal: bool = False,
    ) -> Transfer:
        """Write conversations (None: all) to a file. Raises Conflict while another transfer is under way."""
        self._check_idle()
        self._path = target_of(path, format, 0 if chosen is None else len(chosen))
        self._program, self._is_from_terminal = None, is_from_terminal
        work = Export(self._store, self._contents, self._path, format, chosen)
        return self._start("export", "working", self._export(work))

    async def write_one(self, folder: Path, id: int, title: str) -> Path:
        """Write a conversation of this title into a folder, called as an export suggests, beside whatever
        transfer is under way. Raises what `Export.run` raises."""
        has_files = await self._store.read(transfer.has_files, [id])
        path = folder / suggested_name("json", title, has_files=has_files, today="")
        async for _ in Export(self._store, self._contents, path, "json", [id]).run():
            pass
        return path

    def cancel(self) -> None:
        """Stop after the conversation that it is at. An import keeps those that came, an export writes
        nothing."""
        self._is_stopped = True
        if self._work is not None:
            self._work.stop()

    def put_away(self) -> None:
        """Forget a transfer that has ended, or a file that was looked at."""
        self._check_idle()
        self._current, self._report = None, Report()
        self._events.publish(TransferChanged(None))

    async def close(self) -> None:
        """Stop what is under way, in order."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    # -- the work -------------------------------------------------------------------------------

    def _start(
        self,
        kind: Literal["import", "export"],
        state: Literal["looking", "working"],
        work: Coroutine[Any, Any, None],
    ) -> Transfer:
        self._ids += 1
        self._is_stopped = False
        started = Transfer(
            id=self._ids,
            kind=kind,
            state=state,
            name=self._path.name,
            program=self._program or "",
            path=str(self._path) if kind == "export" else "",
            is_from_terminal=self._is_from_terminal,
        )
        self._report = Report()
        self._tell(started)
        self._task = asyncio.get_running_loop().create_task(self._watched(work))
        self._task.add_done_callback(_log_fault)
        return started

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except AppError as error:
            logger.info("a transfer failed: {}", error.code)
            self._change(state="failed", message=error.message, hint=error.hint)
        finally:
            self._work = None
            if self._current is not None and self._current.state in ("looking", "working"):
                self._change(
                    state="failed",
                    message="It ended because of a fault in Deskside.",
                    hint="What came until then is kept. Details are in the log.",
                )

    async def _import(self, *, is_trial: bool) -> None:
        assert self._program is not None
        async with AsyncExitStack() as stack:
            archive = stack.enter_context(open_archive(self._path))
            work = Import(
                self._store,
                self._contents,
                self._attachments.placing,
                archive,
                self._program,
                is_trial=is_trial,
            )
            self._begin(work)
            self._report = work.report
            told_s = 0.0
            async for done, total, counts, replaced in work.run():
                if replaced is not None:
                    self._events.publish(ConversationDeleted(replaced))
                if time.monotonic() - told_s > TELL_EVERY_S:
                    told_s = time.monotonic()
                    self._change(done=done, total=total, counts=counts, skipped=work.report.count)
            if work.counts.files and not is_trial:
                await self._attachments.read_waiting()
            ended = "cancelled" if work.is_stopped else "looked" if is_trial else "done"
            self._change(state=ended, counts=work.counts, skipped=work.report.count)
        logger.info("{} conversations {}", work.counts.conversations, "found" if is_trial else "imported")

    def _begin(self, work: Import | Export) -> None:
        self._work = work
        if self._is_stopped:  # before the task had its first turn
            work.stop()

    async def _export(self, work: Export) -> None:
        self._begin(work)
        async for done, total in work.run():
            self._change(done=done, total=total)
        self._change(
            state="cancelled" if work.is_stopped else "done", counts=TransferCounts(conversations=work.count)
        )
        logger.info("{} conversations exported", work.count)

    def _change(self, **changes: Any) -> None:
        assert self._current is not None
        self._tell(msgspec.structs.replace(self._current, **changes))

    def _tell(self, transfer: Transfer) -> None:
        self._current = transfer
        self._events.publish(TransferChanged(transfer))

    def _check_idle(self) -> None:
        if self._task is not None and not self._task.done():
            raise Conflict("An import or export is under way.", hint="Wait until it has ended, or cancel it.")


def _log_fault(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.opt(exception=error).error("a transfer ended with a fault")


def _find_out(path: Path) -> Program:
    with open_archive(path) as archive:
        return program_of(archive)
