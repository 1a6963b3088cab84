"""OpenAI's Chat Completions format: a request as its JSON body, a stream's data as our events.

Spoken by OpenAI itself and by Ollama, LM Studio, llama.cpp, vLLM and many more, each with liberties,
which are named where they are met. No input or output here; openai_model.py does the asking.

Source: openai-python's types.chat (version 3.54), and the servers' own documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

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
    arguments_text,
    is_complete_json,
    turns,
)
from deskside.backend.agent.user_files import SentFile, content_of
from deskside.backend.attachments.media import kind_of
from deskside.backend.prices import exact_nano_usd

# What a model or server may refuse, and how it says so.
OPTIONAL_PARAMETERS = {
    "stream_options": re.compile(r"\bstream_options\b"),
    "temperature": re.compile(r"\btemperature\b"),
    "max_tokens": re.compile(r"\bmax_completion_tokens\b"),
    "tool_choice": re.compile(r"\btool_choice\b"),
    "output_schema": re.compile(r"\bresponse_format\b|\bjson_schema\b|\bgrammar\b|structured output"),
    # The newest models know no "minimal": they think as little as they can.
    "minimal_effort": re.compile(r"\bminimal\b"),
    "reasoning_effort": re.compile(r"\breasoning[._]effort\b|\bminimal\b"),
}


def chat_body(model: str, request: ModelRequest, refused: set[str]) -> dict[str, Any]:
    """The JSON body of `POST /chat/completions`, without the parameters in `refused`."""
    schema = request.output_schema
    if schema is not None and "output_schema" in refused:
        request = msgspec.structs.replace(request, instructions=asking_for(schema, request.instructions))
        schema = None
    body: dict[str, Any] = {"model": model, "messages": _messages(request), "stream": True}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
        if not request.may_use_tools:
            body["tool_choice"] = "none"
    if schema is not None:
        strict = allows_strict(schema, may_have_optional=False)
        answer = {"name": "answer", "schema": schema, "strict": strict}
        body["response_format"] = {"type": "json_schema", "json_schema": answer}
    if request.reasoning_effort is not None:
        body["reasoning_effort"] = effort_in(request.reasoning_effort, refused)
    if request.max_output_tokens is not None:
        # The old name, because Ollama and llama.cpp know it in every version; OpenAI's own reasoning
        # models refuse it, and then get the new one.
        name = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        body[name] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    body["stream_options"] = {"include_usage": True}
    return {name: value for name, value in body.items() if name not in refused}


def effort_in(effort: Effort, refused: set[str]) -> Effort:
    """What comes nearest to an effort that the model knows."""
    return "low" if effort == "minimal" and "minimal_effort" in refused else effort


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.instructions.strip():
        messages.append({"role": "system", "content": request.instructions})
    for turn in turns(request.history):
        if type(turn) is AssistantTurn:
            messages.append(_assistant(turn))
        elif type(turn) is ToolTurn:
            messages += [
                {"role": "tool", "tool_call_id": result.call_id, "content": result.output}
                for result in turn.results
            ]
        else:
            messages.append({"role": "user", "content": _said(turn, request.files)})
    return messages


def _said(turn: UserTurn, files: Mapping[str, FileContent]) -> str | list[dict[str, Any]]:
    """Plain text wherever that is all: many servers know nothing else."""
    if not turn.files:
        return turn.text
    parts = content_of(turn.files, turn.text, files)
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return [_part(part) for part in parts]


def _part(part: str | SentFile) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if kind_of(part.content.media_type) == "image":
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    return {"type": "file", "file": {"filename": part.name, "file_data": data_url(part)}}


def data_url(file: SentFile) -> str:
    """A file as both of OpenAI's formats take it."""
    return f"data:{file.content.media_type};base64,{file.content.data}"


def _assistant(turn: AssistantTurn) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for said in turn.items:
        if type(said) is AssistantText:
            texts.append(said.text)
        elif type(said) is ToolRequested:
            function = {"name": said.name, "arguments": arguments_text(said.arguments)}
            calls.append({"id": said.call_id, "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        message["tool_calls"] = calls
    return message


# -- the stream ---------------------------------------------------------------------------------


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None  # DeepSeek, llama.cpp, vLLM
    reasoning: str | None = None  # Ollama, OpenRouter, newer vLLM
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    # OpenRouter: dollars, with its own fee alone where the model's maker bills the user apart. What other
    # servers put under these names may be anything.
    cost: Any = None
    is_byok: Any = None
    cost_details: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: str | None = None


class _Call:
    """A call that is being written: `sent_id` is the id that the server sent, `call_id` its own."""

    def __init__(self, call_id: str, sent_id: str | None, name: str, index: int | None) -> None:
        self.call_id = call_id
        self.sent_id = sent_id
        self.name = name
        self.index = index
        self.arguments: list[str] = []

    def may_go_on_with(self, piece: _ToolCall, function: _Function) -> bool:
        """Whether a piece is of this call.

        Gemini's compatible API gives every call the index 0, so an id that is new means a new call whatever
        the index says. Where the id is not new, a name with another index begins one, and so does a name
        behind whole arguments. (A name alone does not: some servers send it with each piece.)
        """
        if piece.id and piece.id != self.sent_id:
            return False
        if piece.index not in (None, self.index) and (function.name or not piece.id):
            return False
        return not (function.name and (function.arguments or "").strip() and self._is_whole())

    def _is_whole(self) -> bool:
        ends = bool(self.arguments) and self.arguments[-1].rstrip().endswith("}")
        return ends and is_complete_json("".join(self.arguments))


_STOP_REASONS: dict[str, StopReason] = {
    "stop": "answered",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refused",
}


class ChatReader:
    """Reads one answer, to a request with this history: see answer.Reader."""

    def __init__(self, history: Iterable[HistoryItem] = ()) -> None:
        self._ids = CallIds(history)
        self._decode = msgspec.json.Decoder(_Chunk, float_hook=Decimal).decode
        self._calls: list[_Call] = []
        self._finish_reason: str | None = None
        self._is_reasoning = False
        self._was_refused = False
        self._reported: UsageReported | None = None
        self.has_ended = False

    @property
    def is_complete(self) -> bool:
        return self.has_ended or self._finish_reason is not None

    def read(self, data: bytes) -> Iterator[ModelEvent]:
        """Raises Refused for an error inside the stream, msgspec's errors for what is no chunk."""
        if data == b"[DONE]":
            self.has_ended = True
            return
        chunk = self._decode(data)
        if chunk.error is not None or chunk.object == "error":
            raise Refused(refusal_in(msgspec.json.decode(data)) or Refusal(message=data.decode()))
        if chunk.choices:
            yield from self._read_choice(chunk.choices[0])
        if chunk.usage is not None:
            # Some servers count along; the last count comes with the reason to stop, or later.
            self._reported = UsageReported(
                _usage(chunk.usage), _reported_cost(chunk.usage), self._finish_reason is not None
            )
            yield self._reported

    def _read_choice(self, choice: _Choice) -> Iterator[ModelEvent]:
        delta = choice.delta
        if delta is not None:
            reasoning = delta.reasoning_content or delta.reasoning
            if reasoning:
                self._is_reasoning = True
                yield ReasoningDelta(reasoning)
            if delta.content:
                yield from self._end_reasoning()
                yield TextDelta(delta.content)
            if delta.refusal:
                self._was_refused = True
                yield from self._end_reasoning()
                yield TextDelta(delta.refusal)
            for piece in delta.tool_calls or ():
                yield from self._end_reasoning()
                yield from self._read_call(piece)
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason

    def _end_reasoning(self) -> Iterator[ModelEvent]:
        if self._is_reasoning:
            self._is_reasoning = False
            yield ReasoningFinished()

    def _read_call(self, piece: _ToolCall) -> Iterator[ModelEvent]:
        function = piece.function or _Function()
        going_on = (call for call in reversed(self._calls) if call.may_go_on_with(piece, function))
        call = next(going_on, None)
        if call is None:
            call = _Call(self._ids.own(piece.id), piece.id, function.name or "", piece.index)
            self._calls.append(call)
            yield ToolCallStarted(call.call_id, call.name)
        elif not call.name and function.name:
            call.name = function.name
        if function.arguments:
            call.arguments.append(function.arguments)
            yield ToolArgumentsDelta(call.call_id, function.arguments)

    def finish(self) -> Iterator[ModelEvent]:
        """What was held back until the end: the requested tools, and why the model stopped."""
        yield from self._end_reasoning()
        if self._reported is not None and not self._reported.is_final:
            yield msgspec.structs.replace(self._reported, is_final=True)
        reason = self._finish_reason or ("tool_calls" if self._calls else "stop")
        stop_reason = _STOP_REASONS.get(reason, "other")
        for call in self._calls:
            arguments = "".join(call.arguments)
            # Cut off in the middle of a call's arguments: the call was never made.
            if stop_reason != "length" or is_complete_json(arguments):
                yield ToolRequested(call.call_id, call.name, arguments)
        if self._calls and stop_reason == "answered":
            stop_reason = "tool_use"  # Ollama says "stop" after tool calls
        if self._was_refused:
            stop_reason = "refused"
        yield StepFinished(stop_reason, reason)


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details or _PromptDetails()
    cache_read, cache_write = details.cached_tokens or 0, details.cache_write_tokens or 0
    prompt, output = usage.prompt_tokens or 0, usage.completion_tokens or 0
    reasoning = (usage.completion_tokens_details or _CompletionDetails()).reasoning_tokens or 0
    # OpenAI counts thoughts among the answer's tokens; xAI beside them, and Gemini only in the total.
    apart = (usage.total_tokens or 0) - prompt - output
    if apart > 0 and reasoning in (0, apart):
        reasoning, output = apart, output + apart
    return Usage(
        # OpenAI counts what was read from and written to the cache among the prompt's tokens.
        input_tokens=max(0, prompt - cache_read - cache_write),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        output_tokens=output,
        reasoning_tokens=reasoning,
    )


def _reported_cost(usage: _Usage) -> int | None:
    """Nano-dollars that the call costs, where the server says so."""
    if usage.is_byok is not True:
        return exact_nano_usd(usage.cost)
    details = usage.cost_details if isinstance(usage.cost_details, dict) else {}
    fee, upstream = exact_nano_usd(usage.cost), exact_nano_usd(details.get("upstream_inference_cost"))
    return None if fee is None or upstream is None else fee + upstream
