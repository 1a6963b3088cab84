"""Events: numbered without gaps, joined without loss, resumed without a repeat."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from page_client import Page

from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import AppEvent, ConversationDeleted, KeysChanged, Notice, TextAppended
from deskside.bridge.events import joined


def text(message: int, offset: int, words: str, position: int = 0) -> TextAppended:
    return TextAppended(1, message, position, "text", offset, words)


async def events_until(socket: Any, last: int) -> list[dict[str, Any]]:
    """All events of this socket up to the one with this number."""
    found: list[dict[str, Any]] = []
    number = 0
    while number < last:
        frame = json.loads(await socket.recv())
        if frame["t"] == "event":
            assert frame["n"] > number
            number = frame["n"]
            found += frame["events"]
    return found


async def test_events_reach_a_page_in_order(page: Page) -> None:
    async with page.socket() as socket:
        hello = json.loads(await socket.recv())
        for number in range(1, 6):
            page.events.publish(ConversationDeleted(number))
        found = await events_until(socket, 5)

    assert {"t": "hello", "epoch": page.events.epoch, "n": 0, "reset": False} == hello
    assert [event["conversation_id"] for event in found] == [1, 2, 3, 4, 5]


async def test_an_event_that_cannot_be_sent_does_not_hold_up_the_others(page: Page) -> None:
    async with page.socket() as socket:
        await socket.recv()
        page.events.publish(Notice("info", "note", "half a character: \udcff", ""))
        page.events.publish(ConversationDeleted(2))
        found = await events_until(socket, 2)

    assert [2] == [event["conversation_id"] for event in found]


async def test_events_resume_after_a_break_without_a_gap_or_a_repeat(page: Page) -> None:
    async with page.socket() as socket:
        page.events.publish(ConversationDeleted(1))
        await events_until(socket, 1)
    page.events.publish(ConversationDeleted(2))
    page.events.publish(ConversationDeleted(3))
    async with page.socket(f"?epoch={page.events.epoch}&after=1") as socket:
        hello = json.loads(await socket.recv())
        found = await events_until(socket, 3)

    assert hello["reset"] is False
    assert [event["conversation_id"] for event in found] == [2, 3]


async def test_a_page_that_knows_another_run_of_the_program_is_told_to_load_anew(page: Page) -> None:
    page.events.publish(ConversationDeleted(1))
    for query in ("?epoch=other&after=0", f"?epoch={page.events.epoch}&after=99", "?epoch=&after=1"):
        async with page.socket(query) as socket:
            hello = json.loads(await socket.recv())

        assert (hello["reset"], hello["n"]) == (True, 1), query


async def test_a_number_that_is_none_begins_with_what_comes_next(page: Page) -> None:
    async with page.socket("?epoch=x&after=%F0%9F%98%80") as socket:
        assert json.loads(await socket.recv())["reset"] is False


async def test_a_page_that_does_not_read_never_slows_the_publisher_and_misses_nothing(page: Page) -> None:
    words = "many words of an answer " * 40
    async with page.socket() as socket:
        for index in range(9_000):
            page.events.publish(text(1, index * len(words), words))
            if index % 100 == 0:
                await asyncio.sleep(0.001)
        last = page.events.last
        found = await events_until(socket, last)

    assert words * 9_000 == "".join(event["text"] for event in found)
    assert len(found) < 9_000


async def test_a_page_that_falls_behind_what_is_kept_is_told_to_load_anew() -> None:
    events = EventBuffer(keep=5)
    for number in range(20):
        events.publish(ConversationDeleted(number))

    assert events.since(10, 100) is None
    assert 5 == len(events.since(15, 100) or [])


async def test_text_waits_for_a_frame_and_other_events_do_not_overtake_it() -> None:
    events = EventBuffer(merge_s=60)
    events.publish(text(1, 0, "one "))
    events.publish(text(1, 4, "two "))
    events.publish(KeysChanged())
    events.publish(text(1, 8, "three"))

    assert [text(1, 0, "one two "), KeysChanged(), text(1, 8, "three")] == events.since(
        0, 10
    ) or events.last == 3
    assert [text(1, 0, "one two "), KeysChanged(), text(1, 8, "three")] == events.since(0, 10)


async def test_waiting_text_is_numbered_when_its_time_has_come() -> None:
    events = EventBuffer(merge_s=0.001)
    events.publish(text(1, 0, "one "))
    async with asyncio.timeout(5):
        await events.wait_beyond(0)

    assert [text(1, 0, "one ")] == events.since(0, 10)


some_events = st.lists(
    st.one_of(
        st.builds(text, st.integers(1, 3), st.integers(0, 50), st.text(max_size=5), st.integers(0, 2)),
        st.builds(ConversationDeleted, st.integers(1, 3)),
        st.just(KeysChanged()),
    ),
    max_size=40,
)


def spoken(events: list[AppEvent]) -> dict[tuple[int, int], str]:
    """All text by part."""
    found: dict[tuple[int, int], str] = {}
    for event in events:
        if isinstance(event, TextAppended):
            key = (event.message_id, event.position)
            found[key] = found.get(key, "") + event.text
    return found


@given(some_events)
def test_joining_changes_neither_the_text_nor_the_order_of_other_events(events: list[AppEvent]) -> None:
    found = joined(events)

    assert spoken(events) == spoken(found)
    assert [e for e in events if not isinstance(e, TextAppended)] == [
        e for e in found if not isinstance(e, TextAppended)
    ]
    assert len(found) <= len(events)


@given(some_events)
def test_every_published_text_is_numbered_exactly_once(events: list[AppEvent]) -> None:
    async def publish() -> list[AppEvent]:
        buffer = EventBuffer(merge_s=60)
        for event in events:
            buffer.publish(event)
        last = buffer.last
        return buffer.since(0, last) or []

    assert spoken(events) == spoken(asyncio.run(publish()))


def test_events_cross_the_wire_and_back() -> None:
    event = text(1, 0, "…")

    assert event == msgspec.json.decode(msgspec.json.encode(event), type=AppEvent)
