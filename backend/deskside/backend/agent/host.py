"""What one run asks of the program: fits loop.Host.

Here the loop's questions become rows, settings and the user's answers. Nothing here decides what the loop
does next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from deskside.backend import prices
from deskside.backend.agent.anthropic_messages import DEFAULT_OUTPUT_TOKENS
from deskside.backend.agent.approvals import question_about, with_preview
from deskside.backend.agent.budgets import Budgets
from deskside.backend.agent.events import (
    ApprovalQuestion,
    HistoryItem,
    Model,
    ModelEvent,
    ModelRequest,
    Steered,
    ToolDecided,
    ToolRequested,
)
from deskside.backend.agent.file_contents import FileContents, ModelWithFiles
from deskside.backend.agent.limits import AgentLimits, Exceeded, Limits, NextCall, tools_exceeded
from deskside.backend.agent.live_run import LiveRun
from deskside.backend.agent.provenance import outside_sources
from deskside.backend.agent.recorder import Recorder
from deskside.backend.agent.recording import ContextKnown
from deskside.backend.agent.reply import Reply
from deskside.backend.agent.request_size import estimated_tokens
from deskside.backend.agent.tool_calls import preview_of
from deskside.backend.events import Notice
from deskside.backend.store import tool_grants
from deskside.backend.store.messages import Elicitation, ElicitationAnswer
from deskside.backend.store.text import now_ms
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import Tool

if TYPE_CHECKING:
    from deskside.backend.agent.device import Device
    from deskside.backend.agent.device_models import DeviceProfile
    from deskside.backend.agent.models import Models
    from deskside.backend.events import AppEvent

DEVICE = "device/"
NO_AGENT_LIMITS = AgentLimits()
NO_LIMITS = Limits()


@dataclass(frozen=True)
class Surroundings:
    """The parts of the program that runs use. One for all runs."""

    services: ToolServices
    models: Models
    device: Device
    budgets: Budgets
    publish: Callable[[AppEvent], None]
    flush: Callable[[], Awaitable[None]]
    note: Callable[[Reply], None]
    publish_conversation: Callable[[int], Awaitable[None]]
    files: FileContents


@dataclass(frozen=True)
class ProfiledModel:
    """A small model, asked in the way that it understands."""

    model: Model
    profile: DeviceProfile

    @property
    def name(self) -> str:
        return self.model.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Model.stream`."""
        profile = self.profile
        adapted = msgspec.structs.replace(
            request,
            instructions=profile.system_prompt or request.instructions,
            temperature=request.temperature if profile.temperature is None else profile.temperature,
            tools=request.tools if profile.can_use_tools else (),
        )
        async with aclosing(self.model.stream(adapted)) as events:
            async for event in events:
                yield event


@dataclass(frozen=True)
class NotedModel:
    """A model that says when it is asked: `begin` is called before each call, and returns the call's id. What
    it is asked and says is recorded."""

    model: Model
    begin: Callable[[], str]
    recorder: Recorder

    @property
    def name(self) -> str:
        return self.model.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Model.stream`."""
        call_id = self.begin()
        if not self.recorder.is_on:
            return self.model.stream(request)
        return self.recorder.answer(self.model, request, call_id)


async def model_named(around: Surroundings, name: str) -> Model:
    """The model of this name, asked in the way that it understands. Raises AppError where there is none."""
    model = await around.models.make(name)
    if name.startswith(DEVICE):
        model = ProfiledModel(model, around.device.profile(name))

    def tell(message: str, hint: str) -> None:
        around.publish(Notice("warning", "file_left_out", message, hint))

    return ModelWithFiles(model, around.files, tell)


async def next_call(models: Models, call_id: str, model: str, request: ModelRequest) -> NextCall:
    """The most that a call could use."""
    input_tokens = estimated_tokens(request, model)
    longest = request.max_output_tokens or (
        DEFAULT_OUTPUT_TOKENS if model.startswith("anthropic/") else prices.ASSUMED_OUTPUT_TOKENS
    )
    await prices.load()
    price = models.price_of(model, now_ms())
    cost = None if price is None else prices.worst_case(price, input_tokens, longest)
    return NextCall(call_id, model, input_tokens + longest, cost)


class RunHost:
    """Acts for one run. Used on the backend's loop only."""

    def __init__(self, run: LiveRun, around: Surroundings) -> None:
        self._run = run
        self._around = around
        self._admitted = ""
        self._exceeded: Exceeded | None = None
        self._context_tokens: dict[str, int | None] = {}

    # -- models ------------------------------------------------------------------------------------

    async def model(self, name: str) -> Model:
        if not name.startswith(DEVICE):
            await prices.load()  # a call's account begins with its price
        return NotedModel(await model_named(self._around, name), self._begin_call, self._run.reply.recorder)

    def _begin_call(self) -> str:
        call_id = self._run.reply.begin_call()
        self._around.note(self._run.reply)
        return call_id

    async def context_tokens(self, model: str) -> int | None:
        tokens = await self._around.models.context_tokens(model)
        if self._context_tokens.get(model, -1) != tokens:
            self._context_tokens[model] = tokens
            self._run.reply.recorder.note(ContextKnown(model, tokens))
        return tokens

    # -- the user's words --------------------------------------------------------------------------

    def take_steering(self) -> list[Steered]:
        said, self._run.steering = self._run.steering, []
        self._run.reply.steering = []
        return said

    def has_steering(self) -> bool:
        return bool(self._run.steering)

    # -- limits ------------------------------------------------------------------------------------

    async def exceeds(self, call_id: str, model: str, request: ModelRequest) -> Exceeded | None:
        run, budgets = self._run, self._around.budgets
        runs = run.working_runs()
        of_all = self._around.services.settings.current.limits
        if of_all == NO_LIMITS and all(each.agent.limits == NO_AGENT_LIMITS for each in runs):
            return None
        await self._around.flush()  # what the last call used is counted from the store now
        self.settle()
        call = await next_call(self._around.models, call_id, model, request)
        self._exceeded = await budgets.admit(runs, call, lifted=run.lifted)
        if self._exceeded is None:
            self._admitted = call_id
        return self._exceeded

    async def exceeds_with_tools(self, wanted: int) -> Exceeded | None:
        for working in self._run.working_runs():
            label = working.agent.label or working.agent.name
            for exceeded in tools_exceeded(working.agent.limits.run, working.used, wanted, label):
                if exceeded.key not in self._run.lifted:
                    self._exceeded = exceeded
                    return exceeded
        passed = self._run.reply.pass_pause()
        if passed is not None:
            self._around.publish(passed)
        return None

    async def word(self) -> bool:
        assert self._exceeded is not None, "the loop asks after `exceeds`"
        run = self._run
        assert run.pause is not None, "made when the pause was shown"
        try:
            with run.waiting_for_user():
                goes_on = await run.pause
        finally:
            run.pause = None
        if goes_on:
            run.lifted.add(self._exceeded.key)
        return goes_on

    def settle(self) -> None:
        """The call that was admitted last has ended, and what it used is known."""
        self._around.budgets.settle(self._admitted)
        self._admitted = ""

    # -- tools -------------------------------------------------------------------------------------

    def context(self, call_id: str) -> ToolContext:
        run = self._run
        return ToolContext(
            self._around.services,
            run.reply.conversation_id,
            run.reply.message_id,
            run.asked.run_id,
            None if run.agent is None else run.agent.id,
            call_id,
            is_tainted=bool(self._outside(run.history)),
            elicit=self._elicitor(call_id),
        )

    def ran(self, name: str, seconds: float, failure: str) -> None:
        self._around.services.timings.observe(name, seconds, failure)

    async def question(
        self, tool: Tool, request: ToolRequested, arguments: Any, history: Sequence[HistoryItem]
    ) -> ApprovalQuestion | None:
        left = self._left_waiting(request.call_id)
        if left is not None and left.decision:
            return left
        question = question_about(
            tool.effect,
            tool.approval,
            is_granted=await self._is_granted(tool),
            outside=self._outside(history),
        )
        if question is None:
            return None
        return with_preview(question, await preview_of(tool, self.context(request.call_id), arguments))

    async def _is_granted(self, tool: Tool) -> bool:
        """Looked up for each call: what the user takes back counts at once."""
        run, name = self._run, tool.spec.name
        if tool.approval != "ask" or run.agent is None:
            return False
        if name in run.granted:
            return True
        return await self._around.services.store.read(tool_grants.is_granted, run.agent.id, name)

    async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
        if question.decision:
            return ToolDecided(request.call_id, question, request.arguments)
        run = self._run
        with run.waiting_for_user():
            return await run.questions[run.reply.position_of(request.call_id)]

    def _left_waiting(self, call_id: str) -> ApprovalQuestion | None:
        """The question that an earlier run of this reply has asked, perhaps with its answer."""
        call = self._run.reply.call(call_id)
        return call.approval if call is not None and call.status == "waiting" else None

    def _outside(self, history: Sequence[HistoryItem]) -> list[str]:
        found = dict.fromkeys(self._run.inherited_outside)
        return list(found | dict.fromkeys(outside_sources(history)))

    def _elicitor(self, call_id: str) -> Callable[[Elicitation], Any]:
        async def elicit(elicitation: Elicitation) -> ElicitationAnswer:
            return await self._elicit(call_id, elicitation)

        return elicit

    async def _elicit(self, call_id: str, elicitation: Elicitation) -> ElicitationAnswer:
        """Show what a server asks in the call, and wait for the user. One question at a time for a call."""
        run = self._run
        position = run.reply.position_of(call_id)
        if position in run.elicitations:
            return ElicitationAnswer("cancel")
        answer: asyncio.Future[ElicitationAnswer] = asyncio.get_running_loop().create_future()
        run.elicitations[position] = answer
        self._around.publish(run.reply.elicit(call_id, elicitation))
        try:
            await self._around.publish_conversation(run.reply.conversation_id)
            with run.waiting_for_user():
                given = await answer
        finally:
            del run.elicitations[position]
            self._around.publish(run.reply.elicit(call_id, None))
        await self._around.publish_conversation(run.reply.conversation_id)
        return given
