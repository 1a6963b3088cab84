"""A model that plays a script: for tests, and to show the program without any provider."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

from deskside.backend.agent.events import (
    ModelEvent,
    ModelRequest,
    StepFinished,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolRequested,
)
from deskside.backend.errors import AppError, Internal


class Pause:
    """Wait so many seconds before going on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Hang:
    """Say nothing more until `release` is called (or the run is stopped, which is what it is for).

    `await hang.reached.wait()` returns when the model hangs; `was_cancelled` says how it ended.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.was_cancelled = False
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.reached.set()
        try:
            await self._released.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


ScriptItem = str | ModelEvent | AppError | Pause | Hang
Step = str | Sequence[ScriptItem]


class ScriptedModel:
    """Answers the first request with the first step of `script`, the second with the second.

    A step is what the model does in one call: a text is said in one piece, an event is passed on, an
    `AppError` is raised, `Pause` and `Hang` wait. A lone text is a step of its own. What every provider
    sends is added where the script leaves it out: the start and arguments of a tool call before its
    ToolRequested, and StepFinished at the end.

    `requests` holds what was asked, in order. A request beyond the script raises Internal.
    """

    def __init__(self, script: Iterable[Step] = (), *, name: str = "scripted/model") -> None:
        self.requests: list[ModelRequest] = []
        self._name = name
        self._steps: deque[Step] = deque(script)

    @property
    def name(self) -> str:
        return self._name

    def enqueue(self, *steps: Step) -> None:
        """Go on with these steps when the script so far is done."""
        self._steps.extend(steps)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Play the next step. See `Model.stream`."""
        self.requests.append(request)
        if not self._steps:
            raise Internal(f"The script of {self._name} has no step for call {len(self.requests)}.")
        step = self._steps.popleft()
        for item in _complete([step] if isinstance(step, str) else step):
            if isinstance(item, AppError):
                raise item
            if isinstance(item, Pause):
                await asyncio.sleep(item.seconds)
            elif isinstance(item, Hang):
                await item.wait()
            else:
                yield TextDelta(item) if isinstance(item, str) else item
                # As a real model would between two chunks: let a stop, or another run, have its turn.
                await asyncio.sleep(0)


def in_chunks(text: str, size: int = 4) -> list[str]:
    """`text` in pieces of `size` characters, as a model would stream it."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _complete(items: Sequence[ScriptItem]) -> Iterator[ScriptItem]:
    started = {item.call_id for item in items if isinstance(item, ToolCallStarted)}
    asked_for_tools = has_finished = False
    for item in items:
        if isinstance(item, ToolRequested):
            asked_for_tools = True
            if item.call_id not in started:
                yield ToolCallStarted(item.call_id, item.name)
                yield ToolArgumentsDelta(item.call_id, item.arguments)
        has_finished = has_finished or isinstance(item, StepFinished)
        yield item
    if not has_finished:
        yield StepFinished("tool_use" if asked_for_tools else "answered")
