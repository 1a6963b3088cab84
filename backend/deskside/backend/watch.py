"""Sees that the data folder was moved or removed, or its drive is gone, and that it is back.

Each write looks before it is done (store/threads.py); this is for a program that does not write just then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import Trouble, TroubleChanged
from deskside.backend.store.database import Store
from deskside.backend.tasks import running

# One look at a local file takes 2 µs.
LOOK_EVERY_S = 2.0


@asynccontextmanager
async def watching_store(store: Store, events: EventBuffer) -> AsyncIterator[None]:
    """Tell the page of every change of the store's trouble, for as long as the context lasts."""
    store.call_on_trouble(lambda: events.publish(TroubleChanged(trouble_of(store))))
    async with running(_look_again_and_again(store), "watch"):
        yield


def trouble_of(store: Store) -> Trouble | None:
    """Why nothing can be saved, as the page gets it."""
    trouble = store.trouble
    if trouble is None:
        return None
    return Trouble(trouble.code, trouble.message, trouble.hint, is_lasting=store.is_reading_only)


async def _look_again_and_again(store: Store) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await store.look_whether_it_is_there()
