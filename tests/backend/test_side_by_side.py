"""Two runs beside each other: which step is which, what is other, and what each took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asked_runs import MODEL, Desk, Open
from asked_runs import opened as opened_desk
from test_delegation import asks, give_helper
from test_runs import ended

from deskside.backend.agent.events import ToolRequested, Usage, UsageReported
from deskside.backend.agent.scripted_model import Hang, ScriptedModel
from deskside.backend.errors import BadKey, InvalidRequest, NotFound, Overloaded
from deskside.backend.recordings.side_by_side import ComparedRuns, StepPair
from deskside.backend.store import agents, messages
from deskside.backend.store.forks import OtherResult
from deskside.backend.store.run_choices import RunChoice
from deskside.backend.tools.declaration import tool

WEATHER = {"Oslo": "rain", "Rome": "sun", "Lima": "fog"}
MODEL_STEP = ("same", "model", "model")


@pytest.fixture
def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    @tool(approval="never")
    async def weather(city: str) -> str:
        """What the weather is like."""
        return f"It is as it was:\n{WEATHER[city]}\nThat is all."

    @tool(approval="never")
    async def clock() -> str:
        """What time it is."""
        return "noon"

    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("asked_runs.tools", lambda ran: [weather, clock])
    return lambda *steps: opened_desk(tmp_path / "data", *steps, monkeypatch=monkeypatch)


def weather(*cities: str) -> list[ToolRequested]:
    return [ToolRequested(f"id-{city}", "weather", f'{{"city": "{city}"}}') for city in cities]


CLOCK = ToolRequested("id-clock", "clock", "{}")


async def asked(desk: Desk, *steps: Any, model: str = MODEL, conversation_id: int | None = None) -> int:
    """The run of an answer that goes by these steps."""
    if model == MODEL:
        desk.model.enqueue(*steps)
    else:
        desk.give_model(ScriptedModel(steps, name=model))
    started = await desk.app.runs.start(conversation_id, "How is it?", model)
    return (await ended(desk.app, started.reply.id)).run_id or 0


def seen(found: ComparedRuns) -> list[tuple[str, ...]]:
    """Of each pair how it is, the names on both sides, and what is other."""
    return [
        (
            pair.kind,
            *(step.name.removeprefix("scripted/") if step else "" for step in (pair.left, pair.right)),
            *(each.aspect for each in pair.differences),
        )
        for pair in found.pairs
    ]


def changed_lines(pair: StepPair) -> dict[str, list[str]]:
    return {
        each.aspect: [line for line in each.diff.splitlines()[2:] if line.startswith(("+", "-"))]
        for each in pair.differences
    }


async def test_runs_that_went_alike_are_the_same(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, [*weather("Oslo"), CLOCK], "Rain.")
        right = await asked(desk, [*weather("Oslo"), CLOCK], "Rain.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        MODEL_STEP, ("same", "weather", "weather"), ("same", "clock", "clock"), MODEL_STEP
    ] == seen(found)  # fmt: skip
    assert (left, right) == (found.left.run_id, found.right.run_id)


async def test_another_result_is_told_where_it_came_up_and_not_in_every_later_call(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), [CLOCK], "Bad,\nat noon.")
        monkeypatch.setitem(WEATHER, "Oslo", "snow")
        right = await asked(desk, weather("Oslo"), [CLOCK], "Good,\nat noon.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        MODEL_STEP,
        ("changed", "weather", "weather", "result"),
        MODEL_STEP,
        ("same", "clock", "clock"),
        ("changed", "model", "model", "answer"),
    ] == seen(found)
    assert {"result": ["-rain", "+snow"]} == changed_lines(found.pairs[1])
    assert {"answer": ["-Bad,", "+Good,"]} == changed_lines(found.pairs[4])
    header = found.pairs[1].differences[0].diff.splitlines()[:2]
    assert [f"--- run {left}", f"+++ run {right}"] == header


async def test_other_arguments_and_other_tools_are_told(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), [CLOCK], "Done.")
        right = await asked(desk, weather("Rome"), weather("Lima"), "Done.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        MODEL_STEP,
        ("changed", "weather", "weather", "arguments", "result"),
        ("changed", "model", "model", "calls"),
        ("only_left", "clock", ""),
        ("only_right", "", "weather"),
        MODEL_STEP,
    ] == seen(found)
    assert ['- "city": "Oslo"', '+ "city": "Rome"'] == changed_lines(found.pairs[1])["arguments"]


async def test_a_step_more_shifts_nothing(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, [CLOCK], weather("Oslo"), "Rain.")
        right = await asked(desk, weather("Oslo"), "Rain.")
        found = await desk.app.recordings.compare(left, right)
        other_way = await desk.app.recordings.compare(right, left)

    assert ("only_left", "clock", "") in seen(found)
    assert ("same", "weather", "weather") in seen(found)
    assert MODEL_STEP == seen(found)[-1]
    assert ("only_right", "", "clock") in seen(other_way)
    assert len(seen(found)) == len(seen(other_way)) == 5


async def test_a_call_that_was_tried_again_stands_alone(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, ["Half", Overloaded("busy")], weather("Oslo"), "Rain.")
        right = await asked(desk, weather("Oslo"), "Rain.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        ("only_left", "model", ""), MODEL_STEP, ("same", "weather", "weather"), MODEL_STEP
    ] == seen(found)  # fmt: skip
    alone = found.pairs[0].left
    assert alone is not None
    assert ("failed", ["Half", "busy"]) == (alone.status, alone.excerpts)
    assert ("complete", "complete") == (found.left.status, found.right.status)
    assert (3, 1) == (found.left.model_calls, found.left.failed_model_calls)
    assert (2, 0) == (found.right.model_calls, found.right.failed_model_calls)


async def test_a_call_that_was_tried_again_takes_no_partner_from_the_one_that_worked(open_desk: Open) -> None:
    """Even where more pairs could be made."""
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), [CLOCK], "Rain at noon.")
        right = await asked(desk, [Overloaded("busy")], "I do not know.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        ("only_right", "", "model"),
        ("changed", "model", "model", "answer", "calls"),
        ("only_left", "weather", ""),
        ("only_left", "model", ""),
        ("only_left", "clock", ""),
        ("only_left", "model", ""),
    ] == seen(found)


async def test_another_model_and_other_instructions_are_told_in_full_once(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), "Rain.")
        assistant = await desk.app.store.read(agents.default)
        changes = {"instructions": f"{assistant.instructions}\nAnswer in verse.", "temperature": 0.5}
        await desk.app.store.write(agents.change, assistant.id, changes)
        right = await asked(desk, weather("Oslo"), "Rain.", model="scripted/other")
        found = await desk.app.recordings.compare(left, right)

    asked_otherwise = ("changed", "model", "other", "model", "instructions", "settings")
    assert [asked_otherwise, ("same", "weather", "weather"), asked_otherwise] == seen(found)
    first, _, again = found.pairs
    assert ["+Answer in verse."] == changed_lines(first)["instructions"]
    assert [(False, True)] * 3 == [
        (one.is_repeated, other.is_repeated)
        for one, other in zip(first.differences, again.differences, strict=True)
    ]
    assert ["", "", ""] == [each.diff for each in again.differences]


async def test_the_shorter_run_ends_earlier_and_says_how(open_desk: Open) -> None:
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), [CLOCK], "Rain at noon.")
        right = await asked(desk, weather("Oslo"), [BadKey("not this one")])
        found = await desk.app.recordings.compare(left, right)

    assert [
        MODEL_STEP,
        ("same", "weather", "weather"),
        ("changed", "model", "model", "outcome", "calls"),
        ("only_left", "clock", ""),
        ("only_left", "model", ""),
    ] == seen(found)
    assert "+bad_key" in changed_lines(found.pairs[2])["outcome"]
    assert ("complete", "failed") == (found.left.status, found.right.status)
    assert "not this one" in found.right.message


async def test_the_steps_of_other_agents_stand_inside_the_call_of_theirs(open_desk: Open) -> None:
    async with open_desk() as desk:
        await give_helper(desk, [CLOCK], "At noon.", "At once.")
        left = await asked(desk, [asks("helper")], "Noon.")
        right = await asked(desk, [asks("helper")], "Now.")
        found = await desk.app.recordings.compare(left, right)

    assert [
        (0, "same", "model", "model"),
        (0, "changed", "ask_helper", "ask_helper", "result"),
        (1, "changed", "helper", "helper", "answer", "calls"),
        (1, "only_left", "clock", ""),
        (1, "only_left", "helper", ""),
        (0, "changed", "model", "model", "answer"),
    ] == [(pair.depth, *each) for pair, each in zip(found.pairs, seen(found), strict=True)]
    assert [4, 3] == [found.left.model_calls, found.right.model_calls]
    assert [2, 1] == [found.left.tool_calls, found.right.tool_calls]


async def test_a_fork_begins_beside_the_step_that_it_goes_on_from(open_desk: Open) -> None:
    async with open_desk(weather("Oslo"), "It is\nraining.") as desk:
        source = await ended(desk.app, await desk.ask("How is it?"))
        desk.model.enqueue("It is\nsnowing.")
        results = [OtherResult("id-Oslo", "snow")]
        started = await desk.app.runs.fork_from_step(source.id, 1, results, None, None)
        fork = await ended(desk.app, started.reply.id)
        found = await desk.app.recordings.compare(source.run_id or 0, fork.run_id or 0)

    assert [
        ("only_left", "model", ""),
        ("only_left", "weather", ""),
        ("changed", "model", "model", "conversation", "answer"),
    ] == seen(found)
    lines = changed_lines(found.pairs[2])
    assert ["-It is as it was:", "-rain", "-That is all.", "+snow"] == lines["conversation"]


async def test_what_each_took_and_cost_stands_above(open_desk: Open) -> None:
    def used(*tokens: int, cost: int | None = None) -> UsageReported:
        return UsageReported(Usage(*tokens), cost)

    async with open_desk() as desk:
        left = await asked(
            desk, [*weather("Oslo"), used(10, 4, 3, 7, 2, cost=900)], ["Rain.", used(20, 1, 0, 5, cost=100)]
        )
        right = await asked(desk, [*weather("Rome"), used(10, cost=50)], ["Sun.", used(5)])
        found = await desk.app.recordings.compare(left, right)
        told = await desk.app.recordings.story(left)

    assert Usage(30, 5, 3, 12, 2) == found.left.usage
    assert (1000, 2, 0) == (found.left.cost_nano_usd, found.left.used_calls, found.left.unknown_calls)
    assert (50, 2, 1) == (found.right.cost_nano_usd, found.right.used_calls, found.right.unknown_calls)
    root = told.story.spans[0]
    assert root.end_ms is not None
    assert root.end_ms - root.start_ms == found.left.took_ms
    assert found.left.first_ms is not None
    assert 0 <= found.left.first_ms <= found.left.took_ms
    assert ("assistant", MODEL) == (found.left.agent, found.left.model)


async def test_a_run_that_goes_on_is_compared_as_far_as_it_got(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk() as desk:
        left = await asked(desk, weather("Oslo"), "Rain.")
        desk.model.enqueue(weather("Oslo"), [hang])
        message_id = await desk.ask("How is it?")
        await hang.reached.wait()
        row = await desk.app.store.read(messages.get, message_id)
        found = await desk.app.recordings.compare(left, row.run_id or 0)
        hang.release()
        await ended(desk.app, message_id)

    assert [("same", "weather", "weather")] == [each for each in seen(found) if each[1] == "weather"]
    assert ("running", None) == (found.right.status, found.right.took_ms)


async def test_what_cannot_be_compared_says_why(open_desk: Open) -> None:
    async with open_desk() as desk:
        run_id = await asked(desk, "Hi")
        await desk.app.settings.change({"records_runs": False})
        unrecorded = await asked(desk, "Hi")
        with pytest.raises(InvalidRequest, match="compared with itself"):
            await desk.app.recordings.compare(run_id, run_id)
        with pytest.raises(NotFound, match="was not recorded"):
            await desk.app.recordings.compare(run_id, unrecorded)
        with pytest.raises(NotFound, match="There is no run 77"):
            await desk.app.recordings.compare(77, run_id)


# -- what there is to compare with ----------------------------------------------------------------


def related(found: list[RunChoice]) -> list[tuple[int | None, str]]:
    return [(each.run_id, each.relation) for each in found]


async def test_versions_and_forks_are_offered_first_and_then_the_newest(open_desk: Open) -> None:
    async with open_desk("One.") as desk:
        source = await ended(desk.app, await desk.ask("Hi"))
        elsewhere = [await asked(desk, "Else.") for _ in range(2)]
        later = await asked(desk, "Later.", conversation_id=source.conversation_id)
        desk.model.enqueue("Two.")
        again = await desk.app.runs.retry(source.id, None)
        version = (await ended(desk.app, again.reply.id)).run_id
        desk.model.enqueue("Three.")
        forked = await desk.app.runs.fork_from_step(source.id, 0, [], None, None)
        fork = (await ended(desk.app, forked.reply.id)).run_id
        await desk.app.settings.change({"records_runs": False})
        await asked(desk, "Unrecorded.")
        found = await desk.app.recordings.others(source.run_id or 0)
        from_fork = await desk.app.recordings.others(fork or 0)

    assert [
        (version, "version"),
        (fork, "fork"),
        (later, "conversation"),
        (elsewhere[1], "other"),
        (elsewhere[0], "other"),
    ] == related(found)
    assert ("Hi", "assistant", MODEL, "complete") == (
        found[0].question, found[0].agent, found[0].model, found[0].status
    )  # fmt: skip
    assert {source.run_id, version, later} == {run for run, how in related(from_fork) if how == "fork"}


async def test_of_a_run_that_is_not_there_nothing_is_offered(open_desk: Open) -> None:
    async with open_desk() as desk:
        with pytest.raises(NotFound, match="There is no run 77"):
            await desk.app.recordings.others(77)
