"""Forks from a step of a reply, which go on by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked_runs import Open, call
from asked_runs import opened as opened_desk
from test_runs import ended

from deskside.backend.agent.events import ToolFinished
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.errors import InvalidRequest
from deskside.backend.store import agents, conversations, messages
from deskside.backend.store.agents import Agent
from deskside.backend.store.forks import OtherResult
from deskside.backend.store.messages import TextPart, ToolCallPart


@pytest.fixture
def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda *steps: opened_desk(tmp_path / "data", *steps, monkeypatch=monkeypatch)


async def test_a_reply_goes_on_from_a_step_with_another_result(open_desk: Open) -> None:
    async with open_desk(["Let me see. ", *call("work_out")], "It is 4.") as desk:
        source = await ended(desk.app, await desk.ask("2 + 2?"))
        desk.model.enqueue("It is 5.")
        started = await desk.app.runs.fork_from_step(
            source.id, 1, [OtherResult("id-work_out", "five")], None, None
        )
        reply = await ended(desk.app, started.reply.id)
        after = await desk.app.store.read(messages.get, source.id)

        assert source == after, "the original stays as it was"
        assert reply.conversation_id != source.conversation_id
        assert "complete" == reply.status
        said, used, answer = reply.parts
        assert TextPart("Let me see. ") == said
        assert isinstance(used, ToolCallPart)
        assert "five" == used.output
        assert TextPart("It is 5.") == answer
        request = desk.model.requests[-1]
        assert ["five"] == [item.output for item in request.history if isinstance(item, ToolFinished)]
        assert [] == (await desk.app.recordings.replay(reply.run_id or 0)).differences


async def test_a_reply_goes_on_from_its_beginning_by_another_agent_and_model(open_desk: Open) -> None:
    other = ScriptedModel(["No."], name="scripted/other")
    async with open_desk("Yes.") as desk:
        desk.give_model(other)
        source = await ended(desk.app, await desk.ask("Is it?"))
        await desk.app.store.write(
            agents.create, Agent(name="critic", label="Critic", instructions="Be harsh.")
        )
        started = await desk.app.runs.fork_from_step(source.id, 0, [], other.name, "critic")
        reply = await ended(desk.app, started.reply.id)

        assert ([TextPart("No.")], other.name, "Critic") == (reply.parts, reply.model, reply.agent)
        assert "Be harsh." == other.requests[0].instructions
        assert list(desk.model.requests[0].history) == list(other.requests[0].history)


async def test_what_is_no_step_of_a_reply_is_refused(open_desk: Open) -> None:
    async with open_desk("Yes.") as desk:
        source = await ended(desk.app, await desk.ask())
        with pytest.raises(InvalidRequest, match="not a reply"):
            await desk.app.runs.fork_from_step(source.parent_id or 0, 0, [], None, None)
        with pytest.raises(InvalidRequest, match="has no call 'nowhere'"):
            await desk.app.runs.fork_from_step(source.id, 1, [OtherResult("nowhere", "x")], None, None)
        page = await desk.app.store.read(conversations.page, None, 10)
        assert [source.conversation_id] == [row.id for row in page.conversations], "nothing is left of it"
