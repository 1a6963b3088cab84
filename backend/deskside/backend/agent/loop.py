"""The agent loop: call the model, run the tools it asked for, repeat.

One step is one model call plus the tools it requested. The loop ends when the model answers without
asking for a tool, when a limit ends it, or when its caller closes or cancels it.

Invariants
  1. Every event is yielded before the next side effect starts, so a caller that stores events as they
     come can resume after a crash.
  2. Each `ToolRequested` is followed in `history` by exactly one `ToolFinished` with the same id, also
     when the tool raised, is unknown, was refused, got arguments it cannot read, timed out, or the run
     was stopped. (Providers reject a history with an unanswered call.)
  3. Cancelling one tool is data for the model. Cancelling the run ends it promptly, with what was said
     kept in `history`.
  4. Retries of one model call stay one step, also when it had said something: that is dropped from
     `history`, and `had_said` tells the caller. Outputs keep the model's order even when tools run in
     parallel.
  5. An answer that broke off is never called answered.

`history` is extended in place and is the truth. A generator that is being closed cannot yield, so the
results of the tools that a stop cuts off are in `history` only: whoever ends a run early closes the
generator (`aclosing`, or cancelling the task that iterates it) and takes from `history` the
`ToolFinished` it has not seen. An exception leaves `history` whole in the same way.

A history that ends in requests without a result is gone on with by answering them first: that is how a
call that waits for the user outlives the program.

The loop never touches the store or the window: what it needs of them is the `Host`. What the model may not
have, it never raises: a tool's failure is text for the model. What it raises is the model's `AppError`, or a
bug.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from deskside.backend.agent import compaction
from deskside.backend.agent.events import (
    AnswerForced,
    AssistantReasoning,
    AssistantText,
    Effort,
    Finished,
    HistoryCompacted,
    HistoryItem,
    HistoryTrimmed,
    Model,
    ModelEvent,
    ModelFellBack,
    ModelRequest,
    OutputRepaired,
    Paused,
    ReasoningDelta,
    ReasoningFinished,
    Resumed,
    RunEvent,
    SideCallStarted,
    Steered,
    StepFinished,
    StepRetried,
    StepStarted,
    StopReason,
    Summary,
    TextDelta,
    ToolFinished,
    ToolRequested,
    UsageReported,
    UserFile,
    UserText,
)
from deskside.backend.agent.limits import Exceeded
from deskside.backend.agent.structured_output import REPAIR, problem_with
from deskside.backend.agent.tool_calls import STOPPED_TOOL, CallHost, ToolCalls, failure
from deskside.backend.errors import (
    AppError,
    ContentRefused,
    ContextTooLong,
    DeviceModelError,
    KeychainUnavailable,
    NoKey,
    NoModel,
    Offline,
    ProviderError,
    RateLimited,
    StreamDropped,
)
from deskside.backend.tools.declaration import Tool

STEP_LIMIT = 20
PARALLEL_TOOLS = 4
MEND_LIMIT = 3  # steps in a row with a call that cannot be understood
RETRY_LIMIT = 3
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0  # nobody sits out more: the user is told how long the provider asked for

NO_MORE_STEPS = (
    "You have used all the steps you have. Answer now with what you found out, and say what is still missing."
)
NO_MORE_CALLS = "Your calls could not be understood. Answer now without using a tool."
FORCED: Mapping[str, str] = {"step_limit": NO_MORE_STEPS, "bad_calls": NO_MORE_CALLS}

FINISHED: Mapping[StopReason, Finished] = {
    "answered": Finished("answered"),
    "length": Finished("length"),
    "refused": Finished("refused"),
}

# What another model may do better. (That the content was refused is no fault of the model's.)
FALLS_BACK = (ProviderError, NoKey, KeychainUnavailable, NoModel, Offline, DeviceModelError)

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True)
class Plan:
    """How a run is to be done. `models` are asked in order: the next one when one failed for good. A run
    makes at most `step_limit` steps; the last one is an answer without tools."""

    models: Sequence[str]
    tools: Sequence[Tool] = ()
    instructions: str = ""
    temperature: float | None = None
    max_output_tokens: int | None = None
    reasoning_effort: Effort | None = None
    output_schema: dict[str, Any] | None = None
    first_step: int = 0
    step_limit: int = STEP_LIMIT
    parallel_tools: int = PARALLEL_TOOLS


class Host(CallHost, Protocol):
    """What a run needs of whoever started it. Everything happens on the event loop."""

    async def model(self, name: str) -> Model:
        """The model of this name. Raises AppError where there is none, or no key for it."""

    async def context_tokens(self, model: str) -> int | None:
        """How much the model reads at most; None where that is not known."""

    def take_steering(self) -> list[Steered]:
        """What the user said since the last call of this."""

    def has_steering(self) -> bool: ...

    async def exceeds(self, call_id: str, model: str, request: ModelRequest) -> Exceeded | None:
        """Which limit the call could pass; None where it may be made."""

    async def exceeds_with_tools(self, wanted: int) -> Exceeded | None:
        """Which limit so many more calls of tools would pass; None where they may be made."""

    async def word(self) -> bool:
        """Whether the user lets the run pass the limit that was named last. Waits as long as it takes."""


def run(
    host: Host, plan: Plan, history: list[HistoryItem], *, sleep: Sleep = asyncio.sleep
) -> AsyncGenerator[RunEvent, None]:
    """Yield events until the model has answered; the last one is `Finished`.

    `sleep` is how a retry waits. Raises the last model's AppError when a call failed for good.
    """
    return _Run(host, plan, history, sleep).events()


@dataclass
class _Run:
    host: Host
    plan: Plan
    history: list[HistoryItem]
    sleep: Sleep
    forced: AnswerForced | None = None
    bad_steps: int = 0
    is_repaired: bool = False
    is_last_step: bool = False
    finished: Finished | None = None
    names: list[str] = field(init=False)
    made: dict[str, Model] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = list(self.plan.models)
        self.offered = {tool.spec.name: tool for tool in self.plan.tools}
        self.specs = [tool.spec for tool in self.offered.values()]

    async def events(self) -> AsyncGenerator[RunEvent, None]:
        """All steps."""
        for stage in self._stages():
            try:
                async with aclosing(stage) as events:
                    async for event in events:
                        yield event
            finally:
                self._answer_all()
            if self.finished is not None:
                yield self.finished
                return
        yield Finished("turn_limit")

    def _stages(self) -> Iterator[AsyncGenerator[RunEvent, None]]:
        """What an earlier run left open, then the steps."""
        left_open = unanswered(self.history)
        if left_open:
            yield self._use_tools(left_open)
        first, end = self.plan.first_step, self.plan.first_step + self.plan.step_limit
        for step in range(first, end):
            self.is_last_step = step == end - 1
            yield self._step(step)

    def _answer_all(self) -> None:
        for request in unanswered(self.history):
            self.history.append(failure(request, STOPPED_TOOL))

    async def _step(self, step: int) -> AsyncGenerator[RunEvent, None]:
        """One model call and the tools it asks for. Sets `finished` where no other step follows."""
        call_id = uuid4().hex
        async with aclosing(self._may_call(call_id, self.names[0])) as pauses:
            async for event in pauses:
                yield event
        if self.finished is not None:
            return
        yield StepStarted(step, call_id, self.names[0])
        for said in self.host.take_steering():
            self.history.append(UserText(said.text))
            yield said
        if self.is_last_step and self.specs and self.forced is None and self.plan.step_limit > 1:
            self.forced = AnswerForced("step_limit", f"All {self.plan.step_limit} steps are used.")
            yield self.forced
        answer = _Answer(self.history)
        try:
            async with aclosing(self._ask(answer, step, call_id)) as events:
                async for event in events:
                    yield event
        finally:
            answer.close()
        if self.finished is not None:
            return
        if not answer.requests:
            async for event in self._end(answer):
                yield event
        elif self.forced is not None:
            self.finished = Finished("turn_limit")
        else:
            async with aclosing(self._use_tools(answer.requests)) as results:
                async for event in results:
                    yield event

    async def _end(self, answer: _Answer) -> AsyncGenerator[RunEvent, None]:
        """The model has answered: the run is over, unless the user said more, or the answer has to be
        mended."""
        if self.host.has_steering() and not self.is_last_step:
            return
        problem = await self._problem(answer)
        if problem is None:
            self.finished = FINISHED.get(answer.stop_reason, Finished("other"))
        elif self.is_repaired or self.is_last_step:
            self.finished = Finished("invalid_output")
        else:
            self.is_repaired = True
            yield OutputRepaired(problem, answer.text)
            self.history.append(UserText(REPAIR.format(problem=problem)))

    # -- the model ---------------------------------------------------------------------------------

    async def _ask(self, answer: _Answer, step: int, call_id: str) -> AsyncGenerator[RunEvent, None]:
        """One step's model call, made again after a fault that passes, and with the next model after one
        that does not. Returns without an answer where the user stops it at a limit."""
        attempt = 1
        while True:
            name = self.names[0]
            try:
                async with aclosing(self._call(answer, name, call_id)) as events:
                    async for event in events:
                        yield event
                return
            except AppError as error:
                fault = error
            delay_s = _delay_s(fault, attempt)
            is_retried = fault.retryable and delay_s <= LONGEST_WAIT_S and attempt <= RETRY_LIMIT
            if not is_retried and not self._can_fall_back(fault):
                raise fault
            call_id = uuid4().hex
            async with aclosing(self._may_call(call_id, name if is_retried else self.names[1])) as pauses:
                async for event in pauses:
                    yield event
            if self.finished is not None:
                return
            had_said = answer.drop()
            if is_retried:
                yield StepRetried(step, attempt, delay_s, fault.code, fault.message, call_id, had_said)
                attempt += 1
                await self.sleep(delay_s)
            else:
                self.names.pop(0)
                attempt = 1
                yield ModelFellBack(step, name, self.names[0], call_id, fault.code, fault.message, had_said)

    async def _call(self, answer: _Answer, name: str, call_id: str) -> AsyncGenerator[RunEvent, None]:
        """One model call to its end, or none where the user stops it at a limit. What the provider finds too
        long, it gets once more, with a summary of what is old. Raises AppError where it does not get to its
        end."""
        model = await self._model(name)
        async with aclosing(self._make_room(name, call_id)) as events:
            async for event in events:
                yield event
        if self.finished is not None:
            return
        try:
            async with aclosing(self._answer(model, answer)) as said:
                async for each in said:
                    yield each
            return
        except ContextTooLong as error:
            if not answer.is_silent:
                raise
            too_long = error
        before = len(self.history)
        async with aclosing(self._summarise(name, call_id)) as events:
            async for event in events:
                yield event
        if self.finished is not None:
            return
        if len(self.history) == before:
            raise too_long
        async with aclosing(self._answer(model, answer)) as said:
            async for each in said:
                yield each

    async def _answer(self, model: Model, answer: _Answer) -> AsyncGenerator[RunEvent, None]:
        answer.begin(model.name)
        async with aclosing(model.stream(self._request())) as said:
            async for each in said:
                answer.take(each)
                yield each
        if not answer.is_whole:
            raise StreamDropped("The answer broke off.")

    async def _model(self, name: str) -> Model:
        if name not in self.made:
            self.made[name] = await self.host.model(name)
        return self.made[name]

    def _request(self) -> ModelRequest:
        plan, history = self.plan, list(self.history)
        if self.forced is not None:
            history.append(UserText(FORCED[self.forced.reason]))
        return ModelRequest(
            history,
            plan.instructions,
            self.specs,
            max_output_tokens=plan.max_output_tokens,
            temperature=plan.temperature,
            reasoning_effort=plan.reasoning_effort,
            output_schema=plan.output_schema,
            may_use_tools=self.forced is None,
        )

    def _can_fall_back(self, failure: AppError) -> bool:
        return (
            len(self.names) > 1
            and isinstance(failure, FALLS_BACK)
            and not isinstance(failure, ContentRefused)
        )

    async def _may_call(self, call_id: str, name: str) -> AsyncGenerator[RunEvent, None]:
        """Ask the user where the next call could pass a limit. Their no finishes the run."""
        request = self._request()

        async def exceeded() -> Exceeded | None:
            return await self.host.exceeds(call_id, name, request)

        async with aclosing(self._within_limits(exceeded)) as pauses:
            async for event in pauses:
                yield event

    async def _within_limits(
        self, exceeded: Callable[[], Awaitable[Exceeded | None]]
    ) -> AsyncGenerator[RunEvent, None]:
        """Pause at each limit that stands in the way, until none does or the user stops the run."""
        while self.finished is None and (limit := await exceeded()) is not None:
            yield Paused(limit.text, ".".join(limit.key))
            goes_on = await self.host.word()
            yield Resumed(goes_on)
            if not goes_on:
                self.finished = Finished("limit")

    async def _problem(self, answer: _Answer) -> str | None:
        """What is wrong with an answer that has to fit a schema."""
        if self.plan.output_schema is None or answer.stop_reason != "answered":
            return None
        return await problem_with(answer.text, self.plan.output_schema)

    # -- room in the context -----------------------------------------------------------------------

    async def _make_room(self, name: str, call_id: str) -> AsyncGenerator[RunEvent, None]:
        """Before a call that would not fit: leave out old results, then summarise what is old."""
        context_tokens = await self.host.context_tokens(name)
        if context_tokens is None or self._fits(context_tokens, name):
            return
        results, kept = compaction.results_to_trim(self.history)
        if results:
            self.history[:] = compaction.trimmed(self.history, kept)
            yield HistoryTrimmed(results, kept)
        if not self._fits(context_tokens, name):
            async with aclosing(self._summarise(name, call_id)) as events:
                async for event in events:
                    yield event

    def _fits(self, context_tokens: int, name: str) -> bool:
        used = compaction.tokens_of(self.history, self.plan.instructions, self.specs, name)
        return used + (self.plan.max_output_tokens or 0) < compaction.FULL * context_tokens

    async def _summarise(self, name: str, call_id: str) -> AsyncGenerator[RunEvent, None]:
        """Put a summary in place of what is old, before the call `call_id`, which is judged again after it.
        Yields nothing where there is nothing to summarise."""
        context_tokens = await self.host.context_tokens(name) or compaction.tokens_of(
            self.history, self.plan.instructions, self.specs, name
        )
        kept = compaction.items_to_keep(self.history, context_tokens, name)
        replaced = len(self.history) - kept
        if replaced < 2:
            return
        model = await self._model(name)
        side_id = uuid4().hex
        request = compaction.summary_request(self.history, kept, context_tokens)
        if await self.host.exceeds(side_id, name, request) is None:
            async with aclosing(self._summary(model, side_id, request, replaced)) as events:
                async for event in events:
                    yield event
        async with aclosing(self._may_call(call_id, name)) as pauses:
            async for pause in pauses:
                yield pause

    async def _summary(
        self, model: Model, call_id: str, request: ModelRequest, replaced: int
    ) -> AsyncGenerator[RunEvent, None]:
        """The side call that summarises the first `replaced` items."""
        kept = len(self.history) - replaced
        yield SideCallStarted(call_id, self.names[0])
        text, is_whole = "", False
        async with aclosing(model.stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, UsageReported):
                    yield event
                elif isinstance(event, StepFinished):
                    is_whole = True
        if not is_whole or not text.strip():
            raise StreamDropped("The summary of the conversation broke off.")
        summary = compaction.SUMMARY_OPENING + text
        question = compaction.last_question(self.history[:replaced])
        if not any(isinstance(item, UserText) for item in self.history[replaced:]) and question:
            summary += f"\n\nThe user's last words, which are being worked on:\n\n{question}"
        self.history[:] = compaction.compacted(self.history, summary, kept)
        yield HistoryCompacted(summary, replaced, kept)

    # -- the tools ---------------------------------------------------------------------------------

    async def _use_tools(self, requests: Sequence[ToolRequested]) -> AsyncGenerator[RunEvent, None]:
        async def exceeded() -> Exceeded | None:
            return await self.host.exceeds_with_tools(len(requests))

        async with aclosing(self._within_limits(exceeded)) as pauses:
            async for event in pauses:
                yield event
        if self.finished is not None:
            return
        calls = ToolCalls(self.host, self.offered, requests, self.history, self.plan.parallel_tools)
        async with aclosing(calls.run()) as events:
            async for event in events:
                yield event
        self.bad_steps = self.bad_steps + 1 if calls.had_bad_call else 0
        if self.bad_steps > MEND_LIMIT:
            message = f"{self.bad_steps} times in a row a tool was called in a way that cannot be understood."
            self.forced = AnswerForced("bad_calls", message)
            yield self.forced


class _Answer:
    """What one model call says, written into the history block by block as it comes."""

    def __init__(self, history: list[HistoryItem]) -> None:
        self._history = history
        self.begin("")

    def begin(self, model_name: str) -> None:
        """A call is made: all that follows is its."""
        self.requests: list[ToolRequested] = []
        self.stop_reason: StopReason = "other"
        self.is_silent = True
        self.is_whole = False
        self._model_name = model_name
        self._start = len(self._history)
        self._block: type[TextDelta] | type[ReasoningDelta] = TextDelta
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """What it said, without thoughts. Close it first."""
        said = self._history[self._start :]
        return "".join(item.text for item in said if isinstance(item, AssistantText))

    def drop(self) -> bool:
        """Forget what the call has said, because it is made again. Returns whether it had said anything."""
        had_said = not self.is_silent
        del self._history[self._start :]
        self.begin("")
        return had_said

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


def unanswered(history: Sequence[HistoryItem]) -> list[ToolRequested]:
    """The requests since the user's last words that have no result yet. Between two of them a model may have
    said more."""
    answered: set[str] = set()
    found: list[ToolRequested] = []
    for item in reversed(history):
        if isinstance(item, UserText | UserFile | Summary):
            break
        if isinstance(item, ToolFinished):
            answered.add(item.call_id)
        elif isinstance(item, ToolRequested) and item.call_id not in answered:
            found.append(item)
    return found[::-1]


def _delay_s(error: AppError, attempt: int) -> float:
    """What the provider asked for; else 0.5, 1, 2 s with up to a quarter more, so that runs which failed
    together do not come back together."""
    asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
    if asked_s is not None and asked_s >= 0:
        return asked_s
    return FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(1, 1.25)
