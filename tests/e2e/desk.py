"""The real program in its real window, driven as a person would.

Its web engine is driven by Playwright, so no other browser is involved (window_engines.py). One window a
`Desk`; `new_page` and `new_context` do not exist there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Error, Page, Playwright

from window_engines import QtEngine, WindowEngine

ROOT = Path(__file__).resolve().parents[2]
START_S = 60  # a loaded two-core machine needs a few seconds; a hang needs an end


class Desk:
    """One data folder, and the program started on it as often as the test wants."""

    def __init__(self, playwright: Playwright, data: Path, engine: WindowEngine | None = None) -> None:
        """Without an engine, on Qt."""
        self._playwright = playwright
        self._engine = engine or QtEngine()
        self.data = data
        self.environ: dict[str, str] = {}
        self._dialogs: Path | None = None
        self._choices: Path | None = None
        self._browser: Browser | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> Page:
        """Start the program and return its page once it is loaded."""
        self._engine.start_anew()
        own, engine = self._environment(), self._engine.environ()
        paths = [own["PYTHONPATH"], *filter(None, [engine.get("PYTHONPATH")])]
        environ = {**own, **engine, "PYTHONPATH": os.pathsep.join(paths)}
        log = (self.data.parent / "program.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, *self._program(), "--data-dir", str(self.data), *arguments],
                env=environ,
                stdout=log,
                stderr=log,
            )
        return self.attach()

    def answer_dialogs(self, *paths: Path) -> None:
        """Before a start: these are what the user chooses in the file dialogs that open, in order."""
        self._dialogs = self.data.parent / "dialogs.txt"
        self._dialogs.write_text("".join(f"{path}\n" for path in paths), "utf-8")

    def show_menus(self) -> None:
        """Before a start: the window gets the menus that it has on macOS."""
        self._choices = self.data.parent / "choices.txt"

    def choose(self, line: str) -> None:
        """Choose a line of those menus: "Chat/New Chat"."""
        assert self._choices is not None
        draft = self._choices.with_suffix(".new")
        draft.write_text(f"{line}\n", "utf-8")
        draft.rename(self._choices)

    def _program(self) -> list[str]:
        if self._choices is not None:
            return [str(Path(__file__).with_name("menu_bar.py")), str(self._choices)]
        if self._dialogs is None:
            return ["-m", "deskside"]
        return [str(Path(__file__).with_name("answered_dialogs.py")), str(self._dialogs)]

    def call(self, command: str, params: Any) -> Any:
        """One bridge command from the command line, and what it answered."""
        return json.loads(self.run("call", command, json.dumps(params)))["data"]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """One command of the terminal, and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "deskside", "--data-dir", str(self.data), *arguments],
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=START_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _environment(self) -> dict[str, str]:
        roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
        return {**os.environ, "PYTHONPATH": roots, **self.environ}

    def attach(self) -> Page:
        """The page of the running window, after a start or after its renderer was killed."""
        until = time.monotonic() + START_S
        while True:
            try:
                self._browser = self._engine.connect(self._playwright)
                pages = [page for page in self._browser.contexts[0].pages if page.url.startswith("http")]
                if pages:
                    pages[0].wait_for_selector("#root > *", timeout=START_S * 1000)
                    return pages[0]
            except Error:
                pass
            assert self.process is not None
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"the window did not come up:\n{self.output()[-3000:]}")
            time.sleep(0.1)  # there is no event for "the debugging port is open"

    def output(self) -> str:
        return (self.data.parent / "program.log").read_text(errors="replace")

    def renderers(self) -> list[psutil.Process]:
        """The processes that draw the page."""
        assert self.process is not None
        return self._engine.renderers(psutil.Process(self.process.pid))

    def resize(self, page: Page, width: int, height: int) -> None:
        """Make the window so large, in the page's pixels."""
        self._engine.resize(page, width, height)

    def kill(self) -> None:
        """As a power cut would: SIGKILL for the program and everything it started."""
        assert self.process is not None
        family = [*psutil.Process(self.process.pid).children(recursive=True), self.process]
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for member in family[:-1]:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue

    def close(self) -> int:
        """End the program politely and return its exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0 if self.process is None else int(self.process.returncode)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the program did not end on SIGTERM:\n{self.output()[-3000:]}") from None
