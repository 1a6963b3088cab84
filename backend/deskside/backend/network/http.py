"""httpx2 and httpcore2 through the gate. Imports both, so it is imported at the first request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2
from anyio.abc import SocketStream
from httpcore2._backends.anyio import AnyIOStream

from deskside.backend.network.gate import Gate, Line, Outcome, bound_for


class Client(httpx2.AsyncClient):
    """A client of httpx2 whose every connection passes the gate, also through the environment's proxies."""

    def __init__(self, gate: Gate, **options: Any) -> None:
        self._gate = gate
        super().__init__(**options)

    def _init_transport(  # type: ignore[override]
        self, transport: httpx2.AsyncBaseTransport | None = None, **options: Any
    ) -> httpx2.AsyncBaseTransport:
        return transport or Transport(self._gate, **options)

    def _init_proxy_transport(  # type: ignore[override]
        self, proxy: httpx2.Proxy, **options: Any
    ) -> httpx2.AsyncBaseTransport:
        return Transport(self._gate, proxy=proxy, **options)


class Transport(httpx2.AsyncHTTPTransport):
    """Sends requests over connections of the gate."""

    def __init__(self, gate: Gate, *, proxy: httpx2.Proxy | None = None, **options: Any) -> None:
        super().__init__(proxy=proxy, **options)
        self._gate = gate
        self._via = "" if proxy is None else (proxy.url.host or "")
        # httpx2 has no parameter for it, and all pools of httpcore2 keep it under this name.
        assert hasattr(self._pool, "_network_backend")
        self._pool._network_backend = Sockets(gate)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises Offline besides httpx2's own."""
        parts = urlsplit(str(request.url))
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or (80 if parts.scheme == "http" else 443)
        with bound_for(host, port, self._via):
            # A connection to a proxy may be open already.
            self._gate.check(host)
            response = await super().handle_async_request(request)
        connection = response.extensions.get("network_stream")
        if isinstance(connection, _Stream):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Body(response.stream, connection)
        return response


class Sockets(httpcore2.AsyncNetworkBackend):
    """Makes the connections of httpcore2's pools. They raise Offline besides httpcore2's own."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        line = self._gate.line(host, port)
        try:
            async with asyncio.timeout(timeout):
                stream = await SocketStream.from_socket(await line.dial(host, port))
        except BaseException as error:
            line.close("stopped" if isinstance(error, asyncio.CancelledError) else "failed")
            line.check()
            if isinstance(error, TimeoutError):
                raise httpcore2.ConnectTimeout(f"no connection in {timeout} s") from None
            if isinstance(error, OSError | UnicodeError):
                raise httpcore2.ConnectError(str(error)) from error
            raise
        return _Stream(AnyIOStream(stream), line)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    """An answer's body: with its end the use of the line ends, which stays open for others."""

    def __init__(self, stream: httpx2.AsyncByteStream, connection: _Stream) -> None:
        self._stream = stream
        self._connection = connection
        connection.is_answering = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
        self._connection.end_answer("done")

    async def aclose(self) -> None:
        # First: where the answer has not ended, this closes the connection.
        self._connection.end_answer("stopped")
        await self._stream.aclose()


class _Stream(httpcore2.AsyncNetworkStream):
    """Counts what passes. While it `is_answering`, only the body's end is a good one."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, line: Line) -> None:
        self.is_answering = False
        self._stream = stream
        self._line = line

    def end_answer(self, outcome: Outcome) -> None:
        """The answer has ended, or nobody wants the rest. A second time changes nothing."""
        if self.is_answering:
            self.is_answering = False
            self._line.end_use(outcome)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._failing():
            data = await self._stream.read(max_bytes, timeout)
        if not data:
            self._line.check()
        self._line.use.received += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._line.next_use().sent += len(buffer)
        with self._failing():
            await self._stream.write(buffer, timeout)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            self._line.end_use("stopped")
            raise
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            self._line.end_use("failed")
            self._line.check()
            raise

    async def aclose(self) -> None:
        is_good = self._line.use.received > 0 and not self.is_answering
        self._line.close("done" if is_good else "failed")
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException as error:
            self._line.close("stopped" if isinstance(error, asyncio.CancelledError) else "failed")
            self._line.check()
            raise
        return _Stream(stream, self._line)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
