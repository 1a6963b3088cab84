"""The full-text index, kept by hand so that a reply that streams costs nothing.

Invariant: a message's text is in the index exactly while the message is not streaming. Add it after the
status changed to something else, remove it before the status changes to streaming.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from deskside.backend.store.connection import Db


def add(db: Db, message_id: int) -> None:
    """Make the text of a message that is done findable."""
    _mended(
        db,
        lambda: db.sql.execute(
            "insert into message_search (rowid, text) "
            "select id, text from message_part where message = ? and kind = 'text'",
            [message_id],
        ),
    )


def remove(db: Db, message_id: int) -> None:
    """Take a message's text out. It must still be what was added: FTS5 looks for these very words."""
    _mended(
        db,
        lambda: db.sql.execute(
            "insert into message_search (message_search, rowid, text) "
            "select 'delete', id, text from message_part where message = ? and kind = 'text'",
            [message_id],
        ),
    )


def rebuild(db: Db) -> None:
    """Make the whole index anew from the messages."""
    db.sql.execute("insert into message_search (message_search) values ('rebuild')")


def _mended(db: Db, change: Callable[[], object]) -> None:
    """Change the index; where it is damaged, make it anew first: it holds nothing that is not elsewhere,
    and a reply must not be lost because of it."""
    try:
        change()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT_VTAB:
            raise
        rebuild(db)
