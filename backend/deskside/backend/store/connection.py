# mypy: allow-subclassing-any
"""One database file through Pony, with our transactions instead of Pony's own.

Pony's SQLite provider takes a lock of the whole process for every transaction and gives plain reads no
transaction at all. Here a session is

  - on the thread that made the `Db` (the writer) one SAVEPOINT inside the transaction that groups several
    sessions, so that one that fails is undone alone and none sees another's cached entities;
  - on every other thread, inside of `reading`, one deferred transaction that cannot write: all its reads
    see one moment.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pony.orm import Database, db_session
from pony.orm.dbapiprovider import DBAPIProvider
from pony.orm.dbproviders.sqlite import SQLiteProvider

from deskside.backend.store import segmentation
from deskside.backend.store.entities import define_entities
from deskside.backend.store.sqlite_errors import unsuitable

CACHE_KIB = 8 * 1024


class Db(Database):
    """What a store function gets: entities as attributes (`db.Agent`), and `db.sql` for everything hot.

    Make it on the thread that shall write. Raises what sqlite3 and Pony raise; a table that lacks an
    entity's column is an error here, not in a query.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        super().__init__()
        self.path = path
        self.busy_timeout_s = busy_timeout_s
        self.writer_thread = threading.get_ident()
        define_entities(self)
        self.on_connect(_prepare)
        self.bind(StoreProvider, str(path.absolute()), timeout=busy_timeout_s, cached_statements=256)
        self.generate_mapping(create_tables=False)

    @property
    def sql(self) -> sqlite3.Connection:
        """The session's connection. Entities that were changed before are written first, so that the
        two ways see the same rows."""
        if not self.is_writing_thread:
            # Nothing was changed here, and making a session of Pony's takes longer than many a read.
            return self.own_connection()
        session = self._get_cache()
        if session.modified or not session.in_transaction:
            # Only then: asked for 30 times in a run, these two would be a tenth of what storing it costs.
            self.flush()
            self.get_connection()
        connection: sqlite3.Connection = session.connection
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A session on a thread that reads."""
        connection = self.own_connection()
        connection.execute("BEGIN")
        try:
            with db_session:
                yield connection
        finally:
            if connection.in_transaction:  # an I/O error may have ended it
                connection.execute("COMMIT")

    def own_connection(self) -> sqlite3.Connection:
        """This thread's connection, outside a session: for the writer's own BEGIN and COMMIT."""
        connection, is_new = self.provider.connect()
        if is_new:
            self.call_on_connect(connection)
        return connection  # type: ignore[no-any-return]

    @property
    def is_writing_thread(self) -> bool:
        return threading.get_ident() == self.writer_thread


class StoreProvider(SQLiteProvider):
    """Pony's SQLite provider with the transactions that the module describes."""

    def set_transaction_mode(self, connection: sqlite3.Connection, cache: Any) -> None:
        if self.database.is_writing_thread:
            connection.execute("SAVEPOINT unit")
        cache.in_transaction = True

    def commit(self, connection: sqlite3.Connection, cache: Any = None) -> None:
        if self.database.is_writing_thread:
            connection.execute("RELEASE unit")
        if cache is not None:
            cache.in_transaction = False

    def rollback(self, connection: sqlite3.Connection, cache: Any = None) -> None:
        if cache is not None:
            cache.in_transaction = False
        # A full disk or an I/O error may have ended the transaction already, and the savepoints with it.
        if self.database.is_writing_thread and connection.in_transaction:
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")

    def release(self, connection: sqlite3.Connection, cache: Any = None) -> None:
        """The connection stays with its thread; Pony would roll back the writer's group here."""

    def drop(self, connection: sqlite3.Connection, cache: Any = None) -> None:
        DBAPIProvider.drop(self, connection, cache)


def _prepare(db: Db, connection: sqlite3.Connection) -> None:
    """Settings of a new connection. Pony has switched foreign keys on; sqlite3 has the busy timeout."""
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    segmentation.register(connection)
    if db.is_writing_thread:
        # What a savepoint may have to put back, some 100 kB with each question and each answer, would go to
        # a file in the system's folder for passing files: a second disk that can be full, and not ours.
        connection.execute("PRAGMA temp_store = MEMORY")
        _use_wal(connection, db.path, db.busy_timeout_s)
    else:
        # In place of Pony's function, which takes a sixth of a page's time; see `forgive_text`.
        connection.text_factory = str
        connection.execute("PRAGMA query_only = ON")


def forgive_text(connection: sqlite3.Connection) -> None:
    """From now on read what is not UTF-8 as far as it can be: a damaged text is worth more than none."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")


def _use_wal(connection: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    """The first connection to a new file switches it to WAL, for good. SQLite does not wait by itself when
    another program that starts at the same moment is looking at the file."""
    give_up = time.monotonic() + busy_timeout_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":  # SQLite says so where there is no memory that programs could share
                raise unsuitable(path, f"it allows the journal mode {mode!r} only")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        time.sleep(0.01)
