"""Conversations: the list at the left of the window, its archive and its trash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import msgspec

from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.store import agents, tags
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, plain_title, storable

DAYS_IN_TRASH = 30
DAY_MS = 86_400_000

Place = Literal["listed", "archived", "deleted"]


class ConversationRow(msgspec.Struct, frozen=True):
    """One line of the list. `model` is `provider/model`, None while the default is used. `agent` is the name
    of who answers. `is_waiting`: a tool call, a pause or a server's question in it waits for the user.
    `deleted_ms` is when it went to the trash, which keeps it for DAYS_IN_TRASH days.

    `is_running`, and that a server asks, are not stored: the runner knows them (`Runs.with_live`).
    """

    id: int
    title: str
    model: str | None
    draft: str
    created_ms: int
    updated_ms: int
    agent: str = agents.DEFAULT
    is_waiting: bool = False
    folder_id: int | None = None
    is_pinned: bool = False
    is_archived: bool = False
    deleted_ms: int | None = None
    tags: list[str] = []
    is_running: bool = False


class ConversationPage(msgspec.Struct, frozen=True):
    """The last used first. `next_cursor` goes into the next call; None at the end."""

    conversations: list[ConversationRow]
    next_cursor: str | None


class ConversationChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays. `folder_id` None takes them out of their folder."""

    is_pinned: bool | msgspec.UnsetType = msgspec.UNSET
    is_archived: bool | msgspec.UnsetType = msgspec.UNSET
    folder_id: int | msgspec.UnsetType | None = msgspec.UNSET
    add_tags: list[tags.TagName] = []
    remove_tags: list[tags.TagName] = []


# In the order of the struct, which is made by position. What waits is found through an index of nothing else
# (message_part_waiting), once for the whole page.
SELECT = (
    "select conversation.id, title, conversation.model, draft, conversation.created_ms, "
    f"conversation.updated_ms, ifnull(agent.name, '{agents.DEFAULT}'), conversation.id in ("
    "select message.conversation from message_part join message on message.id = message_part.message "
    "where message_part.kind in ('tool_call', 'pause') "
    "and json_extract(message_part.data, '$.status') = 'waiting'), "
    "folder, pinned_ms is not null, archived_ms is not null, conversation.deleted_ms, "
    # A list in order takes as long as all the rest of a row, and most have none; many users have none at all.
    "case when exists (select 1 from tag) "
    "and exists (select 1 from conversation_tag where conversation_tag.conversation = conversation.id) "
    "then (select json_group_array(name) from (select name from conversation_tag "
    "join tag on tag.id = conversation_tag.tag where conversation_tag.conversation = conversation.id "
    "order by name)) end "
    "from conversation left join agent on agent.id = conversation.agent and agent.deleted_ms is null "
)
IN_PLACE: Mapping[Place, str] = {
    "listed": "conversation.deleted_ms is null and archived_ms is null",
    "archived": "conversation.deleted_ms is null and archived_ms is not null",
    "deleted": "conversation.deleted_ms is not null",
}

_read_tags = msgspec.json.Decoder(list[str]).decode


def page(
    db: Db,
    cursor: str | None,
    limit: int,
    place: Place = "listed",
    folder_id: int | None = None,
    tag: str | None = None,
) -> ConversationPage:
    """Conversations of a place, the last used first; those of one folder or with one tag where it is given.
    InvalidRequest for a cursor that is not one of ours."""
    updated_ms, last_id = _read_cursor(cursor)
    asked = [value for value in (folder_id, tag) if value is not None]
    rows = db.sql.execute(
        _page_sql(place, folder_id is not None, tag is not None), (*asked, updated_ms, last_id, limit + 1)
    ).fetchall()
    found = [_row(row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return ConversationPage(found, f"{found[-1].updated_ms}.{found[-1].id}" if has_more else None)


@cache
def _page_sql(place: Place, in_folder: bool, with_tag: bool) -> str:
    """Takes, in this order, the folder and the tag where they count, the cursor, and how many."""
    where = [IN_PLACE[place]]
    if in_folder:
        where.append("folder = ?")
    if with_tag:
        where.append(
            "conversation.id in (select conversation from conversation_tag where tag = "
            "(select id from tag where name = ?))"
        )
    return (
        f"{SELECT} where {' and '.join(where)} and (conversation.updated_ms, conversation.id) < (?, ?) "
        "order by conversation.updated_ms desc, conversation.id desc limit ?"
    )


def pinned(db: Db) -> list[ConversationRow]:
    """The pinned ones that are listed, the last pinned first."""
    rows = db.sql.execute(
        f"{SELECT} where pinned_ms is not null and {IN_PLACE['listed']} "
        "order by pinned_ms desc, conversation.id"
    )
    return [_row(row) for row in rows.fetchall()]


def get(db: Db, conversation_id: int) -> ConversationRow:
    """One conversation. NotFound if there is none, or it was deleted."""
    row = db.sql.execute(
        f"{SELECT} where conversation.id = ? and conversation.deleted_ms is null", (conversation_id,)
    ).fetchone()
    if row is None:
        raise not_found(conversation_id)
    return _row(row)


def rename(db: Db, conversation_id: int, title: str) -> ConversationRow:
    """Give it the user's title: one line of what can be seen, never empty. It keeps its place in the list."""
    return _changed(db, conversation_id, title=plain_title(title), titled_by="user")


def is_untitled(db: Db, conversation_id: int) -> bool:
    """Whether its title is only the start of its first question."""
    row = db.sql.execute(
        "select 1 from conversation where id = ? and titled_by = 'start' and deleted_ms is null",
        (conversation_id,),
    ).fetchone()
    return row is not None


def rename_by_model(db: Db, conversation_id: int, title: str, *, replaces_users: bool) -> ConversationRow:
    """Give it a title that a model made. One that the user gave is replaced only where they asked for
    that."""
    conversation = _kept(db, conversation_id)
    if conversation.titled_by == "user" and not replaces_users:
        return get(db, conversation_id)
    return _changed(db, conversation_id, title=plain_title(title), titled_by="model")


def set_model(db: Db, conversation_id: int, model: str) -> ConversationRow:
    """The model of its next answers."""
    return _changed(db, conversation_id, model=model)


def set_agent(db: Db, conversation_id: int, name: str) -> ConversationRow:
    """Who answers from now on, with the agent's own model if it has one. NotFound where there is no such
    agent, Conflict where it is switched off."""
    agent = agents.by_name(db, name)
    if not agent.is_active:
        raise Conflict(f"The agent {name!r} is switched off.", hint="Switch it on in Settings, under Agents.")
    model = {} if agent.model is None else {"model": agent.model}
    return _changed(db, conversation_id, agent=agent.id, **model)


def save_draft(db: Db, conversation_id: int, text: str) -> ConversationRow:
    """Keep what is typed but not sent."""
    return _changed(db, conversation_id, draft=storable(text))


def change(db: Db, ids: Sequence[int], changes: ConversationChanges) -> list[ConversationRow]:
    """Pin, archive, put into a folder and tag any number of conversations: all of them or, with NotFound
    where one of them or the folder is gone, none."""
    at_ms = now_ms()
    columns: dict[str, Any] = {}
    if changes.is_pinned is not msgspec.UNSET:
        columns["pinned_ms"] = at_ms if changes.is_pinned else None
    if changes.is_archived is not msgspec.UNSET:
        columns["archived_ms"] = at_ms if changes.is_archived else None
    if changes.folder_id is not msgspec.UNSET:
        if changes.folder_id is not None and db.Folder.get(id=changes.folder_id) is None:
            raise NotFound(f"folder {changes.folder_id} was deleted")
        columns["folder"] = changes.folder_id
    for conversation_id in ids:
        conversation = _kept(db, conversation_id)
        if columns:
            conversation.set(**columns)
        tags.add(db, conversation_id, changes.add_tags)
        tags.remove(db, conversation_id, changes.remove_tags)
    tags.forget_unused(db)
    return [get(db, conversation_id) for conversation_id in ids]


def delete(db: Db, *ids: int) -> None:
    """Put conversations into the trash. Nothing of them is removed, so that `restore` brings them back
    whole."""
    at_ms = now_ms()
    for conversation_id in ids:
        _kept(db, conversation_id).deleted_ms = at_ms


def restore(db: Db, conversation_id: int) -> ConversationRow:
    """Undo `delete`. NotFound if there is none; nothing happens to one that was not deleted."""
    conversation = db.Conversation.get(id=conversation_id)
    if conversation is None:
        raise not_found(conversation_id)
    conversation.deleted_ms = None
    return get(db, conversation_id)


def expired(db: Db, at_ms: int) -> list[int]:
    """Those that have been in the trash for DAYS_IN_TRASH days."""
    until_ms = at_ms - DAYS_IN_TRASH * DAY_MS
    rows = db.sql.execute("select id from conversation where deleted_ms <= ? order by id", (until_ms,))
    return [row[0] for row in rows.fetchall()]


def in_trash(db: Db) -> list[int]:
    rows = db.sql.execute("select id from conversation where deleted_ms is not null order by id")
    return [row[0] for row in rows.fetchall()]


def purge(db: Db, conversation_id: int) -> None:
    """Remove a conversation that is in the trash, for good. What it used stays accounted for. Nothing
    happens to one that is not in the trash (any more)."""
    row = db.sql.execute(
        "select 1 from conversation where id = ? and deleted_ms is not null", (conversation_id,)
    ).fetchone()
    if row is None:
        return
    # A message goes with its parent, and SQLite does that at most a thousand levels deep.
    db.sql.execute(
        "update message set parent = null, delegator = null, is_shown = 0 where conversation = ?",
        (conversation_id,),
    )
    db.sql.execute("delete from message where conversation = ?", (conversation_id,))
    db.sql.execute("delete from conversation where id = ?", (conversation_id,))
    tags.forget_unused(db)


def touch(db: Db, conversation_id: int) -> None:
    """It was used now, which puts it first in the list: also when two are used in one millisecond, or
    when the clock was set back."""
    db.sql.execute(
        "update conversation set updated_ms = max(?, "
        "(select ifnull(max(updated_ms), 0) + 1 from conversation where deleted_ms is null)) where id = ?",
        (now_ms(), conversation_id),
    )


def not_found(conversation_id: int) -> NotFound:
    return NotFound(f"conversation {conversation_id} was deleted")


def _changed(db: Db, conversation_id: int, **columns: Any) -> ConversationRow:
    conversation = _kept(db, conversation_id)
    conversation.set(**columns)
    return get(db, conversation_id)


def _kept(db: Db, conversation_id: int) -> Any:
    conversation = db.Conversation.get(id=conversation_id)
    if conversation is None or conversation.deleted_ms is not None:
        raise not_found(conversation_id)
    return conversation


def _row(columns: tuple[Any, ...]) -> ConversationRow:
    # SQLite says 0 or 1, and has lists as JSON, None for an empty one.
    id_, title, model, draft, created, updated, agent, waits, folder, pinned, archived, deleted, named = (
        columns
    )
    return ConversationRow(
        id_, title, model, draft, created, updated, agent,
        waits == 1, folder, pinned == 1, archived == 1, deleted,
        [] if named is None else _read_tags(named),
    )  # fmt: skip


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 2**63 - 1, 0
    updated_ms, _, last_id = cursor.partition(".")
    if not (updated_ms.isdecimal() and last_id.isdecimal() and len(cursor) < 40):
        raise InvalidRequest(f"{cursor!r} is not a cursor of this list")
    return min(int(updated_ms), 2**63 - 1), min(int(last_id), 2**63 - 1)
