"""Runs: the tasks that answer, each owned by its conversation.

A run is two tasks. One streams: it asks the loop for events, and is what a stop cancels. The other
follows it to its end and puts the whole reply on the disk; nothing cancels that one but the end of the
program, so a stop can come at any moment and what was said is kept.

Invariants
  - A conversation has at most one run.
  - What a run does is stored before it is shown and before it has an effect on this machine. Text is shown
    at once and stored by the flusher (flusher.py says how much a crash can cost), and so is stored that a
    model call began or ended.
  - A reply that cannot be stored stays in memory, visible, with the store's error, and is tried again
    until it is stored or the program ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from loguru import logger

from deskside.backend.agent import loop
from deskside.backend.agent.device_models import PLAIN_PROFILE
from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    Finished,
    HistoryItem,
    ReasoningDelta,
    ReasoningFinished,
    RunEvent,
    StepFinished,
    StepRetried,
    StepStarted,
    TextDelta,
    ToolArgumentsDelta,
    UsageReported,
    UserText,
)
from deskside.backend.agent.flusher import Flusher, write_unsaved
from deskside.backend.agent.reply import Reply, Unsaved, message_error
from deskside.backend.errors import (
    AnswerCut,
    AppError,
    Conflict,
    ContentRefused,
    Internal,
    NoModel,
    NotFound,
    StreamDropped,
    StreamTimedOut,
)
from deskside.backend.events import (
    ConversationChanged,
    MessageChanged,
    Notice,
    ReplyRetried,
)
from deskside.backend.log import place
from deskside.backend.store import agents, conversations, errors, messages, replies
from deskside.backend.store.agents import AgentRow
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.messages import MessageRow
from deskside.backend.store.replies import Asked, FinishedReply
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import Tool

if TYPE_CHECKING:
    from deskside.backend.agent.device import Device
    from deskside.backend.agent.models import Models
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store

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
}

# The usual hint of a stream that broke off speaks of what was said and of Continue; here is neither.
NOTHING_SAID = "Press Retry."

# Nothing is shown because of these, and nothing on this machine happens: they go to the disk with the text.
QUIET = (StepStarted, UsageReported, ReasoningFinished, StepFinished, Finished)

EndStatus = Literal["complete", "interrupted", "stopped", "failed"]


class StartedRun(msgspec.Struct, frozen=True):
    """What `runs.start` answers with: rows that are on the disk. `question` is None for a retry or a
    continuation."""

    run_id: int
    conversation: ConversationRow
    question: MessageRow | None
    reply: MessageRow


@dataclass
class Run:
    """One run. `interruption` is the status that a cancelled stream leaves behind."""

    asked: Asked
    model_name: str
    reply: Reply
    is_continuation: bool
    history: list[HistoryItem] = field(default_factory=list)
    finished: Finished | None = None
    interruption: Literal["stopped", "interrupted"] = "stopped"
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    streaming: asyncio.Task[None] = field(init=False)
    following: asyncio.Task[None] = field(init=False)

    def cancel(self, interruption: Literal["stopped", "interrupted"]) -> None:
        if not self.streaming.done():
            self.interruption = interruption
            self.streaming.cancel()


class Runs:
    """All runs of the program. Used on the backend's loop only."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        models: Models,
        device: Device,
        tools: Sequence[Tool],
        services: ToolServices,
    ) -> None:
        self._services = services
        self._store = store
        self._events = events
        self._models = models
        self._device = device
        self._tools = tools
        self._flusher = Flusher(store, self._tell)
        self._by_conversation: dict[int, Run | None] = {}  # None while the rows are being written
        self._unstored: dict[int, Run] = {}  # by message: what the store does not have, or not whole
        self._starting: set[asyncio.Task[StartedRun]] = set()
        self._closing = asyncio.Event()

    # -- what the commands ask for -----------------------------------------------------------------

    async def start(self, conversation_id: int | None, text: str, model: str | None) -> StartedRun:
        """Store the question, then answer it. `conversation_id` None starts a conversation.

        Raises Conflict while the conversation has a run, NotFound, NoModel, or the store's errors; the
        question is then not stored.
        """

        async def ask() -> StartedRun:
            name = await self._model_name(conversation_id, model)
            asked = await self._store.write(replies.ask, conversation_id, text, name)
            return self._begin(asked, name, is_continuation=False)

        return await self._alone(conversation_id, ask)

    async def retry(self, message_id: int, model: str | None) -> StartedRun:
        """Answer the question of a reply again. The old reply stays as an earlier version."""
        row = await self._store.read(messages.get, message_id)

        async def answer_again() -> StartedRun:
            name = await self._model_name(row.conversation_id, model or row.model)
            asked = await self._store.write(replies.answer_again, message_id, name)
            return self._begin(asked, name, is_continuation=False)

        return await self._alone(row.conversation_id, answer_again)

    async def continue_reply(self, message_id: int) -> StartedRun:
        """Go on where an interrupted, stopped or failed reply ended, in the same message."""
        row = await self._store.read(messages.get, message_id)

        async def reopen() -> StartedRun:
            name = await self._model_name(row.conversation_id, row.model)
            asked = await self._store.write(replies.reopen, message_id)
            return self._begin(asked, name, is_continuation=True)

        return await self._alone(row.conversation_id, reopen)

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

    def is_running(self, conversation_id: int) -> bool:
        return conversation_id in self._by_conversation

    def with_live_parts(self, row: MessageRow) -> MessageRow:
        """The row with what has been said but not stored."""
        run = self._unstored.get(row.id)
        return row if run is None else run.reply.over(row)

    async def close(self) -> None:
        """End all runs. Everything that was said is stored, if the disk takes it."""
        self._closing.set()
        if self._starting:
            await asyncio.wait(self._starting)
        open_runs = list(self._unstored.values())
        for run in open_runs:
            run.cancel("interrupted")
        if open_runs:
            await asyncio.wait([run.following for run in open_runs])
        await self._flusher.close()

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

    def _begin(self, asked: Asked, model_name: str, *, is_continuation: bool) -> StartedRun:
        """From here to the end of the run nothing awaits before both tasks exist."""
        reply = Reply(asked.reply, asked.run_id, model_name, asked.next_position, asked.next_step)
        run = Run(asked, model_name, reply, is_continuation)
        self._by_conversation[reply.conversation_id] = run
        self._unstored[reply.message_id] = run
        self._flusher.add(reply)
        run.streaming = asyncio.create_task(self._stream(run), name=f"run {asked.run_id}")
        run.following = asyncio.create_task(self._follow(run), name=f"run {asked.run_id} to its end")
        run.following.add_done_callback(lambda _task: run.ended.set())
        logger.info("run {} started: {}", asked.run_id, model_name)
        conversation = msgspec.structs.replace(asked.conversation, is_running=True)
        self._events.publish(ConversationChanged(conversation))
        if asked.question is not None:
            self._events.publish(MessageChanged(asked.question))
        self._events.publish(MessageChanged(asked.reply))
        return StartedRun(asked.run_id, conversation, asked.question, asked.reply)

    # -- streaming ---------------------------------------------------------------------------------

    async def _stream(self, run: Run) -> None:
        """Answer. Raises what the model raises; a stop cancels it."""
        is_on_device = run.model_name.startswith("device/")
        profile = self._device.profile(run.model_name) if is_on_device else PLAIN_PROFILE
        async with self._device.in_use() if is_on_device else nullcontext():
            model = await self._models.make(run.model_name)
            agent, run.history = await self._store.read(_read_start, run.asked.reply, run.is_continuation)
            events = loop.run(
                model,
                self._tools if profile.can_use_tools else [],
                run.history,
                context=partial(self._context, run, agent.id),
                instructions=profile.system_prompt or agent.instructions,
                temperature=agent.temperature if profile.temperature is None else profile.temperature,
                first_step=run.asked.next_step,
                step_limit=agent.step_limit,
            )
            async with aclosing(events):
                await self._take_all(run, events)

    def _context(self, run: Run, agent_id: int, call_id: str) -> ToolContext:
        reply = run.reply
        return ToolContext(
            self._services, reply.conversation_id, reply.message_id, reply.run_id, agent_id, call_id
        )

    async def _take_all(self, run: Run, events: AsyncGenerator[RunEvent, None]) -> None:
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

    async def _take(self, run: Run, event: RunEvent) -> None:
        """Store what a run does, then show it."""
        changed = run.reply.take(event)
        if isinstance(event, Finished):
            run.finished = event
        if isinstance(event, QUIET):
            self._flusher.note(run.reply)
        else:
            await self._flusher.flush()
        if changed is not None:
            self._events.publish(changed)
        if isinstance(event, StepRetried):
            logger.info("run {} retries after {}: {:.1f} s", run.asked.run_id, event.code, event.delay_s)
            self._events.publish(
                ReplyRetried(
                    run.reply.conversation_id,
                    run.reply.message_id,
                    event.attempt,
                    event.delay_s,
                    event.message,
                )
            )

    # -- the end -----------------------------------------------------------------------------------

    async def _follow(self, run: Run) -> None:
        """Wait for the end of the stream, however it comes, and store the whole reply."""
        await asyncio.wait([run.streaming])
        status, error = self._outcome(run)
        logger.info("run {} ended: {}", run.asked.run_id, status)
        run.reply.close(status, error, run.history)
        await self._flusher.release(run.reply)
        finished = FinishedReply(
            message_id=run.reply.message_id,
            run_id=run.asked.run_id,
            status=status,
            parts=run.reply.stored_parts(),
            error=run.reply.error,
            usage=run.reply.usage(),
            reason=run.finished.reason if run.finished else status,
        )
        fault = None if run.streaming.cancelled() else run.streaming.exception()
        detail = None if fault is None else place(fault)
        delay_s = FIRST_STORE_RETRY_S
        while (stored := await self._store_end(run, finished, detail)) is None and not self._closing.is_set():
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, LAST_STORE_RETRY_S)
        if stored is not None:
            del self._unstored[finished.message_id]
            self._let_go(run, *stored)

    def _outcome(self, run: Run) -> tuple[EndStatus, AppError | None]:
        """How the stream ended. This is the edge where a bug in a run becomes a failed reply."""
        if run.streaming.cancelled():
            return run.interruption, None
        error = run.streaming.exception()
        if error is None and run.finished is not None:
            cut = CUT_SHORT.get(run.finished.reason)
            return ("complete", None) if cut is None else ("failed", cut)
        if isinstance(error, AppError):
            logger.info("run {} failed: {}", run.asked.run_id, error.code)
            if isinstance(error, StreamDropped | StreamTimedOut) and not run.reply.stored_parts():
                error.hint = NOTHING_SAID
            return "failed", error
        logger.opt(exception=error).error("run {} failed", run.asked.run_id)
        return "failed", Internal("The answer failed because of a fault in Deskside.")

    async def _store_end(
        self, run: Run, finished: FinishedReply, detail: str | None
    ) -> tuple[MessageRow, ConversationRow | None] | None:
        """Write the whole reply. None if that fails: the reply is then shown as failed, and kept."""
        rest = run.reply.unsaved()
        try:
            return await self._store.write(_write_end, finished, rest, detail)
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

    def _let_go(self, run: Run, row: MessageRow, conversation: ConversationRow | None) -> None:
        """The run is over for everyone who looks; `row` is how it ended."""
        conversation_id = run.reply.conversation_id
        if self._by_conversation.get(conversation_id) is run:
            del self._by_conversation[conversation_id]
        self._events.publish(MessageChanged(row))
        if conversation is not None:
            is_running = self.is_running(conversation_id)
            conversation = msgspec.structs.replace(conversation, is_running=is_running)
            self._events.publish(ConversationChanged(conversation))
        run.ended.set()

    def _tell(self, error: AppError) -> None:
        """A flush failed: say so once, while the answer goes on."""
        self._events.publish(Notice("warning", error.code, error.message, error.hint))


def _read_start(db: Db, reply: MessageRow, is_continuation: bool) -> tuple[AgentRow, list[HistoryItem]]:
    """Who answers, and what was said before."""
    until = reply.id if is_continuation or reply.parent_id is None else reply.parent_id
    history = messages.history(db, until)
    if is_continuation and history and isinstance(history[-1], AssistantText | AssistantReasoning):
        history.append(UserText(CONTINUE))
    return agents.default(db), history


def _write_end(
    db: Db, finished: FinishedReply, rest: Unsaved | None, detail: str | None
) -> tuple[MessageRow, ConversationRow | None]:
    """What the flusher has not written and the reply as a whole, in one unit of work; for a run that raised
    also a line in the error log, with the `detail` where. The conversation is None when it was deleted
    meanwhile."""
    if rest is not None:
        write_unsaved(db, rest)
    row = replies.finish(db, finished)
    if finished.error is not None and detail is not None:
        errors.record(
            db, "run", finished.error.code, finished.error.message, f"run {finished.run_id}", detail
        )
    try:
        return row, conversations.get(db, row.conversation_id)
    except NotFound:
        return row, None
