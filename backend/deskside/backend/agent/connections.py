"""The connections behind the one HTTP client. Imports httpx2, so it is imported at the first request."""

from __future__ import annotations

import socket
import urllib.request
from typing import Any

import httpx2

# After 30 s of silence probe every 10 s, give up after three: a line that died is found within a minute.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", 30),  # macOS' name of TCP_KEEPIDLE
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
]
# 120 s: a person reads an answer and asks on, and the next request should find the connection open.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=120.0)


def new_client() -> httpx2.AsyncClient:
    """A client that verifies with the system's trust store and uses the environment's proxies, but never
    to reach this machine. Costs 50 ms, for the TLS context."""
    options = [
        (level, getattr(socket, name), value) for level, name, value in _KEEP_ALIVE if hasattr(socket, name)
    ]
    transport = _Transport(limits=_LIMITS, socket_options=options)
    direct = {f"all://{host}": transport for host in ("localhost", "127.0.0.1", "[::1]")}
    # httpx2 looks at the environment's proxies only where it makes the transport itself.
    proxied = bool(urllib.request.getproxies())
    return httpx2.AsyncClient(transport=None if proxied else transport, mounts=direct, limits=_LIMITS)


class _Transport(httpx2.AsyncHTTPTransport):
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
