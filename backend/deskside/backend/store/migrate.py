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

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from deskside.backend.errors import StoreDamaged, StoreRefused

FOLDER = Path(__file__).parent / "migrations"
APPLICATION_ID = 0x4453_4B53  # "DSKS": which program a file belongs to, as `file` and we can see
BACKUPS_KEPT = 5
BACKUP_NAMES = "before-*.db"

# A script that ended the transaction, or reached another file, would break the first invariant.
FORBIDDEN = {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}
RECORD = """create table if not exists migration (
  number integer primary key, name text not null, sha256 text not null, at_ms integer not null
) strict"""


@dataclass(frozen=True)
class Migration:
    """One SQL file. `sha256` is of its text with Unix line ends, as Git may change them."""

    number: int
    name: str
    sql: str
    sha256: str


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files of a folder in order. Raises ValueError where a name or the numbering is wrong."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_\w+", path.stem)
        if match is None or int(match[1]) != len(found) + 1:
            raise ValueError(f"{path.name}: migrations are named 0001_what.sql and numbered without gaps")
        sql = path.read_text("utf-8")  # universal newlines
        found.append(Migration(int(match[1]), path.stem, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return found


def migrate(
    database: Path,
    backups: Path | None,
    migrations: Sequence[Migration] | None = None,
    *,
    busy_timeout_s: float = 5.0,
) -> None:
    """Bring `database` to the newest schema, making the file where there is none. `backups` None: it is a
    copy already, and needs no other.

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
                back_up(database, backups, f"before-{migrations[-1].number:04d}")
            _apply(connection, database, migrations[applied:])
            connection.execute("COMMIT")


def checked_version(connection: sqlite3.Connection, database: Path, migrations: Sequence[Migration]) -> int:
    """How many of `migrations` the database has seen. Raises StoreRefused where it is not for us."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("select not exists (select 1 from sqlite_master)").fetchone()[0]
    if is_empty and application == 0 and version == 0:
        return 0
    if application != APPLICATION_ID:
        raise StoreRefused(
            f"{database} belongs to another program.",
            hint="Move that file elsewhere, or start Deskside with another data folder (--data-dir). "
            "The file was not touched.",
        )
    if version > len(migrations):
        raise StoreRefused(
            f"{database} was written by a newer Deskside: its schema is {version}, "
            f"this program knows {len(migrations)}."
        )
    recorded = dict(connection.execute("select number, sha256 from migration"))
    for migration in migrations[:version]:
        if recorded.get(migration.number) != migration.sha256:
            raise StoreRefused(
                f"Migration {migration.name} was edited after it ran on {database}.",
                hint="Install Deskside again from a release. Your data was not touched.",
            )
    return version


def back_up(database: Path, folder: Path, name: str) -> Path:
    """Copy the committed state into `folder`, check the copy, and keep the newest few of such copies.

    Beside it lies `<copy>.sha256` in the form of `sha256sum`, because quick_check does not see bit rot
    inside texts. Writers are not disturbed; 4 s for 1 GB. Raises StoreDamaged when the copy is not sound.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.db"
    unfinished = target.with_suffix(".unfinished")
    for left_by_a_crash in folder.glob("*.unfinished"):
        left_by_a_crash.unlink()
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _copy(database, unfinished)
        digest = _digest_and_sync(unfinished)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _write_synced(target.with_name(target.name + ".sha256"), f"{digest}  {target.name}\n")
    unfinished.replace(target)
    _sync_folder(folder)
    # The one just made stays, whatever the clock says of the others.
    others = [path for path in folder.glob(BACKUP_NAMES) if path != target]
    for old in sorted(others, key=lambda path: path.stat().st_mtime_ns)[: 1 - BACKUPS_KEPT]:
        old.unlink()
        old.with_name(old.name + ".sha256").unlink(missing_ok=True)
    return target


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
        with closing(_connect(database, mode, busy_timeout_s)) as connection:
            return checked_version(connection, database, migrations) == len(migrations)

    if not any(database.with_name(database.name + end).exists() for end in ("-wal", "-journal")):
        # Nobody has the file open, so SQLite need not even make a -wal and a -shm beside it. Should someone
        # open it this very moment, what looks damaged is looked at again, with locks.
        with suppress(sqlite3.DatabaseError):
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
    return sqlite3.connect(
        f"{database.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=busy_timeout_s
    )


def _copy(database: Path, target: Path) -> None:
    with closing(_connect(database, "ro", 5.0)) as source, closing(_connect(target, "rw", 5.0)) as copy:
        # Without a transaction that is held open, each write of someone else starts the copy again.
        source.execute("BEGIN")
        source.execute("select 1 from sqlite_master").fetchone()
        source.backup(copy, pages=2048)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a -wal beside it
        result = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise StoreDamaged(f"{database} is damaged, so it was not updated ({result}).")


def _digest_and_sync(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and keeps its entries by itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
