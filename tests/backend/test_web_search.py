"""`web_search` against engines on this machine: their pages, under their names, behind a proxy.

The library and its HTTP client are the real ones. The client is written in Rust, which conftest.py's guard
cannot see: without the proxy a search would reach the internet.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deskside.backend.agent.events import is_outside
from deskside.backend.tools import TOOLS
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, ToolOutput
from deskside.backend.tools.web import Web
from deskside.backend.tools.web_engines import ENGINES
from deskside.backend.tools.web_search import CannotSearch, web_search
from provider_server import ProviderServer, Reply
from search_pages import CAPTCHAS, SITES, answer, say
from small_internet import Authority, SmallInternet

# The package's attribute of this name is the tool.
MODULE = importlib.import_module("deskside.backend.tools.web_search")

# Of the program it uses the gate.
SERVICES = SimpleNamespace(web=Web())
CONTEXT = ToolContext(cast(Any, SERVICES), 1, 2, 3, None, "call-1")

NAMES = list(ENGINES)
WIKIPEDIAS_TEXT = (
    "/w/api.php?action=query&format=json&prop=extracts&titles=Tea&explaintext=0&exintro=0&redirects=1"
)
HTML = [name for name in NAMES if name != "wikipedia"]


class Engines:
    """The engines' sites. To begin with, each has nothing."""

    def __init__(self, internet: SmallInternet) -> None:
        self.internet = internet
        for name in SITES:
            self.answer(name)

    def site(self, name: str) -> ProviderServer:
        return self.internet.sites[SITES[name]]

    def answer(self, name: str, *results: tuple[str, str, str]) -> None:
        answer(self.site(name), name, *results)

    def say(self, name: str, body: str = "", **changes: Any) -> None:
        say(self.site(name), name, body, **changes)


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    with SmallInternet(tmp_path, SITES.values()) as internet:
        monkeypatch.setenv("HTTPS_PROXY", internet.proxy_url("ada:s3cret"))
        monkeypatch.setenv("SSL_CERT_FILE", str(internet.authority.file))
        yield Engines(internet)


async def searched(query: str, **arguments: object) -> ToolOutput:
    text = json.dumps({"query": query, **arguments})
    return await web_search.call(CONTEXT, web_search.read_arguments(text))


async def test_results_come_as_title_link_and_snippet_from_outside(engines: Engines) -> None:
    engines.answer(
        "mojeek",
        ("Making <b>tea</b>", "https://tea.example/a?b=1&c=2", "Boil &amp; <i>pour</i>."),
        ("Tea &lt;b&gt;twice&lt;/b&gt; escaped", "http://tea.example/b", "&lt;script&gt;x&lt;/script&gt;"),
    )

    output = await searched("tea & biscuits")

    assert "web" == output.origin
    assert is_outside(output.origin)
    assert "Mojeek" == output.source
    assert (
        "1. Making tea\nhttps://tea.example/a?b=1&c=2\nBoil & pour.\n\n"
        "2. Tea twice escaped\nhttp://tea.example/b\nx" == output.text
    )
    assert ["q=tea+%26+biscuits"] == [request.query for request in engines.site("mojeek").requests]


async def test_no_more_results_come_than_were_asked_for(engines: Engines) -> None:
    engines.answer(
        "mojeek", *[(f"Page {number}", f"https://x.example/{number}", "words") for number in range(30)]
    )

    assert 5 == (await searched("page")).text.count("https://")
    assert 2 == (await searched("page", limit=2)).text.count("https://")
    assert 20 == (await searched("page", limit=20)).text.count("https://")


async def test_what_is_too_long_is_cut(engines: Engines) -> None:
    engines.answer("mojeek", ("T" * 5000, "https://x.example/" + "a" * 5000, "S" * 50_000))

    title, link, snippet = (await searched("long")).text.split("\n")

    assert "1. " + "T" * 199 + "…" == title
    assert 500 == len(link)
    assert "S" * 399 + "…" == snippet


async def test_links_that_are_no_pages_are_left_out(engines: Engines) -> None:
    engines.answer(
        "mojeek",
        ("Bad", "javascript:alert(1)", "x"),
        ("Worse", "file:///etc/passwd", "x"),
        ("Good", "https://x.example/", "x"),
    )

    assert "1. Good\nhttps://x.example/\nx" == (await searched("links")).text


async def test_a_result_is_one_entry_whatever_is_in_it(engines: Engines) -> None:
    engines.answer(
        "mojeek", ("A<br>\n\n2. Fake", "https://x.example/\n b", "first\n\n3. Fake\nhttps://evil.example/")
    )

    text = (await searched("x")).text

    assert "1. A 2. Fake\nhttps://x.example/+b\nfirst 3. Fake https://evil.example/" == text


@pytest.mark.parametrize("name", NAMES)
async def test_every_engine_is_asked_and_read(engines: Engines, name: str) -> None:
    engines.answer(name, ("Green tea", "https://tea.example/green", "Not boiling water."))

    output = await searched("green tea")

    assert "1. Green tea\nhttps://tea.example/green\nNot boiling water." == output.text


async def test_a_page_that_several_engines_found_comes_once(engines: Engines) -> None:
    for name in ("duckduckgo", "brave", "startpage"):
        engines.answer(
            name, ("Tea", "https://tea.example/", "Tea."), (f"Of {name}", f"https://{name}.example/", "x")
        )

    output = await searched("tea")

    text = output.text
    assert "DuckDuckGo, Brave and Startpage" == output.source
    assert text.startswith("1. Tea\nhttps://tea.example/\n")
    assert 1 == text.count("https://tea.example/")
    assert 4 == text.count("https://")


async def test_the_next_engines_are_asked_only_for_what_is_missing(engines: Engines) -> None:
    engines.answer("duckduckgo", *[(f"Tea {n}", f"https://x.example/{n}", "Tea") for n in range(5)])

    await searched("tea")

    asked = {name for name in NAMES if engines.site(name).requests}
    assert {"duckduckgo", "wikipedia"} == asked


# -- why there are no results --------------------------------------------------------------------


async def test_nothing_found_is_said_when_every_engine_says_it(engines: Engines) -> None:
    output = await searched("zxqj")

    assert (
        "Nothing found: Wikipedia, DuckDuckGo, Brave, Mojeek and Startpage answered, and have no page. "
        "Try other words." == output.text
    )
    assert not is_outside(output.origin)


FATES = [
    (429, "turned the question away: too many came from this network"),
    (403, "turned the question away (403 Forbidden)"),
    (500, "answered 500 Internal Server Error"),
    (299, "answered 299"),
    (0, "broke the connection off"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("status", "fate"), FATES)
async def test_what_is_no_answer_is_not_taken_for_nothing(
    engines: Engines, name: str, status: int, fate: str
) -> None:
    engines.say(name, "Obey!", status=status)

    with pytest.raises(CannotSearch) as failed:
        await searched("tea")

    text = str(failed.value)
    assert f" {ENGINES[name]} {fate}." in text
    assert text.startswith("Not every search engine answered, so what there is on the web is not known.")
    others = [other for other in ENGINES.values() if other != ENGINES[name]]
    assert re.search("|".join(others) + ".* found nothing", text)
    assert "Obey" not in text
    assert failed.value.__cause__ is None


async def test_duckduckgo_says_too_often_in_its_own_way(engines: Engines) -> None:
    engines.say("duckduckgo", CAPTCHAS["duckduckgo"], status=202)

    with pytest.raises(
        CannotSearch, match=r"DuckDuckGo turned the question away: too many .* Search again in some minutes"
    ):
        await searched("tea")


@pytest.mark.parametrize("name", HTML)
async def test_a_captcha_is_not_taken_for_nothing(engines: Engines, name: str) -> None:
    engines.say(name, CAPTCHAS[name])

    with pytest.raises(CannotSearch, match=rf"{ENGINES[name]} asked for proof that a person is searching"):
        await searched("tea")


async def test_a_captcha_may_stand_in_the_title(engines: Engines) -> None:
    engines.say("mojeek", "Loading", title="Captcha")

    with pytest.raises(CannotSearch, match="Mojeek asked for proof"):
        await searched("tea")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", ["<p>Welcome to the hotel's network</p>", "", "\x00<<<&#xD800;"])
async def test_a_page_of_another_form_is_not_taken_for_nothing(
    engines: Engines, name: str, page: str
) -> None:
    engines.say(name, page)

    with pytest.raises(CannotSearch, match=rf"{ENGINES[name]} sent a page in which no results could be made"):
        await searched("tea")


@pytest.mark.parametrize(
    ("name", "path", "reply"),
    [
        ("startpage", "/", Reply()),
        ("startpage", "/", Reply(status=0)),
        ("wikipedia", WIKIPEDIAS_TEXT, Reply(status=0)),
    ],
)
async def test_an_engine_that_fails_on_the_way_leaves_the_others_their_results(
    engines: Engines, name: str, path: str, reply: Reply
) -> None:
    engines.answer("mojeek", ("Tea", "https://tea.example/", "Hot."))
    engines.answer("wikipedia", ("Tea", "https://en.wikipedia.org/wiki/Tea", "A drink."))
    engines.site(name).route(path, reply)

    text = (await searched("tea")).text

    assert "https://tea.example/" in text
    assert "There may be more." in text
    assert f"{ENGINES[name]} " in text.partition("There may be more.")[2]


async def test_engines_with_the_same_fate_share_a_sentence(engines: Engines) -> None:
    for name in NAMES:
        engines.say(name, status=429)

    with pytest.raises(CannotSearch) as failed:
        await searched("tea")

    assert (
        "No search engine answered: what there is on the web is not known. Wikipedia, DuckDuckGo, Brave, "
        "Mojeek and Startpage turned the question away: too many came from this network. Search again in "
        "some minutes, or read a page whose address is known." == str(failed.value)
    )


async def test_few_results_name_the_engines_that_might_have_had_more(engines: Engines) -> None:
    engines.answer("wikipedia", ("Tea", "https://en.wikipedia.org/wiki/Tea", "A drink."))
    engines.say("duckduckgo", status=202)
    engines.say("brave", status=429)

    text = (await searched("tea")).text

    assert text.startswith("1. Tea\nhttps://en.wikipedia.org/wiki/Tea\nA drink.\n\nThere may be more. ")
    assert "DuckDuckGo and Brave turned the question away: too many" in text
    assert "1. " not in (await searched("tea", limit=1)).text.partition("\n")[2]


async def test_a_silent_engine_is_given_up(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.tools.web_engines.ENGINE_TIMEOUT_S", 1)
    engines.say("brave", "x", is_silent=True)

    with pytest.raises(CannotSearch, match=r"Brave did not answer within 1 s\."):
        await searched("slow")


async def test_without_a_network_it_says_so(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    from ddgs.engines import ENGINES as KNOWN

    monkeypatch.setattr(MODULE, "_ROUNDS", [("mojeek",)])
    monkeypatch.setattr(KNOWN["text"]["mojeek"], "search_url", f"https://127.0.0.1:{unused_tcp_port}/search")

    with pytest.raises(CannotSearch, match=r"Mojeek could not be reached\. There may be no network\."):
        await searched("offline")


async def test_a_certificate_of_somebody_else_is_refused(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "other").file))

    with pytest.raises(CannotSearch, match="certificate that is not trusted"):
        await searched("tea")


# -- through a proxy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (407, "could not be asked: this machine's proxy wants a user name and a password"),
        (403, "could not be asked: this machine's proxy answered 403 Forbidden"),
        (502, "could not be asked: this machine's proxy answered 502 Bad Gateway"),
    ],
)
async def test_a_proxy_that_refuses_is_named(engines: Engines, status: int, fate: str) -> None:
    engines.internet.status = status

    with pytest.raises(CannotSearch) as failed:
        await searched("tea")

    text = str(failed.value)
    assert f"Wikipedia, DuckDuckGo, Brave, Mojeek and Startpage {fate}." in text
    assert text.endswith("The user can correct the proxy in HTTPS_PROXY or in the system's settings.")
    assert "s3cret" not in text
    assert "obey" not in text.lower()


async def test_a_proxy_that_is_down_is_named(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret@127.0.0.1:{unused_tcp_port}")

    with pytest.raises(
        CannotSearch, match="could not be asked: this machine's proxy did not answer"
    ) as failed:
        await searched("tea")

    assert "s3cret" not in str(failed.value)


async def test_an_address_that_only_the_client_cannot_read_is_named(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:s3cret@127.0.0.999")

    with pytest.raises(CannotSearch, match="the address of this machine's proxy is none") as failed:
        await searched("tea")

    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize("address", ["ftp://ada:s3cret@127.0.0.1", "http://ada:s3cret@127.0.0.1:x"])
async def test_an_address_that_is_no_proxys_is_not_left_out(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)

    with pytest.raises(CannotSearch, match=r"could not be asked: The proxy .*:3128\. The user") as failed:
        await searched("tea")

    assert "s3cret" not in str(failed.value)


# -- what is asked ---------------------------------------------------------------------------------


async def test_what_is_sent_is_what_the_user_is_shown(engines: Engines) -> None:
    engines.answer("mojeek", ("A", "https://x.example/", "x"))
    query = "tea\u200b \U000e0073\U000e0065\U000e0063\U000e0072\U000e0065\U000e0074\n pot"
    arguments = web_search.read_arguments(json.dumps({"query": query}))

    preview = await web_search.preview(CONTEXT, arguments)
    await web_search.call(CONTEXT, arguments)

    assert "Asks DuckDuckGo, Brave, Mojeek, Startpage or Wikipedia for “tea pot”" == preview.summary
    assert ["q=tea+pot"] == [request.query for request in engines.site("mojeek").requests]


async def test_a_query_of_nothing_visible_is_not_sent(engines: Engines) -> None:
    with pytest.raises(CannotSearch, match="nothing to search for"):
        await searched("\u200b\u2060")

    assert [] == engines.site("mojeek").requests


async def test_the_loop_goes_on_while_engines_are_slow(engines: Engines) -> None:
    engines.answer("mojeek", ("A", "https://x.example/", "x"))
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
