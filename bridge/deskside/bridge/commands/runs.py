"""Asking for an answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.agent.runs import StartedRun
from deskside.backend.app import App
from deskside.bridge.commands.conversations import ModelName, RowId
from deskside.bridge.registry import command

# Two million characters: more than any model reads, and small enough for one frame.
MessageText = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000_000, pattern="\\S")]


class StartRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`conversation_id` None starts a new conversation. `model` None takes the conversation's."""

    text: MessageText
    conversation_id: RowId | None = None
    model: ModelName | None = None


class ReplyId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId


class RetryReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId
    model: ModelName | None = None


@command
async def start(app: App, params: StartRun) -> StartedRun:
    """Store what the user typed, then start the answer. The answer arrives as events.

    Once this returns, the question is on the disk, whatever happens next.
    """
    return await app.runs.start(params.conversation_id, params.text, params.model)


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
