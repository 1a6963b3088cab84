"""The self-check, when it is asked for and once after each start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loguru import logger

from deskside.backend import leaks, redaction
from deskside.backend.errors import AppError
from deskside.backend.leaks import SelfCheck
from deskside.backend.store.errors import Failure

if TYPE_CHECKING:
    from deskside.backend.faults import Faults
    from deskside.backend.keys import Keys
    from deskside.backend.mcp.servers import McpServers
    from deskside.backend.paths import Paths

# The start of the program belongs to the user.
FIRST_LOOK_S = 30
# One who waits may wait; one who did not ask shall not notice.
LIMIT_S = 600.0
BACKGROUND_LIMIT_S = 120.0


class SelfChecks:
    """Looks for live keys in what the program has written. Used from the backend's loop only."""

    def __init__(self, paths: Paths, keys: Keys, mcp: McpServers, faults: Faults) -> None:
        self._paths = paths
        self._keys = keys
        self._mcp = mcp
        self._faults = faults
        self._turn = asyncio.Lock()

    async def run(self, *, in_background: bool = False) -> SelfCheck:
        """Look now; each key that is found is a failure of which the user is told. Shows no prompt."""
        async with self._turn:
            unread = await self._keys.learn_all() + await self._mcp.learn_secrets()
            found = await asyncio.to_thread(
                leaks.self_check,
                self._paths,
                redaction.PROCESS.known,
                unread,
                limit_s=BACKGROUND_LIMIT_S if in_background else LIMIT_S,
                rest=leaks.REST if in_background else 0.0,
            )
        for leak in found.leaks:
            where = f"{leak.path} {leak.table}".strip()
            self._faults.add(Failure("keys", "key_found", leaks.summary(leak), where, leaks.advice(leak)))
        logger.info("self-check: {} keys, {} files, {} found", found.keys, found.files, len(found.leaks))
        return found

    async def run_after_start(self) -> None:
        await asyncio.sleep(FIRST_LOOK_S)
        try:
            await self.run(in_background=True)
        except AppError as error:
            logger.warning("the self-check could not be made: {}", error.code)


@asynccontextmanager
async def open_self_checks(
    paths: Paths, keys: Keys, mcp: McpServers, faults: Faults
) -> AsyncIterator[SelfChecks]:
    """Look once, some time after the start."""
    checks = SelfChecks(paths, keys, mcp, faults)
    task = asyncio.create_task(checks.run_after_start(), name="self-check")
    try:
        yield checks
    finally:
        task.cancel()
        await asyncio.wait([task])
