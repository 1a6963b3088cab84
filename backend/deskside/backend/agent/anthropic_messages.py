"""Anthropic's Messages format: a request as its JSON body, a stream's data as our events.

No input or output here; anthropic_model.py does the asking.

Source: anthropic-python's types (version 2.12, API version 2026-10-21).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from deskside.backend.agent.answer import Refused
from deskside.backend.agent.call_ids import CallIds
from deskside.backend.agent.events import (
    AssistantText,
    Effort,
    FileContent,
    HistoryItem,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    ReasoningFinished,
    StepFinished,
    StopReason,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    Usage,
    UsageReported,
)
from deskside.backend.agent.output_schema import allows_strict
from deskside.backend.agent.refusals import Refusal, refusal_in
from deskside.backend.agent.structured_output import asking_for
from deskside.backend.agent.turns import (
    AssistantTurn,
    ToolTurn,
    UserTurn,
    arguments_object,
    is_complete_json,
    turns,
)
from deskside.backend.agent.user_files import SentFile, content_of
from deskside.backend.attachments.media import kind_of

# Anthropic demands a limit. 16,384 is about 12,000 words with room to think before them; every current
# model allows it, and an answer that runs away still ends.
DEFAULT_OUTPUT_TOKENS = 16_384

# There is no "minimal"; and models of before adaptive thinking want a number of tokens that they may think.
EFFORTS: Mapping[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
THINKING_TOKENS: Mapping[Effort | None, int] = {
    "minimal": 1024, "low": 2048, None: 4096, "medium": 4096, "high": 12_288,
}  # fmt: skip
FEWEST_THINKING_TOKENS = 1024

# What a model or server may refuse, and how it says so, tried in this order. `signature` is no parameter: it
# stands for the thinking that is sent back, which must not make a conversation impossible to continue.
_THINKING = re.compile(r"^(?!messages\.).*\bthinking\b")
OPTIONAL_PARAMETERS = {
    "effort": re.compile(r"\beffort\b|\boutput_config\b(?!\.format)"),
    "output_schema": re.compile(
        r"\boutput_config\b(?!\.effort)|\bjson_schema\b|\bgrammar\b|structured output"
    ),
    "tool_choice": re.compile(r"\btool_choice\b"),
    "adaptive_thinking": _THINKING,
    # The tokens of thinking want it in each answer that called a tool; another model's has none.
    "thinking": re.compile(rf"{_THINKING.pattern}|Expected `thinking`"),
    "cache_control": re.compile(r"\bcache_control\b"),
    "temperature": re.compile(r"\btemperature\b"),
    "signature": re.compile(r"\bsignature\b"),
}

_REFUSED_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_is_allowed_id = re.compile(r"[a-zA-Z0-9_-]+").fullmatch


def messages_body(name: str, request: ModelRequest, refused: set[str]) -> dict[str, Any]:
    """The JSON body of `POST /v1/messages`, without the parameters in `refused`.

    `name` is ours, `provider/model`: only thinking of this very model goes back to it.
    """
    body: dict[str, Any] = {
        "model": name.partition("/")[2],
        "max_tokens": request.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
        "messages": _messages(None if "signature" in refused else name, request),
        "stream": True,
        # The whole conversation is sent again with each step; read from the cache it costs a tenth.
        "cache_control": {"type": "ephemeral"},
    }
    instructions, schema = request.instructions, request.output_schema
    output: dict[str, Any] = {}
    if request.reasoning_effort is not None and "effort" not in refused:
        output["effort"] = EFFORTS[request.reasoning_effort]
    if (
        schema is not None
        and "output_schema" not in refused
        and allows_strict(schema, may_have_optional=True)
    ):
        output["format"] = {"type": "json_schema", "schema": schema}
    elif schema is not None:  # there is no way but the strict one
        instructions = asking_for(schema, instructions)
    if output:
        body["output_config"] = output
    if instructions.strip():
        body["system"] = instructions
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        if not request.may_use_tools:
            body["tool_choice"] = {"type": "none"}
    if request.temperature is None and "adaptive_thinking" not in refused:
        # The model decides whether to think. Without `display` the newest models keep it to themselves.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif request.temperature is None:
        budget_tokens = min(THINKING_TOKENS[request.reasoning_effort], body["max_tokens"] // 2)
        if budget_tokens >= FEWEST_THINKING_TOKENS:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget_tokens}
    else:
        # The models that take a temperature do not take it together with thinking.
        body["temperature"] = request.temperature
    return {parameter: value for parameter, value in body.items() if parameter not in refused}


# What long histories are made of. As structs they cost half of what dicts do.


class _SentText(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _SentCall(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw


class _SentResult(msgspec.Struct, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str
    is_error: bool


class _SentMessage(msgspec.Struct):
    role: Literal["user", "assistant"]
    content: list[Any]


def _messages(name: str | None, request: ModelRequest) -> list[_SentMessage]:
    messages: list[_SentMessage] = []
    used: set[str] = set()
    ids: list[str] = []
    for turn in turns(request.history):
        if type(turn) is AssistantTurn:
            content, ids = _assistant_content(name, turn, used)
            messages.append(_SentMessage("assistant", content))
        elif type(turn) is ToolTurn:
            messages.append(_SentMessage("user", list(map(_result, ids, turn.results))))
        elif messages and messages[-1].role == "user":
            # Results of tools and what the user says next are one message, the results first.
            messages[-1].content += _said(turn, request.files)
        else:
            messages.append(_SentMessage("user", _said(turn, request.files)))
    return messages


def _said(turn: UserTurn, files: Mapping[str, FileContent]) -> list[Any]:
    if not turn.files:
        return [_SentText(turn.text)]
    return [_block(part) for part in content_of(turn.files, turn.text, files)]


def _block(part: str | SentFile) -> _SentText | dict[str, Any]:
    if isinstance(part, str):
        return _SentText(part)
    content = part.content
    source = {"type": "base64", "media_type": content.media_type, "data": content.data}
    if kind_of(content.media_type) == "image":
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, "title": part.name}


def _assistant_content(name: str | None, turn: AssistantTurn, used: set[str]) -> tuple[list[Any], list[str]]:
    """What the assistant said, and the ids of the tools it asked for in their order."""
    content: list[Any] = []
    ids: list[str] = []
    for said in turn.items:
        if type(said) is AssistantText:
            content.append(_SentText(said.text))
        elif type(said) is ToolRequested:
            id_ = said.call_id
            if id_ in used or not _is_allowed_id(id_):
                id_ = _allowed_id(id_, used)
            used.add(id_)
            ids.append(id_)
            content.append(_SentCall(id_, said.name, arguments_object(said.arguments)))
        elif said.provider_data is not None and said.model == name:
            content.append(msgspec.Raw(said.provider_data.encode()))
    return content, ids


def _result(tool_use_id: str, result: ToolFinished) -> _SentResult:
    output = result.output or "(no output)"  # a failure without words is refused
    return _SentResult(tool_use_id, output, result.failed)


def _allowed_id(call_id: str, used: set[str]) -> str:
    """Other models' ids ("functions.get_time:0") hold characters that Anthropic refuses; without these, two
    can be the same, which it refuses, too."""
    allowed = _REFUSED_IN_IDS.sub("_", call_id)
    free, number = allowed, 1
    while free in used:
        number += 1
        free = f"{allowed}_{number}"
    return free


# -- the stream ---------------------------------------------------------------------------------


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _StopDetails(msgspec.Struct):
    explanation: str | None = None


class _Delta(msgspec.Struct):
    """A delta of any kind: the one field that is there says which."""

    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Block(msgspec.Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str | None = None
    data: str | None = None
    input: Any = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    """Every event there is, with the fields of those we use."""

    type: str
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None


_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "answered",
    "stop_sequence": "answered",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_use",
    "refusal": "refused",
}


class MessagesReader:
    """Reads one answer, to a request with this history: see answer.Reader. Blocks come one after the other,
    never interleaved."""

    def __init__(self, history: Iterable[HistoryItem] = ()) -> None:
        self.has_ended = False
        self._ids = CallIds(history)
        self._decode = msgspec.json.Decoder(_Event).decode
        self._block = _Block()
        self._pieces: list[str] = []
        self._signature = ""
        self._cut_off: list[ToolRequested] = []
        self._usage = Usage()
        self._stop_reason: str | None = None
        self._explanation = ""

    @property
    def is_complete(self) -> bool:
        return self.has_ended or self._stop_reason is not None

    def read(self, data: bytes) -> Iterator[ModelEvent]:
        event = self._decode(data)
        kind = event.type
        if kind == "content_block_delta":
            yield from self._read_delta(event.delta or _Delta())
        elif kind == "content_block_start":
            yield from self._start_block(event.content_block or _Block())
        elif kind == "content_block_stop":
            yield from self._end_block()
        elif kind == "message_start":
            if event.message is not None and event.message.usage is not None:
                yield self._report(event.message.usage, is_final=False)
        elif kind == "message_delta":
            delta = event.delta or _Delta()
            self._stop_reason = delta.stop_reason or self._stop_reason
            if delta.stop_details is not None:
                self._explanation = delta.stop_details.explanation or ""
            if event.usage is not None:
                yield self._report(event.usage, is_final=True)
        elif kind == "message_stop":
            self.has_ended = True
        elif kind == "error":
            raise Refused(refusal_in(msgspec.json.decode(data)) or Refusal(message=data.decode()))

    def _start_block(self, block: _Block) -> Iterator[ModelEvent]:
        if block.type == "tool_use":
            block.id = self._ids.own(block.id)
        self._block = block
        self._pieces = []
        self._signature = ""
        if block.type == "tool_use":
            yield ToolCallStarted(block.id, block.name)
        elif block.type == "text" and block.text:
            yield TextDelta(block.text)

    def _read_delta(self, delta: _Delta) -> Iterator[ModelEvent]:
        if delta.text is not None:
            if delta.text:
                yield TextDelta(delta.text)
        elif delta.partial_json is not None:
            if delta.partial_json and self._block.type == "tool_use":
                self._pieces.append(delta.partial_json)
                yield ToolArgumentsDelta(self._block.id, delta.partial_json)
        elif delta.thinking is not None:
            if delta.thinking:
                self._pieces.append(delta.thinking)
                yield ReasoningDelta(delta.thinking)
        elif delta.signature is not None:
            self._signature += delta.signature

    def _end_block(self) -> Iterator[ModelEvent]:
        block, self._block = self._block, _Block()
        text = "".join(self._pieces)
        if block.type == "tool_use":
            arguments = text or msgspec.json.encode(block.input or {}).decode()
            request = ToolRequested(block.id, block.name, arguments)
            if is_complete_json(arguments):
                yield request
            else:
                self._cut_off.append(request)
        elif block.type == "thinking":
            sent_back = {"type": "thinking", "thinking": text, "signature": self._signature}
            yield ReasoningFinished(_json(sent_back) if self._signature else None)
        elif block.type == "redacted_thinking":
            yield ReasoningFinished(_json({"type": "redacted_thinking", "data": block.data or ""}))

    def _report(self, usage: _Usage, *, is_final: bool) -> UsageReported:
        """Later counts are totals that replace earlier ones; what is missing stays."""
        before = self._usage
        details = usage.output_tokens_details or _OutputDetails()
        self._usage = Usage(
            input_tokens=_or(usage.input_tokens, before.input_tokens),
            cache_read_tokens=_or(usage.cache_read_input_tokens, before.cache_read_tokens),
            cache_write_tokens=_or(usage.cache_creation_input_tokens, before.cache_write_tokens),
            output_tokens=_or(usage.output_tokens, before.output_tokens),
            reasoning_tokens=_or(details.thinking_tokens, before.reasoning_tokens),
        )
        return UsageReported(self._usage, is_final=is_final)

    def finish(self) -> Iterator[ModelEvent]:
        reason = self._stop_reason or "end_turn"
        stop_reason = _STOP_REASONS.get(reason, "other")
        if stop_reason != "length":
            # Not cut off after all: the model wrote invalid JSON, and is to be told so.
            yield from self._cut_off
        yield StepFinished(stop_reason, f"{reason}: {self._explanation}" if self._explanation else reason)


def _or(count: int | None, before: int) -> int:
    return before if count is None else count


def _json(block: dict[str, str]) -> str:
    return msgspec.json.encode(block).decode()
