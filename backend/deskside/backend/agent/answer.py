"""The answer of a provider as it arrives: its bytes, the silence between them, and our events out of them.

What httpx2 raises while a body is read leaves here as our errors. How the request was made is in
transport.py; what the bytes mean, in the reader of each format.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from loguru import logger

from deskside.backend.agent.events import ModelEvent, UsageReported
from deskside.backend.agent.refusals import Refusal, read_refusal
from deskside.backend.agent.sse import EventSplitter
from deskside.backend.errors import Offline, StreamDropped, StreamGarbled, StreamTimedOut

if TYPE_CHECKING:
    from deskside.backend.agent.provider_calls import ProviderCall

DRAIN_S = 0.1
BODY_LIMIT_BYTES = 4_000_000  # an answer that should have been a stream, or a list of models
_FIRST_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")


@dataclass(frozen=True)
class Patience:
    """How long silence is borne, in seconds.

    A model that reasons can say nothing for minutes, and a local server that reads a long prompt on a
    CPU as well, so silence alone must not end an answer soon: 300 s, half of what the SDKs allow. That
    the other side is gone is found much sooner by TCP keep-alive (dialing.py), and the user can
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


class Response(Protocol):
    """What httpx2's response and ours (http1.py) have in common. Both raise httpx2.RequestError,
    and Offline where the gate was closed."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Answer:
    """The body of an answer that is arriving. Close it, or read it to its end."""

    def __init__(
        self,
        response: Response,
        label: str,
        deadline: float,
        patience: Patience,
        call: ProviderCall | None = None,
    ) -> None:
        self._response = response
        self.label = label
        self.call = call
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

        Raises StreamDropped, StreamTimedOut, StreamGarbled or Offline.
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
        except (TimeoutError, httpx2.RequestError, Offline):
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
    call = answer.call
    assert call is not None  # it was opened to be read as events
    with call:
        try:
            async with aclosing(answer.blocks()) as blocks:
                async for data in blocks:
                    try:
                        for event in reader.read(data):
                            if call.is_silent or type(event) is UsageReported:
                                call.saw(event)
                            yield event
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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
