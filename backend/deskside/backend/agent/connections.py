"""How requests leave this machine. Imports httpx2, so it is imported at the first request."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any

import httpx2

from deskside.backend.agent.http1 import KEPT_CONNECTIONS, KEPT_FOR_S, Head, Pool
from deskside.backend.network.gate import Gate
from deskside.backend.network.http import Client, Transport

_LIMITS = httpx2.Limits(
    max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS, keepalive_expiry=KEPT_FOR_S
)
# No proxy is ever asked for these: they are this machine.
_OURSELVES = {"localhost": "localhost", "127.0.0.1": "127.0.0.1", "::1": "[::1]"}


@dataclass(frozen=True)
class Connections:
    """`pool` is the short way, for what streams; `client` the one that can do everything."""

    client: httpx2.AsyncClient
    pool: Pool
    has_proxies: bool

    def are_direct(self, head: Head) -> bool:
        """Whether no proxy stands before whom `head` goes to. (With one, httpx2 also reads NO_PROXY.)"""
        return not self.has_proxies or head.origin.host in _OURSELVES

    async def close(self) -> None:
        self.pool.close()
        await self.client.aclose()


def new_connections(gate: Gate) -> Connections:
    """Connections that verify with the system's trust store and use the environment's proxies, but never to
    reach this machine. Costs 50 ms, for the TLS context."""
    context = httpx2.create_ssl_context()
    has_proxies = bool(urllib.request.getproxies())
    return Connections(_new_client(gate, context, has_proxies), Pool(context, gate), has_proxies)


def _new_client(gate: Gate, context: ssl.SSLContext, has_proxies: bool) -> httpx2.AsyncClient:
    transport = _Transport(gate, verify=context, limits=_LIMITS)
    direct = {f"all://{host}": transport for host in _OURSELVES.values()}
    # httpx2 looks at the environment's proxies only where it makes the transport itself.
    return Client(
        gate, verify=context, transport=None if has_proxies else transport, mounts=direct, limits=_LIMITS
    )


class Draft(httpx2.AsyncBaseTransport):
    """Takes the request that an SDK has made, and sends it nowhere."""

    def __init__(self) -> None:
        self.request: httpx2.Request | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(200)


class _Transport(Transport):
    """Asks once more where a connection that was kept open turns out to be closed.

    llama.cpp's server closes after each streamed answer although it promises to keep the connection;
    the next step of a tool loop is fast enough to write into it before that shows. No byte of an answer
    has come then, and a new connection cannot have the same fault.
    """

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        is_new = False

        async def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal is_new
            is_new = is_new or event.startswith("connection.connect")

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await super().handle_async_request(request)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            if is_new:
                raise
            return await super().handle_async_request(request)
