"""An icon in the desktop's tray, as the window uses one; each engine that can has its own.

Invariant: the window is hidden only while there is a tray to bring it back from. Where the tray goes away
meanwhile, whoever made it brings the window back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

# Of the program's sign, where an engine draws it itself, and of the mark in its corner.
PLATE, BUSY, WAITING = "#3b6ef5", "#2fa36b", "#e0930f"


class Activity(NamedTuple):
    """How many conversations are being answered, and how many of all wait for the user."""

    running: int = 0
    waiting: int = 0

    def __str__(self) -> str:
        parts = []
        if self.running:
            parts.append("1 answer under way" if self.running == 1 else f"{self.running} answers under way")
        if self.waiting:
            parts.append("1 waits for you" if self.waiting == 1 else f"{self.waiting} wait for you")
        return ", ".join(parts) or "Nothing under way"


class TrayWishes(NamedTuple):
    """What its menu does; called on the window's thread."""

    show: Callable[[], None]
    new_chat: Callable[[], None]
    quit: Callable[[], None]


class Tray(Protocol):
    def is_there(self) -> bool:
        """Can the user bring the window back with it, now? On the window's thread."""

    def when_known(self, tell: Callable[[bool], None]) -> None:
        """Have `tell` called with what `is_there` says, on the window's thread. Any thread."""

    def set_shown(self, is_shown: bool) -> None:
        """Show the icon, or take it away; a window that is hidden comes back then. Any thread."""

    def show_activity(self, activity: Activity) -> None:
        """Say what is under way. Any thread."""
