"""OpenAI's two languages against a local server: what is asked, what comes out, what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deskside.backend.agent.events import (
    ModelEvent,
    ModelRequest,
    StepFinished,
    TextDelta,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.openai_model import Api, OpenAIModel
from deskside.backend.agent.transport import Endpoint, Http, Patience, Provider
from provider_server import ProviderServer, recording

KEY = "sk-proj-T3stOnlyT3stOnlyT3stOnly"


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as http:
        yield http


def model(server: ProviderServer, http: Http, api: Api, name: str = "openai/gpt-5.4") -> OpenAIModel:
    provider = Provider("openai", "OpenAI", server.openai_url, KEY)
    return OpenAIModel(name, Endpoint(provider, http, "openai", Patience(5, 5, 5)), api)


async def play(made: OpenAIModel, request: ModelRequest) -> list[ModelEvent]:
    return [event async for event in made.stream(request)]


HELLO = ModelRequest([UserText("Hello")])


async def test_a_chat_answer_arrives_as_text_usage_and_a_reason(server: ProviderServer, http: Http) -> None:
    server.script(recording("chat_text"))

    events = await play(model(server, http, "chat"), HELLO)

    assert "The capital of France is Paris. Déjà vu 🗼." == "".join(
        event.text for event in events if isinstance(event, TextDelta)
    )
    assert [
        UsageReported(Usage(input_tokens=24, output_tokens=11)),
        StepFinished("answered", "stop"),
    ] == events[-2:]
