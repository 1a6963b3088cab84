"""Connections through an HTTP proxy, to a number that was checked.

The proxy is asked to CONNECT to the number, for https and for http: it has no name to look up, so what was
checked here holds there. (An http request handed to a proxy whole would be sent to where the proxy finds the
name.)
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import httpcore2

from deskside.backend.tools.web_proxy import Proxy


class ProxyFailed(Exception):
    """No tunnel came about. `status` is what the proxy answered; 0 where it was not reached or is none."""

    def __init__(self, status: int = 0) -> None:
        super().__init__(status)
        self.status = status


class Tunnel(httpcore2.AsyncNetworkBackend):
    """Makes the connections of a pool, over `sockets`. Raises ProxyFailed; where the proxy says that it did
    not reach the number (5xx), ConnectError."""

    def __init__(
        self, proxy: Proxy, trust: ssl.SSLContext, user_agent: str, sockets: httpcore2.AsyncNetworkBackend
    ) -> None:
        self._proxy = proxy
        self._trust = trust
        self._user_agent = user_agent
        self._sockets = sockets

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            response = await self._ask(host, port, timeout)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError):
            # Not chained: what a proxy says goes into no log.
            raise ProxyFailed from None
        if 200 <= response.status < 300:
            stream: httpcore2.AsyncNetworkStream = response.extensions["network_stream"]
            return stream
        await response.aclose()
        if response.status >= 500:
            raise httpcore2.ConnectError
        raise ProxyFailed(response.status)

    async def _ask(self, host: str, port: int, timeout: float | None) -> httpcore2.Response:
        proxy = self._proxy
        stream = await self._sockets.connect_tcp(proxy.host, proxy.port, timeout)
        if proxy.scheme == "https":
            stream = await stream.start_tls(self._trust, proxy.host, timeout)
        target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()
        headers = [(b"Host", target), (b"User-Agent", self._user_agent.encode())]
        if proxy.authorization:
            headers.append((b"Proxy-Authorization", proxy.authorization))
        origin = httpcore2.Origin(proxy.scheme.encode(), proxy.host.encode(), proxy.port)
        connection = httpcore2.AsyncHTTP11Connection(origin, stream)
        return await connection.handle_async_request(
            httpcore2.Request(
                b"CONNECT",
                httpcore2.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target),
                headers=headers,
                extensions={"timeout": {"connect": timeout, "read": timeout, "write": timeout}},
            )
        )
