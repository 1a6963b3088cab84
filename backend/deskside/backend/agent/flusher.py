"""Brings what replies say to the disk while they say it.

Invariants
  - One flush at a time: a slow disk makes fewer and larger flushes, never a queue of them.
  - At most `FLUSH_EVERY_S` plus one flush, or `FLUSH_BYTES` a reply, is lost to `kill -9`.
  - A flush that fails loses nothing: it is unsaved again, the user is told once, and it is tried again
    every `RETRY_EVERY_S` until it works. The runs go on meanwhile, as far as they may (`fault`).
  - Each reply is a unit of its own, so one that cannot be written does not hold up the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

from deskside.backend.agent.reply import Reply, Unsaved
from deskside.backend.errors import AppError, Internal
from deskside.backend.log import request_id
from deskside.backend.store import replies, runs, usage
from deskside.backend.store.connection import Db
from deskside.backend.store.recorded_items import Redact

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

FLUSH_EVERY_S = 0.15
FLUSH_BYTES = 4096
RETRY_EVERY_S = 1.0


class Flusher:
    """The one task that writes streaming replies. Made and used on the backend's loop."""

    def __init__(self, store: Store, tell: Callable[[AppError], None], redact: Redact) -> None:
        self._store = store
        self._tell = tell
        self._redact = redact
        self._replies: set[Reply] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._has_work = asyncio.Event()
        self._is_large = asyncio.Event()
        self._is_awaited = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._has_failed = False
        self._faults: dict[Reply, BaseException] = {}
        self._task = asyncio.create_task(self._work(), name="flusher")

    def add(self, reply: Reply) -> None:
        self._replies.add(reply)

    async def release(self, reply: Reply) -> None:
        """Let go of a reply. Afterwards nothing of it is on its way to the disk."""
        self._replies.discard(reply)
        # The next flush, which may follow at once, is without it.
        await self._is_idle.wait()

    def note(self, reply: Reply) -> None:
        """Text was added to a reply. Called for every chunk."""
        if reply.unsaved_bytes >= FLUSH_BYTES:
            self._is_large.set()
        self._has_work.set()

    async def flush(self) -> None:
        """Return when what was said before has been written, or could not be and will be tried again."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._is_awaited.set()
        self._is_large.set()
        self._has_work.set()
        await done

    def fault(self, reply: Reply) -> BaseException | None:
        """Why the last flush could not write what this reply had said; None where it did. What has an effect
        must not begin then."""
        return self._faults.get(reply)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _work(self) -> None:
        while True:
            await self._has_work.wait()
            await self._pause()
            self._has_work.clear()
            self._is_large.clear()
            self._is_awaited.clear()
            waiting, self._waiting = self._waiting, []
            self._is_idle.clear()
            await self._write_all()
            self._is_idle.set()
            for done in waiting:
                if not done.done():
                    done.set_result(None)

    async def _pause(self) -> None:
        """Let text gather, unless someone waits for it or there is enough. A disk that is full stays full
        for a while: then only someone who waits makes it try sooner."""
        enough, longest_s = self._is_large, FLUSH_EVERY_S
        if self._has_failed:
            enough, longest_s = self._is_awaited, RETRY_EVERY_S
        if enough.is_set():
            return
        try:
            async with asyncio.timeout(longest_s):
                await enough.wait()
        except TimeoutError:
            pass

    async def _write_all(self) -> None:
        batches = [(reply, unsaved) for reply in self._replies if (unsaved := reply.unsaved()) is not None]
        written = await asyncio.gather(
            *(self._write(unsaved) for _, unsaved in batches),
            return_exceptions=True,
        )
        self._faults = {}
        for (reply, unsaved), result in zip(batches, written, strict=True):
            if isinstance(result, BaseException):
                reply.give_back(unsaved)
                self._faults[reply] = result
        if self._faults:
            self._has_work.set()
            if not self._has_failed:
                self._report(next(iter(self._faults.values())))
        self._has_failed = bool(self._faults)

    async def _write(self, unsaved: Unsaved) -> None:
        # In a task of its own (`gather` makes one): the id is the one of the call that started the run.
        request_id.set(unsaved.request_id)
        await self._store.write_soon(write_unsaved, unsaved, self._redact)

    def _report(self, failure: BaseException) -> None:
        if isinstance(failure, AppError):
            logger.warning("a flush failed: {}", failure.code)
            self._tell(failure)
        else:
            logger.opt(exception=failure).error("a flush failed")
            self._tell(Internal("An answer cannot be saved because of a fault in Deskside."))


def write_unsaved(db: Db, unsaved: Unsaved, redact: Redact) -> None:
    """All that a reply has said and done since the last flush, in one unit of work. `redact` is for what is
    recorded of it."""
    if unsaved.cut_from is not None:
        replies.cut_parts(db, unsaved.message_id, unsaved.cut_from)
    if unsaved.model is not None:
        replies.set_model(db, unsaved.message_id, unsaved.model)
    if unsaved.heard:
        replies.hear(db, unsaved.heard)
    if unsaved.chunks:
        replies.append_chunks(db, unsaved.chunks)
    if unsaved.parts:
        replies.save_parts(db, unsaved.message_id, unsaved.parts)
    if unsaved.noted:
        runs.record_events(db, unsaved.run_id, unsaved.noted, redact)
    for call in unsaved.calls:
        usage.record(db, call)
