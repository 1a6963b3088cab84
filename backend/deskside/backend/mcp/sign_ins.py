"""Sign-ins that are under way: one a server, each in a task of its own, so that a page that goes away ends
none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from deskside.backend.errors import Conflict

# A person finds their password, and perhaps their telephone.
BROWSER_S = 600.0


class SignIns:
    """All methods belong to the loop's thread. `publish` is called when one begins or has ended."""

    def __init__(self, publish: Callable[[], None]) -> None:
        self._publish = publish
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def is_under_way(self, server_id: int) -> bool:
        return server_id in self._tasks

    async def run(self, server_id: int, sign_in: Coroutine[None, None, None]) -> None:
        """Return once it has ended, also when it was cancelled; raise what it raised. It goes on when the
        caller does not wait. Raises Conflict while there is another one at this server."""
        if server_id in self._tasks:
            sign_in.close()
            raise Conflict(
                "You are about to sign in there.", hint="Go on in your browser, or cancel it first."
            )
        task = asyncio.create_task(sign_in, name=f"mcp sign-in {server_id}")
        self._tasks[server_id] = task
        task.add_done_callback(lambda task: self._forget(server_id, task))
        self._publish()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def cancel(self, server_id: int) -> None:
        """End it, if there is one, and wait until it has."""
        task = self._tasks.get(server_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        for server_id in list(self._tasks):
            await self.cancel(server_id)

    def _forget(self, server_id: int, task: asyncio.Task[None]) -> None:
        del self._tasks[server_id]
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits for it any more
        self._publish()
