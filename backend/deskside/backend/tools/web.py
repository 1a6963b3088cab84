"""The way to the web for what a model names: only to the public internet, and only as far as is sensible.

Invariants
  - A name is looked up once, by us; every address it has must be public, and the connection is made to one of
    these numbers. There is no second look-up that could answer otherwise (DNS rebinding); TLS and the Host
    header still use the name.
  - A redirect is a new address and goes the same way: read, looked up, checked. The machine's own networks
    are refused also where their addresses are public ones, which IPv6 gives every machine at home.
  - A proxy, where this machine is set up to use one (web_proxy.py), is asked for the checked number and never
    for a name (web_tunnel.py). A name that only the proxy could look up is not opened.
  - Nothing of the user's goes along: no cookies, no credentials, no referrer, no language; no `.netrc` is
    read. What the environment says is heard for the proxy and for whom to trust (SSL_CERT_FILE).
  - What arrives is bounded while it arrives: bytes, bytes after unpacking, silence, total time, redirects.
  - No sentence of an error repeats what a server said. An error is read as our own words, and would be a way
    in for orders that nobody marks as coming from outside.

httpcore2 is imported at the first request.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from deskside.backend.network.gate import Gate, bound_for
from deskside.backend.network.purpose import purpose
from deskside.backend.tools.web_address import (
    PORTS,
    SCHEMES,
    BadAddress,
    IPAddress,
    WebAddress,
    is_public,
    read_address,
)
from deskside.backend.tools.web_proxy import BadProxy, Proxy, proxy_for

if TYPE_CHECKING:
    import httpcore2

USER_AGENT = "Mozilla/5.0 (compatible; Deskside)"
HEADERS = [
    ("User-Agent", USER_AGENT),
    ("Accept", "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,*/*;q=0.1"),
    # The one encoding that can be unpacked piece by piece within a limit by what Python brings along.
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
]
AT_ONCE = 4
_REDIRECTS = (301, 302, 303, 307, 308)

_NOT_PUBLIC = "The address is not one of the public internet. Private and reserved networks are not opened."
_NO_NAME = "The site's name could not be looked up: it may not exist, or there is no network."
_NO_CONNECTION = "The site could not be reached."
_NO_TRUST = "The site's certificate is not trusted, so it may be another site. It was not opened."
_BROKE_OFF = "The connection broke off, or what answered is not a web server."
_NO_TARGET = "The site redirects without saying where to."
_NO_NAME_HERE = (
    "The site's name could not be looked up on this machine."
    " Its proxy may find it, but is not asked for names: "
    "nobody would see whether one leads into a private network. The page cannot be opened from here."
)
_NO_SOCKS = (
    "This machine is set up to use a SOCKS proxy, which pages cannot be read through. "
    "Name an HTTP proxy in HTTPS_PROXY and HTTP_PROXY, or the site in NO_PROXY."
)
_NO_PROXY = "The proxy that this machine is set up to use could not be reached, or is no HTTP proxy."
_NO_LOGIN = (
    "The proxy that this machine is set up to use wants a user name and a password, or others than it was "
    "given. They belong into its address: http://name:password@proxy.example:3128."
)


class CannotFetch(OSError):
    """No page came back. The text is for the model, and holds nothing that a server said."""


@dataclass(frozen=True)
class Limits:
    """Of one fetch. `size_bytes` holds for what arrives and again for what it unpacks to; `silence_s` between
    two pieces."""

    size_bytes: int = 5_000_000
    total_s: float = 30.0
    connect_s: float = 8.0
    silence_s: float = 10.0
    redirects: int = 5
    numbers: int = 3  # of a name's addresses, how many are tried


@dataclass(frozen=True)
class Page:
    """What an address holds. `url` is the last one, after redirects; `media_type` is lower-case and may be
    empty, as may be `charset`; both are the server's words."""

    url: str
    media_type: str
    charset: str
    body: bytes


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All IP addresses of a name, best first. Raises OSError."""


class Web:
    """Fetches pages. One for the whole program.

    `resolve`, `may_reach`, `ports` and `trust` are there for tests, which have no internet: a test gives an
    object of its own the way to a server of its own. The program gives none of them, but its `gate`; without
    one there is an open one of its own.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        may_reach: Callable[[IPAddress], bool] | None = None,
        ports: frozenset[int] = PORTS,
        trust: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
        gate: Gate | None = None,
    ) -> None:
        self.gate = gate or Gate()
        self._resolve = resolve or self._look_up
        self._may_reach = may_reach or is_reachable
        self._ports = ports
        self._trust = trust
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE)

    def address(self, url: str) -> WebAddress:
        """Read an address without touching the network. Raises CannotFetch where it would not be opened."""
        try:
            address = read_address(url, self._ports)
        except BadAddress as error:
            raise CannotFetch(f"This address is not opened: {error}.") from error
        if address.number is not None and not self._may_reach(address.number):
            raise CannotFetch(_NOT_PUBLIC)
        return address

    async def fetch(self, url: str) -> Page:
        """GET a page, following redirects. Raises CannotFetch for everything that is not a page, and
        Offline."""
        address = self.address(url)
        with purpose("web_fetch"):
            return await self._fetch(address)

    async def _fetch(self, address: WebAddress) -> Page:
        async with self._turns:
            try:
                async with asyncio.timeout(self._limits.total_s):
                    return await self._follow(address)
            except TimeoutError:
                raise CannotFetch(f"The site did not answer within {self._limits.total_s:g} s.") from None

    async def _follow(self, address: WebAddress) -> Page:
        for _ in range(self._limits.redirects + 1):
            answer = await self._get(address)
            if isinstance(answer, Page):
                return answer
            address = self.address(answer)
        raise CannotFetch(f"The site redirects more than {self._limits.redirects} times.")

    async def _get(self, address: WebAddress) -> Page | str:
        """The page, or the address that it redirects to."""
        self.gate.check(address.host)
        proxy = await _proxy(address)
        with bound_for(address.host, address.port, proxy.host if proxy else ""):
            return await self._get_from(address, proxy, await self._numbers(address, proxy))

    async def _get_from(
        self, address: WebAddress, proxy: Proxy | None, numbers: Sequence[IPAddress]
    ) -> Page | str:
        if self._trust is None:
            # In a thread: reading the system's certificates takes 50 ms, importing httpcore2 as long.
            self._trust = await asyncio.to_thread(_system_trust)
        import httpcore2

        from deskside.backend.network.http import Sockets
        from deskside.backend.tools.web_tunnel import ProxyFailed, Tunnel

        sockets = Sockets(self.gate)
        network = Tunnel(proxy, self._trust, USER_AGENT, sockets) if proxy else sockets
        try:
            for place, number in enumerate(numbers):
                async with httpcore2.AsyncConnectionPool(self._trust, network_backend=network) as pool:
                    try:
                        response = await pool.handle_async_request(self._request(address, number))
                    except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                        if place == len(numbers) - 1:
                            raise
                        continue
                    try:
                        return await self._read(address, response)
                    finally:
                        await response.aclose()
        except ProxyFailed as failure:
            raise CannotFetch(_proxy_sentence(failure.status)) from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            # Not chained: the log, too, is no place for what a server said.
            raise CannotFetch(_sentence(error)) from None
        raise CannotFetch(_NO_CONNECTION)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        return [str(address[0]) for _, address in await self.gate.look_up(host, port)]

    async def _numbers(self, address: WebAddress, proxy: Proxy | None) -> list[IPAddress]:
        """The IP addresses to connect to. If one of them is not public, the name is up to no good."""
        if address.number is not None:
            return [address.number]
        try:
            found = await self._resolve(address.host, address.port)
            numbers = list(dict.fromkeys(ip_address(number) for number in found))
        except (OSError, ValueError):
            numbers = []
        if not numbers:
            raise CannotFetch(_NO_NAME_HERE if proxy else _NO_NAME)
        if not all(self._may_reach(number) for number in numbers):
            raise CannotFetch(_NOT_PUBLIC)
        return numbers[: self._limits.numbers]

    def _request(self, address: WebAddress, number: IPAddress) -> httpcore2.Request:
        """A request to a number, in the name's name: with a number there is nothing left to look up."""
        import httpcore2

        silence_s = self._limits.silence_s
        timeout = {"connect": self._limits.connect_s, "read": silence_s, "write": silence_s}
        return httpcore2.Request(
            "GET",
            httpcore2.URL(scheme=address.scheme, host=str(number), port=address.port, target=address.target),
            headers=[("Host", address.authority), *HEADERS],
            extensions={"timeout": timeout, "sni_hostname": address.host},
        )

    async def _read(self, address: WebAddress, response: httpcore2.Response) -> Page | str:
        if response.status in _REDIRECTS:
            return _redirected(address, _header(response, b"location"))
        if response.status != 200:
            raise CannotFetch(f"The site answered {_status(response.status)}.")
        media_type, charset = _content_type(_header(response, b"content-type"))
        match _header(response, b"content-encoding").strip().lower():
            case "" | "identity":
                unpack: zlib._Decompress | None = None
            case "gzip" | "x-gzip":
                unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
            case _:
                raise CannotFetch("The site packs its pages in a way that was not asked for.")
        body = await self._body(response.aiter_stream(), unpack)
        return Page(address.url, media_type, charset, body)

    async def _body(self, pieces: AsyncIterable[bytes], unpack: zlib._Decompress | None) -> bytes:
        """Everything that arrives, unpacked. Never holds more than the limit and one piece (64 KB)."""
        body = bytearray()
        received = 0
        limit = self._limits.size_bytes
        async for piece in pieces:
            received += len(piece)
            if unpack is None:
                body += piece
            elif not unpack.eof:
                try:
                    # One byte more than may be there: what is left over is never unpacked.
                    body += unpack.decompress(piece, limit + 1 - len(body))
                except zlib.error:
                    raise CannotFetch(_BROKE_OFF) from None
            if max(received, len(body)) > limit:
                raise CannotFetch(f"The page is larger than {limit / 1_000_000:g} MB.")
        return bytes(body)


# -- the network this machine stands in ---------------------------------------------------------


async def _proxy(address: WebAddress) -> Proxy | None:
    """The proxy to go through. Raises CannotFetch where there is one that leads nowhere."""
    try:
        proxy = await asyncio.to_thread(proxy_for, address.scheme, address.authority)
    except BadProxy as error:
        raise CannotFetch(str(error)) from None
    if proxy is not None and proxy.scheme not in SCHEMES:
        raise CannotFetch(_NO_SOCKS)
    return proxy


def is_reachable(address: IPAddress) -> bool:
    """Whether an address is public and none of this machine's own networks. Costs 0.1 ms."""
    return is_public(address) and not any(address in network for network in _own_networks())


def _own_networks() -> list[IPv4Network | IPv6Network]:
    """The networks that this machine has an address in."""
    import psutil

    return [
        _network(entry.address, entry.netmask)
        for addresses in psutil.net_if_addrs().values()
        for entry in addresses
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]


def _network(number: str, mask: str | None) -> IPv4Network | IPv6Network:
    """The network of an address. One as wide as no neighbourhood is (a tunnel's way of saying "everything")
    counts for the address alone; Windows names no mask of IPv6."""
    own = ip_address(number.partition("%")[0])
    narrowest, widest, usual = (32, 8, 32) if own.version == 4 else (128, 48, 64)
    prefix = int(ip_address(mask)).bit_count() if mask else usual
    return ip_network((int(own), prefix if prefix >= widest else narrowest), strict=False)


# -- reading an answer's head -------------------------------------------------------------------


def _header(response: httpcore2.Response, name: bytes) -> str:
    """A header's first value, empty where there is none."""
    value = next((value for key, value in response.headers if key.lower() == name), b"")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _redirected(address: WebAddress, location: str) -> str:
    """Where a redirect leads. Characters that `urljoin` would drop in silence are left in, and refused."""
    if not location:
        raise CannotFetch(_NO_TARGET)
    if any(character <= " " or character in "\\\x7f" for character in location):
        return location
    try:
        return urljoin(address.url, location)
    except ValueError:
        raise CannotFetch(_NO_TARGET) from None


def _status(code: int) -> str:
    """A status in the standard's words, not the server's."""
    try:
        return f"{code} ({HTTPStatus(code).phrase})"
    except ValueError:
        return str(code)


def _content_type(header: str) -> tuple[str, str]:
    media_type, _, parameters = header[:300].partition(";")
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", parameters, re.IGNORECASE | re.ASCII)
    return media_type.strip().lower(), charset[1].lower() if charset else ""


def _system_trust() -> ssl.SSLContext:
    import httpcore2

    return httpcore2.default_ssl_context()


def _proxy_sentence(status: int) -> str:
    if status == 0:
        return _NO_PROXY
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _NO_LOGIN
    return (
        "The proxy that this machine is set up to use did not let this through: it answered "
        f"{_status(status)}. It may block the site, its port, or every address that is a number; pages are "
        "asked for by number, so that what was checked holds."
    )


def _sentence(error: Exception) -> str:
    import httpcore2

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _NO_TRUST
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore2.ConnectError | httpcore2.ConnectTimeout):
        return _NO_CONNECTION
    if isinstance(error, httpcore2.TimeoutException):
        return "The site stopped answering."
    return _BROKE_OFF
