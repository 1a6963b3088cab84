"""Notifications on Linux: org.freedesktop.Notifications on the session bus.

Reference: the Desktop Notifications Specification 1.2.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from loguru import logger

from deskside.shell.notifications import Notification

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
ANSWER_LIMIT_S = 5.0
OPEN_ACTION = "default"  # what a click on the notification itself is called
# Signals wait here while one is worked on.
MOST_SIGNALS = 64


class DBusNotifier:
    """Fits `Notifier`. Used on the backend's loop; connects at the first notification."""

    def __init__(self, on_click: Callable[[int], None]) -> None:
        """`on_click` gets the number of the conversation, on that loop."""
        self._on_click = on_click
        self._stack = AsyncExitStack()
        self._router: Any = None
        self._listening: asyncio.Task[None] | None = None
        self._has_markup = False
        self._shown: dict[int, int] = {}  # the server's number of each conversation's
        self._showing = asyncio.Lock()

    async def show(self, notification: Notification) -> None:
        try:
            async with self._showing, asyncio.timeout(ANSWER_LIMIT_S):
                if self._router is None or self._listening is None or self._listening.done():
                    await self.close()
                    await self._connect()
                self._shown[notification.conversation_id] = await self._notify(notification)
        except _faults() as error:
            # Whoever answers on the bus is another program: that it is not there, or broken, must cost no
            # more than the notification.
            logger.info("a notification could not be shown: {}", type(error).__name__)
            await self.close()

    async def close(self) -> None:
        """Hang up. What is shown stays until the user has seen it."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        self._router = None
        self._shown.clear()
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def _connect(self) -> None:
        from jeepney import MatchRule
        from jeepney.bus_messages import message_bus
        from jeepney.io.asyncio import Proxy, open_dbus_router

        router = await self._stack.enter_async_context(open_dbus_router("SESSION"))
        rule = MatchRule(type="signal", interface=NAME, path=PATH)
        signals: asyncio.Queue[Any] = asyncio.Queue(MOST_SIGNALS)
        self._stack.enter_context(router.filter(rule, queue=signals))
        await Proxy(message_bus, router).AddMatch(rule)
        self._router = router
        self._listening = asyncio.create_task(self._listen(signals))
        (capabilities,) = await self._call("GetCapabilities")
        self._has_markup = "body-markup" in capabilities

    async def _notify(self, notification: Notification) -> int:
        body = notification.body
        (id,) = await self._call(
            "Notify",
            "susssasa{sv}i",
            (
                "Deskside",
                self._shown.get(notification.conversation_id, 0),
                "deskside",
                notification.heading,
                html.escape(body, quote=False) if self._has_markup else body,
                [OPEN_ACTION, "Open"],
                {"desktop-entry": ("s", "deskside"), "category": ("s", "im")},
                -1,
            ),
        )
        return int(id)

    async def _call(self, method: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> Any:
        from jeepney import DBusAddress, new_method_call
        from jeepney.wrappers import unwrap_msg

        address = DBusAddress(PATH, NAME, NAME)
        return unwrap_msg(
            await self._router.send_and_get_reply(new_method_call(address, method, signature, body))
        )

    async def _listen(self, signals: asyncio.Queue[Any]) -> None:
        from jeepney import HeaderFields

        while True:
            signal = await signals.get()
            async with self._showing:  # a click may be here before the number that it is about
                pass
            fields = signal.header.fields
            what = (fields.get(HeaderFields.member), fields.get(HeaderFields.signature))
            if what == ("ActionInvoked", "us"):
                id, _ = signal.body
                for conversation_id in [key for key, value in self._shown.items() if value == id]:
                    self._on_click(conversation_id)
            elif what == ("NotificationClosed", "uu"):
                id, _ = signal.body
                self._shown = {key: value for key, value in self._shown.items() if value != id}


def _faults() -> tuple[type[Exception], ...]:
    """What a bus, and a program on it that answers anything, can do to us."""
    from jeepney.auth import AuthenticationError
    from jeepney.io.common import RouterClosed
    from jeepney.wrappers import DBusErrorResponse

    answers = (ValueError, TypeError, LookupError)
    return (OSError, EOFError, AuthenticationError, RouterClosed, DBusErrorResponse, *answers)
