"""Which proxy stands before a site, as this machine is set up.

The environment comes first (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case), then the
settings of Windows and macOS: what the providers' requests go by, too. Scripts that choose a proxy (PAC) are
not run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from deskside.backend.tools.web_address import DEFAULT_PORTS, SCHEMES

_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_HOST = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f:.]+", re.ASCII)
_NO_PROXY_ADDRESS = (
    "The proxy that HTTPS_PROXY, HTTP_PROXY or the system's settings name cannot be read. "
    "It looks like http://proxy.example:3128."
)


class BadProxy(ValueError):
    """What stands where a proxy's address belongs is none. The text repeats nothing of it."""


@dataclass(frozen=True)
class Proxy:
    """`scheme` is lower-case: http, https, or one of the SOCKS family. `url` and `authorization` (the value
    of a header; empty where there is none) may hold a password, and are kept out of the repr."""

    scheme: str
    host: str
    port: int
    url: str = field(repr=False)
    authorization: bytes = field(repr=False)


def proxy_for(scheme: str, authority: str) -> Proxy | None:
    """The proxy for a site ("example.com", "example.com:8080"), None where there is none or NO_PROXY names
    the site. Raises BadProxy. On Windows and macOS it may look the site's name up, which blocks."""
    import urllib.request  # 5 ms

    found = urllib.request.getproxies()
    url = found.get(scheme) or found.get("all")
    if not url or urllib.request.proxy_bypass(authority):
        return None
    return read_proxy(url)


def read_proxy(url: str) -> Proxy:
    """Take a proxy's address apart. Raises BadProxy."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:
        raise BadProxy(_NO_PROXY_ADDRESS) from None
    known = SCHEMES.get(parts.scheme)
    port = port or (DEFAULT_PORTS[known] if known else 1080)
    if not _HOST.fullmatch(parts.hostname or "") or not (known or parts.scheme in _SOCKS):
        raise BadProxy(_NO_PROXY_ADDRESS)
    login = b""
    if parts.username is not None:
        name, password = unquote(parts.username), unquote(parts.password or "")
        login = b"Basic " + b64encode(f"{name}:{password}".encode())
    return Proxy(parts.scheme, parts.hostname or "", port, whole, login)
