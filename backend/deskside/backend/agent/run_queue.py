"""At most so many runs at once; the others wait in line, and know their place.

A run that waits for the user takes nobody's place: hours can pass. When they have answered it goes on at
once, also beyond the most, because they are there and wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Placed = Callable[[int], None]


class Turn:
    """One run's turn, for as long as it has it."""

    def __init__(self, queue: RunQueue) -> None:
        self._queue = queue

    def rest(self) -> None:
        """Wait for the user: somebody else may run meanwhile."""
        self._queue.leave()

    def go_on(self) -> None:
        """The user has answered."""
        self._queue.running += 1


class RunQueue:
    """First come, first served. `most` is asked each time, so that a changed setting holds at once.

    Everything happens on the event loop.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self.running = 0
        self._waiting: deque[tuple[asyncio.Future[None], Placed]] = deque()

    @asynccontextmanager
    async def turn(self, placed: Placed) -> AsyncIterator[Turn]:
        """Run the body when it is its turn. `placed` is told the place in line each time it changes: 1 is
        next, 0 is running."""
        if self.running >= self._most() or self._waiting:
            await self._wait(placed)
        else:
            self.running += 1
        try:
            yield Turn(self)
        finally:
            self.leave()

    async def _wait(self, placed: Placed) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (turn, placed)
        self._waiting.append(entry)
        placed(len(self._waiting))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was let in at the very moment
            elif entry in self._waiting:
                self._waiting.remove(entry)
                self._tell_places()
            raise
        placed(0)

    def leave(self) -> None:
        """One less is running."""
        self.running -= 1
        self.let_in()

    def let_in(self) -> None:
        """Let in who has room now. Call it when there may be more."""
        before = len(self._waiting)
        while self._waiting and self.running < self._most():
            turn, _ = self._waiting.popleft()
            if not turn.done():
                self.running += 1
                turn.set_result(None)
        if len(self._waiting) != before:
            self._tell_places()

    def _tell_places(self) -> None:
        for place, (_, placed) in enumerate(self._waiting, start=1):
            placed(place)
