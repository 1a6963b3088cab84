"""What can still be read of a damaged database, as a database of its own beside it.

The damaged file is only read. Each table is walked in the order of its row ids, past what cannot be read;
the indexes are made anew, so that damage to one of them costs nothing. Lost rows leave gaps in what is
left, and those are closed, so that every message that can be read can be reached.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from loguru import logger
from pony.orm import db_session

from deskside.backend.store import replies, search_index, segmentation
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate

LOST_TEXT = "(This text is on a damaged page of the database and cannot be read.)"
LOST_TITLE = "A conversation without its title"
LARGEST_ROW_ID = 2**62

# What a reader sees must hang together, whatever rows are gone. In this order.
CLOSE_GAPS = (
    """insert into user (id, name, theme, language, created_ms)
      select 1, '', 'system', 'en', 0 where not exists (select 1 from user)""",
    """insert into conversation (id, user, title, draft, created_ms, updated_ms, head)
      select conversation, 1, :title, '', min(created_ms), max(created_ms), max(id) from message
      where conversation not in (select id from conversation) group by conversation""",
    """update message set parent = (
        select max(id) from message before
        where before.conversation = message.conversation and before.id < message.id
      ) where parent not in (select id from message)""",
    """update conversation set head = (select max(id) from message where conversation = conversation.id)
      where head not in (select id from message)""",
    """with recursive tree (id, depth) as (
        select id, 0 from message where parent is null
        union all select message.id, tree.depth + 1 from tree join message on message.parent = tree.id
      )
      update message set is_shown = 0, depth = tree.depth from tree where tree.id = message.id""",
    """with recursive path (id, parent) as (
        select message.id, message.parent from conversation join message on message.id = conversation.head
        union all select message.id, message.parent from path join message on message.id = path.parent
      )
      update message set is_shown = 1 where id in (select id from path)""",
    """insert into message_part (message, position, step, kind, text, origin)
      select id, 0, 0, 'text', :text, iif(role = 'user', 'user', 'model') from message
      where status = 'complete' and id not in (select message from message_part)""",
)


def open_salvaged(damaged: Path, target: Path, *, busy_timeout_s: float, is_ours: bool) -> Db:
    """Make `target` anew of what can be read, and open it for reading on other threads than this.

    `is_ours` says that no other process writes: replies that stream were cut off then. Takes 0.6 s for
    30 MB. Raises sqlite3.Error and OSError where not even the list of tables can be read, or the disk
    does not take the copy.
    """
    remove(target)
    migrate(target, None)
    with closing(_connect(damaged, "ro")) as source, closing(_connect(target, "rw")) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is made anew when it is needed again
        copy.execute("BEGIN")
        for table, is_without_row_id in _tables(copy):
            walk = _both_ways if is_without_row_id else _past_damage
            # A database that could not be updated lacks some.
            there = set(_columns(source, table))
            columns = [name for name in _columns(copy, table) if name in there]
            if columns:
                _insert(copy, table, columns, walk(source, table, columns))
        for statement in CLOSE_GAPS:
            copy.execute(statement, {"title": LOST_TITLE, "text": LOST_TEXT})
        search_index.rebuild(copy)
        copy.execute("COMMIT")
    db = Db(target, busy_timeout_s=busy_timeout_s)
    if is_ours:
        with db_session:
            replies.interrupt_unfinished(db)
    db.disconnect()
    return db


def remove(target: Path) -> None:
    """Take the copy away, with the files that SQLite keeps beside it."""
    for end in ("", "-wal", "-shm", "-journal"):
        target.with_name(target.name + end).unlink(missing_ok=True)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    # A damaged text is worth more than none.
    connection.text_factory = lambda text: text.decode(errors="replace")
    segmentation.register(connection)
    return connection


def _tables(copy: sqlite3.Connection) -> list[tuple[str, bool]]:
    """Ours, without SQLite's, the search index's, and the one that `migrate` has filled."""
    found = copy.execute(
        "select name, wr from pragma_table_list where schema = 'main' and type = 'table' "
        "and name not like 'sqlite\\_%' escape '\\' and name <> 'migration'"
    )
    return [(name, bool(without)) for name, without in found]


def _columns(copy: sqlite3.Connection, table: str) -> list[str]:
    return [name for (name,) in copy.execute("select name from pragma_table_info(?)", (table,))]


def _insert(
    copy: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    read = kept = 0
    named = ", ".join(columns)
    for row in rows:
        read += 1
        marks = ", ".join("?" * len(row))
        try:
            kept += copy.execute(f"insert or ignore into {table} ({named}) values ({marks})", row).rowcount
        except sqlite3.IntegrityError:  # a value that the damage made one of another type
            continue
    logger.info("{} of {} rows of {} were salvaged", kept, read, table)


def _past_damage(
    source: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[Sequence[object]]:
    """The rows that can be read, in the order of their ids, without the help of an index."""
    last = 0
    named = ", ".join(columns)
    select = f"select rowid, {named} from {table} not indexed where rowid > ? order by rowid"
    while True:
        try:
            for row in source.execute(select, (last,)):
                # A page that took the place of another brings ids that were there before.
                if row[0] > last:
                    last = row[0]
                    yield row[1:]
            return
        except sqlite3.DatabaseError:
            # Python loses the last row before the damage, too: it has stepped on before it gives it out.
            following = _after_damage(source, f"{select} limit 1", last)
        if following is None or following[0] <= last:
            return
        last = following[0]
        yield following[1:]


def _after_damage(source: sqlite3.Connection, select: str, last: int) -> Sequence[Any] | None:
    """The first row behind the id `last` that can be read, found in ever larger steps and then by halving
    the last of them. None where there is none."""

    def read_from(row_id: int) -> Sequence[Any] | None:
        """The row with this id or the next; None at the end, or where it cannot be read."""
        try:
            row: Sequence[Any] | None = source.execute(select, (row_id - 1,)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return row

    step, bad = 1, last
    while (found := read_from(last + step)) is None:
        bad, step = last + step, 2 * step
        if step > LARGEST_ROW_ID:
            return None
    good = last + step
    while good - bad > 1:
        middle = (good + bad) // 2
        earlier = read_from(middle)
        if earlier is None:
            bad = middle
        else:
            found, good = earlier, middle
    return found


def _both_ways(source: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[Sequence[object]]:
    """The rows of a table without row ids: from its begin to the damage, and from its end to it."""
    named = ", ".join(columns)
    key = ", ".join(
        name
        for (name,) in source.execute("select name from pragma_table_info(?) where pk order by pk", (table,))
    )
    for order in (key, key.replace(",", " desc,") + " desc"):
        try:
            yield from source.execute(f"select {named} from {table} order by {order}")
            return
        except sqlite3.DatabaseError:
            continue
