"""The backups of the running application: made each day and when asked for, looked at, and restored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from loguru import logger

from deskside.backend.backups import encryption, making, moving, restoring, snapshot
from deskside.backend.backups.job import Job, Jobs
from deskside.backend.backups.manifest import Kind, Manifest, read_folder, read_manifest
from deskside.backend.backups.progress import Report
from deskside.backend.backups.restoring import Preview
from deskside.backend.errors import AppError, Conflict, NotFound, StoreDamaged, StoreGone, StoreReadOnly
from deskside.backend.events import BackupsChanged, Notice
from deskside.backend.store import settings, statistics, vacuum
from deskside.backend.store.statistics import Statistics
from deskside.backend.store.text import now_ms
from deskside.backend.store.vacuum import Vacuumed

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.paths import Paths
    from deskside.backend.store.database import Store

# The first look is when the start is over; a program that runs for weeks looks again.
FIRST_LOOK_S = 60.0
LOOK_EVERY_S = 600.0
# A backup that fails is tried again at each look, and told once a day.
TOLD_EVERY_S = 24 * 60 * 60.0


class BackupRow(msgspec.Struct, frozen=True):
    """One backup. `state`: `whole` as far as its size says, `gone` or `damaged` where its database is not
    what the manifest says, `unreadable` where the manifest itself is not (then only the name is known)."""

    name: str
    state: Literal["whole", "gone", "damaged", "unreadable"]
    kind: Kind | None = None
    made_ms: int = 0
    size_bytes: int = 0
    conversations: int = 0
    messages: int = 0
    files: int = 0
    missing_files: int = 0
    is_encrypted: bool = False


class BackupList(msgspec.Struct, frozen=True):
    """The newest first. `is_encrypted` says how the next is made; `pending` that one is to be restored at the
    next start. `can_move` the data folder; `moved_to` is where the next start finds it, `moved_from` the old
    one that is still there."""

    folder: str
    backups: list[BackupRow]
    is_encrypted: bool
    pending: bool
    job: Job | None
    can_move: bool
    moved_to: str | None
    moved_from: str | None


class Backups:
    """All methods belong to the loop's thread, and raise the store's errors in words for the user. While
    files are copied, `keeping_files` sees that none is removed."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        paths: Paths,
        *,
        keeping_files: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        clock_ms: Callable[[], int] = now_ms,
        first_look_s: float = FIRST_LOOK_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._store = store
        self._events = events
        self._paths = paths
        self._keeping_files = keeping_files
        self._clock_ms = clock_ms
        self._first_look_s = first_look_s
        self._look_every_s = look_every_s
        self._jobs = Jobs(paths.database, self._publish)
        self._prepared: Preview | None = None
        self._chosen: Path | None = None
        self._moved_to: Path | None = None
        self._told_s: float | None = None
        self._daily = asyncio.ensure_future(self._back_up_daily())

    async def list(self) -> BackupList:
        """What is in the folder of backups, and what is done at the moment."""
        rows = await asyncio.to_thread(_rows, self._paths.backups)
        stored = await self._store.read(settings.load)
        pending = await asyncio.to_thread(restoring.is_pending, self._paths)
        came = await asyncio.to_thread(moving.moved_from, self._paths)
        return BackupList(
            str(self._paths.backups),
            rows,
            is_encrypted=stored.get(making.SETTING) is not None,
            pending=pending,
            job=self._jobs.current,
            can_move=self._paths.pointer is not None,
            moved_to=None if self._moved_to is None else str(self._moved_to),
            moved_from=None if came is None else came.folder,
        )

    async def make(self, kind: Kind = "manual", folder: Path | None = None) -> Manifest:
        """Back everything up, into the data folder's backups or another folder."""
        self._check_readable()
        target = folder or self._paths.backups
        async with self._keeping_files():
            made = await self._jobs.run(
                "backup", lambda report: making.make_backup(self._paths.database, target, kind, report=report)
            )
        logger.info("a backup was made: {}, {} bytes", made.kind, made.size_bytes)
        return made

    async def check(self, name: str) -> None:
        """Read a backup of the data folder whole. Raises StoreDamaged where it is not what was written."""
        path = self._path(name)
        await self._jobs.run("check", partial(_check, path))

    def stop(self) -> None:
        """Stop what is under way; nothing of it stays."""
        self._jobs.stop()

    async def encrypt(self, passphrase: str | None) -> None:
        """Encrypt the backups from now on; None ends that. Earlier ones stay as they are. The passphrase is
        kept nowhere."""
        made = None
        if passphrase is not None:
            made = await asyncio.to_thread(encryption.new_encryption, passphrase)
        await self._store.write(settings.save, {making.SETTING: made})
        self._publish()

    async def prepare(self, source: Path, passphrase: str | None) -> Preview:
        """Prepare a backup to be restored and say what would change."""
        self._prepared, self._chosen = None, source
        self._prepared = await self._jobs.run(
            "preview", lambda report: restoring.prepare(self._paths, source, passphrase, report)
        )
        return self._prepared

    async def prepare_named(self, name: str, passphrase: str | None) -> Preview:
        """The same for a backup in the data folder."""
        return await self.prepare(self._path(name), passphrase)

    async def prepare_again(self, passphrase: str | None) -> Preview:
        """The same for the file that was chosen last, now with its passphrase."""
        if self._chosen is None:
            raise NotFound("No file was chosen.", hint="Choose a backup again.")
        return await self.prepare(self._chosen, passphrase)

    @property
    def prepared(self) -> Preview:
        """What was prepared last. NotFound where nothing is."""
        if self._prepared is None:
            raise NotFound("Nothing is prepared to be restored.", hint="Choose a backup again.")
        return self._prepared

    async def confirm(self) -> None:
        """Restore what was prepared at the next start."""
        await asyncio.to_thread(restoring.confirm, self._paths, self.prepared.source)
        self._prepared = None
        self._publish()

    async def cancel(self) -> None:
        """Forget what was prepared, or was to be restored at the next start."""
        self._prepared = None
        await asyncio.to_thread(restoring.cancel, self._paths)
        self._publish()

    async def statistics(self) -> Statistics:
        """How much room everything takes. Reads the whole database: about a second for 1 GB."""
        return await asyncio.to_thread(statistics.measure, self._paths)

    async def vacuum(self) -> Vacuumed:
        """Give the space of what was deleted back to the disk. Writes wait meanwhile."""
        self._check_readable()
        vacuum.check_space(self._paths.database)
        loop = asyncio.get_running_loop()

        def clean_up(report: Report) -> Vacuumed:
            call = self._store.maintain(lambda connection: vacuum.vacuum(connection, report))
            return asyncio.run_coroutine_threadsafe(call, loop).result()

        return await self._jobs.run("vacuum", clean_up)

    async def move(self, chosen: Path) -> Path:
        """Copy all data to a folder, and use that from the next start on. Until then nothing more is written.
        Raises Conflict, InvalidRequest and StoreFull before anything is copied."""
        self._check_readable()
        target = await asyncio.to_thread(moving.target_in, self._paths, chosen)
        loop = asyncio.get_running_loop()

        def switch(report: Report) -> None:
            moving.switch(self._paths, target, report)
            self._store.refuse_writes(
                StoreReadOnly(
                    f"Your data are in {target} now.", hint="Start Deskside again to use them there."
                )
            )

        def work(report: Report) -> Path:
            try:
                moving.copy_files(self._paths, target, report)
                alone = self._store.maintain(lambda _connection: switch(report))
                asyncio.run_coroutine_threadsafe(alone, loop).result()
            except BaseException:
                moving.undo(target)
                raise
            return target

        self._moved_to = await self._jobs.run("move", work)
        self._publish()
        return self._moved_to

    async def delete_old(self) -> None:
        """Delete the data from the folder that they were moved from."""
        await asyncio.to_thread(moving.delete_old, self._paths)
        self._publish()

    async def close(self) -> None:
        """Stop what is under way and wait for it."""
        self._daily.cancel()
        await asyncio.wait([self._daily])
        await self._jobs.close()

    def is_due(self) -> bool:
        """No daily backup was made today. One of the future, from before the clock was set back, is none."""
        found, _ = read_folder(self._paths.backups)
        newest = next((each for each in found if each.kind == "daily"), None)
        now = self._clock_ms()
        return newest is None or newest.made_ms > now or _day(newest.made_ms) != _day(now)

    async def _back_up_daily(self) -> None:
        await asyncio.sleep(self._first_look_s)
        while True:
            await self._look()
            await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        if self._store.trouble is not None or not await asyncio.to_thread(self.is_due):
            return
        try:
            await self.make("daily")
        except Conflict:
            return  # another job: at the next look
        except AppError as error:
            logger.warning("the daily backup failed: {}", error.code)
            if self._told_s is None or time.monotonic() - self._told_s > TOLD_EVERY_S:
                self._told_s = time.monotonic()
                message = f"Today's backup could not be made. {error.message}"
                self._events.publish(Notice("warning", error.code, message, error.hint))

    def _check_readable(self) -> None:
        trouble = self._store.trouble
        if isinstance(trouble, StoreDamaged | StoreGone):
            raise type(trouble)(trouble.message, hint=trouble.hint)

    def _path(self, name: str) -> Path:
        path = self._paths.backups / f"{name}.json"
        if not path.is_file():
            raise NotFound("This backup is gone.", hint="Reload the list.")
        return path

    def _publish(self) -> None:
        self._events.publish(BackupsChanged(self._jobs.current))


def _rows(folder: Path) -> list[BackupRow]:
    if not folder.is_dir():
        return []
    found, unreadable = read_folder(folder)
    return [_row(folder, each) for each in found] + [
        BackupRow(path.stem, "unreadable") for path in unreadable
    ]


def _row(folder: Path, backup: Manifest) -> BackupRow:
    database = folder / backup.database
    size = database.stat().st_size if database.is_file() else None
    return BackupRow(
        backup.name,
        "gone" if size is None else "whole" if size == backup.size_bytes else "damaged",
        backup.kind,
        backup.made_ms,
        backup.size_bytes,
        backup.tables.get("conversation", 0),
        backup.tables.get("message", 0),
        len(backup.files),
        len(backup.missing),
        is_encrypted=backup.encryption is not None,
    )


def _check(path: Path, report: Report) -> None:
    backup = read_manifest(path)
    database = path.with_name(backup.database)
    if not database.is_file() or snapshot.digest_of(database, report) != backup.sha256:
        raise StoreDamaged(f"{backup.name} is damaged.", hint="Make a new backup, and keep to the others.")


def _day(ms: int) -> tuple[int, int, int]:
    day = datetime.fromtimestamp(ms / 1000)
    return day.year, day.month, day.day
