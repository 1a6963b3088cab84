"""Removes what has been in the trash for long enough, and what was recorded too long ago."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

from deskside.backend.attachments.attachments import Attachments
from deskside.backend.errors import AppError
from deskside.backend.recordings.retention import clear_expired
from deskside.backend.settings import SettingsStore
from deskside.backend.store import conversations, settings
from deskside.backend.store.database import Store
from deskside.backend.store.text import now_ms
from deskside.backend.tasks import running

LOOK_EVERY_S = 6 * 3600
# The start of the program belongs to the user.
FIRST_LOOK_S = 60
LOOKED = "trash_looked_ms"
BELIEVED_MS = 2 * 24 * 3600 * 1000


@asynccontextmanager
async def emptying_trash(
    store: Store, attachments: Attachments, settings: SettingsStore
) -> AsyncIterator[None]:
    """Look every few hours, for as long as the context lasts."""
    async with running(_look_again_and_again(store, attachments, settings), "trash"):
        yield


async def _look_again_and_again(store: Store, attachments: Attachments, chosen: SettingsStore) -> None:
    await asyncio.sleep(FIRST_LOOK_S)
    while True:
        try:
            at_ms = await believed_ms(store, now_ms())
            await empty_expired(store, at_ms)
            await attachments.collect()
            await clear_expired(store, chosen.current, at_ms)
        except AppError as error:  # a full disk, a damaged file: the user hears of it where they use it
            logger.warning("the trash could not be emptied: {}", error.code)
        await asyncio.sleep(LOOK_EVERY_S)


async def believed_ms(store: Store, at_ms: int) -> int:
    """The time, as far as it is believed: a clock that was wrong once, years ahead, must not empty the trash.
    From one look to the next it goes on by BELIEVED_MS at most; who was away for long waits a few looks."""
    looked = (await store.read(settings.load)).get(LOOKED)
    believed = min(at_ms, looked + BELIEVED_MS) if isinstance(looked, int) else at_ms
    await store.write(settings.save, {LOOKED: believed})
    return believed


async def empty_expired(store: Store, at_ms: int) -> None:
    """Remove the conversations that went to the trash DAYS_IN_TRASH days before `at_ms`. Each is a unit of
    work of its own, so that what is written meanwhile waits for one of them at most."""
    for conversation_id in await store.read(conversations.expired, at_ms):
        await store.write(conversations.purge, conversation_id)
        logger.info("conversation {} was removed from the trash", conversation_id)
