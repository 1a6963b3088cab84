"""Giving the space of what was deleted back to the disk."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

import msgspec

from deskside.backend.backups.progress import Report, reporting
from deskside.backend.errors import StoreFull


class Vacuumed(msgspec.Struct, frozen=True):
    """The size of the database before and after."""

    before_bytes: int
    after_bytes: int


def check_space(database: Path) -> None:
    """SQLite writes the database anew, into a passing file and from there into its -wal file. Raises
    StoreFull where there is no room for both."""
    size = database.stat().st_size
    for folder, needed in ((Path(tempfile.gettempdir()), size), (database.parent, 2 * size)):
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise StoreFull(
                f"Cleaning up needs {needed / 1e9:.1f} GB in {folder} for a while, and {free / 1e9:.1f} GB "
                "are free.",
                hint="Free some disk space, then try again.",
            )


def vacuum(connection: sqlite3.Connection, report: Report) -> Vacuumed:
    """Outside of a transaction. Raises Cancelled, which leaves the database as it was; sqlite3.Error."""
    before = _size(connection)
    connection.execute("PRAGMA temp_store = FILE")  # the new database is as large as the old one
    try:
        with reporting(connection, report, "vacuum"):
            connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Vacuumed(before, _size(connection))


def _size(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_size)
