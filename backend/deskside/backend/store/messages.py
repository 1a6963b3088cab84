"""Messages: a tree in which edits and retries keep their versions.

A conversation shows one path of the tree, from the root to its head. Siblings (messages with the same
parent) are versions of each other. A reply is one message whose parts are, in order, what the model
said, thought and asked for in all steps of its run.

Invariants
  - `depth` counts the messages above one, without gaps: a page of the shown path is a range of depths.
  - `is_shown` holds for the messages from the root to the head and for no other; only `show` sets either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from deskside.backend.agent.compaction import compacted, trimmed
from deskside.backend.agent.events import (
    ApprovalQuestion,
    AssistantReasoning,
    AssistantText,
    HistoryItem,
    Origin,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.invisible import without_tags
from deskside.backend.errors import NotFound
from deskside.backend.store import attachments, conversations
from deskside.backend.store.attachments import AttachmentRow
from deskside.backend.store.connection import Db

Role = Literal["user", "assistant"]
MessageStatus = Literal["streaming", "complete", "interrupted", "stopped", "failed"]
ToolCallStatus = Literal["writing", "requested", "waiting", "running", "finished", "failed"]


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="kind"):
    text: str


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning", tag_field="kind"):
    text: str


class UserPart(msgspec.Struct, frozen=True, tag="user", tag_field="kind"):
    """What the user said while the reply was being written, where the model got to read it."""

    text: str


class Elicitation(msgspec.Struct, frozen=True):
    """What an MCP server asks the user in the middle of a call: `schema` is the JSON Schema of a flat form,
    or None where `url` is a page to be opened. It is for one of `of_calls` calls of this server; with more
    than one the server does not say for which."""

    server: str
    message: str
    schema: dict[str, Any] | None = None
    url: str = ""
    of_calls: int = 1


class ElicitationAnswer(msgspec.Struct, frozen=True):
    """What the user answered. `content` is the form's fields by name; none for a page, or without
    "accept"."""

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call", tag_field="kind"):
    """A tool call and, once it has finished, its result. `arguments` is JSON text, perhaps unfinished.

    `origin` and `source` say where the output comes from; `hidden_characters` how many invisible ones were
    kept from the model. `approval` is there once the user was asked, `elicitation` while a server asks them.
    A call with the name of an agent tool (`is_agent`) has a message of its own: `messages.delegated`.
    """

    call_id: str
    name: str
    arguments: str
    status: ToolCallStatus
    output: str | None = None
    duration_ms: int = 0
    origin: Origin = "tool"
    source: str = ""
    is_outside: bool = False
    hidden_characters: int = 0
    approval: ApprovalQuestion | None = None
    elicitation: Elicitation | None = None
    is_agent: bool = False


class NotePart(msgspec.Struct, frozen=True, tag="note", tag_field="kind"):
    """Something that the run did which is not part of the answer: `text` is a sentence for the user, `detail`
    what it is about (what a broken attempt had said, a summary), in Markdown or empty.

    `kept` counts the items of the history before the note that a model is still sent whole; see
    `history`.
    """

    what: Literal["retried", "fell_back", "trimmed", "compacted", "repaired", "limit"]
    text: str
    detail: str = ""
    kept: int = 0


class PausePart(msgspec.Struct, frozen=True, tag="pause", tag_field="kind"):
    """The run would pass a limit, and waits for the user's word. `text` says which and by how much; once it
    went on, `limit` (limits.Exceeded.key with a dot) holds no more in this reply."""

    text: str
    limit: str = ""
    status: Literal["waiting", "went_on", "stopped"] = "waiting"
    asked_ms: int = 0
    decided_ms: int = 0

    @property
    def holds_tools(self) -> bool:
        """Whether the calls that the model has asked for wait with it, and not its next step."""
        return self.status == "waiting" and self.limit.endswith(".tool_calls")


MessagePart = TextPart | ReasoningPart | UserPart | ToolCallPart | NotePart | PausePart


class MessageError(msgspec.Struct, frozen=True):
    """Why a reply failed, as errors.py says it, and in which request; "" where that was in another
    program."""

    code: str
    message: str
    hint: str
    retryable: bool
    request_id: str = ""


class MessageUsage(msgspec.Struct, frozen=True):
    """Tokens of all model calls of one reply; see agent/events.py, Usage."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class MessageRow(msgspec.Struct, frozen=True):
    """One message. `versions` are the ids of all siblings, oldest first, this one among them.

    `status` is `interrupted` when the program died while it streamed, `stopped` when the user stopped
    it, `failed` when `error` says why. All three offer Continue and Retry.

    `model` is the one that answered last, perhaps in place of the one that was asked; `agent` the label of
    who answered. A message with a `delegator_id` answers the call at `call_position` of that reply and is
    shown inside it. `queue_place` counts from 1 while the reply waits for others to finish, and is 0
    otherwise. `steering` is what the user said meanwhile and the model has not read yet. The last two are
    not stored with the message: the runner knows them.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    status: MessageStatus
    parts: list[MessagePart]
    model: str | None
    run_id: int | None
    error: MessageError | None
    usage: MessageUsage | None
    versions: list[int]
    created_ms: int
    finished_ms: int | None
    agent: str | None = None
    delegator_id: int | None = None
    call_position: int | None = None
    queue_place: int = 0
    steering: list[str] = []
    attachments: list[AttachmentRow] = []


class MessagePage(msgspec.Struct, frozen=True):
    """Messages of the shown path, oldest first. `has_more` says that there are older ones, `has_newer` newer
    ones. `last_event` is the number of the last event that the page may ignore: what came later must be
    applied."""

    messages: list[MessageRow]
    has_more: bool
    has_newer: bool = False
    last_event: int = 0


# What the model is told, and the page shows, as the result of a tool that never came to its end.
INTERRUPTED = "interrupted"

read_error = msgspec.json.Decoder(MessageError).decode
read_usage = msgspec.json.Decoder(MessageUsage).decode
_read_data_part: Callable[[str], ToolCallPart | NotePart | PausePart] = msgspec.json.Decoder(
    ToolCallPart | NotePart | PausePart
).decode

# The messages of a CTE `path (id, depth)`, the deepest first. Most have one version (null): a list in order
# takes as long as half of all the rest of a row.
ROWS = """
  select message.id, message.conversation, message.parent, message.role, message.status, message.model,
    (select max(id) from run where run.message = message.id),
    message.error, message.usage,
    case when exists (
      select 1 from message other where other.parent is message.parent
        and other.conversation = message.conversation and other.id <> message.id
    ) then (select group_concat(id) from (
      select id from message version
      where version.parent is message.parent and version.conversation = message.conversation
        and version.delegator is message.delegator and version.call_position is message.call_position
      order by id
    )) end,
    message.created_ms, message.finished_ms,
    (select ifnull(nullif(agent.label, ''), agent.name) from agent where agent.id = message.agent),
    message.delegator, message.call_position
  from path join message on message.id = path.id
  order by path.depth desc"""

PAGE = f"""with path (id, depth) as (
    select id, -depth from message
    where conversation = :conversation and is_shown = 1 and depth between :first and :last
  ) {ROWS}"""

ONE = f"with path (id, depth) as (values (?, 1)) {ROWS}"

DELEGATED = f"with path (id, depth) as (select id, -id from message where delegator = ?) {ROWS}"

HISTORY = """with recursive path (id, parent) as (
    select id, parent from message where id = ?
    union all
    select message.id, message.parent from path join message on message.id = path.parent
  )
  select message.id, message.role, ifnull(part.model, message.model),
    part.step, part.kind, part.text, part.data, part.provider_data
  from path join message on message.id = path.id join message_part part on part.message = path.id
  order by message.depth, part.step, part.position"""

# From a message up to the first one that is shown already.
UP_TO_SHOWN = """with recursive path (id, parent, depth, is_shown) as (
    select id, parent, depth, is_shown from message where id = ?
    union all
    select message.id, message.parent, message.depth, message.is_shown
    from path join message on message.id = path.parent where path.is_shown = 0
  ) select id, depth, is_shown from path"""

NEWEST_BELOW = """with recursive below (id) as (
    select ? union all select message.id from below join message on message.parent = below.id
  ) select max(id) from below"""


def page(db: Db, conversation_id: int, before_id: int | None, limit: int) -> MessagePage:
    """The last `limit` messages of the shown path, or those before `before_id`, oldest first.

    Takes four queries (the other pages take five), one more while a reply streams, and no longer in a
    conversation of 50,000 messages than in one of 50. Raises NotFound.
    """
    if before_id is None:
        last = _head_depth(db, conversation_id)
    else:
        last = _depth(db, conversation_id, before_id) - 1
    return _page(db, conversation_id, last - limit + 1, last, has_newer=before_id is not None)


def page_after(db: Db, conversation_id: int, after_id: int, limit: int) -> MessagePage:
    """The next `limit` messages of the shown path. Raises NotFound."""
    first = _depth(db, conversation_id, after_id) + 1
    last = first + limit - 1
    return _page(db, conversation_id, first, last, has_newer=last < _head_depth(db, conversation_id))


def page_around(db: Db, conversation_id: int, message_id: int, limit: int) -> MessagePage:
    """`limit` messages of the shown path with this one in their middle. Raises NotFound."""
    first = _depth(db, conversation_id, message_id) - limit // 2
    last = first + limit - 1
    return _page(db, conversation_id, first, last, has_newer=last < _head_depth(db, conversation_id))


def _page(db: Db, conversation_id: int, first: int, last: int, *, has_newer: bool) -> MessagePage:
    """The messages of the shown path with these depths, both included."""
    rows = db.sql.execute(PAGE, {"conversation": conversation_id, "first": first, "last": last}).fetchall()
    return MessagePage(_message_rows(db, rows), has_more=first > 0, has_newer=has_newer)


def _head_depth(db: Db, conversation_id: int) -> int:
    """-1 for a conversation without a message."""
    row = db.sql.execute(
        "select ifnull(message.depth, -1) "
        "from conversation left join message on message.id = conversation.head "
        "where conversation.id = ? and conversation.deleted_ms is null",
        (conversation_id,),
    ).fetchone()
    if row is None:
        raise conversations.not_found(conversation_id)
    return int(row[0])


def _depth(db: Db, conversation_id: int, message_id: int) -> int:
    row = db.sql.execute(
        "select depth from message where id = ? and conversation = ?", (message_id, conversation_id)
    ).fetchone()
    if row is None:
        conversations.get(db, conversation_id)
        raise not_found(message_id)
    return int(row[0])


def get(db: Db, message_id: int) -> MessageRow:
    """One message as the page shows it, with what has been flushed of a reply that streams. NotFound."""
    rows = db.sql.execute(ONE, (message_id,)).fetchall()
    if not rows:
        raise not_found(message_id)
    return _message_rows(db, rows)[0]


def first_of(db: Db, conversation_id: int, count: int) -> int | None:
    """The last of the first `count` messages of the shown path; None where there is none."""
    row = db.sql.execute(
        "select id from message where conversation = ? and is_shown = 1 and depth < ? "
        "order by depth desc limit 1",
        (conversation_id, count),
    ).fetchone()
    return None if row is None else int(row[0])


def delegated(db: Db, message_id: int) -> list[MessageRow]:
    """The messages in which other agents answer the calls of this one, oldest first."""
    return _message_rows(db, db.sql.execute(DELEGATED, (message_id,)).fetchall())


def show_version(db: Db, message_id: int) -> int:
    """Show the path through this message, down to the newest message below it. Returns the conversation's
    id. NotFound."""
    row = db.sql.execute(
        "select conversation from message join conversation on conversation.id = message.conversation "
        "where message.id = ? and deleted_ms is null",
        (message_id,),
    ).fetchone()
    if row is None:
        raise not_found(message_id)
    # Children are always newer than their parent, so the newest of all is a leaf.
    (newest,) = db.sql.execute(NEWEST_BELOW, (message_id,)).fetchone()
    show(db, row[0], newest)
    return int(row[0])


def show(db: Db, conversation_id: int, head: int) -> None:
    """Show the path that ends in this message."""
    path = db.sql.execute(UP_TO_SHOWN, (head,)).fetchall()
    _, depth, is_shown = path[-1]
    db.sql.execute(
        "update message set is_shown = 0 where conversation = ? and is_shown = 1 and depth > ?",
        (conversation_id, depth if is_shown else -1),
    )
    db.sql.executemany(
        "update message set is_shown = 1 where id = ?", [(id,) for id, _, shown in path if not shown]
    )
    db.sql.execute("update conversation set head = ? where id = ?", (head, conversation_id))


def history(db: Db, message_id: int, *, keeps_open: bool = False) -> list[HistoryItem]:
    """What was said from the first message up to and including this one, as a model reads it.

    In each step all tool requests come before their results; a request whose result is missing gets a
    failed one, because both providers reject a history with an unanswered call. `keeps_open` leaves those
    of this very message without one: whoever goes on with it answers them first. What a run left out or
    summarised to make room is left out here, too. NotFound.
    """
    rows = db.sql.execute(HISTORY, (message_id,)).fetchall()
    if not rows:
        get(db, message_id)  # a reply that has said nothing yet is there all the same
    files = attachments.as_read(db, {row[0] for row in rows if row[1] == "user"})
    items: list[HistoryItem] = []
    results: list[HistoryItem] = []
    step_of_results = None
    for message, role, model, step, kind, text, data, provider_data in rows:
        if (message, step) != step_of_results:
            items += results
            results, step_of_results = [], (message, step)
            items += files.pop(message, [])
        if kind == "tool_call":
            call = read_part(kind, text, data)
            assert isinstance(call, ToolCallPart)
            items.append(ToolRequested(call.call_id, call.name, call.arguments))
            if call.output is not None or not (keeps_open and message == message_id):
                results.append(_result(call))
        elif kind == "reasoning":
            items.append(AssistantReasoning(text, provider_data, model or ""))
        elif kind == "note":
            items = _with_less(items, read_part(kind, text, data))
        elif text:
            is_users = role == "user" or kind == "user"
            # What was imported as an answer may hold what no model writes.
            items.append(UserText(text) if is_users else AssistantText(without_tags(text)))
    return items + results


def _with_less(items: list[HistoryItem], note: MessagePart) -> list[HistoryItem]:
    """The history as the run went on with it after this note."""
    assert isinstance(note, NotePart)
    if note.what == "trimmed":
        return trimmed(items, note.kept)
    return compacted(items, note.detail, note.kept) if note.what == "compacted" else items


def not_found(message_id: int) -> NotFound:
    return NotFound(f"message {message_id} was deleted")


PLAIN_PARTS: Mapping[str, type[TextPart] | type[ReasoningPart] | type[UserPart]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "user": UserPart,
}


def read_part(kind: str, text: str, data: str | None) -> MessagePart:
    """A part from its columns: plain text, or JSON with the kind inside it."""
    plain = PLAIN_PARTS.get(kind)
    if plain is not None:
        return plain(text)
    assert data is not None, "message_part_data"
    return _read_data_part(data)


def with_chunks(parts: Mapping[int, MessagePart], chunks: Iterable[Sequence[Any]]) -> dict[int, MessagePart]:
    """Parts by position, with the chunks (position, kind, text; in order) of a reply that streams put on.

    Chunks of a position go behind what its part holds: a part that is saved takes its chunks with it, so
    any that are there came later.
    """
    texts: dict[tuple[int, str], list[str]] = {}
    for position, kind, text in chunks:
        texts.setdefault((position, kind), []).append(text)
    joined = dict(parts)
    for (position, kind), pieces in texts.items():
        joined[position] = _extended(joined.get(position), position, kind, "".join(pieces))
    return dict(sorted(joined.items()))


def _extended(part: MessagePart | None, position: int, kind: str, text: str) -> MessagePart:
    match part:
        case TextPart() | ReasoningPart():
            return msgspec.structs.replace(part, text=part.text + text)
        case ToolCallPart():
            return msgspec.structs.replace(part, arguments=part.arguments + text)
    if kind == "tool_call":  # its first save was lost: we know what it would have been asked, not by whom
        return ToolCallPart(f"lost-{position}", "", text, "writing")
    return TextPart(text) if kind == "text" else ReasoningPart(text)


def _result(call: ToolCallPart) -> ToolFinished:
    if call.status in ("finished", "failed") and call.output is not None:
        return ToolFinished(
            call.call_id,
            call.output,
            call.status == "failed",
            call.duration_ms,
            call.origin,
            call.source,
            call.is_outside,
        )
    return ToolFinished(call.call_id, INTERRUPTED, failed=True, duration_ms=call.duration_ms)


def _message_rows(db: Db, rows: list[Sequence[Any]]) -> list[MessageRow]:
    parts: dict[int, dict[int, MessagePart]] = {row[0]: {} for row in rows}
    ids = msgspec.json.encode(list(parts)).decode()
    for message, position, kind, text, data in db.sql.execute(
        "select message, position, kind, text, data from message_part "
        "where message in (select value from json_each(?)) order by message, position",
        (ids,),
    ):
        parts[message][position] = read_part(kind, text, data)
    # One, besides those of agents that were asked: a conversation answers once at a time.
    for streaming in (row[0] for row in rows if row[4] == "streaming"):
        chunks = db.sql.execute(
            "select position, kind, text from message_chunk where message = ? order by position, n",
            (streaming,),
        )
        parts[streaming] = with_chunks(parts[streaming], chunks)
    questions = [row[0] for row in rows if row[3] == "user"]
    files = attachments.of_messages(db, questions) if questions else {}
    return [_message_row(row, list(parts[row[0]].values()), files.get(row[0], [])) for row in rows]


def _message_row(row: Sequence[Any], parts: list[MessagePart], files: list[AttachmentRow]) -> MessageRow:
    (
        id, conversation, parent, role, status, model, run, error, usage, versions, created_ms, finished_ms,
        agent, delegator, call_position,
    ) = row  # fmt: skip
    # By position: by name it takes half as long again, of what is the larger half of reading a page.
    return MessageRow(
        id,
        conversation,
        parent,
        role,
        status,
        parts,
        model,
        run,
        None if error is None else read_error(error),
        None if usage is None else read_usage(usage),
        [id] if versions is None else [int(version) for version in versions.split(",")],
        created_ms,
        finished_ms,
        agent,
        delegator,
        call_position,
        attachments=files,
    )
