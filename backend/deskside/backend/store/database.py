"""The store: one SQLite file, opened for as long as the program runs.

Everything that is kept goes through `Store.read` and `Store.write` with one of the functions of this
package's modules. A function gets the `Db` first, takes ids and structs and returns structs; it runs on a
thread of the store in a short session, never on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from filelock import FileLock, Timeout
from loguru import logger
from pony.orm import OrmError

from deskside.backend import rescue
from deskside.backend.backups import restoring
from deskside.backend.backups.restoring import Applied
from deskside.backend.errors import (
    AppError,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    StoreGone,
    StoreOutdated,
    StoreReadOnly,
    StoreRefused,
)
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import first_start, replies, scratch
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate
from deskside.backend.store.salvage import open_empty, open_outdated, open_salvaged, remove
from deskside.backend.store.sqlite_errors import Health, store_error
from deskside.backend.store.threads import Readers, Unit, Writer, gone, identity

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from deskside.backend.paths import Paths

P = ParamSpec("P")
T = TypeVar("T")

# How long another program may hold the file before we give up on it.
BUSY_TIMEOUT_S = 5.0
# A drive that takes longer to say whether a file is there is as good as gone.
ANSWERS_WITHIN_S = 5.0
# What can be read of a damaged database is in a file of this name, and the process, while it is open.
COPY = "readable-"


class Store:
    """One open database file. Use `open_store`.

    All methods raise StoreBusy, StoreFull, StoreReadOnly and StoreDamaged besides what the function itself
    raises, and RuntimeError once the store is closed. A full disk or a busy file is forgotten with the next
    write that succeeds; damage is not: from then on nothing is written, and once a read has met it, what
    can still be read is read from a copy (salvage.py). So it is from the start where the file could not be
    opened for writing (`open_reading`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._health = Health(path)
        # Taken on the writer's thread, given back on the loop's.
        self._lock = FileLock(f"{path}.lock", mode=0o600, thread_local=False)
        self._is_open = False
        self.is_wal_missing = False
        """Somebody took the file with the latest changes away after a crash, and they are lost."""
        self._writer: Writer | None = None
        self._readers: Readers
        self._shows_copy = False
        self._damaged_readers: Readers | None = None
        self._salvaged: asyncio.Future[Readers] | None = None
        self.timings = Timings()
        """How long each function ran, without what its caller waited for."""
        self.queueing = Timings()
        """How long each function waited for its turn."""
        self.applied: Applied | None = None
        """What became of a backup that was to be restored when this was opened."""
        self._scratch: TemporaryDirectory[str] | None = None

    @property
    def damage(self) -> StoreDamaged | None:
        """What to tell the user once the file is known to be damaged."""
        return self._health.damage

    @property
    def trouble(self) -> AppError | None:
        """Why nothing can be written now, in words for the user."""
        return self._health.trouble

    @property
    def is_reading_only(self) -> bool:
        """Nothing more is written until the program is started again."""
        return not self._health.is_writable

    def call_on_trouble(self, told: Callable[[], None]) -> None:
        """Have `told` called on the loop whenever `trouble` changes."""

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed with the store still open
                self._loop.call_soon_threadsafe(told)

        self._health.on_trouble = tell

    async def look_whether_it_is_there(self) -> None:
        """Sees that the file was moved, removed or replaced, that its drive does not answer, and that it is
        back."""
        if self._writer is None or self.is_reading_only:
            return
        looking = asyncio.ensure_future(asyncio.to_thread(identity, self.path))
        done, _ = await asyncio.wait([looking], timeout=ANSWERS_WITHIN_S)
        found: StoreGone | None = None
        if not done:
            found = StoreGone(f"The drive that holds {self.path} does not answer.")
        elif looking.result() != self._writer.identity:
            found = gone(self.path)
        if (found is None) != (self._health.gone is None):
            self._health.gone = found
            logger.warning("the database is {}", "there again" if found is None else "gone")
            self._health.on_trouble()
        await looking

    @property
    def is_alone(self) -> bool:
        """Whether no other process had the store open when this one opened it."""
        return self._lock.is_locked

    def take_applied(self) -> Applied | None:
        """What became of a restore at the start, told once."""
        applied, self.applied = self.applied, None
        return applied

    async def read(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function that only reads, at one moment of the database: it sees every write that was
        awaited before. Several run side by side."""

        def call(db: Db) -> T:
            return function(db, *args, **named)

        try:
            return await self._submit(self._open_readers().put, _name(function), call)
        except StoreDamaged:
            return await self._submit((await self._salvaged_readers()).put, _name(function), call)

    async def write(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function that writes. When this returns, what it wrote survives a power cut."""
        return await self._write(_name(function), lambda db: function(db, *args, **named), is_durable=True)

    async def write_soon(
        self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """As `write`, without waiting for the disk: what it wrote survives a crash of the program, not of
        the machine. For what comes several times a second."""
        return await self._write(_name(function), lambda db: function(db, *args, **named), is_durable=False)

    async def maintain(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the writer's connection outside of a transaction, for what SQLite does in no
        other way. Writes wait for it."""

        def call(db: Db) -> T:
            return function(db.own_connection())

        return await self._submit(self._open_writer().put, _name(function), call, is_alone=True)

    def refuse_writes(self, why: StoreReadOnly) -> None:
        """Write nothing more: this file is no longer the one that counts."""
        self._health.moved = why

    async def open_reading(self, trouble: AppError) -> None:
        """Instead of `open`, where that has raised `trouble`: nothing is written, and what can be read is
        read from a copy. Raises `trouble` where no copy can be made."""
        self._health.reading_only = trouble
        try:
            await self._salvaged_readers()
        except AppError:
            if not isinstance(trouble, StoreDamaged):
                self._forget_copy()
                raise trouble from None
            # Nothing is left to be read. The window is still where the user is told, and offered a backup.
            empty = partial(open_empty, self._copy_path(), busy_timeout_s=BUSY_TIMEOUT_S)
            self._readers = Readers(await asyncio.to_thread(empty), Health(self._copy_path()), self._loop)
        self._is_open = True

    async def open(self, paths: Paths, busy_timeout_s: float) -> None:
        """Start the threads, put in place what was rescued or is to be restored, bring the file up to date,
        and repair what a crash left."""
        open_db = partial(self._open_db, paths, busy_timeout_s)
        writer = self._writer = Writer(open_db, self._health, self._loop)
        writer.start()
        try:
            db = await writer.opened
        except BaseException:
            # Also where the caller was cancelled: the thread may just have opened the file.
            writer.finish()
            await asyncio.shield(writer.closed)
            self._lock.release()
            raise
        self._readers = Readers(db, self._health, self._loop)
        self._is_open = True
        try:
            await self._repair()
        except BaseException:
            await self.close()
            raise

    def _open_db(self, paths: Paths, busy_timeout_s: float) -> Db:
        """On the writer's thread: the folder, the schema and the mapping."""
        scratch.remove_left()
        paths.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if paths.rescue.exists() or paths.restore.exists():
            _lock_if_first(self._lock)
            if self._lock.is_locked:
                self.applied = _apply_pending(paths)
        self.is_wal_missing = _is_wal_missing(self.path)
        try:
            migrate(self.path, paths.backups, busy_timeout_s=busy_timeout_s)
        except (sqlite3.Error, ValueError) as error:
            if store_error(error, self.path) is not None:
                raise
            return self._open_outdated(error, busy_timeout_s)
        db = Db(self.path, busy_timeout_s=busy_timeout_s)
        _lock_if_first(self._lock)
        if self._lock.is_locked:
            for left_by_a_crash in self.path.parent.glob(f"{self.path.stem}.{COPY}*"):
                left_by_a_crash.unlink()
        return db

    def _open_outdated(self, cause: Exception, busy_timeout_s: float) -> Db:
        """A migration failed, and is undone: show what is there as a copy, to which nothing is written."""
        logger.opt(exception=cause).error("the database could not be brought to the new schema")
        told = StoreOutdated("Your data could not be brought to the form that this Deskside needs.")
        self._health.reading_only = told
        self._shows_copy = True
        _lock_if_first(self._lock)
        try:
            db = open_outdated(
                self.path, self._copy_path(), busy_timeout_s=busy_timeout_s, is_ours=self._lock.is_locked
            )
        except (AppError, sqlite3.Error, OrmError, ValueError) as error:
            raise StoreRefused(told.message, hint=told.hint) from error
        told.hint = f"They are shown as they were, and nothing can be changed. {told.hint}"
        return db

    async def _repair(self) -> None:
        if self._shows_copy:
            return
        try:
            await self.write(first_start.make_rows)
            if self._lock.is_locked:
                await self.write(replies.interrupt_unfinished)
        except StoreDamaged:
            # Every write will say what to do. What is left can still be read, and is shown as it would be
            # had the repair worked.
            logger.error("the database is damaged and could not be repaired")
            with suppress(StoreDamaged):
                await self._salvaged_readers()

    async def _salvaged_readers(self) -> Readers:
        """Readers of a copy of what can be read, made once. StoreDamaged where that is nothing."""
        if self._salvaged is None:
            self._salvaged = asyncio.ensure_future(self._salvage())
        return await asyncio.shield(self._salvaged)

    async def _salvage(self) -> Readers:
        logger.warning("the database is damaged; what can be read is copied")
        target = self._copy_path()
        try:
            db = await asyncio.to_thread(
                open_salvaged,
                self.path,
                target,
                busy_timeout_s=BUSY_TIMEOUT_S,
                is_ours=self._lock.is_locked,
            )
        except (AppError, sqlite3.Error, OrmError, OSError) as error:
            logger.opt(exception=error).error("what can be read of the database could not be copied")
            raise StoreDamaged(f"{self.path} is damaged, and cannot be read.") from error
        readers = Readers(db, Health(target), self._loop)
        if self._writer is not None:
            self._damaged_readers = self._readers
        self._readers = readers
        return readers

    def _forget_copy(self) -> None:
        remove(self._copy_path())
        if self._scratch is not None:
            self._scratch.cleanup()

    def _copy_path(self) -> Path:
        """Beside the file; where that has no room or may not be written, where the system keeps what is
        needed for a while."""
        folder = self.path.parent
        if not isinstance(self.trouble, StoreDamaged):
            if self._scratch is None:
                self._scratch = scratch.make()
            folder = Path(self._scratch.name)
        return folder / f"{self.path.stem}.{COPY}{os.getpid()}.db"

    async def close(self) -> None:
        """Finish what is queued, bring the -wal file back into the database, and close it. It goes on to
        its end even when the caller is cancelled."""
        self._is_open = False
        await asyncio.shield(asyncio.ensure_future(self._close()))

    async def _close(self) -> None:
        if self._salvaged is not None:
            await asyncio.wait([self._salvaged])
        if self._damaged_readers is not None:
            await self._damaged_readers.close()
        await self._readers.close()
        if self._writer is not None:
            self._writer.finish()
            await self._writer.closed
        if self._salvaged is not None or self._shows_copy:
            self._forget_copy()
        self._lock.release()

    async def _write(self, name: str, call: Callable[[Db], T], *, is_durable: bool) -> T:
        return await self._submit(self._open_writer().put, name, call, is_durable=is_durable)

    async def _submit(
        self,
        put: Callable[[Unit], None],
        name: str,
        call: Callable[[Db], T],
        *,
        is_durable: bool = False,
        is_alone: bool = False,
    ) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        unit = Unit(call, future, is_durable, is_alone)
        put(unit)
        try:
            return await future
        finally:
            times = unit.times
            if times.ended_s:  # else its caller was cancelled first
                self.timings.observe(name, times.ended_s - times.began_s)
                self.queueing.observe(name, times.began_s - times.queued_s)

    def _open_writer(self) -> Writer:
        self._open_readers()
        self._health.check_writable()
        assert self._writer is not None
        return self._writer

    def _open_readers(self) -> Readers:
        if not self._is_open:
            raise RuntimeError(f"the store {self.path} is closed")
        return self._readers


@asynccontextmanager
async def open_store(
    paths: Paths, *, busy_timeout_s: float = BUSY_TIMEOUT_S, or_read: bool = False
) -> AsyncIterator[Store]:
    """Open the database of `paths`, making what is missing, and close it at the end. `or_read`: where it
    cannot be opened for writing, what can be read is shown, and `trouble` says why that is all.

    Raises StoreRefused, StoreBusy, StoreFull, StoreReadOnly or StoreDamaged, each with what to do.
    """
    store = Store(paths.database)
    try:
        await store.open(paths, busy_timeout_s)
    except (StoreBusy, StoreDamaged, StoreFull, StoreReadOnly) as trouble:
        if not or_read:
            raise
        store = Store(paths.database)
        await store.open_reading(trouble)
    try:
        yield store
    finally:
        await store.close()


def _apply_pending(paths: Paths) -> Applied | None:
    """Put in place what waits for a start that has the data folder to itself. What became of a restore."""
    # Confirming a rescue forgets a restore that waits. So of two that wait the restore was chosen later: it
    # comes last and wins, and what was rescued is then among the backups.
    rescue.apply_pending(paths)
    return restoring.apply_pending(paths)


def _is_wal_missing(path: Path) -> bool:
    """Whoever closes the database last removes the -wal and the -shm file; a crash leaves both."""
    return path.with_name(f"{path.name}-shm").is_file() and not path.with_name(f"{path.name}-wal").exists()


def _name(function: Any) -> str:
    """What a store function is called in the timings: `conversations.page`."""
    return _known_name(function.__module__, function.__qualname__)


@lru_cache(maxsize=1024)
def _known_name(module: str, name: str) -> str:
    return f"{module.rpartition('.')[2]}.{name}"


def _lock_if_first(lock: FileLock) -> None:
    """Where no other process has the store open, a reply that streams was cut off. Otherwise it may be the
    other's (`deskside ask` beside the window). The system drops the lock of a process that died."""
    if not lock.is_locked:
        with suppress(Timeout):
            lock.acquire(blocking=False)
