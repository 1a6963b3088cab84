"""A user's mouse on an X display, with the program's window and another program's side by side."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

TITLE = "Deskside"
WINDOW = (0, 0, 900, 860)
TARGET = (950, 100, 300, 300)
OVER_TARGET = (1100, 250)
WAIT_S = 60
TRY_S = 5
# Says in `deskSeen` that the page has seen a drag over it, and then that the button was let go.
WATCH = """() => {
  globalThis.deskSeen = "";
  addEventListener("dragover", () => { deskSeen ||= "over"; }, { capture: true });
  addEventListener("pointerup", () => { deskSeen &&= "up"; }, { capture: true });
}"""


class Mouse:
    """Drags from the program's page into the other program, which says what it got."""

    def __init__(self, display: str, target: subprocess.Popen[str]) -> None:
        self._display = display
        self._target = target
        assert "there" == self._said()

    def place_window(self, page: Page) -> None:
        """Move the program's window beside the other one."""
        window = self._do("search", "--onlyvisible", "--name", f"^{TITLE}$").split()[0]
        x, y, width, height = map(str, WINDOW)
        self._do("windowmove", window, x, y, "windowsize", window, width, height)
        page.wait_for_function("width => innerWidth === width", arg=WINDOW[2])

    def click(self, what: Locator) -> None:
        self._do("mousemove", *self._middle(what), "click", "1")

    def drag_over_target(self, what: Locator) -> None:
        """Until the other program sees it; the button stays down."""
        assert "entered" == self._drag(what, *OVER_TARGET, self._said_now)

    def drop(self) -> dict[str, Any]:
        """What the other program got."""
        self._do("mouseup", "1")
        dropped = self._said()
        assert isinstance(dropped, dict)
        return dropped

    def drag_out(self, what: Locator) -> dict[str, Any]:
        self.drag_over_target(what)
        return self.drop()

    def give_up(self) -> None:
        """Escape, while something is over the other program, and only then let the button go."""
        self._do("key", "Escape")
        assert "left" == self._said()
        self._do("mouseup", "1")

    def drag_within(self, page: Page, what: Locator, to: Locator) -> None:
        """Drop it on another place of the page, which has seen it coming."""
        page.evaluate(WATCH)
        x, y = map(int, self._middle(to))
        self._drag(what, x, y, lambda: page.evaluate("deskSeen === 'over'"))
        self._do("mouseup", "1")
        page.wait_for_function("() => deskSeen === 'up'")

    def pull_a_little(self, what: Locator) -> None:
        """Begin a drag, and let go again."""
        self._begin(what)
        self._do("mouseup", "1")

    def _begin(self, what: Locator) -> None:
        x, y = map(int, self._middle(what))
        self._do("mousemove", str(x), str(y), "mousedown", "1")
        for step in (4, 8, 12):
            self._do("mousemove", str(x + step), str(y + step // 4))

    def _drag(self, what: Locator, x: int, y: int, seen: Callable[[], Any]) -> Any:
        """Move it there, and about, until it is seen. What was not ready soon is not dragged, on a busy
        machine: then again, as a user would."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            self._begin(what)
            again = time.monotonic() + TRY_S
            while time.monotonic() < again:
                for step in (0, 3):
                    self._do("mousemove", str(x + step), str(y))
                    if found := seen():
                        return found
            self._do("mouseup", "1")
        raise AssertionError("the drag did not arrive")

    def _middle(self, what: Locator) -> tuple[str, str]:
        what.scroll_into_view_if_needed()
        box = what.bounding_box()
        assert box is not None
        return str(int(box["x"] + box["width"] / 2)), str(int(box["y"] + box["height"] / 2))

    def _said_now(self) -> Any:
        return self._said(0.05)

    def _said(self, wait_s: float = WAIT_S) -> Any:
        """The next that the other program says; None where it says nothing for so long."""
        assert self._target.stdout is not None
        readable, _, _ = select.select([self._target.stdout], [], [], wait_s)
        return json.loads(self._target.stdout.readline()) if readable else None

    def _do(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env={"DISPLAY": self._display}, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 0, f"xdotool {' '.join(words)}: {done.stderr}"
        return done.stdout


@contextmanager
def mouse_on(display: str) -> Iterator[Mouse]:
    """With the other program running."""
    target = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("drop_target.py")), *map(str, TARGET)],
        env={**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"},
        stdout=subprocess.PIPE,
        bufsize=1,
        text=True,
    )
    try:
        yield Mouse(display, target)
    finally:
        target.terminate()
        target.wait(10)
        assert target.stdout is not None
        target.stdout.close()
