"""A server that is somewhere else: the SDK's streamable HTTP, with an end to what it may send.

Redirects: the SDK follows those that stay at the same origin, so that a header with a secret goes nowhere
else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from deskside.backend.network.gate import Gate
from deskside.backend.network.http import Client
from deskside.backend.version import VERSION

MESSAGE_LIMIT = 16 * 2**20
CONNECT_S = 20.0
# A stream of events may be silent for as long as nothing happens.
SILENCE_S = 300.0


class AnswerTooLong(httpx2.StreamError):
    """The server's answer is longer than we read."""


class Answers:
    """What the server's HTTP answers said, for a sentence about why it does not work."""

    def __init__(self) -> None:
        self.refused = 0  # the status of the last answer, where it says that we may not

    async def look(self, response: httpx2.Response) -> None:
        """Called with each answer before its body is read. Raises AnswerTooLong."""
        self.refused = response.status_code if response.status_code in (401, 403) else 0
        # We ask for none, and what it unpacks to has no limit.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AnswerTooLong("the answer is compressed, which was not asked for")
        # The SDK itself bounds each event of a stream.
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MESSAGE_LIMIT:
                raise AnswerTooLong(f"the answer has more than {MESSAGE_LIMIT} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def http_client(
    gate: Gate,
    headers: Mapping[str, str],
    answers: Answers,
    auth: httpx2.Auth | None = None,
    *,
    silence_s: float = SILENCE_S,
) -> httpx2.AsyncClient:
    """A client whose every answer `answers` looks at first, and whose every request has `headers`."""
    return Client(
        gate,
        headers={"User-Agent": f"deskside/{VERSION}", **headers, "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(CONNECT_S, read=silence_s),
        event_hooks={"response": [answers.look]},
        auth=auth,
    )


@asynccontextmanager
async def reach_server(
    gate: Gate, url: str, headers: Mapping[str, str], answers: Answers, auth: httpx2.Auth | None
) -> AsyncIterator[tuple[Any, Any]]:
    """Streams of messages to and from a server at `url`; every request has `headers`, and what `auth`
    does."""
    async with (
        http_client(gate, headers, answers, auth) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MESSAGE_LIMIT) as streams,
    ):
        yield streams
