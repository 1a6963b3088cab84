"""What a replayed run asks for is answered from its recording: fits loop.Host.

Invariants
  - Nothing is stored, sent or paid: models, the user and every tool that is not repeatable are the recording.
  - Where the recording ends, the run ends (`RecordingEnds`); it does not wait, and makes nothing up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deskside.backend.agent import limits
from deskside.backend.agent.events import (
    ApprovalQuestion,
    HistoryItem,
    ModelEvent,
    ModelFellBack,
    ModelRequest,
    Paused,
    Resumed,
    RunEvent,
    Steered,
    StepRetried,
    StepStarted,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
)
from deskside.backend.agent.limits import Exceeded
from deskside.backend.agent.tool_calls import CannotBeDone
from deskside.backend.errors import AppError, Internal, RateLimited
from deskside.backend.recordings.script import ModelCall, Script, ToolCall, is_whole
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import OutsideFailure, Preview, Tool, ToolOutput
from deskside.backend.tools.toolbox import OfferedTool


class RecordingEnds(BaseException):
    """The recording has nothing more to say. No `Exception`: a tool's failure is data for the model, and this
    is none."""


class RecordedFailure(Exception):
    """A tool failed when it was recorded, with this text."""


Asked = Callable[[ModelCall | None, ModelRequest], None]
"""Is told of each request with the recorded call that answers it, if there is one."""


class ReplayHost:
    """Answers one run from its script. `asked` hears of every request; `take` is to be called with every
    event of the loop's before it goes on."""

    def __init__(self, script: Script, services: ToolServices, asked: Asked) -> None:
        self._script = script
        self._services = services
        self._asked = asked
        self._events = [event for _, event in script.events]
        self._taken = 0
        self._said: list[Steered] = []
        self._current: dict[str, ToolCall] = {}
        self._under_way: set[str] = set()
        self._cut_short = 0
        self._changed = asyncio.Event()

    def take(self, event: RunEvent) -> bool:
        """The loop has yielded this. False where the run was cut short beside it: in tools that run side by
        side, one may have come further than in the recording, while another had still to come so far."""
        if self._script.was_cut_short and not self._was_recorded(event):
            return False
        self._taken += 1
        if isinstance(event, ToolFinished):
            self._under_way.discard(event.call_id)
            self._changed.set()
        if isinstance(event, StepStarted):
            self._said = self._steering_at(self._taken)
        return True

    def ran(self, name: str, seconds: float, failure: str) -> None:
        """A replay is no work of the user's, and counts nowhere."""

    def _was_recorded(self, event: RunEvent) -> bool:
        """Whether the call that this belongs to came so far when it was recorded."""
        call = self._current.get(getattr(event, "call_id", ""))
        match event:
            case ToolDecided():
                return call is None or call.decided is not None
            case ToolStarted():
                return call is None or call.has_started
            case ToolFinished():
                return call is None or call.result is not None
            case _:
                return True

    @property
    def is_over(self) -> bool:
        """Whether all was taken that was recorded."""
        return self._taken >= len(self._events)

    def _next(self) -> RunEvent | None:
        return None if self.is_over else self._events[self._taken]

    # -- models ------------------------------------------------------------------------------------

    async def model(self, name: str) -> _RecordedModel:
        failure = self._failure_to_make()
        if failure is not None:
            raise failure
        return _RecordedModel(name, self)

    def _failure_to_make(self) -> AppError | None:
        """Why there was no such model when it was recorded: the step failed before anything was asked."""
        following = self._next()
        calls = self._script.model_calls
        until = self._number_at(self._taken)
        is_asked = bool(calls) and calls[0].n < until
        if is_asked or not isinstance(following, StepRetried | ModelFellBack):
            ended = self._script.ended
            is_last = following is None and not calls and ended is not None and ended.status == "failed"
            return error_of(ended.code, ended.message) if is_last and ended is not None else None
        return error_of(following.code, following.message)

    def _number_at(self, place: int) -> int:
        events = self._script.events
        return events[place][0] if place < len(events) else 2**62

    async def answer(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The next recorded call, whatever is asked."""
        calls = self._script.model_calls
        call = calls.popleft() if calls else None
        self._asked(call, request)
        if call is None:
            raise RecordingEnds
        for event in call.events:
            yield event
        if call.failure is not None:
            failure = call.failure
            raise error_of(failure.code, failure.message, failure.retry_after_s)
        if not is_whole(call) and not calls and self._script.was_cut_short:
            raise RecordingEnds

    async def context_tokens(self, model: str) -> int | None:
        return self._script.context_tokens.get(model)

    # -- the user ----------------------------------------------------------------------------------

    def take_steering(self) -> list[Steered]:
        said, self._said = self._said, []
        return said

    def has_steering(self) -> bool:
        """Whether the next step begins with something that the user had said."""
        following = self._next()
        return isinstance(following, StepStarted) and bool(self._steering_at(self._taken + 1))

    def _steering_at(self, place: int) -> list[Steered]:
        said: list[Steered] = []
        for event in self._events[place:]:
            if not isinstance(event, Steered):
                break
            said.append(event)
        return said

    async def exceeds(self, call_id: str, model: str, request: ModelRequest) -> Exceeded | None:
        return self._exceeded()

    async def exceeds_with_tools(self, wanted: int) -> Exceeded | None:
        return self._exceeded()

    def _exceeded(self) -> Exceeded | None:
        following = self._next()
        if not isinstance(following, Paused):
            return None
        return Exceeded(following.text, *(limits.key_of(following.limit) or ("run", "cost")))

    async def word(self) -> bool:
        following = self._next()
        if isinstance(following, Resumed):
            return following.goes_on
        raise RecordingEnds

    # -- tools -------------------------------------------------------------------------------------

    def context(self, call_id: str) -> ToolContext:
        return ToolContext(self._services, 0, 0, 0, None, call_id)

    async def question(
        self, tool: Tool, request: ToolRequested, arguments: Any, history: Sequence[HistoryItem]
    ) -> ApprovalQuestion | None:
        calls = self._script.tool_calls.get(request.call_id)
        if not calls:
            raise RecordingEnds
        call = self._current[request.call_id] = calls.popleft()
        self._under_way.add(request.call_id)
        if call.question is not None:
            return call.question
        if call.decided is not None:
            return call.decided.question
        result = call.result
        if not call.has_started and result is not None and result.failed:
            raise CannotBeDone(_output(result))
        return None

    async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
        decided = self._current[request.call_id].decided
        if decided is None:
            await self.end_with_others()
            raise RecordingEnds
        return decided

    def has_result(self, call_id: str) -> bool:
        """Whether a call got to its end when it was recorded."""
        return self._current[call_id].result is not None

    async def end_with_others(self) -> None:
        """The recording of this call ends here: wait until the calls beside it are done, or end here, too."""
        self._cut_short += 1
        self._changed.set()
        while self._cut_short < len(self._under_way):
            self._changed.clear()
            await self._changed.wait()

    async def result(self, call_id: str) -> ToolOutput:
        """What a call gave when it was recorded. Raises what makes the same failure of it."""
        result = self._current[call_id].result
        if result is None:
            await self.end_with_others()
            raise RecordingEnds
        if not result.failed:
            return _output(result)
        if result.is_outside:
            raise OutsideFailure(result.output, result.origin, result.source)
        raise RecordedFailure(result.output)


@dataclass(frozen=True)
class _RecordedModel:
    name: str
    host: ReplayHost

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        return self.host.answer(request)


@dataclass(frozen=True)
class RecordedTool(OfferedTool):
    """A tool as it is declared today. One that is repeatable runs again; any other gives the result that it
    gave when the run was recorded."""

    host: ReplayHost

    async def call(self, context: ToolContext, arguments: Any) -> ToolOutput:
        if self.is_repeatable and self.host.has_result(context.call_id):
            return await self.tool.call(context, arguments)
        return await self.host.result(context.call_id)

    async def preview(self, context: ToolContext, arguments: Any) -> Preview:
        return Preview("")


def error_of(code: str, message: str, retry_after_s: float | None = None) -> AppError:
    """The error that a recorded code stands for."""
    if code == RateLimited.code:
        return RateLimited(message, retry_after_s=retry_after_s)
    kind = _kinds(AppError).get(code, Internal)
    return kind(message)


def _kinds(kind: type[AppError]) -> dict[str, type[AppError]]:
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        found = _kinds(below) | found
    return found


def _output(result: ToolFinished) -> ToolOutput:
    return ToolOutput(result.output, result.origin, result.source, result.is_outside)
