"""The full-text index, kept by hand so that a reply that streams costs nothing.

Invariant: a message's text is in the index exactly while the message is not streaming. Add it after the
status changed to something else, remove it before the status changes to streaming. What is deleted takes its
text out by itself, and titles follow their conversations (triggers of migration 0009): delete messages, never
their parts before them.

The index holds nothing that is not elsewhere. Where it is damaged, the writer makes it anew (threads.py),
so that no reply is lost because of it.
"""

from __future__ import annotations

import sqlite3

from deskside.backend.store.connection import Db

# What FTS5 says of its own tables. (A constraint of ours always comes with an extended code.)
DAMAGE = {sqlite3.SQLITE_CORRUPT_VTAB, sqlite3.SQLITE_CONSTRAINT}


def add(db: Db, message_id: int) -> None:
    """Make the text of a message that is done findable."""
    db.sql.execute(
        "insert into message_search (rowid, text) select id, text from searchable_text where id = ?",
        [message_id],
    )


def remove(db: Db, message_id: int) -> None:
    """Take a message's text out. It must still be what was added: FTS5 looks for these very words."""
    db.sql.execute(
        "insert into message_search (message_search, rowid, text) "
        "select 'delete', id, text from searchable_text where id = ?",
        [message_id],
    )


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the whole index anew from the messages and the titles."""
    for table in ("message_search", "title_search"):
        connection.execute(f"insert into {table} ({table}) values ('rebuild')")
