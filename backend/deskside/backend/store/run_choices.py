"""Runs to choose from: what a run may be compared with."""

from __future__ import annotations

from typing import Literal

import msgspec

from deskside.backend.store import runs
from deskside.backend.store.connection import Db

MOST_RELATED = 50
MOST_OTHERS = 30
LONGEST_QUESTION = 160  # characters

# The conversation that it is in, what that was forked from, and what was forked from any of these.
FAMILY = """with recursive family (id) as (
    select :conversation
    union
    select message.conversation from family join conversation on conversation.id = family.id
      join message on message.id = conversation.forked_from
    union
    select conversation.id from family join message on message.conversation = family.id
      join conversation on conversation.forked_from = message.id
  )"""

CHOICES = f"""{FAMILY} select * from (
    select run.id, run.conversation, conversation.title, ifnull((select substr(message_part.text, 1,
        {LONGEST_QUESTION + 1}) from message_part where message_part.message = message.parent
        and message_part.kind = 'text' order by position limit 1), ''),
      ifnull(agent.name, ''), run.model, run.status, run.started_ms,
      case when message.parent is :parent and run.conversation = :conversation then 'version'
        when run.conversation = :conversation then 'conversation'
        when run.conversation in (select id from family) then 'fork'
        else 'other' end as relation
    from run join conversation on conversation.id = run.conversation join message on message.id = run.message
      left join agent on agent.id = run.agent
    where run.parent is null and run.id <> :run and conversation.deleted_ms is null
      and exists (select 1 from run_event where run_event.run = run.id)
  )"""

RELATED = f"""{CHOICES} where relation <> 'other'
  order by case relation when 'version' then 0 when 'fork' then 1 else 2 end, id desc limit {MOST_RELATED}"""
OTHERS = f"{CHOICES} where relation = 'other' order by id desc limit {MOST_OTHERS}"


class RunChoice(msgspec.Struct, frozen=True):
    """A recorded run, and what it has to do with another one: it wrote the same answer or another version of
    it, a reply of a conversation that was forked from that one's or that that one's was forked from, another
    reply of the same conversation, or none of these. `question` is how what it answered begins."""

    run_id: int
    conversation_id: int
    title: str
    question: str
    agent: str
    model: str
    status: str
    started_ms: int
    relation: Literal["version", "fork", "conversation", "other"]


def others(db: Db, run_id: int) -> list[RunChoice]:
    """The recorded runs beside this one, those that have most to do with it first, and of these the newest.
    Runs that worked for another one are not among them. Raises NotFound."""
    root = runs.root_of(db, run_id)
    conversation, parent = db.sql.execute(
        "select run.conversation, message.parent from run join message on message.id = run.message "
        "where run.id = ?",
        (root,),
    ).fetchone()
    at = {"run": root, "conversation": conversation, "parent": parent}
    found = db.sql.execute(RELATED, at).fetchall() + db.sql.execute(OTHERS, at).fetchall()
    return [
        RunChoice(id, conversation, title, _in_one_line(question), *more)
        for id, conversation, title, question, *more in found
    ]


def _in_one_line(question: str) -> str:
    words = " ".join(question[:LONGEST_QUESTION].split())
    return f"{words}…" if len(question) > LONGEST_QUESTION else words
