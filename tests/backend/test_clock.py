"""A clock that is wrong, was set back, or jumps ahead: order and trash follow what happened."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deskside.backend.store import conversations
from deskside.backend.store.database import Store, open_store
from deskside.backend.trash import BELIEVED_MS, believed_ms, empty_expired
from stores import answer, ask, paths_in, shown, talk, texts

DAY_MS = 86_400_000


class Clock:
    """The system's clock, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = 1_800_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: self.now_ms * 1_000_000)
        monkeypatch.setattr(time, "time", lambda: self.now_ms / 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def listed(store: Store) -> list[int]:
    return [row.id for row in (await store.read(conversations.page, None, 50)).conversations]


async def test_what_was_used_last_comes_first_also_after_the_clock_was_set_back(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await talk(store, ("one", "1"))
        second = await talk(store, ("two", "2"))
        clock.now_ms -= 400 * DAY_MS
        third = await talk(store, ("three", "3"))
        asked = await ask(store, "one more", first)
        await answer(store, asked, "11")

        assert [first, third, second] == await listed(store)
        assert ["one", "1", "one more", "11"] == texts(await shown(store, first))
        first_page = await store.read(conversations.page, None, 2)
        second_page = await store.read(conversations.page, first_page.next_cursor, 2)
        assert [first, third] == [row.id for row in first_page.conversations]
        assert [second] == [row.id for row in second_page.conversations]


async def test_a_clock_that_was_ahead_once_leaves_new_conversations_on_top(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        clock.now_ms += 20_000 * DAY_MS
        wrong = await talk(store, ("from the future", "1"))
        clock.now_ms -= 20_000 * DAY_MS
        right = await talk(store, ("now", "2"))

        assert [right, wrong] == await listed(store)
        (message, _) = await shown(store, right)
        assert clock.now_ms == message.created_ms


async def test_the_trash_is_kept_for_its_days_when_the_clock_is_set_back(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("thrown away", "1"))
        await store.write(conversations.delete, id)
        clock.now_ms -= 29 * DAY_MS
        await empty_expired(store, await believed_ms(store, clock.now_ms))

        assert [id] == await store.read(conversations.in_trash)


async def test_a_clock_that_jumps_years_ahead_does_not_empty_the_trash(tmp_path: Path, clock: Clock) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        await believed_ms(store, clock.now_ms)
        id = await talk(store, ("thrown away", "1"))
        await store.write(conversations.delete, id)
        clock.now_ms += 3000 * DAY_MS
        await empty_expired(store, await believed_ms(store, clock.now_ms))
        assert [id] == await store.read(conversations.in_trash)

        clock.now_ms -= 3000 * DAY_MS
        for _ in range(31 * DAY_MS // BELIEVED_MS + 1):
            clock.now_ms += BELIEVED_MS
            await empty_expired(store, await believed_ms(store, clock.now_ms))
        assert [] == await store.read(conversations.in_trash)
