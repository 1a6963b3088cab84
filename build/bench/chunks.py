#!/usr/bin/env python3
"""What a streamed reply costs the client's CPU: ours against the raw SDKs, in one interleaved run.

    python build/bench/chunks.py [--chunks 200] [--more-chunks 2000] [--rounds 30] [--delay-s 0]

The server runs in a process of its own, so `process_time` is the client's alone: transport, splitting,
decoding, events. Each round plays every variant once, after another in turn, so that a slow moment of
the machine hits all alike. Printed are milliseconds of CPU a reply, and the ratio to the variant's
baseline round by round, each as min / median / max.

`ours` is the adapter alone; `run` is a whole run through the program: question, loop, flushes, events, the
finished reply in the database, with all of its threads.

A reply costs something however short it is (the request; in a run, two commits that survive a power cut).
What each further chunk costs is measured by itself, with a second, longer reply: the difference of the two
medians by the chunks that it has more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for root in ("shell", "bridge", "backend"):
    sys.path.insert(0, str(ROOT / root))

import anthropic  # noqa: E402
import openai  # noqa: E402
from loguru import logger  # noqa: E402

from deskside.backend.agent.events import Model, ModelRequest, TextDelta, UserText  # noqa: E402
from deskside.backend.agent.providers import make_model  # noqa: E402
from deskside.backend.agent.transport import Http  # noqa: E402
from deskside.backend.app import App, open_app  # noqa: E402
from deskside.backend.events import MessageChanged  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store.messages import TextPart  # noqa: E402

KEY = "sk-bench-not-a-key"
TARGETS = {
    "chat ours": 0.20,
    "responses ours": 0.22,
    "messages ours": 0.65,
    "chat run": 0.3,
    "responses run": 0.3,
    "messages run": 0.7,
}


@dataclass(frozen=True)
class Variant:
    """`play` takes one whole reply and returns how many characters of text it held."""

    name: str
    play: Callable[[], Awaitable[int]]
    baseline: str = ""


@asynccontextmanager
async def variants(urls: dict[str, str]) -> AsyncIterator[list[Variant]]:
    openai_client = openai.AsyncOpenAI(api_key=KEY, base_url=urls["openai_url"], max_retries=0)
    anthropic_client = anthropic.AsyncAnthropic(api_key=KEY, base_url=urls["anthropic_url"], max_retries=0)
    async with Http() as http, openai_client, anthropic_client, AsyncExitStack() as stack:
        chat = make_model("local/m", key=KEY, http=http, base_url=urls["openai_url"])
        responses = make_model("openai/m", key=KEY, http=http, base_url=urls["openai_url"])
        messages = make_model("anthropic/m", key=KEY, http=http, base_url=urls["anthropic_url"])
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="deskside-bench-")))
        overrides = {"bench/chat": chat, "bench/responses": responses, "bench/messages": messages}
        app = await stack.enter_async_context(
            open_app(Paths(folder, folder / "logs", folder / "cache"), overrides)
        )
        yield [
            Variant("chat raw", lambda: raw_chat(openai_client)),
            Variant("chat ours", lambda: ours(chat), "chat raw"),
            Variant("chat run", lambda: whole_run(app, "bench/chat"), "chat raw"),
            Variant("responses raw", lambda: raw_responses(openai_client)),
            Variant("responses ours", lambda: ours(responses), "responses raw"),
            Variant("responses run", lambda: whole_run(app, "bench/responses"), "responses raw"),
            Variant("messages raw", lambda: raw_messages(anthropic_client)),
            Variant("messages ours", lambda: ours(messages), "messages raw"),
            Variant("messages run", lambda: whole_run(app, "bench/messages"), "messages raw"),
        ]


async def raw_chat(client: openai.AsyncOpenAI) -> int:
    characters = 0
    stream = await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        for choice in chunk.choices:
            characters += len(choice.delta.content or "")
    return characters


async def raw_responses(client: openai.AsyncOpenAI) -> int:
    characters = 0
    async for event in await client.responses.create(model="m", input="Hello", stream=True, store=False):
        if event.type == "response.output_text.delta":
            characters += len(event.delta)
    return characters


async def raw_messages(client: anthropic.AsyncAnthropic) -> int:
    characters = 0
    stream = await client.messages.create(
        model="m", max_tokens=1000, messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            characters += len(event.delta.text)
    return characters


async def ours(model: Model) -> int:
    characters = 0
    async for event in model.stream(ModelRequest([UserText("Hello")])):
        if isinstance(event, TextDelta):
            characters += len(event.text)
    return characters


async def whole_run(app: App, model: str) -> int:
    """A new conversation, one question, and the events that a page would get, to the finished reply."""
    seen = app.events.last
    started = await app.runs.start(None, "Hello", model)
    while True:
        await app.events.wait_beyond(seen)
        for event in app.events.since(seen, 10_000) or []:
            seen += 1
            if isinstance(event, MessageChanged) and event.message.id == started.reply.id:
                if event.message.status == "complete":
                    return sum(len(part.text) for part in event.message.parts if isinstance(part, TextPart))
                assert event.message.status == "streaming", event.message.error


async def measure(urls: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU by variant, one a round."""
    spent_ms: dict[str, list[float]] = {}
    async with variants(urls) as each_variant:
        expected = {await variant.play() for variant in each_variant for _ in range(3)}
        assert len(expected) == 1, f"the variants read different texts: {expected}"
        for _ in range(rounds):
            for variant in each_variant:
                gc.collect()  # nobody pays for what another left behind
                before = time.process_time()
                await variant.play()
                spent_ms.setdefault(variant.name, []).append((time.process_time() - before) * 1000)
        print_figures(each_variant, spent_ms)
    return spent_ms


def print_figures(each_variant: list[Variant], spent_ms: dict[str, list[float]]) -> None:
    print(f"{'':<16}{'ms of CPU a reply':>26}{'ratio to raw':>26}")
    for variant in each_variant:
        spent = spent_ms[variant.name]
        line = f"{variant.name:<16}{spread(spent, '.1f'):>26}"
        if variant.baseline:
            ratios = [one / base for one, base in zip(spent, spent_ms[variant.baseline], strict=True)]
            target = TARGETS.get(variant.name)
            line += f"{spread(ratios, '.3f'):>26}" + (f"   target {target:.2f}" if target else "")
        print(line)


def print_each_chunk(fewer: dict[str, list[float]], more: dict[str, list[float]], chunks: int) -> None:
    """`more` are replies with `chunks` more than those of `fewer`."""
    each_us = {
        name: (statistics.median(more[name]) - statistics.median(spent)) * 1000 / chunks
        for name, spent in fewer.items()
    }
    print("\neach further chunk")
    for name, spent_us in each_us.items():
        baseline = f"{name.split()[0]} raw"
        ratio = "" if name == baseline else f"   ratio to raw {spent_us / each_us[baseline]:.3f}"
        print(f"{name:<16}{spent_us:10.1f} us{ratio}")


def spread(values: list[float], form: str) -> str:
    return " / ".join(format(value, form) for value in (min(values), statistics.median(values), max(values)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--more-chunks", type=int, default=2000, help="of the longer reply")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--delay-s", type=float, default=0.0, help="between two chunks; 0 sends one burst")
    options = parser.parse_args()
    logger.remove()  # the log's file is not what is measured here
    fewer = measured(options.chunks, options)
    more = measured(options.more_chunks, options)
    print_each_chunk(fewer, more, options.more_chunks - options.chunks)


def measured(chunks: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measure replies of so many chunks, on the event loop that the program uses."""
    print(f"\n{chunks} chunks")
    command = [sys.executable, str(ROOT / "tests" / "provider_server.py"), "--chunks", str(chunks)]
    command += ["--chunk-delay-s", str(options.delay_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            urls: dict[str, Any] = json.loads(server.stdout.readline())
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(measure(urls, options.rounds))
        finally:
            server.terminate()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists, as the program (bridge/thread.py)."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
