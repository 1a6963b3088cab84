"""The menus of a system that has one bar of them for all programs: macOS.

Each line does what a shortcut of the page does, and shows that shortcut. What such a bar holds in every
program (about, hide, quit, edit, full screen) pywebview puts there itself.

The structure is tested on Linux, in the menus that pywebview makes of it on Qt; it was never seen on macOS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from deskside.backend.events import MenuChoice


class Line(NamedTuple):
    """`key` is pressed with Command."""

    title: str
    choice: MenuChoice
    key: str


# The menu that bears the program's own name.
OF_THE_PROGRAM = "__app__"

MENUS: dict[str, list[Line | None]] = {
    OF_THE_PROGRAM: [Line("Settings…", "settings", ",")],
    "Chat": [
        Line("New Chat", "newChat", "n"),
        Line("Find in All Conversations", "search", "f"),
        None,
        Line("Choose a Model", "chooseModel", "k"),
        Line("Show or Hide Sidebar", "sidebar", "b"),
        None,
        Line("Larger", "zoomIn", "+"),
        Line("Smaller", "zoomOut", "-"),
        Line("Usual Size", "zoomReset", "0"),
    ],
    "Help": [Line("Keyboard Shortcuts", "help", "/")],
}


def lines() -> Iterator[Line]:
    for menu in MENUS.values():
        yield from (line for line in menu if line is not None)


def make_menus(choose: Callable[[MenuChoice], None]) -> list[Any]:
    """The menus as pywebview takes them. It calls `choose` on a thread of its own."""
    from webview.menu import Menu, MenuAction, MenuSeparator

    return [
        Menu(
            title,
            [
                MenuSeparator() if line is None else MenuAction(line.title, partial(choose, line.choice))
                for line in menu
            ],
        )
        for title, menu in MENUS.items()
    ]
