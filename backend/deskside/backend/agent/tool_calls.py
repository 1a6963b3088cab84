"""The tool calls of one step, side by side.

Invariants
  - Every request gets exactly one `ToolFinished`, also when its tool is unknown, was refused, raised, was
    given up or cancelled itself, or when the run was stopped.
  - `ToolWaiting`, `ToolDecided` and `ToolStarted` are taken by whoever iterates before the call goes on: what
    is stored as it comes is stored before it has an effect.
  - Events come as they happen, so that one call that waits for the user holds up no other. Results go into
    the history in the model's order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from loguru import logger
from msgspec.structs import replace

from deskside.backend import redaction
from deskside.backend.agent.events import (
    ApprovalQuestion,
    HistoryItem,
    RunEvent,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    is_outside,
)
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.errors import Offline
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, OutsideFailure, Preview, Tool, ToolOutput

OUTPUT_LIMIT = 200_000  # characters of one tool result, about 50k tokens; a longer one is cut, and says so
STOP_GRACE_S = 1.0  # how long a stopped run waits for tools that clean up

STOPPED_TOOL = "The run was stopped, or broke off, before this tool finished."
CANCELLED_TOOL = "The tool was cancelled before it finished."
REFUSED_TOOL = "The user did not allow this call."


class CallHost(Protocol):
    """What a call needs of whoever runs it. Everything happens on the event loop."""

    def context(self, call_id: str) -> ToolContext:
        """What the tool of a call may use."""

    async def question(
        self, tool: Tool, request: ToolRequested, arguments: Any, history: Sequence[HistoryItem]
    ) -> ApprovalQuestion | None:
        """What to ask the user before the call runs; None where it may. Has no effect. Raises CannotBeDone
        for a call that would fail."""

    async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
        """The user's answer. Waits as long as it takes."""

    def ran(self, name: str, seconds: float, failure: str) -> None:
        """The tool of this name has run. `failure` is empty where it did what it should."""


class ToolCalls:
    """The calls that one answer of a model asked for. At most `parallel` tools run at the same time."""

    def __init__(
        self,
        host: CallHost,
        offered: Mapping[str, Tool],
        requests: Sequence[ToolRequested],
        history: list[HistoryItem],
        parallel: int,
    ) -> None:
        self.had_bad_call = False
        self._host = host
        self._offered = offered
        self._requests = requests
        self._history = history
        self._free = asyncio.Semaphore(parallel)
        self._news: asyncio.Queue[tuple[RunEvent, asyncio.Event] | BaseException] = asyncio.Queue()
        self._results: dict[int, ToolFinished] = {}  # by the request's place: ids can repeat
        self._working: dict[int, asyncio.Task[ToolFinished]] = {}

    async def run(self) -> AsyncGenerator[RunEvent, None]:
        """Run them all. The results are in the history when this ends, however it ends."""
        following = [
            asyncio.create_task(self._follow(place, request)) for place, request in enumerate(self._requests)
        ]
        for task in following:
            task.add_done_callback(self._pass_on_fault)
        try:
            unfinished = len(following)
            while unfinished:
                news = await self._news.get()
                if isinstance(news, BaseException):
                    raise news
                event, is_taken = news
                yield event
                is_taken.set()
                unfinished -= isinstance(event, ToolFinished)
        finally:
            try:
                await self._stop(following)
            finally:  # a second stop cuts the grace of the first short
                for place, request in enumerate(self._requests):
                    self._history.append(self._result_at(place) or failure(request, STOPPED_TOOL))

    # -- one call ----------------------------------------------------------------------------------

    async def _follow(self, place: int, request: ToolRequested) -> None:
        """One call from its request to its result."""
        result = await self._outcome(place, request)
        self._results[place] = result
        await self._tell(result)

    def _pass_on_fault(self, task: asyncio.Task[None]) -> None:
        """A bug of ours is raised where the calls are iterated."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._news.put_nowait(fault)

    async def _tell(self, event: RunEvent) -> None:
        """Returns once the event was taken."""
        is_taken = asyncio.Event()
        self._news.put_nowait((event, is_taken))
        await is_taken.wait()

    async def _outcome(self, place: int, request: ToolRequested) -> ToolFinished:
        tool = self._offered.get(request.name)
        if tool is None:
            self.had_bad_call = True
            names = ", ".join(self._offered) or "none"
            return failure(request, f"There is no tool named {request.name!r}. The tools are: {names}.")
        try:
            arguments = tool.read_arguments(request.arguments)
        except BadArguments as error:
            self.had_bad_call = True
            return failure(request, str(error))
        try:
            question = await self._host.question(tool, request, arguments, self._history)
        except CannotBeDone as error:
            return _failed(request, error.said)
        if question is not None:
            if not question.decision:
                await self._tell(ToolWaiting(request.call_id, question))
            decided = await self._host.decision(request, question)
            await self._tell(decided)
            if decided.question.decision != "approved":
                reason = decided.question.reason.strip()
                return failure(request, f"{REFUSED_TOOL} They say: {reason}" if reason else REFUSED_TOOL)
            try:
                arguments = tool.read_arguments(decided.arguments)
            except BadArguments as error:
                return failure(request, str(error))
        async with self._free:
            await self._tell(ToolStarted(request.call_id))
            return await self._call(place, tool, request, arguments)

    async def _call(self, place: int, tool: Tool, request: ToolRequested, arguments: Any) -> ToolFinished:
        """Run the tool in a task of its own: its cancelling itself must not look like the run's end."""
        started = time.perf_counter()
        task = self._working[place] = asyncio.create_task(self._result(tool, request, arguments))
        await asyncio.wait([task])
        seconds = time.perf_counter() - started
        result = failure(request, CANCELLED_TOOL) if task.cancelled() else task.result()
        self._host.ran(
            request.name, seconds, "cancelled" if task.cancelled() else "failed" if result.failed else ""
        )
        return replace(result, duration_ms=round(1000 * seconds))

    async def _result(self, tool: Tool, request: ToolRequested, arguments: Any) -> ToolFinished:
        try:
            output = await tool.call(self._host.context(request.call_id), arguments)
        except TimeoutError:
            return failure(request, f"{request.name!r} was given up after {tool.time_limit_s:g} s.")
        except Exception as error:  # what a tool raises is for the model
            logger.opt(exception=True).info("tool {} failed", request.name)
            return _failed(request, _said_by(error))
        return _finished(request, output)

    async def _stop(self, following: list[asyncio.Task[None]]) -> None:
        """Cancel what still goes on. A tool that does not end within the grace is left behind."""
        unfinished = [task for task in (*following, *self._working.values()) if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=STOP_GRACE_S)

    def _result_at(self, place: int) -> ToolFinished | None:
        """What there is of a call: also a result that nobody has taken yet."""
        if place in self._results:
            return self._results[place]
        task = self._working.get(place)
        return task.result() if task is not None and task.done() and not task.cancelled() else None


class CannotBeDone(Exception):
    """What a tool found when it looked at what a call would do. `said` is for the model, which can mend it:
    nobody is asked about a call that would fail."""

    def __init__(self, said: ToolOutput) -> None:
        super().__init__(said.text)
        self.said = said


async def preview_of(tool: Tool, context: ToolContext, arguments: Any) -> Preview:
    """What a call would do. Raises CannotBeDone where it would fail."""
    try:
        return await tool.preview(context, arguments)
    except Exception as error:  # as what a tool raises when it runs
        logger.opt(exception=True).info("the preview of tool {} failed", tool.spec.name)
        raise CannotBeDone(_said_by(error)) from error


def _said_by(error: Exception) -> ToolOutput:
    """What a tool raised, as text for the model."""
    if isinstance(error, OutsideFailure):
        return ToolOutput(str(error), error.origin, error.source, is_outside=True)
    if isinstance(error, Offline):
        return ToolOutput(f"{error.message} {error.hint}")
    # An exception of ours is a sentence; "KeyError: 'x'" says more than "'x'".
    is_ours = type(error).__module__.startswith("deskside.") and str(error)
    return ToolOutput(str(error) if is_ours else f"{type(error).__name__}: {error}")


def failure(request: ToolRequested, output: str) -> ToolFinished:
    return ToolFinished(request.call_id, output, failed=True)


def _failed(request: ToolRequested, said: ToolOutput) -> ToolFinished:
    return replace(_finished(request, said), failed=True)


def _finished(request: ToolRequested, output: ToolOutput) -> ToolFinished:
    # What is stored and sent to a provider; a file or a server can hold a key of ours.
    text = cut(redaction.PROCESS.without_keys(output.text))
    outside = is_outside(output.origin) if output.is_outside is None else output.is_outside
    hidden = len(text) - len(without_invisible(text)) if outside else 0
    return ToolFinished(
        request.call_id,
        text,
        origin=output.origin,
        source=output.source,
        is_outside=outside,
        hidden_characters=hidden,
    )


def cut(output: str) -> str:
    """What a tool said, not too long, and as text that can be sent and stored: a file name it lists can
    hold bytes that are none."""
    output = output if output.isascii() else output.encode("utf-8", "replace").decode()
    if len(output) <= OUTPUT_LIMIT:
        return output
    return f"{output[:OUTPUT_LIMIT]}\n… cut after {OUTPUT_LIMIT:,} of {len(output):,} characters."
