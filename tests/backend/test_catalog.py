"""Which models there are, which servers run here, and whether a key works."""

from __future__ import annotations

import json
import socket
import typing
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic.types
import openai.types.shared
import pytest
from model_calls import KEY, PATIENT, text_of

from deskside.backend.agent.anthropic_model import AnthropicModel
from deskside.backend.agent.catalog import OFFLINE_MODELS, FoundServer, ModelInfo, fetch_models, find_servers
from deskside.backend.agent.events import ModelRequest, UserText
from deskside.backend.agent.providers import check_key, find_provider, make_model
from deskside.backend.agent.transport import Http, Provider
from deskside.backend.errors import BadKey, NoModel, NoNetwork, Overloaded, StreamGarbled
from provider_server import ProviderServer, Reply, error_reply


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as http:
        yield http


def openai_at(server: ProviderServer) -> Provider:
    return find_provider("openai", key=KEY, base_url=server.openai_url)


def anthropic_at(server: ProviderServer) -> Provider:
    return find_provider("anthropic", key=KEY, base_url=server.anthropic_url)


def listing(*models: Any, **more: Any) -> Reply:
    return Reply(
        json.dumps({"object": "list", "data": models, **more}).encode(), content_type="application/json"
    )


# -- lists --------------------------------------------------------------------------------------


async def test_openai_s_list_holds_what_one_can_talk_to_newest_first(
    server: ProviderServer, http: Http
) -> None:
    names = ["gpt-4.1", "text-embedding-3-large", "gpt-6-sol", "tts-1-hd", "whisper-1", "gpt-image-2", "o3"]
    names += ["omni-moderation-latest", "gpt-realtime-2", "gpt-audio-mini", "gpt-4o-transcribe", "dall-e-3"]
    names += ["gpt-3.5-turbo-instruct", "davinci-002", "sora-2", "gpt-4o-search-preview", "o3-deep-research"]
    server.models = [{"id": name, "object": "model", "created": 1000 + len(name)} for name in names]

    models = await fetch_models(openai_at(server), http, PATIENT)

    assert ["openai/gpt-6-sol", "openai/gpt-4.1", "openai/o3"] == [model.id for model in models]
    assert ModelInfo("openai/gpt-6-sol", "gpt-6-sol", "openai", None, 1009) == models[0]
    assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]


async def test_anthropic_s_list_is_read_to_its_last_page(server: ProviderServer, http: Http) -> None:
    def entry(name: str, created: str) -> dict[str, Any]:
        return {
            "type": "model",
            "id": name,
            "display_name": name.title(),
            "created_at": created,
            "lifecycle": "active",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
        }

    server.route(
        "/v1/models",
        listing(entry("claude-new", "2026-09-01T00:00:00Z"), has_more=True, last_id="claude-new"),
    )
    server.route(
        "/v1/models?limit=1000&after_id=claude-new",
        listing(entry("claude-old", "1970-01-01T00:00:00Z"), has_more=False, last_id="claude-old"),
    )

    models = await fetch_models(anthropic_at(server), http, PATIENT)

    assert [
        ModelInfo("anthropic/claude-new", "Claude-New", "anthropic", 200_000, 1788220800),
        ModelInfo("anthropic/claude-old", "Claude-Old", "anthropic", 200_000, None),
    ] == models
    assert "limit=1000" in server.requests[0].query


async def test_a_server_s_list_keeps_all_but_embeddings_and_says_how_much_fits(
    server: ProviderServer, http: Http
) -> None:
    server.models = [
        {"id": "Qwen/Qwen3-8B", "object": "model", "owned_by": "vllm", "max_model_len": 40960},
        {"id": "gpt-oss-20b", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}},
        {"id": "nomic-embed-text:latest", "owned_by": "library"},
    ]
    provider = find_provider("local", key=None, base_url=server.openai_url, label="My server")

    models = await fetch_models(provider, http, PATIENT)

    assert [("local/Qwen/Qwen3-8B", 40960), ("local/gpt-oss-20b", 131072)] == [
        (model.id, model.context_tokens) for model in models
    ]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error_reply(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}), BadKey),
        (error_reply(503, {"error": {"message": "Busy"}}), Overloaded),
        (Reply(b"<html>", 200, "text/html"), StreamGarbled),
        (Reply(b'{"data": 5}', 200, "application/json"), StreamGarbled),
    ],
)
async def test_a_list_that_cannot_be_had_says_why(
    server: ProviderServer, http: Http, reply: Reply, kind: type[Exception]
) -> None:
    server.route("/v1/models", reply)

    for provider in (openai_at(server), anthropic_at(server)):
        with pytest.raises(kind):
            await fetch_models(provider, http, PATIENT)


def test_the_built_in_names_are_ones_the_sdks_know() -> None:
    known = set(typing.get_args(openai.types.shared.ChatModel))
    known |= set(typing.get_args(typing.get_args(anthropic.types.Model)[0]))

    names = {model.id.partition("/")[2] for models in OFFLINE_MODELS.values() for model in models}

    assert set() == names - known


# -- keys ---------------------------------------------------------------------------------------


async def test_a_key_that_works_is_told_in_a_sentence(server: ProviderServer, http: Http) -> None:
    assert "OpenAI accepted the key and offers 1 model." == await check_key(openai_at(server), http, PATIENT)
    assert "Anthropic accepted the key and offers 1 model." == await check_key(
        anthropic_at(server), http, PATIENT
    )


async def test_a_restricted_key_that_may_not_list_still_works(server: ProviderServer, http: Http) -> None:
    message = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
    server.route(
        "/v1/models", error_reply(403, {"error": {"message": message, "type": "invalid_request_error"}})
    )

    assert "OpenAI knows the key, which may not list models." == await check_key(
        openai_at(server), http, PATIENT
    )


async def test_a_wrong_key_is_refused(server: ProviderServer, http: Http) -> None:
    server.route("/v1/models", error_reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))

    with pytest.raises(BadKey) as caught:
        await check_key(openai_at(server), http, PATIENT)

    assert KEY not in caught.value.message


async def test_a_server_that_is_not_running_is_told_apart_from_a_wrong_key(http: Http) -> None:
    provider = find_provider(
        "local", key=None, base_url=f"http://127.0.0.1:{free_port()}/v1", label="My server"
    )

    with pytest.raises(NoNetwork, match="My server"):
        await check_key(provider, http, PATIENT)


# -- servers ------------------------------------------------------------------------------------


async def test_servers_that_run_here_are_found_by_their_lists(http: Http) -> None:
    with ProviderServer() as ollama, ProviderServer() as llama, ProviderServer() as website:
        ollama.models = [{"id": "qwen3:4b", "owned_by": "library"}, {"id": "nomic-embed-text"}]
        llama.models = [{"id": "model.gguf", "owned_by": "llamacpp"}]
        website.route("/v1/models", Reply(b"<html>", 200, "text/html"))
        ports = {
            "ollama": ollama.port,
            "lm_studio": free_port(),
            "llama_cpp": website.port,
            "vllm": llama.port,
        }

        found = await find_servers(http, ports)  # type: ignore[arg-type]

    assert [
        FoundServer("ollama", "Ollama", ollama.openai_url, ["qwen3:4b"]),
        FoundServer("llama_cpp", "llama.cpp", llama.openai_url, ["model.gguf"]),
    ] == found


async def test_a_server_that_does_not_answer_in_time_is_not_waited_for(http: Http) -> None:
    with ProviderServer() as slow:
        slow.route("/v1/models", Reply(b"{}", hang_after=0))

        assert [] == await find_servers(http, {"ollama": slow.port}, patience_s=0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base", "path"),
    [
        ("openai/gpt-6-sol", "/v1", "/v1/responses"),
        ("anthropic/claude-sonnet-5-5", "", "/v1/messages"),
        ("anthropic/claude-sonnet-5-5", "/v1/", "/v1/messages"),
        ("local/org/model:4b", "/v1", "/v1/chat/completions"),
    ],
)
async def test_the_name_of_a_model_says_where_and_how_to_ask(
    server: ProviderServer, http: Http, name: str, base: str, path: str
) -> None:
    model = make_model(name, key=KEY, http=http, base_url=server.url + base, patience=PATIENT)

    events = [event async for event in model.stream(ModelRequest([UserText("Hi")]))]

    assert "You said: Hi " == text_of(events)
    assert (name, path) == (model.name, server.requests[0].path)
    assert name.partition("/")[2] == server.requests[0].json["model"]


def test_without_another_address_the_providers_own_is_asked(http: Http) -> None:
    assert "https://api.openai.com/v1" == find_provider("openai", key=None).base_url
    assert "https://api.anthropic.com" == find_provider("anthropic", key=None).base_url
    assert isinstance(make_model("anthropic/x", key=None, http=http), AnthropicModel)


@pytest.mark.parametrize("name", ["gpt-5", "openai/", "nobody/model"])
def test_a_name_that_says_no_provider_is_no_model(http: Http, name: str) -> None:
    with pytest.raises(NoModel):
        make_model(name, key=None, http=http)


def test_a_key_does_not_show_when_a_provider_is_printed() -> None:
    assert KEY not in repr(find_provider("openai", key=KEY))
