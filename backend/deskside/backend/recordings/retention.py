"""Clears away recordings that are older or larger than the settings say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from loguru import logger

from deskside.backend.settings import Settings
from deskside.backend.store import recording_retention as rows
from deskside.backend.store.database import Store
from deskside.backend.store.text import now_ms

DAY_MS = 24 * 3600 * 1000


async def clear_expired(store: Store, settings: Settings, at_ms: int) -> None:
    """Clear away what is too old at `at_ms`, then the oldest of what is too much."""
    while old := await store.read(rows.older_than, at_ms - settings.recordings_days * DAY_MS):
        await _clear(store, old)
    await remove_unreferred(store)
    sizes = await store.read(rows.sizes)
    too_much = sizes.items + sum(size for _, size in sizes.runs) - settings.recordings_mb * 1_000_000
    oldest: list[int] = []
    for run_id, size in sizes.runs:
        if too_much <= 0:
            break
        oldest.append(run_id)
        too_much -= size
    for start in range(0, len(oldest), rows.RUNS_AT_ONCE):
        await _clear(store, oldest[start : start + rows.RUNS_AT_ONCE])
    if oldest:
        await remove_unreferred(store)


async def _clear(store: Store, run_ids: Sequence[int]) -> None:
    await store.write_soon(rows.clear, run_ids)
    logger.info("the recordings of {} runs were cleared away, up to run {}", len(run_ids), run_ids[-1])


async def remove_unreferred(store: Store) -> None:
    """Remove what only recordings that are gone had needed. Call it after conversations were removed, too."""
    found = await store.read(rows.unreferred, now_ms())
    while found.ids:
        await store.write_soon(rows.remove_items, found)
        found = msgspec.structs.replace(found, ids=found.ids[rows.ITEMS_AT_ONCE :])
