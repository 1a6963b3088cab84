"""What the window needs from a web engine, and which engine this machine has.

Each `hardening_*.py` is one engine: a module whose functions fit `Engine`. All of them are called on
the window's thread unless they say otherwise.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from deskside.backend.errors import NeedsWindow, NotFound
from deskside.shell.page_lock import PageLock
from deskside.shell.tray import Tray, TrayWishes
from deskside.shell.window_state import WindowState


class Engine(Protocol):
    """`GUI` and `RENDERER` are pywebview's names for it. `HAS_MENU_BAR`: the system expects every program to
    have menus. `DRAGS_FILES`: `drag_file` does so."""

    GUI: str
    RENDERER: str
    HAS_MENU_BAR: bool
    DRAGS_FILES: bool

    def prepare(self, environ: MutableMapping[str, str]) -> None:
        """Load the engine, its dangerous switches taken away. ImportError where it is not installed."""

    def watch_opened(self, opened: Callable[[str], None]) -> None:
        """Before the window is made. Tells each address of a link or a file that the system hands to a
        program which runs, or which it started for it; where it passes such a one as an argument, none.
        `opened` must not raise."""

    def watch_end(self, end: Callable[[], None]) -> None:
        """Before the window is made. Calls `end`, which returns once all is stored, where the system ends the
        process without returning to whoever showed the window; elsewhere never."""

    def prefers_dark(self) -> bool:
        """Does the system ask programs to be dark?"""

    def harden(self, window: Any, lock: PageLock) -> None:
        """Lock the window down, before anything is loaded into it."""

    def read_state(self, window: Any, before: WindowState) -> WindowState:
        """Size and place as they are now; `before` for what cannot be known."""

    def bring_forward(self, window: Any) -> None:
        """Raise the window and give it the keyboard. May be called on any thread."""

    def watch_front(self, window: Any, tell: Callable[[bool], None]) -> None:
        """Tell whether the window is the one that the user works in, now and whenever that changes."""

    def make_tray(self, window: Any, wishes: TrayWishes) -> Tray | None:
        """An icon for the desktop's tray, not shown yet; None where this engine has none."""

    def hide(self, window: Any) -> None:
        """Take the window off the screen, into the tray that `make_tray` made, until `bring_forward`."""

    def zoom(self, window: Any, percent: int) -> None:
        """Show the page larger or smaller, also after it is loaded again. May be called on any thread."""

    def confirm(
        self, window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]
    ) -> None:
        """Ask in a dialog over the window; `answered` is told once. Cancel is the default, and what closing
        the dialog means. All of `text` can be read, by scrolling. May be called on any thread."""

    def drag_file(self, window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
        """Begin a drag of the file, to be copied, and of what is not empty of `text` and `html`, where the
        mouse's button is still down. `ended` is told once, whether somebody took it; the page then gets the
        release of the button, which the drag kept from it. May be called on any thread."""

    def ask_to_reload(self, window: Any, reload: Callable[[], None]) -> None:
        """The page died too often: offer to load it again, or to close."""


def load_engine(environ: MutableMapping[str, str]) -> Engine:
    """The platform's own engine, loaded; on Linux Qt where it is installed, else the system's WebKitGTK.

    DESKSIDE_WINDOW=qt|gtk chooses on Linux. Raises NotFound where there is none that can be loaded.

    No other thread may be importing anything meanwhile: PySide6 walks over `sys.modules` while it is
    imported, and a module that appears then aborts the process (seen with 6.11, in two of some fifty starts).
    """
    module = choose_engine(environ)
    # Before pywebview's first import, which reads them: its own choices of engine are not ours.
    environ.setdefault("PYWEBVIEW_LOG", "WARNING")
    try:
        engine: Engine = importlib.import_module(f"deskside.shell.{module}")
        environ["PYWEBVIEW_GUI"] = engine.GUI
        engine.prepare(environ)
    except ImportError as error:
        raise NotFound(
            f"The web engine cannot be loaded: {error}.",
            hint="Run 'deskside doctor' to see what is missing. Without a window, run: deskside --serve",
        ) from error
    return engine


def choose_engine(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """The name of the module that fits this machine. Raises NotFound or NeedsWindow where there is none."""
    if platform == "darwin":
        return "hardening_cocoa"
    if platform == "win32":
        return "hardening_webview2"
    wanted = environ.get("DESKSIDE_WINDOW", "")
    if wanted not in ("", "qt", "gtk"):
        raise NotFound(f"DESKSIDE_WINDOW is {wanted!r}.", hint="Set it to qt or gtk, or leave it out.")
    if not any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise NeedsWindow("There is no screen to show a window on.", hint="Run: deskside --serve")
    if wanted != "gtk" and importlib.util.find_spec("PySide6") is not None:
        return "hardening_qt"
    if wanted != "qt" and importlib.util.find_spec("gi") is not None:
        return "hardening_gtk"
    raise NotFound(
        "There is no web engine to show the window with.",
        hint="Install one: pip install 'deskside[qt]', or apt install gir1.2-webkit2-4.1 python3-gi. "
        "Without a window, run: deskside --serve",
    )
