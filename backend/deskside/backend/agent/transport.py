"""How a request reaches a provider and how its answer comes back as bytes.

The provider's own SDK brings base URL, authentication and headers; it is handed bytes and hands back
bytes, because nine tenths of its cost is building Python objects of every chunk. It is imported at the
first request: 0.5 s for openai and 1 s for anthropic are nothing a start should wait for.

Everything foreign (httpx2, openai, anthropic) raises here and nowhere else, and leaves as our errors.
Retries are the loop's: the page can show them.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self
from urllib.parse import urlsplit

import msgspec
from loguru import logger

from deskside.backend.agent.events import ModelEvent
from deskside.backend.agent.refusals import Refusal, error_of, read_refusal
from deskside.backend.agent.sse import EventSplitter
from deskside.backend.errors import (
    BadKey,
    NoNetwork,
    ProviderError,
    RequestRefused,
    StreamDropped,
    StreamGarbled,
    StreamTimedOut,
)

if TYPE_CHECKING:
    import httpx2

Sdk = Literal["openai", "anthropic"]

DRAIN_S = 0.1
_FIRST_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")
BODY_LIMIT_BYTES = 4_000_000  # an answer that should have been a stream, or a list of models


@dataclass(frozen=True)
class Provider:
    """Where to ask and as whom. `label` is what the user calls it; `id` is the first part of its
    models' names. `base_url` is what the SDK wants: OpenAI's ends in /v1, Anthropic's does not."""

    id: str
    label: str
    base_url: str
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Patience:
    """How long silence is borne, in seconds.

    A model that reasons can say nothing for minutes, and a local server that reads a long prompt on a
    CPU as well, so silence alone must not end an answer soon: 300 s, half of what the SDKs allow. That
    the other side is gone is found much sooner by TCP keep-alive (connections.py), and the user can
    stop at any time.
    """

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    gap_s: float = 300.0


class Refused(Exception):
    """An HTTP error, read but not yet judged: the adapter may know a second way to ask."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


class Http:
    """The one connection pool, opened at the first request and closed with the application.

    Also holds what providers taught us in this process, because a `Model` is made anew for each run:
    which optional request parameters a model refuses, and which servers lack the Responses API.
    """

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None
        self.refused_parameters: dict[tuple[str, str], set[str]] = {}
        self.without_responses: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def client(self) -> httpx2.AsyncClient:
        if self._client is None:
            # Not at the top: it imports httpx2, which nothing needs before the first request.
            from deskside.backend.agent.connections import new_client

            self._client = new_client()
        return self._client

    async def look(self, url: str, patience_s: float) -> bytes | None:
        """GET an address without a key; None where nobody answers well in time."""
        import httpx2

        try:
            async with asyncio.timeout(patience_s):
                response = await self.client().get(url, timeout=None)
        except (TimeoutError, httpx2.RequestError):
            return None
        return response.content if response.status_code == 200 else None


class Endpoint:
    """One provider's API: sends a request, gives back the data of each event of the answer."""

    def __init__(self, provider: Provider, http: Http, sdk: Sdk, patience: Patience | None = None) -> None:
        self.provider = provider
        self.http = http
        self._sdk = sdk
        self._patience = patience or Patience()
        self._client: Any = None

    def error(self, refusal: Refusal, model: str = "") -> ProviderError:
        return error_of(refusal, label=self.provider.label, key=self.provider.key, model=model)

    async def open(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send `body` and wait for the head of the answer.

        Raises Refused for an HTTP error, else NoNetwork, StreamTimedOut or StreamGarbled.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.first_byte_s
        response = await self._send("post", path, deadline, content=msgspec.json.encode(body))
        answer = Answer(response, self.provider.label, deadline, self._patience)
        await answer.check_head()
        return answer

    async def open_adapting(
        self,
        path: str,
        model: str,
        body: Callable[[set[str]], Mapping[str, Any]],
        optional: Mapping[str, re.Pattern[str]],
    ) -> Answer:
        """As `open`, but where the model refuses one of the `optional` parameters, ask again without.

        So a new model name needs no new release. `optional` says how a refusal of each reads; what was
        refused is remembered for this model.
        """
        refused = self.http.refused_parameters.setdefault((self.provider.base_url, model), set())
        while True:
            try:
                return await self.open(path, body(refused))
            except Refused as answer:
                refusal = answer.refusal
                named = [
                    name
                    for name, words in optional.items()
                    if name not in refused and refusal.is_about(words)
                ]
                if refusal.status not in (400, 422) or not named:
                    raise
                refused.update(named)

    async def read(self, path: str, query: Mapping[str, Any] | None = None) -> bytes:
        """GET a whole small answer. Raises as `open`."""
        deadline = asyncio.get_running_loop().time() + self._patience.first_byte_s
        response = await self._send("get", path, deadline, params=dict(query or {}))
        try:
            return await Answer(response, self.provider.label, deadline, self._patience).whole()
        finally:
            await response.aclose()

    async def _send(self, method: str, path: str, deadline: float, **options: Any) -> httpx2.Response:
        key = self.provider.key or ""
        if not key.isascii() or not key.isprintable() or " " in key:
            raise BadKey(f"The key for {self.provider.label} holds characters that no key has.")
        sdk = await load_sdk(self._sdk)
        import httpx2

        label = self.provider.label
        try:
            client = self._client = self._client or self._make_client(sdk)
            async with asyncio.timeout_at(deadline):
                return await _request(client, sdk, method, path, options)
        except TimeoutError:
            raise StreamTimedOut(f"{label} did not answer in {self._patience.first_byte_s:g} s.") from None
        except sdk.APIStatusError as error:
            # Not chained: the SDK's exception holds the request with its key, and the body that may
            # repeat it. All that is of use is in the refusal.
            raise Refused(
                read_refusal(error.status_code, error.response.headers, error.response.content)
            ) from None
        except sdk.APIConnectionError as error:
            raise self._unreachable(error.__cause__ or error) from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            # The SDKs let through what breaks while they read an error's body, or is no URL at all.
            raise self._unreachable(error) from None

    def _make_client(self, sdk: Any) -> Any:
        import httpx2

        # No read time-out: silence is counted here, by a clock that knows which silence it is.
        timeout = httpx2.Timeout(None, connect=self._patience.connect_s)
        make = sdk.AsyncOpenAI if self._sdk == "openai" else sdk.AsyncAnthropic
        return make(
            # A server without a key gets a word, or the SDK would send it the key in the environment.
            api_key=self.provider.key or "none",
            base_url=self.provider.base_url,
            http_client=self.http.client(),
            max_retries=0,
            timeout=timeout,
        )

    def _unreachable(self, cause: BaseException) -> ProviderError:
        import httpx2

        label, url = self.provider.label, self.provider.base_url
        if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            return RequestRefused(
                f"{url!r} is not an address.", hint="Check the server's address in Settings."
            )
        if isinstance(cause, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
            return NoNetwork(f"{label} closed the connection before it answered.")
        return NoNetwork(f"Could not connect to {label} at {urlsplit(url).hostname}.")


async def load_sdk(name: Sdk) -> Any:
    """The SDK's module, imported at the first call, in a thread so that the loop goes on."""
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        return module
    return await asyncio.to_thread(importlib.import_module, name)


async def _request(client: Any, sdk: Any, method: str, path: str, options: dict[str, Any]) -> httpx2.Response:
    import httpx2

    if method == "get":
        query = options["params"]
        response = await client.get(
            path, cast_to=httpx2.Response, options={"params": query}, stream=True, stream_cls=sdk.AsyncStream
        )
    else:
        response = await client.post(
            path,
            content=options["content"],
            cast_to=httpx2.Response,
            options={"headers": {"Content-Type": "application/json", "Accept": "text/event-stream"}},
            stream=True,
            stream_cls=sdk.AsyncStream,
        )
    assert isinstance(response, httpx2.Response)
    return response


class Answer:
    """The body of an answer that is arriving. Close it, or read it to its end."""

    def __init__(self, response: httpx2.Response, label: str, deadline: float, patience: Patience) -> None:
        self._response = response
        self.label = label
        self._now = asyncio.get_running_loop().time
        self._deadline = deadline
        self._limit_s = patience.first_byte_s
        self._gap_s = patience.gap_s
        self._chunks = response.aiter_bytes()

    async def check_head(self) -> None:
        """Raises where the answer is no stream of events: an error, or somebody's web page."""
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/json"):
            try:
                body = await self.whole()
            finally:
                await self._response.aclose()
            if kind == "application/json":
                refusal = read_refusal(0, self._response.headers, body)
                if refusal.is_structured:
                    raise Refused(refusal)
                raise StreamGarbled(f"{self.label} answered in one piece, not as a stream.")
            raise StreamGarbled(f"{self.label} answered with a web page.")

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The data of each event. Ends where the connection was closed in good order.

        Raises StreamDropped, StreamTimedOut or StreamGarbled.
        """
        splitter = EventSplitter()
        head, found = b"", 0
        while (chunk := await self._next()) is not None:
            if not found:
                head = (head + chunk)[:8]
            for data in splitter.feed(chunk):
                found += 1
                yield data
            if splitter.failure is not None:
                raise splitter.failure
        for data in splitter.finish():
            found += 1
            yield data
        if not found and not any(field.startswith(head) or head.startswith(field) for field in _FIRST_FIELDS):
            raise StreamGarbled(f"{self.label} sent something that is not a stream of events.")

    async def whole(self) -> bytes:
        """The body as it is, up to a limit."""
        body = bytearray()
        while (chunk := await self._next()) is not None:
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise StreamGarbled(f"{self.label} sent more than {BODY_LIMIT_BYTES:,} bytes in one piece.")
        return bytes(body)

    async def drain(self) -> None:
        """Read what follows the last event, so that the connection can be used again.

        It is the end of the body and has mostly arrived already. A server that never ends it loses the
        connection instead.
        """
        import httpx2

        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, httpx2.RequestError):
            return

    async def close(self) -> None:
        """Give the connection back where the body was read to its end, else close it at once."""
        await self._response.aclose()

    async def _next(self) -> bytes | None:
        import httpx2

        try:
            async with asyncio.timeout_at(self._deadline):
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise StreamTimedOut(f"{self.label} said nothing for {self._limit_s:g} s.") from None
        except httpx2.DecodingError:
            raise StreamGarbled(f"{self.label} sent bytes that cannot be unpacked.") from None
        except httpx2.RequestError as error:
            logger.info("the connection to a provider broke off: {}", type(error).__name__)
            raise StreamDropped(f"The connection to {self.label} broke off.") from error
        self._limit_s = self._gap_s
        self._deadline = self._now() + self._gap_s
        return chunk


class Reader(Protocol):
    """Makes our events of one answer's data: openai_chat.py, openai_responses.py, anthropic_messages.py."""

    @property
    def is_complete(self) -> bool:
        """The model has finished: a connection that closes now cuts nothing off."""

    @property
    def has_ended(self) -> bool:
        """Nothing more will come; what still does is not read."""

    def read(self, data: bytes) -> Iterator[ModelEvent]:
        """Our events of one event's data. Raises Refused for an error inside the stream, msgspec's
        errors for what is not in the provider's format."""

    def finish(self) -> Iterator[ModelEvent]:
        """What was held back until the end; the last one is StepFinished."""


async def read_events(answer: Answer, reader: Reader) -> AsyncGenerator[ModelEvent, None]:
    """Every event of an answer, to its end. Closes the connection at once when closed before.

    Raises Refused for an error inside the stream, else StreamDropped, StreamTimedOut, StreamGarbled.
    """
    try:
        async with aclosing(answer.blocks()) as blocks:
            async for data in blocks:
                try:
                    for event in reader.read(data):
                        yield event
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise StreamGarbled(
                        f"{answer.label} sent something that cannot be read ({error})."
                    ) from None
                if reader.has_ended:
                    await answer.drain()
                    break
            if not reader.is_complete:
                raise StreamDropped(f"The answer of {answer.label} broke off.")
    finally:
        await answer.close()
    for event in reader.finish():
        yield event
