"""Runs: the tasks that answer, each owned by its conversation.

A run is two tasks. One streams: it asks the loop for events, and is what a stop cancels. The other
follows it to its end and puts the whole reply on the disk; nothing cancels that one but the end of the
program, so a stop can come at any moment and what was said is kept.

Invariants
  - A conversation has at most one run.
  - What a run does is stored before it is shown and before it has an effect on this machine. What a model
    says (text, and which tools it asks for) is shown at once and stored by the flusher (flusher.py says how
    much a crash can cost), and so is stored that a model call began or ended.
  - A reply that cannot be stored stays in memory, visible, with the store's error, and is tried again
    until it is stored or the program ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from loguru import logger

from deskside.backend import redaction
from deskside.backend.agent import limits, loop
from deskside.backend.agent.budgets import Budgets
from deskside.backend.agent.events import (
    ApprovalQuestion,
    AssistantReasoning,
    AssistantText,
    Finished,
    HistoryItem,
    ModelFellBack,
    Paused,
    ReasoningDelta,
    ReasoningFinished,
    Resumed,
    RunEvent,
    Scope,
    SideCallStarted,
    Steered,
    StepFinished,
    StepRetried,
    StepStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolDecided,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    UsageReported,
    UserFile,
    UserText,
)
from deskside.backend.agent.flusher import Flusher, write_unsaved
from deskside.backend.agent.host import RunHost, Surroundings
from deskside.backend.agent.live_run import LiveRun
from deskside.backend.agent.plans import plan_for
from deskside.backend.agent.provenance import outside_sources
from deskside.backend.agent.recorder import Recorder
from deskside.backend.agent.recording import RunAsked, RunBegan, RunEnded
from deskside.backend.agent.reply import Reply, Unsaved, message_error
from deskside.backend.agent.run_queue import RunQueue
from deskside.backend.agent.titles import Titles
from deskside.backend.errors import (
    AnswerCut,
    AppError,
    Conflict,
    ContentRefused,
    Internal,
    InvalidRequest,
    NoModel,
    NotFound,
    OutputInvalid,
    StreamDropped,
    StreamTimedOut,
)
from deskside.backend.events import (
    ConversationChanged,
    MessageChanged,
    Notice,
    ReplyRetried,
)
from deskside.backend.log import command_name, place, request_id
from deskside.backend.store import agents, conversations, errors, forks, messages, replies, tool_grants
from deskside.backend.store.agents import AgentRow
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.errors import ErrorRow
from deskside.backend.store.forks import OtherResult
from deskside.backend.store.messages import (
    ElicitationAnswer,
    MessageRow,
    NotePart,
    PausePart,
    TextPart,
    ToolCallPart,
)
from deskside.backend.store.recorded_items import Redact
from deskside.backend.store.replies import Asked, FinishedReply
from deskside.backend.store.text import now_ms
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import BadArguments, OutsideFailure, Tool, ToolOutput
from deskside.backend.tools.toolbox import AgentTool, Choices, Source, Toolbox
from deskside.backend.version import VERSION

if TYPE_CHECKING:
    from deskside.backend.agent.device import Device
    from deskside.backend.agent.models import Models
    from deskside.backend.attachments.attachments import Attachments
    from deskside.backend.event_buffer import EventBuffer

FIRST_STORE_RETRY_S = 1.0
LAST_STORE_RETRY_S = 30.0

CONTINUE = (
    "Your last message was cut off. Go on exactly where it stopped, in the middle of the sentence or the "
    "word if need be. Repeat nothing, do not apologise, and do not say that you are continuing."
)

# An answer that ends like this is not whole, and the user is told so.
CUT_SHORT: Mapping[str, AppError] = {
    "length": AnswerCut("The answer reached the model's length limit."),
    "turn_limit": AnswerCut("The run reached its limit of steps while it still wanted to go on."),
    "refused": ContentRefused("The model declined to go on."),
    "invalid_output": OutputInvalid("The answer does not have the form that this agent's answers must have."),
}

# The usual hint of a stream that broke off speaks of what was said and of Continue; here is neither.
NOTHING_SAID = "Press Retry."

# The model's words, or nothing to see: they go to the disk with the text. A call is there before it runs,
# because `ToolStarted` and `ToolWaiting` are waited for.
QUIET = (
    StepStarted,
    SideCallStarted,
    UsageReported,
    ReasoningFinished,
    ToolCallStarted,
    ToolRequested,
    StepFinished,
    Finished,
)
# The conversation begins or ceases to wait for the user with these.
ABOUT_WAITING = (ToolWaiting, ToolDecided, Paused, Resumed)

NO_ANSWER = "The agent gave no answer."

EndStatus = Literal["complete", "interrupted", "stopped", "failed"]


class StartedRun(msgspec.Struct, frozen=True):
    """What `runs.start` answers with: rows that are on the disk. `question` is None for a retry or a
    continuation."""

    run_id: int
    conversation: ConversationRow
    question: MessageRow | None
    reply: MessageRow


class Runs:
    """All runs of the program. Used on the backend's loop only."""

    def __init__(
        self,
        events: EventBuffer,
        models: Models,
        device: Device,
        built_in: Sequence[Tool],
        sources: Sequence[Source],
        choices: Choices,
        services: ToolServices,
        attachments: Attachments,
        tell_of_failure: Callable[[ErrorRow], None],
    ) -> None:
        self._services = services
        self._tell_of_failure = tell_of_failure
        self._redact = _without_keys
        self._attachments = attachments
        self._store = services.store
        self._loop = asyncio.get_running_loop()
        self._events = events
        self._models = models
        self._device = device
        self._settings = services.settings
        self.toolbox = Toolbox(self._store, built_in, sources, choices, self._delegate)
        budgets = Budgets(self._store, self._settings)
        self._queue = RunQueue(lambda: self._settings.current.max_runs)
        self._flusher = Flusher(self._store, self._tell, self._redact)
        self._around = Surroundings(
            services,
            models,
            device,
            budgets,
            events.publish,
            self._flusher.flush,
            self._flusher.note,
            self._publish_conversation,
            attachments.contents_for_models,
        )
        self.titles = Titles(self._around)
        self._by_conversation: dict[int, LiveRun | None] = {}  # None while the rows are being written
        self._unstored: dict[int, LiveRun] = {}  # by message: what the store does not have, or not whole
        self._starting: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    # -- what the commands ask for -----------------------------------------------------------------

    async def start(
        self,
        conversation_id: int | None,
        text: str,
        model: str | None,
        agent: str | None = None,
        attachment_ids: Sequence[int] = (),
    ) -> StartedRun:
        """Store the question with its files, which are in the conversation's draft, then answer it.
        `conversation_id` None starts a conversation, in which the agent of this name answers.

        Raises InvalidRequest for a question that says nothing, Conflict while the conversation has a run,
        NotFound, NoModel, or the store's errors; the question is then not stored.
        """

        _check_says_something(text, attachment_ids)

        async def ask() -> StartedRun:
            if conversation_id is None:
                row = await self._store.read(agents.by_name, agent or agents.DEFAULT)
                name = await self._model_name(None, model or row.model)
                asked = await self._store.write(replies.ask, None, text, name, row.id, attachment_ids)
            else:
                name = await self._model_name(conversation_id, model)
                asked = await self._store.write(
                    replies.ask, conversation_id, text, name, None, attachment_ids
                )
            return self._begin(asked, name, is_continuation=False)

        return await self._alone(conversation_id, ask)

    async def ask_instead(self, message_id: int, text: str, model: str | None) -> StartedRun:
        """Ask a question in other words, and answer it. The old one stays, with all that followed, as an
        earlier version. InvalidRequest for a question that says nothing."""
        row = await self._on_the_path(message_id)
        _check_says_something(text, row.attachments)

        async def ask() -> StartedRun:
            name = await self._model_name(row.conversation_id, model)
            asked = await self._store.write(replies.ask_instead, message_id, text, name)
            return self._begin(asked, name, is_continuation=False)

        return await self._alone(row.conversation_id, ask)

    async def retry(self, message_id: int, model: str | None) -> StartedRun:
        """Answer the question of a reply again. The old reply stays as an earlier version."""
        row = await self._on_the_path(message_id)

        async def answer_again() -> StartedRun:
            chosen = model or await self._store.read(replies.asked_model, row)
            name = await self._model_name(row.conversation_id, chosen)
            asked = await self._store.write(replies.answer_again, message_id, name)
            return self._begin(asked, name, is_continuation=False)

        return await self._alone(row.conversation_id, answer_again)

    async def continue_reply(self, message_id: int) -> StartedRun:
        """Go on where an interrupted, stopped or failed reply ended, in the same message."""
        return await self._reopen(message_id)

    async def fork_from_step(
        self,
        message_id: int,
        step: int,
        results: Sequence[OtherResult],
        model: str | None,
        agent: str | None,
    ) -> StartedRun:
        """Begin a new conversation with a copy of all up to a step of a reply, and let the reply go on from
        there: with other results of tools, by another model or another agent. None are those it had.

        Raises NotFound, NoModel, InvalidRequest, and Conflict for a reply that is being written.
        """
        row = await self._on_the_path(message_id)
        agent_id = None if agent is None else (await self._store.read(agents.by_name, agent)).id
        name = await self._model_name(row.conversation_id, model or row.model)
        conversation, reply_id = await self._store.write(
            forks.fork_from_step, message_id, step, results, name, agent_id
        )
        self._events.publish(ConversationChanged(self.with_live(conversation)))
        return await self.continue_reply(reply_id)

    async def _reopen(self, message_id: int, decide: Callable[[Db], None] | None = None) -> StartedRun:
        """`decide` keeps the user's answer to something that waits; without one, the reply goes on without
        all that waits."""
        row = await self._on_the_path(message_id)

        async def reopen() -> StartedRun:
            before = await self._store.read(replies.asked_model, row)
            name = await self._model_name(row.conversation_id, before)
            asked = await self._store.write(_reopened, message_id, decide)
            return self._begin(asked, name, is_continuation=True)

        return await self._alone(row.conversation_id, reopen)

    async def _on_the_path(self, message_id: int) -> MessageRow:
        row = await self._store.read(messages.get, message_id)
        if row.delegator_id is not None:
            raise InvalidRequest(
                "This is the work of an agent that another one asked.",
                hint="Retry or continue the answer it is in.",
            )
        return row

    async def steer(self, message_id: int, text: str) -> MessageRow:
        """Say something to a reply while it is written: the model reads it before its next step. What no
        model got to read is in the conversation's draft when the reply has ended.

        Raises Conflict once it has ended.
        """
        run = self._working(message_id)
        row_id = await self._store.write(replies.steer, message_id, text)
        if not run.streaming.done():
            run.steering.append(Steered(row_id, text))
            run.reply.steering.append(text)
            self._events.publish(MessageChanged(run.reply.row()))
        return run.reply.row()

    # -- what the user decides ---------------------------------------------------------------------

    async def decide(
        self,
        message_id: int,
        position: int,
        decision: Literal["approved", "denied"],
        scope: Scope,
        arguments: str | None,
        reason: str,
    ) -> None:
        """Answer whether a call may run. `arguments` are those it runs with instead of the model's. An answer
        to a call whose run has ended with the program lets that run go on.

        Raises Conflict where the call does not wait, InvalidRequest for a scope that was not offered or
        arguments that the tool does not take.
        """
        run = self._unstored.get(message_id)
        if run is not None and run.streaming.done():
            await run.ended.wait()
            run = None
        call = await self._waiting_call(run, message_id, position)
        assert call.approval is not None
        if decision == "approved" and scope != "once" and scope not in call.approval.scopes:
            raise InvalidRequest("This can be allowed once only.", hint="Allow it once, or deny it.")
        agent_id, tools = await self._agent_and_tools(run, message_id)
        changed = None if arguments is None or arguments == call.arguments else arguments
        if decision == "approved" and changed is not None:
            _check_arguments(tools, call.name, changed)
        is_for_good = decision == "approved" and scope == "agent"
        question = msgspec.structs.replace(
            call.approval,
            decision=decision,
            scope=scope,
            reason=reason,
            arguments_before=None if changed is None else call.arguments,
            decided_ms=now_ms(),
        )
        decided = ToolDecided(call.call_id, question, changed or call.arguments)
        if run is None:

            def decide(db: Db) -> None:
                replies.decide_call(db, message_id, position, question, decided.arguments)
                if is_for_good:
                    tool_grants.add(db, agent_id, call.name)

            await self._reopen(await self._store.read(replies.root_of, message_id), decide)
            return
        _answer(run, position, decided)
        if decision == "approved" and scope != "once":
            run.granted.add(call.name)
            _answer_the_same(run, call.name, question)
        if is_for_good:
            await self._store.write(tool_grants.add, agent_id, call.name)
            run.granted.discard(call.name)  # the row says so from here on, and can be taken away

    async def decide_pause(self, message_id: int, position: int, *, goes_on: bool) -> None:
        """Let a run pass the limit that it waits at, or stop it there. Raises Conflict where it does not
        wait."""
        run = self._unstored.get(message_id)
        if run is not None and not run.streaming.done():
            part = run.reply.part_at(position)
            is_it = isinstance(part, PausePart) and part.status == "waiting"
            if not is_it or run.pause is None or run.pause.done():
                raise _waits_no_more()
            run.pause.set_result(goes_on)
        elif goes_on:
            root = await self._store.read(replies.root_of, message_id)
            await self._reopen(root, lambda db: replies.pass_limit(db, message_id, position))
        else:
            changed = await self._store.write(replies.keep_limit, message_id, position)
            for row in changed:
                self._events.publish(MessageChanged(row))
            await self._publish_conversation(changed[0].conversation_id)

    async def answer_elicitation(self, message_id: int, position: int, answer: ElicitationAnswer) -> None:
        """Hand the user's answer to the server that asked. Raises Conflict where nothing asks any more."""
        run = self._unstored.get(message_id)
        waiting = None if run is None else run.elicitations.get(position)
        if waiting is None or waiting.done():
            raise _waits_no_more()
        waiting.set_result(answer)

    async def _waiting_call(self, run: LiveRun | None, message_id: int, position: int) -> ToolCallPart:
        if run is None:
            parts = (await self._store.read(messages.get, message_id)).parts
            part = parts[position] if position < len(parts) else None
        else:
            part = run.reply.part_at(position)
        if not isinstance(part, ToolCallPart) or part.status != "waiting" or part.approval is None:
            raise _waits_no_more()
        return part

    async def _agent_and_tools(self, run: LiveRun | None, message_id: int) -> tuple[int, Mapping[str, Tool]]:
        if run is not None and run.agent is not None:
            return run.agent.id, run.tools
        agent = await self._store.read(agents.of_message, message_id)
        return agent.id, {tool.spec.name: tool for tool in await self.toolbox.tools_for(agent, 0)}

    def _working(self, message_id: int) -> LiveRun:
        run = self._unstored.get(message_id)
        if run is None or run.streaming.done():
            raise Conflict("This answer has ended.", hint="Send it as a new message.")
        return run

    # -- ending ------------------------------------------------------------------------------------

    async def stop(self, message_id: int) -> None:
        """Stop the run that writes this reply, and return when what was said is stored."""
        run = self._unstored.get(message_id)
        if run is not None:
            run.cancel("stopped")
            await run.ended.wait()

    async def stop_conversation(self, conversation_id: int) -> None:
        """Stop the conversation's run, if it has one or is about to."""
        if self.is_running(conversation_id) and self._starting:
            await asyncio.wait(self._starting)
        run = self._by_conversation.get(conversation_id)
        if run is not None:
            await self.stop(run.reply.message_id)

    def let_in(self) -> None:
        """The setting for how many may run at once has changed."""
        self._queue.let_in()

    def is_running(self, conversation_id: int) -> bool:
        return conversation_id in self._by_conversation

    def with_live(self, row: ConversationRow) -> ConversationRow:
        """The row with what only the runner knows."""
        run = self._by_conversation.get(row.id)
        is_waiting = row.is_waiting or (run is not None and run.is_asked)
        return msgspec.structs.replace(row, is_running=self.is_running(row.id), is_waiting=is_waiting)

    def with_live_parts(self, row: MessageRow) -> MessageRow:
        """The row with what has been said but not stored."""
        run = self._unstored.get(row.id)
        return row if run is None else run.reply.over(row)

    async def close(self) -> None:
        """End all runs. Everything that was said is stored, if the disk takes it."""
        self._closing.set()
        while unfinished := self._unfinished():
            for run in self._unstored.values():
                if run.parent is None or run.parent.streaming.done():
                    run.cancel("interrupted")
            await asyncio.wait(unfinished)
        await self.titles.close()
        await self._flusher.close()

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        """What the end of the program waits for. A start that is under way becomes a run."""
        following = [run.following for run in self._unstored.values()]
        return [task for task in (*self._starting, *following) if not task.done()]

    # -- starting ----------------------------------------------------------------------------------

    async def _alone(
        self, conversation_id: int | None, start: Callable[[], Coroutine[Any, Any, StartedRun]]
    ) -> StartedRun:
        """Start a run with the conversation held, so that a second one cannot slip in.

        In a task of its own: rows that are written need a run, also when the caller gives up meanwhile.
        """
        self._check_free(conversation_id)
        if conversation_id is not None:
            self._by_conversation[conversation_id] = None
        task = asyncio.create_task(start())
        self._starting.add(task)
        task.add_done_callback(partial(self._started, conversation_id))
        return await asyncio.shield(task)

    def _started(self, conversation_id: int | None, task: asyncio.Task[StartedRun]) -> None:
        self._starting.discard(task)
        if conversation_id is not None and self._by_conversation.get(conversation_id) is None:
            self._by_conversation.pop(conversation_id, None)

    def _check_free(self, conversation_id: int | None) -> None:
        if self._closing.is_set():
            raise Conflict("Deskside is closing.", hint="Start it again and ask then.")
        if conversation_id in self._by_conversation:
            raise Conflict(
                "An answer is still being written in this conversation.",
                hint="Wait for it, or stop it first.",
            )
        for run in self._unstored.values():
            if run.reply.conversation_id == conversation_id and run.reply.error is not None:
                raise Conflict("The last answer could not be saved yet.", hint=run.reply.error.hint)

    async def _model_name(self, conversation_id: int | None, chosen: str | None) -> str:
        if chosen is None and conversation_id is not None:
            chosen = (await self._store.read(conversations.get, conversation_id)).model
        name = chosen or await self._models.default()
        if name is None:
            raise NoModel("There is no model to answer with.")
        return name

    def _begin(
        self,
        asked: Asked,
        model_name: str,
        *,
        is_continuation: bool,
        parent: LiveRun | None = None,
        agent: AgentRow | None = None,
        task: str = "",
        call_id: str = "",
    ) -> StartedRun:
        """From here to the end of the run nothing awaits before both tasks exist."""
        recorder = Recorder(is_on=self._settings.current.records_runs)
        recorder.note(_run_asked(model_name, parent, call_id))
        reply = Reply(asked, model_name, price_of=self._models.price_of, recorder=recorder)
        run = LiveRun(asked, model_name, reply, is_continuation, parent, task, agent=agent)
        if parent is None:
            self._by_conversation[reply.conversation_id] = run
        else:
            run.inherited_outside = [*parent.inherited_outside, *outside_sources(parent.history)]
        self._unstored[reply.message_id] = run
        self._flusher.add(reply)
        run.streaming = asyncio.create_task(self._stream(run), name=f"run {asked.run_id}")
        run.following = asyncio.create_task(self._follow(run), name=f"run {asked.run_id} to its end")
        run.following.add_done_callback(lambda _task: run.ended.set())
        logger.info("run {} started: {}", asked.run_id, model_name)
        for row in asked.gone_on_without:
            self._events.publish(MessageChanged(row))
        conversation = msgspec.structs.replace(asked.conversation, is_running=True)
        if parent is None:
            self._events.publish(ConversationChanged(conversation))
        if asked.question is not None:
            self._events.publish(MessageChanged(asked.question))
        self._events.publish(MessageChanged(asked.reply))
        return StartedRun(asked.run_id, conversation, asked.question, asked.reply)

    # -- streaming ---------------------------------------------------------------------------------

    async def _stream(self, run: LiveRun) -> None:
        """Answer, when it is the run's turn. Raises what the model raises; a stop cancels it."""
        if run.parent is not None:  # it works in the turn of whoever asked it
            await self._work(run)
            return
        async with self._queue.turn(partial(self._placed, run)) as run.turn:
            await self._work(run)

    def _placed(self, run: LiveRun, place_in_line: int) -> None:
        if run.reply.queue_place != place_in_line:
            run.reply.queue_place = place_in_line
            self._events.publish(MessageChanged(run.reply.row()))

    async def _work(self, run: LiveRun) -> None:
        agent, run.history = await self._read_start(run)
        run.agent, run.reply.agent_id = agent, agent.id
        run.lifted = _lifted(run.asked.reply)
        run.granted |= _allowed_before(run.asked)
        tools = await self.toolbox.tools_for(agent, run.depth)
        run.tools = {tool.spec.name: tool for tool in tools}
        run.reply.agent_tools = frozenset(tool.spec.name for tool in tools if isinstance(tool, AgentTool))
        plan = plan_for(
            agent, run.model_name, tools, self._settings.current, datetime.now(), run.asked.next_step
        )
        waited_ms = now_ms() - run.asked_ms
        run.reply.recorder.note_began(_run_began(plan, agent.name, waited_ms), run.history)
        host = RunHost(run, self._around)
        is_on_device = any(name.startswith("device/") for name in plan.models)
        async with self._device.in_use() if is_on_device else nullcontext():
            try:
                async with aclosing(loop.run(host, plan, run.history)) as events:
                    await self._take_all(run, events)
            finally:
                host.settle()

    async def _read_start(self, run: LiveRun) -> tuple[AgentRow, list[HistoryItem]]:
        """What it begins with, once its files were read."""
        start = await self._store.read(_read_start, run)
        waiting = [item.sha256 for item in start[1] if isinstance(item, UserFile) and item.is_waiting]
        if not waiting:
            return start
        await self._attachments.wait_for_texts(waiting)
        return await self._store.read(_read_start, run)

    async def _begin_below(self, parent: LiveRun, call_id: str, agent: AgentRow, task: str) -> LiveRun:
        position = parent.reply.position_of(call_id)
        name = agent.model or parent.model_name
        asked = await self._store.write(
            replies.delegate, parent.reply.message_id, position, agent.id, name, parent.asked.run_id
        )
        goes_on = bool(asked.reply.parts)
        self._begin(
            asked, name, is_continuation=goes_on, parent=parent, agent=agent, task=task, call_id=call_id
        )
        child = parent.children[position] = self._unstored[asked.reply.id]
        return child

    async def _delegate(self, context: ToolContext, agent: AgentRow, task: str) -> ToolOutput:
        """Let another agent do a task, and return its answer. A stop of the run stops it, too."""
        parent = self._unstored[context.message_id]
        position = parent.reply.position_of(context.call_id)
        starting = asyncio.create_task(self._begin_below(parent, context.call_id, agent, task))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            # Shielded: rows that are written need a run, also when this one is stopped meanwhile.
            child = await asyncio.shield(starting)
            await child.ended.wait()
        except asyncio.CancelledError:
            child = await starting
            child.cancel(parent.interruption)
            await child.ended.wait()
            raise
        try:
            return _report(child, agent)
        finally:
            parent.let_go(position)

    async def _take_all(self, run: LiveRun, events: AsyncGenerator[RunEvent, None]) -> None:
        reply, publish, flusher = run.reply, self._events.publish, self._flusher
        async for event in events:
            if isinstance(event, TextDelta):
                publish(reply.append("text", event.text))
                flusher.note(reply)
            elif isinstance(event, ReasoningDelta):
                publish(reply.append("reasoning", event.text))
                flusher.note(reply)
            elif isinstance(event, ToolArgumentsDelta):
                appended = reply.append_arguments(event)
                if appended is not None:
                    publish(appended)
                    flusher.note(reply)
            else:
                await self._take(run, event)

    async def _take(self, run: LiveRun, event: RunEvent) -> None:
        """Store what a run does, then show it."""
        reply = run.reply
        changed = reply.take(event)
        if isinstance(event, Finished):
            run.finished = event
        elif isinstance(event, ToolStarted):
            run.tool_calls += 1
        elif isinstance(event, ToolWaiting):  # before it is shown: the answer may come at once
            run.questions.setdefault(reply.position_of(event.call_id), self._loop.create_future())
        elif isinstance(event, Paused):
            run.pause = self._loop.create_future()
        if isinstance(event, QUIET):
            self._flusher.note(reply)
        else:
            began_s = time.monotonic()
            await self._flusher.flush()
            reply.recorder.store_ms += 1000 * (time.monotonic() - began_s)
            fault = self._flusher.fault(reply)
            if fault is not None and isinstance(event, ToolStarted) and _has_effect(run, event.call_id):
                raise fault  # what runs unrecorded could run again after a crash
        if changed is not None:
            self._events.publish(changed)
        if isinstance(event, StepRetried):
            logger.info("run {} retries after {}: {:.1f} s", run.asked.run_id, event.code, event.delay_s)
            self._events.publish(
                ReplyRetried(
                    reply.conversation_id, reply.message_id, event.attempt, event.delay_s, event.message
                )
            )
        elif isinstance(event, Steered | ModelFellBack):
            self._events.publish(MessageChanged(reply.row()))
        elif isinstance(event, ABOUT_WAITING):
            await self._publish_conversation(reply.conversation_id)

    async def _publish_conversation(self, conversation_id: int) -> None:
        """Its row says whether it waits for the user."""
        try:
            row = await self._store.read(conversations.get, conversation_id)
        except NotFound:  # deleted meanwhile
            return
        self._events.publish(ConversationChanged(self.with_live(row)))

    # -- the end -----------------------------------------------------------------------------------

    async def _follow(self, run: LiveRun) -> None:
        """Wait for the end of the stream, however it comes, and store the whole reply."""
        await asyncio.wait([run.streaming])
        status, error = self._outcome(run)
        logger.info("run {} ended: {}", run.asked.run_id, status)
        run.reply.close(status, error, run.history, run.waits_below())
        reason = run.finished.reason if run.finished else status
        run.reply.recorder.note(_run_ended(status, reason, run.reply))
        await self._flusher.release(run.reply)
        finished = FinishedReply(
            message_id=run.reply.message_id,
            run_id=run.asked.run_id,
            status=status,
            parts=run.reply.stored_parts(),
            error=run.reply.error,
            usage=run.usage(),
            reason=reason,
        )
        fault = None if run.streaming.cancelled() else run.streaming.exception()
        detail = None if fault is None else place(fault)
        delay_s = FIRST_STORE_RETRY_S
        while (stored := await self._store_end(run, finished, detail)) is None and not self._closing.is_set():
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, LAST_STORE_RETRY_S)
        if stored is not None:
            del self._unstored[finished.message_id]
            row, conversation, changed, failure = stored
            if failure is not None:
                self._tell_of_failure(failure)
            for below in changed:
                self._events.publish(MessageChanged(below))
            self._let_go(run, row, conversation)
            if status == "complete" and run.parent is None and conversation is not None:
                self.titles.make_soon(conversation.id)

    def _outcome(self, run: LiveRun) -> tuple[EndStatus, AppError | None]:
        """How the stream ended. This is the edge where a bug in a run becomes a failed reply."""
        if run.streaming.cancelled():
            return run.interruption, None
        error = run.streaming.exception()
        if error is None and run.finished is not None:
            if run.finished.reason == "limit":
                return "stopped", None
            cut = CUT_SHORT.get(run.finished.reason)
            return ("complete", None) if cut is None else ("failed", cut)
        if isinstance(error, AppError):
            logger.info("run {} failed: {}", run.asked.run_id, error.code)
            if isinstance(error, StreamDropped | StreamTimedOut) and not run.reply.has_said_something:
                error.hint = NOTHING_SAID
            return "failed", error
        logger.bind(is_kept=True).opt(exception=error).error("run {} failed", run.asked.run_id)
        return "failed", Internal("The answer failed because of a fault in Deskside.")

    async def _store_end(
        self, run: LiveRun, finished: FinishedReply, detail: str | None
    ) -> tuple[MessageRow, ConversationRow | None, list[MessageRow], ErrorRow | None] | None:
        """Write the whole reply. None if that fails: the reply is then shown as failed, and kept."""
        rest = run.reply.unsaved()
        try:
            return await self._store.write(_write_end, finished, rest, detail, self._redact)
        except Exception as error:
            if isinstance(error, AppError):
                logger.warning("run {} could not be stored: {}", finished.run_id, error.code)
                if rest is not None:
                    run.reply.give_back(rest)
            else:
                # `rest` is not given back: the answer is worth more than the record of how it came.
                logger.opt(exception=True).error("run {} could not be stored", finished.run_id)
                error = Internal("The answer could not be saved because of a fault in Deskside.")
            if not run.ended.is_set():
                run.reply.status, run.reply.error = "failed", message_error(error)
                self._let_go(run, run.reply.row(), run.asked.conversation)
            return None

    async def _pause(self, delay_s: float) -> None:
        """Wait before the next try; the end of the program does not wait."""
        try:
            async with asyncio.timeout(delay_s):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _let_go(self, run: LiveRun, row: MessageRow, conversation: ConversationRow | None) -> None:
        """The run is over for everyone who looks; `row` is how it ended."""
        conversation_id = run.reply.conversation_id
        if self._by_conversation.get(conversation_id) is run:
            del self._by_conversation[conversation_id]
        self._events.publish(MessageChanged(row))
        if conversation is not None:
            self._events.publish(ConversationChanged(self.with_live(conversation)))
        run.ended.set()

    def _tell(self, error: AppError) -> None:
        """A flush failed: say so once, while the answer goes on."""
        self._events.publish(Notice("warning", error.code, error.message, error.hint))


def _run_asked(model: str, parent: LiveRun | None, call_id: str) -> RunAsked:
    """An agent that is asked by another one was asked for by no command of its own."""
    if parent is not None:
        return RunAsked("", request_id.get(), VERSION, model, parent.asked.run_id, call_id)
    return RunAsked(command_name.get(), request_id.get(), VERSION, model)


def _run_began(plan: loop.Plan, agent: str, waited_ms: int) -> RunBegan:
    tools = [tool.spec.name for tool in plan.tools]
    return RunBegan(
        waited_ms, agent, list(plan.models), tools, plan.first_step, plan.step_limit, plan.parallel_tools
    )


def _run_ended(status: EndStatus, reason: str, reply: Reply) -> RunEnded:
    error = reply.error
    code, message = ("", "") if error is None else (error.code, error.message)
    return RunEnded(status, reason, round(reply.recorder.store_ms), code, message)


def _check_says_something(text: str, files: Sequence[object]) -> None:
    if not text.strip() and not files:
        raise InvalidRequest("There is nothing to ask.", hint="Type a question, or attach a file.")


def _read_start(db: Db, run: LiveRun) -> tuple[AgentRow, list[HistoryItem]]:
    """Who answers, and what was said before."""
    reply = run.asked.reply
    agent = run.agent or agents.of_conversation(db, reply.conversation_id)
    if run.parent is not None:
        history: list[HistoryItem] = [UserText(run.task)]
        if run.is_continuation:
            history += messages.history(db, reply.id, keeps_open=True)
        return agent, history
    until = reply.id if run.is_continuation or reply.parent_id is None else reply.parent_id
    history = messages.history(db, until, keeps_open=run.is_continuation)
    was_cut_off = history and isinstance(history[-1], AssistantText | AssistantReasoning)
    if run.is_continuation and was_cut_off and not loop.unanswered(history):
        history.append(UserText(CONTINUE))
    return agent, history


def _allowed_before(asked: Asked) -> set[str]:
    """The tools that the user allowed for the run when they decided what had outlived the program."""
    calls = [stored.part for stored in asked.taken_up if isinstance(stored.part, ToolCallPart)]
    return {
        call.name
        for call in calls
        if call.approval is not None and (call.approval.decision, call.approval.scope) == ("approved", "run")
    }


def _has_effect(run: LiveRun, call_id: str) -> bool:
    call = run.reply.call(call_id)
    tool = None if call is None else run.tools.get(call.name)
    return tool is not None and tool.effect != "read"


def _lifted(reply: MessageRow) -> set[tuple[limits.Scope, limits.Resource]]:
    """The limits that the user has let earlier runs of this reply pass."""
    names = [part.limit for part in reply.parts if isinstance(part, PausePart) and part.status == "went_on"]
    return {key for name in names if (key := limits.key_of(name)) is not None}


def _check_arguments(tools: Mapping[str, Tool], name: str, arguments: str) -> None:
    tool = tools.get(name)
    if tool is None:
        raise Conflict(f"The tool {name!r} is not there any more.", hint="Deny the call.")
    try:
        tool.read_arguments(arguments)
    except BadArguments as error:
        raise InvalidRequest(str(error), hint="Correct the arguments, or deny the call.") from error


def _reopened(db: Db, message_id: int, decide: Callable[[Db], None] | None) -> Asked:
    if decide is not None:
        decide(db)
    return replies.reopen(db, message_id, goes_on_waiting=decide is not None)


def _answer(run: LiveRun, position: int, decided: ToolDecided) -> None:
    """A call that an earlier run has asked about may be answered before this one asks again."""
    call = run.reply.part_at(position)
    question = call.approval if isinstance(call, ToolCallPart) and call.status == "waiting" else None
    if question is None or question.decision:
        raise _waits_no_more()
    waiting = run.questions.setdefault(position, asyncio.get_running_loop().create_future())
    if waiting.done():
        raise _waits_no_more()
    waiting.set_result(decided)


def _answer_the_same(run: LiveRun, name: str, question: ApprovalQuestion) -> None:
    """What was allowed for more than one call holds for those that wait already."""
    for position, waiting in run.questions.items():
        call = run.reply.part_at(position)
        if waiting.done() or not isinstance(call, ToolCallPart) or call.name != name:
            continue
        if call.approval is not None and call.approval.scopes:
            own = msgspec.structs.replace(
                call.approval, decision="approved", scope=question.scope, decided_ms=question.decided_ms
            )
            waiting.set_result(ToolDecided(call.call_id, own, call.arguments))


def _waits_no_more() -> Conflict:
    return Conflict("This does not wait for an answer any more.", hint="Look at the conversation again.")


def _report(child: LiveRun, agent: AgentRow) -> ToolOutput:
    """What an agent hands to the one that asked it: its last words."""
    label = agent.label or agent.name
    reply = child.reply
    outside = list(dict.fromkeys([*child.inherited_outside, *outside_sources(child.history)]))
    source = ", ".join([label, *outside][:6])
    if reply.status == "failed":
        failure = f"the agent {label!r} failed: {'' if reply.error is None else reply.error.message}"
        raise OutsideFailure(failure, "agent", source) if outside else RuntimeError(failure)
    texts: list[str] = []
    for part in reply.row().parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif not isinstance(part, NotePart):
            texts = []
    text = "\n\n".join(texts) or NO_ANSWER
    if reply.status == "stopped":
        text = f"{text}\n\n(The agent was stopped before it was done.)"
    return ToolOutput(text, "agent", source, is_outside=bool(outside))


def _without_keys(text: str) -> str:
    """For a recording, of which nothing else may be changed."""
    return redaction.PROCESS.without_keys(text)


def _write_end(
    db: Db, finished: FinishedReply, rest: Unsaved | None, detail: str | None, redact: Redact
) -> tuple[MessageRow, ConversationRow | None, list[MessageRow], ErrorRow | None]:
    """What the flusher has not written and the reply as a whole, in one unit of work; for a run that raised
    also a line in the error log, with the `detail` where. The conversation is None when it was deleted
    meanwhile. What waited below and was not gone on with waits no more; the list is what this changed. Last
    the line in the error log."""
    if rest is not None:
        write_unsaved(db, rest, redact)
    row = replies.finish(db, finished)
    changed: list[MessageRow] = []
    if finished.status != "interrupted":
        changed = replies.go_on_without_below(db, finished.message_id)
    failure: ErrorRow | None = None
    if finished.error is not None and detail is not None:
        failure = errors.record(
            db, "run", finished.error.code, finished.error.message, f"run {finished.run_id}", detail
        )
    try:
        return row, conversations.get(db, row.conversation_id), changed, failure
    except NotFound:
        return row, None, changed, failure
