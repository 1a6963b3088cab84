"""Notifications on macOS and Windows, by desktop-notifier.

macOS asks the user at the first one whether Deskside may show any; Windows lets every program until the user
switches it off. Windows finds the name and the icon in the registry, where desktop-notifier writes them:
HKEY_CURRENT_USER\\Software\\Classes\\AppUserModelId\\Deskside.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

from deskside.shell.notifications import Notification
from deskside.shell.paths import ICON

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier

# On Windows also what the system knows the program by.
NAME = "Deskside"
# What the systems' services, and the libraries that call them, are known to raise.
FAULTS = (ImportError, NameError, OSError, RuntimeError, ValueError)
# Windows reads notifications as XML, and refuses one that holds what XML 1.0 cannot.
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NativeNotifier:
    """Fits `Notifier`.

    Invariant: `_waiting` holds the newest of each conversation that was not handed over yet, and `_sending`
    is at work while there is one.
    """

    def __init__(self, on_click: Callable[[int], None]) -> None:
        """`on_click` gets the number of the conversation, on the backend's loop."""
        self._on_click = on_click
        self._centre: DesktopNotifier | None = None
        self._waiting: dict[int, Notification] = {}
        self._sending: asyncio.Task[None] | None = None
        self._is_refused = False

    async def show(self, notification: Notification) -> None:
        self._waiting[notification.conversation_id] = notification
        if self._sending is None or self._sending.done():
            # Not awaited: the user may take hours to answer whether we may.
            self._sending = asyncio.create_task(self._send_waiting())

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        if self._centre is not None:
            self._centre.on_clicked = None
        self._centre = None
        self._waiting.clear()

    async def _send_waiting(self) -> None:
        try:
            if self._centre is None:
                self._centre = await self._open()
            while self._waiting:
                # Each time: who refused may have changed their mind in the system's settings. It asks once.
                is_allowed = await self._centre.request_authorisation()
                self._note_answer(is_allowed)
                notification = self._waiting.pop(next(iter(self._waiting)))
                if is_allowed:
                    await self._send(self._centre, notification)
        except FAULTS as error:
            self._waiting.clear()
            logger.info("a notification could not be shown: {}", type(error).__name__)

    async def _open(self) -> DesktopNotifier:
        loop = asyncio.get_running_loop()

        def clicked(identifier: str) -> None:
            # macOS tells on the window's thread.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_click, int(identifier))

        # In a thread: macOS looks through the whole bundle for its signature.
        centre = await asyncio.to_thread(_open_centre)
        # Not the notification's own handler: Windows forgets that one when the notification moves aside into
        # the list of missed ones.
        centre.on_clicked = clicked
        return centre

    def _note_answer(self, is_allowed: bool) -> None:
        if not is_allowed and not self._is_refused:
            logger.info("the system does not let Deskside show notifications")
        self._is_refused = not is_allowed

    async def _send(self, centre: DesktopNotifier, notification: Notification) -> None:
        """A fault of the system's service is logged by the library."""
        import desktop_notifier

        await centre.send_notification(
            desktop_notifier.Notification(
                title=_plain(notification.heading),
                message=_plain(notification.body),
                # By it the systems put a later one in the place of an earlier one.
                identifier=str(notification.conversation_id),
            )
        )


def _open_centre() -> DesktopNotifier:
    from desktop_notifier import DesktopNotifier, Icon

    return DesktopNotifier(NAME, Icon(path=ICON))


def _plain(text: str) -> str:
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
