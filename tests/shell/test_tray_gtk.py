"""The tray of the window on the system's WebKitGTK, as the desktop sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_window import START_LIMIT_S, wait_until

from desktop_bus import TrayHost, TrayIcon, session_bus
from screen import is_on_screen, press_close_button, screen
from window_engines import environment_with_gi

TYPELIBS = Path("/usr/lib").glob("*/girepository-1.0/AyatanaAppIndicator3-0.1.typelib")
pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(sys.platform != "linux", reason="WebKitGTK is for Linux"),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="GTK needs a screen: apt install xvfb"),
    pytest.mark.skipif(not any(TYPELIBS), reason="apt install gir1.2-ayatanaappindicator3-0.1"),
]


@dataclass
class Shown:
    """The program in its GTK window, with its icon in a tray."""

    process: subprocess.Popen[bytes]
    environ: dict[str, str]
    data: Path
    display: str
    host: TrayHost
    icon: TrayIcon

    def call(self, command: str, params: object = None) -> object:
        words = ["call", command, json.dumps(params)]
        return json.loads(run(self.environ, self.data, *words))["data"]

    def until_hidden(self) -> None:
        wait_until(lambda: not is_on_screen(self.display, "Deskside"), "the window to hide")

    def until_shown(self) -> None:
        wait_until(lambda: is_on_screen(self.display, "Deskside"), "the window to come back")


def run(environ: dict[str, str], data: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deskside", "--data-dir", str(data), *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=START_LIMIT_S,
        check=True,
    )
    return done.stdout


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    data = tmp_path / "data"
    with session_bus() as bus, screen() as display, TrayHost(bus) as host:
        environ = {
            **os.environ,
            **environment_with_gi(tmp_path),
            "DISPLAY": display,
            "DBUS_SESSION_BUS_ADDRESS": bus,
        }
        run(environ, data, "call", "settings.change", json.dumps({"closes_to_tray": True}))
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "deskside", "--data-dir", str(data)],
                env=environ,
                stdout=log,
                stderr=log,
            )
        try:
            with host.icon() as icon:
                shown = Shown(process, environ, data, display, host, icon)
                shown.until_shown()
                yield shown
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(START_LIMIT_S)


def test_a_closed_window_is_in_the_tray_and_comes_back_from_it(shown: Shown) -> None:
    assert ["Nothing under way", "Show or hide Deskside", "New chat", "Quit"] == shown.icon.labels()

    press_close_button(shown.display, "Deskside")
    shown.until_hidden()
    shown.icon.press("Show or hide Deskside")
    shown.until_shown()
    shown.icon.press("Quit")

    assert 0 == shown.process.wait(START_LIMIT_S)


def test_a_tray_that_goes_away_gives_the_window_back(shown: Shown) -> None:
    shown.icon.press("Show or hide Deskside")
    shown.until_hidden()

    shown.host.close()

    shown.until_shown()
    press_close_button(shown.display, "Deskside")
    assert 0 == shown.process.wait(START_LIMIT_S)


def test_sigterm_ends_it_also_from_the_tray(shown: Shown) -> None:
    press_close_button(shown.display, "Deskside")
    shown.until_hidden()

    shown.process.terminate()

    assert 0 == shown.process.wait(START_LIMIT_S)
