"""A conversation that begins as a copy of another one up to a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from deskside.backend.errors import Conflict, InvalidRequest
from deskside.backend.store import attachments, conversations, messages, replies, search_index
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.text import now_ms, plain_title

COPIED = "role, status, model, error, usage, created_ms, finished_ms, agent"

# The messages from the first one to the one that is forked at. Their depths are 0, 1, 2 …, so the copy of
# each gets the id `:first` + its depth.
PATH = """with recursive path (id, parent, depth) as (
    select id, parent, depth from message where id = :message
    union all
    select message.id, message.parent, message.depth from path join message on message.id = path.parent
  )"""

COPY_PATH = f"""{PATH} insert into message (id, conversation, parent, depth, {COPIED})
  select :first + path.depth, :conversation, iif(path.depth = 0, null, :first + path.depth - 1), path.depth,
    {COPIED}
  from path join message on message.id = path.id order by path.depth"""


def fork(db: Db, message_id: int) -> ConversationRow:
    """Copy what leads to a message, and the message, into a new conversation with the same agent, model and
    folder. What waited for the user there does not wait in the copy. An agent's work is copied with the
    answer it is in.

    Takes about a second for 50,000 messages. Raises NotFound, and Conflict for a reply that is being written.
    """
    message = messages.get(db, replies.root_of(db, message_id))
    if message.status == "streaming":
        raise Conflict("This answer is still being written.", hint="Fork it when it is done.")
    source = conversations.get(db, message.conversation_id)
    at_ms = now_ms()
    conversation = db.sql.execute(
        "insert into conversation (user, agent, title, titled_by, model, draft, folder, forked_from, "
        "created_ms, updated_ms) "
        "select user, agent, ?, titled_by, model, '', folder, ?, ?, ? from conversation where id = ?",
        (plain_title(f"{source.title} (fork)"), message.id, at_ms, at_ms, source.id),
    ).lastrowid
    assert conversation is not None
    (first,) = db.sql.execute("select max(id) + 1 from message").fetchone()
    at = {"message": message.id, "first": first, "conversation": conversation}
    db.sql.execute(COPY_PATH, at)
    copies = dict(db.sql.execute(f"{PATH} select id, :first + depth from path", at))
    head = copies[message.id]
    _copy_belongings(db, copies)
    _copy_delegated(db, copies, conversation)
    messages.show(db, conversation, head)
    replies.go_on_without(db, head)
    conversations.touch(db, conversation)
    return conversations.get(db, conversation)


class OtherResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the tool of this call shall have given instead."""

    call_id: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    output: Annotated[str, msgspec.Meta(max_length=200_000)]


def fork_from_step(
    db: Db,
    message_id: int,
    step: int,
    results: Sequence[OtherResult],
    model: str,
    agent_id: int | None,
) -> tuple[ConversationRow, int]:
    """As `fork`, with the reply as it was before this step, and with other results of tools. The copy of the
    reply, whose id is returned, can be gone on with by `model`, and by another agent where one is given.

    Raises as `fork`, and InvalidRequest for what is no reply or has no such calls before the step.
    """
    if messages.get(db, message_id).role != "assistant":
        raise InvalidRequest(f"message {message_id} is a question, not a reply")
    conversation = fork(db, message_id)
    row = db.sql.execute("select head from conversation where id = ?", (conversation.id,)).fetchone()
    head = int(row[0])
    (position,) = db.sql.execute(
        "select ifnull(min(position), 2147483647) from message_part where message = ? and step >= ?",
        (head, step),
    ).fetchone()
    replies.cut_parts(db, head, position)
    db.sql.execute("delete from message where delegator = ? and call_position >= ?", (head, position))
    for result in results:
        replies.replace_result(db, head, result.call_id, result.output)
    db.sql.execute(
        "update message set status = 'interrupted', error = null, usage = null, model = ? where id = ?",
        (model, head),
    )
    db.sql.execute(
        "update conversation set model = ?, agent = ifnull(?, agent) where id = ?",
        (model, agent_id, conversation.id),
    )
    return conversations.get(db, conversation.id), head


def _copy_delegated(db: Db, copies: dict[int, int], conversation: int) -> None:
    """The work of the agents that the copied messages asked, and of those that these asked."""
    while copies:
        below: dict[int, int] = {}
        for source, copy in copies.items():
            for (delegated,) in db.sql.execute(
                "select id from message where delegator = ? order by id", (source,)
            ).fetchall():
                made = db.sql.execute(
                    f"insert into message (conversation, delegator, call_position, {COPIED}) "
                    f"select ?, ?, call_position, {COPIED} from message where id = ?",
                    (conversation, copy, delegated),
                ).lastrowid
                assert made is not None
                below[delegated] = made
        _copy_belongings(db, below)
        copies = below


def _copy_belongings(db: Db, copies: dict[int, int]) -> None:
    """Parts and attachments. `copies` has the id of each message's copy."""
    pairs = [(copy, source) for source, copy in copies.items()]
    db.sql.executemany(
        "insert into message_part "
        "(message, position, step, kind, text, data, provider_data, origin, model) "
        "select ?, position, step, kind, text, data, provider_data, origin, model "
        "from message_part where message = ?",
        pairs,
    )
    for source, copy in copies.items():
        attachments.copy(db, source, copy)
        search_index.add(db, copy)
