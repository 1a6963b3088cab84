"""How a request reaches a provider. What comes back is in answer.py.

The provider's own SDK brings base URL, authentication and headers. It is asked once how a request to a
path begins; from then on only the body is new, and the request goes over a lean connection (http1.py, and
build/decisions/0014). Where that does not lead (a proxy, a small GET), the SDK sends bytes and hands back
bytes itself. It is imported at the first request: 0.5 s for openai and 1 s for anthropic are nothing a start
should wait for.

What is foreign (httpx2, openai, anthropic) raises here and in answer.py, and leaves as our errors.
Retries are the loop's: the page can show them.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec

from deskside.backend import redaction
from deskside.backend.agent.answer import BODY_LIMIT_BYTES, Answer, Patience, Refused, Response
from deskside.backend.agent.provider_calls import ProviderCalls
from deskside.backend.agent.refusals import Refusal, error_of, read_refusal
from deskside.backend.errors import (
    BadKey,
    NoAnswer,
    NoNetwork,
    Offline,
    ProviderError,
    RequestRefused,
    StreamTimedOut,
)
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose

if TYPE_CHECKING:
    import httpx2

    from deskside.backend.agent.connections import Connections
    from deskside.backend.agent.http1 import Head

Sdk = Literal["openai", "anthropic"]


@dataclass(frozen=True)
class Provider:
    """Where to ask and as whom. `label` is what the user calls it; `id` is the first part of its
    models' names. `base_url` is what the SDK wants: OpenAI's ends in /v1, Anthropic's does not."""

    id: str
    label: str
    base_url: str
    key: str | None = field(default=None, repr=False)


class Http:
    """The connections, opened at the first request and closed with the application.

    Also holds what was learned in this process, because a `Model` is made anew for each run: which optional
    request parameters a model refuses, which servers lack the Responses API, and how a request to a path of
    a provider begins (the last provider of that id: its key may change).
    """

    def __init__(self, gate: Gate | None = None) -> None:
        """`gate` is the program's; without one, an open one of its own."""
        self._gate = gate or Gate()
        self._connections: Connections | None = None
        self._opening = asyncio.Lock()
        self.heads: dict[tuple[str, str], tuple[Provider, Head | None]] = {}
        self.refused_parameters: dict[tuple[str, str], set[str]] = {}
        self.without_responses: set[str] = set()
        self.calls = ProviderCalls()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        async with self._opening:
            if self._connections is not None:
                await self._connections.close()
                self._connections = None

    def forget_kept(self) -> None:
        """Begin the next request on a new connection: nobody knows whether those that were kept still lead
        anywhere, and a request that leads nowhere is silent for minutes."""
        if self._connections is not None:
            self._connections.pool.close_idle()

    async def connections(self) -> Connections:
        """In a thread the first time: importing httpx2 and reading the trust store take 0.1 s."""
        if self._connections is None:
            async with self._opening:
                if self._connections is None:
                    self._connections = await asyncio.to_thread(_new_connections, self._gate)
        return self._connections

    async def look(self, url: str, patience_s: float) -> bytes | None:
        """GET an address without a key; None where nobody answers well in time."""
        client = (await self.connections()).client
        import httpx2

        try:
            with purpose("server_search"):
                async with (
                    asyncio.timeout(patience_s),
                    client.stream("GET", url, timeout=None) as response,
                ):
                    return await _limited_body(response) if response.status_code == 200 else None
        except (TimeoutError, httpx2.RequestError, Offline):
            return None


def _new_connections(gate: Gate) -> Connections:
    from deskside.backend.agent.connections import new_connections

    return new_connections(gate)


async def _limited_body(response: Response) -> bytes | None:
    """None past the limit: loopback is fast enough to fill the memory within a second."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


class Endpoint:
    """One provider's API: sends a request, gives back the data of each event of the answer."""

    def __init__(self, provider: Provider, http: Http, sdk: Sdk, patience: Patience | None = None) -> None:
        self.provider = provider
        self.http = http
        self._sdk = sdk
        self._patience = patience or Patience()
        self._client: Any = None

    def error(self, refusal: Refusal, model: str = "") -> ProviderError:
        said = redaction.PROCESS.without_keys(refusal.message)  # also other keys than its own
        refusal = msgspec.structs.replace(refusal, message=said)
        return error_of(refusal, label=self.provider.label, key=self.provider.key, model=model)

    async def open(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send `body` and wait for the head of the answer.

        Raises Refused for an HTTP error, else NoNetwork, Offline, StreamTimedOut or StreamGarbled.
        """
        return await self._open(path, str(body.get("model", "")), msgspec.json.encode(body))

    async def _open(self, path: str, model: str, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.first_byte_s
        with ExitStack() as failing:
            call = failing.enter_context(self.http.calls.begin(self.provider.id))
            with purpose("model_call", f"{self.provider.id}/{model}"):
                response = await self._send("post", path, deadline, content=body)
            answer = Answer(response, self.provider.label, deadline, self._patience, call)
            await answer.check_head()
            call.answered()
            failing.pop_all()  # it ends with the answer
        return answer

    async def open_adapting(
        self,
        path: str,
        model: str,
        body: Callable[[set[str]], Mapping[str, Any]],
        optional: Mapping[str, re.Pattern[str]],
    ) -> Answer:
        """As `open`, but where the model refuses one of the `optional` parameters, ask again without.

        So a new model name needs no new release. `optional` says how a refusal of each reads, in the order
        in which they are left out: one at a time, and only what is in the request. What was refused is
        remembered for this model.
        """
        refused = self.http.refused_parameters.setdefault((self.provider.base_url, model), set())
        while True:
            request = msgspec.json.encode(body(refused))
            try:
                return await self._open(path, model, request)
            except Refused as answer:
                refusal = answer.refusal
                if refusal.status not in (400, 422):
                    raise
                # Another run may have learned of it meanwhile: what counts is what was in this request.
                named = (name for name, words in optional.items() if refusal.is_about(words))
                left_out = next(
                    (name for name in named if request != msgspec.json.encode(body(refused | {name}))), None
                )
                if left_out is None:
                    raise
                refused.add(left_out)

    async def read(self, path: str, query: Mapping[str, Any] | None = None) -> bytes:
        """GET a whole small answer. Raises as `open`."""
        deadline = asyncio.get_running_loop().time() + self._patience.first_byte_s
        with purpose("model_list", self.provider.label):
            response = await self._send("get", path, deadline, params=dict(query or {}))
        try:
            return await Answer(response, self.provider.label, deadline, self._patience).whole()
        finally:
            await response.aclose()

    async def _send(self, method: str, path: str, deadline: float, **options: Any) -> Response:
        key = self.provider.key or ""
        if not key.isascii() or not key.isprintable() or " " in key:
            raise BadKey(f"The key for {self.provider.label} holds characters that no key has.")
        sdk = await load_sdk(self._sdk)
        import httpx2

        label = self.provider.label
        try:
            connections = await self.http.connections()
            async with asyncio.timeout_at(deadline):
                if method == "post":
                    head = await self._head(sdk, path)
                    if head is not None and connections.are_direct(head):
                        return await self._post(head, options["content"], connections)
                if self._client is None:
                    self._client = self._make_client(sdk, connections.client)
                return await _request(self._client, sdk, method, path, options)
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

    async def _head(self, sdk: Any, path: str) -> Head | None:
        """How a POST to `path` begins, as the SDK makes it; None where only httpx2 can send it."""
        known, head = self.http.heads.get((self.provider.id, path), (None, None))
        if known != self.provider:
            import httpx2

            from deskside.backend.agent.connections import Draft
            from deskside.backend.agent.http1 import head_of

            draft = Draft()
            async with httpx2.AsyncClient(transport=draft) as client:
                await _request(self._make_client(sdk, client), sdk, "post", path, {"content": b""})
            head = None if draft.request is None else head_of(draft.request)
            self.http.heads[self.provider.id, path] = (self.provider, head)
        return head

    async def _post(self, head: Head, body: bytes, connections: Connections) -> Response:
        response = await connections.pool.send(head, body, self._patience.connect_s)
        if 200 <= response.status < 300:
            return response
        try:
            said = await _limited_body(response) or b""
        finally:
            await response.aclose()
        raise Refused(read_refusal(response.status, response.headers, said))

    def _make_client(self, sdk: Any, connections: httpx2.AsyncClient) -> Any:
        import httpx2

        # No read time-out: silence is counted here, by a clock that knows which silence it is.
        timeout = httpx2.Timeout(None, connect=self._patience.connect_s)
        make = sdk.AsyncOpenAI if self._sdk == "openai" else sdk.AsyncAnthropic
        return make(
            # A server without a key gets a word, or the SDK would send it the key in the environment.
            api_key=self.provider.key or "none",
            base_url=self.provider.base_url,
            http_client=connections,
            max_retries=0,
            timeout=timeout,
        )

    def _unreachable(self, cause: BaseException) -> ProviderError | Offline:
        import httpx2

        if isinstance(cause, Offline):
            return cause

        label, url = self.provider.label, self.provider.base_url
        if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            return RequestRefused(
                f"{url!r} is not an address.", hint="Check the server's address in Settings."
            )
        if isinstance(cause, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
            return NoAnswer(f"{label} closed the connection before it answered.")
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
