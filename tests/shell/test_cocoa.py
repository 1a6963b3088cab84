"""The window of macOS, on stand-ins for Cocoa (cocoa_program.py): what the system tells it, and its menus.

It has not been run on macOS: these tests know of Cocoa what its documentation says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from test_window import wait_until

from agent_files import PIRATE
from deskside.backend.errors import StoreBusy
from deskside.backend.paths import Paths
from deskside.shell.client import Client
from deskside.shell.instance import AlreadyRunning, send
from provider_server import ProviderServer, recording
from stores import rows

ROOT = Path(__file__).parents[2]


class Mac:
    """The program, and the system around it."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data

    def tell(self, **what: Any) -> dict[str, Any]:
        """Let something happen; how things are afterwards."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}  # it has ended
        return answer

    def proposals(self, count: int) -> list[Any]:
        """What waits in the window, once it is so much."""
        found: list[Any] = []

        def are_there() -> bool:
            with self.client() as client:
                found[:] = client.call("proposals.waiting")
            return len(found) >= count

        wait_until(are_there, f"{count} proposals")
        return found

    @contextmanager
    def client(self) -> Iterator[Client]:
        paths = Paths(self.data, self.data / "logs", self.data / "cache")
        with send(paths, "boot-url") as remote, Client(remote.answer.url) as client:
            yield client


Start = Callable[..., Mac]


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, provider: ProviderServer) -> Iterator[Start]:
    """Start the program, with addresses as the system does it; returns once its backend is open."""
    environ = {
        "OPENAI_API_KEY": "sk-test-openai-0000000000001234",
        "OPENAI_BASE_URL": provider.openai_url,
        "DESKSIDE_MODEL": "openai/gpt-test",
    }
    processes = []

    def start(*addresses: str) -> Mac:
        roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("cocoa_program.py")),
                json.dumps(addresses),
                *("--data-dir", str(tmp_path / "data")),
            ],
            env={**os.environ, **environ, "PYTHONPATH": roots},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        mac = Mac(process, tmp_path / "data")

        def is_open() -> bool:
            assert process.poll() is None
            try:
                with mac.client():
                    return True
            except (AlreadyRunning, StoreBusy):
                return False

        wait_until(is_open, "the backend")
        return mac

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def pirate(tmp_path: Path) -> Path:
    path = tmp_path / "my pirate.agent.json"
    path.write_text(json.dumps(PIRATE), "utf-8")
    return path


@pytest.fixture
def mac(start: Start) -> Mac:
    return start()


def test_a_link_that_starts_the_program_is_shown(start: Start) -> None:
    mac = start(f"deskside://agent?json={quote(json.dumps(PIRATE))}")

    [proposed] = mac.proposals(1)

    assert ("agent", "link", "pirate") == (proposed["type"], proposed["origin"], proposed["free_name"])
    assert [] == mac.tell(look=None)["faults"]


def test_a_file_that_is_opened_while_the_program_runs_brings_its_window_back(mac: Mac, pirate: Path) -> None:
    assert not mac.tell(choose="Window/Minimize")["is_visible"]

    mac.tell(open=[pirate.as_uri()])

    [proposed] = mac.proposals(1)
    assert ("agent", "file", "pirate") == (proposed["type"], proposed["origin"], proposed["free_name"])
    with mac.client() as client:
        assert "pirate" not in [agent["name"] for agent in client.call("agents.list")]
    now = mac.tell(look=None)
    assert (True, []) == (now["is_visible"], now["faults"])


def test_several_files_are_shown_one_after_the_other(mac: Mac, pirate: Path) -> None:
    other = pirate.with_name("other.json")
    other.write_text(json.dumps({**PIRATE, "name": "sailor"}), "utf-8")

    mac.tell(open=[pirate.as_uri(), other.as_uri()])

    assert {"pirate", "sailor"} == {each["free_name"] for each in mac.proposals(2)}


def test_what_cannot_be_opened_is_said_in_the_window_and_raised_nowhere(mac: Mac) -> None:
    addresses = [
        "file://elsewhere/tmp/a.json",
        "file://[/a.json",
        "file:///tmp/%ff.json",
        "file:///",
        "deskside://agent?json=%ff",
        "javascript:alert(1)",
        "",
    ]
    assert [] == mac.tell(open=addresses)["faults"]

    refused = mac.proposals(len(addresses))
    assert ["refused"] * len(addresses) == [each["type"] for each in refused]
    assert all(each["message"] and each["hint"] for each in refused)
    assert "This file is on another computer." in [each["message"] for each in refused]


def test_there_is_a_window_menu_and_undoing(mac: Mac) -> None:
    shown = mac.tell(look=None)

    menus = {title: lines for title, *lines in shown["menus"]}
    assert ["", "Edit", "View", "Chat", "Window", "Help"] == list(menus)
    assert ["Close ⌘w", "Minimize ⌘m", "Zoom", "-", "Bring All to Front"] == menus["Window"]
    assert "Window" == shown["windows_menu"]
    assert ["Undo ⌘z", "Redo ⌘Z", "-", "Cut ⌘x"] == menus["Edit"][:4]
    assert "New Chat ⌘n" == menus["Chat"][0]


def test_somebody_does_what_a_standard_line_says(mac: Mac) -> None:
    for line in ("Window/Zoom", "Window/Bring All to Front", "Edit/Undo", "Edit/Redo"):
        mac.tell(choose=line)

    assert [] == mac.tell(look=None)["faults"]


def test_the_window_is_in_front_while_the_program_is_the_active_one_and_it_is_not_in_the_dock(
    mac: Mac,
) -> None:
    told = [
        mac.tell(**what)["front"]
        for what in (
            {"activate": True},
            {"activate": False},
            {"activate": True},
            {"choose": "Window/Minimize"},
            {"open": ["deskside://conversation/1"]},
        )
    ]

    assert [True, False, True, False] == told[:4]
    wait_until(lambda: bool(mac.tell(look=None)["front"]), "the window to be in front again")


def test_the_page_is_the_only_thing_that_is_ever_loaded(mac: Mac) -> None:
    wait_until(lambda: len(mac.tell(look=None)["loaded"]) == 1, "the page")
    [page] = mac.tell(look=None)["loaded"]
    origin = page.partition("/__boot/")[0]

    for address in ("https://example.com/", "about:blank", "file:///etc/passwd", f"{origin}0/", "data:,x"):
        mac.tell(navigate=address)
    mac.tell(download=f"{origin}/file")
    mac.tell(open_window="https://example.com/")
    now = mac.tell(ask_for_camera=origin)

    assert ([page], [2], []) == (now["loaded"], now["permissions"], now["faults"])
    assert [page, f"{origin}/#/1"] == mac.tell(navigate=f"{origin}/#/1")["loaded"]


def test_a_page_whose_process_died_is_loaded_again_under_a_new_address_in_its_conversation(mac: Mac) -> None:
    wait_until(lambda: len(mac.tell(look=None)["loaded"]) == 1, "the page")

    [page] = mac.tell(look=None)["loaded"]
    origin = page.partition("/__boot/")[0]
    mac.tell(navigate=f"{origin}/#/chat/7")

    assert [] == mac.tell(lose_process=None)["faults"]

    wait_until(lambda: len(mac.tell(look=None)["loaded"]) == 3, "the page, again")
    again = mac.tell(look=None)["loaded"][-1]
    assert again.startswith(f"{origin}/__boot/")
    assert again.endswith("#/chat/7")
    assert page != again.partition("#")[0]


def test_closing_the_window_ends_the_program(mac: Mac) -> None:
    mac.tell(choose="Window/Close")

    assert 0 == mac.process.wait(30)
    assert (mac.data / "window.json").exists()


def test_quitting_stores_what_an_answer_has_said(mac: Mac, provider: ProviderServer) -> None:
    provider.script(recording("responses_cut_off", hang_after=10))
    with mac.client() as client:
        client.call("runs.start", {"text": "Where are the plums?"})
        assert provider.wait_until_asked()

    mac.tell(choose="/Quit")

    assert 0 == mac.process.wait(30)
    assert [("interrupted",)] == rows(
        mac.data / "deskside.db", "select status from message where role = 'assistant'"
    )
