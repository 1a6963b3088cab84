"""Records one run in memory, for the flusher to write.

Invariants
  - What is noted is numbered in the order of its noting, without gaps, whether or not it can be written.
  - A chunk of an answer costs an append. Chunks are put together when the flusher comes by, and written when
    the call ends, or sooner where it is long.
  - Nothing is encoded, hashed or compressed here: that is the writer's, on its thread.
  - A recorder that is switched off keeps nothing, and costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import groupby

from deskside.backend.agent.events import (
    HistoryItem,
    Model,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolSpec,
)
from deskside.backend.agent.recording import (
    CallFailed,
    ModelAsked,
    ModelSaid,
    Recorded,
    RunBegan,
    SaidTogether,
)
from deskside.backend.errors import AppError, RateLimited
from deskside.backend.store.text import now_ms

LONGEST_SAID = 32_768  # characters of an answer that wait for its end
LONGEST_WAIT_S = 10.0

OF_TEXT = TextDelta, None
OF_REASONING = ReasoningDelta, None

Item = HistoryItem | Sequence[ToolSpec] | str
"""An item of a history, all tools of a request, or instructions."""


@dataclass(eq=False)
class Items:
    """Values that a fact refers to, on their way to the store. The writer fills in the `ids`, and then
    forgets `before`: those of the fact before, of which most are the same objects."""

    values: Sequence[Item]
    before: Items | None
    ids: list[int] = field(default_factory=list)


@dataclass(eq=False)
class WithItems:
    """A fact that is complete once the ids of its items are known."""

    fact: ModelAsked | RunBegan
    items: Items


Noted = tuple[int, int, Recorded | WithItems]
"""Number within the run, Unix milliseconds, and the fact."""


class Recorder:
    """What one run has to record. Used on the backend's loop only."""

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        self.store_ms = 0.0
        self._noted: list[Noted] = []
        self._next = 0
        self._items: Items | None = None
        self._call: _Call | None = None

    def note(self, fact: Recorded | WithItems) -> None:
        """It has just happened."""
        if self.is_on:
            self._noted.append((self._next, now_ms(), fact))
            self._next += 1

    def note_began(self, fact: RunBegan, history: Sequence[HistoryItem]) -> None:
        """The run has begun with this history."""
        if self.is_on:
            self.note(WithItems(fact, self._referred_to(list(history))))

    def take(self) -> list[Noted]:
        """All that is to be written. `give_back` undoes it."""
        if self._call is not None:
            self._call.gather(is_over=False)
        noted, self._noted = self._noted, []
        return noted

    def give_back(self, noted: list[Noted]) -> None:
        """It could not be written, and with it the ids that were given to its items."""
        for _, _, fact in noted:
            if isinstance(fact, WithItems):
                fact.items.ids = []
        self._noted = noted + self._noted

    def has_news(self) -> bool:
        """Whether something was noted that is not taken yet."""
        return bool(self._noted)

    async def answer(
        self, model: Model, request: ModelRequest, call_id: str
    ) -> AsyncGenerator[ModelEvent, None]:
        """Ask a model, and pass on what it says."""
        values: list[Item] = [request.instructions, request.tools, *request.history]
        self.note(WithItems(_asked(call_id, model.name, request), self._referred_to(values)))
        call = self._call = _Call(self, call_id)
        said = call.said
        try:
            async with aclosing(model.stream(request)) as events:
                async for event in events:
                    call.begin()
                    said.append(event)
                    yield event
                    break
                async for event in events:
                    said.append(event)
                    yield event
        except AppError as error:
            retry_after_s = error.retry_after_s if isinstance(error, RateLimited) else None
            self.note(CallFailed(call_id, error.code, error.message, retry_after_s))
            raise
        finally:
            call.gather(is_over=True)
            self._call = None

    def _referred_to(self, values: Sequence[Item]) -> Items:
        self._items = Items(values, self._items)
        return self._items


class _Call:
    """What a call that goes on has said."""

    def __init__(self, recorder: Recorder, call_id: str) -> None:
        self.said: list[ModelEvent] = []
        self._recorder = recorder
        self._call_id = call_id
        self._began_s = self._written_s = time.monotonic()
        self._began_ms: int | None = None
        self._groups: list[SaidTogether] = []
        self._length = 0

    def begin(self) -> None:
        """The first event of the answer is there."""
        self._began_ms = now_ms()

    def gather(self, *, is_over: bool) -> None:
        """Put what came since together, and note it if it is enough or all."""
        at_s = time.monotonic()
        if self.said:
            events, length = _joined(self.said)
            self.said.clear()
            self._groups.append(SaidTogether(round(1000 * (at_s - self._began_s)), events))
            self._length += length
        is_enough = self._length > LONGEST_SAID or at_s - self._written_s > LONGEST_WAIT_S
        if self._groups and (is_over or is_enough):
            self._recorder.note(ModelSaid(self._call_id, self._groups, self._began_ms))
            self._groups, self._length, self._written_s = [], 0, at_s
            self._began_ms = None


def _joined(said: Sequence[ModelEvent]) -> tuple[list[ModelEvent], int]:
    """The same, with deltas of one kind as one, and how many characters those have."""
    joined: list[ModelEvent] = []
    length = 0
    for place, group in groupby(said, _place):
        if place is None:
            joined += group
            continue
        kind, call_id = place
        text = "".join([delta.text for delta in group])  # type: ignore[union-attr]
        length += len(text)
        joined.append(kind(text) if call_id is None else ToolArgumentsDelta(call_id, text))
    return joined, length


def _place(event: ModelEvent) -> tuple[type[TextDelta] | type[ReasoningDelta], str | None] | None:
    """What a delta goes on with; None for what is none."""
    kind = type(event)
    if kind is TextDelta:
        return OF_TEXT
    if kind is ReasoningDelta:
        return OF_REASONING
    return (TextDelta, event.call_id) if isinstance(event, ToolArgumentsDelta) else None


def _asked(call_id: str, model: str, request: ModelRequest) -> ModelAsked:
    return ModelAsked(
        call_id,
        model,
        request.max_output_tokens,
        request.temperature,
        request.reasoning_effort,
        request.output_schema,
        request.may_use_tools,
    )
