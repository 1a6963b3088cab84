"""What the schema is: the numbered SQL files in migrations/, and which of them a database has seen."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deskside.backend.errors import StoreRefused

FOLDER = Path(__file__).parent / "migrations"
APPLICATION_ID = 0x4453_4B53  # "DSKS": which program a file belongs to, as `file` and we can see


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
            f"this program knows {len(migrations)}.",
            hint="Install the newest Deskside, which opens it; nothing was changed. To go back to this one, "
            "bring back the backup that was made before the update: deskside backup --list names it, "
            "deskside restore NAME puts it in place.",
        )
    recorded = dict(connection.execute("select number, sha256 from migration"))
    for migration in migrations[:version]:
        if recorded.get(migration.number) != migration.sha256:
            raise StoreRefused(
                f"Migration {migration.name} was edited after it ran on {database}.",
                hint="Install Deskside again from a release. Your data was not touched.",
            )
    return version
