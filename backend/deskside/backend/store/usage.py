"""What was used: one row for each model call, kept even when its conversation is gone."""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.agent.events import Usage
from deskside.backend.log import request_id
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessageUsage
from deskside.backend.store.text import as_json


class UsageRecord(msgspec.Struct, frozen=True):
    """One model call. `model` is `provider/model`. `price` is the row of the price list that
    `cost_nano_usd` was computed with; both are None where the price is not known."""

    call_id: str
    run_id: int | None
    model: str
    usage: Usage
    at_ms: int
    cost_nano_usd: int | None = None
    price: dict[str, Any] | None = None
    agent_id: int | None = None


class Spent(msgspec.Struct, frozen=True):
    """What was used since a moment. Of `unknown_calls` the price is not known; they are not in the cost."""

    cost_nano_usd: int = 0
    tokens: int = 0
    unknown_calls: int = 0


def record(db: Db, used: UsageRecord) -> None:
    """Keep what a call used. A later report of the same call replaces the earlier one."""
    provider, _, _ = used.model.partition("/")
    usage = used.usage
    db.sql.execute(
        "insert into usage_record (call_id, run, provider, model, input_tokens, cache_read_tokens, "
        "cache_write_tokens, output_tokens, reasoning_tokens, cost_nano_usd, price, request_id, at_ms, "
        "agent) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (call_id) do update set "
        "run = excluded.run, provider = excluded.provider, model = excluded.model, "
        "input_tokens = excluded.input_tokens, cache_read_tokens = excluded.cache_read_tokens, "
        "cache_write_tokens = excluded.cache_write_tokens, output_tokens = excluded.output_tokens, "
        "reasoning_tokens = excluded.reasoning_tokens, cost_nano_usd = excluded.cost_nano_usd, "
        "price = excluded.price, request_id = excluded.request_id, at_ms = excluded.at_ms, "
        "agent = excluded.agent",
        (
            used.call_id,
            used.run_id,
            provider,
            used.model,
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            used.cost_nano_usd,
            None if used.price is None else as_json(used.price),
            request_id.get(),
            used.at_ms,
            used.agent_id,
        ),
    )


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
