"""A copy of the database at one moment, made while others go on using it, and checked before it counts."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pony.orm import OrmError, db_session

from deskside.backend.backups.progress import Report, quiet, reporting
from deskside.backend.errors import StoreDamaged
from deskside.backend.store import conversations, messages, segmentation
from deskside.backend.store.connection import Db
from deskside.backend.store.schema import read_migrations
from deskside.backend.store.sqlite_errors import store_error

BUSY_TIMEOUT_S = 5.0
PAGES_A_STEP = 2048
READ_BACK = 50
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
MESSAGES_A_PAGE = 200

NEWEST = f"""
select conversation.id, title, head, message.id, parent, role, status, message_part.id, position, kind,
  text
from (
  select id, title, head from conversation order by updated_ms desc, id desc limit {READ_BACK}
) conversation
left join message on message.conversation = conversation.id
left join message_part on message_part.message = message.id
order by conversation.id, message.id, message_part.position
"""


@dataclass(frozen=True)
class Facts:
    """What must be the same in a copy: the rows of each table, and what the newest conversations say."""

    schema: int
    tables: dict[str, int]
    newest_sha256: str


def copy_checked(
    database: Path, target: Path, report: Report = quiet, *, checks_search: bool = True
) -> Facts:
    """Make `target`, which is an empty file, a copy of what is committed in `database`. Writers are not
    disturbed.

    The copy is read back: its structure, its rows against those of the original at the same moment, its
    newest conversations (through the store's own functions where its schema is this program's), and, where
    `checks_search` says so, its search index, which takes as long as all the rest and is made anew where it
    is damaged. Raises StoreDamaged where one is not as it must
    be, Cancelled, sqlite3.Error, OSError.
    """
    with _damage_told(str(database)):
        facts = _copy(database, target, report)
    if facts.schema == len(read_migrations()):
        report("checking", 0.0)
        _read_back(target)
    with closing(connect(target, "rw")) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a -wal beside it
        if checks_search:
            _mend_search(copy, report)
    check(target, facts, report, name=str(database))
    return facts


def check(copy: Path, facts: Facts | None, report: Report = quiet, *, name: str) -> Facts:
    """Look at every page of a file, and compare it with `facts`. StoreDamaged names it as `name`."""
    with (
        _damage_told(name),
        closing(connect(copy, "ro")) as connection,
        reporting(connection, report, "checking"),
    ):
        result = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        found = read_facts(connection)
    if result != "ok":
        raise StoreDamaged(f"{name} is damaged ({result}).")
    if facts is not None and found != facts:
        raise StoreDamaged(
            f"The copy of {name} is not what was copied.", hint="Check the disk, then try again."
        )
    return found


def read_facts(connection: sqlite3.Connection) -> Facts:
    """Reads the newest conversations and, of each table, the smallest index."""
    tables = {
        name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]
        for (name,) in connection.execute(
            "select name from pragma_table_list where schema = 'main' and type = 'table' "
            "and name not like 'sqlite\\_%' escape '\\' order by name"
        )
    }
    digest = hashlib.sha256()
    if {"conversation", "message", "message_part"} <= tables.keys():
        for row in connection.execute(NEWEST):
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    return Facts(schema, tables, digest.hexdigest())


def connect(database: Path, mode: str) -> sqlite3.Connection:
    """A connection of its own, for `ro` or `rw`, that makes no file."""
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S
    )
    segmentation.register(connection)
    return connection


def size_of(database: Path) -> int:
    """The bytes of a copy, at most: what is in the -wal file may be new pages."""
    wal = database.with_name(database.name + "-wal")
    return database.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def digest_of(path: Path, report: Report = quiet) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            report("checking", 0.0)
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            raise
        raise StoreDamaged(f"{name} is damaged ({error.sqlite_errorname}).") from error


def _copy(database: Path, target: Path, report: Report) -> Facts:
    def copied(_status: int, remaining: int, total: int) -> None:
        report("copying", 1 - remaining / total if total else 1.0)

    with closing(connect(database, "ro")) as source, closing(connect(target, "rw")) as copy:
        # Without a transaction that is held open, each write of someone else starts the copy again.
        source.execute("BEGIN")
        with reporting(source, report, "copying"):
            facts = read_facts(source)
        copy.execute("PRAGMA synchronous = OFF")  # it is flushed once, when it is whole
        source.backup(copy, pages=PAGES_A_STEP, progress=copied)
    return facts


def _read_back(copy: Path) -> None:
    try:
        _read_newest(copy)
    except (sqlite3.Error, OrmError) as error:
        raise store_error(error, copy) or StoreDamaged(f"{copy} cannot be read.") from error


def _read_newest(copy: Path) -> None:
    db = Db(copy, busy_timeout_s=BUSY_TIMEOUT_S)
    try:
        with db_session:
            for row in conversations.page(db, None, READ_BACK).conversations:
                page = messages.page(db, row.id, None, MESSAGES_A_PAGE)
                while page.has_more:
                    page = messages.page(db, row.id, page.messages[0].id, MESSAGES_A_PAGE)
    finally:
        db.disconnect()


def _mend_search(copy: sqlite3.Connection, report: Report) -> None:
    """A damaged search index costs nothing: it holds nothing that is not elsewhere."""
    indexes = copy.execute("select name from sqlite_master where sql like 'create virtual table%using fts5%'")
    for (name,) in indexes.fetchall():
        with reporting(copy, report, "checking"):
            try:
                copy.execute(f'insert into "{name}" ("{name}", rank) values (\'integrity-check\', 1)')
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                    raise
                copy.execute(f'insert into "{name}" ("{name}") values (\'rebuild\')')
