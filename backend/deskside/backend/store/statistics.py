"""How much room everything takes: each table, the database, what lies beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from deskside.backend.paths import Paths

SAMPLED = 1000


class TableSize(msgspec.Struct, frozen=True):
    """`bytes` with its indexes; of a search index, with all that belongs to it."""

    name: str
    rows: int
    bytes: int


class Statistics(msgspec.Struct, frozen=True):
    """Bytes. `unused_bytes` of the database are given back to the disk by a vacuum; `wal_bytes` are what was
    written since the last checkpoint. `is_estimate`: this SQLite cannot tell the bytes of tables, and they
    are worked out from a sample."""

    tables: list[TableSize]
    is_estimate: bool
    database_bytes: int
    unused_bytes: int
    wal_bytes: int
    files_bytes: int
    backups_bytes: int
    free_bytes: int


def measure(paths: Paths) -> Statistics:
    """Reads the database whole, at one moment, without disturbing anybody. Raises sqlite3.Error, OSError."""
    uri = f"{paths.database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as connection:
        connection.execute("BEGIN")
        rows = _rows(connection)
        sizes, is_estimate = _sizes(connection, rows)
        page_size, pages, unused = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
    tables = [TableSize(name, count, sizes.get(name, 0)) for name, count in rows.items()]
    return Statistics(
        sorted(tables, key=lambda table: (-table.bytes, table.name)),
        is_estimate,
        database_bytes=page_size * pages,
        unused_bytes=page_size * unused,
        wal_bytes=_size(paths.database.with_name(paths.database.name + "-wal")),
        files_bytes=_below(paths.files),
        backups_bytes=_below(paths.backups),
        free_bytes=shutil.disk_usage(paths.data).free,
    )


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    tables = connection.execute(
        "select name from pragma_table_list where schema = 'main' and type in ('table', 'virtual') "
        "and name not like 'sqlite\\_%' escape '\\'"
    )
    return {
        name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]
        for (name,) in tables.fetchall()
    }


def _sizes(connection: sqlite3.Connection, rows: dict[str, int]) -> tuple[dict[str, int], bool]:
    try:
        return _exact(connection, rows), False
    except sqlite3.OperationalError:  # built without dbstat
        return {name: _estimate(connection, name, count) for name, count in rows.items()}, True


def _exact(connection: sqlite3.Connection, rows: dict[str, int]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    found = connection.execute(
        "select ifnull(tbl_name, dbstat.name), sum(pgsize) "
        "from dbstat left join sqlite_master on sqlite_master.name = dbstat.name "
        "where aggregate = true group by 1"
    )
    for name, size in found:
        # A search index is kept in tables that have its name and more.
        owners = [each for each in rows if name == each or name.startswith(f"{each}_")]
        owner = name if name in rows else max(owners, key=len, default=name)
        sizes[owner] = sizes.get(owner, 0) + size
    return sizes


def _estimate(connection: sqlite3.Connection, table: str, count: int) -> int:
    columns = [name for (name,) in connection.execute("select name from pragma_table_info(?)", (table,))]
    length = " + ".join(f'ifnull(length(cast("{column}" as blob)), 0)' for column in columns)
    (mean,) = connection.execute(
        f'select avg(size) from (select {length or 0} as size from "{table}" limit {SAMPLED})'
    ).fetchone()
    return int(count * (mean or 0))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _below(folder: Path) -> int:
    """What the files below a folder take, each once, however many names it has."""
    seen: dict[tuple[int, int], int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            found = os.stat(os.path.join(root, name), follow_symlinks=False)
            seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())
