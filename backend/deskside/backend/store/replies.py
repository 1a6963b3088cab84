"""Replies: asked for, streamed, finished; and what is done about those that a crash cut off.

While a reply streams, its text goes into `message_chunk` row by row, which costs the same however long the
reply is. Whole facts (a tool call and its state, a finished block of reasoning) go into `message_part` at
once. When the reply ends, all is in `message_part`, and its chunks are gone.

Invariants
  - A conversation has at most one reply with the status `streaming` (a unique index says so too).
  - What was flushed is never lost: whatever way a reply ends, its chunks become parts first.
  - A tool call is saved as a part (`writing`) before chunks of its arguments are flushed.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import Origin
from deskside.backend.errors import Conflict, InvalidRequest
from deskside.backend.log import request_id
from deskside.backend.store import agents, conversations, messages, search_index
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.messages import (
    INTERRUPTED,
    MessageError,
    MessagePart,
    MessageRow,
    MessageUsage,
    ToolCallPart,
)
from deskside.backend.store.text import as_json, now_ms, storable, title_of


class Asked(msgspec.Struct, frozen=True):
    """A reply that may now be written. New parts start at `next_position` and `next_step`, behind those
    that a continued reply already has. `question` is None where none was added."""

    run_id: int
    conversation: ConversationRow
    question: MessageRow | None
    reply: MessageRow
    next_position: int
    next_step: int


class Chunk(msgspec.Struct, frozen=True):
    """A piece of the part at `position`; `n` orders the pieces of a part. For a tool call it is a piece of
    its arguments."""

    message_id: int
    position: int
    kind: Literal["text", "reasoning", "tool_call"]
    n: int
    text: str


class StoredPart(msgspec.Struct, frozen=True):
    """A whole part. `provider_data` is what the provider wants back unchanged, as JSON text."""

    position: int
    step: int
    part: MessagePart
    provider_data: str | None = None


class FinishedReply(msgspec.Struct, frozen=True):
    """How a run left its reply. `parts` are those of this run; `usage` too, it is added to what earlier
    runs of a continued reply used. `reason` is the loop's word for the end."""

    message_id: int
    run_id: int
    status: Literal["complete", "interrupted", "stopped", "failed"]
    parts: list[StoredPart]
    error: MessageError | None
    usage: MessageUsage
    reason: str


# -- asking -------------------------------------------------------------------------------------


def ask(db: Db, conversation_id: int | None, text: str, model: str) -> Asked:
    """Add a question at the end of the shown path and an empty reply to it; None starts a conversation.

    Raises NotFound, and Conflict while the conversation is still answering.
    """
    text = storable(text)
    if conversation_id is None:
        conversation_id = _new_conversation(db, title_of(text), model)
    else:
        conversations.get(db, conversation_id)
        _check_not_answering(db, conversation_id)
    (head,) = db.sql.execute("select head from conversation where id = ?", (conversation_id,)).fetchone()
    question = _insert_message(db, conversation_id, head, "user", "complete", None)
    _put_part(db, question, StoredPart(0, 0, messages.TextPart(text)), is_question=True)
    search_index.add(db, question)
    db.sql.execute("update conversation set draft = '' where id = ?", (conversation_id,))
    return _new_reply(db, conversation_id, question, model, messages.get(db, question))


def answer_again(db: Db, reply_id: int, model: str | None) -> Asked:
    """Add another reply to the same question and show it; the old one stays as an earlier version.

    `model` None takes the old reply's. Raises NotFound, Conflict while the conversation is still answering.
    """
    reply = _stored_reply(db, reply_id)
    _check_not_answering(db, reply.conversation_id)
    return _new_reply(db, reply.conversation_id, reply.parent_id, model or reply.model or "", None)


def reopen(db: Db, reply_id: int) -> Asked:
    """Let a reply that was cut off go on in the same message, behind what it has.

    Raises NotFound, and Conflict for a reply that is complete or while the conversation is answering.
    """
    reply = _stored_reply(db, reply_id)
    _check_not_answering(db, reply.conversation_id)
    if reply.status == "complete":
        raise Conflict(f"reply {reply_id} is complete", hint="Ask a new question, or press Retry.")
    search_index.remove(db, reply_id)
    db.sql.execute(
        "update message set status = 'streaming', error = null, finished_ms = null where id = ?", (reply_id,)
    )
    return _asked(db, reply.conversation_id, reply_id, reply.model or "", None)


# -- streaming ----------------------------------------------------------------------------------


def append_chunks(db: Db, chunks: list[Chunk]) -> None:
    """Keep what was said since the last flush, of any number of replies.

    A chunk that was kept before may come again. Chunks of a reply that has ended are dropped: its parts
    hold their text already.
    """
    db.sql.executemany(
        "insert into message_chunk (message, position, n, kind, text) "
        "select id, ?2, ?3, ?4, ?5 from message where id = ?1 and status = 'streaming' "
        "on conflict do update set kind = excluded.kind, text = excluded.text",
        [(c.message_id, c.position, c.n, c.kind, storable(c.text)) for c in chunks],
    )


def save_part(db: Db, message_id: int, part: StoredPart) -> None:
    """Keep one part as a whole, in place of its earlier state and its chunks. NotFound."""
    if db.sql.execute("select 1 from message where id = ?", (message_id,)).fetchone() is None:
        raise messages.not_found(message_id)
    _put_part(db, message_id, part)
    db.sql.execute(
        "delete from message_chunk where message = ? and position = ?", (message_id, part.position)
    )


# -- the end ------------------------------------------------------------------------------------


def finish(db: Db, finished: FinishedReply) -> MessageRow:
    """End a reply with the parts it was given; chunks of other positions become parts as they are.

    Raises NotFound, and Conflict for a reply that is not streaming.
    """
    reply = _stored_reply(db, finished.message_id)
    if reply.status != "streaming":
        raise Conflict(f"reply {reply.id} is not streaming")
    for part in finished.parts:
        save_part(db, reply.id, part)
    _settle_chunks(db, reply.id)
    at_ms = now_ms()
    db.sql.execute(
        "update message set status = ?, error = ?, usage = ?, finished_ms = ? where id = ?",
        (finished.status, _json(finished.error), _json(_sum(reply.usage, finished.usage)), at_ms, reply.id),
    )
    search_index.add(db, reply.id)
    db.sql.execute(
        "update run set status = ?, reason = ?, finished_ms = ? where id = ?",
        (finished.status, finished.reason, at_ms, finished.run_id),
    )
    conversations.touch(db, reply.conversation_id)
    return messages.get(db, reply.id)


def interrupt_unfinished(db: Db) -> int:
    """End what a crash left streaming: keep what was flushed, mark it `interrupted`. Returns how many.

    A tool call that had no result becomes a failed one. When it ended is not known, so no time is set.
    """
    streaming = [row[0] for row in db.sql.execute("select id from message where status = 'streaming'")]
    for message_id in streaming:
        _settle_chunks(db, message_id)
        _fail_open_tool_calls(db, message_id)
        db.sql.execute("update message set status = 'interrupted' where id = ?", (message_id,))
        search_index.add(db, message_id)
    if db.sql.execute("select 1 from run where status = 'running'").fetchone() is not None:
        db.sql.execute("update run set status = 'interrupted' where status = 'running'")
    return len(streaming)


# -- the pieces ---------------------------------------------------------------------------------


def _new_conversation(db: Db, title: str, model: str) -> int:
    at_ms = now_ms()
    cursor = db.sql.execute(
        "insert into conversation (user, agent, title, model, draft, created_ms, updated_ms) "
        "values ((select min(id) from user), ?, ?, ?, '', ?, ?)",
        (agents.default(db).id, title, model, at_ms, at_ms),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _check_not_answering(db: Db, conversation_id: int) -> None:
    row = db.sql.execute(
        "select 1 from message where conversation = ? and status = 'streaming'", (conversation_id,)
    ).fetchone()
    if row is not None:
        raise Conflict(
            f"conversation {conversation_id} is still answering", hint="Wait for the answer, or press Stop."
        )


def _stored_reply(db: Db, reply_id: int) -> MessageRow:
    reply = messages.get(db, reply_id)
    if reply.role != "assistant":
        raise InvalidRequest(f"message {reply_id} is a question, not a reply")
    return reply


def _new_reply(
    db: Db, conversation_id: int, parent: int | None, model: str, question: MessageRow | None
) -> Asked:
    reply = _insert_message(db, conversation_id, parent, "assistant", "streaming", model)
    db.sql.execute("update conversation set head = ? where id = ?", (reply, conversation_id))
    return _asked(db, conversation_id, reply, model, question)


def _asked(db: Db, conversation_id: int, reply: int, model: str, question: MessageRow | None) -> Asked:
    conversations.touch(db, conversation_id)
    run = db.sql.execute(
        "insert into run (conversation, message, agent, model, status, request_id, started_ms) "
        "select id, ?, agent, ?, 'running', ?, ? from conversation where id = ?",
        (reply, model, request_id.get(), now_ms(), conversation_id),
    ).lastrowid
    assert run is not None
    next_position, next_step = db.sql.execute(
        "select ifnull(max(position) + 1, 0), ifnull(max(step) + 1, 0) from message_part where message = ?",
        (reply,),
    ).fetchone()
    conversation = conversations.get(db, conversation_id)
    return Asked(run, conversation, question, messages.get(db, reply), next_position, next_step)


def _insert_message(
    db: Db, conversation_id: int, parent: int | None, role: str, status: str, model: str | None
) -> int:
    at_ms = now_ms()
    cursor = db.sql.execute(
        "insert into message (conversation, parent, role, status, model, created_ms, finished_ms) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (conversation_id, parent, role, status, model, at_ms, at_ms if role == "user" else None),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _put_part(db: Db, message_id: int, stored: StoredPart, *, is_question: bool = False) -> None:
    part = stored.part
    kind = str(part.__struct_config__.tag)
    is_plain = kind in messages.PLAIN_PARTS
    text = storable(part.text) if not isinstance(part, ToolCallPart) and is_plain else ""
    db.sql.execute(
        "insert into message_part (message, position, step, kind, text, data, provider_data, origin) "
        "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (message, position) do update set step = excluded.step, "
        "kind = excluded.kind, text = excluded.text, data = excluded.data, "
        "provider_data = excluded.provider_data, origin = excluded.origin",
        (
            message_id,
            stored.position,
            stored.step,
            kind,
            text,
            None if is_plain else as_json(part),
            stored.provider_data,
            _origin(part, is_question=is_question),
        ),
    )


def _origin(part: MessagePart, *, is_question: bool) -> Origin:
    if isinstance(part, ToolCallPart):
        return part.origin
    return "user" if is_question or isinstance(part, messages.UserPart) else "model"


def _settle_chunks(db: Db, message_id: int) -> None:
    """Turn the chunks that are left into parts."""
    chunks = db.sql.execute(
        "select position, kind, text from message_chunk where message = ? order by position, n", (message_id,)
    ).fetchall()
    if not chunks:
        return
    grown = {chunk[0] for chunk in chunks}
    saved = _stored_parts(db, message_id)
    parts = messages.with_chunks({position: stored.part for position, stored in saved.items()}, chunks)
    step = 0
    for position, part in parts.items():
        known = saved.get(position)
        step = step if known is None else known.step
        if position in grown:
            provider_data = None if known is None else known.provider_data
            _put_part(db, message_id, StoredPart(position, step, part, provider_data))
        # What comes behind a tool's result was said in the next call of the model.
        if isinstance(part, ToolCallPart) and part.output is not None:
            step += 1
    db.sql.execute("delete from message_chunk where message = ?", (message_id,))


def _fail_open_tool_calls(db: Db, message_id: int) -> None:
    for stored in _stored_parts(db, message_id).values():
        part = stored.part
        if isinstance(part, ToolCallPart) and part.status not in ("finished", "failed"):
            failed = msgspec.structs.replace(part, status="failed", output=INTERRUPTED)
            _put_part(db, message_id, msgspec.structs.replace(stored, part=failed))


def _stored_parts(db: Db, message_id: int) -> dict[int, StoredPart]:
    rows = db.sql.execute(
        "select position, step, kind, text, data, provider_data from message_part "
        "where message = ? order by position",
        (message_id,),
    )
    return {
        position: StoredPart(position, step, messages.read_part(kind, text, data), provider_data)
        for position, step, kind, text, data, provider_data in rows
    }


def _sum(before: MessageUsage | None, now: MessageUsage) -> MessageUsage:
    if before is None:
        return now
    return MessageUsage(
        **{name: getattr(before, name) + getattr(now, name) for name in MessageUsage.__struct_fields__}
    )


def _json(value: Any) -> str | None:
    return None if value is None else as_json(value)
