"""The window's size, place and theme, remembered in `window.json`.

The theme is the last one the page used: the window must be painted before the store is open, and a
white flash in a dark room is not a good morning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from loguru import logger

from deskside.backend.theme import Theme

MIN_WIDTH, MIN_HEIGHT = 480, 400
# So much of the window's top edge must be on a screen that it can be grabbed and pulled.
GRIP_WIDTH, GRIP_HEIGHT = 120, 30

LIGHT, DARK = "#ffffff", "#1d1d1f"
"""The page's own `--surface` (styles/tokens.css), painted before the page is there."""


class WindowState(msgspec.Struct, frozen=True):
    """Logical pixels; `x` and `y` are the frame's corner, None to let the system choose."""

    width: int = 1120
    height: int = 780
    x: int | None = None
    y: int | None = None
    is_maximized: bool = False
    theme: Theme = "system"


class Area(NamedTuple):
    """One screen, in the same pixels."""

    x: int
    y: int
    width: int
    height: int


def load_state(file: Path) -> WindowState:
    """The remembered state, or the default where there is none or it cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=WindowState)
    except FileNotFoundError:
        return WindowState()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        logger.warning("window.json is not readable ({}); the window starts with its default size", error)
        return WindowState()


def save_state(file: Path, state: WindowState) -> None:
    """Remember `state`. A failure is logged: losing it must not keep the window from closing."""
    draft = file.with_suffix(".json.new")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
        os.replace(draft, file)
    except OSError as error:
        logger.warning("window.json could not be written: {}", error)


def fit_to_screens(state: WindowState, screens: Sequence[Area]) -> WindowState:
    """`state` made to fit: no larger than a screen, and where no screen shows its top edge any more
    (a monitor was unplugged), placed by the system."""
    widest = max((screen.width for screen in screens), default=state.width)
    tallest = max((screen.height for screen in screens), default=state.height)
    fitted = msgspec.structs.replace(
        state,
        width=max(MIN_WIDTH, min(state.width, widest)),
        height=max(MIN_HEIGHT, min(state.height, tallest)),
    )
    if any(_shows_grip(screen, fitted) for screen in screens):
        return fitted
    return msgspec.structs.replace(fitted, x=None, y=None)


def _shows_grip(screen: Area, state: WindowState) -> bool:
    if state.x is None or state.y is None:
        return False
    shown = min(state.x + state.width, screen.x + screen.width) - max(state.x, screen.x)
    return shown >= GRIP_WIDTH and screen.y <= state.y <= screen.y + screen.height - GRIP_HEIGHT


def background(state: WindowState, system_is_dark: bool) -> str:
    """The colour to paint before the page is there."""
    is_dark = system_is_dark if state.theme == "system" else state.theme == "dark"
    return DARK if is_dark else LIGHT
