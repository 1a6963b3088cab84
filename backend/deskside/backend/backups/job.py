"""The one long piece of work that is under way: a backup, a look at one, a clean-up, a move."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from deskside.backend.backups.progress import Phase, Report
from deskside.backend.errors import Cancelled, Conflict
from deskside.backend.store.sqlite_errors import store_error

T = TypeVar("T")
Work = Literal["backup", "preview", "check", "vacuum", "move"]

TOLD_EVERY_S = 0.1


class Job(msgspec.Struct, frozen=True):
    """What is done at the moment and how much of that is done, from 0 to 1; 0 where nobody can tell."""

    work: Work
    phase: Phase
    part: float


class Jobs:
    """Runs one job at a time in a thread. Used from the loop, on which `changed` is called with each news."""

    def __init__(self, database: Path, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed
        self._stop = threading.Event()
        self._task: asyncio.Future[Any] | None = None
        self.current: Job | None = None

    async def run(self, work: Work, call: Callable[[Report], T]) -> T:
        """Run `call`, which gets where to report. It goes on when the caller is gone. Raises Conflict while
        another job runs, Cancelled, and what `call` raises, as the user would put it."""
        if self._task is not None:
            raise Conflict(
                "Deskside is busy with a backup or a clean-up.", hint="Wait until that is done, or stop it."
            )
        self._stop.clear()
        self.current = Job(work, "checking", 0.0)
        self._changed()
        task = asyncio.ensure_future(
            asyncio.to_thread(call, self._report_from(asyncio.get_running_loop(), work))
        )
        self._task = task
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except (sqlite3.Error, OSError) as error:
            told = store_error(error, self._database)
            if told is None:
                raise
            raise told from error

    def stop(self) -> None:
        """Stop what runs; nothing of it stays."""
        self._stop.set()

    async def close(self) -> None:
        """Stop what runs and wait until it has tidied up."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _report_from(self, loop: asyncio.AbstractEventLoop, work: Work) -> Report:
        told_s = 0.0

        def report(phase: Phase, part: float) -> None:
            nonlocal told_s
            if self._stop.is_set():
                raise Cancelled("It was stopped.")
            if time.monotonic() - told_s >= TOLD_EVERY_S:
                told_s = time.monotonic()
                loop.call_soon_threadsafe(self._told, Job(work, phase, part))

        return report

    def _told(self, job: Job) -> None:
        if self._task is not None:
            self.current = job
            self._changed()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        if not task.cancelled():
            task.exception()  # whoever still waits has it
        self._task = self.current = None
        self._changed()
