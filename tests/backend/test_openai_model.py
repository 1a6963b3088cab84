"""OpenAI's two languages against a local server: what is asked, what comes out, what goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

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

from deskside.backend.agent.answer import Patience
from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    ModelRequest,
    ReasoningFinished,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    ToolSpec,
    Usage,
    UserText,
)
from deskside.backend.agent.openai_model import Api, OpenAIModel
from deskside.backend.agent.transport import Endpoint, Http, Provider
from deskside.backend.errors import (
    AppError,
    BadKey,
    ContentRefused,
    ContextTooLong,
    NoNetwork,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRefused,
    StreamDropped,
    StreamGarbled,
    StreamTimedOut,
    UnknownModel,
)
from provider_server import ProviderServer, Reply, error_reply, recording


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as http:
        yield http


def model(
    server: ProviderServer,
    http: Http,
    api: Api,
    name: str = "openai/gpt-5.4",
    patience: Patience = PATIENT,
    url: str | None = None,
) -> OpenAIModel:
    provider = Provider("openai", "OpenAI", url or server.openai_url, KEY)
    return OpenAIModel(name, Endpoint(provider, http, "openai", patience), api)


# -- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "usage", "end"),
    [
        (
            "chat_text",
            "The capital of France is Paris. Déjà vu 🗼.",
            Usage(24, 0, 0, 11),
            ("answered", "stop"),
        ),
        ("chat_cached", "Yes.", Usage(36, 1920, 50, 2), ("answered", "stop")),
        ("chat_length", "Once upon a", Usage(12, 0, 0, 3), ("length", "length")),
        ("chat_content_filter", "I would", Usage(12, 0, 0, 2), ("refused", "content_filter")),
        ("chat_refusal", "I'm sorry, I can't help with that.", Usage(12, 0, 0, 8), ("refused", "stop")),
        ("chat_llama_cpp_reasoning", "4", Usage(71, 0, 0, 9), ("answered", "stop")),
        (
            "responses_text",
            "The capital of France is Paris. Déjà vu 🗼.",
            Usage(31, 0, 0, 9),
            ("answered", "completed"),
        ),
        ("responses_reasoning", "2 + 2 = 4", Usage(76, 1024, 100, 140, 128), ("answered", "completed")),
        (
            "responses_refusal",
            "I'm sorry, I can't help with that.",
            Usage(40, 0, 0, 12),
            ("refused", "refusal"),
        ),
        ("responses_length", "Once upon a", Usage(20, 0, 0, 16), ("length", "max_output_tokens")),
        ("responses_content_filter", "I would", Usage(20, 0, 0, 2), ("refused", "content_filter")),
    ],
)
async def test_an_answer_arrives_as_text_usage_and_a_reason(
    server: ProviderServer, http: Http, name: str, text: str, usage: Usage, end: tuple[str, str]
) -> None:
    server.script(recording(name))

    events = await play(model(server, http, "chat" if name.startswith("chat") else "responses"))

    assert text == text_of(events)
    assert usage == usage_of(events)
    assert end == end_of(events)


@pytest.mark.parametrize("name", ["chat_parallel_tools", "responses_parallel_tools"])
async def test_parallel_tool_calls_arrive_as_they_are_written_and_then_whole(
    server: ProviderServer, http: Http, name: str
) -> None:
    server.script(recording(name))

    events = await play(model(server, http, "chat" if name.startswith("chat") else "responses"))
    first, second = (event for event in events if isinstance(event, ToolRequested))
    pieces = [
        event.text
        for event in events
        if isinstance(event, ToolArgumentsDelta) and event.call_id == first.call_id
    ]

    assert ("get_weather", "get_time") == (first.name, second.name)
    assert {"city": "Paris"} == json.loads(first.arguments)
    assert {"zone": "Europe/Paris"} == json.loads(second.arguments)
    assert first.arguments == "".join(pieces)
    assert len(pieces) > 1
    assert events.index(ToolCallStarted(first.call_id, "get_weather")) < events.index(first)
    assert "tool_use" == end_of(events)[0]


def chat_pieces(*pieces: tuple[int | None, str | None, str | None, str]) -> Reply:
    """A chat answer that is calls: the index, id, name and arguments of each piece that is sent."""
    chunks = []
    for index, call_id, name, arguments in pieces:
        call = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
        chunks.append({"choices": [{"delta": {"tool_calls": [call]}}]})
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    return Reply(b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks))


TWO = [("get_weather", '{"city":"Paris"}'), ("get_time", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [(0, "x", "get_weather", '{"city":'), (0, None, None, '"Paris"}'), (1, "x", "get_time", "{}")],
            id="one id for two",
        ),
        pytest.param(
            [(0, "", "get_weather", '{"city":"Paris"}'), (0, "", "get_time", "{}")],
            id="whole calls without id and index",
        ),
        pytest.param(
            [(0, "x", "get_weather", '{"city":"Paris"}'), (0, "x", "get_time", "{}")],
            id="whole calls with one id and index",
        ),
        pytest.param(
            [
                (0, "x", "get_weather", ""),
                (0, "x", "get_weather", '{"city":"Paris"}'),
                (0, "x", "get_weather", ""),
                (1, "y", "get_time", "{}"),
            ],
            id="id and name with each piece",
        ),
        pytest.param(
            [(0, "x", "get_weather", '{"city":'), (1, "x", "get_time", "{"), (0, None, None, '"Paris"}'),
             (1, None, None, "}")],
            id="one id for two that are written at the same time",
        ),
    ],
)  # fmt: skip
async def test_however_a_server_tells_calls_apart_each_has_an_id_of_its_own(
    server: ProviderServer, http: Http, pieces: list[tuple[int | None, str | None, str | None, str]]
) -> None:
    server.script(chat_pieces(*pieces))

    events = await play(model(server, http, "chat"))

    ids = [event.call_id for event in events if isinstance(event, ToolRequested)]
    assert TWO == requested(events)
    assert [event.call_id for event in events if isinstance(event, ToolCallStarted)] == ids
    assert len({*ids, ""}) == 3


@pytest.mark.parametrize("call_id", ["x", ""])
async def test_calls_of_one_id_that_are_written_at_the_same_time_are_two(
    server: ProviderServer, http: Http, call_id: str
) -> None:
    def item(kind: str, n: int, arguments: str) -> dict[str, Any]:
        call = {"type": "function_call", "id": f"fc_{n}", "call_id": call_id, "name": TWO[n][0]}
        return {"type": f"response.output_item.{kind}", "item": {**call, "arguments": arguments}}

    said = [item("added", 0, ""), item("added", 1, "")]
    for n, (_, arguments) in enumerate(TWO):
        delta = {"item_id": f"fc_{n}", "delta": arguments}
        said.append({"type": "response.function_call_arguments.delta", **delta})
    said += [item("done", n, arguments) for n, (_, arguments) in enumerate(TWO)]
    said.append({"type": "response.completed", "response": {}})
    server.script(Reply(b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in said)))

    events = await play(model(server, http, "responses"))

    ids = [event.call_id for event in events if isinstance(event, ToolRequested)]
    written = [(each.call_id, each.text) for each in events if isinstance(each, ToolArgumentsDelta)]
    assert TWO == requested(events)
    assert [event.call_id for event in events if isinstance(event, ToolCallStarted)] == ids
    assert [(ids[0], TWO[0][1]), (ids[1], TWO[1][1])] == written
    assert len({*ids, ""}) == 3


async def test_reasoning_of_a_compatible_server_comes_before_the_tool_it_led_to(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("chat_ollama_reasoning_tool"))

    events = await play(model(server, http, "chat"))

    assert "The user wants the time." == reasoning_of(events)
    assert [("get_time", '{"zone":"Europe/Paris"}')] == requested(events)
    kinds = [type(event).__name__ for event in events]
    assert kinds.index("ReasoningFinished") < kinds.index("ToolCallStarted")


async def test_a_server_that_says_stop_after_tool_calls_still_wants_them_run(
    server: ProviderServer, http: Http
) -> None:
    body = recording("chat_parallel_tools").body
    server.script(Reply(body.replace(b'"finish_reason":"tool_calls"', b'"finish_reason":"stop"')))

    events = await play(model(server, http, "chat"))

    assert ("tool_use", "stop") == end_of(events)
    assert 2 == len(requested(events))


async def test_openai_s_reasoning_comes_with_the_item_to_send_back(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("responses_reasoning"))

    events = await play(model(server, http, "responses"))
    (finished,) = (event for event in events if isinstance(event, ReasoningFinished))

    assert "**Adding** two numbers\n\nNow the answer" == reasoning_of(events)
    assert finished.provider_data is not None
    item = json.loads(finished.provider_data)
    assert "gAAAAABo8MGjT3dK1vWq0Zx9nU5mYbE7hRcL2sPfGkDoItVaXjQwNuMzBpSyHe4C" == item["encrypted_content"]
    assert "reasoning" == item["type"]


@pytest.mark.parametrize("name", ["chat_length_in_tool", "responses_length_in_tool"])
async def test_a_tool_call_that_was_cut_off_by_the_limit_is_not_requested(
    server: ProviderServer, http: Http, name: str
) -> None:
    server.script(recording(name))

    events = await play(model(server, http, "chat" if name.startswith("chat") else "responses"))

    assert [] == requested(events)
    assert "length" == end_of(events)[0]


# -- what is asked ------------------------------------------------------------------------------

WEATHER = ToolSpec(
    "get_weather", "The weather now.", {"type": "object", "properties": {"city": {"type": "string"}}}
)
LONG = ModelRequest(
    history=[
        UserText("Weather and time?"),
        UserText("In Paris."),
        AssistantReasoning("Two tools.", '{"type":"reasoning","id":"rs_1"}', "openai/gpt-5.4"),
        AssistantText("Looking."),
        ToolRequested("call_1", "get_weather", '{"city": "Paris"}'),
        ToolRequested("call_2", "get_time", "not json"),
        ToolFinished("call_2", "bad arguments", failed=True),
        ToolFinished("call_1", "sunny"),
        AssistantText("Sunny."),
        AssistantText("  "),
        UserText("Thanks!"),
    ],
    instructions="Be brief.",
    tools=[WEATHER],
    max_output_tokens=500,
    temperature=0.5,
)


async def test_a_chat_request_holds_the_history_in_openai_s_grouping(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http, "chat", "openai/gpt-4.1"), LONG)

    (request,) = server.requests
    assert "/v1/chat/completions" == request.path
    assert f"Bearer {KEY}" == request.headers["authorization"]
    assert {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather and time?\n\nIn Paris."},
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                    },
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "get_time", "arguments": '{"invalid_json":"not json"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "content": "bad arguments"},
            {"role": "assistant", "content": "Sunny."},
            {"role": "user", "content": "Thanks!"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "The weather now.",
                    "parameters": WEATHER.parameters,
                },
            }
        ],
        "max_tokens": 500,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    } == request.json


async def test_a_responses_request_holds_the_history_and_keeps_nothing_at_openai(
    server: ProviderServer, http: Http
) -> None:
    def answer(text: str) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text}]
        return {"type": "message", "role": "assistant", "content": content}

    await play(model(server, http, "responses"), LONG)

    (request,) = server.requests
    assert "/v1/responses" == request.path
    assert {
        "model": "gpt-5.4",
        "input": [
            {"role": "user", "content": "Weather and time?\n\nIn Paris."},
            {"type": "reasoning", "id": "rs_1"},
            answer("Looking."),
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "get_weather",
                "arguments": '{"city": "Paris"}',
            },
            {
                "type": "function_call",
                "call_id": "call_2",
                "name": "get_time",
                "arguments": '{"invalid_json":"not json"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            {"type": "function_call_output", "call_id": "call_2", "output": "bad arguments"},
            answer("Sunny."),
            {"role": "user", "content": "Thanks!"},
        ],
        "instructions": "Be brief.",
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather now.",
                "parameters": WEATHER.parameters,
                "strict": False,
            }
        ],
        "max_output_tokens": 500,
        "temperature": 0.5,
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": True,
    } == request.json


async def test_a_small_request_holds_nothing_that_was_not_asked_for(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http, "responses", "openai/gpt-4.1-mini"))

    assert {
        "model": "gpt-4.1-mini",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
        "stream": True,
    } == server.requests[0].json


async def test_reasoning_goes_back_only_to_the_model_that_wrote_it(
    server: ProviderServer, http: Http
) -> None:
    await play(model(server, http, "responses", "openai/gpt-6-luna"), LONG)

    assert [] == [item for item in server.requests[0].json["input"] if item.get("type") == "reasoning"]


def refused_parameter(name: str) -> Reply:
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return openai_error(400, message, code="unsupported_parameter", param=name)


def openai_error(
    status: int, message: str, code: str | None = None, param: str | None = None, **headers: str
) -> Reply:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return error_reply(status, body, **headers)


async def test_a_model_that_refuses_optional_parameters_is_asked_without_them_and_remembered(
    server: ProviderServer, http: Http
) -> None:
    server.script(refused_parameter("reasoning.summary"), refused_parameter("include"))
    request = ModelRequest([UserText("Hi")], temperature=0.1)

    first = await play(model(server, http, "responses", "openai/new-model"), request)
    again = await play(model(server, http, "responses", "openai/new-model"), request)
    await play(model(server, http, "responses", "openai/other-model"), request)

    asked = [set(each.json) & {"reasoning", "include", "temperature"} for each in server.requests]
    every = {"reasoning", "include", "temperature"}
    assert [every, {"include", "temperature"}, {"temperature"}, {"temperature"}, every] == asked
    assert "answered" == end_of(first)[0] == end_of(again)[0]


async def test_a_refusal_that_another_run_learned_of_meanwhile_is_adapted_to_all_the_same(
    server: ProviderServer, http: Http
) -> None:
    refusal = refused_parameter("temperature")
    server.script(dataclasses.replace(refusal, hang_after=0), refusal)
    request = ModelRequest([UserText("Hi")], temperature=0.1)

    slow = asyncio.create_task(play(model(server, http, "chat"), request))
    await asyncio.to_thread(server.wait_until_asked)
    quick = await play(model(server, http, "chat"), request)
    server.release()

    assert "answered" == end_of(quick)[0] == end_of(await slow)[0]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_tools_that_may_not_be_used_are_shown_and_forbidden(
    server: ProviderServer, http: Http, api: Api
) -> None:
    server.script(refused_parameter("tool_choice"))

    await play(model(server, http, api), replace(LONG, may_use_tools=False))
    await play(model(server, http, api, "openai/other"), replace(HELLO, may_use_tools=False))

    assert ["none", None, None] == [each.json.get("tool_choice") for each in server.requests]
    assert 1 == len(server.requests[1].json["tools"])


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_effort_is_sent_and_what_the_model_does_not_know_is_left_out(
    server: ProviderServer, http: Http, api: Api
) -> None:
    param = "reasoning_effort" if api == "chat" else "reasoning.effort"
    message = "Unsupported value: 'minimal' is not supported with the 'gpt-5.4' model."
    server.script(openai_error(400, message, "unsupported_value", param), refused_parameter(param))

    await play(model(server, http, api), replace(HELLO, reasoning_effort="minimal"))
    await play(model(server, http, api), HELLO)

    if api == "chat":
        asked = [each.json.get("reasoning_effort") for each in server.requests]
    else:
        asked = [each.json["reasoning"].get("effort") for each in server.requests]
        assert {"summary": "auto"} == server.requests[2].json["reasoning"]
    assert ["minimal", "low", None, None] == asked


CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED_CITY = {**CITY, "required": ["city"], "additionalProperties": False}


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(("schema", "strict"), [(CLOSED_CITY, True), (CITY, False)])
async def test_the_schema_of_an_answer_is_sent_and_put_into_words_where_it_is_refused(
    server: ProviderServer, http: Http, api: Api, schema: dict[str, Any], strict: bool
) -> None:
    server.script(refused_parameter("response_format" if api == "chat" else "text.format"))

    events = await play(model(server, http, api), replace(LONG, output_schema=schema))

    first, second = (each.json for each in server.requests)
    answer = {"name": "answer", "schema": schema, "strict": strict}
    ask = "Be brief.\n\nAnswer with nothing but JSON that fits this JSON Schema: "
    if api == "chat":
        assert {"type": "json_schema", "json_schema": answer} == first["response_format"]
        assert "Be brief." == first["messages"][0]["content"]
        said = second["messages"][0]["content"]
    else:
        assert {"format": {"type": "json_schema", **answer}} == first["text"]
        assert "Be brief." == first["instructions"]
        said = second["instructions"]
    assert not {"response_format", "text"} & set(second)
    assert said.startswith(ask)
    assert schema == json.loads(said[len(ask) :])
    assert "answered" == end_of(events)[0]


async def test_a_server_that_wants_the_new_name_of_the_limit_gets_it(
    server: ProviderServer, http: Http
) -> None:
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    server.script(openai_error(400, message, "unsupported_parameter", "max_tokens"))

    await play(model(server, http, "chat"), ModelRequest([UserText("Hi")], max_output_tokens=9))

    assert 9 == server.requests[1].json["max_completion_tokens"]
    assert "max_tokens" not in server.requests[1].json


async def test_a_refusal_of_the_request_itself_is_not_asked_twice(server: ProviderServer, http: Http) -> None:
    server.script(openai_error(400, "Invalid value: 'input[0].role'.", "invalid_value", "input[0].role"))

    with pytest.raises(RequestRefused):
        await play(model(server, http, "responses"))

    assert 1 == len(server.requests)


async def test_a_server_without_responses_is_asked_by_chat_from_then_on(
    server: ProviderServer, http: Http
) -> None:
    server.route("/v1/responses", Reply(b"404 page not found", 404, "text/plain"))

    first = await play(model(server, http, "responses_or_chat"))
    await play(model(server, http, "responses_or_chat"))

    assert "You said: Hello " == text_of(first)
    assert ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"] == [
        request.path for request in server.requests
    ]


async def test_a_model_that_a_server_does_not_know_is_no_reason_to_try_chat(
    server: ProviderServer, http: Http
) -> None:
    server.route("/v1/responses", openai_error(404, "The model 'gpt-5.4' does not exist", "model_not_found"))

    with pytest.raises(UnknownModel):
        await play(model(server, http, "responses_or_chat"))

    assert 1 == len(server.requests)


async def test_a_conversation_goes_on_when_its_reasoning_is_no_longer_accepted(
    server: ProviderServer, http: Http
) -> None:
    server.script(
        openai_error(400, "The encrypted content could not be verified.", "invalid_encrypted_content")
    )

    events = await play(model(server, http, "responses"), LONG)

    assert "answered" == end_of(events)[0]
    assert "reasoning" not in [item.get("type") for item in server.requests[1].json["input"]]


async def test_steps_of_one_run_share_a_connection(server: ProviderServer, http: Http) -> None:
    for _ in range(3):
        await play(model(server, http, "chat"))

    assert 1 == server.connections


async def test_a_kept_connection_that_turns_out_closed_is_replaced_unseen(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("chat_text", then_close=True))

    await play(model(server, http, "chat"))
    events = await play(model(server, http, "chat"))

    assert "You said: Hello " == text_of(events)
    assert 2 == server.connections


async def test_a_new_connection_that_is_closed_before_the_answer_is_an_error(
    server: ProviderServer, http: Http
) -> None:
    server.script(Reply(status=0))

    with pytest.raises(NoNetwork, match="closed the connection before it answered"):
        await play(model(server, http, "chat"))

    assert 1 == server.connections


async def test_a_server_without_a_key_is_not_sent_the_one_in_the_environment(
    server: ProviderServer, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider = Provider("local", "My server", server.openai_url)

    await play(OpenAIModel("local/llama", Endpoint(provider, http, "openai", PATIENT), "chat"))

    assert KEY not in str(server.requests[0].headers)


async def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Http() as http:
        events = await play(model(server, http, "chat"))

    assert "answered" == end_of(events)[0]


# -- what goes wrong ----------------------------------------------------------------------------

ECHO = f"Incorrect API key provided: {KEY[:8]}****6789. You can find your API key at https://platform.openai.com."


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (openai_error(401, ECHO, "invalid_api_key"), BadKey, "OpenAI refused the key."),
        (
            openai_error(403, f"Key {KEY} lacks the scope."),
            BadKey,
            "OpenAI does not allow this with your key: Key [key]",
        ),
        (
            openai_error(404, "The model `x` does not exist", "model_not_found"),
            UnknownModel,
            "does not know the model",
        ),
        (openai_error(400, "invalid model ID", None, "model"), UnknownModel, "'gpt-5.4'"),
        (
            openai_error(404, "Invalid URL (POST /v1/x)"),
            RequestRefused,
            "There is nothing at this address of OpenAI",
        ),
        (
            openai_error(429, "Rate limit reached", "rate_limit_exceeded"),
            RateLimited,
            "OpenAI is limiting requests",
        ),
        (
            openai_error(429, "You exceeded your current quota", "insufficient_quota"),
            RequestRefused,
            "no credit left",
        ),
        (
            openai_error(500, "The server had an error"),
            Overloaded,
            "OpenAI could not answer just now: The server had",
        ),
        (Reply(b"<html>bad gateway</html>", 502, "text/html"), Overloaded, "(HTTP 502)"),
        (
            openai_error(400, "Too long.", "context_length_exceeded"),
            ContextTooLong,
            "too long for this model",
        ),
        (
            openai_error(400, "Your prompt was flagged", "invalid_prompt"),
            ContentRefused,
            "declined to answer",
        ),
        (openai_error(400, "Nonsense."), RequestRefused, "OpenAI refused the request: Nonsense."),
        (Reply(b"<html>Hi</html>", 200, "text/html"), StreamGarbled, "a web page"),
        (Reply(b'{"choices": []}', 200, "application/json"), StreamGarbled, "in one piece"),
        (
            Reply(b'{"error": {"code": "insufficient_quota"}}', 200, "application/json"),
            RequestRefused,
            "no credit",
        ),
        (Reply(b"data: {not json\n\n"), StreamGarbled, "cannot be read"),
        (Reply(b"data: [1, 2]\n\n"), StreamGarbled, "cannot be read"),
        (Reply(b"Welcome to my homepage\n\n"), StreamGarbled, "not a stream of events"),
        (Reply(b'data: {"error": {"message": "Busy", "type": "server_error"}}\n\n'), Overloaded, "Busy"),
        (Reply(b""), StreamDropped, "broke off"),
    ],
)
async def test_each_way_to_fail_is_told_in_a_sentence(
    server: ProviderServer, http: Http, api: Api, reply: Reply, kind: type[ProviderError], said: str
) -> None:
    server.script(reply)

    with pytest.raises(kind) as caught:
        await play(model(server, http, api))

    assert type(caught.value) is kind
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.retryable is (kind in (RateLimited, Overloaded, StreamGarbled, StreamDropped))


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("chat_error_in_stream", Overloaded, "The"),
        ("chat_cut_off", StreamDropped, "The answer is"),
        ("responses_failed", Overloaded, ""),
        ("responses_error", RateLimited, ""),
        ("responses_cut_off", StreamDropped, "The answer is"),
    ],
)
async def test_an_answer_that_breaks_off_keeps_what_was_said_and_says_why(
    server: ProviderServer, http: Http, name: str, kind: type[AppError], text: str
) -> None:
    server.script(recording(name))

    said, _ = await play_until(kind, model(server, http, "chat" if name.startswith("chat") else "responses"))

    assert text == text_of(said)


async def test_a_connection_reset_in_the_middle_is_a_dropped_stream(
    server: ProviderServer, http: Http
) -> None:
    server.script(recording("chat_text", cut_after=900, piece_bytes=300, delay_s=0.01))

    with pytest.raises(StreamDropped) as caught:
        await play(model(server, http, "chat"))

    assert caught.value.retryable


async def test_a_server_that_is_not_running_is_no_network(server: ProviderServer, http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NoNetwork) as caught:
        await play(model(server, http, "chat", url=f"http://127.0.0.1:{port}/v1"))

    assert "Could not connect to OpenAI at 127.0.0.1." == caught.value.message


@pytest.mark.parametrize("key", ["sk-ключ", "sk-a b", "sk-a\nX-Other: b"])
async def test_a_key_that_can_be_none_is_never_sent(server: ProviderServer, http: Http, key: str) -> None:
    provider = Provider("openai", "OpenAI", server.openai_url, key)

    with pytest.raises(BadKey, match="characters that no key has"):
        await play(OpenAIModel("openai/gpt-5.4", Endpoint(provider, http, "openai", PATIENT), "chat"))

    assert [] == server.requests


async def test_an_error_whose_body_breaks_off_is_no_network(server: ProviderServer, http: Http) -> None:
    server.script(Reply(b'{"error": "xxxxxxxxxxxxxxxxx"}', 500, "application/json", cut_after=9))

    with pytest.raises(NoNetwork):
        await play(model(server, http, "chat"))


@pytest.mark.parametrize("url", ["ftp://example", "http://[::1/v1", "http://a:port/v1", "http:///v1"])
async def test_an_address_that_is_none_is_refused_without_a_call(
    server: ProviderServer, http: Http, url: str
) -> None:
    with pytest.raises(RequestRefused) as caught:
        await play(model(server, http, "chat", url=url))

    assert "is not an address" in caught.value.message


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"x_ratelimit_reset_requests": "1m30s", "x_ratelimit_remaining_requests": "0"}, 90.0),
        (
            {
                "x_ratelimit_reset_requests": "8h0m0s",
                "x_ratelimit_remaining_requests": "12",
                "x_ratelimit_reset_tokens": "20ms",
                "x_ratelimit_remaining_tokens": "0",
            },
            0.02,
        ),
        (
            {
                "x_ratelimit_reset_requests": "1s",
                "x_ratelimit_remaining_requests": "5",
                "x_ratelimit_reset_tokens": "30s",
                "x_ratelimit_remaining_tokens": "0",
            },
            30.0,
        ),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_rate_limit_says_how_long_to_wait(
    server: ProviderServer, http: Http, headers: dict[str, str], wait_s: float | None
) -> None:
    server.script(openai_error(429, "Slow down", "rate_limit_exceeded", **headers))

    with pytest.raises(RateLimited) as caught:
        await play(model(server, http, "chat"))

    assert wait_s == caught.value.retry_after_s


async def test_silence_before_the_first_byte_ends_in_a_time_out(server: ProviderServer, http: Http) -> None:
    server.script(recording("chat_text"), recording("chat_text", hang_after=0))
    await play(model(server, http, "chat"))  # what is done once in a process is not waited for

    with pytest.raises(StreamTimedOut):
        await play(model(server, http, "chat", patience=Patience(10, 0.5, 10)))

    assert 2 == len(server.requests)
    assert await gone(server)


async def test_silence_between_two_chunks_ends_in_a_time_out(server: ProviderServer, http: Http) -> None:
    server.script(recording("chat_text", hang_after=900))
    impatient = model(server, http, "chat", patience=Patience(10, 600, 0.2))

    async with asyncio.timeout(60):  # far beyond the gap, far below the wait for a first byte
        said, _ = await play_until(StreamTimedOut, impatient)

    assert "The" in text_of(said)
    assert await gone(server)


async def gone(server: ProviderServer) -> bool:
    """True once the server has seen its client go away; waits for that, not for a time."""
    return await asyncio.to_thread(server.requests[-1].gone.wait, 10)


async def test_closing_the_stream_closes_the_connection_at_once(server: ProviderServer, http: Http) -> None:
    server.script(recording("chat_text", hang_after=900))
    stream = model(server, http, "chat").stream(HELLO)

    assert isinstance(await anext(stream), TextDelta)
    await stream.aclose()

    assert await gone(server)


@pytest.mark.parametrize("hang_after", [0, 900])
async def test_cancelling_the_task_closes_the_connection_at_once(
    server: ProviderServer, http: Http, hang_after: int
) -> None:
    server.script(recording("chat_text", hang_after=hang_after))
    task = asyncio.create_task(play(model(server, http, "chat")))
    await asyncio.to_thread(server.wait_until_asked)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await gone(server)


def test_importing_the_adapters_imports_neither_sdk_nor_httpx() -> None:
    program = (
        "import sys\n"
        "from deskside.backend.agent import catalog, providers, scripted_model\n"
        "print([name for name in ('openai', 'anthropic', 'httpx2', 'pydantic') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )

    assert "[]" == done.stdout.strip(), done.stderr
