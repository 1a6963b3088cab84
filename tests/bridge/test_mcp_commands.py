"""What a page can and cannot do with MCP servers: no command starts a program that the user did not see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.app import App, open_app
from deskside.backend.errors import NeedsWindow
from deskside.backend.log import new_request_id, request_id
from deskside.backend.metrics.timings import Timings
from deskside.bridge.commands import COMMANDS, mcp
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from guarded_server import Browser, guarded_server
from mcp_parts import NO_KEYCHAIN, hostile
from stores import paths_in


class Screen(NoDesktop):
    """A desktop whose user gives the same answer each time; it keeps what they were shown."""

    def __init__(self, answer: bool | None) -> None:
        self._answer = answer
        self.shown: list[str] = []

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        self.shown.append(text)
        if self._answer is None:
            raise NeedsWindow("There is no window.")
        return self._answer


@dataclass
class Page:
    app: App
    registry: Registry

    async def ask(self, screen: Screen, name: str, params: dict[str, Any]) -> Any:
        """What one command answers; a Failure where it does."""
        request_id.set(new_request_id())
        bridge = Bridge(self.app, self.registry, screen, Timings())
        reply = await self.registry.dispatch(bridge, name, json.dumps(params).encode())
        return reply if isinstance(reply, Failure) else msgspec.json.decode(reply)


@pytest.fixture
async def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Page]:
    for name, value in NO_KEYCHAIN.items():
        monkeypatch.setenv(name, value)
    async with open_app(paths_in(tmp_path), {}) as app:
        yield Page(app, Registry(COMMANDS))


def proposed(marker: Path, **changes: Any) -> dict[str, Any]:
    proposal = hostile("marker", marker)
    return {
        "name": "marker",
        "transport": "stdio",
        "command": proposal.command,
        "arguments": list(proposal.arguments),
        **changes,
    }


async def settled(page: Page, screen: Screen, server_id: int) -> dict[str, Any]:
    """The server's row once it is no longer on its way."""
    while True:
        number = page.app.events.last
        rows = await page.ask(screen, "mcp.servers", {})
        row: dict[str, Any] = next(row for row in rows if row["id"] == server_id)
        if row["state"] not in ("idle", "starting"):
            return row
        await page.app.events.wait_beyond(number)


async def test_a_server_is_started_after_the_user_said_yes(page: Page, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    screen = Screen(True)

    added = await page.ask(screen, "mcp.propose", proposed(marker))
    row = await settled(page, screen, added["server"]["id"])

    assert "ready" == row["state"]
    assert marker.exists()
    assert [str(marker)] == [line[13:-1] for line in screen.shown[0].split("\n") if "Argument 3" in line]


@pytest.mark.parametrize("answer", [False, None], ids=["no", "no window"])
async def test_no_command_starts_a_program_that_the_user_did_not_say_yes_to(
    page: Page, tmp_path: Path, answer: bool | None
) -> None:
    marker = tmp_path / "marker"
    screen = Screen(answer)
    first = await page.ask(Screen(True), "mcp.propose", proposed(tmp_path / "known"))
    known = first["server"]["id"]
    await settled(page, screen, known)
    tries: list[tuple[str, dict[str, Any]]] = [
        ("mcp.propose", proposed(marker, name="other")),
        ("mcp.propose", proposed(marker, id=known)),
        ("mcp.change", {"id": known, "is_enabled": True, "command": "touch", "arguments": [str(marker)]}),
        ("mcp.change", {"id": known, "is_enabled": False}),
        ("mcp.change", {"id": known, "is_enabled": True}),
        ("mcp.restart", {"id": known}),
        ("mcp.accept_tools", {"id": known, "tools": [{"name": "x", "hash": "0" * 64}]}),
        ("mcp.read_resource", {"id": known, "uri": f"file://{marker}"}),
        ("mcp.servers", {}),
    ]

    for name, params in tries:
        await page.ask(screen, name, params)
    row = await settled(page, screen, known)

    assert not marker.exists()
    assert str(tmp_path / "known") == row["arguments"][-1]
    assert 2 == len(screen.shown)


@pytest.mark.parametrize("answer", [False, None], ids=["no", "no window"])
async def test_no_command_signs_in_where_the_user_did_not_say_yes_to(page: Page, answer: bool | None) -> None:
    await page.ask(Screen(True), "keys.use_file", {"passphrase": "correct horse"})
    screen = Screen(answer)
    with guarded_server() as guard:
        added = await page.ask(
            Screen(True), "mcp.propose", {"name": "guarded", "transport": "http", "url": guard.server}
        )
        server_id = added["server"]["id"]
        await settled(page, screen, server_id)

        reply = await page.ask(screen, "mcp.sign_in", {"id": server_id})
        row = await settled(page, screen, server_id)

    assert "signed_out" == row["state"]
    assert [guard.address] == [text.split("\n\n")[1] for text in screen.shown]
    assert {} == guard.clients
    assert ("needs_window" if answer is None else None) == getattr(reply, "code", None)


async def test_only_a_page_of_the_web_is_opened_to_sign_in(page: Page) -> None:
    opened: list[str] = []

    class Opening(Screen):
        async def open_link(self, url: str) -> None:
            opened.append(url)
            await browser.open(url)

    browser = Browser()
    await page.ask(Screen(True), "keys.use_file", {"passphrase": "correct horse"})
    with guarded_server() as guard:
        added = await page.ask(
            Screen(True), "mcp.propose", {"name": "guarded", "transport": "http", "url": guard.server}
        )
        server_id = added["server"]["id"]
        await settled(page, Screen(True), server_id)

        await page.ask(Opening(True), "mcp.sign_in", {"id": server_id})
        row = await settled(page, Screen(True), server_id)
        out = await page.ask(Screen(True), "mcp.sign_out", {"id": server_id})

    assert [f"{guard.address}/authorize"] == [url.split("?")[0] for url in opened]
    assert ("ready", True) == (row["state"], row["is_signed_in"])
    assert not out["is_signed_in"]


def test_only_the_command_that_asks_takes_a_command_line() -> None:
    """Whatever is added later: a program to run has one way in."""
    taking = [
        command.name
        for command in Registry(COMMANDS).commands.values()
        if command.params is not None
        and {"command", "args", "argv", "program", "executable", "url"}
        & set(command.params.__struct_fields__)
    ]

    # A link goes to the user's browser, which asks for itself (bridge/desktop.py, check_link); the `program`
    # of `transfers.look` is one of five words.
    assert ["desktop.open_link", "mcp.propose", "transfers.look"] == sorted(taking)
    assert "confirm" in mcp.propose.__code__.co_names


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "../x"},
        {"name": "x" * 33},
        {"name": "x\u202ey"},
        {"transport": "shell"},
        {"arguments": ["x"] * 101},
        {"cwd": "/"},
        {"environment": [{"name": "A", "value": "1", "is_secret": False, "more": 1}]},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_refused(page: Page, tmp_path: Path, changes: dict[str, Any]) -> None:
    screen = Screen(True)

    refused = await page.ask(screen, "mcp.propose", proposed(tmp_path / "marker", **changes))

    assert isinstance(refused, Failure)
    assert "invalid_request" == refused.code
    assert [] == screen.shown


async def test_nothing_is_imported_or_started_before_there_is_a_server(page: Page) -> None:
    await page.app.mcp.wake()

    assert [] == await page.app.mcp.tools()
    assert {} == page.app.mcp._connections
