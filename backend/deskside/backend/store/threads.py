"""The threads that touch the database: one that writes, a few that read.

The event loop hands them units (a store function and its arguments) and gets futures back. The writer takes
what has queued up meanwhile and commits it as one group: eight replies that stream cost one commit, not
eight. A unit runs in the context of its caller, so that the request id reaches what it writes.

Invariants
  - A future is resolved only after its group is on the disk; a read that starts then sees it.
  - A unit that raises is undone alone. A group that fails as a whole is run again unit by unit, so that
    one that does not fit on the disk takes no other with it. (Store functions have no effect but on the
    database, so they can be run again.)
  - A write that was queued happens, whether or not its caller still waits; a read does not.
"""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from loguru import logger
from pony.orm import db_session

from deskside.backend.errors import StoreGone, StoreReadOnly
from deskside.backend.store import search_index
from deskside.backend.store.connection import Db, forgive_text
from deskside.backend.store.sqlite_errors import Health, chain, is_text_damage

LARGEST_GROUP = 64
# SQLite empties the -wal file by itself only in a moment without readers, which may not come for long.
LARGEST_WAL_BYTES = 16 * 1024 * 1024
# Looking costs as much as a small write, and the fastest writers add a few megabytes meanwhile.
LOOK_AT_WAL_EVERY_S = 0.05
# How long the writer waits for readers to let it empty the file; then it goes on and tries again later.
EMPTY_WAL_WITHIN_MS = 100
# Of SQLite's virtual machine, which does some millions a second.
LOOK_AT_CALLER_EVERY_OPS = 10_000


@dataclass(slots=True)
class Times:
    """When a unit was queued, and when its function ran last: `time.perf_counter`, 0 before."""

    queued_s: float = field(default_factory=time.perf_counter)
    began_s: float = 0.0
    ended_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """One call of a store function. `is_durable` also survives a power cut, at the price of one fsync.
    `is_alone` runs outside of any transaction, between two groups."""

    call: Callable[[Db], Any]
    future: asyncio.Future[Any]
    is_durable: bool = False
    is_alone: bool = False
    context: Context = field(default_factory=copy_context)
    times: Times = field(default_factory=Times)


@dataclass(frozen=True, slots=True)
class Outcome:
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


def attempt(unit: Unit, db: Db) -> Outcome:
    """Run one unit in a session of its own."""
    unit.times.began_s = time.perf_counter()
    try:
        with db_session:
            return Outcome(unit.future, unit.context.run(unit.call, db))
    except BaseException as error:  # raised where the unit's caller awaits it
        return Outcome(unit.future, error=error)
    finally:
        unit.times.ended_s = time.perf_counter()


def attempt_read(unit: Unit, db: Db) -> Outcome:
    """Run one unit that reads, for no longer than its caller waits for it: a search that was typed on does
    not keep its thread."""
    try:
        with db.reading() as connection:
            connection.set_progress_handler(unit.future.cancelled, LOOK_AT_CALLER_EVERY_OPS)
            return Outcome(unit.future, unit.context.run(unit.call, db))
    except BaseException as error:  # raised where the unit's caller awaits it
        if is_text_damage(error) and connection.text_factory is str:
            forgive_text(connection)
            return attempt_read(unit, db)
        return Outcome(unit.future, error=error)


def deliver(loop: asyncio.AbstractEventLoop, outcomes: list[Outcome]) -> None:
    """Resolve futures on their loop. Those whose caller was cancelled are done already."""

    def resolve() -> None:
        for outcome in outcomes:
            if outcome.future.done():
                continue
            if outcome.error is not None:
                outcome.future.set_exception(outcome.error)
            else:
                outcome.future.set_result(outcome.result)

    try:
        loop.call_soon_threadsafe(resolve)
    except RuntimeError:
        # The loop was closed with the store still open: the writes are done, nobody is left to be told.
        logger.warning("the event loop ended before the store was closed")


def _is_index_damage(error: BaseException | None) -> bool:
    return any(getattr(cause, "sqlite_errorcode", None) in search_index.DAMAGE for cause in chain(error))


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name, None where none has. Takes 2 µs."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def gone(path: Path) -> StoreGone:
    return StoreGone(f"{path} was moved, removed or replaced while Deskside was running.")


def _wal_bytes(db: Db) -> int:
    try:
        return os.stat(f"{db.path}-wal").st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _no_checkpoint(path: Path) -> Iterator[None]:
    """Whoever closes a database last brings its -wal file into it: into a damaged one, and even one that
    belongs to another database. Beside an open connection SQLite does not; and the last one, which may only
    read, cannot."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
        with suppress(sqlite3.DatabaseError):
            reader.execute("PRAGMA schema_version").fetchone()
        yield


class Writer:
    """The thread that writes, and the only one that does."""

    def __init__(self, open_db: Callable[[], Db], health: Health, loop: asyncio.AbstractEventLoop) -> None:
        self._open_db = open_db
        self._health = health
        self._loop = loop
        self._units: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._synchronous = ""
        self.identity: tuple[int, int] | None = None
        """Of the file that was opened."""
        self._empty_wal_at_bytes = LARGEST_WAL_BYTES
        self._look_at_wal_s = 0.0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.opened: asyncio.Future[Db] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def start(self) -> None:
        self._thread.start()

    def put(self, unit: Unit) -> None:
        self._units.put(unit)

    def finish(self) -> None:
        """Write what is queued, then close. `closed` resolves when that is done, or nothing was opened."""
        self._units.put(None)

    def _run(self) -> None:
        try:
            db = self._open_db()
        except BaseException as error:  # raised where `opened` is awaited
            outcome = Outcome(self.opened, error=self._health.told(error))
            deliver(self._loop, [outcome, Outcome(self.closed)])
            return
        self.identity = identity(db.path)
        deliver(self._loop, [Outcome(self.opened, db)])
        is_open = True
        while is_open:
            units, is_open = self._take_group()
            for is_alone, group in groupby(units, key=lambda unit: unit.is_alone):
                for together in [[unit] for unit in group] if is_alone else [list(group)]:
                    outcomes = self._run_alone(db, together[0]) if is_alone else self._commit(db, together)
                    deliver(self._loop, outcomes)
                self._bound_wal(db)
        self._close(db)
        deliver(self._loop, [Outcome(self.closed)])

    def _take_group(self) -> tuple[list[Unit], bool]:
        """What is queued, at least one; and False once nothing more will come."""
        units: list[Unit] = []
        while len(units) < LARGEST_GROUP:
            try:
                unit = self._units.get(block=not units)
            except queue.Empty:
                break
            if unit is None:
                return units, False
            units.append(unit)
        return units, True

    def _run_alone(self, db: Db, unit: Unit) -> list[Outcome]:
        try:
            self._health.check_writable()
            self._check_identity(db)
            unit.times.began_s = time.perf_counter()
            return [Outcome(unit.future, unit.context.run(unit.call, db))]
        except BaseException as error:  # raised where the unit's caller awaits it
            return [self._told(Outcome(unit.future, error=error))]
        finally:
            unit.times.ended_s = time.perf_counter()

    def _commit(self, db: Db, units: list[Unit], *, mend: bool = True) -> list[Outcome]:
        """Run units as one transaction; where that fails as a whole, each alone."""
        try:
            return self._try_commit(db, units, mend=mend)
        except Exception as error:  # raised where the callers await their units
            return [self._told(Outcome(unit.future, error=error)) for unit in units]

    def _try_commit(self, db: Db, units: list[Unit], *, mend: bool) -> list[Outcome]:
        self._health.check_writable()
        self._check_identity(db)
        connection = db.own_connection()
        self._begin(connection, is_durable=any(unit.is_durable for unit in units))
        outcomes, failure = self._run_group(db, connection, units, mend=mend)
        if failure is None:
            return [self._told(outcome) for outcome in outcomes]
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if mend and _is_index_damage(failure):
            logger.warning("the search index is damaged and is made anew")
            search_index.rebuild(connection)
            return self._commit(db, units, mend=False)
        if len(units) == 1:
            return [self._told(Outcome(units[0].future, error=failure))]
        return [outcome for unit in units for outcome in self._commit(db, [unit], mend=mend)]

    def _check_identity(self, db: Db) -> None:
        if identity(db.path) != self.identity:
            # SQLite would go on with a file that has no name any more, and that is gone when we close it.
            raise gone(db.path)

    def _run_group(
        self, db: Db, connection: sqlite3.Connection, units: list[Unit], *, mend: bool
    ) -> tuple[list[Outcome], BaseException | None]:
        """The outcomes, committed; or why the whole group has failed."""
        outcomes = []
        for unit in units:
            outcome = attempt(unit, db)
            outcomes.append(outcome)
            # SQLite ends the transaction by itself when the disk is full or fails, and what came before
            # in the group is gone. (A unit never does: it has no way to the outer transaction.)
            if not connection.in_transaction:
                return outcomes, outcome.error or RuntimeError("a store function ended the transaction")
            if mend and _is_index_damage(outcome.error):
                return outcomes, outcome.error
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            return outcomes, error
        return outcomes, None

    def _begin(self, connection: sqlite3.Connection, *, is_durable: bool) -> None:
        # In WAL mode, NORMAL survives a crash of the program, FULL also one of the machine. It cannot be
        # changed inside a transaction.
        if connection.in_transaction:  # a group whose ROLLBACK failed too
            connection.execute("ROLLBACK")
        wanted = "FULL" if is_durable else "NORMAL"
        if self._synchronous != wanted:
            connection.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted
        connection.execute("BEGIN IMMEDIATE")

    def _bound_wal(self, db: Db) -> None:
        now_s = time.monotonic()
        if now_s < self._look_at_wal_s:
            return
        self._look_at_wal_s = now_s + LOOK_AT_WAL_EVERY_S
        if _wal_bytes(db) < self._empty_wal_at_bytes or not self._health.is_writable:
            return
        connection = db.own_connection()
        (usual_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        try:
            connection.execute(f"PRAGMA busy_timeout = {EMPTY_WAL_WITHIN_MS}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            # What is in the -wal file is safe there; the next write tells the user if the disk is full.
            logger.warning("the -wal file could not be emptied: {}", error)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {usual_ms}")
        self._empty_wal_at_bytes = _wal_bytes(db) + LARGEST_WAL_BYTES

    def _told(self, outcome: Outcome) -> Outcome:
        if outcome.error is None:
            return outcome
        return Outcome(outcome.future, error=self._health.told(outcome.error))

    def _close(self, db: Db) -> None:
        try:
            connection = db.own_connection()
            if self._health.is_writable and identity(db.path) == self.identity:
                connection.execute(f"PRAGMA busy_timeout = {EMPTY_WAL_WITHIN_MS}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            # Nothing is lost: what was committed is in the -wal file and is read from there.
            logger.warning("the database was closed without a checkpoint: {}", error)
        if self._health.is_writable or _wal_bytes(db) == 0:
            db.disconnect()
            return
        with _no_checkpoint(db.path):
            db.disconnect()


class Readers:
    """Threads that read, each with a connection of its own that it opens with its first unit.

    They wait on one stream socket and not on a queue's lock: a lock wakes the thread that has waited longest,
    on a core that has gone to sleep; a byte wakes all that wait, and the first to run, most often on this
    core, takes the unit. On Linux the way there and back takes 30 µs in place of 65 to 110
    (build/bench/history.py, "nothing"), and no more of the processor.
    """

    def __init__(self, db: Db, health: Health, loop: asyncio.AbstractEventLoop, count: int = 3) -> None:
        self._db = db
        self._health = health
        self._loop = loop
        self._units: deque[Unit] = deque()
        self._bell, self._heard = socket.socketpair()
        self._bell.setblocking(False)
        self._closed = [loop.create_future() for _ in range(count)]
        for number, closed in enumerate(self._closed):
            threading.Thread(
                target=self._run, args=(closed,), name=f"store-reader-{number}", daemon=True
            ).start()

    def put(self, unit: Unit) -> None:
        self._units.append(unit)
        # Where no more rings fit, there are some that were not heard yet; whoever hears one takes all units.
        with suppress(BlockingIOError):
            self._bell.send(b"\0")

    async def close(self) -> None:
        """Finish what is queued."""
        self._bell.close()
        await asyncio.gather(*self._closed)
        self._heard.close()

    def _run(self, closed: asyncio.Future[None]) -> None:
        while self._heard.recv(1):
            self._read_all()
        self._read_all()
        self._db.disconnect()
        deliver(self._loop, [Outcome(closed)])

    def _read_all(self) -> None:
        while True:
            try:
                unit = self._units.popleft()
            except IndexError:
                return
            self._read(unit)
            del unit  # it can hold a whole history, and the next may be long in coming

    def _read(self, unit: Unit) -> None:
        if unit.future.cancelled():
            return
        outcome = attempt_read(unit, self._db)
        if outcome.error is not None:
            outcome = Outcome(unit.future, error=self._told(outcome.error))
        deliver(self._loop, [outcome])

    def _told(self, error: BaseException) -> BaseException:
        told = self._health.told(error)
        # A reader opens the file with its first unit; where there is none, Pony says so with an OSError.
        if isinstance(told, OSError | StoreReadOnly) and identity(self._db.path) is None:
            return gone(self._db.path)
        return told
