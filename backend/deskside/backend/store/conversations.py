"""Conversations: the list at the left of the window."""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.errors import InvalidRequest, NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, plain_title, storable


class ConversationRow(msgspec.Struct, frozen=True):
    """One line of the list. `model` is `provider/model`, None while the default is used.

    `is_running` is not stored: the runner knows it, and the command that answers fills it in.
    """

    id: int
    title: str
    model: str | None
    draft: str
    created_ms: int
    updated_ms: int
    is_running: bool = False


class ConversationPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` goes into the next call; None at the end."""

    conversations: list[ConversationRow]
    next_cursor: str | None


COLUMNS = "id, title, model, draft, created_ms, updated_ms"


def page(db: Db, cursor: str | None, limit: int) -> ConversationPage:
    """Conversations that were not deleted, the last used first. InvalidRequest for a cursor that is not
    one of ours."""
    updated_ms, last_id = _read_cursor(cursor)
    rows = db.sql.execute(
        f"select {COLUMNS} from conversation "
        "where deleted_ms is null and (updated_ms, id) < (?, ?) order by updated_ms desc, id desc limit ?",
        (updated_ms, last_id, limit + 1),
    ).fetchall()
    found = [ConversationRow(*row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return ConversationPage(found, f"{found[-1].updated_ms}.{found[-1].id}" if has_more else None)


def get(db: Db, conversation_id: int) -> ConversationRow:
    """One conversation. NotFound if there is none, or it was deleted."""
    row = db.sql.execute(
        f"select {COLUMNS} from conversation where id = ? and deleted_ms is null", (conversation_id,)
    ).fetchone()
    if row is None:
        raise not_found(conversation_id)
    return ConversationRow(*row)


def rename(db: Db, conversation_id: int, title: str) -> ConversationRow:
    """Give it a title: one line of what can be seen, never empty. It keeps its place in the list."""
    return _changed(db, conversation_id, title=plain_title(title))


def set_model(db: Db, conversation_id: int, model: str) -> ConversationRow:
    """The model of its next answers."""
    return _changed(db, conversation_id, model=model)


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
    return _row(conversation)


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
    return _row(conversation)


def _kept(db: Db, conversation_id: int) -> Any:
    conversation = db.Conversation.get(id=conversation_id)
    if conversation is None or conversation.deleted_ms is not None:
        raise not_found(conversation_id)
    return conversation


def _row(conversation: Any) -> ConversationRow:
    return ConversationRow(
        id=conversation.id,
        title=conversation.title,
        model=conversation.model,
        draft=conversation.draft,
        created_ms=conversation.created_ms,
        updated_ms=conversation.updated_ms,
    )


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 2**63 - 1, 0
    updated_ms, _, last_id = cursor.partition(".")
    if not (updated_ms.isdecimal() and last_id.isdecimal() and len(cursor) < 40):
        raise InvalidRequest(f"{cursor!r} is not a cursor of this list")
    return min(int(updated_ms), 2**63 - 1), min(int(last_id), 2**63 - 1)
