"""HTTP/1.1 for answers that stream: one request on a connection, its answer in pieces, the connection kept.

httpx2 spends a millisecond of CPU on each request and is built for everything; a model's answer needs little
of that (build/decisions/0014). What is unusual (a proxy, a scheme of its own) still goes through httpx2: see
transport.py. Errors are httpx2's, so that whoever reads an answer has one set to know; and Offline, from
the gate (network/gate.py) that each connection passes.

Invariants
  - A connection carries one request at a time. It is used again only where the answer was read to its end,
    both sides want that, and nothing came unasked.
  - A request is sent a second time only where a connection that was kept open turned out to be closed: no
    byte of an answer had come.
  - An answer that ends before its last chunk, or before the length that it named, raises.
  - Closing an answer that is not complete closes its connection at once.
  - No more than READ_AHEAD_BYTES and one read of an answer wait in memory, however slowly it is taken.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import httptools
import httpx2

from deskside.backend.errors import Offline
from deskside.backend.network.gate import Gate, Line, went_offline

READ_AHEAD_BYTES = 256 * 1024
HEAD_LIMIT_BYTES = 100 * 1024
UNPACKED_BYTES = 1024 * 1024  # what one step of unpacking gives at most: a small body can hold very much
KEPT_CONNECTIONS = 20
# A person reads an answer and asks on, and the next request should find the connection open.
KEPT_FOR_S = 120.0


class Origin(NamedTuple):
    """Whom a connection leads to. `host` is a name in ASCII or an address without brackets."""

    is_tls: bool
    host: str
    port: int


@dataclass(frozen=True)
class Head:
    """A request but for its body: where it goes, and its first lines up to the length. Made once for many
    requests. `lines` can hold a key."""

    origin: Origin
    lines: bytes = field(repr=False)

    def with_body(self, body: bytes) -> bytes:
        return b"%bcontent-length: %d\r\n\r\n%b" % (self.lines, len(body), body)


def head_of(request: httpx2.Request) -> Head | None:
    """How `request` begins; None where it holds what only httpx2 knows to send."""
    url = request.url
    if url.scheme not in ("http", "https"):
        return None
    is_tls = url.scheme == "https"
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), url.raw_path)]
    for name, value in request.headers.raw:
        if b"\r" in value or b"\n" in value or b"\0" in value or not name.isascii():
            return None
        # Packing saves nothing on a stream of small pieces, and a proxy that packs holds them back.
        if name.lower() == b"accept-encoding":
            value = b"identity"
        if name.lower() not in (b"content-length", b"transfer-encoding"):
            lines.append(b"%b: %b" % (name, value))
    origin = Origin(is_tls, url.raw_host.decode(), url.port or (443 if is_tls else 80))
    return Head(origin, b"\r\n".join(lines) + b"\r\n")


class Response:
    """An answer: its head, and its body as it comes. Read by one task; close it, or read it to its end."""

    def __init__(self, connection: _Connection) -> None:
        self.status = 0
        self.can_be_kept = False  # the connection, when the answer is complete
        self.headers: dict[str, str] = {}  # names in small letters; values of one name joined by commas
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        # What h11 takes, too: ends of lines without a CR, and a length beside chunks (they count).
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_chunked_length=True)
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._head_bytes = 0
        self._has_head = False
        self._ends_with_connection = False
        self._is_complete = False
        self._failure: httpx2.RequestError | Offline | None = None
        self._news: asyncio.Future[None] | None = None
        self._unpacked: Iterator[bytes] | None = None
        self._unpacker: _Unpacker | None = None

    # -- what the parser finds --

    def on_message_begin(self) -> None:
        if self._is_complete:  # a second answer to one request
            self._connection.is_spoiled = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            return  # a trailer
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._has_head or status < 200:
            return  # "100 Continue": the answer is still to come
        self.status = status
        self._has_head = True
        self._ends_with_connection = (
            "content-length" not in self.headers
            and "chunked" not in self.headers.get("transfer-encoding", "").lower()
        )
        packing = self.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("identity", ""):
            self._unpacker = _Unpacker(packing)

    def on_body(self, piece: bytes) -> None:
        if self._is_complete:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)

    def on_message_complete(self) -> None:
        if self._has_head:
            # The parser forgets it with the end of the message.
            self.can_be_kept = self._parser.should_keep_alive() and not self._ends_with_connection
            self._is_complete = True
        else:
            self.headers = {}

    # -- what the connection brings --

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # Behind a complete answer it is somebody's mistake and none of ours.
            self._connection.is_spoiled = True
            if not self._is_complete:
                self.fail(httpx2.RemoteProtocolError(f"not an HTTP answer: {error}"))
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self._connection.is_spoiled = True
                self.fail(httpx2.RemoteProtocolError("the head of the answer is too large"))
        if self._waiting_bytes > READ_AHEAD_BYTES:
            self._connection.pause()
        self._wake()

    def end(self, error: BaseException | None) -> None:
        """The connection is closed."""
        if self.is_over:
            self._wake()
            return
        if self._has_head and self._ends_with_connection and error is None:
            self._is_complete = True
        elif error is None or not self._connection.received:
            self.fail(httpx2.RemoteProtocolError("the connection was closed before the answer was complete"))
        else:
            self.fail(httpx2.ReadError(str(error)))
        self._wake()

    def fail(self, failure: httpx2.RequestError | Offline) -> None:
        self._failure = self._failure or failure

    @property
    def is_over(self) -> bool:
        return self._is_complete or self.failed

    @property
    def failed(self) -> bool:
        return self._failure is not None

    # -- for the reader --

    async def wait_for_head(self) -> None:
        """Return once `status` and `headers` are there. Raises httpx2.RequestError, Offline."""
        while not self._has_head:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, in whatever pieces it comes, unpacked. Raises httpx2.RequestError, Offline."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._unpacked is not None:
                for piece in self._unpacked:
                    return piece
                self._unpacked = None
            if self._pieces:
                data = self._take()
                if self._unpacker is None:
                    return data
                self._unpacked = self._unpacker.feed(data)
            elif self._failure is not None:
                raise self._failure
            elif self._is_complete:
                raise StopAsyncIteration
            else:
                await self._wait()

    def _take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting_bytes = 0
        self._connection.resume(self)
        return data

    async def aclose(self) -> None:
        """Give up what has not come; the other side sees the connection closed at once."""
        self._connection.leave(self)

    async def _wait(self) -> None:
        self._news = self._loop.create_future()
        await self._news

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class _Unpacker:
    """The few packings that a server may use though it was asked for none."""

    def __init__(self, packing: str) -> None:
        self._packing = packing
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # takes gzip and zlib

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises httpx2.DecodingError for what is not packed so, or in a way we do not know."""
        if self._packing not in ("gzip", "x-gzip", "deflate"):
            raise httpx2.DecodingError(f"the answer is packed with {self._packing!r}")
        try:
            while data:
                yield self._inflate.decompress(data, UNPACKED_BYTES)
                data = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise httpx2.DecodingError(str(error)) from None


class _Connection(asyncio.Protocol):
    """One connection, and the answer that it brings, if any."""

    def __init__(self, pool: Pool, origin: Origin, line: Line) -> None:
        self.origin = origin
        self.is_spoiled = False
        self.idle_since_s = 0.0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._is_paused = False
        self._line = line
        self._use = line.use

    @property
    def received(self) -> int:
        """Bytes of the present answer."""
        return self._use.received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._line.cut = self._cut

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nobody asked: a server's time-out, for one
            self.abort()
            return
        self._use.received += len(data)
        response.feed(data)
        if response.is_over:
            self._finish(response)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_spoiled = True
        self._pool.forget(self)
        response, self._response = self._response, None
        if response is not None:
            response.end(error)
        self._line.close("failed" if response is not None and response.failed else "done")

    @property
    def is_usable(self) -> bool:
        return not self.is_spoiled and self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> Response:
        assert self._transport is not None
        self._use = self._line.next_use()
        self._use.sent += len(request)
        response = self._response = Response(self)
        self._transport.write(request)
        return response

    def pause(self) -> None:
        if not self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self, response: Response) -> None:
        if self._is_paused and response is self._response and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def _finish(self, response: Response) -> None:
        assert self._transport is not None
        self._response = None
        self._line.end_use("failed" if response.failed else "done")
        # An answer that came before the request was sent is a refusal to read it.
        if response.can_be_kept and self.is_usable and not self._transport.get_write_buffer_size():
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            self._pool.keep(self)
        else:
            self.abort()

    def leave(self, response: Response) -> None:
        """The answer is not wanted any more."""
        if response is self._response:
            self._response = None
            self._line.end_use("stopped")
            self.abort()

    def _cut(self) -> None:
        """The gate has closed."""
        if self._response is not None:
            self._response.fail(went_offline(self.origin.host))
        self.abort()

    def abort(self) -> None:
        self.is_spoiled = True
        if self._transport is not None:
            self._transport.abort()


class Pool:
    """The connections that are open. Used on one event loop."""

    def __init__(self, context: ssl.SSLContext, gate: Gate | None = None) -> None:
        """`context` says whom to trust; `gate` is the program's (without one, an open one of its own).
        Proxies are not used."""
        self._context = context
        self._gate = gate or Gate()
        self._idle: list[_Connection] = []  # the one that was used last is last
        self._open: set[_Connection] = set()

    async def send(self, head: Head, body: bytes, connect_s: float) -> Response:
        """Send a request and wait for the head of its answer. Raises httpx2.RequestError, Offline."""
        request = head.with_body(body)
        kept = self._take_idle(head.origin)
        if kept is not None:
            # llama.cpp's server closes after each streamed answer although it promises to keep the
            # connection; the next step of a tool loop is fast enough to write into it before that shows.
            try:
                return await self._ask(kept, request)
            except (httpx2.RemoteProtocolError, httpx2.ReadError):
                if kept.received:
                    raise
        return await self._ask(await self._connect(head.origin, connect_s), request)

    async def _ask(self, connection: _Connection, request: bytes) -> Response:
        response = connection.send(request)
        try:
            await response.wait_for_head()
        except BaseException:
            connection.leave(response)
            raise
        return response

    def close(self) -> None:
        """Close every connection, also those that bring an answer."""
        for connection in list(self._open):
            connection.abort()

    def close_idle(self) -> None:
        """Close what is kept for the next request."""
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()

    def keep(self, connection: _Connection) -> None:
        connection.idle_since_s = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > KEPT_CONNECTIONS:
            self._idle[0].abort()
            del self._idle[0]

    def forget(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _take_idle(self, origin: Origin) -> _Connection | None:
        oldest_s = time.monotonic() - KEPT_FOR_S
        while self._idle and self._idle[0].idle_since_s < oldest_s:
            self._idle.pop(0).abort()
        for connection in reversed(self._idle):
            if connection.origin == origin and connection.is_usable:
                self._idle.remove(connection)
                return connection
        return None

    async def _connect(self, origin: Origin, connect_s: float) -> _Connection:
        line = self._gate.line(origin.host, origin.port)
        try:
            connection = await self._connected(line, origin, connect_s)
        except BaseException as error:
            line.close("stopped" if isinstance(error, asyncio.CancelledError) else "failed")
            line.check()
            raise
        self._open.add(connection)
        return connection

    async def _connected(self, line: Line, origin: Origin, connect_s: float) -> _Connection:
        try:
            async with asyncio.timeout(connect_s):
                connected = await line.dial(origin.host, origin.port)
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self, origin, line),
                    sock=connected,
                    ssl=self._context if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
        except TimeoutError:
            raise httpx2.ConnectTimeout(f"no connection in {connect_s:g} s") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be looked up
            raise httpx2.ConnectError(str(error)) from error
        return connection
