"""The agent loop: call the model, run the tools it asked for, repeat.

One step is one model call plus the tools it requested. The loop ends when the model answers without
asking for a tool, when the step limit is hit, or when its caller closes or cancels it.

Invariants
  1. Every event is yielded before the next side effect starts, so a caller that stores events as they
     come can resume after a crash.
  2. Each `ToolRequested` is followed in `history` by exactly one `ToolFinished` with the same id, also
     when the tool raised, is unknown, was refused, got arguments it cannot read, timed out, or the run
     was stopped. (Providers reject a history with an unanswered call.)
  3. Cancelling one tool is data for the model. Cancelling the run ends it promptly, with what was said
     kept in `history`.
  4. Retries of one model call stay one step. Outputs keep the model's order even when tools run in
     parallel.

`history` is extended in place and is the truth. A generator that is being closed cannot yield, so the
results of the tools that a stop cuts off are in `history` only: whoever ends a run early closes the
generator (`aclosing`, or cancelling the task that iterates it) and takes from `history` the
`ToolFinished` it has not seen. An exception leaves `history` whole in the same way.

The loop never touches the store or the window. What the model may not have, it never raises: a tool's
failure is text for the model. What it raises is the model's `AppError`, or a bug.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from uuid import uuid4

from loguru import logger

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    Finished,
    HistoryItem,
    Model,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    ReasoningFinished,
    RunEvent,
    StepFinished,
    StepRetried,
    StepStarted,
    StopReason,
    TextDelta,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    UsageReported,
    is_outside,
)
from deskside.backend.errors import AppError, RateLimited, StreamDropped
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, Tool

STEP_LIMIT = 20
RETRY_LIMIT = 2
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0  # nobody sits out more: the user is told how long the provider asked for
OUTPUT_LIMIT = 200_000  # characters of one tool result, about 50k tokens; a longer one is cut, and says so
STOP_GRACE_S = 1.0  # how long a stopped run waits for tools that clean up

STOPPED_TOOL = "The run was stopped, or broke off, before this tool finished."
CANCELLED_TOOL = "The tool was cancelled before it finished."

FINISHED: Mapping[StopReason, Finished] = {
    "answered": Finished("answered"),
    "length": Finished("length"),
    "refused": Finished("refused"),
}

Sleep = Callable[[float], Awaitable[object]]


async def run(
    model: Model,
    tools: Iterable[Tool],
    history: list[HistoryItem],
    *,
    context: Callable[[str], ToolContext],
    instructions: str = "",
    temperature: float | None = None,
    first_step: int = 0,
    step_limit: int = STEP_LIMIT,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[RunEvent, None]:
    """Yield events until the model has answered; the last one is `Finished`.

    `context` is what the tool of a call may use. `sleep` is how a retry waits.

    Raises the model's AppError when a call failed for good.
    """
    offered = {tool.spec.name: tool for tool in tools}
    specs = [tool.spec for tool in offered.values()]
    for step in range(first_step, first_step + step_limit):
        answer = _Answer(model.name, history)
        yield StepStarted(step, uuid4().hex)
        try:
            request = ModelRequest(list(history), instructions, specs, temperature=temperature)
            async with aclosing(_ask(model, request, answer, step, sleep)) as events:
                async for event in events:
                    yield event
            answer.close()
            async with aclosing(_use_tools(offered, answer, context)) as results:
                async for result in results:
                    yield result
        finally:
            answer.close()
            answer.close_unanswered()
        if not answer.requests:
            yield FINISHED.get(answer.stop_reason, Finished("other"))
            return
    yield Finished("turn_limit")


class _Answer:
    """What one model call says, written into the history block by block as it comes."""

    def __init__(self, model_name: str, history: list[HistoryItem]) -> None:
        self.requests: list[ToolRequested] = []
        self.answered = 0  # of the requests, in their order
        self.stop_reason: StopReason = "other"
        self.is_silent = True
        self.is_whole = False
        self._model_name = model_name
        self._history = history
        self._block: type[TextDelta] | type[ReasoningDelta] = TextDelta
        self._texts: list[str] = []

    def take(self, event: ModelEvent) -> None:
        """Note an event. Called for every chunk: text only goes to a list."""
        if isinstance(event, TextDelta | ReasoningDelta):
            if type(event) is not self._block:
                self.close()
                self._block = type(event)
            self._texts.append(event.text)
            self.is_silent = False
        else:
            self._take_fact(event)

    def _take_fact(self, event: ModelEvent) -> None:
        match event:
            case UsageReported():
                return
            case StepFinished(stop_reason=reason):
                self.stop_reason = reason
                self.is_whole = True
                return
            case ReasoningFinished(provider_data=provider_data):
                self._close_reasoning(provider_data)
            case ToolRequested():
                self.close()
                self.requests.append(event)
                self._history.append(event)
            case _:
                pass
        self.is_silent = False

    def close(self) -> None:
        """End the open block of text, if any, and put it into the history."""
        if not self._texts:
            return
        text = "".join(self._texts)
        self._texts = []
        if self._block is TextDelta:
            self._history.append(AssistantText(text))
        else:
            self._history.append(AssistantReasoning(text, None, self._model_name))

    def _close_reasoning(self, provider_data: str | None) -> None:
        text = ""
        if self._block is ReasoningDelta:
            text, self._texts = "".join(self._texts), []
        else:
            self.close()
        if text or provider_data is not None:
            self._history.append(AssistantReasoning(text, provider_data, self._model_name))

    def add_result(self, result: ToolFinished) -> None:
        """The result of the first request that has none yet."""
        self.answered += 1
        self._history.append(result)

    def close_unanswered(self) -> None:
        """Give every request without a result the one that says so."""
        for request in self.requests[self.answered :]:
            self.add_result(_failure(request, STOPPED_TOOL))


# -- the model ----------------------------------------------------------------------------------


async def _ask(
    model: Model, request: ModelRequest, answer: _Answer, step: int, sleep: Sleep
) -> AsyncGenerator[RunEvent, None]:
    """One step's model call. It is made again only while it has said nothing: what was said is kept."""
    for attempt in range(1, RETRY_LIMIT + 2):
        try:
            async with aclosing(model.stream(request)) as events:
                async for event in events:
                    answer.take(event)
                    yield event
            if not answer.is_whole:
                raise StreamDropped("The answer broke off.")
            return
        except AppError as error:
            delay_s = _delay_s(error, attempt)
            is_worth_it = error.retryable and answer.is_silent and delay_s <= LONGEST_WAIT_S
            if not is_worth_it or attempt > RETRY_LIMIT:
                raise
            yield StepRetried(step, attempt, delay_s, error.code, error.message)
            await sleep(delay_s)


def _delay_s(error: AppError, attempt: int) -> float:
    """What the provider asked for; else 0.5, 1 s with up to a quarter more, so that runs which failed
    together do not come back together."""
    asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
    if asked_s is not None and asked_s >= 0:
        return asked_s
    return FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(1, 1.25)


# -- the tools ----------------------------------------------------------------------------------


async def _use_tools(
    offered: Mapping[str, Tool], answer: _Answer, context: Callable[[str], ToolContext]
) -> AsyncGenerator[RunEvent, None]:
    """Run what the model asked for, all at once; yield the results in the model's order."""
    calls = [_prepared(offered, request, context) for request in answer.requests]
    running: list[asyncio.Task[ToolFinished]] = []
    try:
        for request, call in zip(answer.requests, calls, strict=True):
            if not isinstance(call, ToolFinished):
                yield ToolStarted(request.call_id)
        running = [asyncio.create_task(_outcome(call)) for call in calls]
        for request, task in zip(answer.requests, running, strict=True):
            # Not `await task`: its own cancellation must not look like the run's.
            await asyncio.wait([task])
            result = _result_of(task, request)
            answer.add_result(result)
            yield result
    finally:
        await _stop(running)
        for request, task in list(zip(answer.requests, running, strict=False))[answer.answered :]:
            # What was there when the run was stopped is kept; so is the model's order.
            was_cut_off = not task.done() or task.cancelled()
            answer.add_result(_failure(request, STOPPED_TOOL) if was_cut_off else task.result())


Call = Callable[[], Awaitable[ToolFinished]]


def _prepared(
    offered: Mapping[str, Tool], request: ToolRequested, context: Callable[[str], ToolContext]
) -> ToolFinished | Call:
    """How to run a request, or the result that says why it is not run."""
    tool = offered.get(request.name)
    if tool is None:
        names = ", ".join(offered) or "none"
        return _failure(request, f"There is no tool named {request.name!r}. The tools are: {names}.")
    if tool.approval != "never":
        return _failure(
            request, f"{request.name!r} needs the user's approval, and they cannot be asked here."
        )
    try:
        arguments = tool.read_arguments(request.arguments)
    except BadArguments as error:
        return _failure(request, str(error))

    async def call() -> ToolFinished:
        started = time.perf_counter()
        try:
            result = await tool.call(context(request.call_id), arguments)
            duration_ms = round(1000 * (time.perf_counter() - started))
            return ToolFinished(
                request.call_id,
                _cut(result.text),
                duration_ms=duration_ms,
                origin=result.origin,
                source=result.source,
                is_outside=is_outside(result.origin),
            )
        except TimeoutError:
            output = f"{request.name!r} was given up after {tool.time_limit_s:g} s."
        except Exception as error:
            logger.opt(exception=True).info("tool {} failed", request.name)
            output = _cut(f"{type(error).__name__}: {error}")
        return ToolFinished(request.call_id, output, True, round(1000 * (time.perf_counter() - started)))

    return call


def _failure(request: ToolRequested, output: str) -> ToolFinished:
    return ToolFinished(request.call_id, output, failed=True)


def _cut(output: str) -> str:
    """What a tool said, not too long, and as text that can be sent and stored: a file name it lists can
    hold bytes that are none."""
    output = output if output.isascii() else output.encode("utf-8", "replace").decode()
    if len(output) <= OUTPUT_LIMIT:
        return output
    return f"{output[:OUTPUT_LIMIT]}\n… cut after {OUTPUT_LIMIT:,} of {len(output):,} characters."


async def _outcome(call: ToolFinished | Call) -> ToolFinished:
    return call if isinstance(call, ToolFinished) else await call()


def _result_of(task: asyncio.Task[ToolFinished], request: ToolRequested) -> ToolFinished:
    return _failure(request, CANCELLED_TOOL) if task.cancelled() else task.result()


async def _stop(running: list[asyncio.Task[ToolFinished]]) -> None:
    """Cancel what still runs. A tool that does not end within the grace is left behind."""
    unfinished = [task for task in running if not task.done()]
    for task in unfinished:
        task.cancel()
    if unfinished:
        await asyncio.wait(unfinished, timeout=STOP_GRACE_S)
