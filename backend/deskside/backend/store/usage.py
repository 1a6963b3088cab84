"""What was used: one row for each model call, kept even when its conversation is gone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import Usage
from deskside.backend.log import request_id
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessageUsage
from deskside.backend.store.text import as_json

State = Literal["billed", "estimated", "unknown"]
"""What the cost of a call is: what the provider says itself; its tokens times the price that held when it
was made; or not known, because it has no price or never said what it used."""


Reported = Literal["nothing", "part", "all"]
"""How much of what a call used its provider has told. One that broke off may have used more than `part`."""


class Cost(msgspec.Struct, frozen=True):
    """What one call cost, for good: it is never computed again. `nano_usd` is None where `state` is
    `unknown`, never 0; `price` is the row of the price list that an estimate was computed with."""

    state: State = "unknown"
    nano_usd: int | None = None
    price: dict[str, Any] | None = None


UNKNOWN = Cost()


class UsageRecord(msgspec.Struct, frozen=True):
    """One model call. `model` is `provider/model`, `at_ms` when it began. `conversation_id` is None for a
    call that belongs to none."""

    call_id: str
    run_id: int | None
    model: str
    usage: Usage
    at_ms: int
    cost: Cost = UNKNOWN
    reported: Reported = "nothing"
    agent_id: int | None = None
    conversation_id: int | None = None


class Spent(msgspec.Struct, frozen=True):
    """What was used since a moment. Of `unknown_calls` the price is not known; they are not in the cost."""

    cost_nano_usd: int = 0
    tokens: int = 0
    unknown_calls: int = 0


COLUMNS = (
    "call_id", "run", "provider", "model", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "reported", "cost_nano_usd", "price", "state", "request_id", "at_ms",
    "agent", "conversation"
)  # fmt: skip
INSERT = f"insert into usage_record ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"
# A conversation that is gone by now stays the one in which the call was made.
REPLACE = f"{INSERT} on conflict (call_id) do update set " + ", ".join(
    f"{column} = ifnull(excluded.{column}, usage_record.{column})"
    if column == "conversation"
    else f"{column} = excluded.{column}"
    for column in COLUMNS
    if column != "call_id"
)
# The call is known; where its conversation was deleted, that has come back.
KEEP = f"""{INSERT} on conflict (call_id) do update
  set run = excluded.run, conversation = excluded.conversation where usage_record.run is null"""


def record(db: Db, used: UsageRecord) -> None:
    """Keep what a call used. A later report of the same call replaces the earlier one."""
    _insert(db, REPLACE, used, request_id.get())


def keep(db: Db, used: UsageRecord, of_request: str) -> None:
    """Keep what a call used that was made elsewhere, or before. What one cost that is there already stays."""
    _insert(db, KEEP, used, of_request)


def _insert(db: Db, sql: str, used: UsageRecord, of_request: str) -> None:
    usage, cost = used.usage, used.cost
    values = (
        used.call_id,
        used.run_id,
        used.model.partition("/")[0],
        used.model,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        used.reported,
        cost.nano_usd,
        None if cost.price is None else as_json(cost.price),
        cost.state,
        of_request,
        used.at_ms,
        used.agent_id,
        None if used.conversation_id is None else _conversation(db, used.conversation_id),
    )
    db.sql.execute(sql, values)


def _conversation(db: Db, conversation_id: int) -> int | None:
    """The row that stands for a conversation in the ledger; None for one that is gone."""
    sql, find = db.sql, "select id from usage_conversation where conversation = ?"
    row = sql.execute(find, (conversation_id,)).fetchone()
    if row is None:
        sql.execute(
            "insert into usage_conversation (conversation) select id from conversation where id = ?",
            (conversation_id,),
        )
        row = sql.execute(find, (conversation_id,)).fetchone()
    return None if row is None else int(row[0])


def of_running(db: Db, message_id: int) -> MessageUsage:
    """What the run that writes this message has used, and all that work for it."""
    row = db.sql.execute(
        "with recursive working (id) as (select id from run where message = ? and status = 'running' "
        "union select run.id from working join run on run.parent = working.id) "
        "select ifnull(sum(input_tokens), 0), ifnull(sum(cache_read_tokens), 0), "
        "ifnull(sum(cache_write_tokens), 0), ifnull(sum(output_tokens), 0), ifnull(sum(reasoning_tokens), 0) "
        "from usage_record where run in (select id from working)",
        (message_id,),
    ).fetchone()
    return MessageUsage(*row)


def spent(db: Db, agent_id: int | None, since_ms: int) -> Spent:
    """What was used since then (Unix milliseconds): by one agent, or by all of them where it is None."""
    whose, values = ("agent = ? and", [agent_id]) if agent_id is not None else ("", [])
    row = db.sql.execute(
        "select ifnull(sum(cost_nano_usd), 0), ifnull(sum(input_tokens + cache_read_tokens "
        "+ cache_write_tokens + output_tokens), 0), ifnull(sum(cost_nano_usd is null), 0) "
        f"from usage_record where {whose} at_ms >= ?",
        (*values, since_ms),
    ).fetchone()
    return Spent(*row)
