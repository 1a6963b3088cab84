"""The way to the web for what a model names: only to the public internet, and only as far as is sensible.

Invariants
  - A name is looked up once, by us; every address it has must be public, and the connection is made to one of
    these numbers. There is no second look-up that could answer otherwise (DNS rebinding); TLS and the Host
    header still use the name.
  - A redirect is a new address and goes the same way: read, looked up, checked. The machine's own networks
    are refused also where their addresses are public ones, which IPv6 gives every machine at home.
  - Nothing of the user's goes along: no cookies, no credentials, no referrer, no language; neither the
    environment nor a `.netrc` is asked for anything.
  - What arrives is bounded while it arrives: bytes, bytes after unpacking, silence, total time, redirects.
  - No sentence of an error repeats what a server said. An error is read as our own words, and would be a way
    in for orders that nobody marks as coming from outside.

httpx2 is imported at the first request.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from deskside.backend.tools.web_address import (
    PORTS,
    BadAddress,
    IPAddress,
    WebAddress,
    is_public,
    read_address,
)

if TYPE_CHECKING:
    import httpx2

USER_AGENT = "Mozilla/5.0 (compatible; Deskside)"
HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,*/*;q=0.1",
    # The one encoding that can be unpacked piece by piece within a limit by what Python brings along.
    "Accept-Encoding": "gzip",
    "Connection": "close",
}
AT_ONCE = 4
_REDIRECTS = (301, 302, 303, 307, 308)

_NOT_PUBLIC = "The address is not one of the public internet. Private and reserved networks are not opened."
_NO_NAME = "The site's name could not be looked up: it may not exist, or there is no network."
_NO_CONNECTION = "The site could not be reached."
_NO_TRUST = "The site's certificate is not trusted, so it may be another site. It was not opened."
_BROKE_OFF = "The connection broke off, or what answered is not a web server."
_NO_TARGET = "The site redirects without saying where to."


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
    object of its own the way to a server of its own. The program gives none.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        may_reach: Callable[[IPAddress], bool] | None = None,
        ports: frozenset[int] = PORTS,
        trust: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self._resolve = resolve or look_up
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
        """GET a page, following redirects. Raises CannotFetch for everything that is not a page."""
        address = self.address(url)
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
        numbers = await self._numbers(address)
        if self._trust is None:
            # In a thread: reading the system's certificates takes 50 ms, importing httpx2 as long.
            self._trust = await asyncio.to_thread(_system_trust)
        import httpx2

        try:
            for place, number in enumerate(numbers):
                transport = httpx2.AsyncHTTPTransport(self._trust, trust_env=False)
                async with transport:
                    try:
                        response = await transport.handle_async_request(self._request(address, number))
                    except (httpx2.ConnectError, httpx2.ConnectTimeout):
                        if place == len(numbers) - 1:
                            raise
                        continue
                    try:
                        return await self._read(address, response)
                    finally:
                        await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            # Not chained: the log, too, is no place for what a server said.
            raise CannotFetch(_sentence(error)) from None
        raise CannotFetch(_NO_CONNECTION)

    async def _numbers(self, address: WebAddress) -> list[IPAddress]:
        """The IP addresses to connect to. If one of them is not public, the name is up to no good."""
        if address.number is not None:
            return [address.number]
        try:
            found = await self._resolve(address.host, address.port)
            numbers = list(dict.fromkeys(ip_address(number) for number in found))
        except (OSError, ValueError):
            raise CannotFetch(_NO_NAME) from None
        if not numbers:
            raise CannotFetch(_NO_NAME)
        if not all(self._may_reach(number) for number in numbers):
            raise CannotFetch(_NOT_PUBLIC)
        return numbers[: self._limits.numbers]

    def _request(self, address: WebAddress, number: IPAddress) -> httpx2.Request:
        """A request to a number, in the name's name: with a number there is nothing left to look up."""
        import httpx2

        host = f"[{number}]" if number.version == 6 else str(number)
        timeout = httpx2.Timeout(self._limits.silence_s, connect=self._limits.connect_s)
        return httpx2.Request(
            "GET",
            f"{address.scheme}://{host}:{address.port}{address.target}",
            headers={"Host": address.authority, **HEADERS},
            extensions={"timeout": timeout.as_dict(), "sni_hostname": address.host},
        )

    async def _read(self, address: WebAddress, response: httpx2.Response) -> Page | str:
        if response.status_code in _REDIRECTS:
            return _redirected(address, response.headers.get("location", ""))
        if response.status_code != 200:
            raise CannotFetch(f"The site answered {_status(response.status_code)}.")
        media_type, charset = _content_type(response.headers.get("content-type", ""))
        match response.headers.get("content-encoding", "identity").strip().lower():
            case "identity" | "":
                unpack: zlib._Decompress | None = None
            case "gzip" | "x-gzip":
                unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
            case _:
                raise CannotFetch("The site packs its pages in a way that was not asked for.")
        body = await self._body(response.aiter_raw(), unpack)
        return Page(address.url, media_type, charset, body)

    async def _body(self, pieces: AsyncIterator[bytes], unpack: zlib._Decompress | None) -> bytes:
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


async def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


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
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


def _sentence(error: Exception) -> str:
    import httpx2

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _NO_TRUST
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return _NO_CONNECTION
    if isinstance(error, httpx2.TimeoutException):
        return "The site stopped answering."
    return _BROKE_OFF
