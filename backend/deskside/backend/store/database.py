"""The store: one SQLite file, opened for as long as the program runs.

Everything that is kept goes through `Store.read` and `Store.write` with one of the functions of this
package's modules. A function gets the `Db` first, takes ids and structs and returns structs; it runs on a
thread of the store in a short session, never on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from loguru import logger
from pony.orm import db_session

from deskside.backend.errors import StoreDamaged
from deskside.backend.store import first_start, replies
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate
from deskside.backend.store.sqlite_errors import is_damage, store_error
from deskside.backend.store.threads import Readers, Unit, Writer

if TYPE_CHECKING:
    from deskside.backend.app import Paths

P = ParamSpec("P")
T = TypeVar("T")

# How long another program may hold the file before we give up on it.
BUSY_TIMEOUT_S = 5.0


class Store:
    """One open database file. Use `open_store`.

    All methods raise StoreBusy, StoreFull, StoreReadOnly and StoreDamaged besides what the function itself
    raises, and RuntimeError once the store is closed. A full disk or a busy file is forgotten with the next
    write that succeeds; damage is not: from then on only reading is tried.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._damage: StoreDamaged | None = None
        self._is_open = False
        self._writer: Writer
        self._readers: Readers

    async def read(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function that only reads, at one moment of the database: it sees every write that was
        awaited before. Several run side by side."""
        return await self._submit(self._open_readers().put, lambda db: function(db, *args, **named))

    async def write(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function that writes. When this returns, what it wrote survives a power cut."""
        return await self._write(lambda db: function(db, *args, **named), is_durable=True)

    async def write_soon(
        self, function: Callable[Concatenate[Db, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """As `write`, without waiting for the disk: what it wrote survives a crash of the program, not of
        the machine. For what comes several times a second."""
        return await self._write(lambda db: function(db, *args, **named), is_durable=False)

    async def open(self, backups: Path, busy_timeout_s: float) -> None:
        """Start the threads; the writer's migrates the file and repairs what a crash left."""
        self._writer = Writer(
            partial(_open_db, self.path, backups, busy_timeout_s), self._translate, self._loop
        )
        self._writer.start()
        db = await self._writer.opened
        self._readers = Readers(db, self._translate, self._loop)
        self._is_open = True

    async def close(self) -> None:
        """Finish what is queued, bring the -wal file back into the database, and close it."""
        self._is_open = False
        await self._readers.close()
        self._writer.finish()
        await self._writer.closed

    async def _write(self, call: Callable[[Db], T], *, is_durable: bool) -> T:
        self._open_readers()
        if self._damage is not None:
            raise StoreDamaged(self._damage.message)
        return await self._submit(self._writer.put, call, is_durable=is_durable)

    async def _submit(
        self, put: Callable[[Unit], None], call: Callable[[Db], T], *, is_durable: bool = False
    ) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        put(Unit(call, future, is_durable))
        return await future

    def _open_readers(self) -> Readers:
        if not self._is_open:
            raise RuntimeError(f"the store {self.path} is closed")
        return self._readers

    def _translate(self, error: BaseException) -> BaseException:
        """Runs on the store's threads."""
        found = store_error(error, self.path)
        if found is None:
            return error
        if isinstance(found, StoreDamaged) and is_damage(found.__cause__) and self._damage is None:
            self._damage = found
            logger.error("the database is damaged; nothing more is written to it")
        return found


@asynccontextmanager
async def open_store(paths: Paths, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> AsyncIterator[Store]:
    """Open the database of `paths`, making what is missing, and close it at the end.

    Raises StoreRefused, StoreBusy, StoreFull, StoreReadOnly or StoreDamaged, each with what to do.
    """
    store = Store(paths.database)
    await store.open(paths.backups, busy_timeout_s)
    try:
        yield store
    finally:
        await store.close()


def _open_db(path: Path, backups: Path, busy_timeout_s: float) -> Db:
    """On the writer's thread: everything that must be true before anyone reads."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate(path, backups, busy_timeout_s=busy_timeout_s)
    db = Db(path, busy_timeout_s=busy_timeout_s)
    connection = db.own_connection()
    connection.execute("PRAGMA synchronous = FULL")
    for function in (first_start.make_rows, replies.interrupt_unfinished):
        with db_session:
            function(db)
    return db
