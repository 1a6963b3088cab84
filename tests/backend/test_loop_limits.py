"""When a run cannot simply go on: other models, no more steps, no more room, the user's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from alone import Alone
from msgspec.structs import replace
from test_loop import ANSWERED, TOOL_USE, Script, Waits, add, asks, delete_everything

from deskside.backend.agent import compaction
from deskside.backend.agent.events import (
    AnswerForced,
    ApprovalQuestion,
    AssistantText,
    Finished,
    HistoryCompacted,
    HistoryItem,
    HistoryTrimmed,
    ModelEvent,
    ModelFellBack,
    ModelRequest,
    OutputRepaired,
    Paused,
    Resumed,
    RunEvent,
    SideCallStarted,
    Steered,
    StepRetried,
    StepStarted,
    Summary,
    TextDelta,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.loop import Plan, run
from deskside.backend.errors import BadKey, ContentRefused, ContextTooLong, Overloaded, StreamDropped
from deskside.backend.tools.declaration import Tool, tool


def named(name: str, *calls: Any) -> Script:
    script = Script(*calls)
    script.name = name
    return script


async def play(
    host: Alone,
    history: list[HistoryItem],
    tools: Sequence[Tool] = (),
    models: Sequence[str] | None = None,
    **options: Any,
) -> list[RunEvent]:
    plan = Plan(models or list(host.models), tools, **options)
    return [event async for event in run(host, plan, history, sleep=Waits())]


def of(kind: type, events: Sequence[RunEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# -- other models --------------------------------------------------------------------------------


async def test_the_next_model_answers_when_one_fails_for_good() -> None:
    first, second = named("a/one", [BadKey("no")]), named("b/two", [TextDelta("hi"), ANSWERED])
    history: list[HistoryItem] = [UserText("?")]

    events = await play(Alone({"a/one": first, "b/two": second}), history)

    fell_back = of(ModelFellBack, events)
    assert [("a/one", "b/two", "bad_key", False)] == [
        (each.failed_model, each.model, each.code, each.had_said) for each in fell_back
    ]
    assert [UserText("?"), AssistantText("hi")] == history
    assert Finished("answered") == events[-1]


async def test_a_model_that_is_not_to_be_had_is_passed_over() -> None:
    second = named("b/two", [TextDelta("hi"), ANSWERED])

    events = await play(Alone({"b/two": second}), [], models=["a/none", "b/two"])

    assert ["no_key"] == [each.code for each in of(ModelFellBack, events)]
    assert Finished("answered") == events[-1]


async def test_faults_that_pass_are_sat_out_before_another_model_is_asked() -> None:
    first = named("a/one", *[[Overloaded("busy")]] * 4)
    second = named("b/two", [TextDelta("hi"), ANSWERED])

    events = await play(Alone({"a/one": first, "b/two": second}), [])

    assert 4 == len(first.requests)
    assert ["overloaded"] == [each.code for each in of(ModelFellBack, events)]


async def test_the_run_goes_on_with_the_model_it_fell_back_to() -> None:
    first = named("a/one", [BadKey("no")])
    second = named("b/two", [asks("add", '{"a": 1}'), TOOL_USE], [TextDelta("2"), ANSWERED])

    events = await play(Alone({"a/one": first, "b/two": second}), [], [add])

    assert 1 == len(first.requests)
    assert ["a/one", "b/two"] == [each.model for each in of(StepStarted, events)]


async def test_what_a_provider_will_not_answer_is_not_asked_elsewhere() -> None:
    first, second = named("a/one", [ContentRefused("no")]), named("b/two")

    with pytest.raises(ContentRefused):
        await play(Alone({"a/one": first, "b/two": second}), [])

    assert [] == second.requests


async def test_the_last_models_error_is_raised() -> None:
    host = Alone({"a/one": named("a/one", [BadKey("a")]), "b/two": named("b/two", [BadKey("b")])})

    with pytest.raises(BadKey, match="b"):
        await play(host, [])


# -- no more steps -------------------------------------------------------------------------------


async def test_the_last_step_is_an_answer_without_tools() -> None:
    model = named(
        "a/one",
        *[[asks("add", '{"a": 1}', f"id-{n}"), TOOL_USE] for n in range(2)],
        [TextDelta("as far as I got"), ANSWERED],
    )
    history: list[HistoryItem] = [UserText("go")]

    events = await play(Alone({"a/one": model}), history, [add], step_limit=3)

    assert [True, True, False] == [each.may_use_tools for each in model.requests]
    assert "all the steps" in getattr(model.requests[2].history[-1], "text", "")
    assert ["step_limit"] == [each.reason for each in of(AnswerForced, events)]
    assert AssistantText("as far as I got") == history[-1]
    assert Finished("answered") == events[-1]


async def test_calls_that_cannot_be_understood_are_mended_three_times_and_then_forbidden() -> None:
    model = named(
        "a/one",
        *[[asks("no_such_tool", call_id=f"id-{n}"), TOOL_USE] for n in range(4)],
        [TextDelta("then without"), ANSWERED],
    )

    events = await play(Alone({"a/one": model}), [], [add])

    assert [True, True, True, True, False] == [each.may_use_tools for each in model.requests]
    assert ["bad_calls"] == [each.reason for each in of(AnswerForced, events)]
    assert Finished("answered") == events[-1]


async def test_a_call_that_is_mended_counts_no_more() -> None:
    bad = [asks("add", "{", "bad"), TOOL_USE]
    good = [asks("add", '{"a": 1}', "good"), TOOL_USE]
    model = named("a/one", bad, bad, bad, good, bad, bad, bad, good, [TextDelta("done"), ANSWERED])

    events = await play(Alone({"a/one": model}), [], [add])

    assert [] == of(AnswerForced, events)
    assert Finished("answered") == events[-1]


# -- tools ---------------------------------------------------------------------------------------


async def test_no_more_tools_run_at_once_than_may() -> None:
    running = most = 0

    @tool(approval="never")
    async def work() -> str:
        """Work a little."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return "done"

    model = named("a/one", [*(asks("work", call_id=str(n)) for n in range(9)), TOOL_USE], [ANSWERED])
    history: list[HistoryItem] = []

    await play(Alone({"a/one": model}), history, [work], parallel_tools=3)

    assert 3 == most
    assert [str(n) for n in range(9)] == [each.call_id for each in of(ToolFinished, history)]


async def test_a_tool_that_needs_a_yes_runs_only_with_one() -> None:
    ran: list[str] = []

    @tool(approval="ask", effect="write")
    async def write() -> str:
        """Change something."""
        ran.append("write")
        return "written"

    yes = ApprovalQuestion([], "write", decision="approved")
    for answer, expected in ((None, []), (yes, ["write"])):
        ran.clear()
        model = named("a/one", [asks("write"), TOOL_USE], [ANSWERED])
        host = Alone({"a/one": model}, answer=answer)

        events = await play(host, [], [write])

        assert expected == ran
        assert ["write"] == [name for name, _ in host.asked]
        kinds = [type(each) for each in events]
        assert kinds.index(ToolWaiting) < kinds.index(ToolDecided)
        assert (ToolStarted in kinds) == bool(expected)


async def test_what_the_user_says_of_a_refusal_is_read_by_the_model() -> None:
    no = ApprovalQuestion([], "read", decision="denied", reason="not before Monday")
    model = named("a/one", [asks("delete_everything"), TOOL_USE], [ANSWERED])

    await play(Alone({"a/one": model}, answer=no), [], [delete_everything])

    result = model.requests[1].history[-1]
    assert isinstance(result, ToolFinished)
    assert "The user did not allow this call. They say: not before Monday" == result.output


async def test_a_call_that_waits_holds_up_no_other() -> None:
    let_go = asyncio.Event()

    class Slow(Alone):
        async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
            await let_go.wait()
            return await super().decision(request, question)

    model = named("a/one", [asks("delete_everything"), asks("add", '{"a": 1}'), TOOL_USE], [ANSWERED])
    seen: list[str] = []

    async with asyncio.timeout(5):
        async for event in run(Slow({"a/one": model}), Plan(["a/one"], [delete_everything, add]), []):
            if isinstance(event, ToolFinished):
                seen.append(event.call_id)
                let_go.set()

    assert ["id-add", "id-delete_everything"] == seen


async def test_a_history_with_open_calls_is_gone_on_with_by_answering_them() -> None:
    open_call = asks("add", '{"a": 2}', "open")
    history: list[HistoryItem] = [
        UserText("go"), asks("add", "{}", "done"), open_call, ToolFinished("done", "1"),
    ]  # fmt: skip
    model = named("a/one", [TextDelta("3"), ANSWERED])

    events = await play(Alone({"a/one": model}), history, [add], first_step=1)

    assert ["open"] == [each.call_id for each in of(ToolFinished, events)]
    assert "3" == of(ToolFinished, events)[0].output
    assert 1 == len(model.requests)
    assert [1] == [each.step for each in of(StepStarted, events)]


# -- the user's words ----------------------------------------------------------------------------


async def test_what_the_user_says_meanwhile_is_read_at_the_next_step() -> None:
    host = Alone({})
    model = named(
        "a/one",
        [lambda: host.steering.append(Steered(7, "in French")), asks("add", '{"a": 1}'), TOOL_USE],
        [TextDelta("deux"), ANSWERED],
    )
    host.models = {"a/one": model}

    events = await play(host, [UserText("1 + 1?")], [add])

    assert [Steered(7, "in French")] == of(Steered, events)
    assert UserText("in French") == model.requests[1].history[-1]


async def test_what_is_said_while_the_last_words_come_gets_an_answer_too() -> None:
    host = Alone({})
    model = named(
        "a/one",
        [TextDelta("two"), lambda: host.steering.append(Steered(7, "in French")), ANSWERED],
        [TextDelta("deux"), ANSWERED],
    )
    host.models = {"a/one": model}
    history: list[HistoryItem] = [UserText("1 + 1?")]

    events = await play(host, history)

    assert [
        UserText("1 + 1?"), AssistantText("two"), UserText("in French"), AssistantText("deux"),
    ] == history  # fmt: skip
    assert 1 == len(of(Finished, events))


# -- limits --------------------------------------------------------------------------------------


async def test_a_call_that_could_pass_a_limit_waits_for_the_users_word() -> None:
    for goes_on, calls, reason in ((True, 1, "answered"), (False, 0, "limit")):
        model = named("a/one", [TextDelta("hi"), ANSWERED])
        host = Alone({"a/one": model})
        host.exceeded, host.goes_on = ["This could cost $5."], goes_on

        events = await play(host, [])

        assert [Paused("This could cost $5.", "run.cost"), Resumed(goes_on)] == events[:2]
        assert calls == len(model.requests)
        assert Finished(reason) == events[-1]  # type: ignore[arg-type]


async def test_a_retry_may_pass_a_limit_as_well() -> None:
    model = named("a/one", [TextDelta("half"), StreamDropped("gone")])
    host = Alone({"a/one": model})
    host.exceeded = [None, "Enough."]
    history: list[HistoryItem] = []

    events = await play(host, history)

    assert [Paused("Enough.", "run.cost")] == of(Paused, events)
    assert Finished("limit") == events[-1]
    assert [AssistantText("half")] == history


# -- the form of the answer ----------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_an_answer_that_does_not_fit_its_schema_is_asked_for_once_more() -> None:
    model = named(
        "a/one", [TextDelta('{"n": "x"}'), ANSWERED], [TextDelta('```json\n{"n": 1}\n```'), ANSWERED]
    )

    events = await play(Alone({"a/one": model}), [], output_schema=SCHEMA)

    repaired = of(OutputRepaired, events)
    assert ['{"n": "x"}'] == [each.rejected for each in repaired]
    assert "in n, 'x' is not of type 'integer'." == repaired[0].problem
    assert "does not fit the JSON Schema" in getattr(model.requests[1].history[-1], "text", "")
    assert all(each.output_schema == SCHEMA for each in model.requests)
    assert Finished("answered") == events[-1]


async def test_an_answer_that_is_wrong_twice_is_not_called_answered() -> None:
    model = named("a/one", [TextDelta("no JSON"), ANSWERED], [TextDelta("{}"), ANSWERED])

    events = await play(Alone({"a/one": model}), [], output_schema=SCHEMA)

    assert Finished("invalid_output") == events[-1]


# -- room ----------------------------------------------------------------------------------------


def long_history(turns: int, size: int) -> list[HistoryItem]:
    history: list[HistoryItem] = []
    for n in range(turns):
        history += [
            UserText(f"question {n}"), asks("add", "{}", str(n)), ToolFinished(str(n), "x" * size),
            AssistantText(f"answer {n}"),
        ]  # fmt: skip
    return [*history, UserText("and now?")]


async def test_old_results_of_tools_are_left_out_first() -> None:
    model = named("a/one", [TextDelta("fine"), ANSWERED])
    host = Alone({"a/one": model})
    host.context_size = 8_000
    history = long_history(10, 3_000)

    events = await play(host, history)

    assert [7] == [each.results for each in of(HistoryTrimmed, events)]
    assert [] == of(HistoryCompacted, events)
    outputs = [each.output for each in of(ToolFinished, history)]
    assert [compaction.TRIMMED] * 7 + ["x" * 3_000] * 3 == outputs
    assert UserText("question 0") == history[0]


async def test_then_a_summary_stands_for_what_is_old() -> None:
    model = named(
        "a/one",
        [TextDelta("They asked ten things."), UsageReported(Usage(9)), ANSWERED],
        [TextDelta("fine"), ANSWERED],
    )
    host = Alone({"a/one": model})
    host.context_size = 2_000
    history = long_history(10, 3_000)

    events = await play(host, history)

    assert [SideCallStarted, UsageReported, HistoryCompacted] == [
        type(each) for each in events if isinstance(each, SideCallStarted | UsageReported | HistoryCompacted)
    ]
    assert isinstance(history[0], Summary)
    assert "They asked ten things." in history[0].text
    assert not model.requests[0].tools
    assert "question 0" in getattr(model.requests[0].history[0], "text", "")
    assert UserText("and now?") == model.requests[1].history[-1]
    assert Finished("answered") == events[-1]


async def test_a_call_is_judged_again_once_a_summary_has_used_something() -> None:
    model = named("a/one", [TextDelta("They asked ten things."), ANSWERED])
    host = Alone({"a/one": model})
    host.context_size = 2_000
    host.exceeded = [None, None, "Enough."]  # the call, its summary, and the call again

    events = await play(host, long_history(10, 3_000))

    assert [Paused("Enough.", "run.cost")] == of(Paused, events)
    assert Finished("limit") == events[-1]
    assert 1 == len(model.requests)


async def test_a_provider_that_says_it_is_too_long_gets_a_summary_too() -> None:
    model = named(
        "a/one",
        [ContextTooLong("too long")],
        [TextDelta("a summary"), ANSWERED],
        [TextDelta("fine"), ANSWERED],
    )

    events = await play(Alone({"a/one": model}), long_history(10, 300))

    assert 1 == len(of(HistoryCompacted, events))
    assert Finished("answered") == events[-1]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([Overloaded("busy")], id="refused for now"),
        pytest.param([TextDelta("a summ"), StreamDropped("gone")], id="dropped"),
        pytest.param([TextDelta("a summ")], id="ended without its end"),
        pytest.param([TextDelta(" "), ANSWERED], id="empty"),
    ],
)
async def test_a_summary_that_fails_for_now_is_made_again(broken: list[Any]) -> None:
    model = named(
        "a/one",
        [ContextTooLong("too long")],
        broken,
        [ContextTooLong("too long")],
        [TextDelta("a summary"), ANSWERED],
        [TextDelta("fine"), ANSWERED],
    )
    history = long_history(10, 300)

    events = await play(Alone({"a/one": model}), history)

    assert 1 == len(of(StepRetried, events))
    assert [True] == ["a summary" in each.summary for each in of(HistoryCompacted, events)]
    assert AssistantText("fine") == history[-1]
    assert Finished("answered") == events[-1]


async def test_what_is_too_long_all_the_same_is_said() -> None:
    model = named(
        "a/one", [ContextTooLong("too long")], [TextDelta("s"), ANSWERED], [ContextTooLong("still too long")]
    )

    with pytest.raises(ContextTooLong, match="still"):
        await play(Alone({"a/one": model}), long_history(10, 300))


async def test_a_summary_of_text_from_outside_is_from_outside() -> None:
    history = long_history(10, 3_000)
    history[2] = replace(history[2], is_outside=True, source="https://example.org")  # type: ignore[type-var]
    model = named("a/one", [TextDelta("s"), ANSWERED], [asks("delete_everything"), TOOL_USE], [ANSWERED])
    host = Alone({"a/one": model})
    host.context_size = 2_000

    await play(host, history, [replace_effect(delete_everything)])

    assert [["https://example.org"]] == [question.outside for _, question in host.asked]


def replace_effect(changed: Any) -> Any:
    from dataclasses import replace as replaced

    return replaced(changed, effect="write", approval="never")


async def test_a_summary_that_is_cut_off_closes_its_stream() -> None:
    class Endless(Script):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
            self.requests.append(request)
            try:
                yield UsageReported(Usage(1))
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    model = Endless()
    host = Alone({model.name: model})
    host.context_size = 2_000
    events = run(host, Plan([model.name]), long_history(10, 3_000))
    async for event in events:
        if isinstance(event, UsageReported):
            break

    await events.aclose()

    assert 1 == model.closed
