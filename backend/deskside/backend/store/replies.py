"""Replies: asked for, streamed, finished; and what is done about those that a crash cut off.

While a reply streams, its text goes into `message_chunk` row by row, which costs the same however long the
reply is. Whole facts (a tool call and its state, a finished block of reasoning) go into `message_part` at
once. When the reply ends, all is in `message_part`, and its chunks are gone.

Invariants
  - A conversation has at most one reply with the status `streaming` (a unique index says so too).
  - What was flushed is never lost: whatever way a reply ends, its chunks become parts first.
  - A tool call is saved as a part (`writing`) before chunks of its arguments are flushed.
  - What waits for the user (a call, a pause) outlives the program, with the calls of the agents above it
    and those that a pause holds up. It ends when they decide, or when the conversation goes on without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import ApprovalQuestion, Origin
from deskside.backend.errors import Conflict, InvalidRequest
from deskside.backend.log import request_id
from deskside.backend.store import agents, attachments, conversations, messages, search_index, usage
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.messages import (
    INTERRUPTED,
    MessageError,
    MessagePart,
    MessageRow,
    MessageUsage,
    PausePart,
    ToolCallPart,
)
from deskside.backend.store.text import as_json, now_ms, storable, title_of


class StoredPart(msgspec.Struct, frozen=True):
    """A whole part. `provider_data` is what the provider wants back unchanged, as JSON text. `model` is who
    wrote it, where that is known."""

    position: int
    step: int
    part: MessagePart
    provider_data: str | None = None
    model: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """A reply that may now be written. New parts start at `next_position` and `next_step`, behind those
    that a continued reply already has. Of those, `taken_up` are the last ones that may still change: a text
    that goes on, and what waits for the user. `question` is None where none was added. `gone_on_without` are
    the messages in which something waited for the user that does not any more."""

    run_id: int
    conversation: ConversationRow
    question: MessageRow | None
    reply: MessageRow
    next_position: int
    next_step: int
    taken_up: list[StoredPart] = []
    gone_on_without: list[MessageRow] = []


class Chunk(msgspec.Struct, frozen=True):
    """A piece of the part at `position`; `n` orders the pieces of a part. For a tool call it is a piece of
    its arguments."""

    message_id: int
    position: int
    kind: Literal["text", "reasoning", "tool_call"]
    n: int
    text: str


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


def ask(
    db: Db,
    conversation_id: int | None,
    text: str,
    model: str,
    agent_id: int | None = None,
    attachment_ids: Sequence[int] = (),
) -> Asked:
    """Add a question at the end of the shown path and an empty reply to it; None starts a conversation, which
    `agent_id` answers in (None is the default agent). With `attachment_ids`, files of the conversation's
    draft, the text may be blank.

    Raises NotFound, and Conflict while the conversation is still answering.
    """
    text, draft = storable(text), conversation_id
    if conversation_id is None:
        is_named_by_file = not text.strip() and len(attachment_ids) > 0
        title = title_of(attachments.get(db, attachment_ids[0]).name if is_named_by_file else text)
        conversation_id = _new_conversation(db, title, model, agent_id)
    else:
        conversations.get(db, conversation_id)
        _check_not_answering(db, conversation_id)
    db.sql.execute("update conversation set draft = '' where id = ?", (conversation_id,))
    question = _add_question(db, conversation_id, _head(db, conversation_id), text)
    attachments.send(db, draft, attachment_ids, question)
    return _ask(db, conversation_id, question, model)


def ask_instead(db: Db, question_id: int, text: str, model: str) -> Asked:
    """Ask a question in other words, with the same files, and show it with its reply; the old one, and all
    that followed, stays as an earlier version.

    Raises NotFound, InvalidRequest for what is not a question, and Conflict while the conversation is still
    answering.
    """
    question = messages.get(db, question_id)
    if question.role != "user":
        raise InvalidRequest(f"message {question_id} is a reply, not a question")
    conversations.get(db, question.conversation_id)
    _check_not_answering(db, question.conversation_id)
    other = _add_question(db, question.conversation_id, question.parent_id, storable(text))
    attachments.copy(db, question_id, other)
    return _ask(db, question.conversation_id, other, model)


def _add_question(db: Db, conversation_id: int, parent: int | None, text: str) -> int:
    question = _insert_message(db, conversation_id, parent, "user", "complete", None)
    _put_part(db, question, StoredPart(0, 0, messages.TextPart(text)), is_question=True)
    search_index.add(db, question)
    return question


def _ask(db: Db, conversation_id: int, question: int, model: str) -> Asked:
    gone_on_without = go_on_without(db, _head(db, conversation_id))
    asked = _new_reply(db, conversation_id, question, model, messages.get(db, question))
    return msgspec.structs.replace(asked, gone_on_without=gone_on_without)


def _head(db: Db, conversation_id: int) -> int | None:
    (head,) = db.sql.execute("select head from conversation where id = ?", (conversation_id,)).fetchone()
    return None if head is None else int(head)


def answer_again(db: Db, reply_id: int, model: str | None) -> Asked:
    """Add another reply to the same question and show it; the old one stays as an earlier version.

    `model` None takes the one that was asked for the old reply. Raises NotFound, Conflict while the
    conversation is still answering.
    """
    reply = _stored_reply(db, reply_id)
    _check_not_answering(db, reply.conversation_id)
    gone_on_without = go_on_without(db, reply_id)
    asked = _new_reply(db, reply.conversation_id, reply.parent_id, model or asked_model(db, reply), None)
    return msgspec.structs.replace(asked, gone_on_without=gone_on_without)


def reopen(db: Db, reply_id: int, *, goes_on_waiting: bool = False) -> Asked:
    """Let a reply that was cut off go on in the same message, behind what it has.

    `goes_on_waiting` leaves what waits for the user as it is, for a run that takes the decision up;
    otherwise the reply goes on without it. Raises NotFound, and Conflict for a reply that is complete or
    while the conversation is answering.
    """
    reply = _stored_reply(db, reply_id)
    if reply.delegator_id is None:
        _check_not_answering(db, reply.conversation_id)
    if reply.status == "complete":
        raise Conflict(f"reply {reply_id} is complete", hint="Ask a new question, or press Retry.")
    search_index.remove(db, reply_id)
    gone_on_without = [] if goes_on_waiting else go_on_without(db, reply_id)
    db.sql.execute(
        "update message set status = 'streaming', error = null, finished_ms = null where id = ?", (reply_id,)
    )
    asked = _asked(db, reply.conversation_id, reply_id, asked_model(db, reply), None)
    return msgspec.structs.replace(asked, gone_on_without=gone_on_without)


def asked_model(db: Db, reply: MessageRow) -> str:
    """The model that was asked last for this reply. `reply.model` is the one that answered, in its place
    perhaps."""
    row = db.sql.execute(
        "select model from run where message = ? order by id desc limit 1", (reply.id,)
    ).fetchone()
    return str(row[0]) if row is not None else reply.model or ""


def delegate(db: Db, reply_id: int, position: int, agent_id: int, model: str, parent_run: int) -> Asked:
    """Let another agent answer the call at `position` of a reply, in a message of its own. Where an earlier
    run has left such a message behind with the call open, something in it waited for the user: that one goes
    on.

    Raises NotFound for the reply.
    """
    left = db.sql.execute(
        "select id from message where delegator = ? and call_position = ? and status = 'interrupted' "
        "order by id desc limit 1",
        (reply_id, position),
    ).fetchone()
    if left is not None:
        return _of_parent(db, reopen(db, left[0], goes_on_waiting=True), agent_id, parent_run)
    reply = _stored_reply(db, reply_id)
    message = _insert_message(
        db, reply.conversation_id, None, "assistant", "streaming", model, asked_by=(reply_id, position)
    )
    return _of_parent(db, _asked(db, reply.conversation_id, message, model, None), agent_id, parent_run)


def _of_parent(db: Db, asked: Asked, agent_id: int, parent_run: int) -> Asked:
    db.sql.execute("update run set agent = ?, parent = ? where id = ?", (agent_id, parent_run, asked.run_id))
    db.sql.execute("update message set agent = ? where id = ?", (agent_id, asked.reply.id))
    return msgspec.structs.replace(asked, reply=messages.get(db, asked.reply.id))


# -- what the user says meanwhile ---------------------------------------------------------------


def steer(db: Db, message_id: int, text: str) -> int:
    """Keep what the user said to a reply that is being written. Returns its row's id. NotFound."""
    reply = _stored_reply(db, message_id)
    if reply.status != "streaming":
        raise Conflict(f"reply {message_id} has ended", hint="Send it as a new message.")
    row = db.sql.execute(
        "insert into steering (message, text, created_ms) values (?, ?, ?)",
        (message_id, storable(text), now_ms()),
    ).lastrowid
    assert row is not None
    db.sql.execute("update conversation set draft = '' where id = ?", (reply.conversation_id,))
    return row


def decide_call(db: Db, message_id: int, position: int, question: ApprovalQuestion, arguments: str) -> None:
    """Keep the user's answer about a call that waits, of a reply that no run is writing. Raises NotFound, and
    Conflict where it does not wait any more."""
    stored = _waiting_part(db, message_id, position)
    if not isinstance(stored.part, ToolCallPart):
        raise InvalidRequest(f"part {position} of message {message_id} is not a call")
    decided = msgspec.structs.replace(stored.part, approval=question, arguments=arguments)
    _put_part(db, message_id, msgspec.structs.replace(stored, part=decided))


def pass_limit(db: Db, message_id: int, position: int) -> None:
    """Keep that the user lets a reply, which no run is writing, pass the limit that it waits at. Raises as
    `decide_call`."""
    stored, pause = _waiting_pause(db, message_id, position)
    decided = msgspec.structs.replace(pause, status="went_on", decided_ms=now_ms())
    _put_part(db, message_id, msgspec.structs.replace(stored, part=decided))


def keep_limit(db: Db, message_id: int, position: int) -> list[MessageRow]:
    """The user stops a reply, which no run is writing, at the limit that it waits at: it goes on with nothing
    that waits. Returns the messages that this changed. Raises as `decide_call`, and Conflict while the
    conversation is answering."""
    _waiting_pause(db, message_id, position)
    _check_not_answering(db, messages.get(db, message_id).conversation_id)
    return go_on_without(db, root_of(db, message_id))


def root_of(db: Db, message_id: int) -> int:
    """The reply on the path that a message belongs to: itself, or the one whose agents asked for it."""
    (root,) = db.sql.execute(ROOT, (message_id,)).fetchone() or (None,)
    if root is None:
        raise messages.not_found(message_id)
    return int(root)


ROOT = """with recursive above (id, delegator) as (
    select id, delegator from message where id = ?
    union all select message.id, message.delegator from above join message on message.id = above.delegator
  ) select id from above where delegator is null"""

WAITS_BELOW = """with recursive below (id) as (
    select ?1 union all select message.id from below join message on message.delegator = below.id
  ) select 1 from message_part
  where message in (select id from below) and kind in ('tool_call', 'pause')
    and json_extract(data, '$.status') = 'waiting' limit 1"""


def _waits_below(db: Db, message_id: int) -> bool:
    """Whether something waits for the user in this message, or in those of the agents it asked."""
    return db.sql.execute(WAITS_BELOW, (message_id,)).fetchone() is not None


def _waiting_part(db: Db, message_id: int, position: int) -> StoredPart:
    messages.get(db, message_id)
    stored = _stored_parts(db, message_id).get(position)
    if stored is None or not _is_waiting(stored.part):
        raise Conflict("This does not wait for an answer any more.", hint="Look at the conversation again.")
    return stored


def _waiting_pause(db: Db, message_id: int, position: int) -> tuple[StoredPart, PausePart]:
    stored = _waiting_part(db, message_id, position)
    if not isinstance(stored.part, PausePart):
        raise InvalidRequest(f"part {position} of message {message_id} is not a pause")
    return stored, stored.part


def _is_waiting(part: MessagePart) -> bool:
    return isinstance(part, ToolCallPart | PausePart) and part.status == "waiting"


def go_on_without(db: Db, message_id: int | None) -> list[MessageRow]:
    """The conversation goes on without an answer to what waits in a message and below it. Returns the
    messages that this changed."""
    if message_id is None or not _waits_below(db, message_id):
        return []
    changed = go_on_without_below(db, message_id)
    for stored in _stored_parts(db, message_id).values():
        part = stored.part
        ended: MessagePart
        if isinstance(part, PausePart) and part.status == "waiting":
            ended = msgspec.structs.replace(part, status="stopped", decided_ms=now_ms())
        elif isinstance(part, ToolCallPart) and part.output is None:
            ended = msgspec.structs.replace(part, status="failed", output=UNDECIDED)
        else:
            continue
        _put_part(db, message_id, msgspec.structs.replace(stored, part=ended))
    return [*changed, messages.get(db, message_id)]


def go_on_without_below(db: Db, message_id: int) -> list[MessageRow]:
    """As `go_on_without`, for the agents that a message has asked: nobody waits for them any more."""
    below = db.sql.execute(
        "select id from message where delegator = ? and status <> 'streaming'", (message_id,)
    ).fetchall()
    return [row for (child,) in below for row in go_on_without(db, child)]


UNDECIDED = "The user went on without deciding about this call."


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


def cut_parts(db: Db, message_id: int, position: int) -> None:
    """Take away the parts from a position on: what a broken attempt said is in the note that comes there."""
    for table in ("message_part", "message_chunk"):
        db.sql.execute(f"delete from {table} where message = ? and position >= ?", (message_id, position))


def replace_result(db: Db, message_id: int, call_id: str, output: str) -> None:
    """Let the last call of this id have given something else, which the user wrote. Whatever was read from
    outside may be in it still. InvalidRequest where there is no such call, or it has no result."""
    for stored in reversed(_stored_parts(db, message_id).values()):
        part = stored.part
        if isinstance(part, ToolCallPart) and part.call_id == call_id and part.output is not None:
            changed = msgspec.structs.replace(
                part, status="finished", output=storable(output), hidden_characters=0
            )
            _put_part(db, message_id, msgspec.structs.replace(stored, part=changed))
            return
    raise InvalidRequest(f"message {message_id} has no call {call_id!r} with a result before this step")


def set_model(db: Db, message_id: int, model: str) -> None:
    """Another model answers than the one that was asked."""
    db.sql.execute("update message set model = ? where id = ?", (model, message_id))


def hear(db: Db, steering_ids: list[int]) -> None:
    """The model has been told: what the user said is a part of the reply now."""
    db.sql.executemany("delete from steering where id = ?", [(row,) for row in steering_ids])


def save_part(db: Db, message_id: int, part: StoredPart) -> None:
    """Keep one part as a whole, in place of its earlier state and its chunks. NotFound."""
    save_parts(db, message_id, [part])


def save_parts(db: Db, message_id: int, parts: list[StoredPart]) -> None:
    """Keep parts as wholes, in place of their earlier states and their chunks. NotFound."""
    sql = db.sql
    if sql.execute("select 1 from message where id = ?", (message_id,)).fetchone() is None:
        raise messages.not_found(message_id)
    sql.executemany(PUT_PART, [_part_row(message_id, part) for part in parts])
    sql.executemany(
        "delete from message_chunk where message = ? and position = ?",
        [(message_id, part.position) for part in parts],
    )


# -- the end ------------------------------------------------------------------------------------


def finish(db: Db, finished: FinishedReply) -> MessageRow:
    """End a reply with the parts it was given; chunks of other positions become parts as they are.

    Raises NotFound, and Conflict for a reply that is not streaming.
    """
    reply = _stored_reply(db, finished.message_id)
    if reply.status != "streaming":
        raise Conflict(f"reply {reply.id} is not streaming")
    save_parts(db, reply.id, finished.parts)
    _settle_chunks(db, reply.id)
    at_ms = now_ms()
    db.sql.execute(
        "update message set status = ?, error = ?, usage = ?, finished_ms = ? where id = ?",
        (finished.status, _json(finished.error), _json(_sum(reply.usage, finished.usage)), at_ms, reply.id),
    )
    search_index.add(db, reply.id)
    _give_back_steering(db, reply.id)
    db.sql.execute(
        "update run set status = ?, reason = ?, finished_ms = ? where id = ?",
        (finished.status, finished.reason, at_ms, finished.run_id),
    )
    conversations.touch(db, reply.conversation_id)
    return messages.get(db, reply.id)


def interrupt_unfinished(db: Db) -> int:
    """End what a crash left streaming: keep what was flushed, mark it `interrupted`. Returns how many.

    A tool call that had no result becomes a failed one, unless the user was still to decide about it or about
    what is below it. What was used is what the records of its calls say. When it ended is not known, so no
    time is set.
    """
    # Those of agents that were asked are newer than whoever asked them, and come first.
    streaming = [
        row[0] for row in db.sql.execute("select id from message where status = 'streaming' order by id desc")
    ]
    for message_id in streaming:
        _give_back_steering(db, message_id)
        _settle_chunks(db, message_id)
        _fail_open_tool_calls(db, message_id)
        used = _sum(messages.get(db, message_id).usage, usage.of_running(db, message_id))
        db.sql.execute(
            "update message set status = 'interrupted', usage = ? where id = ?", (_json(used), message_id)
        )
        search_index.add(db, message_id)
    if db.sql.execute("select 1 from run where status = 'running'").fetchone() is not None:
        db.sql.execute("update run set status = 'interrupted' where status = 'running'")
    return len(streaming)


# -- the pieces ---------------------------------------------------------------------------------


def _new_conversation(db: Db, title: str, model: str, agent_id: int | None) -> int:
    at_ms = now_ms()
    cursor = db.sql.execute(
        "insert into conversation (user, agent, title, model, draft, created_ms, updated_ms) "
        "values ((select min(id) from user), ?, ?, ?, '', ?, ?)",
        (agent_id or agents.default(db).id, title, model, at_ms, at_ms),
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
    messages.show(db, conversation_id, reply)
    return _asked(db, conversation_id, reply, model, question)


def _asked(db: Db, conversation_id: int, reply: int, model: str, question: MessageRow | None) -> Asked:
    conversations.touch(db, conversation_id)
    run = db.sql.execute(
        "insert into run (conversation, message, agent, model, status, request_id, started_ms) "
        "select id, ?, agent, ?, 'running', ?, ? from conversation where id = ?",
        (reply, model, request_id.get(), now_ms(), conversation_id),
    ).lastrowid
    assert run is not None
    db.sql.execute(
        "update message set agent = (select agent from conversation where id = ?) where id = ?",
        (conversation_id, reply),
    )
    conversation = conversations.get(db, conversation_id)
    row = messages.get(db, reply)
    if not row.parts:
        return Asked(run, conversation, question, row, 0, 0)
    parts = list(_stored_parts(db, reply).values())
    next_step = max(stored.step for stored in parts) + 1
    return Asked(run, conversation, question, row, parts[-1].position + 1, next_step, _taken_up(parts))


def _insert_message(
    db: Db,
    conversation_id: int,
    parent: int | None,
    role: str,
    status: str,
    model: str | None,
    *,
    asked_by: tuple[int | None, int | None] = (None, None),
) -> int:
    """`asked_by` is the reply whose call it answers, and the call's position."""
    at_ms = now_ms()
    cursor = db.sql.execute(
        "insert into message (conversation, parent, role, status, model, created_ms, finished_ms, "
        "delegator, call_position, depth) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "ifnull((select depth + 1 from message where id = ?2), 0))",
        (conversation_id, parent, role, status, model, at_ms, at_ms if role == "user" else None, *asked_by),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


PUT_PART = """
  insert into message_part (message, position, step, kind, text, data, provider_data, origin, model)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (message, position) do update set step = excluded.step, kind = excluded.kind,
    text = excluded.text, data = excluded.data, provider_data = excluded.provider_data,
    origin = excluded.origin, model = excluded.model"""


def put_parts(db: Db, message_id: int, parts: list[StoredPart], *, is_question: bool) -> None:
    """Keep the parts of a message that does not stream."""
    db.sql.executemany(PUT_PART, [_part_row(message_id, part, is_question=is_question) for part in parts])


def _put_part(db: Db, message_id: int, stored: StoredPart, *, is_question: bool = False) -> None:
    db.sql.execute(PUT_PART, _part_row(message_id, stored, is_question=is_question))


def _part_row(message_id: int, stored: StoredPart, *, is_question: bool = False) -> tuple[Any, ...]:
    part = stored.part
    kind = str(part.__struct_config__.tag)
    is_plain = kind in messages.PLAIN_PARTS
    return (
        message_id,
        stored.position,
        stored.step,
        kind,
        storable(part.text) if not isinstance(part, ToolCallPart) and is_plain else "",
        None if is_plain else as_json(part),
        stored.provider_data,
        _origin(part, is_question=is_question),
        stored.model,
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
            whole = StoredPart(position, step, part)
            _put_part(db, message_id, whole if known is None else msgspec.structs.replace(known, part=part))
        # What comes behind a tool's result was said in the next call of the model.
        if isinstance(part, ToolCallPart) and part.output is not None:
            step += 1
    db.sql.execute("delete from message_chunk where message = ?", (message_id,))


def _fail_open_tool_calls(db: Db, message_id: int) -> None:
    parts = _stored_parts(db, message_id).values()
    held = any(isinstance(stored.part, PausePart) and stored.part.holds_tools for stored in parts)
    for stored in parts:
        part = stored.part
        if isinstance(part, ToolCallPart) and part.status not in ("finished", "failed"):
            if part.status == "waiting" or (held and part.status == "requested"):
                continue
            if part.is_agent and _agent_waits(db, message_id, stored.position):
                continue
            failed = msgspec.structs.replace(part, status="failed", output=INTERRUPTED)
            _put_part(db, message_id, msgspec.structs.replace(stored, part=failed))


def _agent_waits(db: Db, message_id: int, position: int) -> bool:
    children = db.sql.execute(
        "select id from message where delegator = ? and call_position = ?", (message_id, position)
    )
    return any(_waits_below(db, child) for (child,) in children.fetchall())


def _give_back_steering(db: Db, message_id: int) -> None:
    """What the user said and no model has read goes back to where they type."""
    rows = db.sql.execute("select text from steering where message = ? order by id", (message_id,)).fetchall()
    if not rows:
        return
    said = "\n\n".join(row[0] for row in rows)
    db.sql.execute(
        "update conversation set draft = ?1 || iif(draft = '', '', char(10, 10) || draft) "
        "where id = (select conversation from message where id = ?2)",
        (said, message_id),
    )
    db.sql.execute("delete from steering where message = ?", (message_id,))


def _taken_up(parts: list[StoredPart]) -> list[StoredPart]:
    """The last parts that may still change: all from the first that is open, else the last text."""
    for place, stored in enumerate(parts):
        if _is_waiting(stored.part) or (isinstance(stored.part, ToolCallPart) and stored.part.output is None):
            return parts[place:]
    return parts[-1:] if parts and isinstance(parts[-1].part, messages.TextPart) else []


def _stored_parts(db: Db, message_id: int) -> dict[int, StoredPart]:
    rows = db.sql.execute(
        "select position, step, kind, text, data, provider_data, model from message_part "
        "where message = ? order by position",
        (message_id,),
    )
    return {
        position: StoredPart(position, step, messages.read_part(kind, text, data), provider_data, model)
        for position, step, kind, text, data, provider_data, model in rows
    }


def _sum(before: MessageUsage | None, now: MessageUsage) -> MessageUsage:
    if before is None:
        return now
    return MessageUsage(
        **{name: getattr(before, name) + getattr(now, name) for name in MessageUsage.__struct_fields__}
    )


def _json(value: Any) -> str | None:
    return None if value is None else as_json(value)
