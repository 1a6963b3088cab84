"""What only the window can do, as the bridge asks for it. `shell` implements it and passes it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deskside.backend.errors import NeedsWindow


class Desktop(Protocol):
    """Raises `NeedsWindow` where there is no window."""

    async def open_link(self, url: str) -> None:
        """Open an `http`, `https` or `mailto` address in the user's own browser."""

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        """Let the user pick one existing file (`endings` such as "gguf"). None when they cancelled."""


class NoDesktop:
    """The desktop of a program without a window."""

    async def open_link(self, url: str) -> None:
        raise NeedsWindow("Without a window there is no way to open a link.")

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        raise NeedsWindow("Without a window there is no file dialog.", hint="Give the path instead.")
