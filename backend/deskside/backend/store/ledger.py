"""The ledger read: what was used in a month, by one conversation, and every row of it.

Invariant
  - Every sum is SQLite's over the whole nano-dollars of the same rows, so that the parts of a month always
    make its total. A row without a known cost adds nothing to a sum, and is counted beside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

import msgspec

from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessageUsage

MOST_PARTS = 50
SUMS = (
    "count(*), ifnull(sum(cost_nano_usd), 0), ifnull(sum(state = 'billed'), 0), "
    "ifnull(sum(state = 'unknown'), 0), ifnull(sum(state <> 'unknown' and reported = 'part'), 0), "
    "ifnull(sum(input_tokens), 0), ifnull(sum(cache_read_tokens), 0), "
    "ifnull(sum(cache_write_tokens), 0), ifnull(sum(output_tokens), 0), ifnull(sum(reasoning_tokens), 0)"
)
DAY = "date(at_ms / 1000, 'unixepoch', 'localtime')"
AGENT = "(select iif(label = '', name, label) from agent where agent.id = {})"
CONVERSATION = """(select conversation.title from usage_conversation
  join conversation on conversation.id = usage_conversation.conversation where usage_conversation.id = {})"""
GONE = "(select conversation is null from usage_conversation where usage_conversation.id = {})"
HEADINGS = (
    "time", "provider", "model", "agent", "conversation_id", "conversation", "state", "reported", "cost_usd",
    "cost_nano_usd", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "price", "call_id", "request_id"
)  # fmt: skip
# A spreadsheet takes a cell that begins so for a formula, and titles are other people's words, too.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Sum(msgspec.Struct, frozen=True):
    """What `calls` model calls cost and used. The cost of `unknown_calls` of them is not known, and not in
    `cost_nano_usd`; that of `billed_calls` is what the provider said, that of the others tokens times their
    price. Of `partial_calls` the provider did not tell all that was used: they may have cost more."""

    calls: int
    cost_nano_usd: int
    billed_calls: int
    unknown_calls: int
    partial_calls: int
    usage: MessageUsage


class Part(msgspec.Struct, frozen=True):
    """One part of a total. `id` is the day, the model, the agent's number or the ledger's own of the
    conversation that it is for; None for calls that are of none. `name` is what the user calls it;
    `is_gone`: a conversation that was deleted for good, and its name with it. `first_ms` is when the first of
    the calls was made."""

    id: str | int | None
    name: str
    first_ms: int
    sum: Sum
    is_gone: bool = False


class Parts(msgspec.Struct, frozen=True):
    """The parts that cost most, and the sum of the `more` others, which is None where there are none."""

    parts: list[Part]
    more: int
    rest: Sum | None


class Month(msgspec.Struct, frozen=True):
    """What was used in a month of the calendar on the wall. `days` are those with calls."""

    total: Sum
    days: list[Part]
    models: Parts
    agents: Parts
    conversations: Parts
    first_ms: int | None


class MessageSum(msgspec.Struct, frozen=True):
    """What a reply cost, with the work of other agents for it."""

    message_id: int
    sum: Sum


class ConversationUsage(msgspec.Struct, frozen=True):
    """What a conversation cost so far, with all its versions, its title and other agents' work; and what
    each of its replies did."""

    total: Sum
    messages: list[MessageSum]


def month(db: Db, from_ms: int, until_ms: int) -> Month:
    """The rows of a time (Unix milliseconds, without `until_ms` itself) and of each of its parts. `first_ms`
    is when the first row of all was made."""
    when, span = "at_ms >= ? and at_ms < ?", (from_ms, until_ms)

    def by(key: str, name: str = "{}", is_gone: str = "0") -> list[Part]:
        found = db.sql.execute(
            f"select part.id, {name.format('part.id')}, {is_gone.format('part.id')}, part.* "
            f"from (select {key} as id, min(at_ms), {SUMS} from usage_record where {when} group by 1) part",
            span,
        )
        return [
            Part(id, name or "", first_ms, _sum(*sums), bool(gone))
            for id, name, gone, _, first_ms, *sums in found
        ]

    (first_ms,) = db.sql.execute("select min(at_ms) from usage_record").fetchone()
    return Month(
        total=_total(db, when, *span),
        days=by(DAY),
        models=_most(by("model")),
        agents=_most(by("agent", AGENT)),
        conversations=_most(by("conversation", CONVERSATION, GONE)),
        first_ms=first_ms,
    )


def of_conversation(db: Db, conversation_id: int) -> ConversationUsage:
    """What a conversation and each of its replies cost so far."""
    when = "conversation = (select id from usage_conversation where conversation = ?)"
    found = db.sql.execute(
        "with recursive working (id, message) as (select id, message from run where conversation = ?1 and "
        "parent is null union all select run.id, working.message from working join run "
        f"on run.parent = working.id) select working.message, {SUMS} from usage_record "
        "join working on working.id = usage_record.run where working.message is not null group by 1",
        (conversation_id,),
    )
    return ConversationUsage(
        total=_total(db, when, conversation_id),
        messages=[MessageSum(message_id, _sum(*sums)) for message_id, *sums in found],
    )


def as_csv(db: Db, from_ms: int, until_ms: int) -> str:
    """Every row of a time, the oldest first, with a line of headings. Costs are exact; an empty one is not
    known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    writer.writerows(_lines(db, from_ms, until_ms))
    return text.getvalue()


def _lines(db: Db, from_ms: int, until_ms: int) -> Iterator[list[object]]:
    agent, title = AGENT.format("usage_record.agent"), CONVERSATION.format("usage_record.conversation")
    found = db.sql.execute(
        f"select at_ms, provider, model, {agent}, conversation, {title}, state, reported, cost_nano_usd, "
        "input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, price, "
        "call_id, request_id from usage_record where at_ms >= ? and at_ms < ? order by at_ms, id",
        (from_ms, until_ms),
    )
    for at_ms, provider, model, agent, conversation, title, state, reported, cost, *rest in found:
        time = datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="seconds")
        dollars = None if cost is None else f"{cost // 10**9}.{cost % 10**9:09}"
        texts = [_plain(each) for each in (provider, model, agent)]
        yield [time, *texts, conversation, _plain(title), state, reported, dollars, cost, *rest]


def _plain(text: str | None) -> str | None:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text is not None and text.startswith(FORMULA_STARTS) else text


def _most(parts: list[Part]) -> Parts:
    """The parts that cost most, and the sum of the others."""
    parts.sort(key=lambda part: (-part.sum.cost_nano_usd, -part.sum.calls, str(part.id)))
    others = [part.sum for part in parts[MOST_PARTS:]]
    return Parts(parts[:MOST_PARTS], len(others), _added(others) if others else None)


def _added(sums: list[Sum]) -> Sum:
    """Whole numbers, so exactly what SQLite would make of their rows."""
    tokens = MessageUsage.__struct_fields__
    return Sum(
        calls=sum(each.calls for each in sums),
        cost_nano_usd=sum(each.cost_nano_usd for each in sums),
        billed_calls=sum(each.billed_calls for each in sums),
        unknown_calls=sum(each.unknown_calls for each in sums),
        partial_calls=sum(each.partial_calls for each in sums),
        usage=MessageUsage(**{name: sum(getattr(each.usage, name) for each in sums) for name in tokens}),
    )


def _total(db: Db, where: str, *values: object) -> Sum:
    return _sum(*db.sql.execute(f"select {SUMS} from usage_record where {where}", values).fetchone())


def _sum(calls: int, cost: int, billed: int, unknown: int, partial: int, *tokens: int) -> Sum:
    return Sum(calls, cost, billed, unknown, partial, MessageUsage(*tokens))
