#!/usr/bin/env python3
"""What it costs each bridge call that it can be traced.

    python build/bench/tracing.py [--calls 2000] [--rounds 30]

A command that does nothing goes through our dispatch in an open program, once as it is (the request's id is
read and set, what the user does is noted where a crash of Python is told from, time and outcome are counted)
and once without what is there for tracing, in turn. Printed are microseconds of CPU of one call, and the
difference round by round, each as min / median / max. Exits with 1 where the difference is above 30 µs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend", "build")]

from bench.chunks import loop_factory, spread  # noqa: E402 - a checkout that is not installed
from deskside.backend import crashes  # noqa: E402
from deskside.backend.app import App, open_app  # noqa: E402
from deskside.backend.log import open_log, request_id  # noqa: E402
from deskside.backend.metrics.timings import Timings  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.bridge.desktop import NoDesktop  # noqa: E402
from deskside.bridge.registry import Bridge, Registry, command  # noqa: E402
from deskside.bridge.socket import read_request_id  # noqa: E402

MOST_US = 30
SENT_ID = "0123456789ab"


@command
async def touch(app: App) -> None:
    """Do nothing."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--calls", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=30)
    options = arguments.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(measure(options.calls, options.rounds))


async def measure(calls: int, rounds: int) -> int:
    commands = ModuleType(touch.__module__)
    commands.touch = touch  # type: ignore[attr-defined]
    registry = Registry([commands])
    (name,) = registry.commands

    spent_us: dict[bool, list[float]] = {False: [], True: []}
    with TemporaryDirectory(prefix="deskside-bench-") as folder:
        paths = Paths(Path(folder), Path(folder) / "logs", Path(folder) / "cache")
        with open_log(paths.logs), crashes.reporting(paths.logs / "crashes"):
            async with open_app(paths) as app:
                bridge = Bridge(app, registry, NoDesktop(), Timings())

                async def traced() -> None:
                    request_id.set(read_request_id(SENT_ID))
                    await registry.dispatch(bridge, name, b"null")

                async def untraced() -> None:
                    await registry._outcome(bridge, name, b"null", None)

                ways: dict[bool, Callable[[], Awaitable[None]]] = {False: untraced, True: traced}
                for n in range(rounds + 2):
                    for is_traced in (n % 2 == 0, n % 2 == 1):  # neither always comes first
                        gc.collect()
                        before_s = time.thread_time()
                        for _ in range(calls):
                            await ways[is_traced]()
                        if n >= 2:
                            spent_us[is_traced].append((time.thread_time() - before_s) / calls * 1e6)
    more = [one - other for one, other in zip(spent_us[True], spent_us[False], strict=True)]
    print("µs of CPU a call, min / median / max")
    print(f"{'without':16}{spread(spent_us[False], '.1f'):>24}")
    print(f"{'with tracing':16}{spread(spent_us[True], '.1f'):>24}")
    print(f"{'more':16}{spread(more, '.1f'):>24}   aim {MOST_US}")
    return int(statistics.median(more) > MOST_US)


if __name__ == "__main__":
    sys.exit(main())
