"""Conversations: the list at the left of the window."""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.store import agents
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, plain_title, storable


class ConversationRow(msgspec.Struct, frozen=True):
    """One line of the list. `model` is `provider/model`, None while the default is used. `agent` is the name
    of who answers. `is_waiting`: a tool call, a pause or a server's question in it waits for the user.

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
    is_running: bool = False


class ConversationPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` goes into the next call; None at the end."""

    conversations: list[ConversationRow]
    next_cursor: str | None


# In the order of the struct, which is made by position. What waits is found through an index of nothing else
# (message_part_waiting), once for the whole page.
SELECT = (
    "select conversation.id, title, conversation.model, draft, conversation.created_ms, "
    f"conversation.updated_ms, ifnull(agent.name, '{agents.DEFAULT}'), conversation.id in ("
    "select message.conversation from message_part join message on message.id = message_part.message "
    "where message_part.kind in ('tool_call', 'pause') "
    "and json_extract(message_part.data, '$.status') = 'waiting') "
    "from conversation left join agent on agent.id = conversation.agent and agent.deleted_ms is null "
)


def page(db: Db, cursor: str | None, limit: int) -> ConversationPage:
    """Conversations that were not deleted, the last used first. InvalidRequest for a cursor that is not
    one of ours."""
    updated_ms, last_id = _read_cursor(cursor)
    rows = db.sql.execute(
        f"{SELECT} where conversation.deleted_ms is null "
        "and (conversation.updated_ms, conversation.id) < (?, ?) "
        "order by conversation.updated_ms desc, conversation.id desc limit ?",
        (updated_ms, last_id, limit + 1),
    ).fetchall()
    found = [_row(row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return ConversationPage(found, f"{found[-1].updated_ms}.{found[-1].id}" if has_more else None)


def get(db: Db, conversation_id: int) -> ConversationRow:
    """One conversation. NotFound if there is none, or it was deleted."""
    row = db.sql.execute(
        f"{SELECT} where conversation.id = ? and conversation.deleted_ms is null", (conversation_id,)
    ).fetchone()
    if row is None:
        raise not_found(conversation_id)
    return _row(row)


def rename(db: Db, conversation_id: int, title: str) -> ConversationRow:
    """Give it a title: one line of what can be seen, never empty. It keeps its place in the list."""
    return _changed(db, conversation_id, title=plain_title(title))


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


def delete(db: Db, conversation_id: int) -> None:
    """Take it off the list. Nothing of it is removed, so that `restore` brings it back whole."""
    _kept(db, conversation_id).deleted_ms = now_ms()


def restore(db: Db, conversation_id: int) -> ConversationRow:
    """Undo `delete`. NotFound if there is none; nothing happens to one that was not deleted."""
    conversation = db.Conversation.get(id=conversation_id)
    if conversation is None:
        raise not_found(conversation_id)
    conversation.deleted_ms = None
    return get(db, conversation_id)


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
    row = ConversationRow(*columns)
    return msgspec.structs.replace(row, is_waiting=bool(row.is_waiting))  # SQLite says 0 or 1


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 2**63 - 1, 0
    updated_ms, _, last_id = cursor.partition(".")
    if not (updated_ms.isdecimal() and last_id.isdecimal() and len(cursor) < 40):
        raise InvalidRequest(f"{cursor!r} is not a cursor of this list")
    return min(int(updated_ms), 2**63 - 1), min(int(last_id), 2**63 - 1)
