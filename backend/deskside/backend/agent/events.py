"""What a model says and what a run does, as data.

A model turns a history into a stream of `ModelEvent`s. The loop (loop.py) adds what it does itself
and yields `RunEvent`s. A history is a flat list of `HistoryItem`s in the order they happened; the
same items are what the store keeps as message parts, so nothing is lost between the three.

Text travels as deltas; everything else is a whole fact. `ToolRequested` is complete: adapters join
the argument deltas themselves and also pass them on as `ToolArgumentsDelta` for the page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Protocol, final

import msgspec

StopReason = Literal["answered", "tool_use", "length", "refused", "stopped", "other"]

Origin = Literal["user", "model", "tool", "agent", "store", "file", "web", "user_tool", "mcp"]
"""Where text comes from: the user's hands, a model, a tool of this program that worked it out, another agent,
what the store kept (conversations, memories), a file, the web, a tool that the user wrote, an MCP server."""

OUTSIDE: frozenset[Origin] = frozenset({"store", "file", "web", "user_tool", "mcp"})


def is_outside(origin: Origin) -> bool:
    """Whether somebody else may have written the text, and put orders into it. What the store kept counts: it
    can repeat what an earlier conversation read on the web."""
    return origin in OUTSIDE


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one model call, by price class. The classes do not overlap, except that
    `reasoning_tokens` says how many of `output_tokens` were reasoning.

    `input_tokens` excludes cached input: OpenAI counts it inside `prompt_tokens`, Anthropic apart;
    adapters bring both to this form.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Of all classes that are billed."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.output_tokens


# -- what a model yields ------------------------------------------------------------------------


class TextDelta(msgspec.Struct, frozen=True, tag="text_delta"):
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning_delta"):
    text: str


class ReasoningFinished(msgspec.Struct, frozen=True, tag="reasoning_finished"):
    """A block of reasoning ended. `provider_data` is what the provider wants back unchanged in the
    next request (Anthropic's signature, OpenAI's encrypted item), as JSON text; None if nothing."""

    provider_data: str | None = None


class ToolCallStarted(msgspec.Struct, frozen=True, tag="tool_call_started"):
    call_id: str
    name: str


class ToolArgumentsDelta(msgspec.Struct, frozen=True, tag="tool_arguments_delta"):
    call_id: str
    text: str


@final
class ToolRequested(msgspec.Struct, frozen=True, tag="tool_requested"):
    """The model asks for a tool. `arguments` is the JSON text as the model wrote it, perhaps invalid."""

    call_id: str
    name: str
    arguments: str


class UsageReported(msgspec.Struct, frozen=True, tag="usage_reported"):
    """The usage of this model call so far; a later report of the same call replaces an earlier one.
    `cost_nano_usd` is what the provider itself says that the call costs; None where it does not. `is_final`:
    all that the call used is in it."""

    usage: Usage
    cost_nano_usd: int | None = None
    is_final: bool = True


class StepFinished(msgspec.Struct, frozen=True, tag="step_finished"):
    """The last event of one model call. `detail` is the provider's own word for the reason."""

    stop_reason: StopReason
    detail: str = ""


ModelEvent = (
    TextDelta
    | ReasoningDelta
    | ReasoningFinished
    | ToolCallStarted
    | ToolArgumentsDelta
    | ToolRequested
    | UsageReported
    | StepFinished
)


# -- approvals ----------------------------------------------------------------------------------

Effect = Literal["read", "write", "send", "execute"]
"""What a call does beyond the conversation: only reads, changes something on this machine, sends something
away from it, or runs code. All but `read` are asked about once text from outside is in a run."""

Scope = Literal["once", "run", "agent"]


class ApprovalQuestion(msgspec.Struct, frozen=True):
    """Why the user is asked about a call, and what they answered.

    `reasons` are sentences. `summary` says what would happen, `diff` how a file would change. `outside`
    names where text from outside, that is in the run, came from. `scopes` are what an answer may hold for
    besides this call. `decision` is empty while the user has not answered; `arguments_before` is what the
    model wrote, where the user changed it.
    """

    reasons: list[str]
    effect: Effect
    summary: str = ""
    diff: str = ""
    outside: list[str] = []
    scopes: list[Literal["run", "agent"]] = []
    asked_ms: int = 0
    decision: Literal["", "approved", "denied"] = ""
    scope: Scope = "once"
    reason: str = ""
    arguments_before: str | None = None
    decided_ms: int = 0


# -- what the loop adds -------------------------------------------------------------------------


class StepStarted(msgspec.Struct, frozen=True, tag="step_started"):
    """One model call begins. `call_id` is unique and ends up on the usage record. `model` is empty in what
    earlier versions recorded."""

    step: int
    call_id: str
    model: str = ""


class StepRetried(msgspec.Struct, frozen=True, tag="step_retried"):
    """The model call failed and is made again after `delay_s`, as the call `call_id`. `had_said` is True
    where it had said something: that is not part of the answer any more."""

    step: int
    attempt: int
    delay_s: float
    code: str
    message: str
    call_id: str = ""
    had_said: bool = False


class ModelFellBack(msgspec.Struct, frozen=True, tag="model_fell_back"):
    """The model failed for good, and the call is made with the next one in line."""

    step: int
    failed_model: str
    model: str
    call_id: str
    code: str
    message: str
    had_said: bool = False


class Steered(msgspec.Struct, frozen=True, tag="steered"):
    """What the user said while the run worked, now part of the history. `id` is its row."""

    id: int
    text: str


class HistoryTrimmed(msgspec.Struct, frozen=True, tag="history_trimmed"):
    """Results of tools that are long ago are no longer sent, all but those of the last `kept` items."""

    results: int
    kept: int


class HistoryCompacted(msgspec.Struct, frozen=True, tag="history_compacted"):
    """All but the last `kept` items of the history were replaced by a summary."""

    summary: str
    items: int
    kept: int


class SideCallStarted(msgspec.Struct, frozen=True, tag="side_call_started"):
    """A model call that is no step: its usage counts, what it says is not part of the answer."""

    call_id: str
    model: str


class OutputRepaired(msgspec.Struct, frozen=True, tag="output_repaired"):
    """The answer does not fit the schema it should, and the model is asked once more."""

    problem: str
    rejected: str


class AnswerForced(msgspec.Struct, frozen=True, tag="answer_forced"):
    """The model may not use tools any more and has to answer with what it has."""

    reason: Literal["step_limit", "bad_calls"]
    message: str


class Paused(msgspec.Struct, frozen=True, tag="paused"):
    """The run would pass a limit and waits for the user's word. `text` says which; `limit` is the name that
    the user's word is kept under."""

    text: str
    limit: str = ""


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """The user's word to a pause."""

    goes_on: bool


class ToolWaiting(msgspec.Struct, frozen=True, tag="tool_waiting"):
    """The user is asked whether the call may run."""

    call_id: str
    question: ApprovalQuestion


class ToolDecided(msgspec.Struct, frozen=True, tag="tool_decided"):
    """The user's answer. `arguments` is what the call runs with."""

    call_id: str
    question: ApprovalQuestion
    arguments: str


class ToolStarted(msgspec.Struct, frozen=True, tag="tool_started"):
    call_id: str


@final
class ToolFinished(msgspec.Struct, frozen=True, weakref=True, tag="tool_finished"):
    """Exactly one for each `ToolRequested`, also when the tool raised or the user stopped the run.

    `is_outside` says that text from outside is in the output: of an agent it is the whole of its run that
    counts. `source` is what the user is shown of where it comes from. `hidden_characters` counts the
    invisible ones that no model reads.
    """

    call_id: str
    output: str
    failed: bool = False
    duration_ms: int = 0
    origin: Origin = "tool"
    source: str = ""
    is_outside: bool = False
    hidden_characters: int = 0


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The run's last event: `turn_limit` means that tools were still wanted when the steps ran out, `limit`
    that the user did not let the run pass one, `invalid_output` that the answer does not fit its schema."""

    reason: Literal["answered", "turn_limit", "length", "refused", "limit", "invalid_output", "other"]


RunEvent = (
    ModelEvent
    | StepStarted
    | StepRetried
    | ModelFellBack
    | Steered
    | HistoryTrimmed
    | HistoryCompacted
    | SideCallStarted
    | OutputRepaired
    | AnswerForced
    | Paused
    | Resumed
    | ToolWaiting
    | ToolDecided
    | ToolStarted
    | ToolFinished
    | Finished
)


# -- history ------------------------------------------------------------------------------------


@final
class UserText(msgspec.Struct, frozen=True, tag="user_text"):
    text: str


@final
class UserFile(msgspec.Struct, frozen=True, weakref=True, tag="user_file"):
    """A file that the user put to what they say next. `text` is what was read out of it; None where there is
    nothing, or where it is still being read (`is_waiting`)."""

    sha256: str
    name: str
    media_type: str
    size_bytes: int
    text: str | None = None
    is_waiting: bool = False


@final
class AssistantText(msgspec.Struct, frozen=True, tag="assistant_text"):
    text: str


@final
class AssistantReasoning(msgspec.Struct, frozen=True, tag="assistant_reasoning"):
    """`model` is the `provider/model` that wrote it: another provider is not sent `provider_data`."""

    text: str
    provider_data: str | None = None
    model: str = ""


@final
class Summary(msgspec.Struct, frozen=True, tag="summary"):
    """What stands for all that came before, once that was too long. `outside` names where text from outside
    in it came from."""

    text: str
    outside: list[str] = []


HistoryItem = (
    UserText | UserFile | Summary | AssistantText | AssistantReasoning | ToolRequested | ToolFinished
)


class FileContent(msgspec.Struct, frozen=True):
    """A file as it is sent: `data` is base64. Without it, `problem` is a sentence for the model: why the file
    is not sent."""

    media_type: str
    data: str = ""
    problem: str = ""


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model sees it: `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


Effort = Literal["minimal", "low", "medium", "high"]
"""How much a model that reasons should think before it answers."""


class ModelRequest(msgspec.Struct, frozen=True):
    """One model call. `max_output_tokens` None leaves the limit to the provider, or to the adapter
    where the provider demands one. `may_use_tools` False shows the tools, which a history with calls of
    theirs needs, and forbids them. `output_schema` is the JSON Schema that the answer must fit. `files` are
    those of the history, by their hash, that are sent as they are; of all others a model gets the text."""

    history: Sequence[HistoryItem]
    instructions: str = ""
    tools: Sequence[ToolSpec] = ()
    max_output_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: Effort | None = None
    output_schema: dict[str, Any] | None = None
    may_use_tools: bool = True
    files: Mapping[str, FileContent] = msgspec.field(default_factory=dict)


class Model(Protocol):
    """Something that answers. Implementations are cheap to make and hold no conversation."""

    @property
    def name(self) -> str:
        """`provider/model`, as in `DESKSIDE_MODEL`."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Make one call. Ends after `StepFinished`; raises an `AppError` (errors.py) otherwise. Each tool
        call has an id of its own, which no other in the request's history has (call_ids.py).

        Closing the generator (`aclose`, or cancelling the task) closes the connection at once.
        """
