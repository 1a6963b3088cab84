"""What every part of the window on Windows needs of Windows Forms, which pywebview shows it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loguru import logger


def soon(form: Any, call: Callable[[], None]) -> None:
    """Call it on the window's thread; nothing happens once the window is gone. Any thread, and also that one,
    where it runs when what is under way has ended."""
    import System

    def run() -> None:
        try:
            call()
        except Exception:  # Windows Forms would show it in a dialog of its own, with a button to go on
            logger.exception("a call on the window's thread failed")

    if form.IsHandleCreated and not form.IsDisposed:
        form.BeginInvoke(System.Action(run))
