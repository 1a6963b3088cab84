"""OpenAI's Responses format: a request as its JSON body, a stream's data as our events.

Nothing is kept at OpenAI (`store: false`): the whole history goes with each request, and a reasoning
model's own notes come back to it encrypted. No input or output here; openai_model.py does the asking.

Source: openai-python's types.responses (version 3.54).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from deskside.backend.agent.answer import Refused
from deskside.backend.agent.call_ids import CallIds
from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
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
    ToolRequested,
    Usage,
    UsageReported,
)
from deskside.backend.agent.openai_chat import effort_in
from deskside.backend.agent.output_schema import allows_strict
from deskside.backend.agent.refusals import Refusal, refusal_in
from deskside.backend.agent.structured_output import asking_for
from deskside.backend.agent.turns import AssistantTurn, ToolTurn, arguments_text, turns

# What a model may refuse, and how it says so. `encrypted_content` is no parameter: it stands for the
# reasoning that is sent back, which must not make a conversation impossible to continue.
OPTIONAL_PARAMETERS = {
    "minimal_effort": re.compile(r"\bminimal\b"),
    "effort": re.compile(r"\breasoning[._]effort\b|\bminimal\b"),
    "reasoning": re.compile(r"^reasoning\b(?!\.encrypted)|'reasoning\b|\breasoning summar"),
    "include": re.compile(r"^include\b|'include\b|[Ee]ncrypted content is not supported"),
    "temperature": re.compile(r"\btemperature\b"),
    "tool_choice": re.compile(r"\btool_choice\b"),
    "output_schema": re.compile(
        r"\btext\.format\b|^text$|'text'|\bresponse_format\b|\bjson_schema\b|\bgrammar\b|structured output"
    ),
    "encrypted_content": re.compile(r"\binvalid_encrypted_content\b|\bitem of type 'reasoning'"),
}

# The models of before reasoning: a closed list, so it spares them a refused first request and never
# needs a new release. Any other model is asked to reason aloud, and remembered if it refuses.
_DOES_NOT_REASON = re.compile(r"(gpt-3|gpt-4|chatgpt-|ft:gpt-[34])")


def responses_body(name: str, request: ModelRequest, refused: set[str]) -> dict[str, Any]:
    """The JSON body of `POST /responses`, without the parameters in `refused`.

    `name` is ours, `provider/model`: only reasoning of this very model goes back to it.
    """
    model = name.partition("/")[2]
    sent_back = None if "encrypted_content" in refused else name
    body: dict[str, Any] = {
        "model": model,
        "input": _input(sent_back, request),
        "stream": True,
        "store": False,
    }
    instructions, schema = request.instructions, request.output_schema
    if schema is not None and "output_schema" in refused:
        instructions = asking_for(schema, instructions)
    elif schema is not None:
        strict = allows_strict(schema, may_have_optional=False)
        answer = {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}
        body["text"] = {"format": answer}
    if instructions.strip():
        body["instructions"] = instructions
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                # The default is true, which forbids optional parameters.
                "strict": False,
            }
            for tool in request.tools
        ]
        if not request.may_use_tools:
            body["tool_choice"] = "none"
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if _DOES_NOT_REASON.match(model) is None:
        body["reasoning"] = {"summary": "auto"}
        if request.reasoning_effort is not None and "effort" not in refused:
            body["reasoning"]["effort"] = effort_in(request.reasoning_effort, refused)
        body["include"] = ["reasoning.encrypted_content"]
    return {name: value for name, value in body.items() if name not in refused}


def _input(name: str | None, request: ModelRequest) -> list[Any]:
    items: list[Any] = []
    for turn in turns(request.history):
        if type(turn) is AssistantTurn:
            for said in turn.items:
                if type(said) is AssistantText:
                    # Spelled out, because llama.cpp's server does not know the short form of an answer.
                    content = [{"type": "output_text", "text": said.text}]
                    items.append({"type": "message", "role": "assistant", "content": content})
                elif type(said) is AssistantReasoning:
                    if said.provider_data is not None and said.model == name:
                        items.append(msgspec.Raw(said.provider_data.encode()))
                else:
                    items.append(
                        {
                            "type": "function_call",
                            "call_id": said.call_id,
                            "name": said.name,
                            "arguments": arguments_text(said.arguments),
                        }
                    )
        elif type(turn) is ToolTurn:
            items += [
                {"type": "function_call_output", "call_id": result.call_id, "output": result.output}
                for result in turn.results
            ]
        else:
            items.append({"role": "user", "content": turn.text})
    return items


# -- the stream ---------------------------------------------------------------------------------


class _Item(msgspec.Struct):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    status: str | None = None
    encrypted_content: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    error: Any = None
    incomplete_details: _Incomplete | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    """Every event there is, with the fields of those we use."""

    type: str = ""
    delta: Any = None
    item_id: str | None = None
    item: msgspec.Raw = msgspec.Raw(b"{}")
    response: _Response | None = None
    summary_index: int | None = None


@dataclass(frozen=True)
class _OpenCall:
    """A call that is being written: the ids that the server sent, and its own."""

    item_id: str
    sent_id: str
    call_id: str


class ResponsesReader:
    """Reads one answer, to a request with this history: see answer.Reader."""

    def __init__(self, history: Iterable[HistoryItem] = ()) -> None:
        self._ids = CallIds(history)
        self._decode = msgspec.json.Decoder(_Event).decode
        self._open: list[_OpenCall] = []
        self._asked_for_tools = False
        self._was_refused = False
        self._stop: StepFinished | None = None

    @property
    def is_complete(self) -> bool:
        return self._stop is not None

    @property
    def has_ended(self) -> bool:
        return self._stop is not None

    def read(self, data: bytes) -> Iterator[ModelEvent]:
        """Raises Refused for an error inside the stream, msgspec's errors for what is no event."""
        if data == b"[DONE]":  # some compatible servers end so
            return
        event = self._decode(data)
        kind = event.type
        if kind == "response.output_text.delta":
            yield TextDelta(_str(event.delta))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            yield ReasoningDelta(_str(event.delta))
        elif kind == "response.function_call_arguments.delta":
            written = [call for call in self._open if call.item_id == (event.item_id or "")]
            if written:
                yield ToolArgumentsDelta(written[-1].call_id, _str(event.delta))
        elif kind == "response.output_item.added":
            yield from self._read_started(msgspec.json.decode(event.item, type=_Item))
        elif kind == "response.output_item.done":
            yield from self._read_item(event.item)
        elif kind == "response.reasoning_summary_part.added":
            if event.summary_index:
                yield ReasoningDelta("\n\n")
        elif kind == "response.refusal.delta":
            self._was_refused = True
            yield TextDelta(_str(event.delta))
        elif kind in ("response.completed", "response.incomplete"):
            yield from self._read_end(event.response or _Response())
        elif kind == "response.failed":
            if event.response is not None and event.response.usage is not None:
                yield UsageReported(_usage(event.response.usage))
            error = event.response.error if event.response is not None else None
            raise Refused(refusal_in({"error": error}) or Refusal(kind="server_error"))
        elif kind == "error" or not kind:
            raise Refused(_refusal(data))

    def _read_started(self, item: _Item) -> Iterator[ModelEvent]:
        if item.type == "function_call":
            sent_id = item.call_id or item.id or ""
            call = _OpenCall(item.id or sent_id, sent_id, self._ids.own(item.call_id))
            self._open.append(call)
            yield ToolCallStarted(call.call_id, item.name or "")

    def _read_item(self, raw: msgspec.Raw) -> Iterator[ModelEvent]:
        item = msgspec.json.decode(raw, type=_Item)
        if item.type == "reasoning":
            yield ReasoningFinished(_reasoning_to_send_back(raw) if item.encrypted_content else None)
        elif item.type == "function_call" and item.status != "incomplete":
            self._asked_for_tools = True
            yield ToolRequested(self._end_call(item), item.name or "", item.arguments or "")

    def _end_call(self, item: _Item) -> str:
        """The id of the call that this item is the whole of. Some servers send no beginning of it, or another
        id of the item there."""
        sent_id = item.call_id or item.id or ""
        for place, call in enumerate(self._open):
            if call.sent_id == sent_id:
                return self._open.pop(place).call_id
        return self._ids.own(item.call_id)

    def _read_end(self, response: _Response) -> Iterator[ModelEvent]:
        if response.usage is not None:
            yield UsageReported(_usage(response.usage))
        detail = "completed"
        stop_reason: StopReason = "tool_use" if self._asked_for_tools else "answered"
        if response.incomplete_details is not None:
            detail = response.incomplete_details.reason or "incomplete"
            stop_reason = "other"
            if detail == "max_output_tokens":
                stop_reason = "length"
            elif detail == "content_filter":
                stop_reason = "refused"
        if self._was_refused:
            stop_reason, detail = "refused", "refusal"
        self._stop = StepFinished(stop_reason, detail)

    def finish(self) -> Iterator[ModelEvent]:
        if self._stop is not None:
            yield self._stop


def _reasoning_to_send_back(raw: msgspec.Raw) -> str:
    """The item as it came, without its status: that is the server's to say."""
    item = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    item.pop("status", None)
    return msgspec.json.encode(item).decode()


def _refusal(data: bytes) -> Refusal:
    """The `error` event carries its fields flat; a proxy's error comes as `{"error": {…}}`."""
    decoded = msgspec.json.decode(data)
    nested = refusal_in(decoded)
    if nested is not None:
        return nested
    if "message" not in decoded and "code" not in decoded:
        raise msgspec.ValidationError("an event without a type")
    flat = refusal_in({"error": {name: value for name, value in decoded.items() if name != "type"}})
    return flat or Refusal()


def _str(delta: object) -> str:
    if isinstance(delta, str):
        return delta
    raise msgspec.ValidationError("a delta that is not text")


def _usage(usage: _Usage) -> Usage:
    details = usage.input_tokens_details or _InputDetails()
    cache_read, cache_write = details.cached_tokens or 0, details.cache_write_tokens or 0
    return Usage(
        # OpenAI counts what was read from and written to the cache among the input's tokens.
        input_tokens=max(0, (usage.input_tokens or 0) - cache_read - cache_write),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        output_tokens=usage.output_tokens or 0,
        reasoning_tokens=(usage.output_tokens_details or _OutputDetails()).reasoning_tokens or 0,
    )
