"""What the recorder keeps of a run beside the loop's own events.

A run's recording is a list of `Recorded` facts, numbered from 0 in the order in which they happened: every
`RunEvent` but the deltas, and the facts here. What a model was asked is kept by content: a fact names the
items by id (`Ranges`), and the store has each once (store/recorded_items.py).

Times are Unix milliseconds, and stand beside each fact; `…_after_ms` counts from the fact's own call.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import Effort, ModelEvent, RunEvent

Ranges = list[tuple[int, int]]
"""Ids in order, those that follow each other as one pair: the first, and how many."""


class RunAsked(msgspec.Struct, frozen=True, tag="run_asked"):
    """The run was asked for, by the bridge command `command` of the request `request_id`. `parent` is the run
    that it works for, in the call `parent_call_id`."""

    command: str
    request_id: str
    version: str
    model: str
    parent: int | None = None
    parent_call_id: str = ""


class RunBegan(msgspec.Struct, frozen=True, tag="run_began"):
    """It is the run's turn, after `waited_ms` in line, and it is known how it is to be done. `items` is the
    history that it begins with."""

    waited_ms: int
    agent: str
    models: list[str]
    tools: list[str]
    first_step: int
    step_limit: int
    parallel_tools: int
    items: Ranges = []


class ContextKnown(msgspec.Struct, frozen=True, tag="context_known"):
    """How much the model reads at most, as the run was told; None where that is not known."""

    model: str
    tokens: int | None


class ModelAsked(msgspec.Struct, frozen=True, tag="model_asked"):
    """A model is asked, as the call `call_id`. `items` are the instructions, the tools as one item, then
    the history."""

    call_id: str
    model: str
    max_output_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: Effort | None = None
    output_schema: dict[str, Any] | None = None
    may_use_tools: bool = True
    items: Ranges = []


class SaidTogether(msgspec.Struct, frozen=True):
    """What a model said until `until_ms` after it was asked, since the group before. Deltas of one kind that
    follow each other are one."""

    until_ms: int
    events: list[ModelEvent]


class ModelSaid(msgspec.Struct, frozen=True, tag="model_said"):
    """What a call said, every event of it; a long answer is several of these. The first says when the
    call's first event was there: the first byte, as far as the loop can see."""

    call_id: str
    groups: list[SaidTogether]
    began_ms: int | None = None


class CallFailed(msgspec.Struct, frozen=True, tag="call_failed"):
    """The call failed, whether or not it was made again. `retry_after_s` is what the provider asked for."""

    call_id: str
    code: str
    message: str
    retry_after_s: float | None = None


class RunEnded(msgspec.Struct, frozen=True, tag="run_ended"):
    """The last fact of the loop, unless the program died. `store_ms` is how long the run waited for the store
    in all; the write that ends it is still to come."""

    status: Literal["complete", "interrupted", "stopped", "failed"]
    reason: str
    store_ms: int
    code: str = ""
    message: str = ""


class ReplyShown(msgspec.Struct, frozen=True, tag="reply_shown"):
    """A window that showed the reply while it came had all of it on the screen `after_ms` after it heard of
    the end. In the whole run its main thread was busy for `drawing_ms` with `drawings` of it (script, layout
    and painting), for `longest_ms` with the longest. As the window says."""

    after_ms: int
    drawings: int
    drawing_ms: int
    longest_ms: int


OwnFact = RunAsked | RunBegan | ContextKnown | ModelAsked | ModelSaid | CallFailed | RunEnded | ReplyShown
Recorded = RunEvent | OwnFact


def as_ranges(ids: list[int]) -> Ranges:
    ranges: Ranges = []
    first = count = 0
    for id in ids:
        if count and id == first + count:
            count += 1
            continue
        if count:
            ranges.append((first, count))
        first, count = id, 1
    return [*ranges, (first, count)] if count else ranges


def ids_of(ranges: Ranges) -> list[int]:
    return [id for first, count in ranges for id in range(first, first + count)]
