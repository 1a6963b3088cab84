"""The agent loop's invariants, one by one, against a model that says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from alone import Alone

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    Finished,
    HistoryItem,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    ReasoningFinished,
    RunEvent,
    StepFinished,
    StepRetried,
    StepStarted,
    TextDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.loop import Plan, run
from deskside.backend.errors import BadKey, Overloaded, RateLimited, StreamDropped
from deskside.backend.tools.declaration import Tool, tool

Said = ModelEvent | Exception | asyncio.Event | Callable[[], object]


class Script:
    """Says the n-th list at the n-th call: events, an exception to raise, an asyncio.Event to wait for,
    a function to call."""

    name = "test/script"

    def __init__(self, *calls: list[Said]) -> None:
        self.requests: list[ModelRequest] = []
        self.closed = 0
        self._calls = list(calls)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        try:
            for said in self._calls.pop(0):
                if isinstance(said, Exception):
                    raise said
                if isinstance(said, asyncio.Event):
                    await said.wait()
                elif callable(said):
                    said()
                else:
                    yield said
        finally:
            self.closed += 1


class Waits:
    """Stands in for asyncio.sleep and notes what it was asked for."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        self.delays.append(delay_s)


ANSWERED = StepFinished("answered")
TOOL_USE = StepFinished("tool_use")


def asks(name: str, arguments: str = "{}", call_id: str = "") -> ToolRequested:
    return ToolRequested(call_id or f"id-{name}", name, arguments)


@tool(approval="never")
async def add(a: int, b: int = 1) -> str:
    """Add two numbers."""
    return str(a + b)


@tool(approval="never")
def explode() -> str:
    """Raise."""
    raise ValueError("the fuse is wet")


@tool(approval="never", time_limit_s=0.01)
async def never_ends() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return ""


@tool(approval="never")
async def cancels_itself() -> str:
    """End as a tool does that someone cancelled."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()
    return ""


@tool(approval="ask")
async def delete_everything() -> str:
    """Must not run without a yes."""
    raise AssertionError("ran without approval")


def waiting_tool(name: str, started: asyncio.Event, release: asyncio.Event) -> Tool:
    async def wait() -> str:
        """Wait until released."""
        started.set()
        await release.wait()
        return name

    wait.__name__ = name
    return tool(approval="never")(wait)


TOOLS = [add, explode, never_ends, cancels_itself, delete_everything]


def events_of(
    model: Any,
    tools: Sequence[Tool],
    history: list[HistoryItem],
    *,
    sleep: Any = asyncio.sleep,
    **options: Any,
) -> AsyncGenerator[RunEvent, None]:
    """A run with one model, without anybody to ask."""
    plan = Plan([model.name], tools, **options)
    return run(Alone({model.name: model}), plan, history, sleep=sleep)


async def all_of(
    model: Any, tools: Sequence[Tool], history: list[HistoryItem], **options: Any
) -> list[RunEvent]:
    return [event async for event in events_of(model, tools, history, **options)]


def results_by_request(history: list[HistoryItem]) -> list[tuple[str, list[ToolFinished]]]:
    return [
        (
            item.call_id,
            [other for other in history if isinstance(other, ToolFinished) and other.call_id == item.call_id],
        )
        for item in history
        if isinstance(item, ToolRequested)
    ]


async def test_a_plain_answer_is_one_step() -> None:
    history: list[HistoryItem] = [UserText("hi")]
    model = Script([TextDelta("Hel"), TextDelta("lo"), UsageReported(Usage(3, output_tokens=2)), ANSWERED])

    events = await all_of(model, [], history)

    assert [type(each).__name__ for each in events] == [
        "StepStarted", "TextDelta", "TextDelta", "UsageReported", "StepFinished", "Finished",
    ]  # fmt: skip
    assert events[-1] == Finished("answered")
    assert history == [UserText("hi"), AssistantText("Hello")]
    assert model.requests[0].history == [UserText("hi")]


async def test_thoughts_keep_their_place_and_what_the_provider_wants_back() -> None:
    history: list[HistoryItem] = []
    model = Script(
        [ReasoningDelta("a"), ReasoningDelta("b"), ReasoningFinished('{"sig":1}'), TextDelta("x"),
         ReasoningFinished('{"hidden":2}'), TextDelta("y"), ReasoningDelta("open"), ANSWERED]
    )  # fmt: skip

    await all_of(model, [], history)

    assert history == [
        AssistantReasoning("ab", '{"sig":1}', "test/script"),
        AssistantText("x"),
        AssistantReasoning("", '{"hidden":2}', "test/script"),
        AssistantText("y"),
        AssistantReasoning("open", None, "test/script"),
    ]


@pytest.mark.parametrize(
    ("stop_reason", "finished"),
    [("length", "length"), ("refused", "refused"), ("other", "other"), ("tool_use", "other")],
)
async def test_an_answer_that_was_cut_short_is_not_called_answered(stop_reason: Any, finished: Any) -> None:
    events = await all_of(Script([TextDelta("so"), StepFinished(stop_reason)]), [], [])

    assert events[-1] == Finished(finished)


async def test_a_stream_that_just_ends_is_an_error_not_an_answer() -> None:
    history: list[HistoryItem] = []
    model = Script(*[[TextDelta(f"half {n}")] for n in range(4)])

    with pytest.raises(StreamDropped):
        await all_of(model, [], history, sleep=Waits())

    assert history == [AssistantText("half 3")]


# -- invariant 1: every event is yielded before the next side effect -----------------------------


async def test_a_tool_starts_only_after_its_request_and_its_start_were_seen() -> None:
    seen: list[str] = []

    @tool(approval="never")
    async def note() -> str:
        """Note that it ran."""
        seen.append("ran")
        return "ok"

    model = Script([asks("note"), TOOL_USE], [lambda: seen.append("called again"), TextDelta("."), ANSWERED])
    async with aclosing(events_of(model, [note], [])) as events:
        async for event in events:
            await asyncio.sleep(0)  # time for a side effect that started too early
            seen.append(type(event).__name__)

    assert seen == [
        "StepStarted", "ToolRequested", "StepFinished", "ToolStarted", "ran", "ToolFinished",
        "StepStarted", "called again", "TextDelta", "StepFinished", "Finished",
    ]  # fmt: skip


# -- invariant 2: one result for each request ----------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "failed", "says"),
    [
        (asks("add", '{"a": 2, "b": 3}'), False, "5"),
        (asks("add", '{"a": 2}'), False, "3"),
        (asks("explode"), True, "ValueError: the fuse is wet"),
        (asks("explode", ""), True, "ValueError: the fuse is wet"),
        (asks("no_such_tool"), True, "There is no tool named 'no_such_tool'. The tools are: add, explode"),
        (asks("add", '{"a": 2,'), True, "must be one JSON object that fits"),
        (asks("add", '{"a": "two"}'), True, "Expected `int`, got `str` - at `$.a`"),
        (asks("add", '{"a": 2, "c": 3}'), True, "unknown field `c`"),
        (asks("add", "[1, 2]"), True, "Expected `object`, got `array`"),
        (asks("add", '{"a": "\ud83d"}'), True, "must be one JSON object that fits"),
        (asks("add", '{"a": ' * 100_000), True, "must be one JSON object that fits"),
        (asks("never_ends"), True, "'never_ends' was given up after 0.01 s."),
        (asks("delete_everything"), True, "The user did not allow this call."),
        (asks("cancels_itself"), True, "The tool was cancelled before it finished."),
    ],
)
async def test_each_request_gets_one_result_that_the_model_reads(
    request_: ToolRequested, failed: bool, says: str
) -> None:
    history: list[HistoryItem] = [UserText("go")]
    model = Script([request_, TOOL_USE], [TextDelta("done"), ANSWERED])

    events = await all_of(model, TOOLS, history)

    results = [event for event in events if isinstance(event, ToolFinished)]
    assert [(request_.call_id, failed)] == [(each.call_id, each.failed) for each in results]
    assert says in results[0].output
    assert model.requests[1].history == [UserText("go"), request_, results[0]]
    assert events[-1] == Finished("answered")


async def test_a_very_long_result_is_cut_and_says_so() -> None:
    @tool(approval="never")
    def shout() -> str:
        """Say a lot."""
        return "x" * 250_000

    events = await all_of(Script([asks("shout"), TOOL_USE], [ANSWERED]), [shout], [])

    output = next(event.output for event in events if isinstance(event, ToolFinished))
    assert output.endswith("x\n… cut after 200,000 of 250,000 characters.")


async def test_a_result_that_is_no_text_becomes_some() -> None:
    @tool(approval="never")
    def names() -> str:
        """List a file whose name is no UTF-8."""
        return "caf\udce9.txt"

    events = await all_of(Script([asks("names"), TOOL_USE], [ANSWERED]), [names], [])

    assert "caf?.txt" == next(event.output for event in events if isinstance(event, ToolFinished))


async def test_an_error_while_streaming_answers_what_was_already_asked_for() -> None:
    history: list[HistoryItem] = []
    model = Script(*[[TextDelta("let me"), asks("add"), StreamDropped("gone")]] * 4)

    with pytest.raises(StreamDropped):
        await all_of(model, TOOLS, history, sleep=Waits())

    assert history[:2] == [AssistantText("let me"), asks("add")]
    assert [(call_id, len(results)) for call_id, results in results_by_request(history)] == [("id-add", 1)]


async def test_stop_while_the_model_is_streaming_answers_what_it_already_asked_for() -> None:
    history: list[HistoryItem] = []
    stuck = asyncio.Event()
    asked = asyncio.Event()
    model = Script([TextDelta("wait"), asks("add"), asked.set, stuck])
    task = asyncio.create_task(all_of(model, TOOLS, history))
    await asked.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.closed == 1
    assert history[:2] == [AssistantText("wait"), asks("add")]
    assert [(call_id, len(results)) for call_id, results in results_by_request(history)] == [("id-add", 1)]


async def test_stop_while_tools_run_answers_all_and_keeps_the_results_that_were_there() -> None:
    history: list[HistoryItem] = []
    started, never = asyncio.Event(), asyncio.Event()
    slow = waiting_tool("slow", started, never)
    model = Script([asks("slow"), asks("add", '{"a": 1}'), asks("slow", call_id="second"), TOOL_USE])
    task = asyncio.create_task(all_of(model, [slow, add], history))
    await started.wait()
    await asyncio.sleep(0)  # one turn of the loop: `add` is done, its result waits for its place

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each.call_id for each in history if isinstance(each, ToolFinished)] == [
        "id-slow",
        "id-add",
        "second",
    ]
    assert [each.failed for each in history if isinstance(each, ToolFinished)] == [True, False, True]


@pytest.mark.parametrize("seen", range(1, 9))
async def test_closing_between_any_two_events_leaves_no_request_unanswered(seen: int) -> None:
    history: list[HistoryItem] = []
    model = Script(
        [TextDelta("a"), asks("add", '{"a": 1}'), asks("explode"), TOOL_USE], [TextDelta("b"), ANSWERED]
    )
    events = events_of(model, TOOLS, history)
    for _ in range(seen):
        await anext(events)

    await events.aclose()

    assert [1] * len(results_by_request(history)) == [
        len(results) for _, results in results_by_request(history)
    ]
    assert model.closed == len(model.requests)


# -- invariant 3: cancelling ---------------------------------------------------------------------


async def test_a_stopped_run_does_not_wait_for_a_tool_that_will_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deskside.backend.agent.tool_calls.STOP_GRACE_S", 0.01)
    started, release = asyncio.Event(), asyncio.Event()

    @tool(approval="never")
    async def stubborn() -> str:
        """Go on when cancelled."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
        return "late"

    history: list[HistoryItem] = []
    task = asyncio.create_task(all_of(Script([asks("stubborn"), TOOL_USE]), [stubborn], history))
    await started.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(call_id, len(found)) for call_id, found in results_by_request(history)] == [("id-stubborn", 1)]
    release.set()


async def test_stop_while_waiting_for_a_retry_ends_the_run() -> None:
    waiting = asyncio.Event()

    async def sleep(_delay_s: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    model = Script([Overloaded("busy")])
    task = asyncio.create_task(all_of(model, [], [], sleep=sleep))
    await waiting.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(model.requests) == 1


# -- invariant 4: retries and order --------------------------------------------------------------


async def test_a_call_that_failed_before_it_said_anything_is_made_again_in_the_same_step() -> None:
    waits = Waits()
    model = Script(
        [Overloaded("busy")],
        [UsageReported(Usage(5)), StreamDropped("gone")],
        [TextDelta("here"), ANSWERED],
    )

    events = await all_of(model, [], [], sleep=waits)

    assert [event.step for event in events if isinstance(event, StepStarted)] == [0]
    assert [(event.attempt, event.code) for event in events if isinstance(event, StepRetried)] == [
        (1, "overloaded"),
        (2, "stream_dropped"),
    ]
    assert waits.delays == [event.delay_s for event in events if isinstance(event, StepRetried)]
    assert 0.5 <= waits.delays[0] <= 0.625
    assert 1.0 <= waits.delays[1] <= 1.25
    assert events[-1] == Finished("answered")


async def test_a_call_is_retried_three_times_at_most() -> None:
    model = Script(*[[Overloaded(f"busy {n}")] for n in range(5)])

    with pytest.raises(Overloaded, match="busy 3"):
        await all_of(model, [], [], sleep=Waits())

    assert len(model.requests) == 4


@pytest.mark.parametrize(
    "said",
    [TextDelta("a"), ReasoningDelta("a"), ToolCallStarted("1", "add"), asks("add"), ReasoningFinished("{}")],
)
async def test_a_call_that_broke_off_is_made_again_without_what_it_had_said(said: ModelEvent) -> None:
    history: list[HistoryItem] = [UserText("hi")]
    model = Script([said, StreamDropped("gone")], [TextDelta("whole"), ANSWERED])

    events = await all_of(model, TOOLS, history, sleep=Waits())

    retried = [event for event in events if isinstance(event, StepRetried)]
    assert [(0, 1, True)] == [(event.step, event.attempt, event.had_said) for event in retried]
    assert retried[0].call_id not in (
        "",
        next(each.call_id for each in events if isinstance(each, StepStarted)),
    )
    assert [UserText("hi")] == model.requests[1].history
    assert [UserText("hi"), AssistantText("whole")] == history
    assert Finished("answered") == events[-1]


async def test_an_error_that_will_not_go_away_is_not_retried() -> None:
    model = Script([BadKey("no")], [ANSWERED])

    with pytest.raises(BadKey):
        await all_of(model, [], [], sleep=Waits())

    assert len(model.requests) == 1


@pytest.mark.parametrize("asked_s", [7.5, 0.0])
async def test_the_wait_is_what_the_provider_asked_for(asked_s: float) -> None:
    waits = Waits()

    await all_of(Script([RateLimited("slow down", retry_after_s=asked_s)], [ANSWERED]), [], [], sleep=waits)

    assert [asked_s] == waits.delays


async def test_a_wait_that_nobody_sits_out_is_told_at_once() -> None:
    model = Script([RateLimited("slow down", retry_after_s=3600.0)], [ANSWERED])
    waits = Waits()

    with pytest.raises(RateLimited):
        await all_of(model, [], [], sleep=waits)

    assert [] == waits.delays
    assert 1 == len(model.requests)


async def test_tools_run_at_the_same_time_and_answer_in_the_models_order() -> None:
    first_started, second_started = asyncio.Event(), asyncio.Event()
    # Each is released by the other's start: one after the other they would wait for ever.
    first = waiting_tool("first", first_started, second_started)
    second = waiting_tool("second", second_started, first_started)
    history: list[HistoryItem] = []

    async with asyncio.timeout(5):
        events = await all_of(
            Script([asks("first"), asks("second"), TOOL_USE], [ANSWERED]), [second, first], history
        )

    # A result is told when it is there, so that one that takes long keeps no other from the disk.
    assert {"first", "second"} == {event.output for event in events if isinstance(event, ToolFinished)}
    assert [item.output for item in history if isinstance(item, ToolFinished)] == ["first", "second"]


async def test_the_step_limit_ends_a_run_that_would_go_on_for_ever() -> None:
    model = Script(*[[asks("add", '{"a": 1}', f"id-{n}"), TOOL_USE] for n in range(30)])

    events = await all_of(model, TOOLS, [], first_step=4)

    assert len(model.requests) == 20
    assert list(range(4, 24)) == [event.step for event in events if isinstance(event, StepStarted)]
    assert events[-1] == Finished("turn_limit")
    assert len({event.call_id for event in events if isinstance(event, StepStarted)}) == 20
    assert any(isinstance(event, ToolStarted) for event in events)
