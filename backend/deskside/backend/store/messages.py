"""Messages: a tree in which edits and retries keep their versions.

A conversation shows one path of the tree, from the root to its head. Siblings (messages with the same
parent) are versions of each other. A reply is one message whose parts are, in order, what the model
said, thought and asked for in all steps of its run.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["user", "assistant"]
MessageStatus = Literal["streaming", "complete", "interrupted", "stopped", "failed"]
ToolCallStatus = Literal["writing", "requested", "running", "finished", "failed"]


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="kind"):
    text: str


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning", tag_field="kind"):
    text: str


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call", tag_field="kind"):
    """A tool call and, once it has finished, its result. `arguments` is JSON text, perhaps unfinished."""

    call_id: str
    name: str
    arguments: str
    status: ToolCallStatus
    output: str | None = None
    duration_ms: int = 0


MessagePart = TextPart | ReasoningPart | ToolCallPart


class MessageError(msgspec.Struct, frozen=True):
    """Why a reply failed, as errors.py says it."""

    code: str
    message: str
    hint: str
    retryable: bool


class MessageUsage(msgspec.Struct, frozen=True):
    """Tokens of all model calls of one reply; see agent/events.py, Usage."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class MessageRow(msgspec.Struct, frozen=True):
    """One message. `versions` are the ids of all siblings, oldest first, this one among them.

    `status` is `interrupted` when the program died while it streamed, `stopped` when the user stopped
    it, `failed` when `error` says why. All three offer Continue and Retry.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    status: MessageStatus
    parts: list[MessagePart]
    model: str | None
    run_id: int | None
    error: MessageError | None
    usage: MessageUsage | None
    versions: list[int]
    created_ms: int
    finished_ms: int | None


class MessagePage(msgspec.Struct, frozen=True):
    """Messages of the shown path, oldest first. `last_event` is the number of the last event that the
    page may ignore: what came later must be applied."""

    messages: list[MessageRow]
    has_more: bool
    last_event: int = 0
