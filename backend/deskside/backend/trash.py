"""Removes what has been in the trash for long enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from loguru import logger

from deskside.backend.attachments.attachments import Attachments
from deskside.backend.errors import AppError
from deskside.backend.store import conversations
from deskside.backend.store.database import Store
from deskside.backend.store.text import now_ms

LOOK_EVERY_S = 6 * 3600
# The start of the program belongs to the user.
FIRST_LOOK_S = 60


@asynccontextmanager
async def emptying_trash(store: Store, attachments: Attachments) -> AsyncIterator[None]:
    """Look every few hours, for as long as the context lasts."""
    task = asyncio.create_task(_look_again_and_again(store, attachments), name="trash")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _look_again_and_again(store: Store, attachments: Attachments) -> None:
    await asyncio.sleep(FIRST_LOOK_S)
    while True:
        try:
            await empty_expired(store, now_ms())
            await attachments.collect()
        except AppError as error:  # a full disk, a damaged file: the user hears of it where they use it
            logger.warning("the trash could not be emptied: {}", error.code)
        await asyncio.sleep(LOOK_EVERY_S)


async def empty_expired(store: Store, at_ms: int) -> None:
    """Remove the conversations that went to the trash DAYS_IN_TRASH days before `at_ms`. Each is a unit of
    work of its own, so that what is written meanwhile waits for one of them at most."""
    for conversation_id in await store.read(conversations.expired, at_ms):
        await store.write(conversations.purge, conversation_id)
        logger.info("conversation {} was removed from the trash", conversation_id)
