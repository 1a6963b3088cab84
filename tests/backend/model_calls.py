"""What the tests of all model adapters do: make a call, look at its events, replay bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import httpx2
import pytest

from deskside.backend.agent.answer import Answer, Patience, Reader, Refused, read_events
from deskside.backend.agent.anthropic_messages import MessagesReader
from deskside.backend.agent.events import (
    Model,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    StepFinished,
    TextDelta,
    ToolRequested,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.openai_chat import ChatReader
from deskside.backend.agent.openai_responses import ResponsesReader
from deskside.backend.agent.provider_calls import ProviderCalls
from deskside.backend.errors import AppError
from provider_server import RECORDINGS

E = TypeVar("E", bound=AppError)

KEY = "sk-proj-T3stOnlyNeverReal0123456789"
PATIENT = Patience(connect_s=10, first_byte_s=10, gap_s=10)
HELLO = ModelRequest([UserText("Hello")])
CALM = [path.stem for path in sorted(RECORDINGS.glob("*.sse"))]


async def play(model: Model, request: ModelRequest = HELLO) -> list[ModelEvent]:
    return [event async for event in model.stream(request)]


async def play_until(
    kind: type[E], model: Model, request: ModelRequest = HELLO
) -> tuple[list[ModelEvent], E]:
    """The events before an error of this kind, and the error."""
    events: list[ModelEvent] = []
    try:
        async for event in model.stream(request):
            events.append(event)
    except kind as error:
        return events, error
    pytest.fail(f"no {kind.__name__} came")


def text_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def requested(events: Sequence[ModelEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.arguments) for event in events if isinstance(event, ToolRequested)]


def usage_of(events: Sequence[ModelEvent]) -> Usage:
    return [event.usage for event in events if isinstance(event, UsageReported)][-1]


def end_of(events: Sequence[ModelEvent]) -> tuple[str, str]:
    last = events[-1]
    assert isinstance(last, StepFinished)
    return last.stop_reason, last.detail


def reader_for(recording: str) -> Reader:
    kinds: dict[str, type[Reader]] = {
        "chat": ChatReader,
        "responses": ResponsesReader,
        "messages": MessagesReader,
    }
    return kinds[recording.partition("_")[0]]()


async def replay(recording: str, chunks: Sequence[bytes]) -> tuple[list[ModelEvent], Exception | None]:
    """The events that these bytes give, and what ended them if it was not their end."""

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    response = httpx2.Response(200, content=body(), request=httpx2.Request("POST", "http://127.0.0.1"))
    events: list[ModelEvent] = []
    try:
        # The answer's clock is the loop's; nothing here takes long.
        call = ProviderCalls().begin("somebody")
        answer = Answer(response, "Somebody", float("inf"), PATIENT, call)
        async for event in read_events(answer, reader_for(recording)):
            events.append(event)
    except Refused as refused:
        return events, refused
    except Exception as error:  # the caller says which are allowed
        return events, error
    return events, None
