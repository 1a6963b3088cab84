"""The real window, driven from outside: what no page can make it do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, expect, sync_playwright

from window_engines import WindowEngine, free_port

pytestmark = [pytest.mark.window, pytest.mark.both_engines]

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 30.0
WARNINGS = {
    # pywebview calls a few functions that PySide6 has deprecated.
    "qt": ["-W", "error", "-W", "ignore::DeprecationWarning:webview.platforms.qt"],
    # What Debian's PyGObject says of itself, and of the functions that pywebview calls.
    "gtk": ["-W", "error", "-W", "ignore::ImportWarning", "-W", "ignore::DeprecationWarning"],
}


@dataclass
class Driven:
    """A running window: how its page is reached, its process and its log."""

    engine: WindowEngine
    playwright: Playwright
    process: psutil.Process
    origin: str
    log: Path
    links: Path
    data: Path
    browser: Browser | None = None

    def connect(self) -> Page:
        """Anew: to Playwright a page that crashed stays crashed."""
        wait_until(self._is_reached, "the page")
        assert self.browser is not None
        (page,) = self.browser.contexts[0].pages
        page.wait_for_url(lambda url: url.startswith(f"{self.origin}/"))
        return page

    def _is_reached(self) -> bool:
        try:
            self.browser = self.engine.connect(self.playwright)
        except Error:
            return False
        return len(self.browser.contexts[0].pages) > 0

    @property
    def page(self) -> Page:
        assert self.browser is not None
        return self.browser.contexts[0].pages[0]

    @property
    def renderers(self) -> list[psutil.Process]:
        return self.engine.renderers(self.process)

    def wait_for_log(self, text: str, since: int = 0) -> None:
        """Return once the log holds `text` after offset `since`."""
        wait_until(lambda: text in self.log.read_text()[since:], f"{text!r} in the log")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while not holds():
        if time.monotonic() > limit:
            pytest.fail(f"waited {START_LIMIT_S} s in vain for {what}")
        # Another process's state: there is nothing to be told by.
        time.sleep(0.02)


def window_environment(tmp: Path, engine: WindowEngine) -> dict[str, str]:
    """As a user's, but: our own `xdg-open`, and what the engine is driven with."""
    opener = tmp / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" >> {tmp / "links"}\n')
    opener.chmod(0o755)
    roots = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("QTWEBENGINE_")},
        "PATH": f"{opener.parent}{os.pathsep}{os.environ['PATH']}",
        "BROWSER": str(opener),
        "PYTHONPATH": os.pathsep.join(roots),
        **engine.environ(),
    }


@contextmanager
def stand_in(tmp: Path, engine: WindowEngine, environ: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The process and the origin of a window that is on the screen; `tmp` gets its log."""
    log = tmp / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, *WARNINGS[engine.name], str(Path(__file__).with_name("stand_in.py")), str(tmp)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        origin = json.loads(process.stdout.readline())["origin"]
        wait_until(lambda: "the window shows" in log.read_text(), "the window")
        yield process.pid, origin
    finally:
        process.terminate()
        process.communicate(timeout=START_LIMIT_S)


@pytest.fixture(scope="module")
def driven(engine: WindowEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    tmp = tmp_path_factory.mktemp("window")
    with (
        stand_in(tmp, engine, window_environment(tmp, engine)) as (pid, origin),
        sync_playwright() as playwright,
    ):
        driven = Driven(engine, playwright, psutil.Process(pid), origin, tmp / "log", tmp / "links", tmp)
        driven.connect()
        yield driven


@pytest.fixture
def page(driven: Driven) -> Page:
    assert driven.page.url == f"{driven.origin}/"
    return driven.page


def click(driven: Driven, selector: str) -> None:
    """As the user does: no engine may ask for a user's gesture and not get one."""
    if driven.engine.name == "gtk":
        driven.page.click(selector)
    else:
        # Playwright's own click waits for navigations, and those that were blocked never end for it. In Qt a
        # script run over the debugging protocol counts as the user's own gesture.
        driven.page.evaluate("selector => document.querySelector(selector).click()", selector)


ELSEWHERE = [
    ("https://example.com/secret?q=1", "blocked a navigation to https://example.com\n"),
    ("http://127.0.0.1:65000/", "blocked a navigation to http://127.0.0.1\n"),
    ("http://localhost/", "blocked a navigation to http://localhost\n"),
    ("http://127.0.0.1@example.com/", "blocked a navigation to http://example.com\n"),
]


@pytest.mark.parametrize(("url", "line"), ELSEWHERE)
def test_the_page_cannot_navigate_elsewhere(driven: Driven, page: Page, url: str, line: str) -> None:
    before = len(driven.log.read_text())

    page.evaluate("url => { location.href = url }", url)

    driven.wait_for_log(line, before)
    assert page.url == f"{driven.origin}/"
    assert page.text_content("h1") == "Stand-in page"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:text/html,<h1>other</h1>", "qrc:///"])
def test_the_page_cannot_become_a_file_or_a_document_of_its_own(driven: Driven, page: Page, url: str) -> None:
    # Chromium itself refuses some of these before it asks, so there may be no line in the log.
    page.evaluate("url => { location.href = url }", url)
    page.evaluate("() => fetch('/')")

    assert page.url == f"{driven.origin}/"
    assert page.text_content("h1") == "Stand-in page"


def test_a_frame_cannot_show_another_site(driven: Driven, page: Page) -> None:
    before = len(driven.log.read_text())

    page.evaluate(
        "() => { const frame = document.createElement('iframe'); frame.src = 'https://example.com/';"
        "document.body.append(frame) }"
    )

    driven.wait_for_log("blocked a navigation to https://example.com", before)


def test_the_programs_own_policy_stops_its_page_too(driven: Driven, page: Page) -> None:
    before = len(driven.log.read_text())

    page.goto(f"{driven.origin}/guarded")
    report = page.locator("#report")
    expect(report).not_to_be_empty(timeout=START_LIMIT_S * 1000)
    outcomes = json.loads(report.inner_text())
    page.goto(f"{driven.origin}/")

    assert dict.fromkeys(outcomes, "blocked") == outcomes
    # Stopped by the policy: nothing was left for the net below it.
    assert "a request to" not in driven.log.read_text()[before:]


def test_no_request_leaves_for_another_host(driven: Driven, page: Page) -> None:
    before = len(driven.log.read_text())

    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        answer = page.evaluate(
            "url => fetch(url, { mode: 'no-cors', signal: AbortSignal.timeout(5000) })"
            ".then(() => 'sent', error => error.name)",
            f"http://127.0.0.1:{other.getsockname()[1]}/x?secret",
        )
        with pytest.raises(BlockingIOError):
            other.accept()

    assert answer == "TypeError"  # and no TimeoutError
    if driven.engine.name == "qt":  # WebKit tells nobody what its filter has stopped
        driven.wait_for_log("blocked a request to http://127.0.0.1\n", before)
    assert "was not blocked" not in driven.log.read_text()
    assert "secret" not in driven.log.read_text()[before:]


def test_a_window_cannot_be_opened(driven: Driven) -> None:
    before = len(driven.log.read_text())

    click(driven, "#window")
    driven.wait_for_log("blocked a window for http://127.0.0.1\n", before)
    before = len(driven.log.read_text())
    click(driven, "#popup")
    if driven.engine.name == "qt":
        driven.wait_for_log("blocked a window for https://example.com\n", before)
    else:  # WebKit's filter stops it before anybody is asked
        driven.page.wait_for_function("window.opened === false")
    before = len(driven.log.read_text())
    click(driven, "#blank")
    driven.wait_for_log("blocked a window for https://example.com\n", before)

    if driven.engine.name == "gtk":
        driven.connect()  # tells of the pages that there are now
    assert len(driven.page.context.pages) == 1
    assert not driven.links.exists()


def test_a_link_that_is_blocked_does_not_open_the_browser(driven: Driven) -> None:
    before = len(driven.log.read_text())

    click(driven, "#outside")

    driven.wait_for_log("blocked a navigation to https://example.com", before)
    assert not driven.links.exists()


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_camera_and_microphone_are_denied(driven: Driven, page: Page, kind: str) -> None:
    before = len(driven.log.read_text())

    answer = page.evaluate(
        "kind => navigator.mediaDevices?.getUserMedia({ [kind]: true }).then(() => 'granted', e => e.name)"
        " ?? 'absent'",
        kind,
    )

    # Qt's denial reaches the page as AbortError; in WebKitGTK there is nothing to be asked.
    assert answer in ("AbortError", "NotAllowedError", "absent")
    if driven.engine.name == "qt":
        driven.wait_for_log(f"denied PermissionType.Media{kind.capitalize()}Capture", before)


def test_other_permissions_are_denied(page: Page) -> None:
    assert page.evaluate("() => Notification.requestPermission()") == "denied"
    assert (
        page.evaluate(
            "() => new Promise(done => navigator.geolocation.getCurrentPosition("
            "() => done('granted'), error => done(error.code)))"
        )
        == 1
    )
    assert page.evaluate("() => navigator.clipboard.readText().then(() => 'read', e => e.name)") == (
        "NotAllowedError"
    )


@pytest.mark.parametrize("link", ["#download", "#unknown"])
def test_a_download_is_cancelled(driven: Driven, link: str) -> None:
    before = len(driven.log.read_text())

    click(driven, link)

    driven.wait_for_log("blocked a download from http://127.0.0.1", before)
    assert not list(driven.data.glob("**/file.bin"))


def test_the_page_gets_nothing_from_pywebview(page: Page) -> None:
    assert page.evaluate("() => typeof window.pywebview") == "undefined"
    assert page.evaluate("() => typeof window.qt") == "undefined"
    assert page.evaluate("() => typeof window.webkit?.messageHandlers?.jsBridge") == "undefined"
    assert page.evaluate("() => document.querySelectorAll('style, [style]').length") == 0


def test_no_debugger_gets_in_unless_that_is_allowed(engine: WindowEngine, tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    environ = window_environment(tmp_path, engine)
    environ |= {"QTWEBENGINE_REMOTE_DEBUGGING": address, "WEBKIT_INSPECTOR_HTTP_SERVER": address}
    del environ["DESKSIDE_ALLOW_DEBUGGING"]

    with stand_in(tmp_path, engine, environ), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def kill_renderers(driven: Driven, expect: str) -> None:
    """Kill what draws the page, and return when the log tells what is done about it."""
    wait_until(lambda: bool(driven.renderers), "a renderer")
    before = len(driven.log.read_text())
    for renderer in driven.renderers:
        renderer.send_signal(signal.SIGKILL)
    driven.wait_for_log("the page's process died (", before)
    driven.wait_for_log(expect, before)


def test_the_page_comes_back_where_it_was_after_its_process_died(driven: Driven) -> None:
    driven.page.evaluate("location.hash = '#/chat/1'")

    kill_renderers(driven, "the page is loaded again in 0.0 s\n")

    page = driven.connect()
    assert page.text_content("h1") == "Stand-in page"
    assert page.url == f"{driven.origin}/#/chat/1"


def test_a_page_that_keeps_dying_is_not_loaded_for_ever(driven: Driven) -> None:
    kill_renderers(driven, "the page is loaded again in 0.5 s\n")
    driven.connect()  # WebKit gives up when a process that it starts dies before it has come up
    kill_renderers(driven, "the page is loaded again in 2.0 s\n")
    driven.connect()
    kill_renderers(driven, "the user is asked whether to load the page again\n")

    # The user is asked now. The window is there, and the next test closes it under the question.
    assert driven.process.is_running()


def test_a_signal_closes_the_window_and_its_place_is_remembered(driven: Driven) -> None:
    driven.process.send_signal(signal.SIGTERM)

    assert driven.process.wait(START_LIMIT_S) in (0, None)
    state = json.loads((driven.data / "window.json").read_text())
    assert state["width"] >= 480
    assert state["theme"] == "dark"
