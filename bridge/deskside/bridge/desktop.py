"""What only the window can do, as the bridge asks for it. `shell` implements it and passes it in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from deskside.backend.errors import InvalidRequest, NeedsWindow

# What a mail link may fill in. Some mail programs also know `attach`, which would send a file of the
# user's along.
MAIL_FIELDS = frozenset({"to", "cc", "bcc", "subject", "body", "in-reply-to"})
IN_A_TERMINAL = (
    "Do it in a terminal: deskside grant FOLDER (with --write to let files be changed), or deskside mcp add "
    "while no other Deskside runs."
)
# In no address as it is. Browsers read a backslash as a slash, so the host would not be the one it seems.
NOT_IN_AN_ADDRESS = frozenset(" <>\\")


TrayState = Literal["there", "none", "unsupported"]


class Integration(msgspec.Struct, frozen=True):
    """What this desktop and this window can do together. `tray`: one is `there`, the desktop has `none`, or
    the window cannot use one. `notifies`: the desktop can be asked to show notifications.
    `starts_at_login`: None where Deskside cannot see to that."""

    tray: TrayState
    notifies: bool
    starts_at_login: bool | None


def check_link(url: str) -> None:
    """Raises InvalidRequest for anything but a web or mail address that is safe to hand to the system."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web, parts = False, urlsplit("")
    if not (is_web or parts.scheme == "mailto") or not url.isprintable() or NOT_IN_AN_ADDRESS & set(url):
        raise InvalidRequest(
            "Only http, https and mailto links can be opened.", hint="Copy the link instead."
        )
    fields = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.scheme == "mailto" and not fields <= MAIL_FIELDS:
        raise InvalidRequest(
            "This mail link asks for more than a recipient, a subject and a text.",
            hint="Copy the address instead.",
        )


class Desktop(Protocol):
    """Raises `NeedsWindow` where there is no window."""

    async def open_link(self, url: str) -> None:
        """Open an `http`, `https` or `mailto` address in the user's own browser."""

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        """Let the user pick one existing file (`endings` such as "gguf"). None when they cancelled."""

    async def save_file(self, title: str, suggested_name: str, text: str) -> str | None:
        """Let the user choose where `text` is written (as UTF-8), and return the path. None when they
        cancelled. InvalidRequest where it cannot be written."""

    async def choose_target(self, title: str, suggested_name: str) -> str | None:
        """Let the user choose where a file shall be written, and return the path. None when they
        cancelled."""

    async def choose_folder(self, title: str) -> str | None:
        """Let the user pick one existing folder. None when they cancelled."""

    async def integration(self) -> Integration:
        """What this desktop offers now."""

    async def set_start_at_login(self, is_on: bool) -> None:
        """Have the system start the program when the user logs in, or no more. StoreReadOnly where that
        cannot be kept."""

    async def restart(self) -> None:
        """Close the program and start it again."""

    def drags_files(self) -> bool:
        """Whether files can be dragged out of the window. False where there is none."""

    async def drag_file(self, write: Callable[[Path], Awaitable[Path]], text: str, html: str) -> bool:
        """Let the user, who holds the mouse's button down, drag a copy of a file into another program, with
        `text` and `html` (where they are not empty) for those that take no files. `write` makes the file in a
        folder that is its own and returns its path. Returns when the drag is over: whether somebody took it.
        Where the file is not there soon, or the button is up by then, nothing is dragged. Conflict during
        another drag."""

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        """Ask the user in a dialog of the system, which no page can answer. True only when they pressed the
        button with `accept_label`; Cancel is what Enter, Escape and closing the dialog mean."""


class NoDesktop:
    """The desktop of a program without a window."""

    async def open_link(self, url: str) -> None:
        raise NeedsWindow("Without a window there is no way to open a link.")

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        raise NeedsWindow("Without a window there is no file dialog.", hint="Give the path instead.")

    async def save_file(self, title: str, suggested_name: str, text: str) -> str | None:
        raise NeedsWindow("Without a window there is no file dialog.", hint="Ask for the text instead.")

    async def choose_target(self, title: str, suggested_name: str) -> str | None:
        raise NeedsWindow(
            "Without a window there is no file dialog.", hint="Do it in a terminal: deskside export."
        )

    async def choose_folder(self, title: str) -> str | None:
        raise NeedsWindow("Without a window there is no folder dialog.", hint=IN_A_TERMINAL)

    async def integration(self) -> Integration:
        raise NeedsWindow("Without a window there is no desktop to ask.")

    async def set_start_at_login(self, is_on: bool) -> None:
        raise NeedsWindow("Without a window nothing is started at login.")

    async def restart(self) -> None:
        raise NeedsWindow("Without a window Deskside does not start itself again.")

    def drags_files(self) -> bool:
        return False

    async def drag_file(self, write: Callable[[Path], Awaitable[Path]], text: str, html: str) -> bool:
        raise NeedsWindow("Without a window nothing is dragged out of it.", hint="Export it instead.")

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        raise NeedsWindow("Without a window there is no way to ask you.", hint=IN_A_TERMINAL)
