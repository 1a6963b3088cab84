"""Signing in at MCP servers: over the wire, with the official SDK's own servers on the other side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from loguru import logger
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deskside.backend.errors import Conflict, KeychainUnavailable, McpServerError
from deskside.backend.keychain import LONGEST_SECRET
from deskside.backend.mcp import sign_in
from deskside.backend.mcp.proposal import Proposal, Variable
from deskside.backend.mcp.rows import McpServerRow
from deskside.backend.mcp.server_secrets import ServerSecrets
from guarded_server import CANARY, Answers, Browser, Guard, guarded_server, refusing_server
from mcp_parts import Desk, open_desk, say_no, say_yes
from secret_service import secret_service
from stores import paths_in, rows

PASSPHRASE = "correct horse"
NUMBERS = {"a": 1, "b": 2}


@pytest.fixture
def guard() -> Iterator[Guard]:
    with guarded_server() as guard:
        yield guard


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(paths_in(tmp_path), back_off_s=(0.01, 0.01)) as desk:
        await desk.keys.use_file(PASSPHRASE)
        yield desk


@pytest.fixture
def browser() -> Browser:
    return Browser()


def wants_sign_in(row: McpServerRow) -> bool:
    return row.state == "signed_out"


async def added(desk: Desk, url: str, **more: object) -> McpServerRow:
    proposal = Proposal("guarded", "http", url=url, **more)  # type: ignore[arg-type]
    return await desk.add(proposal, accept=False, until=wants_sign_in)


async def signed_in(desk: Desk, guard: Guard, browser: Browser) -> McpServerRow:
    """A server where the user is signed in, its tool accepted."""
    row = await added(desk, guard.server)
    await desk.servers.sign_in(row.id, say_yes, browser.open)
    return await desk.accept(await desk.until(row.id, lambda row: row.state == "ready"))


def secrets_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


# -- it works -----------------------------------------------------------------------------------


async def test_a_server_that_refuses_us_asks_the_user_to_sign_in(
    desk: Desk, guard: Guard, browser: Browser
) -> None:
    row = await added(desk, guard.server)

    assert ("", False) == (row.reason, row.is_signed_in)
    assert {} == guard.clients
    with pytest.raises(McpServerError, match="wants you to sign in"):
        await desk.servers.resources(row.id)


async def test_the_user_signs_in_and_the_tools_are_there(desk: Desk, guard: Guard, browser: Browser) -> None:
    row = await signed_in(desk, guard, browser)

    said = await desk.call("guarded__add", NUMBERS)

    assert "3" == said
    assert row.is_signed_in
    assert "Go back to Deskside" in browser.shown[0]
    page = parse_qs(urlsplit(browser.pages[0]).query)
    assert ["S256"] == page["code_challenge_method"]
    assert [guard.server] == page["resource"]
    assert page["redirect_uri"][0].startswith("http://127.0.0.1:")


async def test_the_user_is_asked_first_and_sees_the_host(desk: Desk, guard: Guard, browser: Browser) -> None:
    asked: list[tuple[str, str]] = []

    async def confirm(title: str, text: str, accept_label: str) -> bool:
        asked.append((text, f"{len(guard.clients)} registered, {len(browser.pages)} opened"))
        return True

    row = await added(desk, guard.server)
    await desk.servers.sign_in(row.id, confirm, browser.open)

    ((text, state),) = asked
    assert "0 registered, 0 opened" == state
    assert guard.address in text.split("\n")
    assert "“guarded”" in text


async def test_a_no_reaches_nothing(desk: Desk, guard: Guard, browser: Browser) -> None:
    row = await added(desk, guard.server)

    after = await desk.servers.sign_in(row.id, say_no, browser.open)

    assert ("signed_out", "You said no, so you are not signed in.") == (after.state, after.reason)
    assert ({}, []) == (guard.clients, browser.pages)


async def test_a_client_with_a_secret_is_used_as_one(desk: Desk, guard: Guard, browser: Browser) -> None:
    guard.clients_need_secrets = True
    guard.lifetimes_s.append(-1)

    await signed_in(desk, guard, browser)

    assert "3" == await desk.call("guarded__add", NUMBERS)
    assert 1 == guard.renewed


async def test_the_sign_in_outlives_a_restart(tmp_path: Path, guard: Guard, browser: Browser) -> None:
    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.keys.use_file(PASSPHRASE)
        await signed_in(desk, guard, browser)

    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.keys.use_file(PASSPHRASE)
        said = await desk.call("guarded__add", NUMBERS)

    assert "3" == said
    assert 1 == len(browser.pages)


async def test_an_own_authorization_header_is_left_alone(desk: Desk, guard: Guard) -> None:
    header = Variable("Authorization", "Bearer of-the-user", is_secret=False)
    row = await desk.add(
        Proposal("guarded", "http", url=guard.server, headers=[header]),
        accept=False,
        until=lambda row: row.state == "failed",
    )

    assert "The server refuses us (HTTP 401)" in row.reason
    with pytest.raises(Conflict, match="does not ask"):
        await desk.servers.sign_in(row.id, say_yes, Browser().open)


# -- tokens -------------------------------------------------------------------------------------


async def test_a_token_that_ran_out_is_renewed_before_it_is_sent(
    desk: Desk, guard: Guard, browser: Browser
) -> None:
    guard.lifetimes_s.append(-1)

    await signed_in(desk, guard, browser)

    assert "3" == await desk.call("guarded__add", NUMBERS)
    assert (1, 1) == (guard.renewed, len(browser.pages))
    assert 1 == len(guard.presented)


async def test_what_cannot_be_read_any_more_is_no_sign_in(desk: Desk, guard: Guard, browser: Browser) -> None:
    """As after a newer Deskside, or a crash while it was written."""
    row = await signed_in(desk, guard, browser)
    await ServerSecrets(desk.store, desk.keys).keep_sign_in(row.id, '{"from": "the future"}')

    await desk.servers.restart(row.id)
    after = await desk.until(row.id, wants_sign_in)

    assert "You are not signed in there any more." == after.reason
    assert [line for line in await desk.log(row.id) if "cannot be read" in line]


async def test_a_token_that_is_refused_is_renewed_in_the_middle_of_a_session(
    desk: Desk, guard: Guard, browser: Browser
) -> None:
    await signed_in(desk, guard, browser)
    guard.revoke_access()

    said = await asyncio.gather(*(desk.call("guarded__add", NUMBERS) for _ in range(3)))

    assert ["3", "3", "3"] == said
    assert (1, 1) == (guard.renewed, len(browser.pages))


async def test_a_renewed_token_is_what_is_kept(tmp_path: Path, guard: Guard, browser: Browser) -> None:
    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.keys.use_file(PASSPHRASE)
        await signed_in(desk, guard, browser)
        guard.revoke_access()
        await desk.call("guarded__add", NUMBERS)

    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.keys.use_file(PASSPHRASE)
        await desk.call("guarded__add", NUMBERS)

    assert 1 == guard.renewed


async def test_where_a_token_cannot_be_renewed_the_user_is_asked_again(
    desk: Desk, guard: Guard, browser: Browser
) -> None:
    row = await signed_in(desk, guard, browser)
    guard.revoke_access()
    guard.refuses_renewals = True

    with pytest.raises(McpServerError, match="wants the user to sign in again"):
        await desk.call("guarded__add", NUMBERS)
    refused = await desk.until(row.id, wants_sign_in)
    offered = await desk.tools()
    guard.refuses_renewals = False
    await desk.servers.sign_in(row.id, say_yes, browser.open)
    await desk.until(row.id, lambda row: row.state == "ready")

    assert ("You are not signed in there any more.", True) == (refused.reason, refused.is_signed_in)
    assert {} == offered
    assert "3" == await desk.call("guarded__add", NUMBERS)


async def test_signing_out_forgets_the_tokens(
    desk: Desk, guard: Guard, browser: Browser, tmp_path: Path
) -> None:
    await desk.keys.save("openai", "sk-other-0123456789")
    row = await signed_in(desk, guard, browser)
    before = (tmp_path / "data" / "keys.json").read_text()

    out = await desk.until((await desk.servers.sign_out(row.id)).id, wants_sign_in)

    assert "sign-in" in before
    assert "sign-in" not in (tmp_path / "data" / "keys.json").read_text()
    assert ("", False) == (out.reason, out.is_signed_in)


async def test_a_removed_server_takes_its_tokens_along(
    desk: Desk, guard: Guard, browser: Browser, tmp_path: Path
) -> None:
    row = await signed_in(desk, guard, browser)

    await desk.servers.remove(row.id)

    assert not (tmp_path / "data" / "keys.json").exists()


async def test_another_address_does_not_get_the_tokens(
    desk: Desk, guard: Guard, browser: Browser, tmp_path: Path
) -> None:
    await desk.keys.save("openai", "sk-other-0123456789")
    row = await signed_in(desk, guard, browser)
    seen: list[str] = []

    async def look(request: Request) -> Response:
        seen.append(request.headers.get("authorization", ""))
        return Response(status_code=404)

    with refusing_server(no_more, {"/other": look}) as other:
        url = other.replace("/mcp", "/other")
        await desk.servers.propose(Proposal("guarded", "http", url=url), say_yes, "a test", row.id)
        moved = await desk.until(row.id, lambda row: row.state == "failed")

    assert not moved.is_signed_in
    assert {""} == set(seen)
    assert "sign-in" not in (tmp_path / "data" / "keys.json").read_text()


async def test_no_token_is_in_a_file_a_log_line_or_a_row(
    desk: Desk,
    guard: Guard,
    browser: Browser,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged: list[str] = []
    sink = logger.add(lambda line: logged.append(str(line)), level="TRACE")
    guard.clients_need_secrets = True
    guard.lifetimes_s.append(-1)
    try:
        row = await signed_in(desk, guard, browser)
        await desk.call("guarded__add", NUMBERS)
        guard.revoke_access()
        guard.refuses_renewals = True
        with pytest.raises(McpServerError) as refused:
            await desk.call("guarded__add", NUMBERS)
        shown = await desk.until(row.id, wants_sign_in)
    finally:
        logger.remove(sink)

    assert [] == secrets_in(tmp_path)
    # The bytes of the database, in which nothing is compressed, would show one.
    assert [(f'{{"place":"file","parts":{shown_parts(tmp_path)}}}',)] == rows(
        tmp_path / "data" / "deskside.db", "select sign_in from mcp_server"
    )
    heard = repr([shown, refused.value, logged, caplog.records, await desk.log(row.id), capfd.readouterr()])
    assert CANARY not in heard


def shown_parts(folder: Path) -> int:
    """How many entries of the file are of the sign-in: a token is longer than one may be."""
    count = (folder / "data" / "keys.json").read_text().count("-sign-in-")
    assert 1 < count
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keychain")
async def test_a_real_keychain_keeps_tokens_that_are_longer_than_its_entries(
    tmp_path: Path, guard: Guard, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secret_service() as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        async with open_desk(paths_in(tmp_path), {}) as desk:
            await signed_in(desk, guard, browser)
        async with open_desk(paths_in(tmp_path), {}) as desk:
            said = await desk.call("guarded__add", NUMBERS)
            kept = entries()
            (row,) = await desk.servers.servers()
            await desk.servers.sign_out(row.id)
            left = entries()

    assert "3" == said
    assert CANARY in "".join(kept)
    assert LONGEST_SECRET >= max(map(len, kept))
    assert [] == left
    assert [] == secrets_in(tmp_path)


def entries() -> list[str]:
    """What the keychain holds of ours."""
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        collection = secretstorage.get_default_collection(connection)
        return [item.get_secret().decode() for item in collection.search_items({"service": "deskside"})]


# -- it does not ---------------------------------------------------------------------------------


async def test_a_user_who_says_no_in_the_browser_is_not_signed_in(
    desk: Desk, guard: Guard, browser: Browser
) -> None:
    guard.is_denying = True
    row = await added(desk, guard.server)

    after = await desk.servers.sign_in(row.id, say_yes, browser.open)

    assert "It was not allowed in the browser, so you are not signed in." == after.reason
    assert "You are not signed in" in browser.shown[0]
    assert ("signed_out", False) == (after.state, after.is_signed_in)


async def test_an_answer_with_another_state_is_not_taken(desk: Desk, guard: Guard, browser: Browser) -> None:
    statuses: list[int] = []
    row = await added(desk, guard.server)

    async def attacked(page: str) -> None:
        answer = await browser.redirect(page)
        place = answer.split("?")[0]
        for forged in ("?code=x&state=forged", "?code=x", "?error=access_denied&state=\u00e4", ""):
            statuses.append(await browser.follow(place + forged))
        statuses.append(await browser.follow(place.replace("/signed-in", "/favicon.ico")))
        statuses.append(await browser.follow(answer))
        statuses.append(await browser.follow(answer))

    await desk.servers.sign_in(row.id, say_yes, attacked)
    after = await desk.until(row.id, lambda row: row.state == "ready")

    assert [400, 400, 400, 400, 404, 200, 400] == statuses
    assert after.is_signed_in


async def test_a_browser_that_never_comes_back_is_not_waited_for(tmp_path: Path, guard: Guard) -> None:
    async def closed(page: str) -> None:
        pass

    async with open_desk(paths_in(tmp_path), browser_s=0.1) as desk:
        await desk.keys.use_file(PASSPHRASE)
        row = await added(desk, guard.server)
        after = await desk.servers.sign_in(row.id, say_yes, closed)

    assert after.reason.startswith("Nothing came back from your browser")


async def test_a_sign_in_can_be_cancelled_and_begun_again(desk: Desk, guard: Guard, browser: Browser) -> None:
    row = await added(desk, guard.server)
    is_open = asyncio.Event()

    async def wait(page: str) -> None:
        is_open.set()

    waiting = asyncio.create_task(desk.servers.sign_in(row.id, say_yes, wait))
    await is_open.wait()
    during = await desk.row(row.id)
    with pytest.raises(Conflict, match="about to sign in"):
        await desk.servers.sign_in(row.id, say_yes, wait)
    after = await desk.servers.cancel_sign_in(row.id)
    await waiting
    await desk.servers.sign_in(row.id, say_yes, browser.open)

    assert ("signing_in", "signed_out") == (during.state, after.state)
    assert "ready" == (await desk.until(row.id, lambda row: row.state == "ready")).state


async def test_a_sign_in_goes_on_when_nobody_waits_for_it(desk: Desk, guard: Guard, browser: Browser) -> None:
    """As when the page is reloaded meanwhile."""
    row = await added(desk, guard.server)
    may_go_on, is_open = asyncio.Event(), asyncio.Event()

    async def slow(page: str) -> None:
        is_open.set()
        await may_go_on.wait()
        await browser.open(page)

    waiting = asyncio.create_task(desk.servers.sign_in(row.id, say_yes, slow))
    await is_open.wait()
    waiting.cancel()
    may_go_on.set()

    assert (await desk.until(row.id, lambda row: row.state == "ready")).is_signed_in


async def test_without_a_place_for_tokens_nothing_is_begun(
    tmp_path: Path, guard: Guard, browser: Browser
) -> None:
    async with open_desk(paths_in(tmp_path)) as desk:
        row = await added(desk, guard.server)

        with pytest.raises(KeychainUnavailable):
            await desk.servers.sign_in(row.id, say_yes, browser.open)

    assert ({}, []) == (guard.clients, browser.pages)


async def test_a_server_that_says_nothing_about_signing_in_may_want_a_token(
    desk: Desk, browser: Browser
) -> None:
    with refusing_server(no_more) as url:
        row = await added(desk, url)
        after = await desk.servers.sign_in(row.id, say_yes, browser.open)

    assert (
        "The server does not say where to sign in. It may want a token in a header instead." == after.reason
    )


# -- hostile servers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://login.example.com", "not encrypted"),
        ("http://10.0.0.1", "not encrypted"),
        ("ftp://login.example.com", "not encrypted"),
        ("https://you@login.example.com", "no address"),
        ("https://login.example.com\\\\@127.0.0.1", "no address"),
        ("javascript:alert(1)", "no address"),
    ],
)
async def test_a_place_to_sign_in_that_is_none_is_not_reached(
    desk: Desk, browser: Browser, address: str, reason: str
) -> None:
    async def confirm(*_: str) -> bool:
        raise AssertionError("the user was asked")

    with refusing_server(lambda origin: f'Bearer resource_metadata="{address}/x"') as url:
        row = await added(desk, url)
        after = await desk.servers.sign_in(row.id, confirm, browser.open)

    assert reason in after.reason
    assert [] == browser.pages


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1:8443",
        "https://[::1]/",
        "https://192.168.1.1",
        "https://localhost",
        "https://router",
    ],
)
async def test_a_server_outside_cannot_send_us_into_the_users_network(address: str) -> None:
    async def never(*_: str) -> bool:
        raise AssertionError("the user was asked, or a page opened")

    async def open_page(page: str) -> None:
        await never()

    challenge = f'Bearer resource_metadata="{address}/x"'
    with pytest.raises(sign_in.SignInFailed, match="inside your own network"):
        await sign_in.sign_in("x", "https://mcp.example.com/mcp", challenge, never, open_page, browser_s=1)


async def test_every_other_host_is_asked_about(desk: Desk, guard: Guard, browser: Browser) -> None:
    """The place to sign in sends us on to another one for the registration."""
    asked: list[str] = []

    async def confirm(title: str, text: str, accept_label: str) -> bool:
        asked.append(text.split("\n\n")[1])
        return len(asked) < 2

    async def described(request: Request) -> Response:
        issuer = origin_of(request)
        endpoints = {f"{name}_endpoint": f"{issuer}/{name}" for name in ("authorization", "token")}
        return JSONResponse(
            {"issuer": issuer, "registration_endpoint": f"{guard.address}/register", **endpoints}
        )

    with refusing_server(no_more, {"/.well-known/oauth-authorization-server": described}) as place:
        issuer = place.removesuffix("/mcp")
        with refusing_server(where, {"/where": resource(issuer)}) as url:
            row = await added(desk, url)
            after = await desk.servers.sign_in(row.id, confirm, browser.open)

    assert [issuer, guard.address] == asked
    assert "You said no, so you are not signed in." == after.reason
    assert ({}, []) == (guard.clients, browser.pages)


async def test_metadata_of_another_server_is_refused(desk: Desk, guard: Guard, browser: Browser) -> None:
    with refusing_server(where, {"/where": resource(guard.address, guard.server)}) as url:
        row = await added(desk, url)
        after = await desk.servers.sign_in(row.id, say_yes, browser.open)

    assert "What the server says about signing in does not fit together." == after.reason
    assert {} == guard.clients


def no_more(origin: str) -> str:
    """A challenge that says nothing about where."""
    return "Bearer"


def where(origin: str) -> str:
    """A challenge that names the path at which `resource` answers."""
    return f'Bearer resource_metadata="{origin}/where"'


def resource(issuer: str, server: str = "") -> Answers:
    """The answer that names `issuer` as the place to sign in for `server`: this one, where it is empty."""

    async def answer(request: Request) -> Response:
        return JSONResponse(
            {"resource": server or f"{origin_of(request)}/mcp", "authorization_servers": [issuer]}
        )

    return answer


def origin_of(request: Request) -> str:
    return f"http://{request.headers['host']}"
