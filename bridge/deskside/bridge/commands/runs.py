"""Asking for an answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from deskside.backend.agent.events import Scope
from deskside.backend.agent.runs import StartedRun
from deskside.backend.app import App
from deskside.backend.store.agents import AgentName
from deskside.backend.store.messages import ElicitationAnswer, MessageRow
from deskside.bridge.commands.conversations import ModelName, RowId
from deskside.bridge.registry import command

Position = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
# Two million characters: more than any model reads, and small enough for one frame.
MessageText = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000_000, pattern="\\S")]


class StartRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`conversation_id` None starts a new conversation, in which `agent` answers; None is the default agent.
    `model` None takes the conversation's."""

    text: MessageText
    conversation_id: RowId | None = None
    model: ModelName | None = None
    agent: AgentName | None = None


class AskInstead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`message_id` is a question. `model` None takes the conversation's."""

    message_id: RowId
    text: MessageText
    model: ModelName | None = None


class Steer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId
    text: MessageText


class ReplyId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId


class RetryReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId
    model: ModelName | None = None


class DecideCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`arguments` None are the model's own. `reason` is what the model is told of a denial."""

    message_id: RowId
    position: Position
    decision: Literal["approved", "denied"]
    scope: Scope = "once"
    arguments: Annotated[str, msgspec.Meta(max_length=2_000_000)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=4000)] = ""


class DecidePause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId
    position: Position
    go_on: bool


class AnswerElicitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId
    position: Position
    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None


@command
async def start(app: App, params: StartRun) -> StartedRun:
    """Store what the user typed, then start the answer. The answer arrives as events.

    Once this returns, the question is on the disk, whatever happens next.
    """
    return await app.runs.start(params.conversation_id, params.text, params.model, params.agent)


@command
async def ask_instead(app: App, params: AskInstead) -> StartedRun:
    """Ask a question in other words and answer it; the old one, with what followed, stays as an earlier
    version."""
    return await app.runs.ask_instead(params.message_id, params.text, params.model)


@command
async def steer(app: App, params: Steer) -> MessageRow:
    """Say something to a reply that is being written; the model reads it before its next step.

    Once this returns it is on the disk. Conflict when the reply has ended.
    """
    return await app.runs.steer(params.message_id, params.text)


@command
async def decide(app: App, params: DecideCall) -> None:
    """Answer whether a tool call that waits may run. Also lets a run go on that ended with the program."""
    await app.runs.decide(
        params.message_id,
        params.position,
        params.decision,
        params.scope,
        params.arguments,
        params.reason,
    )


@command
async def decide_pause(app: App, params: DecidePause) -> None:
    """Let a run pass the limit that it waits at, or stop it there."""
    await app.runs.decide_pause(params.message_id, params.position, goes_on=params.go_on)


@command
async def answer_elicitation(app: App, params: AnswerElicitation) -> None:
    """Answer what an MCP server asks in the middle of a call."""
    answer = ElicitationAnswer(params.action, params.content)
    await app.runs.answer_elicitation(params.message_id, params.position, answer)


@command
async def stop(app: App, params: ReplyId) -> None:
    """Stop the run that writes this reply; what was said is kept. Nothing happens if it has ended."""
    await app.runs.stop(params.message_id)


@command
async def retry(app: App, params: RetryReply) -> StartedRun:
    """Answer the same question again. The old reply stays as an earlier version."""
    return await app.runs.retry(params.message_id, params.model)


@command
async def continue_reply(app: App, params: ReplyId) -> StartedRun:
    """Go on where an interrupted, stopped or failed reply ended, in the same message."""
    return await app.runs.continue_reply(params.message_id)
