#!/usr/bin/env python3
"""How soon the provider sees that an answer is not wanted any more.

    python build/bench/cancels.py [--tries 50]

Milliseconds from the stop to the moment in which the server finds the connection closed, in each wire
format: while nothing has come yet, and in the middle of the text; by cancelling the task that reads our
adapter, and by stopping a whole run of the program. Printed are median / max. The server is a thread of this
process, so the figures hold a change of threads as well.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
for root in ("shell", "bridge", "backend", "build", "tests"):
    sys.path.insert(0, str(ROOT / root))

from loguru import logger  # noqa: E402

from bench.chunks import KEY, loop_factory  # noqa: E402
from deskside.backend.agent.events import Model, ModelRequest, TextDelta, UserText  # noqa: E402
from deskside.backend.agent.providers import make_model  # noqa: E402
from deskside.backend.agent.transport import Http  # noqa: E402
from deskside.backend.app import App, open_app  # noqa: E402
from deskside.backend.events import TextAppended  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from provider_server import (  # noqa: E402
    ProviderServer,
    Reply,
    chat_stream,
    messages_stream,
    responses_stream,
)

AIM_MS = 50
STREAMS = {"chat": chat_stream, "responses": responses_stream, "messages": messages_stream}

Stop = Callable[[], Awaitable[None]]


async def closing_ms(server: ProviderServer, stop: Stop) -> float:
    """Milliseconds from the stop until the server sees it."""
    request = server.requests[-1]
    seen = asyncio.create_task(asyncio.to_thread(seen_at, request.gone.wait))
    await asyncio.sleep(0.002)  # the thread waits by now
    before = time.perf_counter()
    await stop()
    return (await seen - before) * 1000


def seen_at(wait: Callable[[float], bool]) -> float:
    assert wait(10), "the server never saw it"
    return time.perf_counter()


async def until_asked(server: ProviderServer, requests: int) -> None:
    while len(server.requests) == requests:
        await asyncio.sleep(0.001)


async def adapter(server: ProviderServer, model: Model, *, has_begun: bool) -> float:
    begun = asyncio.Event()

    async def read() -> None:
        async for event in model.stream(ModelRequest([UserText("Hello")])):
            if isinstance(event, TextDelta):
                begun.set()

    requests = len(server.requests)
    task = asyncio.create_task(read())
    await until_asked(server, requests)
    if has_begun:
        await begun.wait()

    async def stop() -> None:
        task.cancel()
        await asyncio.wait([task])

    return await closing_ms(server, stop)


async def whole_run(server: ProviderServer, app: App, model: str, *, has_begun: bool) -> float:
    requests, seen = len(server.requests), app.events.last
    started = await app.runs.start(None, "Hello", model)
    await until_asked(server, requests)
    while has_begun:
        events = app.events.since(seen, 1000) or []
        if any(isinstance(event, TextAppended) for event in events):
            break
        await app.events.wait_beyond(seen + len(events))
    return await closing_ms(server, lambda: app.runs.stop(started.reply.id))


async def measure(server: ProviderServer, folder: Path, tries: int) -> None:
    async with Http() as http:
        models = {
            "chat": make_model("local/m", key=KEY, http=http, base_url=server.openai_url),
            "responses": make_model("openai/m", key=KEY, http=http, base_url=server.openai_url),
            "messages": make_model("anthropic/m", key=KEY, http=http, base_url=server.anthropic_url),
        }
        paths = Paths(folder, folder / "logs", folder / "cache")
        async with open_app(paths, {f"bench/{wire}": model for wire, model in models.items()}) as app:
            for wire, model in models.items():
                body = b"".join(STREAMS[wire]([f"word{number} " for number in range(50)]))
                for has_begun in (False, True):
                    reply = Reply(body, hang_after=len(body) // 2, is_silent=not has_begun)
                    alone_ms, run_ms = [], []
                    for _ in range(tries):
                        server.script(reply)
                        alone_ms.append(await adapter(server, model, has_begun=has_begun))
                        server.script(reply)
                        run_ms.append(await whole_run(server, app, f"bench/{wire}", has_begun=has_begun))
                    where = "in the text" if has_begun else "before the head"
                    print_figures(f"{wire} adapter, {where}", alone_ms)
                    print_figures(f"{wire} run, {where}", run_ms)


def print_figures(name: str, spent_ms: list[float]) -> None:
    print(f"{name:<36}{statistics.median(spent_ms):8.2f} /{max(spent_ms):8.2f} ms   aim {AIM_MS}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=50)
    options = parser.parse_args()
    logger.remove()
    with (
        ProviderServer() as server,
        TemporaryDirectory(prefix="deskside-bench-") as folder,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(measure(server, Path(folder), options.tries))


if __name__ == "__main__":
    main()
