"""Both ways of a request, the lean one and the SDK's own: the server sees the same, and so do we."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
from model_calls import play, text_of

from deskside.backend.agent.events import Model
from deskside.backend.agent.providers import make_model
from deskside.backend.agent.transport import Http
from deskside.backend.errors import BadKey, RequestRefused
from provider_server import ProviderServer, error_reply

KEY = "sk-test-0123456789"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def http(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with Http() as http:
        yield http


def model_at(url: str, name: str, http: Http, key: str | None = KEY) -> Model:
    base_url = url if name.startswith("anthropic/") else f"{url}/v1"
    return make_model(name, key=key, http=http, base_url=base_url)


async def ask_with_sdk(server: ProviderServer, name: str) -> None:
    """The same question as `play` asks, all with the SDK."""
    question: Any = [{"role": "user", "content": "Hello"}]
    if name.startswith("anthropic/"):
        async with anthropic.AsyncAnthropic(
            api_key=KEY, base_url=server.anthropic_url, max_retries=0
        ) as client:
            async for _ in await client.messages.create(
                model="m", max_tokens=10, messages=question, stream=True
            ):
                pass
        return
    async with openai.AsyncOpenAI(api_key=KEY, base_url=server.openai_url, max_retries=0) as client:
        async for _ in await client.chat.completions.create(model="m", messages=question, stream=True):
            pass


@pytest.mark.parametrize("name", ["local/m", "anthropic/m"])
async def test_a_request_has_the_headers_that_the_sdk_gives_it(
    server: ProviderServer, http: Http, name: str
) -> None:
    await play(model_at(server.url, name, http))
    await ask_with_sdk(server, name)
    ours, theirs = (request.headers for request in server.requests)

    # Nothing packed; its length; the stream is asked for by name; and no time-out that we do not keep.
    differing = {"accept-encoding", "content-length", "accept", "x-stainless-read-timeout"}
    differing |= {"x-stainless-timeout", "x-stainless-stream-helper"}
    assert {key: value for key, value in theirs.items() if key not in differing} == {
        key: value for key, value in ours.items() if key not in differing
    }
    assert "identity" == ours["accept-encoding"]
    assert "text/event-stream" == ours["accept"]


async def test_what_the_environment_adds_to_requests_is_sent(
    server: ProviderServer, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")

    await play(model_at(server.url, "local/m", http))

    assert "org-of-mine" == server.requests[0].headers["openai-organization"]


async def test_a_new_key_is_sent_with_the_next_request(server: ProviderServer, http: Http) -> None:
    for key in ("sk-old", "sk-new", None):
        await play(model_at(server.url, "local/m", http, key))

    assert ["Bearer sk-old", "Bearer sk-new", "Bearer none"] == [
        request.headers["authorization"] for request in server.requests
    ]


async def test_another_address_is_used_with_the_next_request(server: ProviderServer, http: Http) -> None:
    with ProviderServer() as other:
        await play(model_at(server.url, "local/m", http))
        await play(model_at(other.url, "local/m", http))

        assert [1, 1] == [len(server.requests), len(other.requests)]


async def test_a_proxy_in_the_environment_is_asked_for_everybody_else(
    server: ProviderServer, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)

    events = await play(model_at("http://models.test", "local/m", http))

    assert "You said: Hello " == text_of(events)
    assert "http://models.test/v1/chat/completions" == server.requests[0].path


async def test_an_error_that_comes_through_a_proxy_reads_the_same(
    server: ProviderServer, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.script(error_reply(401, {"error": {"message": "Incorrect API key provided"}}))

    with pytest.raises(BadKey):
        await play(model_at("http://models.test", "local/m", http))


async def test_a_redirect_is_not_followed(server: ProviderServer, http: Http) -> None:
    server.script(error_reply(307, {}, location=f"{server.url}/v1/chat/completions"))

    with pytest.raises(RequestRefused):
        await play(model_at(server.url, "local/m", http))

    assert 1 == len(server.requests)
