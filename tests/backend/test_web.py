"""The way to the web: nothing but the public internet is reached, whatever is named and however."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_parts import ANY_PORT, Names, at, html, near, redirect, tls_site

from deskside.backend.tools.web import CannotFetch, Limits, Page, Web, is_reachable
from deskside.backend.tools.web_address import BadAddress, is_public, read_address
from provider_server import ProviderServer, Reply

NAT64 = ip_network("64:ff9b::/96")


@pytest.fixture
def site() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


# -- addresses that are refused ------------------------------------------------------------------

# Sources: PayloadsAllTheThings, "Server Side Request Forgery" (numbers, names, encodings, schemes, clouds);
# OWASP, "Server Side Request Forgery Prevention Cheat Sheet"; Orange Tsai, "A New Era of SSRF" (Black Hat
# 2017: what parsers read differently); cujanovic/SSRF-Testing; Kaoudis and SickCodes, "Rotten code, aging
# standards & pwning IPv4 parsing" (DEF CON 29: octal); and what got past others' guards: brackets (Skyvern
# #5920), IPv6 that wraps IPv4 (freellmapi #450, OpenWA #344, lionagi #1125), names of metadata services (mem0
# #4170).
HOSTILE = [
    # this machine
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "http://127.0.0.1:80/admin",
    "http://127.0.0.1:8080/",
    "http://127.127.127.127/",
    "http://127.0.0.0/",
    "http://0.0.0.0/",
    "http://0.0.0.0:8080/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost:8080/",
    "http://localhost./",
    "http://app.localhost/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://127.0.0.1./",
    "http://[::1]/",
    "http://[::]/",
    "http://[::]:80/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    # IPv4 in other spellings
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://2130706433/",
    "http://3232235521/",
    "http://2852039166/",
    "http://6425673729/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0x7F.0.0.1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://0o177.0.0.1/",
    "http://127.0.0.01/",
    "http://127.000.000.001/",
    "http://0000.0000.0000.0000/",
    "http://256.256.256.256/",
    "http://127.0.0.1.5/",
    "http://1.2.3/",
    "http://0x/",
    "http://localhost.0x7f/",
    # other letters and digits
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.０.０.１/",
    "http://๑๒๗.๐.๐.๑/",
    "http://١٢٧.٠.٠.١/",
    "http://169。254。169。254/",
    "http://127｡0｡0｡1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://local\u00adhost/",
    "http://localhost\u200b/",
    "http://127.0.0.1\u200b/",
    "http://loc\u0430lhost/",
    "http://\u202etsohlacol/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://127.0.0.%31/",
    "http://127%2e0%2e0%2e1/",
    # IPv4 wrapped in IPv6
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[::169.254.169.254]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:101::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    # networks that are nobody else's business
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://169.254.1.1/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    # what a cloud or a container tells its machines
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.170.2/v2/credentials",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::a9fe:a9fe]/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata/computeMetadata/v1/",
    "http://instance-data/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.192/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://rancher-metadata/",
    "http://kubernetes.default.svc.cluster.local/",
    "http://host.docker.internal:8080/",
    # the own network's names
    "http://router/",
    "http://intranet/",
    "http://printer.local/",
    "http://fritz.box.lan/",
    "http://nas.home.arpa/",
    "http://wiki.corp/",
    "http://db.internal/",
    "http://1.0.0.127.in-addr.arpa/",
    "http://hidden.onion/",
    # ports of other services
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:6379/",
    "http://example.com:11211/",
    "http://example.com:0/",
    "http://example.com:65616/",
    "http://example.com:080/",
    "http://example.com:/",
    "http://example.com:+80/",
    "http://example.com:80aaa/",
    "http://example.com:８０/",
    "http://127.0.0.1:11211:80/",
    # what two parsers read as two hosts
    "http://user:password@example.com/",
    "http://user@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://foo@127.0.0.1:80@example.com/",
    "http://foo@127.0.0.1 @example.com/",
    "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
    "http://example.com:80+&@127.88.23.245:22/",
    "http://127.1.1.1:80\\@127.2.2.2:80/",
    "http://127.1.1.1:80\\@@127.2.2.2:80/",
    "http://example.com\\@127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://127.0.0.1;@example.com/",
    "http://example.com;127.0.0.1/",
    "http://example.com,127.0.0.1/",
    "http://example.com%00.127.0.0.1/",
    "http://example.com%2f@127.0.0.1/",
    "http://[::1]@example.com/",
    "http://[::1].example.com/",
    "http://example.com[::1]/",
    "http://[example.com]/",
    "http://[127.0.0.1]/",
    "http://[::1/",
    "http://::1/",
    "http://0000::1:80/",
    "http://[::1]:80:80/",
    "http:///127.0.0.1/",
    "http:////127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1/",
    "http://",
    "http://?",
    "http://./",
    "http://../",
    "http://a..example.com/",
    "http://.example.com/",
    "http://-example.com/",
    "http://example.com-/",
    "http://example.com../",
    "http://$google.com/",
    "http://exa*mple.com/",
    f"http://{'a' * 64}.example.com/",
    f"http://{'a.' * 127}example.com/",
    f"http://example.com/{'a' * 2048}",
    # more than an address
    "http://example.com/\r\nHost: 127.0.0.1",
    "http://example.com/ HTTP/1.1\r\nX: y",
    "http://example.com\r\n.127.0.0.1/",
    "http://exam\tple.com/",
    "http://example.com/\x00",
    "http://example.com/\x7f",
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/\ud800",
    "",
    # what is not the web
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_SAVE",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "sftp://example.com/",
    "tftp://example.com:69/x",
    "jar:http://127.0.0.1!/",
    "netdoc:///etc/passwd",
    "view-source:http://127.0.0.1/",
    "data:text/html,<b>x</b>",
    "javascript:alert(1)",
    "blob:http://example.com/1",
    "about:blank",
    "ws://example.com/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "0://evil.com:80;http://google.com:80/",
    "//example.com/",
    "example.com",
    "localhost:8080/x",
    "ht\ttp://127.0.0.1/",
    "h\u200bttp://127.0.0.1/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused_before_anything_is_looked_up(url: str) -> None:
    with pytest.raises(CannotFetch) as refused:
        Web().address(url)

    assert 10 < len(str(refused.value)) < 150


async def test_a_redirect_to_a_hostile_address_is_refused(site: ProviderServer) -> None:
    trust = ssl.create_default_context()
    fits_a_header = [url for url in HOSTILE if url and all(" " <= letter <= "\x7e" for letter in url)]
    for url in fits_a_header:
        site.route("/start", redirect(url))
        # Only the first look is allowed to see the test's server as a public one.
        first = iter([True])
        web = Web(
            resolve=Names(["127.0.0.1"]),
            may_reach=lambda number, first=first: next(first, False) or is_public(number),  # type: ignore[misc]
            ports=frozenset({80, 443, 8080, 8443, site.port}),
            trust=trust,
        )
        with pytest.raises(CannotFetch) as refused:
            await web.fetch(at(site, "/start"))
        assert url not in str(refused.value)

    assert len(fits_a_header) == len(site.requests)
    assert {"/start"} == {request.path for request in site.requests}


PUBLIC_NAMES_OF_PRIVATE_NUMBERS = [
    ("localtest.me", ["127.0.0.1"]),
    ("127.0.0.1.nip.io", ["127.0.0.1"]),
    ("customer1.app.localhost.my.company.127.0.0.1.nip.io", ["127.0.0.1"]),
    ("169.254.169.254.nip.io", ["169.254.169.254"]),
    ("make-1.2.3.4-rebind-169.254.169.254-rr.1u.ms", ["1.2.3.4", "169.254.169.254"]),
    ("spoofed.example.com", ["::1"]),
    ("mapped.example.com", ["::ffff:10.0.0.1"]),
    ("nat64.example.com", ["64:ff9b::7f00:1"]),
    ("scoped.example.com", ["fe80::1%eth0"]),
    ("both.example.com", ["93.184.216.34", "192.168.1.1"]),
    ("last.example.com", ["93.184.216.34", "93.184.216.35", "93.184.216.36", "93.184.216.37", "10.0.0.1"]),
    ("cgnat.example.com", ["100.100.100.200"]),
    ("own.example.com", ["0.0.0.0"]),
]


@pytest.mark.parametrize(("host", "numbers"), PUBLIC_NAMES_OF_PRIVATE_NUMBERS)
async def test_a_name_that_leads_to_a_private_number_is_refused(host: str, numbers: list[str]) -> None:
    names = Names(numbers)

    with pytest.raises(CannotFetch, match="not one of the public internet"):
        await Web(resolve=names).fetch(f"https://{host}/")

    assert [host] == names.asked


@pytest.mark.parametrize("numbers", [[], ["nonsense"]])
async def test_a_name_without_a_number_is_not_found(numbers: list[str]) -> None:
    with pytest.raises(CannotFetch, match="could not be looked up"):
        await Web(resolve=Names(numbers)).fetch("https://nowhere.example.com/")


async def test_the_system_resolver_is_asked_and_its_failure_is_a_sentence(
    refused_addresses: list[str],
) -> None:
    with pytest.raises(CannotFetch, match="could not be looked up"):
        await Web().fetch("https://example.com/")

    assert ["example.com"] == refused_addresses
    refused_addresses.clear()


async def test_a_name_is_looked_up_once_and_the_connection_made_to_what_was_checked(
    site: ProviderServer,
) -> None:
    """Rebinding: the second answer of the resolver would be another machine."""
    names = Names(["127.0.0.1"], ["127.0.0.9"])
    site.route("/", html("<p>Here</p>"))

    page = await near(names).fetch(at(site, "/", "rebind.example.com"))

    assert b"<p>Here</p>" == page.body
    assert ["rebind.example.com"] == names.asked


async def test_a_redirect_is_looked_up_and_checked_anew(site: ProviderServer) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    site.route("/", redirect(at(site, "/secret")))

    with pytest.raises(CannotFetch, match="not one of the public internet"):
        await near(names).fetch(at(site, "/"))

    assert ["site.example", "site.example"] == names.asked
    assert ["/"] == [request.path for request in site.requests]


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/a/../b?x=1#part", "https://example.com/a/../b?x=1"),
        ("http://example.com:8080?q", "http://example.com:8080/?q"),
        ("https://example.com./", "https://example.com/"),
        ("https://my_host.example.com/", "https://my_host.example.com/"),
        ("https://de.wikipedia.org/wiki/Köln", "https://de.wikipedia.org/wiki/K%C3%B6ln"),
        ("https://example.com/%C3%A4?a=%26&b=[1]", "https://example.com/%C3%A4?a=%26&b=[1]"),
        ('https://example.com/"<a>?"<b>', "https://example.com/%22%3Ca%3E?%22%3Cb%3E"),
        ("https://example.com/a\u202eb\u200b", "https://example.com/a%E2%80%AEb%E2%80%8B"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
        ("https://\u0430pple.com/", "https://xn--pple-43d.com/"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:2800:220:1::1946]:8443/", "http://[2606:2800:220:1::1946]:8443/"),
        ("http://[2606:2800:0220:0001:0:0:0:1946]/", "http://[2606:2800:220:1::1946]/"),
        ("http://[64:ff9b::93.184.216.34]/", "http://[64:ff9b::5db8:d822]/"),
    ],
)
def test_an_address_has_one_spelling(url: str, read: str) -> None:
    assert read == Web().address(url).url


@pytest.mark.parametrize(
    "number", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1"]
)
def test_public_ipv4_is_public(number: str) -> None:
    assert is_public(ip_address(number))


@pytest.mark.parametrize(
    "number", ["2606:4700::1111", "2a00:1450:4001::1", "2001:200::1", "64:ff9b::101:101"]
)
def test_public_ipv6_is_public(number: str) -> None:
    assert is_public(ip_address(number))


@given(st.ip_addresses())
def test_what_python_holds_for_private_is_never_public(number: IPv4Address | IPv6Address) -> None:
    if is_public(number) and not (isinstance(number, IPv6Address) and number in NAT64):
        assert number.is_global
        assert not number.is_multicast


@given(st.text(max_size=60))
def test_any_text_is_an_address_in_ascii_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://example.com{text}", f"http://example.com/{text}"):
        try:
            address = read_address(url)
        except BadAddress:
            continue
        assert address.url.isascii()
        assert address.url.isprintable()
        assert " " not in address.url
        assert address == read_address(address.url)


def test_the_own_networks_are_refused_though_their_numbers_are_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def card(family: int, address: str, netmask: str | None) -> SimpleNamespace:
        return SimpleNamespace(family=family, address=address, netmask=netmask)

    cards = {
        "lan": [
            card(socket.AF_INET, "192.168.1.5", "255.255.255.0"),
            card(socket.AF_INET6, "2a01:4f8:1:2::5", "ffff:ffff:ffff:ffff::"),
            card(socket.AF_INET6, "fe80::5%lan", "ffff:ffff:ffff:ffff::"),
            card(psutil.AF_LINK, "00:11:22:33:44:55", None),
        ],
        "tunnel": [card(socket.AF_INET, "5.6.7.8", "0.0.0.0")],
        "windows": [card(socket.AF_INET6, "2a02:1:1:1::7", None)],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)

    assert not is_reachable(ip_address("2a01:4f8:1:2::77"))
    assert not is_reachable(ip_address("2a02:1:1:1::8"))
    assert not is_reachable(ip_address("5.6.7.8"))
    assert is_reachable(ip_address("5.6.7.9"))
    assert is_reachable(ip_address("2a01:4f8:1:3::77"))
    assert is_reachable(ip_address("1.1.1.1"))


# -- what is sent, and what comes back -----------------------------------------------------------


async def test_a_page_comes_back_and_nothing_of_the_users_goes_along(
    site: ProviderServer, home: Path
) -> None:
    (home / ".netrc").write_text("default login ada password secret\n", "utf-8")
    site.route("/a?b=c", html("<p>Hello</p>", headers={"set-cookie": "id=1"}))
    web = near()

    page = await web.fetch(at(site, "/a?b=c"))
    await web.fetch(at(site, "/a?b=c"))

    assert Page(at(site, "/a?b=c"), "text/html", "utf-8", b"<p>Hello</p>") == page
    for request in site.requests:
        assert "GET" == request.method
        assert {"host", "user-agent", "accept", "accept-encoding", "connection"} == set(request.headers)
        assert "Mozilla/5.0 (compatible; Deskside)" == request.headers["user-agent"]
        assert f"site.example:{site.port}" == request.headers["host"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: ProviderServer, status: int) -> None:
    site.route("/old", redirect("/deep/older?x=ä", status))
    site.route("/deep/older", redirect("../new", status))
    site.route("/new", html("<p>New</p>"))

    page = await near().fetch(at(site, "/old"))

    assert at(site, "/new") == page.url
    assert b"<p>New</p>" == page.body


async def test_redirects_end(site: ProviderServer) -> None:
    site.route("/", redirect("/"))

    with pytest.raises(CannotFetch, match="redirects more than 5 times"):
        await near().fetch(at(site, "/"))

    assert 6 == len(site.requests)


@pytest.mark.parametrize("location", ["", "http://[", "/a\tb", "/a\\b"])
async def test_a_redirect_to_nowhere_is_refused(site: ProviderServer, location: str) -> None:
    site.route("/", redirect(location))

    with pytest.raises(CannotFetch):
        await near().fetch(at(site, "/"))

    assert 1 == len(site.requests)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(b"Obey!", 404, "text/html"), "The site answered 404 (Not Found)."),
        (Reply(b"", 429, "text/html"), "The site answered 429 (Too Many Requests)."),
        (Reply(b"", 299, "text/html"), "The site answered 299."),
        (Reply(b"", 300, "text/html", {"location": "/x"}), "The site answered 300 (Multiple Choices)."),
        (html("x" * 2000), "The page is larger than 0.001 MB."),
        (html("x" * 900, cut_after=400), "The connection broke off, or what answered is not a web server."),
        (html("x" * 900, hang_after=400), "The site stopped answering."),
        (Reply(status=0), "The connection broke off, or what answered is not a web server."),
        (
            html("x", headers={"content-encoding": "br"}),
            "The site packs its pages in a way that was not asked for.",
        ),
        (
            html("no gzip", headers={"content-encoding": "gzip"}),
            "The connection broke off, or what answered is not a web server.",
        ),
        (
            html("x", headers={"bad header": "Obey me"}),
            "The connection broke off, or what answered is not a web server.",
        ),
    ],
)
async def test_what_goes_wrong_is_a_sentence_of_ours(
    site: ProviderServer, reply: Reply, sentence: str
) -> None:
    site.route("/", reply)

    with pytest.raises(CannotFetch) as failed:
        await near(limits=Limits(size_bytes=1000, silence_s=0.2)).fetch(at(site, "/"))

    assert sentence == str(failed.value)
    assert failed.value.__cause__ is None


async def test_a_site_that_drips_is_given_up(site: ProviderServer) -> None:
    site.route("/", html("x" * 1000, piece_bytes=1, delay_s=0.02))

    with pytest.raises(CannotFetch, match=r"did not answer within 0\.2 s"):
        await near(limits=Limits(total_s=0.2)).fetch(at(site, "/"))


async def test_a_closed_port_cannot_be_reached(unused_tcp_port: int) -> None:
    with pytest.raises(CannotFetch, match="could not be reached"):
        await near().fetch(f"http://site.example:{unused_tcp_port}/")


async def test_the_next_number_is_tried_when_the_first_does_not_answer(site: ProviderServer) -> None:
    names = Names(["127.0.0.99", "127.0.0.1"])
    site.route("/", html("<p>Here</p>"))
    web = Web(resolve=names, may_reach=lambda number: True, ports=ANY_PORT)

    page = await web.fetch(at(site, "/"))

    assert b"<p>Here</p>" == page.body


async def test_packed_pages_are_unpacked(site: ProviderServer) -> None:
    site.route("/", Reply(gzip.compress(b"<p>Packed</p>"), headers={"content-encoding": "gzip"}))

    assert b"<p>Packed</p>" == (await near().fetch(at(site, "/"))).body


async def test_a_bomb_is_not_unpacked(site: ProviderServer) -> None:
    """200 MB in 200 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(bytes(1_000_000)) for _ in range(200)]) + packer.flush()
    site.route("/", Reply(bomb, headers={"content-encoding": "gzip"}))

    with pytest.raises(CannotFetch, match="larger than 5 MB"):
        await near().fetch(at(site, "/"))


async def test_at_most_four_pages_are_fetched_at_once(site: ProviderServer) -> None:
    site.route("/", html("<p>" + "x" * 100, hang_after=3))
    web = near()
    fetches = [asyncio.create_task(web.fetch(at(site, "/"))) for _ in range(6)]
    async with asyncio.timeout(10):
        while len(site.requests) < 4:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)  # for a fifth to come, if it would

    assert 4 == len(site.requests)
    site.release()
    await asyncio.gather(*fetches)
    assert 6 == len(site.requests)


# -- TLS ------------------------------------------------------------------------------------------


async def test_a_certificate_is_checked_against_the_name_not_the_number(tmp_path: Path) -> None:
    async with tls_site(tmp_path, "site.example") as (port, trust):
        page = await near(trust=trust).fetch(f"https://site.example:{port}/")

        assert b"safe" == page.body


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_certificate_of_another_site_or_nobody_is_refused(tmp_path: Path, is_trusted: bool) -> None:
    async with tls_site(tmp_path, "site.example") as (port, trust):
        name = "other.example" if is_trusted else "site.example"
        with pytest.raises(CannotFetch, match="certificate is not trusted"):
            await near(trust=trust if is_trusted else None).fetch(f"https://{name}:{port}/")
