"""Notices that the machine was asleep, and has what is connected looked into.

The clock that the loop waits by stands still meanwhile (not on Windows), so an answer that was streaming is
waited for as if nothing had been, and a router, or the provider, has long forgotten it. Nothing tells: a
connection without traffic looks the same whether the other side is there or not. So the other side's system
is asked (`doubt` in network/gate.py). A stream whose other side answers goes on, however silent its model;
one that is gone breaks, and its run tries again as after any break. MCP servers elsewhere and downloads hang
on such lines, too. The page, and the programs of MCP servers, slept with us and are where they were.

Sleep is seen by a clock that goes on meanwhile. That needs no service of the system, is the same on all of
them, and holds for a process that was stopped, too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

from deskside.backend.agent.transport import Http
from deskside.backend.network.gate import Gate
from deskside.backend.tasks import running

LOOK_EVERY_S = 2.0
# Under heavy load a look is late by less. A shorter sleep breaks nothing.
SLEPT_S = 10.0
DOUBTED_LOOKS = 10


def now_s() -> float:
    """Seconds since any moment, those of sleep included."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # where time.monotonic() stands still in sleep, and this does not
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


@asynccontextmanager
async def noticing_sleep(gate: Gate, http: Http) -> AsyncIterator[None]:
    """Look into every connection after a sleep, for as long as the context lasts."""
    async with running(_look_again_and_again(gate, http), "waking"):
        yield


async def _look_again_and_again(gate: Gate, http: Http) -> None:
    before_s, doubted_looks = now_s(), 0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        slept_s, before_s = now_s() - before_s - LOOK_EVERY_S, now_s()
        if slept_s > SLEPT_S:
            http.forget_kept()
            doubted_looks = DOUBTED_LOOKS
            logger.info("the machine slept for {:.0f} s; looking into {} connections", slept_s, gate.doubt())
        elif doubted_looks:
            doubted_looks -= 1
            if not doubted_looks:
                gate.trust()
