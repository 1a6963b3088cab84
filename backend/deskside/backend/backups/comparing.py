"""What a restored backup would change."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from deskside.backend.backups.snapshot import connect
from deskside.backend.visible import made_visible

SHOWN = 20
COUNTED = {
    "conversations": "conversation where deleted_ms is null",
    "messages": "message",
    "files": "stored_file",
    "agents": "agent where deleted_ms is null",
    "memories": "memory",
}


class Counts(msgspec.Struct, frozen=True):
    """How much there is. Conversations in the trash, and deleted agents, are not counted."""

    conversations: int
    messages: int
    files: int
    agents: int
    memories: int


class _Folder(msgspec.Struct, frozen=True):
    """A granted folder, as the settings keep it."""

    path: str
    can_write: bool = False


class Difference(msgspec.Struct, frozen=True):
    """Conversations of one sort: how many, and the titles of the last used."""

    count: int
    titles: list[str]


class Comparison(msgspec.Struct, frozen=True):
    """`only_here` would be gone, `only_in_backup` would come back, `changed` would be as they were. `here` is
    None, and nothing is compared, where the data cannot be read. `allows` are the programs that the backup
    would start, and the folders it would let the assistant use, that are not so here: the user was not asked
    about those here."""

    backup: Counts
    here: Counts | None
    only_here: Difference = Difference(0, [])
    only_in_backup: Difference = Difference(0, [])
    changed: Difference = Difference(0, [])
    allows: list[str] = []


# A number can be given again once its conversation is gone for good; with the time it was made it names one.
# In the trash counts as gone.
STATE = """
select id, created_ms, title, updated_ms,
  json_array(title, updated_ms, head, folder, archived_ms is null, pinned_ms is null,
    (select count(*) from message where message.conversation = conversation.id)) as state
from {schema}.conversation as conversation where deleted_ms is null
"""
ONLY = "select {one}.title from {one} left join {other} using (id, created_ms) where {other}.id is null"
CHANGED = "select here.title from here join there using (id, created_ms) where here.state <> there.state"


def compare(backup: Path, database: Path) -> Comparison:
    """Both must have this program's schema. Raises sqlite3.Error for the backup alone."""
    with closing(connect(backup, "ro")) as connection:
        counts = _counts(connection, "main")
        allows = _allowed(connection, "main")
        with suppress(sqlite3.DatabaseError):
            connection.execute("attach ? as live", (f"{database.absolute().as_uri()}?mode=ro",))
            return _compare(connection, counts, allows)
    return Comparison(counts, None, allows=sorted(allows))


def _compare(connection: sqlite3.Connection, counts: Counts, allows: set[str]) -> Comparison:
    connection.execute("BEGIN")
    connection.execute(f"create temp table there as {STATE.format(schema='main')}")
    connection.execute(f"create temp table here as {STATE.format(schema='live')}")
    for table in ("here", "there"):
        connection.execute(f"create index temp.{table}_by_id on {table} (id, created_ms)")
    return Comparison(
        counts,
        _counts(connection, "live"),
        _difference(connection, ONLY.format(one="here", other="there")),
        _difference(connection, ONLY.format(one="there", other="here")),
        _difference(connection, CHANGED),
        sorted(allows - _allowed(connection, "live")),
    )


def _allowed(connection: sqlite3.Connection, schema: str) -> set[str]:
    programs = connection.execute(
        f"select command, arguments, environment from {schema}.mcp_server where transport = 'stdio'"
    ).fetchall()
    found = {
        f"start {made_visible(' '.join([command, *msgspec.json.decode(arguments, type=list[str])]))}"
        + (f" with {made_visible(environment)}" if environment != "[]" else "")
        for command, arguments, environment in programs
    }
    for (value,) in connection.execute(f"select value from {schema}.setting where name = 'folders'"):
        for folder in msgspec.json.decode(value, type=list[_Folder]):
            does = "change" if folder.can_write else "read"
            found.add(f"{does} files in {made_visible(folder.path)}")
    return found


def _difference(connection: sqlite3.Connection, query: str) -> Difference:
    (count,) = connection.execute(f"select count(*) from ({query})").fetchone()
    one = "there" if query.startswith("select there") else "here"
    titles = connection.execute(f"{query} order by {one}.updated_ms desc limit ?", (SHOWN,))
    return Difference(count, [title for (title,) in titles])


def _counts(connection: sqlite3.Connection, schema: str) -> Counts:
    found = {
        name: connection.execute(f"select count(*) from {schema}.{of}").fetchone()[0]
        for name, of in COUNTED.items()
    }
    return msgspec.convert(found, Counts)
