"""Feed one socket from the numbered events.

A socket holds nothing but the number of the last event it was sent. While it is slow the events wait
in the shared buffer, and when it is ready again those that continue each other's text are sent as one:
a slow page gets fewer, larger deltas, and never slows a run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec
from loguru import logger

from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import AppEvent, TextAppended

# A frame that holds more would block the page for longer than a frame at 60 Hz while it is read.
FRAME_EVENTS = 1_000

Send = Callable[[bytes], Awaitable[None]]


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="t"):
    """The first frame. `reset`: what came after the number you gave is gone; load your state anew."""

    epoch: str
    n: int
    reset: bool


class EventFrame(msgspec.Struct, frozen=True, tag="event", tag_field="t"):
    """`n` is the number of the last of `events`."""

    n: int
    events: list[AppEvent]


async def feed(buffer: EventBuffer, epoch: str | None, after: int | None, send: Send) -> None:
    """Send what comes after `after`, for ever. Without `after` begin with what comes next."""
    number = buffer.last
    resumed = after is not None and epoch == buffer.epoch and buffer.since(after, 0) is not None
    if resumed and after is not None:
        number = after
    await send(msgspec.json.encode(Hello(buffer.epoch, number, reset=after is not None and not resumed)))
    while True:
        await buffer.wait_beyond(number)
        events = buffer.since(number, FRAME_EVENTS)
        if events is None:
            number = buffer.last
            await send(msgspec.json.encode(Hello(buffer.epoch, number, reset=True)))
            continue
        number += len(events)
        await send(_frame(number, joined(events)))


def _frame(number: int, events: list[AppEvent]) -> bytes:
    """One frame. Events that cannot be written down (half a character in a text) are left out: they must
    not keep all others from the page."""
    try:
        return msgspec.json.encode(EventFrame(number, events))
    except UnicodeEncodeError:
        return msgspec.json.encode(EventFrame(number, [event for event in events if _can_be_sent(event)]))


def _can_be_sent(event: AppEvent) -> bool:
    try:
        msgspec.json.encode(event)
    except UnicodeEncodeError:
        logger.error("an event could not be sent: {}", type(event).__name__)
        return False
    return True


def joined(events: Iterable[AppEvent]) -> list[AppEvent]:
    """The same events with neighbouring text of one part as one event."""
    result: list[AppEvent] = []
    texts: list[str] = []
    for event in events:
        before = result[-1] if result else None
        if isinstance(event, TextAppended) and isinstance(before, TextAppended) and _continues(before, event):
            texts.append(event.text)
            continue
        _close(result, texts)
        result.append(event)
        texts = [event.text] if isinstance(event, TextAppended) else []
    _close(result, texts)
    return result


def _continues(before: TextAppended, event: TextAppended) -> bool:
    return (before.message_id, before.position, before.kind) == (
        event.message_id,
        event.position,
        event.kind,
    )


def _close(result: list[AppEvent], texts: list[str]) -> None:
    if len(texts) > 1:
        result[-1] = msgspec.structs.replace(result[-1], text="".join(texts))
