"""The web engines that the window can use on Linux, each with a way for Playwright to drive it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright

from screen import screen
from webkit_inspector import Hand, Relay

Name = Literal["qt", "gtk"]
ROOT = Path(__file__).resolve().parents[1]
SYSTEM_GI = Path("/usr/lib/python3/dist-packages/gi")


class WindowEngine(Protocol):
    """`display` is the X display that the program appears on, None where it needs none."""

    name: Name
    display: str | None

    def start_anew(self) -> None:
        """Before a program takes the place of one that has ended, whose port may still be closing."""

    def environ(self) -> dict[str, str]:
        """What the program is started with, over the test's own."""

    def connect(self, playwright: Playwright) -> Browser:
        """To the program that runs. Raises Playwright's Error while it cannot be reached."""

    def renderers(self, program: psutil.Process) -> list[psutil.Process]:
        """The processes that draw the page."""

    def resize(self, page: Page, width: int, height: int) -> None:
        """So many of the page's pixels."""


class QtEngine:
    """Qt WebEngine, through its remote debugging port."""

    name: Name = "qt"
    display: str | None = None

    def __init__(self) -> None:
        self._port = free_port()

    def start_anew(self) -> None:
        self._port = free_port()

    def environ(self) -> dict[str, str]:
        return {
            "DESKSIDE_WINDOW": "qt",
            "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
            "DESKSIDE_ALLOW_DEBUGGING": "1",
            "QTWEBENGINE_REMOTE_DEBUGGING": f"127.0.0.1:{self._port}",
            "QTWEBENGINE_DISABLE_SANDBOX": "1",  # CI and containers run as root
            "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu --use-fake-device-for-media-stream",
        }

    def connect(self, playwright: Playwright) -> Browser:
        return playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{self._port}", no_defaults=True)

    def renderers(self, program: psutil.Process) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for child in program.children(recursive=True):
            try:
                # Qt's renderers keep the command line of the zygote that they were forked from.
                if "--type=zygote" in " ".join(child.cmdline()):
                    found += child.children()
            except psutil.Error:
                continue  # it ended while we looked
        return found

    def resize(self, page: Page, width: int, height: int) -> None:
        page.set_viewport_size({"width": width, "height": height})


class GtkEngine:
    """The system's WebKitGTK, on a screen of its own, through its inspector."""

    name: Name = "gtk"

    def __init__(self, display: str, environ: dict[str, str]) -> None:
        """`environ` is as `environment_with_gi` has it."""
        self.display: str | None = display
        self._environ = environ
        self._browser: Browser | None = None
        self._inspector = f"127.0.0.1:{free_port()}"
        self.relay = Relay(self._inspector, display)

    def start_anew(self) -> None:
        """WebKit takes a port that is still closing."""

    def environ(self) -> dict[str, str]:
        assert self.display is not None
        return {
            **self._environ,
            "DISPLAY": self.display,
            "GDK_BACKEND": "x11",
            "DESKSIDE_ALLOW_DEBUGGING": "1",
            "WEBKIT_INSPECTOR_HTTP_SERVER": self._inspector,
            "GTK_IM_MODULE": "gtk-im-context-simple",
        }

    def connect(self, playwright: Playwright) -> Browser:
        if self._browser is not None:
            self._browser.close()  # a page has one inspector at a time
        self._browser = playwright.webkit.connect_over_cdp(self.relay.address)
        return self._browser

    def renderers(self, program: psutil.Process) -> list[psutil.Process]:
        # Linux cuts names at 15 characters, where psutil cannot complete them.
        return [each for each in program.children(recursive=True) if each.name().startswith("WebKitWebProc")]

    def resize(self, page: Page, width: int, height: int) -> None:
        assert self.display is not None
        Hand(self.display).resize_window(width, height)
        page.wait_for_function(
            "size => innerWidth === size[0] && innerHeight === size[1]", arg=[width, height]
        )


@contextmanager
def window_engine(name: Name, tmp: Path) -> Iterator[WindowEngine]:
    """Skips the test where this machine has not got it. `tmp` is a folder for what it needs."""
    if sys.platform != "linux":
        pytest.skip("the engines to choose from are Linux's")
    if name == "qt":
        pytest.importorskip("PySide6.QtWebEngineCore", exc_type=ImportError)
        yield QtEngine()
        return
    environ = environment_with_gi(tmp)
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"WebKitGTK is driven on a screen: apt install xvfb xdotool ({program} is missing)")
    with screen() as display:
        engine = GtkEngine(display, environ)
        try:
            yield engine
        finally:
            engine.relay.close()


def environment_with_gi(tmp: Path) -> dict[str, str]:
    """What the program is started with to find WebKitGTK, over the test's own environment. python3-gi belongs
    to the system's Python; a virtual environment of the same version can use it. Skips the test without."""
    folder = tmp / "system-gi"
    folder.mkdir(exist_ok=True)
    if SYSTEM_GI.is_dir() and not (folder / "gi").exists():
        (folder / "gi").symlink_to(SYSTEM_GI)
    roots = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
    environ = {"DESKSIDE_WINDOW": "gtk", "PYTHONPATH": os.pathsep.join([*roots, str(folder)])}
    script = "import gi; gi.require_version('WebKit2', '4.1'); from gi.repository import WebKit2"
    tried = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environ}, capture_output=True, timeout=60
    )
    if tried.returncode != 0:
        pytest.skip("this Python has no WebKitGTK: apt install python3-gi gir1.2-webkit2-4.1")
    return environ


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
