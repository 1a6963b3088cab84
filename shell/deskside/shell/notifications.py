"""Notifications, as the desktop is told of runs by them; each kind of system shows them in its own way.

The ways are `notifications_dbus` and `notifications_native`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

BUNDLE = "org.deskside.deskside"  # as briefcase.toml says


class Notification(NamedTuple):
    """Plain text. A later one about the same conversation takes the place of an earlier one."""

    conversation_id: int
    heading: str
    body: str


class Notifier(Protocol):
    """Used on the backend's loop. Reaches for whoever shows them at the first one, not before."""

    async def show(self, notification: Notification) -> None:
        """Show it, if there is who shows it and the user lets us. Raises nothing, and waits for no user."""

    async def close(self) -> None:
        """Tell of no more clicks. What is shown stays until the user has seen it."""


def main_bundle() -> str | None:
    """The identifier of the bundle that this program runs from, on macOS; None outside of one."""
    from Foundation import NSBundle  # type: ignore[import-not-found, unused-ignore]

    identifier = NSBundle.mainBundle().bundleIdentifier()
    return None if identifier is None else str(identifier)


def can_notify(
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    bundle: Callable[[], str | None] = main_bundle,
) -> bool:
    """Is there anybody to show notifications? Whether the user lets us is not asked."""
    if platform == "win32":
        return True
    if platform == "darwin":
        # A checkout runs outside of any bundle, for which there is no notification centre, or in Python's,
        # and then Python would ask the user for leave.
        return bundle() == BUNDLE
    return platform.startswith("linux") and bool(
        environ.get("DBUS_SESSION_BUS_ADDRESS")
        or os.path.exists(os.path.join(environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "bus"))
    )


def make_notifier(
    on_click: Callable[[int], None],
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    bundle: Callable[[], str | None] = main_bundle,
) -> Notifier | None:
    """This system's, None where there is nobody to show them. `on_click` gets the number of the conversation,
    on the backend's loop."""
    if not can_notify(environ, platform, bundle):
        return None
    if platform in ("win32", "darwin"):
        from deskside.shell.notifications_native import NativeNotifier

        return NativeNotifier(on_click)
    from deskside.shell.notifications_dbus import DBusNotifier

    return DBusNotifier(on_click)
