"""From the log into the error log that the user sees: a line at ERROR of which nobody was told yet.

Whoever catches a fault only logs it, with `source` bound where that is not plain from the line; what nobody
catches is logged by crashes.py. Lines of other people's libraries stay in the log, but for those in which
asyncio tells of our tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from deskside.backend import crashes, log
from deskside.backend.errors import AppError
from deskside.backend.events import FaultKept
from deskside.backend.log import place
from deskside.backend.store import errors
from deskside.backend.store.errors import ErrorRow, Failure

if TYPE_CHECKING:
    from loguru import Message

    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store

# A fault that comes a thousand times a second must not take the store with it; the log has all of them.
MOST_WAITING = 100
TELLS_OF_OURS = ("asyncio", "concurrent.futures")


class Faults:
    """Keeps failures and tells the page. Use `open_faults`."""

    def __init__(self, store: Store, events: EventBuffer) -> None:
        self._store = store
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Failure] = deque(maxlen=MOST_WAITING)
        self._writing: asyncio.Task[None] | None = None
        self._early: deque[ErrorRow] = deque(maxlen=MOST_WAITING)
        self._follow: Callable[[ErrorRow], object] = self._early.append

    def add(self, failure: Failure) -> None:
        """Keep a failure that nobody was told of, soon. On the loop's thread."""
        self._waiting.append(failure)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="faults")

    def tell(self, row: ErrorRow) -> None:
        """Tell who follows of a failure that was kept, also of one that the user was told of elsewhere."""
        self._follow(row)

    @contextmanager
    def followed_by(self, follow: Callable[[ErrorRow], object]) -> Iterator[None]:
        """Have `follow` called on the loop with each failure that is kept, with those from before at once."""
        while self._early:
            follow(self._early.popleft())
        self._follow = follow
        try:
            yield
        finally:
            self._follow = self._early.append

    async def tell_untold(self) -> None:
        """Tell the page of what happened while there was none."""
        for row in await self._store.read(errors.untold):
            self._events.publish(FaultKept(row))

    async def take_left(self, folder: Path) -> None:
        """Keep what a program that ended badly left in `folder`."""
        for path, failure in await asyncio.to_thread(lambda: list(crashes.read_left(folder))):
            if failure is not None:
                (row,) = await self._store.write(errors.record_untold, [failure])
                self.tell(row)
                logger.warning("the Deskside before this one ended badly: {}", failure.message)
            path.unlink(missing_ok=True)

    async def finish(self) -> None:
        """Return once everything is written."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    def hear(self, message: Message) -> None:
        """A line of the log, on whatever thread it was written."""
        failure = _failure_of(message.record)
        if failure is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.add, failure)

    async def _write(self) -> None:
        while self._waiting:
            failures = list(self._waiting)
            self._waiting.clear()
            try:
                rows = await self._store.write_soon(errors.record_untold, failures)
            except (AppError, RuntimeError) as error:
                # RuntimeError: the store is closed. The log has the failures in any case.
                logger.warning("errors could not be kept: {}", type(error).__name__)
                return
            for row in {row.id: row for row in rows}.values():
                self._events.publish(FaultKept(row))
                self.tell(row)


@asynccontextmanager
async def open_faults(store: Store, events: EventBuffer, crash_folder: Path) -> AsyncIterator[Faults]:
    """Listen to the log until the end of the block, and take over what the last program left."""
    faults = Faults(store, events)
    sink = logger.add(faults.hear, level="ERROR", format="{message}")
    try:
        try:
            await faults.take_left(crash_folder)
        except (AppError, OSError) as error:  # they stay there for the next start
            logger.warning("reports of crashes could not be read: {}", type(error).__name__)
        crashes.is_heard = True
        yield faults
    finally:
        crashes.is_heard = False
        logger.remove(sink)
        await faults.finish()


def _failure_of(record: Any) -> Failure | None:
    extra = record["extra"]
    library = extra.get("library")
    if extra.get("is_kept") or (library is not None and library not in TELLS_OF_OURS):
        return None
    error = None if record["exception"] is None else record["exception"].value
    source = extra.get("source") or ("program" if library is None else "task")
    where = f"{record['name']}:{record['line']}" if library is None else library
    return Failure(
        source,
        "internal",
        record["message"],
        where,
        "" if error is None else place(error),
        extra["request_id"],
        log.last_call(),
    )
