"""Ask one search engine, and tell what became of it.

The engines are those of the library (ddgs), which knows how each is asked and read. They are asked here one
by one: the library's own search drops the status of an answer, takes every page without results for "nothing
found" and keeps one error of all. Whoever is told "nothing" believes that there is nothing, so here it is
said only of a page on which the engine itself says it.

Its HTTP client makes sockets in native code, so it is given a way through the gate (network/relay.py) as its
proxy. ddgs is imported at the first search, which takes 0.2 s.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from deskside.backend.errors import Offline
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.network.relay import Upstream, open_relay
from deskside.backend.tools.web_proxy import BadProxy, Proxy, proxy_for

if TYPE_CHECKING:
    from ddgs.base import BaseSearchEngine
    from ddgs.results import TextResult

ENGINE_TIMEOUT_S = 8  # of one request; Startpage takes two

# Those that answer without an account and need no key.
ENGINES = {
    "duckduckgo": "DuckDuckGo",
    "brave": "Brave",
    "mojeek": "Mojeek",
    "startpage": "Startpage",
    "wikipedia": "Wikipedia",
}

# What each page says when there is nothing. Wikipedia answers in JSON, whose empty list is plain enough.
_NOTHING = {
    "duckduckgo": re.compile(r"class=[\"'][^\"']*\bno-results?\b"),
    "brave": re.compile(r"Not many great matches came back", re.IGNORECASE),
    "mojeek": re.compile(r"No pages found matching", re.IGNORECASE),
    "startpage": re.compile(r"class=[\"'][^\"']*\bno-results?\b"),
    "wikipedia": re.compile(r"\A\s*\[\""),
}
# What stands on a page that wants to be sure that a person is asking, whichever engine's it is.
_CHALLENGE = re.compile(
    r"<title>[^<]*captcha|anomaly-modal|challenge-form|/captcha\b|automated queries", re.IGNORECASE
)
# DuckDuckGo's way to say that it was asked too often.
_TOO_OFTEN = {"duckduckgo": (202, 429)}
_NO_ADDRESS = "could not be asked: the address of this machine's proxy is none"
_UNREADABLE = "sent a page in which no results could be made out"

Why = Literal["nothing", "turned away", "unreachable", "slow", "proxy", "broken"]


class NoResults(Exception):
    """An engine gave none, and `why`. The text goes on from the engine's name, is ours, and repeats nothing
    that the engine said."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


async def ask_engine(gate: Gate, name: str, query: str) -> list[TextResult]:
    """The engine's results, best first; at least one, each with the address of a page. Raises NoResults,
    Offline."""
    address = urlsplit(await asyncio.to_thread(_search_url, name))
    host, port = address.hostname or "", address.port or 443
    proxy = await asyncio.to_thread(_proxy, address.scheme, address.netloc)
    upstream = Upstream(proxy.scheme, proxy.host, proxy.port, proxy.url) if proxy else None
    with purpose("web_search", ENGINES[name]):
        async with open_relay(gate, host, port, upstream) as relay:
            try:
                return await asyncio.to_thread(_ask, name, query, relay.proxy_url, upstream is not None)
            except NoResults:
                if isinstance(relay.failure, Offline):
                    raise relay.failure from None
                if relay.failure is not None:
                    raise _not_reached(has_proxy=upstream is not None) from None
                raise


def _search_url(name: str) -> str:
    from ddgs.engines import ENGINES as KNOWN

    # Wikipedia's address has places for these.
    return str(KNOWN["text"][name].search_url.format(lang="en", query=""))


def _ask(name: str, query: str, proxy_url: str, has_proxy: bool) -> list[TextResult]:
    """In a thread. `has_proxy` says that `proxy_url` leads to a proxy of this machine's."""
    import primp
    from ddgs.engines import ENGINES as KNOWN
    from ddgs.exceptions import DDGSException, TimeoutException
    from lxml.etree import LxmlError

    kind = KNOWN["text"][name]
    try:
        engine = kind(proxy=proxy_url, timeout=ENGINE_TIMEOUT_S)
        status, page = _answer(engine, query)
        rows = _rows(engine, page) if status == HTTPStatus.OK else []
    except primp.BuilderError:
        raise NoResults("proxy", _NO_ADDRESS) from None
    except TimeoutException:
        raise NoResults("slow", f"did not answer within {ENGINE_TIMEOUT_S} s") from None
    except DDGSException as error:
        raise _no_answer(error, has_proxy=has_proxy) from None
    except LxmlError:  # of a page before that of the results
        raise NoResults("broken", _UNREADABLE) from None
    if status != HTTPStatus.OK:
        raise _turned_away(name, status)
    results = [row for row in rows if row.href.startswith(("https://", "http://"))]
    if not results:
        raise _empty(name, page)
    return results


def _proxy(scheme: str, authority: str) -> Proxy | None:
    try:
        proxy = proxy_for(scheme, authority)
        if proxy is not None and proxy.host.rpartition(".")[2].isdecimal():
            ip_address(proxy.host)
    except BadProxy as error:
        # In the middle of a sentence.
        raise NoResults("proxy", f"could not be asked: {str(error).removesuffix('.')}") from None
    except ValueError:
        raise NoResults("proxy", _NO_ADDRESS) from None
    return proxy


def _answer(engine: BaseSearchEngine[Any], query: str) -> tuple[int, str]:
    """Status and page. Startpage is asked for another page first. Raises DDGSException, LxmlError."""
    payload = engine.build_payload(query, region="us-en", safesearch="moderate", timelimit=None, page=1)
    place = "params" if engine.search_method == "GET" else "data"
    response = engine.http_client.request(engine.search_method, engine.search_url, **{place: payload})
    return response.status_code, response.text


def _rows(engine: BaseSearchEngine[Any], page: str) -> list[TextResult]:
    """None where the page has another form. Wikipedia is asked once more here. Raises DDGSException."""
    from lxml.etree import LxmlError

    try:
        return engine.post_extract_results(engine.extract_results(page))
    except (LxmlError, ValueError, LookupError, TypeError, AttributeError):
        return []


def _no_answer(error: Exception, *, has_proxy: bool) -> NoResults:
    """The client's error, which the library wraps into its own."""
    import primp

    cause = error.__cause__
    # Its kind says no more than that the request failed.
    refusal = re.search(r"proxy CONNECT failed: \S+ (\d{3})", str(cause))
    if refusal:
        return _proxy_refusal(int(refusal[1]))
    if "certificate" in str(cause):
        return NoResults("broken", "showed a certificate that is not trusted, so it may be another site")
    if isinstance(cause, primp.ConnectError | primp.DNSError):
        return _not_reached(has_proxy=has_proxy)
    return NoResults("broken", "broke the connection off")


def _not_reached(*, has_proxy: bool) -> NoResults:
    if has_proxy:
        return NoResults("proxy", "could not be asked: this machine's proxy did not answer")
    return NoResults("unreachable", "could not be reached")


def _turned_away(name: str, status: int) -> NoResults:
    if status in _TOO_OFTEN.get(name, (429,)):
        return NoResults("turned away", "turned the question away: too many came from this network")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _proxy_refusal(status)
    words = _status(status)
    if status in (401, 403):
        return NoResults("turned away", f"turned the question away ({words})")
    return NoResults("broken", f"answered {words}")


def _proxy_refusal(status: int) -> NoResults:
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return NoResults("proxy", "could not be asked: this machine's proxy wants a user name and a password")
    return NoResults("proxy", f"could not be asked: this machine's proxy answered {_status(status)}")


def _empty(name: str, page: str) -> NoResults:
    if _NOTHING[name].search(page):
        return NoResults("nothing", "found nothing")
    if _CHALLENGE.search(page):
        return NoResults("turned away", "asked for proof that a person is searching (a captcha)")
    return NoResults("broken", _UNREADABLE)


def _status(code: int) -> str:
    """A status in the standard's words, not the engine's."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
