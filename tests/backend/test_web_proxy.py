"""Pages through a proxy: it is asked for numbers that were checked, and for nothing else.

Sites have their real ports and public numbers here: who reaches them is the proxy.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger
from web_parts import Names, at, html, near, redirect

from deskside.backend.tools.web import CannotFetch, Limits, Web
from deskside.backend.tools.web_proxy import read_proxy
from provider_server import ProviderServer
from small_internet import SmallInternet

NUMBER = "93.184.216.34"
SITES = ("site.example", "other.example")


@pytest.fixture
def internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallInternet]:
    with SmallInternet(tmp_path, SITES) as internet:
        use(internet, monkeypatch)
        for name, site in internet.sites.items():
            site.route("/", html(f"<p>This is {name}</p>"))
        yield internet


def use(internet: SmallInternet, monkeypatch: pytest.MonkeyPatch, login: str = "") -> None:
    monkeypatch.setenv("HTTPS_PROXY", internet.proxy_url(login))
    monkeypatch.setenv("HTTP_PROXY", internet.proxy_url(login))
    monkeypatch.setenv("SSL_CERT_FILE", str(internet.authority.file))


def web(*numbers: str, limits: Limits = Limits()) -> Web:
    """As in the program, but for what the names of sites lead to."""
    return Web(resolve=Names(list(numbers) or [NUMBER]), limits=limits)


async def refused(url: str, *numbers: str, limits: Limits = Limits()) -> str:
    with pytest.raises(CannotFetch) as failed:
        await web(*numbers, limits=limits).fetch(url)
    assert failed.value.__cause__ is None
    return str(failed.value)


@pytest.mark.parametrize(("scheme", "port"), [("https", 443), ("http", 80)])
async def test_the_proxy_is_asked_for_the_number_and_the_site_for_its_name(
    internet: SmallInternet, scheme: str, port: int
) -> None:
    page = await web().fetch(f"{scheme}://site.example/")

    assert b"<p>This is site.example</p>" == page.body
    assert [f"{NUMBER}:{port}"] == internet.targets
    assert "site.example" not in "".join(internet.heads)
    [request] = internet.sites["site.example"].requests
    assert "site.example" == request.headers["host"]
    assert "proxy-authorization" not in request.headers


async def test_an_ipv6_number_is_asked_for_in_brackets(internet: SmallInternet) -> None:
    await web("2606:2800:220:1::1946").fetch("https://site.example/")

    assert ["[2606:2800:220:1::1946]:443"] == internet.targets


async def test_the_certificate_is_the_names_and_checked_here(internet: SmallInternet) -> None:
    assert "certificate is not trusted" in await refused("https://third.example/")


async def test_a_proxy_that_is_reached_by_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmallInternet(tmp_path, SITES, has_tls_proxy=True) as internet:
        use(internet, monkeypatch)
        internet.sites["site.example"].route("/", html("<p>Safe</p>"))

        page = await web().fetch("https://site.example/")

    assert b"<p>Safe</p>" == page.body


# -- what the proxy is never asked for -----------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://10.0.0.1/", "https://169.254.169.254/", "http://[::1]/"]
)
async def test_a_private_number_is_refused(internet: SmallInternet, url: str) -> None:
    assert "not one of the public internet" in await refused(url)
    assert [] == internet.heads


@pytest.mark.parametrize("numbers", [["10.0.0.1"], [NUMBER, "192.168.1.1"], ["::1"]])
async def test_a_name_that_leads_to_a_private_number_is_refused(
    internet: SmallInternet, numbers: list[str]
) -> None:
    assert "not one of the public internet" in await refused("https://site.example/", *numbers)
    assert [] == internet.heads


async def test_a_name_that_only_the_proxy_could_look_up_is_refused(
    internet: SmallInternet, refused_addresses: list[str]
) -> None:
    with pytest.raises(CannotFetch, match=r"could not be looked up on this machine.* not asked for names"):
        await Web().fetch("https://intranet.example/")

    assert [] == internet.heads
    assert ["intranet.example"] == refused_addresses
    refused_addresses.clear()


async def test_a_redirect_is_checked_before_the_proxy_is_asked(internet: SmallInternet) -> None:
    site = internet.sites["site.example"]
    site.route("/away", redirect("https://other.example/"))
    site.route("/inside", redirect("https://other.example/"))
    site.route("/number", redirect("http://10.0.0.1/"))

    page = await Web(resolve=Names([NUMBER], ["93.184.216.35"])).fetch("https://site.example/away")
    assert b"<p>This is other.example</p>" == page.body
    assert [f"{NUMBER}:443", "93.184.216.35:443"] == internet.targets

    for path in ("inside", "number"):
        internet.heads.clear()
        with pytest.raises(CannotFetch, match="not one of the public internet"):
            await Web(resolve=Names([NUMBER], ["10.0.0.1"])).fetch(f"https://site.example/{path}")
        assert [f"{NUMBER}:443"] == internet.targets


# -- which proxy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", ["site.example", ".example", "other.example, site.example", "*"])
async def test_what_no_proxy_names_is_reached_directly(
    internet: SmallInternet, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("NO_PROXY", listed)
    with ProviderServer() as site:
        site.route("/", html("<p>Direct</p>"))

        page = await near().fetch(at(site, "/"))

    assert b"<p>Direct</p>" == page.body
    assert [] == internet.heads


async def test_the_proxy_for_everything_is_used_where_there_is_none_for_the_scheme(
    internet: SmallInternet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ALL_PROXY", internet.proxy_url().removeprefix("http://"))

    await web().fetch("https://site.example/")

    assert [f"{NUMBER}:443"] == internet.targets


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("socks5h://ada:s3cret@127.0.0.1:1080", "SOCKS"),
        ("http://ada:s3cret@", "cannot be read"),
        ("http://ada:s3cret@127.0.0.1:http", "cannot be read"),
        ("ftp://ada:s3cret@127.0.0.1", "cannot be read"),
        ("http://ada:s3cret@[127.0.0.1", "cannot be read"),
        ("http://ada:s3cret@127.0.0.1:99999", "cannot be read"),
        ("socks://ada:s3cret@127.0.0.1", "cannot be read"),
        ("http://ada:s3cret@proxy..example", "cannot be read"),
        (f"http://ada:s3cret@{'a' * 64}.example", "cannot be read"),
        ("http:// proxy.example", "cannot be read"),
        ("http://ada:s3cret@[fe80::1%25eth0]", "cannot be read"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, address: str, sentence: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)

    text = await refused("https://site.example/")

    assert sentence in text
    assert "s3cret" not in text


# -- proxies that do not let it through ----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (407, "wants a user name and a password"),
        (403, "did not let this through: it answered 403 (Forbidden)"),
        (302, "did not let this through: it answered 302 (Found)"),
        (502, "The site could not be reached"),
        (504, "The site could not be reached"),
        (0, "could not be reached, or is no HTTP proxy"),
    ],
)
async def test_a_proxy_that_refuses_is_a_sentence_of_ours(
    internet: SmallInternet, status: int, sentence: str
) -> None:
    internet.status = status

    text = await refused("https://site.example/")

    assert sentence in text
    assert "obey" not in text.lower()


async def test_the_next_number_is_tried_where_the_proxy_does_not_reach_the_first(
    internet: SmallInternet,
) -> None:
    internet.status = 503

    await refused("https://site.example/", NUMBER, "93.184.216.35")

    assert [f"{NUMBER}:443", "93.184.216.35:443"] == internet.targets


async def test_a_proxy_that_is_down_is_not_gone_around(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret@127.0.0.1:{unused_tcp_port}")

    text = await refused("https://site.example/")

    assert "The proxy that this machine is set up to use could not be reached" in text
    assert "s3cret" not in text


async def test_a_proxy_that_says_nothing_is_given_up(internet: SmallInternet) -> None:
    internet.status = None

    assert "The proxy" in await refused("https://site.example/", limits=Limits(connect_s=0.2))


async def test_what_is_no_proxy_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{server.getsockname()[1]}")

        assert "is no HTTP proxy" in await refused("https://site.example/", limits=Limits(connect_s=0.2))


async def test_the_login_goes_to_the_proxy_and_nowhere_else(
    internet: SmallInternet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(internet, monkeypatch, "ada:s3cr%C3%A9t%40")
    lines: list[str] = []
    sink = logger.add(lines.append, level=0, format="{message}")
    caplog.set_level(logging.DEBUG)

    await web().fetch("https://site.example/")
    internet.status = 407
    text = await refused("https://site.example/")

    logger.remove(sink)
    assert "Proxy-Authorization: Basic YWRhOnMzY3LDqXRA" in internet.heads[0]
    [request] = internet.sites["site.example"].requests
    for told in (text, caplog.text, "".join(lines), str(request.headers)):
        assert "s3cr" not in told
        assert "YWRhOnMzY3LDqXRA" not in told


def test_a_proxy_that_is_printed_shows_no_login() -> None:
    proxy = read_proxy("http://ada:s3cret@127.0.0.1:3128")

    assert "Proxy(scheme='http', host='127.0.0.1', port=3128)" == repr(proxy)
