"""A server that we did not write: the on-device engine's three APIs, asked as a provider of each format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from device_parts import bundled_model
from test_runs import ended

from deskside.backend.agent.device_models import SMOLLM2
from deskside.backend.agent.events import ModelRequest, TextDelta, ToolRequested, UserText
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.agent.structured_output import problem_with
from deskside.backend.app import App, open_app
from deskside.backend.events import TextAppended
from deskside.backend.paths import Paths
from deskside.backend.settings import Server
from deskside.backend.store import agents
from deskside.backend.store.messages import TextPart, ToolCallPart
from deskside.backend.tools.calculate import calculate
from stores import rows

SCRIPTED = "scripted/model"
ASKS = ToolRequested("call_1", "calculate", '{"expression": "2 + 2"}')
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "London"]}},
    "required": ["city"],
    "additionalProperties": False,
}
# Chat, Responses, Messages: openai is asked through Responses wherever a server has that.
models = pytest.mark.parametrize(
    "name", [f"{each}/{SMOLLM2.name}" for each in ("local", "openai", "anthropic")]
)


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """The program, with its own on-device server as the address of every provider."""
    monkeypatch.setenv("DESKSIDE_BUNDLED_MODELS", str(bundled_model().parent))
    monkeypatch.setattr("deskside.backend.app.TOOLS", [calculate])
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    async with open_app(paths, {SCRIPTED: ScriptedModel([[ASKS], "It is 4."])}) as app:
        device = await app.device.endpoint(f"device/{SMOLLM2.name}")
        await app.settings.change(
            {
                "openai_base_url": device.base_url,
                "anthropic_base_url": device.base_url,
                "servers": [Server("local", "This machine", device.base_url)],
            }
        )
        await app.keys.use_file("a passphrase")
        for provider in ("local", "openai", "anthropic"):
            await app.keys.save(provider, device.api_key)
        assistant = await app.store.read(agents.default)
        await app.store.write(agents.change, assistant.id, {"temperature": 0.0, "max_output_tokens": 60})
        yield app


@models
async def test_an_answer_streams_behind_the_result_of_a_tool_and_its_usage_is_recorded(
    app: App, name: str
) -> None:
    started = await app.runs.start(None, "What is 2 + 2?", SCRIPTED)
    with_tool = await ended(app, started.reply.id)
    started = await app.runs.start(started.conversation.id, "What is the capital of France?", name)
    row = await ended(app, started.reply.id)

    pieces = [
        event
        for event in app.events.since(0, 10_000) or []
        if isinstance(event, TextAppended) and event.message_id == row.id
    ]
    (text,) = (part.text for part in row.parts if isinstance(part, TextPart))
    sql = "select input_tokens + cache_read_tokens, output_tokens from usage_record where run = ?"
    ((input_tokens, output_tokens),) = rows(app.paths.database, sql, started.run_id)
    assert isinstance(with_tool.parts[0], ToolCallPart)
    assert ("complete", None) == (row.status, row.error)
    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) > 3
    assert input_tokens > 20
    assert output_tokens == row.usage.output_tokens > 3


@models
async def test_what_a_request_can_ask_beyond_words_is_accepted(app: App, name: str) -> None:
    request = ModelRequest(
        [UserText("What is the capital of France?")],
        tools=[calculate.spec],
        may_use_tools=False,
        reasoning_effort="low",
        max_output_tokens=60,
    )

    model = await app.models.make(name)
    events = [event async for event in model.stream(request)]

    assert [] == [event for event in events if isinstance(event, ToolRequested)]
    assert any(isinstance(event, TextDelta) for event in events)


@models
async def test_an_answer_is_held_to_its_schema_or_asked_for_it(app: App, name: str) -> None:
    request = ModelRequest(
        [UserText("What is the capital of France? Answer in JSON.")],
        output_schema=CITY,
        temperature=0.0,
        max_output_tokens=60,
    )

    model = await app.models.make(name)
    text = "".join([event.text async for event in model.stream(request) if isinstance(event, TextDelta)])

    assert await problem_with(text, CITY) is None, text
    assert {"city": "Paris"} == msgspec.json.decode(text)
