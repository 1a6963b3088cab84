"""Anthropic's Messages against a local server: what is asked, what comes out, what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from model_calls import (
    HELLO,
    KEY,
    PATIENT,
    end_of,
    play,
    play_until,
    reasoning_of,
    requested,
    text_of,
    usage_of,
)
from msgspec.structs import replace

from deskside.backend.agent.anthropic_model import AnthropicModel
from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    Effort,
    ModelRequest,
    ReasoningFinished,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    ToolSpec,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.transport import Endpoint, Http, Provider
from deskside.backend.errors import (
    AppError,
    BadKey,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRefused,
    StreamDropped,
    StreamGarbled,
    UnknownModel,
)
from provider_server import ProviderServer, Reply, error_reply, recording

NAME = "anthropic/claude-sonnet-5-5"
THINKING = '{"type":"thinking","thinking":"Two tools.","signature":"c2ln"}'


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as http:
        yield http


def model(server: ProviderServer, http: Http, name: str = NAME) -> AnthropicModel:
    provider = Provider("anthropic", "Anthropic", server.anthropic_url, KEY)
    return AnthropicModel(name, Endpoint(provider, http, "anthropic", PATIENT))


# -- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "usage", "end"),
    [
        (
            "messages_text",
            "The capital of France is Paris. Déjà vu 🗼.",
            Usage(25, 0, 0, 14),
            ("answered", "end_turn"),
        ),
        ("messages_cached", "Yes.", Usage(4, 18210, 312, 5), ("answered", "end_turn")),
        ("messages_thinking", "2 + 2 = 4", Usage(43, 0, 0, 60, 44), ("answered", "end_turn")),
        ("messages_length", "Once upon a", Usage(25, 0, 0, 3), ("length", "max_tokens")),
        (
            "messages_refusal",
            "I can't",
            Usage(50, 0, 0, 4),
            ("refused", "refusal: This request could enable biological harm."),
        ),
    ],
)
async def test_an_answer_arrives_as_text_usage_and_a_reason(
    server: ProviderServer, http: Http, name: str, text: str, usage: Usage, end: tuple[str, str]
) -> None:
    server.script(recording(name))

    events = await play(model(server, http))

    assert text == text_of(events)
    assert usage == usage_of(events)
    assert end == end_of(events)


async def test_the_price_of_the_question_is_known_before_the_answer(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("messages_cached"))

    events = await play(model(server, http))

    assert UsageReported(Usage(4, 18210, 312, 1), is_final=False) == events[0]


async def test_thinking_comes_with_the_blocks_to_send_back_unchanged(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("messages_thinking"))

    events = await play(model(server, http))
    thinking, redacted = (
        json.loads(event.provider_data or "") for event in events if isinstance(event, ReasoningFinished)
    )

    assert "Two plus two is four." == reasoning_of(events) == thinking["thinking"]
    assert ("thinking", "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds0ZRcpHbVQ==") == (
        thinking["type"],
        thinking["signature"],
    )
    assert "redacted_thinking" == redacted["type"]
    assert redacted["data"].startswith("EmwKAhgBEgy3")


async def test_parallel_tool_calls_arrive_as_they_are_written_and_then_whole(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("messages_parallel_tools"))

    events = await play(model(server, http))
    call_id = "toolu_01T1x1fJ34qAmk2tNTrN7Up6"
    pieces = [event.text for event in events if isinstance(event, ToolArgumentsDelta)]

    assert [("get_weather", '{"city": "Paris"}'), ("list_files", "{}")] == requested(events)
    assert ['{"city":', ' "Par', 'is"}'] == pieces
    assert events.index(ToolCallStarted(call_id, "get_weather")) < events.index(
        ToolRequested(call_id, "get_weather", '{"city": "Paris"}')
    )
    assert ("tool_use", "tool_use") == end_of(events)


async def test_a_tool_call_that_was_cut_off_by_the_limit_is_not_requested(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("messages_length_in_tool"))

    events = await play(model(server, http))

    assert [] == requested(events)
    assert "length" == end_of(events)[0]


async def test_invalid_arguments_of_a_finished_call_are_passed_on_as_written(
    server: ProviderServer, http: Http
) -> None:
    body = recording("messages_parallel_tools").body.replace(b'is\\"}', b'is\\"')
    server.script(Reply(body))

    events = await play(model(server, http))

    assert ("get_weather", '{"city": "Paris"') in requested(events)


# -- what is asked ------------------------------------------------------------------------------

WEATHER = ToolSpec("get_weather", "The weather now.", {"type": "object", "properties": {}})
LONG = ModelRequest(
    history=[
        UserText("Weather and time?"),
        UserText("In Paris."),
        AssistantReasoning("Two tools.", THINKING, NAME),
        AssistantText("Looking."),
        ToolRequested("toolu_1", "get_weather", '{"city": "Paris"}'),
        ToolRequested("functions.get_time:0", "get_time", ""),
        ToolFinished("toolu_1", "sunny"),
        ToolFinished("functions.get_time:0", "", failed=True),
        UserText("Well?"),
    ],
    instructions="Be brief.",
    tools=[WEATHER],
)


async def test_a_request_holds_the_history_in_anthropic_s_grouping(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http), LONG)

    (request,) = server.requests
    assert "/v1/messages" == request.path
    assert KEY in request.headers.get("authorization", "") + request.headers.get("x-api-key", "")
    assert "anthropic-version" in request.headers
    assert {
        "model": "claude-sonnet-5-5",
        "max_tokens": 16_384,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather and time?\n\nIn Paris."}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Two tools.", "signature": "c2ln"},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "functions_get_time_0", "name": "get_time", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": False},
                    {
                        "type": "tool_result",
                        "tool_use_id": "functions_get_time_0",
                        "content": "(no output)",
                        "is_error": True,
                    },
                    {"type": "text", "text": "Well?"},
                ],
            },
        ],
        "tools": [
            {"name": "get_weather", "description": "The weather now.", "input_schema": WEATHER.parameters}
        ],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "cache_control": {"type": "ephemeral"},
        "stream": True,
    } == request.json


async def test_a_call_has_an_id_of_its_own_also_where_another_server_used_it_twice(
    server: ProviderServer, http: Http
) -> None:
    step = [ToolRequested("call_0", "get_weather", "{}"), ToolFinished("call_0", "sunny")]

    await play(model(server, http), ModelRequest([UserText("Hi"), *step, *step, *step]))

    blocks = [block for each in server.requests[0].json["messages"][1:] for block in each["content"]]
    expected = ["call_0", "call_0_2", "call_0_3"]
    assert expected == [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert expected == [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]


async def test_two_calls_of_one_step_with_the_same_id_have_one_each(
    server: ProviderServer, http: Http
) -> None:
    same = ToolRequested("0", "get_weather", "{}")

    await play(model(server, http), ModelRequest([UserText("Hi"), same, same, ToolFinished("0", "sunny")]))

    blocks = [block for each in server.requests[0].json["messages"][1:] for block in each["content"]]
    assert ["0", "0_2"] == [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert ["0", "0_2"] == [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]


async def test_thinking_goes_back_only_to_the_model_that_wrote_it(server: ProviderServer, http: Http) -> None:
    await play(model(server, http, "anthropic/claude-opus-5-5"), LONG)

    assert "text" == server.requests[0].json["messages"][1]["content"][0]["type"]


async def test_a_temperature_is_sent_where_given_and_then_without_thinking(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http), ModelRequest([UserText("Hi")], temperature=0.2, max_output_tokens=50))

    body = server.requests[0].json
    assert (0.2, 50) == (body["temperature"], body["max_tokens"])
    assert "thinking" not in body


def anthropic_error(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
    return error_reply(status, body, **headers)


def refused(message: str) -> Reply:
    return anthropic_error(400, "invalid_request_error", message)


async def test_a_model_of_before_adaptive_thinking_gets_tokens_to_think_with_and_is_remembered(
    server: ProviderServer, http: Http
) -> None:
    server.script(refused("adaptive thinking is not supported on this model"))

    await play(model(server, http), replace(HELLO, reasoning_effort="low"))
    await play(model(server, http))
    await play(model(server, http), replace(HELLO, max_output_tokens=1500))

    adaptive = {"type": "adaptive", "display": "summarized"}
    few, some = ({"type": "enabled", "budget_tokens": tokens} for tokens in (2048, 4096))
    assert [adaptive, few, some, None] == [request.json.get("thinking") for request in server.requests]


async def test_a_model_that_cannot_think_is_asked_without_and_remembered(
    server: ProviderServer, http: Http
) -> None:
    server.script(*[refused("thinking: Extra inputs are not permitted")] * 2)

    await play(model(server, http))
    await play(model(server, http))

    thinking = [request.json.get("thinking", {}).get("type") for request in server.requests]
    assert ["adaptive", "enabled", None, None] == thinking


async def test_a_conversation_that_another_model_began_goes_on_without_thinking(
    server: ProviderServer, http: Http
) -> None:
    server.script(
        refused("thinking.type: Input tag 'adaptive' does not match any of the expected tags"),
        refused(
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`"
        ),
    )

    events = await play(model(server, http, "anthropic/claude-old"), LONG)

    assert "answered" == end_of(events)[0]
    assert "thinking" not in server.requests[2].json


async def test_tools_that_may_not_be_used_are_shown_and_forbidden(server: ProviderServer, http: Http) -> None:
    server.script(refused("tool_choice: Extra inputs are not permitted"))

    await play(model(server, http), replace(LONG, may_use_tools=False))
    await play(model(server, http, "anthropic/other"), replace(HELLO, may_use_tools=False))

    assert [{"type": "none"}, None, None] == [each.json.get("tool_choice") for each in server.requests]
    assert ["get_weather"] == [each["name"] for each in server.requests[1].json["tools"]]


@pytest.mark.parametrize(("effort", "sent"), [("minimal", "low"), ("medium", "medium"), ("high", "high")])
async def test_the_effort_is_sent_and_left_out_where_it_is_refused(
    server: ProviderServer, http: Http, effort: Effort, sent: str
) -> None:
    server.script(refused("This model does not support the effort parameter."))

    events = await play(model(server, http), replace(HELLO, reasoning_effort=effort))

    assert [{"effort": sent}, None] == [each.json.get("output_config") for each in server.requests]
    assert "thinking" in server.requests[1].json
    assert "answered" == end_of(events)[0]


PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
IN_WORDS = "Be brief.\n\nAnswer with nothing but JSON that fits this JSON Schema: {"


async def test_the_schema_of_an_answer_is_sent_and_put_into_words_where_it_is_refused(
    server: ProviderServer, http: Http
) -> None:
    server.script(refused("output_config.format: structured outputs are not supported"))
    request = replace(LONG, output_schema=PLACE, reasoning_effort="low")

    events = await play(model(server, http), request)

    first, second = (each.json for each in server.requests)
    assert {"effort": "low", "format": {"type": "json_schema", "schema": PLACE}} == first["output_config"]
    assert "Be brief." == first["system"]
    assert {"effort": "low"} == second["output_config"]
    assert second["system"].startswith(IN_WORDS)
    assert PLACE == json.loads(second["system"][len(IN_WORDS) - 1 :])
    assert "answered" == end_of(events)[0]


async def test_a_schema_that_anthropic_cannot_hold_a_model_to_is_put_into_words_at_once(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http), replace(HELLO, output_schema={"type": "object", "minProperties": 1}))

    (request,) = server.requests
    assert "output_config" not in request.json
    assert '"minProperties":1' in request.json["system"]


async def test_a_model_that_knows_no_temperature_is_asked_without(server: ProviderServer, http: Http) -> None:
    server.script(
        anthropic_error(400, "invalid_request_error", "temperature: Extra inputs are not permitted")
    )

    events = await play(model(server, http), ModelRequest([UserText("Hi")], temperature=0.2))

    assert "answered" == end_of(events)[0]
    assert "temperature" not in server.requests[1].json


async def test_a_conversation_goes_on_when_its_thinking_is_no_longer_accepted(
    server: ProviderServer, http: Http
) -> None:
    message = "messages.1.content.0: Invalid `signature` in `thinking` block"
    server.script(anthropic_error(400, "invalid_request_error", message))

    events = await play(model(server, http), LONG)

    assert "answered" == end_of(events)[0]
    assert "signature" not in server.requests[1].body.decode()
    assert "thinking" in server.requests[1].json


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (
            anthropic_error(401, "authentication_error", "invalid x-api-key"),
            BadKey,
            "Anthropic refused the key.",
        ),
        (
            anthropic_error(403, "permission_error", "No access."),
            BadKey,
            "does not allow this with your key: No access.",
        ),
        (
            anthropic_error(404, "not_found_error", "model: claude-nope"),
            UnknownModel,
            "does not know the model",
        ),
        (
            anthropic_error(429, "rate_limit_error", "Too many.", retry_after="12"),
            RateLimited,
            "It asks to wait 12 s.",
        ),
        (
            anthropic_error(529, "overloaded_error", "Overloaded"),
            Overloaded,
            "could not answer just now: Overloaded",
        ),
        (anthropic_error(500, "api_error", "Internal server error"), Overloaded, "Internal server error"),
        (anthropic_error(402, "billing_error", "Pay."), RequestRefused, "no credit left"),
        (
            anthropic_error(
                400, "invalid_request_error", "Your credit balance is too low to access the API."
            ),
            RequestRefused,
            "no credit left",
        ),
        (
            anthropic_error(
                400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"
            ),
            ContextTooLong,
            "too long for this model",
        ),
        (
            anthropic_error(413, "request_too_large", "Request exceeds the maximum size"),
            ContextTooLong,
            "too long",
        ),
        (
            anthropic_error(400, "invalid_request_error", "messages: nonsense"),
            RequestRefused,
            "messages: nonsense",
        ),
        (Reply(b"<html>Hi</html>", 200, "text/html"), StreamGarbled, "a web page"),
        (Reply(b"event: message_start\ndata: {\n\n"), StreamGarbled, "cannot be read"),
        (Reply(b'event: x\ndata: {"no": "type"}\n\n'), StreamGarbled, "cannot be read"),
    ],
)
async def test_each_way_to_fail_is_told_in_a_sentence(
    server: ProviderServer, http: Http, reply: Reply, kind: type[ProviderError], said: str
) -> None:
    server.script(reply)

    with pytest.raises(kind) as caught:
        await play(model(server, http))

    assert type(caught.value) is kind
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [("messages_overloaded", Overloaded, "The"), ("messages_cut_off", StreamDropped, "The answer is")],
)
async def test_an_answer_that_breaks_off_keeps_what_was_said_and_says_why(
    server: ProviderServer, http: Http, name: str, kind: type[AppError], text: str
) -> None:
    server.script(recording(name))

    said, error = await play_until(kind, model(server, http))

    assert text == text_of(said)
    assert error.retryable


async def test_closing_the_stream_closes_the_connection_at_once(server: ProviderServer, http: Http) -> None:
    server.script(recording("messages_text", hang_after=1100))
    stream = model(server, http).stream(HELLO)

    await anext(stream)
    await stream.aclose()

    assert await asyncio.to_thread(server.requests[-1].gone.wait, 10)
