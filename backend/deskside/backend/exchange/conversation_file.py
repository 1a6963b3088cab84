"""Conversations as one JSON document, to keep or to move to another Deskside.

The format is published as build/schemas/conversations-1.json, which is written from the structs here. A
document that is imported into an empty store and exported again is the same document: trees with all
versions, which path is shown, parts, what agents below have said, runs and what they used, attachments,
folders, tags, times. Rows are numbered from 1 in the document; agents and models are named.

What does not leave, or is not believed when it comes:
  - nothing that the user allowed: of an approval the answer is kept, not what else it held for; a limit that
  was
    passed holds again;
  - nothing waits or streams: a call that had no result, and a pause without an answer, have ended;
  - every result of a tool counts as text from outside, because the file may come from anybody.
Not in it: keys, settings, agents' instructions, the recorder's events, and what is in the trash.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from deskside.backend.agent.events import ApprovalQuestion, Effect, Origin
from deskside.backend.store.agents import AgentName
from deskside.backend.store.messages import (
    MessageError,
    MessagePart,
    MessageUsage,
    NotePart,
    PausePart,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    UserPart,
)

FORMAT: Final = "deskside-conversations"
VERSION: Final = 1
UNFINISHED = "This had not ended when the conversation was exported."

# As the bridge passes whole numbers.
Whole = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Unix milliseconds, UTC.")]
Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=2000)]


class FileApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """That the user was asked about a call, why, and what they answered."""

    reasons: list[str]
    effect: Effect
    summary: str = ""
    diff: str = ""
    outside: list[str] = []
    asked_ms: Whole = 0
    decision: Literal["", "approved", "denied"] = ""
    reason: str = ""
    arguments_before: str | None = None
    decided_ms: Whole = 0


class FileToolCall(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="tool_call",
    tag_field="kind",
):
    """A call of a tool and its result. `arguments` is the JSON text that the model wrote, perhaps invalid."""

    call_id: str
    name: str
    arguments: str
    status: Literal["finished", "failed"]
    output: str
    duration_ms: Whole = 0
    origin: Origin = "tool"
    source: str = ""
    hidden_characters: Whole = 0
    approval: FileApproval | None = None
    is_agent: bool = False


class FilePause(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="pause",
    tag_field="kind",
):
    """The reply would have passed a limit; what the user answered."""

    text: str
    status: Literal["went_on", "stopped"]
    asked_ms: Whole = 0
    decided_ms: Whole = 0


FileContent = TextPart | ReasoningPart | UserPart | FileToolCall | NotePart | FilePause


class FilePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part of a message: `step` counts the model calls of a reply from 0, `position` its parts.
    `provider_data` is JSON text that the provider wants back unchanged, `model` who wrote the part, where
    that is known."""

    position: Whole
    step: Whole
    content: FileContent
    provider_data: str | None = None
    model: str | None = None


class FileModelCall(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What one call of a model used. `model` is provider/model; `price` the row that the cost (in 10⁻⁹ US
    dollars) was computed with. `is_billed`: the provider said itself what it cost. `reported` is how much of
    the tokens it told."""

    call_id: Name
    model: str
    input_tokens: Whole = 0
    cache_read_tokens: Whole = 0
    cache_write_tokens: Whole = 0
    output_tokens: Whole = 0
    reasoning_tokens: Whole = 0
    cost_nano_usd: Whole | None = None
    price: dict[str, Any] | None = None
    is_billed: bool = False
    reported: Literal["nothing", "part", "all"] = "all"
    request_id: str = ""
    at_ms: Milliseconds
    agent: AgentName | None = None


class FileRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One run that wrote at a reply. `parent` is the number of the run whose agent asked this one."""

    id: Number
    agent: AgentName | None = None
    model: str
    status: Literal["complete", "interrupted", "stopped", "failed"]
    reason: str | None = None
    request_id: str = ""
    started_ms: Milliseconds
    finished_ms: Milliseconds | None = None
    parent: Number | None = None
    calls: list[FileModelCall] = []


class FileAttachment(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A file. Its content is in `data` (base64), or in files/ under its SHA-256 where the document is in a
    zip. `text` is what was read out of it."""

    position: Whole
    name: str
    media_type: str
    sha256: Sha256
    size_bytes: Whole
    text: str | None = None
    text_status: Literal["none", "waiting", "ready", "failed"] = "none"
    text_error: str = ""
    kept_ms: Milliseconds
    attached_ms: Milliseconds
    data: bytes | None = None


class FileMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A message. Those with the same `parent` are versions of each other, the oldest first. One with a
    `delegator` answers the call at `call_position` of that reply, and is on no path."""

    id: Number
    parent: Number | None = None
    role: Role
    status: Literal["complete", "interrupted", "stopped", "failed"] = "complete"
    agent: AgentName | None = None
    model: str | None = None
    error: MessageError | None = None
    usage: MessageUsage | None = None
    created_ms: Milliseconds
    finished_ms: Milliseconds | None = None
    delegator: Number | None = None
    call_position: Whole | None = None
    parts: list[FilePart] = []
    attachments: list[FileAttachment] = []
    runs: list[FileRun] = []


class FileFork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The message, in an earlier conversation of the document, that a conversation was forked at."""

    conversation: Number
    message: Number


class FileConversation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A conversation. `shown` is the last message of the path that is shown. Messages stand behind their
    parents."""

    id: Number
    title: Name
    titled_by: Literal["start", "model", "user"] = "start"
    agent: AgentName | None = None
    model: str | None = None
    draft: str = ""
    draft_attachments: list[FileAttachment] = []
    created_ms: Milliseconds
    updated_ms: Milliseconds
    folder: Name | None = None
    tags: list[Name] = []
    pinned_ms: Milliseconds | None = None
    archived_ms: Milliseconds | None = None
    forked_from: FileFork | None = None
    shown: Number | None = None
    messages: list[FileMessage] = []


class FileFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder of conversations."""

    name: Name
    position: Whole
    created_ms: Milliseconds


class ConversationsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conversations of Deskside. The members stand in this order, so that a long file can be read piece by
    piece."""

    format: Annotated[Literal["deskside-conversations"], Meta(description="Says what the file is.")]
    version: Annotated[Literal[1], Meta(description="The version of this format.")]
    folders: list[FileFolder]
    conversations: list[FileConversation]


def content_of(part: MessagePart) -> FileContent:
    """A part as it leaves."""
    if isinstance(part, ToolCallPart):
        has_ended = part.status in ("finished", "failed") and part.output is not None
        return FileToolCall(
            call_id=part.call_id,
            name=part.name,
            arguments=part.arguments,
            status="finished" if has_ended and part.status == "finished" else "failed",
            output=UNFINISHED if part.output is None else part.output,
            duration_ms=part.duration_ms,
            origin=part.origin,
            source=part.source,
            hidden_characters=part.hidden_characters,
            approval=None if part.approval is None else _approval_of(part.approval),
            is_agent=part.is_agent,
        )
    if isinstance(part, PausePart):
        status: Literal["went_on", "stopped"] = "went_on" if part.status == "went_on" else "stopped"
        return FilePause(text=part.text, status=status, asked_ms=part.asked_ms, decided_ms=part.decided_ms)
    return part


def part_of(content: FileContent) -> MessagePart:
    """A part as it comes in."""
    if isinstance(content, FileToolCall):
        approval = None
        if content.approval is not None:
            approval = ApprovalQuestion(**_fields(content.approval))
        fields = _fields(content) | {"approval": approval}
        return ToolCallPart(**fields, is_outside=True)
    if isinstance(content, FilePause):
        return PausePart(**_fields(content))
    return content


def _approval_of(question: ApprovalQuestion) -> FileApproval:
    return FileApproval(**{name: getattr(question, name) for name in FileApproval.__struct_fields__})


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(FileConversation).decode


def content_sha256(conversation: FileConversation) -> str:
    """The hash of what a conversation says, wherever it stands in a document and whether or not the document
    holds the files."""
    bare = msgspec.structs.replace(
        conversation,
        id=1,
        forked_from=None,
        draft_attachments=_bare(conversation.draft_attachments),
        messages=[
            msgspec.structs.replace(message, attachments=_bare(message.attachments))
            if message.attachments
            else message
            for message in conversation.messages
        ],
    )
    # msgspec leaves out what is the default itself, not what equals it: what was read is the same in bytes.
    same = _decode(_encode(bare))
    return hashlib.sha256(b"deskside\0" + _encode(same)).hexdigest()


def _bare(attachments: list[FileAttachment]) -> list[FileAttachment]:
    return [msgspec.structs.replace(each, data=None, text=None, text_status="none") for each in attachments]
