"""A reply while it is written: its parts as they grow, and what of them is not on the disk yet.

Text is the hot path: a chunk costs an append to a list and one small struct. Nothing is joined, encoded
or written until someone asks (`unsaved`, `parts`). Everything else a run does (`take`) is rare and a
whole fact.

Positions count a reply's parts from 0 without gaps. Offsets are UTF-16 code units, as JavaScript counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from deskside.backend.agent.events import (
    HistoryItem,
    ReasoningFinished,
    RunEvent,
    StepStarted,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    Usage,
    UsageReported,
)
from deskside.backend.errors import AppError
from deskside.backend.events import PartChanged, TextAppended
from deskside.backend.log import request_id
from deskside.backend.store.messages import (
    MessageError,
    MessagePart,
    MessageRow,
    MessageStatus,
    MessageUsage,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from deskside.backend.store.replies import Chunk, StoredPart
from deskside.backend.store.text import now_ms
from deskside.backend.store.usage import UsageRecord

Kind = Literal["text", "reasoning", "tool_call"]

USAGE_FIELDS = MessageUsage.__struct_fields__
UNFINISHED_CALL = "The reply ended before this call was written."
UNANSWERED_CALL = "The reply ended before this tool finished."


@dataclass(slots=True, eq=False)
class LivePart:
    """One part as it grows. `texts` holds its text, or a tool call's arguments, in pieces; `saved` says how
    many of them are on the disk."""

    position: int
    step: int
    kind: Kind
    texts: list[str] = field(default_factory=list)
    length_utf16: int = 0
    saved: int = 0
    next_chunk: int = 0
    provider_data: str | None = None
    call: ToolCallPart | None = None

    @property
    def is_open_call(self) -> bool:
        return self.call is not None and self.call.status not in ("finished", "failed")

    def text(self) -> str:
        return "".join(self.texts)

    def part(self) -> MessagePart:
        if self.call is not None:
            return msgspec.structs.replace(self.call, arguments=self.text())
        return TextPart(self.text()) if self.kind == "text" else ReasoningPart(self.text())

    def stored(self) -> StoredPart:
        return StoredPart(self.position, self.step, self.part(), self.provider_data)


@dataclass(frozen=True)
class Unsaved:
    """What a reply has that the disk has not. `marks` is how far each part was saved before."""

    request_id: str
    run_id: int
    message_id: int
    chunks: list[Chunk]
    parts: list[StoredPart]
    events: list[tuple[int, int, RunEvent]]
    calls: list[UsageRecord]
    marks: list[tuple[LivePart, int]] = field(repr=False)


class Reply:
    """One reply that is being written. Used from the backend's loop only.

    `row` is what the store returned; `first_step` numbers its new steps. A reply that goes on takes its
    last text part up again, so that a sentence that was cut stays one.
    """

    def __init__(
        self, row: MessageRow, run_id: int, model_name: str, next_position: int, first_step: int
    ) -> None:
        self.run_id = run_id
        self._model_name = model_name
        self.message_id = row.id
        self.conversation_id = row.conversation_id
        self.unsaved_bytes = 0
        self.status: MessageStatus = "streaming"
        self.error: MessageError | None = None
        self._request_id = request_id.get()
        self._row = row
        self._position = next_position
        self._step = first_step
        self._live: list[LivePart] = []
        self._open: LivePart | None = None
        self._by_call: dict[str, LivePart] = {}
        self._changed: dict[int, LivePart] = {}
        self._events: list[tuple[int, int, RunEvent]] = []
        self._next_event = 0
        self._calls: dict[str, UsageRecord] = {}
        self._unsaved_calls: dict[str, UsageRecord] = {}
        self._call_id = ""
        if row.parts and isinstance(row.parts[-1], TextPart):
            self._take_up(row.parts[-1].text)

    def _take_up(self, text: str) -> None:
        self._open = LivePart(
            self._position - 1, self._step - 1, "text", [text], _length_utf16(text), saved=1
        )
        self._live.append(self._open)

    # -- what is said ------------------------------------------------------------------------------

    def append(self, kind: Literal["text", "reasoning"], text: str) -> TextAppended:
        """Take a chunk of text or of reasoning."""
        part = self._open
        if part is None or part.kind != kind:
            part = self._open = self._add(kind)
        return self._grow(part, kind, text)

    def append_arguments(self, event: ToolArgumentsDelta) -> TextAppended | None:
        """Take a chunk of a tool call's arguments; None for a call that was never announced."""
        part = self._by_call.get(event.call_id)
        return None if part is None else self._grow(part, "arguments", event.text)

    def _grow(
        self, part: LivePart, kind: Literal["text", "reasoning", "arguments"], text: str
    ) -> TextAppended:
        offset = part.length_utf16
        part.texts.append(text)
        if text.isascii():
            part.length_utf16 = offset + len(text)
            self.unsaved_bytes += len(text)
        else:
            part.length_utf16 = offset + _length_utf16(text)
            self.unsaved_bytes += len(text.encode("utf-8", "replace"))
        return TextAppended(self.conversation_id, self.message_id, part.position, kind, offset, text)

    def _add(self, kind: Kind) -> LivePart:
        part = LivePart(self._position, self._step, kind)
        self._position += 1
        self._live.append(part)
        return part

    def take(self, event: RunEvent) -> PartChanged | None:
        """Take anything but a delta: note it for the recorder, and return the part it changed."""
        self._record(event)
        match event:
            case StepStarted(step=step, call_id=call_id):
                self._step = step
                self._call_id = call_id
                self._use(Usage())
            case UsageReported(usage=usage):
                self._use(usage)
            case ReasoningFinished(provider_data=provider_data):
                self._finish_reasoning(provider_data)
            case ToolCallStarted(call_id=call_id, name=name):
                return self._change(self._call(call_id, name), "writing")
            case ToolRequested(call_id=call_id, name=name, arguments=arguments):
                part = self._announced(call_id) or self._call(call_id, name)
                part.texts = [arguments]
                part.saved = 0
                part.length_utf16 = _length_utf16(arguments)
                return self._change(part, "requested")
            case ToolStarted(call_id=call_id):
                return self._change(self._by_call[call_id], "running")
            case ToolFinished(call_id=call_id):
                return self._change(self._by_call[call_id], "failed" if event.failed else "finished", event)
            case _:
                pass
        return None

    def _record(self, event: RunEvent) -> None:
        self._events.append((self._next_event, now_ms(), event))
        self._next_event += 1

    def _use(self, usage: Usage) -> None:
        known = self._calls.get(self._call_id)
        at_ms = known.at_ms if known else now_ms()
        call = UsageRecord(self._call_id, self.run_id, self._model_name, usage, at_ms)
        self._calls[self._call_id] = self._unsaved_calls[self._call_id] = call

    def _finish_reasoning(self, provider_data: str | None) -> None:
        part = self._open
        if part is None or part.kind != "reasoning":
            if provider_data is None:
                return
            part = self._add("reasoning")
        part.provider_data = provider_data
        self._changed[part.position] = part
        self._open = None

    def _call(self, call_id: str, name: str) -> LivePart:
        self._open = None
        part = self._add("tool_call")
        part.call = ToolCallPart(call_id, name, "", "writing")
        self._by_call[call_id] = part
        return part

    def _announced(self, call_id: str) -> LivePart | None:
        """The call that is being written. Some servers use the same id again in a later step."""
        part = self._by_call.get(call_id)
        return part if part and part.call and part.call.status == "writing" else None

    def _change(
        self,
        part: LivePart,
        status: Literal["writing", "requested", "running", "finished", "failed"],
        result: ToolFinished | None = None,
    ) -> PartChanged:
        assert part.call is not None
        part.call = msgspec.structs.replace(part.call, status=status)
        if result is not None:
            part.call = msgspec.structs.replace(
                part.call, output=result.output, duration_ms=result.duration_ms
            )
        self._changed[part.position] = part
        return PartChanged(self.conversation_id, self.message_id, part.position, part.part())

    def close(
        self, status: MessageStatus, error: AppError | None, history: Iterable[HistoryItem] = ()
    ) -> None:
        """No more will be said. Calls without a result get the one that the loop left in `history`."""
        self.status = status
        self.error = None if error is None else message_error(error)
        left = {item.call_id: item for item in history if isinstance(item, ToolFinished)}
        for part in self._live:
            if part.call is not None and part.is_open_call:
                reason = UNFINISHED_CALL if part.call.status == "writing" else UNANSWERED_CALL
                call_id = part.call.call_id
                result = left.get(call_id) or ToolFinished(call_id, reason, failed=True)
                self._record(result)
                self._change(part, "failed" if result.failed else "finished", result)

    # -- what the store and the page get -----------------------------------------------------------

    def unsaved(self) -> Unsaved | None:
        """Everything since the last call; None if there is nothing. `give_back` undoes it."""
        if not (self.unsaved_bytes or self._changed or self._events or self._unsaved_calls):
            return None
        changed, self._changed = self._changed, {}
        events, self._events = self._events, []
        calls, self._unsaved_calls = self._unsaved_calls, {}
        self.unsaved_bytes = 0
        chunks: list[Chunk] = []
        marks: list[tuple[LivePart, int]] = []
        for part in self._live:
            if part.saved == len(part.texts):
                continue
            marks.append((part, part.saved))
            if part.position not in changed:
                chunks.append(self._chunk(part))
            part.saved = len(part.texts)
        stored = [part.stored() for part in changed.values()]
        return Unsaved(
            self._request_id,
            self.run_id,
            self.message_id,
            chunks,
            stored,
            events,
            list(calls.values()),
            marks,
        )

    def _chunk(self, part: LivePart) -> Chunk:
        text = "".join(part.texts[part.saved :])
        chunk = Chunk(self.message_id, part.position, part.kind, part.next_chunk, text)
        part.next_chunk += 1
        return chunk

    def give_back(self, unsaved: Unsaved) -> None:
        """It could not be written: it is unsaved again, before what came since."""
        for part, saved in unsaved.marks:
            part.saved = min(part.saved, saved)
        by_position = {part.position: part for part in self._live}
        self._changed = {part.position: by_position[part.position] for part in unsaved.parts} | self._changed
        self._events = unsaved.events + self._events
        self._unsaved_calls = {call.call_id: call for call in unsaved.calls} | self._unsaved_calls
        self.unsaved_bytes += sum(len(chunk.text) for chunk in unsaved.chunks)

    def stored_parts(self) -> list[StoredPart]:
        """Every part of this run, whole."""
        return [part.stored() for part in self._live]

    def usage(self) -> MessageUsage:
        """The tokens of all model calls of this run."""
        used = [call.usage for call in self._calls.values()]
        return MessageUsage(*(sum(getattr(each, name) for each in used) for name in USAGE_FIELDS))

    def row(self) -> MessageRow:
        """The reply as the page shows it now."""
        return self.over(self._row)

    def over(self, row: MessageRow) -> MessageRow:
        """A row of the store with what has been said since."""
        kept = self._row.parts[: self._live[0].position] if self._live else self._row.parts
        return msgspec.structs.replace(
            row,
            status=self.status,
            parts=[*kept, *(part.part() for part in self._live)],
            error=self.error,
        )


def message_error(error: AppError) -> MessageError:
    return MessageError(error.code, error.message, error.hint, error.retryable)


def _length_utf16(text: str) -> int:
    """Characters past U+FFFF are two units."""
    return len(text) + sum(1 for each in text if each > "\uffff")
