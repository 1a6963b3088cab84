"""Who may talk to the server, and what the socket survives."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import httpx2
import pytest
import websockets
from page_client import Page, reply

from deskside.backend.settings import Settings
from deskside.bridge import guard


async def stranger(page: Page, method: str = "GET", path: str = "/", **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.request(method, page.server.origin + path, headers=headers)


async def test_the_page_is_served_with_every_protecting_header(page: Page) -> None:
    answer = await page.http.get("/")

    assert 200 == answer.status_code
    assert "<title>Deskside</title>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f"ws://{page.server.host}" in policy
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers


async def test_a_chosen_theme_is_in_the_first_bytes(page: Page) -> None:
    before = (await page.http.get("/")).text
    page.app.settings.current = Settings(theme="dark")
    after = (await page.http.get("/")).text

    assert "data-theme" not in before
    assert '<html data-theme="dark" lang="en">' in after


async def test_hashed_files_are_cached_for_ever_and_the_page_never(page: Page) -> None:
    script = await page.http.get("/assets/index-abc.js")

    assert "immutable" in script.headers["cache-control"]
    assert "text/javascript" in script.headers["content-type"]
    assert (await page.http.get("/")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/x", "/assets/../../x", "/none.js", "//etc/passwd"]
)
async def test_nothing_outside_the_page_is_served(page: Page, path: str) -> None:
    answer = await page.http.get(path)

    assert 404 == answer.status_code
    assert "content-security-policy" in answer.headers


async def test_a_request_without_the_session_is_refused(page: Page) -> None:
    answer = await stranger(page)

    assert (answer.status_code, answer.text) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost:1"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_request_from_elsewhere_is_refused_even_with_the_session(
    page: Page, headers: dict[str, str]
) -> None:
    answer = await page.http.get("/", headers=headers)

    assert 403 == answer.status_code


async def test_a_command_without_an_origin_is_refused(page: Page) -> None:
    answer = await page.http.post("/rpc/sample_commands.nothing")

    assert 403 == answer.status_code


async def test_a_boot_url_works_once(page: Page) -> None:
    url = page.server.boot_url()
    path = url.removeprefix(page.server.origin)

    first, second = await stranger(page, path=path), await stranger(page, path=path)

    assert (first.status_code, second.status_code) == (303, 403)
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "set-cookie" not in second.headers


async def test_a_guessed_boot_url_is_refused(page: Page) -> None:
    assert (await stranger(page, path="/__boot/guess")).status_code == 403


@pytest.mark.parametrize("cookie", ["", "x=y", "deskside_{port}=wrong", "deskside_{port}=\\377", 'a="'])
async def test_a_wrong_session_is_refused(page: Page, cookie: str) -> None:
    port = page.server.host.split(":")[1]

    assert (await stranger(page, cookie=cookie.format(port=port))).status_code == 403


@pytest.mark.parametrize("other", ['prefs={"theme": "dark"}', "ümlaut=1", "a b=1", "=", ";;"])
async def test_cookies_of_other_programs_on_this_machine_do_not_lock_the_user_out(
    page: Page, other: str
) -> None:
    cookies = f"{other}; {page.cookie()}; {other}".encode()
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(page.server.origin, headers=[(b"cookie", cookies)])

    assert 200 == answer.status_code


async def raw_status(page: Page, request: str) -> str:
    """The status line that bytes of our own get."""
    host, port = page.server.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    async with asyncio.timeout(10):
        line = (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()
    return line.strip()


async def test_a_header_that_decides_may_not_come_twice(page: Page) -> None:
    ours = f"Host: {page.server.host}\r\nCookie: {page.cookie()}\r\n"

    assert "200" in await raw_status(page, f"GET / HTTP/1.1\r\n{ours}\r\n")
    for twice in (f"Host: {page.server.host}", "Host: evil.example", "Cookie: a=b"):
        assert "403" in await raw_status(page, f"GET / HTTP/1.1\r\n{twice}\r\n{ours}\r\n")
    for origin in ("https://evil.example", page.server.origin):
        both = f"Origin: {origin}\r\nOrigin: {page.server.origin}\r\n"
        assert "403" in await raw_status(page, f"GET / HTTP/1.1\r\n{ours}{both}\r\n")


async def test_a_request_line_cannot_stand_in_for_the_host(page: Page) -> None:
    cookie = f"Cookie: {page.cookie()}\r\n"
    absolute = f"GET {page.server.origin}/ HTTP/1.1\r\nHost: evil.example\r\n{cookie}\r\n"
    hostless = f"GET / HTTP/1.0\r\n{cookie}\r\n"

    assert "403" in await raw_status(page, absolute)
    assert "403" in await raw_status(page, hostless)


async def test_a_boot_url_that_nobody_used_in_time_is_worth_nothing(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BOOT_LIFETIME_S", -1.0)
    late = page.server.boot_url()

    assert 403 == (await stranger(page, path=late.removeprefix(page.server.origin))).status_code


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"cookie": "x=y"},
        {"origin": None},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_socket_from_elsewhere_is_refused(page: Page, change: dict[str, Any]) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with page.socket(**change):
            pass

    assert 403 == refused.value.response.status_code


HOSTILE_FRAMES: list[str | bytes] = [
    "",
    "not json",
    "null",
    "[]",
    "{}",
    '{"t":"call"}',
    '{"t":"call","id":"one","cmd":"x"}',
    '{"t":"call","id":1}',
    '{"t":"call","id":1,"cmd":"sample_commands.nothing","extra":1}',
    '{"t":"shout","id":1}',
    '{"t":"cancel","id":99}',
    "[" * 100_000,
    b"\xff\xfe not utf-8",
    b'{"t":"call","id":1,"cmd":"\xff"}',
    random.Random(1).randbytes(1000),
    '{"t":"call","id":1,"cmd":"sample_commands.double","params":{"value":1e999}}',
    '{"t":"call","id":1,"cmd":"sample_commands.double","params":{"value":1,"note":"\\ud800"}}',
]


@pytest.mark.parametrize("frame", HOSTILE_FRAMES, ids=lambda frame: repr(frame[:30]))
async def test_a_frame_that_makes_no_sense_is_answered_and_the_socket_lives_on(
    page: Page, frame: str | bytes
) -> None:
    async with page.socket() as socket:
        await socket.send(frame)
        await socket.send('{"t":"call","id":7,"cmd":"sample_commands.double","params":{"value":4}}')

        assert (await reply(socket, 7))["data"]["value"] == 8


async def test_a_text_frame_that_is_not_utf8_is_answered_and_the_socket_lives_on(page: Page) -> None:
    async with page.socket() as socket:
        await socket.send(b'{"t":"call","id":1,"cmd":"\xff"}', text=True)
        answer = await reply(socket, 1)
        await socket.send('{"t":"call","id":7,"cmd":"sample_commands.double","params":{"value":4}}')

        assert "invalid_request" == answer["error"]["code"]
        assert 8 == (await reply(socket, 7))["data"]["value"]


async def test_a_20_mb_message_gets_a_clear_error_and_the_socket_lives_on(page: Page) -> None:
    note = "x" * 20_000_000
    async with page.socket() as socket:
        await socket.send(
            json.dumps({"t": "call", "id": 3, "cmd": "sample_commands.double", "params": {"note": note}})
        )
        answer = await reply(socket, 3)
        await socket.send('{"t":"call","id":4,"cmd":"sample_commands.nothing"}')

        assert "larger than" in answer["error"]["message"]
        assert (await reply(socket, 4))["t"] == "ok"


async def test_a_20_mb_request_over_http_gets_a_clear_error(page: Page) -> None:
    answer = await page.rpc("sample_commands.double", '"' + "x" * 20_000_000 + '"')

    assert "too large" in answer["error"]["message"]


async def test_a_call_can_be_cancelled(page: Page) -> None:
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.wait"}')
        await socket.send('{"t":"cancel","id":1}')

        assert (await reply(socket, 1))["error"]["code"] == "cancelled"


async def test_two_calls_with_one_id_are_told_apart(page: Page) -> None:
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.wait"}')
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.nothing"}')

        assert "still running" in (await reply(socket, None))["error"]["message"]


async def test_a_hundred_calls_at_once_each_get_their_own_answer(page: Page) -> None:
    async with page.socket() as socket:
        for value in range(100):
            frame = {"t": "call", "id": value, "cmd": "sample_commands.double", "params": {"value": value}}
            await socket.send(json.dumps(frame))
        answers = {}
        while len(answers) < 100:
            frame = json.loads(await socket.recv())
            if frame["t"] == "ok":
                answers[frame["id"]] = frame["data"]["value"]

    assert {value: 2 * value for value in range(100)} == answers


async def test_sockets_that_come_and_go_leave_no_tasks_behind(page: Page) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(20):
        async with page.socket() as socket:
            await socket.send('{"t":"call","id":1,"cmd":"sample_commands.count","params":{"value":1000000}}')
            await reply(socket, 1)
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)
