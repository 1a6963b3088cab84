"""A way through the gate for a library that makes its sockets in native code: a proxy of our own.

It listens on this machine for as long as one piece of work takes. Where no proxy stands before the host, the
library asks ours to CONNECT, and the name is looked up here. Where one does, bytes are handed to it and back
as they are: the library speaks to it through us, with its user name and password.
Bytes are counted as they pass, with what TLS puts around them.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from deskside.backend.errors import Offline
from deskside.backend.network.gate import Gate, Line, Target, bound_for

LONGEST_HEAD = 16_384
READ_S = 10.0
PIECE = 65_536
_CONNECT = re.compile(rb"CONNECT (\S+):(\d{1,5}) HTTP/1\.[01]\r\n")


class Upstream(NamedTuple):
    """The proxy that this machine is set up to use. `url` may hold a password."""

    scheme: str
    host: str
    port: int
    url: str


class Relay:
    """`proxy_url` is what the library is given as its proxy. `failure` says why the last connection did not
    come about."""

    def __init__(self, gate: Gate, target: Target, upstream: Upstream | None) -> None:
        self.proxy_url = ""
        self.failure: Exception | None = None
        self._gate = gate
        self._target = target
        self._upstream = upstream
        self._password = secrets.token_hex(16)
        self._serving: set[asyncio.Task[None]] = set()

    def listen(self, port: int) -> None:
        if self._upstream is None:
            self.proxy_url = f"http://deskside:{self._password}@127.0.0.1:{port}"
            return
        # Ours speaks TLS to one that wants it: its certificate is not for 127.0.0.1.
        scheme = "http" if self._upstream.scheme == "https" else self._upstream.scheme
        login, at, _ = urlsplit(self._upstream.url).netloc.rpartition("@")
        self.proxy_url = urlunsplit((scheme, f"{login}{at}127.0.0.1:{port}", "", "", ""))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the library."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                await self._lead(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._upstream is None:
            async with asyncio.timeout(READ_S):
                target = self._asked(await reader.readuntil(b"\r\n\r\n"))
            if target is None:
                writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            host, port, context = target.host, target.port, None
        else:
            target = self._target
            host, port = self._upstream.host, self._upstream.port
            context = ssl.create_default_context() if self._upstream.scheme == "https" else None
        try:
            with bound_for(*target):
                line = self._gate.line(host, port)
        except Offline as error:
            self.failure = error
            return
        try:
            connected = await line.dial(host, port)
            far_reader, far_writer = await asyncio.open_connection(
                sock=connected, ssl=context, server_hostname=host if context else None
            )
        except (OSError, UnicodeError, Offline) as error:
            line.close("failed")
            self.failure = error
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        except BaseException:
            line.close("stopped")
            raise
        try:
            if self._upstream is None:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await _exchange(line, (reader, writer), (far_reader, far_writer))
        finally:
            line.close("done" if line.use.received else "failed")
            far_writer.close()
            if line.is_cut:
                try:
                    line.check()
                except Offline as error:
                    self.failure = error

    def _asked(self, head: bytes) -> Target | None:
        """Whom a CONNECT asks for; None where it is not from the library, or no CONNECT."""
        login = b64encode(f"deskside:{self._password}".encode())
        found = _CONNECT.match(head)
        if found is None or not re.search(
            rb"\r\nproxy-authorization: *basic " + re.escape(login) + rb"\r\n", head, re.IGNORECASE
        ):
            return None
        return Target(found[1].decode("ascii", "replace").strip("[]"), int(found[2]))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _exchange(line: Line, near: Streams, far: Streams) -> None:
    """Hand on what comes from either side, until one has ended."""
    use = line.use

    async def send() -> None:
        while piece := await near[0].read(PIECE):
            use.sent += len(piece)
            far[1].write(piece)
            await far[1].drain()

    async def receive() -> None:
        while piece := await far[0].read(PIECE):
            use.received += len(piece)
            near[1].write(piece)
            await near[1].drain()

    ways = [asyncio.create_task(send()), asyncio.create_task(receive())]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def open_relay(
    gate: Gate, host: str, port: int, upstream: Upstream | None = None
) -> AsyncIterator[Relay]:
    """A relay to `host`, through `upstream` where that stands before it. Raises Offline."""
    gate.check(host)
    relay = Relay(gate, Target(host, port, upstream.host if upstream else ""), upstream)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
    relay.listen(server.sockets[0].getsockname()[1])
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
