"""Keeps what the gate tells, a moment after it was told: most uses are over by then and cost one row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from loguru import logger

from deskside.backend.errors import AppError
from deskside.backend.events import NetworkChanged
from deskside.backend.network.dialing import is_loopback
from deskside.backend.network.gate import Use
from deskside.backend.store import network
from deskside.backend.store.network import NetworkRow

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store

WAIT_S = 0.3
# A store that takes nothing must not fill the memory with what waits for it.
MOST_WAITING = 2_000


class Ledger:
    """All methods belong to the loop's thread. Use `open_ledger`."""

    def __init__(self, store: Store, events: EventBuffer) -> None:
        self._store = store
        self._events = events
        self._told: dict[Use, None] = {}  # in the order in which they were told
        self._open: dict[int, Use] = {}
        self._has_news = asyncio.Event()
        self._is_closing = asyncio.Event()

    def tell(self, use: Use) -> None:
        """A use began, or ended."""
        self._told[use] = None
        self._has_news.set()

    def live(self, rows: Sequence[NetworkRow]) -> list[NetworkRow]:
        """The rows, with what has passed by now where it still goes on."""
        return [_row(self._open[row.id]) if row.id in self._open else row for row in rows]

    async def run(self) -> None:
        """Store what is told, until `close`."""
        while not self._is_closing.is_set():
            await self._has_news.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await self._is_closing.wait()
            await self._flush()

    def close(self) -> None:
        """Store what was told by now, and end."""
        self._is_closing.set()
        self._has_news.set()

    async def _flush(self) -> None:
        self._has_news.clear()
        uses, self._told = list(self._told)[-MOST_WAITING:], {}
        if not uses:
            return
        try:
            ids = await self._store.write_soon(network.keep, [_row(use) for use in uses])
        except AppError as error:
            logger.warning("the network ledger could not be written: {}", error.code)
            return
        for use, row_id in zip(uses, ids, strict=True):
            use.id = row_id
            # What ended meanwhile was told again, and finds its row.
            if use.outcome is None:
                self._open[row_id] = use
            else:
                self._open.pop(row_id, None)
        self._events.publish(NetworkChanged())


def _row(use: Use) -> NetworkRow:
    return NetworkRow(
        use.id,
        use.began_ms,
        use.duration_ms,
        use.target.host,
        use.target.port,
        is_loopback(use.target.host),
        use.target.via,
        use.purpose.kind,
        use.purpose.subject,
        use.request_id,
        use.sent,
        use.received,
        use.outcome or "",
    )


@asynccontextmanager
async def open_ledger(store: Store, events: EventBuffer) -> AsyncIterator[Ledger]:
    """Keep what is told inside the block. What is told at its end is kept, too."""
    if store.is_alone:
        try:
            await store.write_soon(network.begin_anew)
        except AppError as error:  # what is wrong is told where something of the user's is to be written
            logger.warning("the network ledger could not be tidied: {}", error.code)
    ledger = Ledger(store, events)
    running = asyncio.create_task(ledger.run(), name="network ledger")
    try:
        yield ledger
    finally:
        ledger.close()
        await running
