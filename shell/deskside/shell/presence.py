"""The window and the backend, as the desktop sees them together: notifications, the tray and the zoom."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from loguru import logger

from deskside.shell.notifications import make_notifier

if TYPE_CHECKING:
    from deskside.bridge.thread import Running
    from deskside.shell.window import AppWindow


def attend(running: Running, window: AppWindow) -> None:
    """Follow the backend for as long as it is open. Any thread; returns at once."""
    running.call(_follow(running, window)).add_done_callback(_log_fault)


def _log_fault(following: Future[None]) -> None:
    error = None if following.cancelled() else following.exception()
    if error is not None:
        logger.opt(exception=error).error("the desktop is told nothing any more")


async def _follow(running: Running, window: AppWindow) -> None:
    from deskside.shell.attention import Attention  # by now the backend is imported, on which it stands

    app = running.app

    def clicked(conversation_id: int) -> None:
        window.bring_forward()
        running.call(app.proposals.open_conversation(conversation_id))

    notifier = make_notifier(clicked)
    attention = Attention(
        app, notifier, lambda: window.is_in_front, window.show_activity, window.follow_settings
    )
    try:
        await attention.follow()
    finally:
        if notifier is not None:
            await notifier.close()
