"""The menus of macOS: every shortcut of the page is in them, under the same key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from deskside.backend.events import MenuChoice
from deskside.shell.menus import lines, make_menus

KEYBOARD = Path(__file__).parents[2] / "frontend" / "src" / "app" / "keyboard.ts"


def test_every_shortcut_of_the_page_is_in_a_menu_with_its_key() -> None:
    names = KEYBOARD.read_text("utf-8").partition("const NAMES")[2].partition("};")[0]
    keys = {(name, key) for key, name in re.findall(r'^  "?([^":\s]+)"?: "(\w+)",$', names, re.MULTILINE)}

    assert keys - {("zoomIn", "=")} == {(line.choice, line.key) for line in lines()}
    assert set(get_args(MenuChoice)) == {line.choice for line in lines()}


def test_a_line_tells_what_was_chosen() -> None:
    chosen: list[str] = []
    menus = {menu.title: menu.items for menu in make_menus(chosen.append)}

    menus["Help"][0].function()
    menus["__app__"][0].function()

    assert ["__app__", "Chat", "Help"] == list(menus)
    assert ["help", "settings"] == chosen
    assert "New Chat" == menus["Chat"][0].title
