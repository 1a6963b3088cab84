"""Agents that ask other agents: their work and its place, their limits, and what a stop does to them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from asked_runs import Desk, Open, call
from test_runs import ended, until

from deskside.backend.agent.events import ToolFinished, ToolRequested, Usage, UsageReported, UserText
from deskside.backend.agent.limits import AgentLimits, RunLimit
from deskside.backend.agent.live_run import LiveRun
from deskside.backend.agent.scripted_model import Hang, ScriptedModel
from deskside.backend.errors import BadKey
from deskside.backend.events import MessageChanged, PartChanged
from deskside.backend.store import agents, messages, replies, usage
from deskside.backend.store.agents import Agent
from deskside.backend.store.messages import MessageRow, MessageUsage, PausePart, TextPart, ToolCallPart

HELPER = "scripted/helper"


def asks(name: str, task: str = "look it up", call_id: str = "") -> ToolRequested:
    return ToolRequested(call_id or f"ask-{name}", f"ask_{name}", f'{{"task": "{task}"}}')


async def give_helper(desk: Desk, *steps: Any, name: str = "helper", **fields: Any) -> ScriptedModel:
    """The default agent may ask another one, which has a model of its own."""
    model = ScriptedModel(steps, name=f"scripted/{name}")
    desk.give_model(model)

    def make(db: Any) -> None:
        default = agents.default(db)
        agents.create(db, Agent(name=name, label=name.title(), model=model.name, **fields))
        agents.change(db, default.id, {"subagents": [*default.subagents, name]})

    await desk.app.store.write(make)
    return model


async def delegated(desk: Desk, message_id: int) -> list[MessageRow]:
    return await desk.app.store.read(messages.delegated, message_id)


async def test_another_agent_answers_in_a_message_of_its_own(open_desk: Open) -> None:
    async with open_desk([asks("helper")], "It is 42.") as desk:
        model = await give_helper(desk, "Forty-two.")
        reply = await ended(desk.app, await desk.ask("What is it?"))
        (below,) = await delegated(desk, reply.id)

        assert [TextPart("Forty-two.")] == below.parts
        assert (reply.id, 0, "Helper", "complete") == (
            below.delegator_id,
            below.call_position,
            below.agent,
            below.status,
        )
        assert [UserText("look it up")] == model.requests[0].history
        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert (True, "finished", "Forty-two.", "agent") == (
            part.is_agent, part.status, part.output, part.origin,
        )  # fmt: skip
        assert TextPart("It is 42.") == reply.parts[1]
        page = await desk.app.store.read(messages.page, reply.conversation_id, None, 50)
        assert below.id not in [row.id for row in page.messages]
        assert [[row.id] for row in page.messages] == [row.versions for row in page.messages]


async def test_agents_work_side_by_side(open_desk: Open) -> None:
    hangs = [Hang(), Hang()]
    async with open_desk([asks("one"), asks("two")], "both") as desk:
        await give_helper(desk, [hangs[0], "first"], name="one")
        await give_helper(desk, [hangs[1], "second"], name="two")
        message_id = await desk.ask()
        for hang in hangs:
            await hang.reached.wait()
        for hang in hangs[::-1]:
            hang.release()
        await ended(desk.app, message_id)

        results = [item for item in desk.model.requests[1].history if isinstance(item, ToolFinished)]
        assert ["first", "second"] == [result.output for result in results]


async def test_how_deep_agents_ask_agents_is_limited(open_desk: Open) -> None:
    async with open_desk([asks("one")], "done") as desk:
        await give_helper(desk, [asks("one")], name="one")
        deeper = [[asks("two")], [asks("one")], "deepest", "up", "up"]
        model = ScriptedModel(deeper, name="scripted/one")
        desk.give_model(model)

        def to_itself(db: Any) -> None:
            one = agents.by_name(db, "one")
            agents.create(db, Agent(name="two", model="scripted/one", subagents=["one"]))
            agents.change(db, one.id, {"subagents": ["two"]})

        await desk.app.store.write(to_itself)
        await ended(desk.app, await desk.ask())

        offered = [[tool.name for tool in request.tools] for request in model.requests]
        below = ["ask_two" in offered[0], "ask_one" in offered[1], "ask_two" in offered[2]]
        assert [True, True, False] == below


async def test_a_stop_stops_the_agents_below_and_keeps_what_they_said(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk([asks("helper")]) as desk:
        await give_helper(desk, ["so far", hang])
        message_id = await desk.ask()
        await hang.reached.wait()
        await desk.app.runs.stop(message_id)
        (below,) = await delegated(desk, message_id)

        assert hang.was_cancelled
        assert ("stopped", [TextPart("so far")]) == (below.status, below.parts)
        assert "stopped" == (await desk.stored(message_id)).status


async def test_a_stop_while_an_agent_is_being_asked_leaves_nothing_streaming(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk([asks("helper")]) as desk:
        await give_helper(desk, "never heard")
        write, asked = desk.app.store.write, asyncio.Event()

        async def slow(function: Any, *rest: Any, **named: Any) -> Any:
            written = await write(function, *rest, **named)
            if function is replies.delegate:
                asked.set()
                for _ in range(20):
                    await asyncio.sleep(0)
            return written

        monkeypatch.setattr(desk.app.store, "write", slow)
        message_id = await desk.ask()
        await asked.wait()
        await desk.app.runs.stop(message_id)
        (below,) = await delegated(desk, message_id)

        assert ("stopped", "stopped") == (below.status, (await desk.stored(message_id)).status)


async def test_one_agent_can_be_stopped_and_the_other_told(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk([asks("helper")], "then without") as desk:
        await give_helper(desk, ["so far", hang])
        message_id = await desk.ask()
        await hang.reached.wait()
        (below,) = await delegated(desk, message_id)
        await desk.app.runs.stop(below.id)
        reply = await ended(desk.app, message_id)

        assert "complete" == reply.status
        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert "so far\n\n(The agent was stopped before it was done.)" == part.output


async def test_an_agent_that_fails_is_a_failed_call_for_who_asked_it(open_desk: Open) -> None:
    async with open_desk([asks("helper")], "a pity") as desk:
        await give_helper(desk, [BadKey("The key was refused.")])
        reply = await ended(desk.app, await desk.ask())

        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert "failed" == part.status
        assert "The key was refused." in (part.output or "")
        assert "complete" == reply.status


async def test_its_calls_are_approved_one_by_one_in_its_own_message(open_desk: Open) -> None:
    async with open_desk([asks("helper")], "done") as desk:
        await give_helper(desk, call("write"), "written")
        message_id = await desk.ask()
        below = await until(desk.app, is_below(message_id))
        assert isinstance(below, MessageChanged)
        await desk.waiting(below.message.id)
        await desk.decide(below.message.id)
        await ended(desk.app, message_id)

        assert ["write"] == desk.ran


async def test_what_it_read_outside_is_text_from_outside_for_who_asked_it(open_desk: Open) -> None:
    async with open_desk([asks("helper")], call("note"), "done") as desk:
        await give_helper(desk, call("read_web"), "as the page says")
        message_id = await desk.ask()
        part = await desk.waiting(message_id, 1)

        assert part.approval is not None
        assert any("https://example.org/" in source for source in part.approval.outside)
        await desk.app.runs.stop(message_id)


async def test_what_who_asks_has_read_outside_is_so_for_the_one_that_is_asked(open_desk: Open) -> None:
    async with open_desk(call("read_web"), [asks("helper")], "done") as desk:
        await give_helper(desk, call("note"), "noted")
        message_id = await desk.ask()
        below = await until(desk.app, is_below(message_id))
        assert isinstance(below, MessageChanged)

        part = await desk.waiting(below.message.id)

        assert part.approval is not None
        assert ["https://example.org/"] == part.approval.outside
        await desk.app.runs.stop(message_id)


async def test_a_call_that_waits_below_outlives_the_program(open_desk: Open) -> None:
    async with open_desk([asks("helper")]) as desk:
        await give_helper(desk, call("write"))
        message_id = await desk.ask()
        below = await until(desk.app, is_below(message_id))
        assert isinstance(below, MessageChanged)
        await desk.waiting(below.message.id)
    async with open_desk("all done") as desk:
        helper = ScriptedModel(["written"], name=HELPER)
        desk.give_model(helper)
        await desk.decide(below.message.id)
        reply = await ended(desk.app, message_id)
        (same,) = await delegated(desk, message_id)

        assert ["write"] == desk.ran
        assert (below.message.id, "complete") == (same.id, same.status)
        assert TextPart("written") == same.parts[1]
        assert [UserText("look it up")] == helper.requests[0].history[:1]
        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert ("finished", "written") == (part.status, part.output)
        assert TextPart("all done") == reply.parts[1]


# -- limits --------------------------------------------------------------------------------------


async def test_an_agent_keeps_within_its_own_limit_and_its_parents(open_desk: Open) -> None:
    for name, limits in (("helper", {"limits": AgentLimits(RunLimit(tokens=2))}), ("assistant", {})):
        async with open_desk([asks("helper", call_id=name)], "done") as desk:
            await give_helper(desk, "never", **limits) if name == "helper" else None
            if name == "assistant":

                def limit(db: Any) -> None:
                    own = AgentLimits(RunLimit(tokens=20_000))
                    agents.change(db, agents.default(db).id, {"limits": own, "max_output_tokens": 2_000})
                    helper = agents.by_name(db, "helper")
                    agents.change(db, helper.id, {"limits": AgentLimits(), "max_output_tokens": 30_000})

                await desk.app.store.write(limit)
                desk.give_model(ScriptedModel(["never"], name=HELPER))
            message_id = await desk.ask()
            below = await until(desk.app, is_below(message_id))
            assert isinstance(below, MessageChanged)
            pause = await paused(desk, below.message.id)

            assert "tokens" in pause.text
            assert f"“{'Helper' if name == 'helper' else 'Assistant'}”" in pause.text
            await desk.app.runs.decide_pause(below.message.id, 0, goes_on=False)
            reply = await ended(desk.app, message_id)
            assert "complete" == reply.status
            assert "stopped" == (await delegated(desk, message_id))[-1].status


async def test_of_an_agent_that_has_reported_only_what_it_used_is_kept_in_memory(open_desk: Open) -> None:
    before = working_runs()
    async with open_desk([asks("helper"), UsageReported(Usage(10))], "never") as desk:
        await give_helper(desk, ["hi", UsageReported(Usage(60_000, output_tokens=2))])

        def limit(db: Any) -> None:
            limits = AgentLimits(RunLimit(tokens=50_000))
            agents.change(db, agents.default(db).id, {"limits": limits, "max_output_tokens": 1_000})

        await desk.app.store.write(limit)
        message_id = await desk.ask()
        pause = await paused(desk, message_id)
        left = [run for run in working_runs() if run not in before]

        assert "tokens" in pause.text
        assert [message_id] == [run.reply.message_id for run in left]
        await desk.app.runs.decide_pause(message_id, 1, goes_on=False)
        assert MessageUsage(60_010, 0, 0, 2) == (await ended(desk.app, message_id)).usage


def working_runs() -> list[LiveRun]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, LiveRun)]


async def test_a_pause_outlives_the_program_and_goes_on_from_there(open_desk: Open) -> None:
    async with open_desk("never") as desk:

        def limit(db: Any) -> None:
            agents.change(db, agents.default(db).id, {"limits": AgentLimits(RunLimit(tokens=2))})

        await desk.app.store.write(limit)
        message_id = await desk.ask()
        await paused(desk, message_id)
    async with open_desk("at last") as desk:
        left = await desk.stored(message_id)
        assert "interrupted" == left.status
        assert isinstance(left.parts[0], PausePart)
        assert "waiting" == left.parts[0].status
        await desk.app.runs.decide_pause(message_id, 0, goes_on=True)
        reply = await ended(desk.app, message_id)

        assert "complete" == reply.status
        assert TextPart("at last") == reply.parts[-1]


async def test_usage_says_which_agent_it_was(open_desk: Open) -> None:
    async with open_desk([asks("helper"), UsageReported(Usage(10))], "done") as desk:
        await give_helper(desk, ["hi", UsageReported(Usage(5, output_tokens=2))])
        reply = await ended(desk.app, await desk.ask())
        helper = await desk.app.store.read(agents.by_name, "helper")
        assert MessageUsage(15, output_tokens=2) == reply.usage

        assert 7 == (await desk.app.store.read(usage.spent, helper.id, 0)).tokens
        assert 17 == (await desk.app.store.read(usage.spent, None, 0)).tokens


def is_below(message_id: int) -> Any:
    return lambda event: isinstance(event, MessageChanged) and event.message.delegator_id == message_id


async def paused(desk: Desk, message_id: int) -> PausePart:
    event = await until(
        desk.app,
        lambda event: (
            isinstance(event, PartChanged)
            and event.message_id == message_id
            and isinstance(event.part, PausePart)
        ),
    )
    assert isinstance(event, PartChanged)
    assert isinstance(event.part, PausePart)
    return event.part
