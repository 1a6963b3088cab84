"""What torture.py holds the program to: what it has acknowledged, and what must hang together whenever it is
killed."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_program import ROOT, Program

sys.path[:0] = [str(ROOT / root) for root in ("backend", "tests")]

from deskside.backend.backups.manifest import Manifest, read_folder  # noqa: E402 - a checkout that is not installed
from deskside.backend.store.schema import read_migrations  # noqa: E402
from stores import connected  # noqa: E402

SETTLED_S = 60.0


@dataclass(frozen=True)
class Fact:
    """What a query must answer, because the program said so."""

    sql: str
    values: tuple[Any, ...]
    expected: tuple[Any, ...] | None


Facts = dict[str, Fact]


@dataclass
class Journal:
    """What the program has said is done. Of its own things an activity withdraws a fact before it asks for
    something that changes it."""

    facts: Facts = field(default_factory=dict)
    backups: dict[str, Facts] = field(default_factory=dict)
    """What must be in each backup that was acknowledged."""
    told: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, activity: str, key: str, sql: str, *values: Any, is_: tuple[Any, ...] | None) -> None:
        with self._lock:
            self.facts[key] = Fact(sql, values, is_)
            self.told[activity] += 1

    def withdraw(self, prefix: str) -> None:
        with self._lock:
            for key in [key for key in self.facts if key.startswith(prefix)]:
                del self.facts[key]

    def now(self) -> Facts:
        with self._lock:
            return dict(self.facts)

    def backed_up(self, activity: str, name: str, before: Facts) -> None:
        """A backup was made since the journal was `before`: what was so all the while must be in it."""
        with self._lock:
            self.backups[name] = {key: fact for key, fact in before.items() if self.facts.get(key) is fact}
            self.told[activity] += 1


def check_copy(data: Path, *possible: Facts) -> list[str]:
    """What is wrong with the database as the crash left it, which is one of the `possible` ones. A copy:
    looking would repair it."""
    if not (data / "deskside.db").exists():
        return ["the database is gone"] if any(possible) else []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "deskside.db"
        for end in ("", "-wal"):
            if (data / f"deskside.db{end}").exists():
                shutil.copyfile(data / f"deskside.db{end}", f"{copy}{end}")
        with closing(connected(copy)) as database:
            return [
                *inconsistencies(database),
                *min((missing(database, facts) for facts in possible), key=len),
            ]


PATHS = {
    "depth or conversation of a message differs from its parent's": """
        select count(*) from message child join message parent on child.parent = parent.id
        where child.depth <> parent.depth + 1 or child.conversation <> parent.conversation""",
    "a shown message has a parent that is not shown": """
        select count(*) from message child join message parent on child.parent = parent.id
        where child.is_shown and not parent.is_shown""",
    "a head is not shown": """
        select count(*) from conversation join message on message.id = head where not is_shown""",
    "a shown path does not end at its head": """
        select count(*) from conversation where head is not null and (
          select max(depth) from message where message.conversation = conversation.id and is_shown
        ) <> (select depth from message where message.id = head)""",
    "an imported conversation is not whole": """
        select count(*) from conversation where title like 'Imported %' and cast(substr(title, 10) as integer)
          <> (select count(*) from message where message.conversation = conversation.id)""",
}


def inconsistencies(database: sqlite3.Connection) -> list[str]:
    wrong = []
    if not database.execute("select count(*) from sqlite_schema where name = 'message'").fetchone()[0]:
        return []  # killed before the first migration was done
    found = database.execute("pragma integrity_check").fetchall()
    if found != [("ok",)]:
        wrong.append(f"integrity_check: {found[:3]}")
    dangling = database.execute("pragma foreign_key_check").fetchall()
    if dangling:
        wrong.append(f"foreign_key_check: {dangling[:3]}")
    if schema_of(database) < len(read_migrations()):
        return wrong  # what else must hold is of the newest schema
    for index in ("message_search", "title_search"):
        try:
            database.execute(f"insert into {index} ({index}, rank) values ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            wrong.append(f"{index} differs from what it is made of: {error}")
        database.rollback()
    for what, select in PATHS.items():
        count = database.execute(select).fetchone()[0]
        if count:
            wrong.append(f"{what}: {count}")
    return wrong


def schema_of(database: sqlite3.Connection) -> int:
    return int(database.execute("pragma user_version").fetchone()[0])


def missing(database: sqlite3.Connection, facts: Facts) -> list[str]:
    """Facts that are not so."""
    wrong = []
    for key, fact in facts.items():
        found = database.execute(fact.sql, fact.values).fetchone()
        if found != fact.expected:
            wrong.append(f"{key}: {str(found)[:80]} instead of {str(fact.expected)[:80]}")
    return wrong


def check_settled(data: Path, program: Program) -> list[str]:
    """What is still wrong once the start has repaired what the crash left."""
    until = time.monotonic() + SETTLED_S
    while wrong := unsettled(data):
        if time.monotonic() > until or program.process.poll() is not None:
            return [f"after the start: {each}" for each in wrong]
        time.sleep(0.05)
    return []


def unsettled(data: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{data}/deskside.db?mode=ro", uri=True)) as database:
        streaming = database.execute("select count(*) from message where status = 'streaming'").fetchone()[0]
        running = database.execute("select count(*) from run where status = 'running'").fetchone()[0]
        known = {row[0] for row in database.execute("select sha256 from stored_file")}
        unused = database.execute(
            "select count(*) from stored_file where id not in (select file from attachment)"
        ).fetchone()[0]
    files = {path.name for path in (data / "files").glob("??/*")}
    incoming = list((data / "files" / "incoming").glob("*"))
    found = {
        f"{streaming} replies stream": streaming,
        f"{running} runs run": running,
        f"{len(files - known)} attached files without a row": files - known,
        f"{len(known - files)} rows without their attached file": known - files,
        f"{unused} files that nothing refers to": unused,
        f"{len(incoming)} files that were never received": incoming,
    }
    return [what for what, is_wrong in found.items() if is_wrong]


def check_backups(data: Path, journal: Journal) -> list[str]:
    """Whether each backup is what its manifest says, and the newest that was acknowledged is there and holds
    what it must."""
    found, unreadable = read_folder(data / "backups") if (data / "backups").is_dir() else ([], [])
    wrong = [f"the manifest {path.name} cannot be read" for path in unreadable]
    wrong += [f"the backup {backup.name} is not whole" for backup in found if not is_whole(data, backup)]
    names = {backup.name for backup in found}
    newest = next(reversed(journal.backups), "")
    for name in [name for name in journal.backups if name not in names]:
        del journal.backups[name]  # older ones make room for newer ones
        if name == newest:
            wrong.append(f"the backup {name} is gone")
    if journal.backups:
        name, facts = next(reversed(journal.backups.items()))
        with closing(connected(data / "backups" / f"{name}.db")) as database:
            wrong += [f"in the backup {name}: {each}" for each in missing(database, facts)]
    return wrong


def is_whole(data: Path, backup: Manifest) -> bool:
    database = data / "backups" / backup.database
    if not database.is_file():
        return False
    with database.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == backup.sha256
