"""Which addresses of the web may be opened: read once, strictly, and refused when in doubt.

A server that fetches what somebody else names can be turned against the network it stands in. The usual way
in is a second reader: what was checked is read differently by what connects. So here an address is taken
apart once, by a grammar that knows no other spelling of anything, and the connection is made from the parts
(web.py); no library reads the text again.

Invariants
  - A host is a name of plain labels, a dotted quad, or an IPv6 address in brackets; a name in other letters
    becomes its ASCII form here. What ends like a number is a dotted quad or refused: `0x7f.1`, `2130706433`
    and `0177.0.0.1` never reach the system's resolver, which would read them as 127.0.0.1.
  - The public internet is what is listed as such. What a network of the future may mean is not.
  - No sentence repeats a word of the address: a redirect's address comes from outside, and a refusal is
    read as our own words.

Sources: RFC 3986; the WHATWG URL standard, "ends in a number"; IANA's special-purpose address registries
(IPv4 and IPv6, as of 2026); RFC 6052 for NAT64.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal
from urllib.parse import quote

IPAddress = IPv4Address | IPv6Address

LENGTH_LIMIT = 2048
# Those that web pages are served at. Others belong to services that take a request for a command.
PORTS = frozenset({80, 443, 8080, 8443})
Scheme = Literal["http", "https"]
SCHEMES: dict[str, Scheme] = {"http": "http", "https": "https"}
DEFAULT_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}

_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([1-9][0-9]{0,4}))?")
# Some real names hold an underscore.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")

# Names that mean this machine or its network, whatever a resolver says of them (RFC 6761, RFC 6762, RFC 8375,
# and what routers and clouds use).
_LOCAL_NAMES = re.compile(
    r"(.+\.)?(localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa|arpa|test|invalid|"
    r"onion)"
)

_RESERVED_V4 = [
    IPv4Network("0.0.0.0/8"),  # "this network"; 0.0.0.0 connects to this machine
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),  # behind a provider's NAT; clouds and VPNs use it within
    IPv4Network("127.0.0.0/8"),
    IPv4Network("168.63.129.16/32"),  # where Azure answers its machines
    IPv4Network("169.254.0.0/16"),  # link-local; where most clouds answer theirs
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),  # protocols, Oracle's cloud
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.31.196.0/24"),  # AS112
    IPv4Network("192.52.193.0/24"),  # AMT
    IPv4Network("192.88.99.0/24"),  # 6to4
    IPv4Network("192.168.0.0/16"),
    IPv4Network("192.175.48.0/24"),  # AS112
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, broadcast
]
_PUBLIC_V6 = IPv6Network("2000::/3")
_RESERVED_V6 = [
    IPv6Network("2001::/23"),  # protocols, Teredo
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
]
_NAT64 = IPv6Network("64:ff9b::/96")


class BadAddress(ValueError):
    """Not an address of a public web page. The text is for the model, and repeats nothing of the address."""


@dataclass(frozen=True)
class WebAddress:
    """An address in its one spelling. `host` is a lower-case ASCII name or an IP address, without brackets;
    `number` is that IP address, if it is one. `target` is path and query, percent-encoded."""

    scheme: Scheme
    host: str
    port: int
    target: str
    number: IPAddress | None

    @property
    def authority(self) -> str:
        """As in a Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def read_address(url: str, ports: frozenset[int] = PORTS) -> WebAddress:
    """Take an address apart. Whether a number is public is asked of `is_public`. Raises BadAddress."""
    if len(url) > LENGTH_LIMIT:
        raise BadAddress(f"the address is longer than {LENGTH_LIMIT:,} characters")
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise BadAddress("an address holds no spaces, line breaks, backslashes or control characters")
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise BadAddress('write the whole address, beginning with "https://"')
    scheme, slashes, authority, path, query, _ = parts.groups(default="")
    known = SCHEMES.get(scheme.lower())
    if known is None:
        raise BadAddress("only http and https addresses are opened")
    if not slashes:
        raise BadAddress('write "//" after the scheme')
    host, written_port = _host_and_port(authority)
    number = _number(host)
    name = _name(host) if number is None else str(number)
    port = written_port or DEFAULT_PORTS[known]
    if port not in ports:
        raise BadAddress(f"only the ports {', '.join(map(str, sorted(ports)))} are opened")
    return WebAddress(known, name, port, _target(path, query), number)


def _host_and_port(authority: str) -> tuple[str, int]:
    """Port 0 where there is none."""
    if "@" in authority:
        raise BadAddress("an address with a user name or password in it is not opened")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise BadAddress("the address has no host that can be read")
    return parts[1], int(parts[2] or 0)


def _number(host: str) -> IPAddress | None:
    """The IP address that a host is, in the one spelling of each; None for a name."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if _QUAD.fullmatch(host):
            return IPv4Address(host)
    except ValueError as error:
        raise BadAddress("the number in the address is not an IP address") from error
    return None


def _name(host: str) -> str:
    """A name as it is looked up. The trailing dot of a full name is taken off."""
    name = host.lower() if host.isascii() else _ascii_name(host)
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("the host is not a name that can be looked up")
    if _NUMBER.fullmatch(labels[-1]):
        raise BadAddress("write an IP address as four decimal numbers, without leading zeros")
    # A name of one label is the network's own: a resolver would complete it.
    if len(labels) == 1 or _LOCAL_NAMES.fullmatch(".".join(labels)):
        raise BadAddress("this name belongs to this machine or its own network")
    return ".".join(labels)


def _ascii_name(host: str) -> str:
    """The name's ASCII form (xn--…), which is also what the user is shown.

    Letters that only look like others (ⓛ, ｌ) are refused, and digits (①, ๑) and dots (。) that are none:
    every reader maps them differently.
    """
    is_odd = any(character.isnumeric() and not character.isascii() for character in host)
    if is_odd or unicodedata.normalize("NFKC", host) != host or "\u3002" in host:
        raise BadAddress("the host is written in letters that stand for others")
    import idna  # 15 ms of tables

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadAddress("the host is not a name that can be looked up") from error


def _target(path: str, query: str) -> str:
    """Path and query in ASCII. What is percent-encoded already stays as it is."""
    try:
        return quote(path or "/", safe="/%:@!$&'()*+,;=~") + quote(query, safe="?/%:@!$&'()*+,;=~[]|")
    except UnicodeEncodeError as error:
        raise BadAddress("the address holds characters that cannot be sent") from error


def is_public(address: IPAddress) -> bool:
    """Whether an IP address is one of the public internet. IPv6 in which an IPv4 address is wrapped is not,
    but for NAT64: there a resolver gives it for every site that has no other."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _RESERVED_V4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and not any(address in network for network in _RESERVED_V6)
