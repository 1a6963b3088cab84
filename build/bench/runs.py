#!/usr/bin/env python3
"""What runs cost the client's CPU: ours against the raw SDKs and other agent frameworks, in one run.

    python build/bench/runs.py [--rounds 15] [--scenarios reply,loop,crowd] [--formats chat,messages]
    python build/bench/runs.py --frameworks      make the environment of pydantic-ai and openai-agents first

Three scenarios in each of the three wire formats: a reply of 200 chunks, a loop of ten tool calls and the
answer, and fifty replies of 200 chunks at once. The variants:

    raw             the official SDK, with a tool loop written by hand
    loop            our loop with our adapter, without a store
    run             a whole run of the program: question, events, flushes, the finished reply on the disk
    pydantic-ai, openai-agents      each in a process of its own (frameworks.py)

The server runs in a process of its own, so `process_time` is the client's alone, with all of its threads.
Each round plays every variant once, one after the other, so that a slow moment of the machine hits all
alike. Printed are milliseconds of CPU and the ratio to the raw SDK round by round, each as
min / median / max.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for root in ("shell", "bridge", "backend", "build"):
    sys.path.insert(0, str(ROOT / root))

import anthropic  # noqa: E402
import openai  # noqa: E402
from loguru import logger  # noqa: E402

from bench.chunks import KEY, loop_factory, spread  # noqa: E402
from deskside.backend.agent import loop  # noqa: E402
from deskside.backend.agent.events import (  # noqa: E402
    ApprovalQuestion,
    HistoryItem,
    Model,
    ModelRequest,
    Steered,
    TextDelta,
    ToolDecided,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.limits import Exceeded  # noqa: E402
from deskside.backend.agent.providers import make_model  # noqa: E402
from deskside.backend.agent.transport import Http  # noqa: E402
from deskside.backend.app import App, open_app  # noqa: E402
from deskside.backend.events import MessageChanged  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store.messages import TextPart  # noqa: E402
from deskside.backend.tools.calculate import calculate  # noqa: E402
from deskside.backend.tools.context import ToolContext  # noqa: E402
from deskside.backend.tools.declaration import Tool  # noqa: E402

QUESTION = "Hello"
VENV = ROOT / ".build" / "bench-venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
FRAMEWORKS = ("pydantic-ai", "openai-agents")
STORE_FACTOR = 1.5  # what a whole run may cost, against the loop alone


@dataclass(frozen=True)
class Scenario:
    """`server` is how the server answers, `at_once` how many are asked for together. `aims` are ratios to
    the raw SDK, for the loop alone."""

    label: str
    server: tuple[str, ...]
    at_once: int
    aims: Mapping[str, float]


SCENARIOS = {
    "reply": Scenario(
        "a reply of 200 chunks",
        ("--chunks", "200"),
        1,
        {"chat": 0.20, "responses": 0.22, "messages": 0.65},
    ),
    "loop": Scenario(
        "ten tool calls, then the answer",
        ("--chunks", "5", "--tool-steps", "10"),
        1,
        {"chat": 0.32, "responses": 0.18, "messages": 0.90},
    ),
    "crowd": Scenario(
        "fifty replies of 200 chunks at once",
        ("--chunks", "200"),
        50,
        {"chat": 0.20, "responses": 0.24, "messages": 0.60},
    ),
}
FORMATS = ("chat", "responses", "messages")

Play = Callable[[], Awaitable[int]]
"""Takes one whole reply and returns how many characters of text it held."""


@dataclass(frozen=True)
class Variant:
    """`measure` plays so many replies at once: milliseconds of CPU, and characters of text in all."""

    wire: str
    name: str
    measure: Callable[[int], Awaitable[tuple[float, int]]]


# -- the raw SDKs -------------------------------------------------------------------------------

DESCRIPTION = calculate.spec.description
PARAMETERS = calculate.spec.parameters


def raw_result(arguments: str) -> str:
    function = calculate.function
    return str(function(**json.loads(arguments)))


async def raw_chat(client: openai.AsyncOpenAI) -> int:
    characters = 0
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    function: Any = {"name": "calculate", "description": DESCRIPTION, "parameters": PARAMETERS}
    while True:
        calls: dict[int, Any] = {}
        text = ""
        stream = await client.chat.completions.create(
            model="m",
            messages=messages,
            tools=[{"type": "function", "function": function}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for piece in choice.delta.tool_calls or []:
                    call = calls.setdefault(
                        piece.index, {"type": "function", "function": {"name": "", "arguments": ""}}
                    )
                    if piece.id:
                        call["id"] = piece.id
                    if piece.function is not None:
                        call["function"]["name"] += piece.function.name or ""
                        call["function"]["arguments"] += piece.function.arguments or ""
        characters += len(text)
        if not calls:
            return characters
        messages.append({"role": "assistant", "content": text, "tool_calls": list(calls.values())})
        for call in calls.values():
            result = raw_result(call["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


async def raw_responses(client: openai.AsyncOpenAI) -> int:
    characters = 0
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    tool: Any = {
        "type": "function",
        "name": "calculate",
        "description": DESCRIPTION,
        "parameters": PARAMETERS,
        "strict": False,
    }
    while True:
        calls: list[Any] = []
        text = ""
        async for event in await client.responses.create(
            model="m", input=items, tools=[tool], stream=True, store=False
        ):
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                calls.append(event.item)
        characters += len(text)
        if not calls:
            return characters
        items.append({"role": "assistant", "content": text})
        for call in calls:
            asked = {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            items.append({"type": "function_call", **asked})
            output = raw_result(call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})


async def raw_messages(client: anthropic.AsyncAnthropic) -> int:
    characters = 0
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    tool: Any = {"name": "calculate", "description": DESCRIPTION, "input_schema": PARAMETERS}
    while True:
        calls: list[tuple[str, list[str]]] = []
        text = ""
        async for event in await client.messages.create(
            model="m", max_tokens=1000, messages=messages, tools=[tool], stream=True
        ):
            if event.type == "content_block_start" and event.content_block.type == "tool_use":
                calls.append((event.content_block.id, []))
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                text += event.delta.text
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                calls[-1][1].append(event.delta.partial_json)
        characters += len(text)
        if not calls:
            return characters
        said: list[Any] = [{"type": "text", "text": text}]
        results: list[Any] = []
        for id, pieces in calls:
            arguments = "".join(pieces)
            asked = {"id": id, "name": "calculate", "input": json.loads(arguments)}
            said.append({"type": "tool_use", **asked})
            content = raw_result(arguments)
            results.append({"type": "tool_result", "tool_use_id": id, "content": content})
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": results}]


# -- ours ---------------------------------------------------------------------------------------


class Alone:
    """What the loop needs of whoever started it, where there is no store, no limit and no user."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def model(self, name: str) -> Model:
        return self._model

    async def context_tokens(self, model: str) -> int | None:
        return 200_000

    def take_steering(self) -> list[Steered]:
        return []

    def has_steering(self) -> bool:
        return False

    async def exceeds(self, call_id: str, model: str, request: ModelRequest) -> Exceeded | None:
        return None

    async def exceeds_with_tools(self, wanted: int) -> Exceeded | None:
        return None

    async def word(self) -> bool:
        return True

    def context(self, call_id: str) -> ToolContext:
        services: Any = None  # `calculate` uses nothing of the program
        return ToolContext(services, 1, 1, 1, None, call_id)

    def ran(self, name: str, seconds: float, failure: str) -> None:
        """Nobody asks."""

    async def question(
        self, tool: Tool, request: ToolRequested, arguments: Any, history: Sequence[HistoryItem]
    ) -> ApprovalQuestion | None:
        return None

    async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
        raise NotImplementedError


async def our_loop(model: Model) -> int:
    """The one place that knows how the loop is called."""
    characters = 0
    history: list[HistoryItem] = [UserText(QUESTION)]
    plan = loop.Plan([model.name], [calculate])
    async with aclosing(loop.run(Alone(model), plan, history)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                characters += len(event.text)
    return characters


class Page:
    """What a page does while replies come: reads each event once, and sees the ends of replies."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ends: dict[int, asyncio.Future[int]] = {}

    async def ask(self, model: str) -> int:
        """A new conversation and one question, to the finished reply."""
        started = await self._app.runs.start(None, QUESTION, model)
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends[started.reply.id] = end
        return await end

    async def read(self) -> None:
        events = self._app.events
        seen = events.last
        while True:
            await events.wait_beyond(seen)
            for event in events.since(seen, 10_000) or []:
                seen += 1
                if isinstance(event, MessageChanged) and event.message.id in self._ends:
                    message = event.message
                    if message.status != "streaming":
                        assert message.status == "complete", message.error
                        texts = (part.text for part in message.parts if isinstance(part, TextPart))
                        self._ends.pop(message.id).set_result(sum(map(len, texts)))


# -- measuring ----------------------------------------------------------------------------------


def here(wire: str, name: str, play: Play) -> Variant:
    """A variant in this process."""

    async def measure(at_once: int) -> tuple[float, int]:
        gc.collect()  # nobody pays for what another left behind
        before = time.process_time()
        characters = await asyncio.gather(*(play() for _ in range(at_once)))
        return (time.process_time() - before) * 1000, sum(characters)

    return Variant(wire, name, measure)


@asynccontextmanager
async def framework(name: str, url: str) -> AsyncIterator[list[Variant]]:
    """A framework's variants, in a process that ends with this block."""
    child = await asyncio.create_subprocess_exec(
        str(VENV_PYTHON),
        str(Path(__file__).with_name("frameworks.py")),
        name,
        url,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    stdin, stdout = child.stdin, child.stdout

    def variant(wire: str) -> Variant:
        async def measure(at_once: int) -> tuple[float, int]:
            stdin.write(f"{wire} {at_once}\n".encode())
            answer = json.loads(await stdout.readline())
            return answer["spent_ms"], answer["characters"]

        return Variant(wire, name, measure)

    try:
        ready = json.loads(await stdout.readline())
        yield [variant(wire) for wire in ready["formats"]]
    finally:
        stdin.close()
        await child.wait()


@asynccontextmanager
async def variants(urls: dict[str, str]) -> AsyncIterator[list[Variant]]:
    """Every variant in every format."""
    async with AsyncExitStack() as stack:
        openai_client = await stack.enter_async_context(
            openai.AsyncOpenAI(api_key=KEY, base_url=urls["openai_url"], max_retries=0)
        )
        anthropic_client = await stack.enter_async_context(
            anthropic.AsyncAnthropic(api_key=KEY, base_url=urls["anthropic_url"], max_retries=0)
        )
        http = await stack.enter_async_context(Http())
        models = {
            "chat": make_model("local/m", key=KEY, http=http, base_url=urls["openai_url"]),
            "responses": make_model("openai/m", key=KEY, http=http, base_url=urls["openai_url"]),
            "messages": make_model("anthropic/m", key=KEY, http=http, base_url=urls["anthropic_url"]),
        }
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="deskside-bench-")))
        overrides = {f"bench/{wire}": model for wire, model in models.items()}
        app = await stack.enter_async_context(
            open_app(Paths(folder, folder / "logs", folder / "cache"), overrides)
        )
        await app.settings.change({"max_runs": max(each.at_once for each in SCENARIOS.values())})
        page = Page(app)
        reading = asyncio.create_task(page.read())
        stack.callback(reading.cancel)
        raw: dict[str, Play] = {
            "chat": lambda: raw_chat(openai_client),
            "responses": lambda: raw_responses(openai_client),
            "messages": lambda: raw_messages(anthropic_client),
        }
        made: list[Variant] = []
        for wire, model in models.items():
            made.append(here(wire, "raw", raw[wire]))
            made.append(here(wire, "loop", lambda model=model: our_loop(model)))  # type: ignore[misc]
            made.append(here(wire, "run", lambda name=f"bench/{wire}": page.ask(name)))  # type: ignore[misc]
        if VENV_PYTHON.exists():
            for name in FRAMEWORKS:
                made += await stack.enter_async_context(framework(name, urls["anthropic_url"]))
        yield made


async def measure(scenario: Scenario, wires: list[str], urls: dict[str, str], rounds: int) -> None:
    async with variants(urls) as every:
        chosen = [variant for wire in wires for variant in every if variant.wire == wire]
        read = {
            (variant.wire, variant.name): (await variant.measure(1))[1]
            for variant in chosen
            for _ in range(3)
        }
        assert len(set(read.values())) == 1, f"the variants read different texts: {read}"
        spent_ms: dict[Variant, list[float]] = {variant: [] for variant in chosen}
        for _ in range(rounds):
            for variant in chosen:
                spent_ms[variant].append((await variant.measure(scenario.at_once))[0])
        print_figures(scenario, spent_ms)


def print_figures(scenario: Scenario, spent_ms: Mapping[Variant, list[float]]) -> None:
    raw = {variant.wire: spent for variant, spent in spent_ms.items() if variant.name == "raw"}
    print(f"\n{scenario.label:<36}{'ms of CPU':>24}{'ratio to raw':>24}")
    for variant, spent in spent_ms.items():
        line = f"{variant.wire + ' ' + variant.name:<36}{spread(spent, '.1f'):>24}"
        if variant.name != "raw":
            ratios = [one / base for one, base in zip(spent, raw[variant.wire], strict=True)]
            line += f"{spread(ratios, '.2f'):>24}"
        factors = {"loop": 1.0, "run": STORE_FACTOR}
        if variant.name in factors:
            line += f"   aim {scenario.aims[variant.wire] * factors[variant.name]:.2f}"
        print(line, flush=True)


def measured(scenario: Scenario, wires: list[str], rounds: int) -> None:
    """Measure one scenario, on the event loop that the program uses."""
    command = [sys.executable, str(ROOT / "tests" / "provider_server.py"), *scenario.server]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            urls: dict[str, str] = json.loads(server.stdout.readline())
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(measure(scenario, wires, urls, rounds))
        finally:
            server.terminate()


def make_environment() -> None:
    """The frameworks' environment under .build, from its own lock."""
    venv.create(VENV, clear=True, with_pip=True)
    lock = ROOT / "build" / "requirements" / "bench.txt"
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--require-hashes", "--requirement", str(lock)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--frameworks", action="store_true", help="make their environment first")
    options = parser.parse_args()
    if options.frameworks:
        make_environment()
    if not VENV_PYTHON.exists():
        print(f"{', '.join(FRAMEWORKS)} are left out: make their environment with --frameworks.")
    logger.remove()  # the log's file is not what is measured here
    for name in options.scenarios.split(","):
        measured(SCENARIOS[name], options.formats.split(","), options.rounds)


if __name__ == "__main__":
    main()
