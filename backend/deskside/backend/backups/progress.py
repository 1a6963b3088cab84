"""How far a long piece of work is, told while it goes on; telling is also where it can be stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from deskside.backend.errors import Cancelled

Phase = Literal["copying", "checking", "files", "encrypting", "decrypting", "updating", "comparing", "vacuum"]

Report = Callable[[Phase, float], None]
"""Takes what is done at the moment and how much of that is done, from 0 to 1 (0 where nobody can tell). It
raises Cancelled to stop the work, which then leaves nothing behind."""

# About 20 ms apart: a button that stops has to feel as if it did.
STEPS_BETWEEN = 500_000


def quiet(phase: Phase, part: float) -> None:
    """Tells nobody, and never stops."""


@contextmanager
def reporting(connection: sqlite3.Connection, report: Report, phase: Phase) -> Iterator[None]:
    """Tell, and can be stopped, inside the statements that this block runs. Raises Cancelled."""
    stopped: list[Cancelled] = []

    def step() -> int:
        try:
            report(phase, 0.0)
        except Cancelled as cancelled:
            stopped.append(cancelled)
        return len(stopped)

    report(phase, 0.0)
    connection.set_progress_handler(step, STEPS_BETWEEN)
    try:
        yield
    except sqlite3.OperationalError:
        if stopped:
            raise stopped[0] from None
        raise
    finally:
        connection.set_progress_handler(None, 0)
