"""One WebSocket of a page: calls in, replies and events out.

Every frame that comes in gets an answer and the socket lives on, whatever the frame holds. A call that
has begun is not cancelled when its socket goes away, only its reply is dropped: half-done work would
be worse than unread work. Streams end with their socket.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from deskside.backend.errors import InvalidRequest, MalformedRequest
from deskside.backend.log import new_request_id, request_id
from deskside.bridge.events import feed
from deskside.bridge.registry import Bridge, Failure

# The longest message (2 million characters) is 12 MB in JSON at worst, when each character is written as
# \uXXXX.
FRAME_LIMIT_BYTES = 16 * 1024 * 1024
REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class Call(msgspec.Struct, frozen=True, tag="call", tag_field="t", forbid_unknown_fields=True):
    id: int
    cmd: str
    params: msgspec.Raw = msgspec.Raw(b"null")
    requestId: str | None = None


class CancelCall(msgspec.Struct, frozen=True, tag="cancel", tag_field="t", forbid_unknown_fields=True):
    id: int


class Ok(msgspec.Struct, frozen=True, tag="ok", tag_field="t"):
    id: int
    data: msgspec.Raw
    requestId: str


class Err(msgspec.Struct, frozen=True, tag="err", tag_field="t"):
    """`id` is None where the frame could not be read."""

    id: int | None
    error: Failure


class Next(msgspec.Struct, frozen=True, tag="next", tag_field="t"):
    id: int
    data: msgspec.Raw


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="t"):
    id: int


class OnlyId(msgspec.Struct, frozen=True):
    id: int | None = None


_frames = msgspec.json.Decoder(Call | CancelCall)
_only_id = msgspec.json.Decoder(OnlyId)
_encode = msgspec.json.Encoder().encode


def read_request_id(given: str | None) -> str:
    """The caller's id where it is one, else a new one."""
    return given if given is not None and REQUEST_ID.fullmatch(given) else new_request_id()


class PageSocket:
    """Serves one accepted or still unaccepted ASGI WebSocket until it closes."""

    def __init__(self, bridge: Bridge, scope: Any, receive: Any, send: Any) -> None:
        self._bridge = bridge
        self._query = parse_qs(scope["query_string"].decode("latin-1"))
        self._receive: Callable[[], Awaitable[Any]] = receive
        self._send_message: Callable[[Any], Awaitable[None]] = send
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._streams: set[int] = set()
        self._is_open = True

    async def serve(self) -> None:
        """Answer until the page goes away."""
        await self._receive()  # websocket.connect; the guard has checked it
        await self._send_message({"type": "websocket.accept"})
        feeding = asyncio.create_task(self._feed())
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                await self._read(message.get("text") or message.get("bytes") or b"")
        finally:
            self._is_open = False
            feeding.cancel()
            for call_id in self._streams & self._calls.keys():
                self._calls[call_id].cancel()

    async def _feed(self) -> None:
        after = self._query.get("after", [""])[0]
        number = int(after) if after.isascii() and after.isdecimal() and len(after) < 16 else None
        await feed(self._bridge.app.events, self._query.get("epoch", [None])[0], number, self._send)

    async def _send(self, frame: bytes) -> None:
        if not self._is_open:
            return
        try:
            await self._send_message({"type": "websocket.send", "text": frame.decode()})
        except (RuntimeError, OSError):
            # The socket closed between two frames. What was not sent is asked for again on reconnect.
            self._is_open = False

    async def _read(self, data: str | bytes) -> None:
        try:
            if len(data) > FRAME_LIMIT_BYTES:
                raise InvalidRequest(
                    f"The message is larger than {FRAME_LIMIT_BYTES // 2**20} MB.", hint="Send it in parts."
                )
            frame = _frames.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            await self._refuse(data, MalformedRequest(f"This frame cannot be read: {error}"))
        except InvalidRequest as error:
            await self._refuse(data, error)
        else:
            await self._take(frame)

    async def _take(self, frame: Call | CancelCall) -> None:
        task = self._calls.get(frame.id)
        if isinstance(frame, CancelCall):
            if task is not None:
                # A task that is cancelled before its first step never runs, and so never answers.
                await asyncio.sleep(0)
                task.cancel()
        elif task is not None:
            request_id.set(read_request_id(frame.requestId))
            error = Failure.of(MalformedRequest(f"call {frame.id} is still running"))
            await self._send(_encode(Err(None, error)))
        else:
            self._calls[frame.id] = asyncio.create_task(self._answer(frame))

    async def _refuse(self, data: str | bytes, error: InvalidRequest) -> None:
        request_id.set(new_request_id())
        try:
            call_id = _only_id.decode(data).id
        except (msgspec.DecodeError, UnicodeDecodeError):
            call_id = None
        await self._send(_encode(Err(call_id, Failure.of(error))))

    async def _answer(self, call: Call) -> None:
        request_id.set(read_request_id(call.requestId))
        registry = self._bridge.registry
        found = registry.commands.get(call.cmd)
        is_stream = found is not None and found.is_stream
        if is_stream:
            self._streams.add(call.id)

        async def on_item(item: msgspec.Raw) -> None:
            await self._send(_encode(Next(call.id, item)))
            # A stream that never waits would keep the loop to itself and could not be cancelled.
            await asyncio.sleep(0)

        try:
            result = await registry.dispatch(
                self._bridge, call.cmd, call.params, on_item if is_stream else None
            )
        finally:
            self._calls.pop(call.id, None)
            self._streams.discard(call.id)
        if isinstance(result, Failure):
            await self._send(_encode(Err(call.id, result)))
        elif is_stream:
            await self._send(_encode(Done(call.id)))
        else:
            await self._send(_encode(Ok(call.id, result, request_id.get())))
