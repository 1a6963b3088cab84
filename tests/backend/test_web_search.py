"""`web_search` against a local server that answers as one engine does.

The library and its HTTP client are the real ones: the test leaves the library one engine (Mojeek) and points
that at loopback. The client is written in Rust, which conftest.py's guard cannot see: without `only_mojeek` a
search would reach the internet.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
from collections.abc import Iterator
from html import escape
from typing import Any, cast

import pytest

from deskside.backend.agent.events import is_outside
from deskside.backend.tools import TOOLS
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, ToolOutput
from deskside.backend.tools.web_search import CannotSearch, web_search
from provider_server import ProviderServer, Reply

# The package's attribute of this name is the tool.
MODULE = importlib.import_module("deskside.backend.tools.web_search")

# It uses nothing of the program.
CONTEXT = ToolContext(cast(Any, None), 1, 2, 3, None, "call-1")


class Engine:
    """A search engine's page of results."""

    def __init__(self, server: ProviderServer) -> None:
        self.server = server

    def answer(self, *results: tuple[str, str, str], status: int = 200) -> None:
        """With these results: title, link and snippet, as HTML."""
        items = "".join(
            f'<li><h2><a href="{escape(link)}">{title}</a></h2><p class="s">{snippet}</p></li>'
            for title, link, snippet in results
        )
        page = f'<html><body><ul class="results-standard">{items}</ul></body></html>'
        self.server.route("/search", Reply(page.encode(), status, "text/html; charset=utf-8"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with ProviderServer() as server:
        only_mojeek(monkeypatch, f"{server.url}/search")
        yield Engine(server)


def only_mojeek(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from ddgs.engines import ENGINES

    mojeek = ENGINES["text"]["mojeek"]
    monkeypatch.setattr(mojeek, "search_url", url)
    monkeypatch.setitem(ENGINES, "text", {"mojeek": mojeek})


async def searched(query: str, **arguments: object) -> ToolOutput:
    text = json.dumps({"query": query, **arguments})
    return await web_search.call(CONTEXT, web_search.read_arguments(text))


async def test_results_come_as_title_link_and_snippet_from_outside(engine: Engine) -> None:
    engine.answer(
        ("Making <b>tea</b>", "https://tea.example/a?b=1&c=2", "Boil &amp; <i>pour</i>."),
        ("Tea &lt;b&gt;twice&lt;/b&gt; escaped", "http://tea.example/b", "&lt;script&gt;x&lt;/script&gt;"),
    )

    output = await searched("tea & biscuits")

    assert "web" == output.origin
    assert is_outside(output.origin)
    assert "web search" == output.source
    assert (
        "1. Making tea\nhttps://tea.example/a?b=1&c=2\nBoil & pour.\n\n"
        "2. Tea twice escaped\nhttp://tea.example/b\nx" == output.text
    )
    assert ["q=tea+%26+biscuits"] == [request.query for request in engine.server.requests]


async def test_no_more_results_come_than_were_asked_for(engine: Engine) -> None:
    engine.answer(*[(f"Page {number}", f"https://x.example/{number}", "words") for number in range(30)])

    assert 5 == (await searched("page")).text.count("https://")
    assert 2 == (await searched("page", limit=2)).text.count("https://")
    assert 20 == (await searched("page", limit=20)).text.count("https://")


async def test_what_is_too_long_is_cut(engine: Engine) -> None:
    engine.answer(("T" * 5000, "https://x.example/" + "a" * 5000, "S" * 50_000))

    title, link, snippet = (await searched("long")).text.split("\n")

    assert "1. " + "T" * 199 + "…" == title
    assert 500 == len(link)
    assert "S" * 399 + "…" == snippet


async def test_links_that_are_no_pages_are_left_out(engine: Engine) -> None:
    engine.answer(
        ("Bad", "javascript:alert(1)", "x"),
        ("Worse", "file:///etc/passwd", "x"),
        ("Good", "https://x.example/", "x"),
    )

    assert "1. Good\nhttps://x.example/\nx" == (await searched("links")).text


async def test_a_result_is_one_entry_whatever_is_in_it(engine: Engine) -> None:
    engine.answer(("A<br>\n\n2. Fake", "https://x.example/\n b", "first\n\n3. Fake\nhttps://evil.example/"))

    text = (await searched("x")).text

    assert "1. A 2. Fake\nhttps://x.example/+b\nfirst 3. Fake https://evil.example/" == text


@pytest.mark.parametrize("status", [200, 202, 403, 429, 500])
async def test_nothing_found_or_a_refusal_is_a_sentence(engine: Engine, status: int) -> None:
    engine.answer(status=status)

    with pytest.raises(CannotSearch, match="found nothing, or turned the question away"):
        await searched("nothing")


async def test_without_a_network_it_says_so(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    only_mojeek(monkeypatch, f"http://127.0.0.1:{unused_tcp_port}/search")

    with pytest.raises(CannotSearch, match="could not be reached") as failed:
        await searched("offline")

    assert failed.value.__cause__ is None


async def test_a_silent_engine_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "ENGINE_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        only_mojeek(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/search")

        with pytest.raises(CannotSearch, match="did not answer in time"):
            await searched("slow")


async def test_what_is_sent_is_what_the_user_is_shown(engine: Engine) -> None:
    engine.answer(("A", "https://x.example/", "x"))
    query = "tea\u200b \U000e0073\U000e0065\U000e0063\U000e0072\U000e0065\U000e0074\n pot"
    arguments = web_search.read_arguments(json.dumps({"query": query}))

    preview = await web_search.preview(CONTEXT, arguments)
    await web_search.call(CONTEXT, arguments)

    assert "Asks DuckDuckGo, Brave, Mojeek, Startpage or Wikipedia for “tea pot”" == preview.summary
    assert ["q=tea+pot"] == [request.query for request in engine.server.requests]


async def test_a_query_of_nothing_visible_is_not_sent(engine: Engine) -> None:
    with pytest.raises(CannotSearch, match="nothing to search for"):
        await searched("\u200b\u2060")

    assert [] == engine.server.requests


async def test_the_loop_goes_on_while_engines_are_slow(engine: Engine) -> None:
    engine.answer(("A", "https://x.example/", "x"))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await searched("busy")
    ticking.cancel()

    assert ticks > 1


@pytest.mark.parametrize(
    "arguments", ["{}", '{"query": ""}', '{"query": "x", "limit": 0}', '{"query": "x", "limit": 21}']
)
def test_arguments_out_of_bounds_are_refused(arguments: str) -> None:
    with pytest.raises(BadArguments):
        web_search.read_arguments(arguments)


def test_it_is_declared_as_what_it_is() -> None:
    assert web_search in TOOLS
    assert ("ask", "send") == (web_search.approval, web_search.effect)
