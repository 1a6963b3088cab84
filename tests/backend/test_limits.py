"""Limits: what is said before a call passes one, and that none is passed."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from deskside.backend.agent.budgets import Budgets, WorkingRun
from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    ModelRequest,
    ToolFinished,
    ToolRequested,
    ToolSpec,
    Usage,
    UserText,
)
from deskside.backend.agent.limits import (
    AgentLimits,
    Limit,
    Limits,
    NextCall,
    RunLimit,
    Use,
    day_start_ms,
    dollars,
    month_start_ms,
    time_exceeded,
    tools_exceeded,
)
from deskside.backend.agent.request_size import estimated_tokens
from deskside.backend.settings import SettingsStore
from deskside.backend.store import agents, usage
from deskside.backend.store.agents import Agent, AgentRow
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.usage import UNKNOWN, Cost, Spent, UsageRecord
from stores import paths_in

NOON = datetime(2026, 11, 20, 12)
MORNING_MS = int(datetime(2026, 11, 20, 8).timestamp() * 1000)
CENT = 10_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(paths_in(tmp_path)) as store:
        yield store


async def agent(store: Store, name: str = "critic", **limits: Any) -> AgentRow:
    return await store.write(
        agents.create, Agent(name=name, label=name.title(), limits=AgentLimits(**limits))
    )


def budgets(store: Store, **limits: Limit) -> Budgets:
    settings = SimpleNamespace(current=SimpleNamespace(limits=Limits(**limits)))
    return Budgets(store, cast(SettingsStore, settings))


def call(call_id: str = "call", *, cents: int | None = 0, tokens: int = 0) -> NextCall:
    return NextCall(call_id, "openai/gpt-x", tokens, None if cents is None else cents * CENT)


async def use(
    store: Store, agent_id: int | None, *, cents: int | None = 0, tokens: int = 0, at_ms: int = MORNING_MS
) -> None:
    cost = None if cents is None else cents * CENT
    call_id = f"{agent_id}-{at_ms}-{cents}-{tokens}"
    known = UNKNOWN if cost is None else Cost("estimated", cost)
    record = UsageRecord(call_id, None, "openai/gpt-x", Usage(tokens), at_ms, known, agent_id=agent_id)
    await store.write(usage.record, record)


# -- what is said -------------------------------------------------------------------------------


async def test_a_call_that_could_pass_a_limit_is_told_in_a_sentence(store: Store) -> None:
    row = await agent(store, day=Limit(400 * CENT), month=Limit(tokens=1000), run=RunLimit(50 * CENT, 900))
    await use(store, row.id, cents=390, tokens=500)
    of_all = budgets(store, day=Limit(500 * CENT), month=Limit(tokens=800))
    await use(store, None, cents=78, tokens=200)
    run = WorkingRun(1, row, Use(cost_nano_usd=5 * CENT, tokens=100))
    lifted: set[Any] = set()
    said = []
    while exceeded := await of_all.admit([run], call(cents=46, tokens=850), lifted=lifted, now=NOON):
        said.append(exceeded.text)
        lifted.add(exceeded.key)

    assert [
        "This call could cost up to $0.46 and bring this run to $0.51; "
        "the limit of “Critic” is $0.50 for a run.",
        "This call could use up to 850 tokens and bring this run to 950; "
        "the limit of “Critic” is 900 tokens for a run.",
        "This call could cost up to $0.46 and bring “Critic” today to $4.36; "
        "the limit of “Critic” is $4.00 for a day.",
        "This call could use up to 850 tokens and bring “Critic” this month to 1,350; "
        "the limit of “Critic” is 1,000 tokens for a month.",
        "This call could cost up to $0.46 and bring today to $5.14; your limit is $5.00 for a day.",
        "This call could use up to 850 tokens and bring this month to 1,550; "
        "your limit is 800 tokens for a month.",
    ] == said


async def test_a_limit_in_money_cannot_be_kept_where_the_price_is_not_known(store: Store) -> None:
    row = await agent(store)
    exceeded = await budgets(store, month=Limit(500 * CENT)).admit(
        [WorkingRun(1, row, Use())], call(cents=None), now=NOON
    )

    assert exceeded is not None
    assert ("month", "cost") == exceeded.key
    assert (
        "The price of openai/gpt-x is not known, so your limit of $5.00 for a month cannot be kept. "
        "A limit in tokens could be." == exceeded.text
    )


async def test_what_reaches_a_limit_does_not_pass_it_and_free_calls_pass_none(store: Store) -> None:
    row = await agent(store, run=RunLimit(100, 50))
    nothing = await agent(store, "thrifty", run=RunLimit(0))

    exact = NextCall("exact", "m", 20, 60)
    assert None is await budgets(store).admit([WorkingRun(1, row, Use(40, 30))], exact)
    assert None is await budgets(store).admit([WorkingRun(1, nothing, Use())], NextCall("free", "m", 9, 0))
    assert None is not await budgets(store).admit([WorkingRun(1, nothing, Use())], NextCall("c", "m", 9, 1))


def test_time_and_tool_calls_of_a_run_are_told_in_a_sentence() -> None:
    limit = RunLimit(seconds=150, tool_calls=3)

    assert [] == time_exceeded(limit, Use(seconds=149.9), "Critic")
    assert [
        "This run has worked for 2 minutes 31 seconds; "
        "the limit of “Critic” is 2 minutes 30 seconds for a run."
    ] == [each.text for each in time_exceeded(limit, Use(seconds=151.2), "Critic")]
    assert [] == tools_exceeded(limit, Use(tool_calls=1), 2, "Critic")
    assert [
        "The model asks for 1 more tool call, which would be 4 in this run; "
        "the limit of “Critic” is 3 for a run."
    ] == [each.text for each in tools_exceeded(limit, Use(tool_calls=3), 1, "Critic")]


@pytest.mark.parametrize(
    ("nano_usd", "said"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (4_200_000, "$0.004"),
        (420_000_000, "$0.42"),
        (1_234_567_891_000, "$1,234.57"),
    ],
)
def test_an_amount_says_something_however_small(nano_usd: int, said: str) -> None:
    assert said == dollars(nano_usd)


async def test_a_total_never_reads_like_the_limit_that_it_passes(store: Store) -> None:
    row = await agent(store, run=RunLimit(5_000_000_000))
    exceeded = await budgets(store).admit(
        [WorkingRun(1, row, Use(4_999_000_000))], NextCall("c", "m", 0, 1_200_000)
    )

    assert exceeded is not None
    assert "bring this run to $5.0002; the limit of “Critic” is $5.00 for a run" in exceeded.text


# -- what counts --------------------------------------------------------------------------------


async def test_calls_under_way_count_at_their_worst_until_they_are_settled(store: Store) -> None:
    row = await agent(store)
    of_all = budgets(store, day=Limit(10 * CENT))
    run = WorkingRun(1, row, Use())

    assert None is await of_all.admit([run], call("one", cents=6), now=NOON)
    assert None is not await of_all.admit([run], call("two", cents=6), now=NOON)
    await use(store, row.id, cents=1)
    of_all.settle("one")
    assert None is await of_all.admit([run], call("two", cents=6), now=NOON)
    of_all.settle("never admitted")


async def test_an_agent_stays_inside_the_run_that_it_works_for(store: Store) -> None:
    chief = await agent(store, "chief", run=RunLimit(10 * CENT))
    helper = await agent(store, "helper", run=RunLimit(100 * CENT))
    above = WorkingRun(1, chief, Use(2 * CENT))
    of_all = budgets(store)

    assert None is await of_all.admit([WorkingRun(2, helper, Use()), above], call("one", cents=5))
    beside = await of_all.admit([WorkingRun(3, helper, Use()), above], call("two", cents=5))
    assert beside is not None
    assert "bring this run to $0.12; the limit of “Chief” is $0.10" in beside.text
    assert None is await of_all.admit([WorkingRun(4, helper, Use())], call("three", cents=5))


async def test_only_what_is_since_midnight_and_of_the_agent_counts(store: Store) -> None:
    one, other = await agent(store), await agent(store, "other")
    midnight_ms = day_start_ms(NOON)
    await use(store, one.id, cents=3, tokens=7, at_ms=midnight_ms)
    await use(store, one.id, cents=5, tokens=11, at_ms=midnight_ms - 1)
    await use(store, one.id, cents=None, tokens=13, at_ms=midnight_ms + 1)
    await use(store, other.id, cents=8, tokens=17, at_ms=midnight_ms)

    assert Spent(3 * CENT, 20, 1) == await store.read(usage.spent, one.id, midnight_ms)
    assert Spent(11 * CENT, 37, 1) == await store.read(usage.spent, None, midnight_ms)
    assert Spent(16 * CENT, 48, 1) == await store.read(usage.spent, None, month_start_ms(NOON))
    assert Spent() == await store.read(usage.spent, 4711, 0)


async def test_what_an_agent_used_is_found_without_reading_what_others_did(store: Store) -> None:
    plan = await store.read(
        lambda db: db.sql.execute(
            "explain query plan select sum(cost_nano_usd) from usage_record where agent = 1 and at_ms >= 2"
        ).fetchall()
    )

    assert "usage_record_by_agent (agent=? AND at_ms>?)" in plan[0][3]


@pytest.fixture
def new_york() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_days_and_months_are_those_on_the_wall() -> None:
    # On 8 March 2026 the clock goes from 2 to 3; on 1 March it is still UTC-5.
    after_the_change = datetime(2026, 3, 8, 15)

    assert 1_772_946_000_000 == day_start_ms(after_the_change)
    assert 1_772_341_200_000 == month_start_ms(after_the_change)
    assert "America/New_York" == os.environ["TZ"]


# -- how much a request is ----------------------------------------------------------------------


def test_a_request_is_guessed_from_all_of_its_text() -> None:
    parts = ModelRequest(
        [
            UserText("u" * 350),
            AssistantReasoning("r" * 35, "p" * 35),
            AssistantText("日本語"),
            ToolRequested("c" * 7, "n" * 7, "a" * 21),
            ToolFinished("c" * 7, "o" * 3500),
        ],
        instructions="i" * 70,
        tools=[ToolSpec("t" * 7, "d" * 28, {"type": "object", "properties": {}})],
    )
    schema = len(msgspec.json.encode(parts.tools[0].parameters))

    expected = (350 + 35 + 35 + 7 + 7 + 21 + 7 + 3500 + 70 + 7 + 28 + schema) / 3.5 + 3 + 7 * 6
    assert round(expected) == estimated_tokens(parts)
