"""Brings a database file to the schema of this program, or refuses and leaves it as it is.

The schema is what the numbered SQL files in migrations/ say, applied in order. A file is never edited once
it was released; a change is a new file, whose first line says why.

Invariants
  - All files that are missing run in one transaction together with their record (name, time, SHA-256):
    after a crash at any point the database is at the old schema or at the new one.
  - A file that is refused is not written to: not ours, newer than the program, or migrated by a file that
    reads differently today.
  - A database with a schema is copied before it is migrated, while the lock is held, and the copy checked.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from deskside.backend.backups.making import make_backup
from deskside.backend.errors import StoreDamaged, StoreRefused
from deskside.backend.store import segmentation
from deskside.backend.store.schema import APPLICATION_ID, Migration, checked_version, read_migrations
from deskside.backend.store.sqlite_errors import way_out

# A script that ended the transaction, or reached another file, would break the first invariant.
FORBIDDEN = {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}
RECORD = """create table if not exists migration (
  number integer primary key, name text not null, sha256 text not null, at_ms integer not null
) strict"""


def migrate(
    database: Path,
    backups: Path | None,
    migrations: Sequence[Migration] | None = None,
    *,
    busy_timeout_s: float = 5.0,
) -> None:
    """Bring `database` to the newest schema, making the file where there is none. The backup of what was
    there goes into the folder `backups`; None is for a file that is itself a copy.

    Takes 1 ms where nothing is to do. Raises StoreRefused (nothing was touched), StoreDamaged when the
    backup does not pass its check, and sqlite3.Error or OSError as they come.
    """
    migrations = read_migrations() if migrations is None else migrations
    if _has_content(database):
        if _is_up_to_date(database, migrations, busy_timeout_s):
            return
    else:
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(_connect(database, "rw", busy_timeout_s)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        applied = checked_version(connection, database, migrations)
        if applied < len(migrations):
            if applied and backups is not None:
                _back_up(database, backups)
            _apply(connection, database, migrations[applied:])
            connection.execute("COMMIT")


def _back_up(database: Path, backups: Path) -> None:
    try:
        make_backup(database, backups, "before_migration")
    except StoreDamaged as error:
        raise StoreDamaged(f"{database} is damaged, so it was not updated.", hint=error.hint) from error


def statements(sql: str) -> Iterator[str]:
    """The statements of a script. SQLite itself says where one ends, so triggers and comments are safe."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if re.sub(r"--[^\n]*", "", statement).strip():
        raise ValueError(f"this statement has no end: {statement.strip()[:80]!r}")


def _has_content(database: Path) -> bool:
    return database.exists() and database.stat().st_size > 0


def _is_up_to_date(database: Path, migrations: Sequence[Migration], busy_timeout_s: float) -> bool:
    """Look without writing: even closing a connection that may write can change the file."""

    def look(mode: str) -> bool:
        try:
            with closing(_connect(database, mode, busy_timeout_s)) as connection:
                return checked_version(connection, database, migrations) == len(migrations)
        except UnicodeDecodeError as error:  # SQLite's complaint about the schema quotes the damage
            raise StoreDamaged(f"{database} is damaged.", hint=way_out(database)) from error

    if not any(database.with_name(database.name + end).exists() for end in ("-wal", "-journal")):
        # Nobody has the file open, so SQLite need not even make a -wal and a -shm beside it. Should someone
        # open it this very moment, what looks damaged is looked at again, with locks.
        with suppress(sqlite3.DatabaseError, StoreDamaged):
            return look("ro&immutable=1")
    try:
        return look("ro")
    except sqlite3.OperationalError as error:
        # What a crash in the middle of the first migration left can only be undone by who may write.
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return False
        raise


def _apply(connection: sqlite3.Connection, database: Path, migrations: Sequence[Migration]) -> None:
    connection.execute(RECORD)
    for migration in migrations:
        connection.set_authorizer(_only_this_database)
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.set_authorizer(None)
        connection.execute(
            "insert into migration (number, name, sha256, at_ms) values (?, ?, ?, ?)",
            (migration.number, migration.name, migration.sha256, time.time_ns() // 1_000_000),
        )
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise StoreRefused(
            f"{database} cannot be updated: a row of {broken[0]!r} refers to a row of {broken[2]!r} that is "
            "not there.",
            hint="Your data was not changed. Install the Deskside you had before, and report this.",
        )
    # Both are in the first page of the file, so they are part of the transaction.
    connection.execute(f"PRAGMA user_version = {migrations[-1].number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _only_this_database(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in FORBIDDEN else sqlite3.SQLITE_OK


def _connect(database: Path, mode: str, busy_timeout_s: float) -> sqlite3.Connection:
    # Foreign keys are off (SQLite's default): a migration may rebuild a table that others refer to.
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=busy_timeout_s
    )
    segmentation.register(connection)
    return connection
