"""The program with the menus that it has on macOS, in a bar of Qt's.

    python menu_bar.py CHOICES [arguments of deskside]

Nobody can press such a menu from outside: each line that is written to the file CHOICES, as "Chat/New Chat",
is triggered as if the user had chosen it.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QMenu

from deskside.shell import hardening_qt

LOOK_EVERY_MS = 50


def main() -> None:
    choices = Path(sys.argv[1])
    del sys.argv[0:2]
    sys.argv.insert(0, "deskside")
    hardening_qt.HAS_MENU_BAR = True
    harden = hardening_qt.harden

    def harden_and_listen(window: Any, lock: Any) -> None:
        harden(window, lock)
        timer = QTimer(window.native)
        timer.timeout.connect(lambda: press(window, choices))
        timer.start(LOOK_EVERY_MS)

    hardening_qt.harden = harden_and_listen
    runpy.run_module("deskside", run_name="__main__", alter_sys=True)


def press(window: Any, choices: Path) -> None:
    wanted = choices.read_text("utf-8").splitlines() if choices.exists() else []
    if wanted:
        choices.unlink()
        found = dict(lines(window))
        for name in wanted:
            found[name].trigger()


def lines(window: Any) -> Iterator[tuple[str, Any]]:
    for menu in window.native.menuBar().findChildren(QMenu):
        yield from ((f"{menu.title()}/{action.text()}", action) for action in menu.actions() if action.text())


if __name__ == "__main__":
    main()
