"""At most so many runs at once; the others wait in line, and know their place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Placed = Callable[[int], None]


class RunQueue:
    """First come, first served. `most` is asked each time, so that a changed setting holds at once.

    Everything happens on the event loop.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._running = 0
        self._waiting: deque[tuple[asyncio.Future[None], Placed]] = deque()

    @asynccontextmanager
    async def turn(self, placed: Placed) -> AsyncIterator[None]:
        """Run the body when it is its turn. `placed` is told the place in line each time it changes: 1 is
        next, 0 is running."""
        if self._running >= self._most() or self._waiting:
            await self._wait(placed)
        else:
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self.let_in()

    async def _wait(self, placed: Placed) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (turn, placed)
        self._waiting.append(entry)
        placed(len(self._waiting))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._running -= 1  # it was let in at the very moment
                self.let_in()
            elif entry in self._waiting:
                self._waiting.remove(entry)
                self._tell_places()
            raise
        placed(0)

    def let_in(self) -> None:
        """Let in who has room now. Call it when there may be more."""
        before = len(self._waiting)
        while self._waiting and self._running < self._most():
            turn, _ = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)
        if len(self._waiting) != before:
            self._tell_places()

    def _tell_places(self) -> None:
        for place, (_, placed) in enumerate(self._waiting, start=1):
            placed(place)
