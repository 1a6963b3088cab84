"""The recorded streams: honest (the SDKs read the same in them), and read alike however they arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_calls import CALM, KEY, replay, requested, text_of, usage_of

from deskside.backend.agent.answer import Refused
from deskside.backend.agent.events import ModelEvent, Usage
from deskside.backend.errors import AppError, StreamDropped
from provider_server import RECORDINGS

COMPLETE = [
    name
    for name in CALM
    if not name.endswith(("_cut_off", "_error_in_stream", "_overloaded", "_failed", "_error"))
]


def body_of(name: str) -> bytes:
    return (RECORDINGS / f"{name}.sse").read_bytes()


async def events_of(name: str) -> list[ModelEvent]:
    events, error = await replay(name, [body_of(name)])
    assert error is None
    return events


def only_answer(name: str) -> httpx2.AsyncClient:
    """A client whose every request is answered with the recording."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body_of(name))

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


def recordings(kind: str) -> list[str]:
    return [name for name in COMPLETE if name.startswith(kind)]


@pytest.mark.parametrize("name", recordings("chat_"))
async def test_the_openai_sdk_reads_the_same_in_a_chat_recording(name: str) -> None:
    client = openai.AsyncOpenAI(api_key=KEY, http_client=only_answer(name))
    stream = await client.chat.completions.create(model="m", messages=[], stream=True)
    text, usage, calls = "", None, {}  # type: ignore[var-annotated]
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += (choice.delta.content or "") + (choice.delta.refusal or "")
            for piece in choice.delta.tool_calls or []:
                function = piece.function
                call = calls.setdefault(piece.index, ["", ""])
                call[0] += function.name or "" if function else ""
                call[1] += function.arguments or "" if function else ""
    events = await events_of(name)

    assert text == text_of(events)
    assert usage is not None
    details = usage.prompt_tokens_details
    seen = usage_of(events)
    assert usage.prompt_tokens == seen.input_tokens + seen.cache_read_tokens + seen.cache_write_tokens
    assert ((details.cached_tokens or 0) if details else 0) == seen.cache_read_tokens
    assert usage.completion_tokens == seen.output_tokens
    if not name.startswith("chat_length"):
        assert [tuple(call) for call in calls.values()] == requested(events)
    await client.close()


@pytest.mark.parametrize("name", recordings("responses_"))
async def test_the_openai_sdk_reads_the_same_in_a_responses_recording(name: str) -> None:
    client = openai.AsyncOpenAI(api_key=KEY, http_client=only_answer(name))
    text, final = "", None
    async for event in await client.responses.create(model="m", input="x", stream=True):
        if event.type in ("response.output_text.delta", "response.refusal.delta"):
            text += event.delta
        elif event.type in ("response.completed", "response.incomplete"):
            final = event.response
    events = await events_of(name)

    assert final is not None
    assert text == text_of(events)
    assert final.usage is not None
    calls = [(item.name, item.arguments) for item in final.output if item.type == "function_call"]
    if not name.startswith("responses_length"):
        assert calls == requested(events)
    assert_same_usage(
        usage_of(events),
        final.usage.input_tokens,
        final.usage.input_tokens_details.cached_tokens,
        final.usage.output_tokens,
        final.usage.output_tokens_details.reasoning_tokens,
    )
    await client.close()


def assert_same_usage(seen: Usage, all_input: int, cached: int, output: int, reasoning: int) -> None:
    assert all_input == seen.input_tokens + seen.cache_read_tokens + seen.cache_write_tokens
    assert cached == seen.cache_read_tokens
    assert output == seen.output_tokens
    assert reasoning == seen.reasoning_tokens


@pytest.mark.parametrize("name", recordings("messages_"))
async def test_the_anthropic_sdk_reads_the_same_in_a_messages_recording(name: str) -> None:
    client = anthropic.AsyncAnthropic(api_key=KEY, http_client=only_answer(name))
    messages: list[Any] = [{"role": "user", "content": "x"}]
    async with client.messages.stream(model="claude-sonnet-5-5", max_tokens=9, messages=messages) as stream:
        final = await stream.get_final_message()
    events = await events_of(name)
    seen = usage_of(events)

    assert "".join(block.text for block in final.content if block.type == "text") == text_of(events)
    if not name.startswith("messages_length"):
        assert [block.name for block in final.content if block.type == "tool_use"] == [
            called for called, _ in requested(events)
        ]
    assert final.usage.input_tokens == seen.input_tokens
    assert (final.usage.cache_read_input_tokens or 0) == seen.cache_read_tokens
    assert (final.usage.cache_creation_input_tokens or 0) == seen.cache_write_tokens
    assert final.usage.output_tokens == seen.output_tokens
    await client.close()


@settings(max_examples=150)
@given(st.sampled_from(CALM), st.data())
def test_any_cutting_of_a_stream_gives_the_same_events(name: str, data: st.DataObject) -> None:
    body = body_of(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    chunks = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    expected, expected_error = asyncio.run(replay(name, [body]))
    events, error = asyncio.run(replay(name, chunks))

    assert expected == events
    assert type(expected_error) is type(error)


@settings(max_examples=300)
@given(st.sampled_from(CALM), st.data())
def test_a_damaged_stream_ends_in_one_of_our_errors_or_well(name: str, data: st.DataObject) -> None:
    body = bytearray(body_of(name))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))

    _, error = asyncio.run(replay(name, [bytes(body)]))

    assert error is None or isinstance(error, AppError | Refused)


@given(st.sampled_from(COMPLETE), st.data())
@settings(max_examples=150)
def test_a_stream_that_is_cut_off_never_passes_for_a_finished_answer(name: str, data: st.DataObject) -> None:
    body = body_of(name)
    marks = {
        "chat": b'"finish_reason":"',
        "responses": b"event: response.",
        "messages": b"event: message_delta",
    }
    ending = body.rindex(marks[name.partition("_")[0]])
    at = data.draw(st.integers(0, ending))

    _, error = asyncio.run(replay(name, [body[:at]]))

    assert isinstance(error, StreamDropped)


def test_every_recording_is_used() -> None:
    assert {path.stem for path in RECORDINGS.iterdir()} == set(CALM)
    assert len(COMPLETE) < len(CALM)
