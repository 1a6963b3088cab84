"""Which web engine is taken, and what of the environment it gets to see."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from deskside.backend.errors import InvalidRequest, NeedsWindow, NotFound
from deskside.shell import engine, open_link
from deskside.shell.desktop import WindowDesktop
from deskside.shell.engine import choose_engine

SCREEN = {"DISPLAY": ":0"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The toolkits that are installed."""
    names = {"PySide6", "gi"}
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: name if name in names else None)
    return names


@pytest.mark.parametrize(
    ("environ", "platform", "module"),
    [
        ({}, "darwin", "hardening_cocoa"),
        ({}, "win32", "hardening_webview2"),
        (SCREEN, "linux", "hardening_qt"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", "hardening_qt"),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", "hardening_qt"),
        ({**SCREEN, "DESKSIDE_WINDOW": "gtk"}, "linux", "hardening_gtk"),
        ({**SCREEN, "DESKSIDE_WINDOW": "qt"}, "linux", "hardening_qt"),
        ({**SCREEN, "DESKSIDE_WINDOW": ""}, "linux", "hardening_qt"),
    ],
)
def test_each_platform_has_its_engine(
    installed: set[str], environ: dict[str, str], platform: str, module: str
) -> None:
    assert module == choose_engine(environ, platform)


def test_without_qt_the_systems_webkit_is_taken(installed: set[str]) -> None:
    installed.remove("PySide6")

    assert "hardening_gtk" == choose_engine(SCREEN, "linux")


def test_without_any_engine_it_says_what_to_install(installed: set[str]) -> None:
    installed.clear()

    with pytest.raises(NotFound) as raised:
        choose_engine(SCREEN, "linux")
    assert "deskside[qt]" in raised.value.hint
    assert "--serve" in raised.value.hint


def test_an_engine_that_was_asked_for_is_not_replaced_by_another(installed: set[str]) -> None:
    installed.remove("PySide6")

    with pytest.raises(NotFound):
        choose_engine({**SCREEN, "DESKSIDE_WINDOW": "qt"}, "linux")


def test_without_a_screen_it_says_so(installed: set[str]) -> None:
    with pytest.raises(NeedsWindow) as raised:
        choose_engine({}, "linux")
    assert "--serve" in raised.value.hint


def test_an_unknown_engine_is_refused(installed: set[str]) -> None:
    with pytest.raises(NotFound, match="'cef'"):
        choose_engine({**SCREEN, "DESKSIDE_WINDOW": "cef"}, "linux")


DANGEROUS = {
    "QTWEBENGINE_REMOTE_DEBUGGING": "9222",
    "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-web-security",
    "QTWEBENGINE_DISABLE_SANDBOX": "1",
}


def test_debugging_switches_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    hardening_qt = pytest.importorskip("deskside.shell.hardening_qt", exc_type=ImportError)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    environ = {**DANGEROUS, "PATH": "/bin"}

    assert hardening_qt.scrub(environ) is None
    assert {"PATH": "/bin"} == environ


def test_root_keeps_only_the_missing_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    hardening_qt = pytest.importorskip("deskside.shell.hardening_qt", exc_type=ImportError)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    environ = dict(DANGEROUS)

    hardening_qt.scrub(environ)

    assert {"QTWEBENGINE_DISABLE_SANDBOX": "1"} == environ


def test_root_is_told_that_there_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    hardening_qt = pytest.importorskip("deskside.shell.hardening_qt", exc_type=ImportError)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(NeedsWindow, match="root"):
        hardening_qt.scrub({})


def test_debugging_must_be_allowed_in_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    hardening_qt = pytest.importorskip("deskside.shell.hardening_qt", exc_type=ImportError)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    environ = {**DANGEROUS, "DESKSIDE_ALLOW_DEBUGGING": "1"}

    assert "--disable-web-security" == hardening_qt.scrub(environ)
    assert DANGEROUS.items() <= environ.items()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "vbscript:x",
        "smb://host/share",
        "C:\\Windows\\System32\\calc.exe",
        "--help",
        "",
        "https://example.com/\nx",
        "https://example.com/ --flag",
    ],
)
def test_only_web_and_mail_links_are_opened(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_link.subprocess, "Popen", lambda *_, **__: pytest.fail("something was started"))

    with pytest.raises(InvalidRequest):
        open_link.open_outside(url)


async def test_a_file_dialog_needs_a_window() -> None:
    with pytest.raises(NeedsWindow):
        await WindowDesktop().choose_file("Choose", ["gguf"])


class Dialog:
    """A window whose user saves under this path."""

    def __init__(self, chosen: object) -> None:
        self.chosen = chosen
        self.localization: dict[str, str] = {}

    def create_file_dialog(self, kind: object, save_filename: str) -> object:
        return self.chosen


async def test_a_file_is_written_where_the_user_says(tmp_path: Path) -> None:
    desktop = WindowDesktop()
    path = tmp_path / "critic.agent.json"
    for chosen, written in (((str(path),), str(path)), (str(path), str(path)), (None, None)):
        desktop.window = Dialog(chosen)
        assert written == await desktop.save_file("Export", "critic.agent.json", "{}\n")
    assert "{}\n" == path.read_text("utf-8")


async def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    desktop = WindowDesktop()
    desktop.window = Dialog(str(tmp_path / "gone" / "a.json"))

    with pytest.raises(InvalidRequest, match="could not be written: No such file"):
        await desktop.save_file("Export", "a.json", "")


@pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is Linux's")
def test_a_link_is_one_argument_of_the_systems_opener(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "opened"
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$1" > {opened}.new && mv {opened}.new {opened}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    url = "https://example.com/?a=$(touch%20x)&b=$HOME;id|cat'#-x"

    open_link.open_outside(url)

    limit = time.monotonic() + 10
    while not opened.exists() and time.monotonic() < limit:
        time.sleep(0.01)  # another process writes it; nothing tells when
    assert f"1\n{url}\n" == opened.read_text()


def test_a_system_without_an_opener_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotFound, match="opens links"):
        open_link.open_outside("https://example.com/")
