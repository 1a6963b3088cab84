"""What a model says and what a run does, as data.

A model turns a history into a stream of `ModelEvent`s. The loop (loop.py) adds what it does itself
and yields `RunEvent`s. A history is a flat list of `HistoryItem`s in the order they happened; the
same items are what the store keeps as message parts, so nothing is lost between the three.

Text travels as deltas; everything else is a whole fact. `ToolRequested` is complete: adapters join
the argument deltas themselves and also pass them on as `ToolArgumentsDelta` for the page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

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


class ToolRequested(msgspec.Struct, frozen=True, tag="tool_requested"):
    """The model asks for a tool. `arguments` is the JSON text as the model wrote it, perhaps invalid."""

    call_id: str
    name: str
    arguments: str


class UsageReported(msgspec.Struct, frozen=True, tag="usage_reported"):
    """The usage of this model call so far; a later report of the same call replaces an earlier one."""

    usage: Usage


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


# -- what the loop adds -------------------------------------------------------------------------


class StepStarted(msgspec.Struct, frozen=True, tag="step_started"):
    """One model call begins. `call_id` is unique and ends up on the usage record."""

    step: int
    call_id: str


class StepRetried(msgspec.Struct, frozen=True, tag="step_retried"):
    """The model call failed before it said anything and is made again after `delay_s`."""

    step: int
    attempt: int
    delay_s: float
    code: str
    message: str


class ToolStarted(msgspec.Struct, frozen=True, tag="tool_started"):
    call_id: str


class ToolFinished(msgspec.Struct, frozen=True, tag="tool_finished"):
    """Exactly one for each `ToolRequested`, also when the tool raised or the user stopped the run.

    `is_outside` says that text from outside is in the output: of an agent it is the whole of its run that
    counts. `source` is what the user is shown of where it comes from.
    """

    call_id: str
    output: str
    failed: bool = False
    duration_ms: int = 0
    origin: Origin = "tool"
    source: str = ""
    is_outside: bool = False


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The run's last event: `turn_limit` means the step limit was hit while tools were still wanted."""

    reason: Literal["answered", "turn_limit", "length", "refused", "other"]


RunEvent = ModelEvent | StepStarted | StepRetried | ToolStarted | ToolFinished | Finished


# -- history ------------------------------------------------------------------------------------


class UserText(msgspec.Struct, frozen=True, tag="user_text"):
    text: str


class AssistantText(msgspec.Struct, frozen=True, tag="assistant_text"):
    text: str


class AssistantReasoning(msgspec.Struct, frozen=True, tag="assistant_reasoning"):
    """`model` is the `provider/model` that wrote it: another provider is not sent `provider_data`."""

    text: str
    provider_data: str | None = None
    model: str = ""


HistoryItem = UserText | AssistantText | AssistantReasoning | ToolRequested | ToolFinished


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model sees it: `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ModelRequest(msgspec.Struct, frozen=True):
    """One model call. `max_output_tokens` None leaves the limit to the provider, or to the adapter
    where the provider demands one."""

    history: Sequence[HistoryItem]
    instructions: str = ""
    tools: Sequence[ToolSpec] = ()
    max_output_tokens: int | None = None
    temperature: float | None = None


class Model(Protocol):
    """Something that answers. Implementations are cheap to make and hold no conversation."""

    @property
    def name(self) -> str:
        """`provider/model`, as in `DESKSIDE_MODEL`."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Make one call. Ends after `StepFinished`; raises an `AppError` (errors.py) otherwise.

        Closing the generator (`aclose`, or cancelling the task) closes the connection at once.
        """
