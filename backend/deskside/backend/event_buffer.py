"""The numbered events of this run of the program, as far back as they are kept.

Publishers never wait and never know who listens. Listeners hold a number and ask for what came after
it, so a slow one costs nothing but its own delay, and one that comes back after a break misses nothing
that is still kept.

Invariants
  - Numbers rise by one, without gaps; a number, once read, always means the same event.
  - Text of one part is joined for MERGE_S before it gets a number; any other event first gives the
    waiting text its numbers, so what was published in order is numbered in order.

Everything here happens on the one event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque

from deskside.backend.events import AppEvent, TextAppended

# 16 ms: one frame at 60 Hz. Models write up to a few hundred deltas a second; the eye sees sixty.
MERGE_S = 0.016
KEPT_EVENTS = 10_000


class WaitingText:
    """Text of one part that has no number yet."""

    __slots__ = ("first", "texts")

    def __init__(self, first: TextAppended) -> None:
        self.first = first
        self.texts = [first.text]

    def joined(self) -> TextAppended:
        if len(self.texts) == 1:
            return self.first
        first = self.first
        return TextAppended(
            first.conversation_id,
            first.message_id,
            first.position,
            first.kind,
            first.offset,
            "".join(self.texts),
        )


class EventBuffer:
    """The last `keep` events. `epoch` tells one run of the program from another: numbers start anew."""

    def __init__(self, keep: int = KEPT_EVENTS, merge_s: float = MERGE_S) -> None:
        self.epoch = secrets.token_hex(8)
        self._merge_s = merge_s
        self._events: deque[AppEvent] = deque(maxlen=keep)
        self._last = 0
        self._waiting: dict[tuple[int, int], WaitingText] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first. Waiting text is numbered first, so that
        what was published before this call has a number up to the one returned."""
        self._number_waiting_text()
        return self._last

    def publish(self, event: AppEvent) -> None:
        """Tell every listener. Text of one part must be published in order and without a gap."""
        if not isinstance(event, TextAppended):
            self._number_waiting_text()
            self._number(event)
            return
        waiting = self._waiting.get((event.message_id, event.position))
        if waiting is not None:
            waiting.texts.append(event.text)
            return
        self._waiting[event.message_id, event.position] = WaitingText(event)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._merge_s, self._number_waiting_text)

    def since(self, number: int, limit: int) -> list[AppEvent] | None:
        """At most `limit` events after `number`, oldest first; None when some of them are gone, or when
        `number` is from another run of the program."""
        missing = self._last - number
        if missing < 0 or missing > len(self._events):
            return None
        start = len(self._events) - missing
        return [self._events[index] for index in range(start, min(start + limit, len(self._events)))]

    async def wait_beyond(self, number: int) -> None:
        """Return once there is an event after `number`."""
        while self._last <= number:
            await self._news.wait()

    def _number_waiting_text(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for text in waiting.values():
            self._number(text.joined())

    def _number(self, event: AppEvent) -> None:
        self._events.append(event)
        self._last += 1
        # Whoever waits now is woken; whoever waits later waits for the next one.
        self._news.set()
        self._news = asyncio.Event()
