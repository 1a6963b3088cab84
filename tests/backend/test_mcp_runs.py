"""MCP tools in whole runs: asked about, answered, and held for text from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from test_runs import ended, until

from deskside.backend.agent.events import ToolRequested
from deskside.backend.agent.scripted_model import ScriptedModel, Step
from deskside.backend.app import App, open_app
from deskside.backend.events import PartChanged
from deskside.backend.mcp.proposal import Proposal
from deskside.backend.store import conversations
from deskside.backend.store.messages import ElicitationAnswer, TextPart, ToolCallPart
from deskside.backend.store.tools import ToolChanges
from mcp_parts import NO_KEYCHAIN, Desk, everything, everything_over_http, hostile, program
from stores import paths_in

MODEL = "scripted/model"


@asynccontextmanager
async def opened(tmp_path: Path, proposal: Proposal, *steps: Step) -> AsyncIterator[App]:
    """The whole program with one server, its tools accepted, and a model that follows a script."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NO_KEYCHAIN.items():
            patch.setenv(name, value)
        async with open_app(paths_in(tmp_path), {MODEL: ScriptedModel(steps)}) as app:
            await Desk(app.mcp, app.store, app.keys, app.events).add(proposal)
            yield app


def call(name: str, arguments: str = "{}") -> Sequence[Any]:
    return [ToolRequested("c1", name, arguments)]


async def part(app: App, message_id: int, holds: Any, after: int = 0) -> ToolCallPart:
    """The reply's first part, once it is a call for which `holds`."""

    def is_it(event: Any) -> bool:
        return (
            isinstance(event, PartChanged)
            and (event.message_id, event.position) == (message_id, 0)
            and isinstance(event.part, ToolCallPart)
            and holds(event.part)
        )

    event = await until(app, is_it, after)
    assert isinstance(event, PartChanged)
    assert isinstance(event.part, ToolCallPart)
    return event.part


async def approve(app: App, message_id: int) -> None:
    await app.runs.decide(message_id, 0, "approved", scope="once", arguments=None, reason="")


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_run_asks_calls_and_lets_the_server_ask(tmp_path: Path, transport: str) -> None:
    steps = (call("everything__trigger-elicitation-request"), "Done.")
    with everything_over_http() as url:
        proposal = (
            Proposal("everything", "http", url=url)
            if transport == "http"
            else program("everything", everything("stdio"))
        )
        async with opened(tmp_path, proposal, *steps) as app:
            message_id = (await app.runs.start(None, "go", MODEL, None)).reply.id
            asked = await part(app, message_id, lambda part: part.status == "waiting")
            await approve(app, message_id)
            question = await part(app, message_id, lambda part: part.elicitation is not None)
            row = await app.store.read(conversations.get, 1)
            asking = app.runs.with_live(row)
            await app.runs.answer_elicitation(
                message_id, 0, ElicitationAnswer("accept", {"name": "Ada", "check": True})
            )
            reply = await ended(app, message_id)
            answered = app.runs.with_live(row)

    assert (True, False) == (asking.is_waiting, answered.is_waiting)
    assert asked.approval is not None
    assert "send" == asked.approval.effect
    assert "Sends this to the MCP server “everything”" in asked.approval.summary
    assert question.elicitation is not None
    assert "everything" == question.elicitation.server
    called = reply.parts[0]
    assert isinstance(called, ToolCallPart)
    assert called.output is not None
    assert "- Name: Ada" in called.output
    assert ("mcp", "everything", True) == (called.origin, called.source, called.is_outside)
    assert TextPart("Done.") == reply.parts[1]


async def test_what_a_server_says_of_a_failure_is_from_outside_and_without_what_nobody_sees(
    tmp_path: Path,
) -> None:
    steps = (call("hostile__add", '{"a": 1, "b": 2}'), "I see.")
    async with opened(tmp_path, hostile("failing"), *steps) as app:
        message_id = (await app.runs.start(None, "go", MODEL, None)).reply.id
        await part(app, message_id, lambda part: part.status == "waiting")
        await approve(app, message_id)
        reply = await ended(app, message_id)

    called = reply.parts[0]
    assert isinstance(called, ToolCallPart)
    assert ("failed", "mcp", "hostile", True) == (
        called.status,
        called.origin,
        called.source,
        called.is_outside,
    )
    assert 1 == called.hidden_characters


async def test_a_tool_that_changed_its_words_is_not_run_by_an_old_yes(tmp_path: Path) -> None:
    """Asked about before the server changed it, approved after."""
    steps = (call("hostile__add", '{"a": 1, "b": 2}'), "I see.")
    seen = tmp_path / "seen"
    async with opened(tmp_path, hostile("changes-between-starts", seen), *steps) as app:
        message_id = (await app.runs.start(None, "go", MODEL, None)).reply.id
        await part(app, message_id, lambda part: part.status == "waiting")
        (row,) = await app.mcp.servers()
        await app.mcp.restart(row.id)
        await Desk(app.mcp, app.store, app.keys, app.events).until(
            row.id, lambda row: row.tools[0].offered is not None
        )
        await approve(app, message_id)
        reply = await ended(app, message_id)

    called = reply.parts[0]
    assert isinstance(called, ToolCallPart)
    assert "failed" == called.status
    assert "its definition changed" in str(called.output)


async def test_what_was_chosen_about_a_tool_ends_with_the_words_it_was_chosen_for(tmp_path: Path) -> None:
    add = call("hostile__add", '{"a": 1, "b": 2}')
    async with opened(tmp_path, hostile("changes-between-starts", tmp_path / "seen"), add, "3", add) as app:
        await app.user_tools.change("hostile__add", ToolChanges(approval="never"))
        first = await ended(app, (await app.runs.start(None, "go", MODEL, None)).reply.id)
        desk = Desk(app.mcp, app.store, app.keys, app.events)
        (row,) = await app.mcp.servers()
        await app.mcp.restart(row.id)
        changed = await desk.until(row.id, lambda row: row.tools[0].offered is not None)
        await desk.accept(changed)

        message_id = (await app.runs.start(None, "go", MODEL, None)).reply.id
        asked = await part(app, message_id, lambda part: part.status == "waiting")

        assert "complete" == first.status
        assert asked.approval is not None
        await app.runs.stop(message_id)
