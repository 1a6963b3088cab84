"""A reply while it is written: its parts as they grow, and what of them is not on the disk yet.

Text is the hot path: a chunk costs an append to a list and one small struct. Nothing is joined, encoded
or written until someone asks (`unsaved`, `parts`). Everything else a run does (`take`) is rare and a
whole fact.

Positions count a reply's parts from 0 without gaps. Offsets are UTF-16 code units, as JavaScript counts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from deskside.backend.agent.call_account import CallAccount
from deskside.backend.agent.events import (
    AnswerForced,
    HistoryCompacted,
    HistoryItem,
    HistoryTrimmed,
    ModelFellBack,
    OutputRepaired,
    Paused,
    ReasoningFinished,
    Resumed,
    RunEvent,
    SideCallStarted,
    Steered,
    StepRetried,
    StepStarted,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    Usage,
    UsageReported,
)
from deskside.backend.agent.recorder import Noted, Recorder
from deskside.backend.errors import AppError
from deskside.backend.events import PartChanged, PartsReplaced, TextAppended
from deskside.backend.log import request_id
from deskside.backend.prices import Price
from deskside.backend.store.messages import (
    Elicitation,
    MessageError,
    MessagePart,
    MessageRow,
    MessageStatus,
    MessageUsage,
    NotePart,
    PausePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolCallStatus,
    UserPart,
)
from deskside.backend.store.replies import Asked, Chunk, StoredPart
from deskside.backend.store.text import now_ms
from deskside.backend.store.usage import UsageRecord

Kind = Literal["text", "reasoning", "tool_call", "user", "note", "pause"]
NoteKind = Literal["retried", "fell_back", "trimmed", "compacted", "repaired", "limit"]
Change = PartChanged | PartsReplaced
# Of the model, and when the call begins (Unix milliseconds).
PriceOf = Callable[[str, int], Price | None]

USAGE_FIELDS = MessageUsage.__struct_fields__
UNFINISHED_CALL = "The reply ended before this call was written."
UNANSWERED_CALL = "The reply ended before this tool finished."


@dataclass(slots=True, eq=False)
class LivePart:
    """One part as it grows. `texts` holds its text, or a tool call's arguments, in pieces; `saved` says how
    many of them are on the disk. A part that is one whole fact is `fact`."""

    position: int
    step: int
    kind: Kind
    texts: list[str] = field(default_factory=list)
    length_utf16: int = 0
    saved: int = 0
    provider_data: str | None = None
    model: str | None = None
    call: ToolCallPart | None = None
    fact: UserPart | NotePart | PausePart | None = None

    @classmethod
    def taken_up(cls, stored: StoredPart) -> LivePart:
        """A part that an earlier run of the same reply has stored."""
        part = stored.part
        kind: Kind = part.__struct_config__.tag  # type: ignore[assignment]
        live = cls(stored.position, stored.step, kind, provider_data=stored.provider_data, model=stored.model)
        if isinstance(part, ToolCallPart):
            live.call, text = part, part.arguments
        elif isinstance(part, TextPart | ReasoningPart):
            text = part.text
        else:
            live.fact, text = part, ""
        live.keep_text([text] if text else [])
        live.saved = len(live.texts)
        return live

    def keep_text(self, texts: list[str]) -> None:
        self.texts = texts
        self.length_utf16 = sum(_length_utf16(text) for text in texts)
        self.saved = min(self.saved, len(texts))

    @property
    def is_open_call(self) -> bool:
        return self.call is not None and self.call.status not in ("finished", "failed")

    @property
    def waiting_pause(self) -> PausePart | None:
        """The pause that waits for the user; None for a part that is none."""
        return self.fact if isinstance(self.fact, PausePart) and self.fact.status == "waiting" else None

    def text(self) -> str:
        return "".join(self.texts)

    def whole_call(self) -> ToolCallPart | None:
        """The call with its arguments so far; None for a part that is none."""
        return None if self.call is None else msgspec.structs.replace(self.call, arguments=self.text())

    def part(self) -> MessagePart:
        call = self.whole_call()
        if call is not None:
            return call
        if self.fact is not None:
            return self.fact
        return TextPart(self.text()) if self.kind == "text" else ReasoningPart(self.text())

    def stored(self) -> StoredPart:
        return StoredPart(self.position, self.step, self.part(), self.provider_data, self.model)


@dataclass(frozen=True)
class Unsaved:
    """What a reply has that the disk has not. `cut_from` is the first position of parts that are no more,
    `heard` the rows of what the user said and the model has read. `model` is who answers now, where that is
    another than before. `marks` is how far each part was saved before."""

    request_id: str
    run_id: int
    message_id: int
    chunks: list[Chunk]
    parts: list[StoredPart]
    noted: list[Noted]
    calls: list[UsageRecord]
    cut_from: int | None
    heard: list[int]
    model: str | None
    marks: list[tuple[LivePart, int]] = field(repr=False)


class Reply:
    """One reply that is being written. Used from the backend's loop only.

    A reply that goes on takes its last text part up again, so that a sentence that was cut stays one, and one
    that waited for the user takes up all from the part that waits.

    What a model call says can turn out to be no part of the answer (it broke off and is made again). Its
    parts are then replaced by a note that holds what was said: nothing is lost, and no model reads it.

    `agent_tools` are the names of the tools that are other agents. `queue_place` and `steering` are the
    runner's to set, and shown with the row. `price_of` says what a model's tokens cost. `recorder` is told of
    all that is taken.
    """

    def __init__(
        self,
        asked: Asked,
        model_name: str,
        agent_id: int | None = None,
        agent_tools: frozenset[str] = frozenset(),
        price_of: PriceOf | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        row = asked.reply
        self.run_id = asked.run_id
        self.message_id = row.id
        self.conversation_id = row.conversation_id
        self.unsaved_bytes = 0
        self.status: MessageStatus = "streaming"
        self.error: MessageError | None = None
        self.agent_id = agent_id
        self.agent_tools = agent_tools
        self.queue_place = 0
        self.steering: list[str] = []
        self._price_of = price_of
        self._model_name = model_name
        self._request_id = request_id.get()
        self._row = row
        self._position = asked.next_position
        self._step = asked.next_step
        self._live = [LivePart.taken_up(stored) for stored in asked.taken_up]
        self._open: LivePart | None = None
        self._by_call = {part.call.call_id: part for part in self._live if part.call is not None}
        self._changed: dict[int, LivePart] = {}
        self.recorder = recorder or Recorder()
        self._has_taken = False
        self._accounts: dict[str, CallAccount] = {}
        self._unsaved_calls: dict[str, UsageRecord] = {}
        self._call_id = ""
        self._side_call_id = ""
        self._has_started = False
        self._cut_from: int | None = None
        self._heard: list[int] = []
        self._unsaved_model: str | None = None
        if self._live and self._live[0].kind == "text":
            self._open = self._live[0]
        self._begin_attempt()

    def _begin_attempt(self) -> None:
        """What is said from here on goes if the call is made again."""
        self._attempt_from = self._position
        self._attempt_part = self._open
        self._attempt_pieces = len(self._open.texts) if self._open is not None else 0

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

    def take(self, event: RunEvent) -> Change | None:
        """Take anything but a delta: tell the recorder, and return what it changed."""
        self.recorder.note(event)
        self._has_taken = True
        match event:
            case StepStarted():
                return self._start_step(event)
            case UsageReported():
                self._report(event)
            case SideCallStarted(call_id=call_id):
                self._side_call_id = call_id
            case ReasoningFinished(provider_data=provider_data):
                self._finish_reasoning(provider_data)
            case ToolCallStarted(call_id=call_id, name=name):
                return self._change(self._call(call_id, name), "writing")
            case ToolRequested(call_id=call_id, name=name, arguments=arguments):
                part = self._announced(call_id) or self._call(call_id, name)
                return self._change(part, "requested", arguments=arguments)
            case ToolWaiting(call_id=call_id, question=question):
                return self._change(self._by_call[call_id], "waiting", approval=question)
            case ToolDecided(call_id=call_id, question=question, arguments=arguments):
                part = self._by_call[call_id]
                return self._change(part, "requested", approval=question, arguments=arguments)
            case ToolStarted(call_id=call_id):
                return self._change(self._by_call[call_id], "running")
            case ToolFinished(call_id=call_id):
                return self._finish_call(self._by_call[call_id], event)
            case _:
                return self._take_notable(event)
        return None

    def _take_notable(self, event: RunEvent) -> Change | None:
        """What the user is told of in the reply itself."""
        match event:
            case StepRetried(call_id=call_id, code=code, message=message, had_said=had_said):
                self._refuse(code, had_said=had_said)
                self._next_call(call_id, self._model_name)
                if not had_said:
                    return None
                return self._supersede("retried", f"{message} This step was run again.")
            case ModelFellBack(call_id=call_id, failed_model=failed, model=model, message=message):
                self._refuse(event.code, had_said=event.had_said)
                self._next_call(call_id, model)
                return self._supersede("fell_back", f"{failed} failed: {message} {model} answers instead.")
            case OutputRepaired(problem=problem):
                text = f"The answer did not have the form it should: {problem} It was asked for again."
                return self._supersede("repaired", text)
            case HistoryTrimmed(results=results, kept=kept):
                what = "result of a tool is" if results == 1 else "results of tools are"
                text = f"To make room, {results} older {what} no longer sent to the model."
                return self._note(NotePart("trimmed", text, kept=kept))
            case HistoryCompacted(summary=summary, kept=kept):
                self._side_call_id = ""
                text = "The conversation became too long for the model, which now reads a summary of it."
                return self._note(NotePart("compacted", text, summary, kept))
            case AnswerForced(message=message):
                return self._note(NotePart("limit", f"{message} The model answers with what it has."))
            case Steered(id=row_id, text=text):
                self._heard.append(row_id)
                changed = self._add_fact("user", UserPart(text))
                self._begin_attempt()
                return changed
            case Paused(text=text, limit=limit):
                return self._pause(PausePart(text, limit, asked_ms=now_ms()))
            case Resumed(goes_on=goes_on):
                return self._end_pause("went_on" if goes_on else "stopped")
            case _:
                return None

    # -- model calls -------------------------------------------------------------------------------

    def _start_step(self, event: StepStarted) -> Change | None:
        if self._has_started:
            self._open = None  # only the first step may go on with a text that was cut
        self._has_started = True
        self._step = event.step
        self._next_call(event.call_id, event.model or self._model_name)
        self._begin_attempt()
        return self.pass_pause()

    def pass_pause(self) -> PartChanged | None:
        """An earlier run has waited at a limit that stands in the way no more. Nobody let it be passed: the
        pause loses the name by which it could be known as such."""
        return self._end_pause("went_on", limit="")

    def _next_call(self, call_id: str, model_name: str) -> None:
        self._model_name = model_name
        if self._row.model != model_name:
            self._row = msgspec.structs.replace(self._row, model=model_name)
            self._unsaved_model = model_name
        self._call_id = call_id
        self._side_call_id = ""

    def begin_call(self) -> str:
        """The model is asked now: returns the call's id. What the call uses is counted from here on; one that
        the run did not get to has used nothing."""
        call_id = self._side_call_id or self._call_id
        self._open_account(call_id)
        return call_id

    def _open_account(self, call_id: str) -> CallAccount:
        at_ms = now_ms()
        record = UsageRecord(
            call_id,
            self.run_id,
            self._model_name,
            Usage(),
            at_ms,
            agent_id=self.agent_id,
            conversation_id=self.conversation_id,
        )
        price = None if self._price_of is None else self._price_of(self._model_name, at_ms)
        account = self._accounts[call_id] = CallAccount.opened(record, price)
        self._unsaved_calls[call_id] = account.record
        return account

    def _report(self, event: UsageReported) -> None:
        call_id = self._side_call_id or self._call_id
        account = self._accounts.get(call_id) or self._open_account(call_id)
        self._unsaved_calls[call_id] = account.take(event)

    def _refuse(self, code: str, *, had_said: bool) -> None:
        """The call that was made last has failed. (Whether a side call had said something, nobody notes.)"""
        account = self._accounts.get(self._call_id)
        if account is None or had_said or self._side_call_id:
            return
        refused = account.refuse(code)
        if refused is not None:
            self._unsaved_calls[self._call_id] = refused

    def _supersede(self, what: NoteKind, text: str) -> PartsReplaced:
        """Put a note in place of what this call has said."""
        said: list[str] = []
        first = self._attempt_from
        grown = self._attempt_part
        if grown is not None and len(grown.texts) > self._attempt_pieces:
            said.append("".join(grown.texts[self._attempt_pieces :]))
            grown.keep_text(grown.texts[: self._attempt_pieces])
            self._changed[grown.position] = grown
            first = grown.position
        since = [part for part in self._live if part.position >= self._attempt_from]
        self._position = self._attempt_from
        for part in since:
            self._changed.pop(part.position, None)
        for part in since:
            if part.fact is not None:  # the pause before this call is made again
                part.position, self._position = self._position, self._position + 1
                self._changed[part.position] = part
                continue
            said.append(_as_text(part))
            self._live.remove(part)
            if part.call is not None:
                self._by_call.pop(part.call.call_id, None)
        self._cut_from = min(self._attempt_from, self._cut_from if self._cut_from is not None else 2**62)
        self._note(NotePart(what, text, "\n\n".join(said)))
        parts = [part.part() for part in self._live if part.position >= first]
        return PartsReplaced(self.conversation_id, self.message_id, first, parts)

    # -- parts -------------------------------------------------------------------------------------

    def _note(self, note: NotePart) -> PartChanged:
        changed = self._add_fact("note", note)
        self._begin_attempt()
        return changed

    def _add_fact(self, kind: Kind, fact: UserPart | NotePart | PausePart) -> PartChanged:
        self._open = None
        part = self._add(kind)
        part.fact = fact
        return self._changed_part(part)

    def _pause(self, pause: PausePart) -> PartChanged:
        """Ask the user; in place of what an earlier run has asked, if nobody has answered that."""
        for part in self._live:
            if part.waiting_pause is not None:
                part.fact = pause
                return self._changed_part(part)
        return self._add_fact("pause", pause)

    def _end_pause(self, status: Literal["went_on", "stopped"], **fields: Any) -> PartChanged | None:
        """End the one that waits, if any."""
        for part in self._live:
            pause = part.waiting_pause
            if pause is not None:
                part.fact = msgspec.structs.replace(pause, status=status, decided_ms=now_ms(), **fields)
                return self._changed_part(part)
        return None

    def _finish_reasoning(self, provider_data: str | None) -> None:
        part = self._open
        if part is None or part.kind != "reasoning":
            if provider_data is None:
                return
            part = self._add("reasoning")
        part.provider_data, part.model = provider_data, self._model_name
        self._changed[part.position] = part
        self._open = None

    def _call(self, call_id: str, name: str) -> LivePart:
        self._open = None
        part = self._add("tool_call")
        part.call = ToolCallPart(call_id, name, "", "writing", is_agent=name in self.agent_tools)
        self._by_call[call_id] = part
        return part

    def _announced(self, call_id: str) -> LivePart | None:
        """The call that is being written. Some servers use the same id again in a later step."""
        part = self._by_call.get(call_id)
        return part if part and part.call and part.call.status == "writing" else None

    def _change(self, part: LivePart, status: ToolCallStatus, **fields: Any) -> PartChanged:
        assert part.call is not None
        arguments = fields.pop("arguments", None)
        if arguments is not None:
            part.keep_text([arguments])
            part.saved = 0
        part.call = msgspec.structs.replace(part.call, status=status, **fields)
        return self._changed_part(part)

    def _finish_call(self, part: LivePart, result: ToolFinished) -> PartChanged:
        return self._change(
            part,
            "failed" if result.failed else "finished",
            output=result.output,
            duration_ms=result.duration_ms,
            origin=result.origin,
            source=result.source,
            is_outside=result.is_outside,
            hidden_characters=result.hidden_characters,
            elicitation=None,
        )

    def _changed_part(self, part: LivePart) -> PartChanged:
        self._changed[part.position] = part
        return PartChanged(self.conversation_id, self.message_id, part.position, part.part())

    # -- what the runner asks of it ----------------------------------------------------------------

    def part_at(self, position: int) -> MessagePart | None:
        """The part at a position, if it is one that this run may change."""
        return next((part.part() for part in self._live if part.position == position), None)

    def call(self, call_id: str) -> ToolCallPart | None:
        """The last call with this id."""
        part = self._by_call.get(call_id)
        return None if part is None else part.whole_call()

    @property
    def is_waiting(self) -> bool:
        """Whether the user has to decide about something in it."""
        return any(
            part.waiting_pause is not None or (part.call is not None and part.call.status == "waiting")
            for part in self._live
        )

    @property
    def has_said_something(self) -> bool:
        """Whether there is anything but notes in it."""
        return any(part.kind != "note" for part in self._live)

    def calls(self) -> list[UsageRecord]:
        """The model calls of this run so far, with what they used."""
        return [account.record for account in self._accounts.values()]

    @property
    def _has_said_in_attempt(self) -> bool:
        part = self._attempt_part
        return self._position > self._attempt_from or (
            part is not None and len(part.texts) > self._attempt_pieces
        )

    def position_of(self, call_id: str) -> int:
        return self._by_call[call_id].position

    def elicit(self, call_id: str, elicitation: Elicitation | None) -> PartChanged:
        """A server asks the user something in the middle of a call, or has its answer."""
        part = self._by_call[call_id]
        assert part.call is not None
        return self._change(part, part.call.status, elicitation=elicitation)

    def close(
        self,
        status: MessageStatus,
        error: AppError | None,
        history: Iterable[HistoryItem] = (),
        waits_below: Container[int] = (),
    ) -> None:
        """No more will be said. Calls without a result get the one that the loop left in `history`.

        Where the program ends in the middle, what waits for the user goes on waiting, and so do the calls
        that a pause holds up and those at the positions `waits_below`, whose agents wait.
        """
        self.status = status
        self.error = None if error is None else message_error(error)
        if error is not None:
            self._refuse(error.code, had_said=self._has_said_in_attempt)
        self.steering = []
        goes_on_waiting = status == "interrupted"
        held = any(pause.holds_tools for part in self._live if (pause := part.waiting_pause) is not None)
        left = {item.call_id: item for item in history if isinstance(item, ToolFinished)}
        for part in self._live:
            if part.call is not None and part.is_open_call:
                is_held = held and part.call.status == "requested"
                is_kept = part.call.status == "waiting" or is_held or part.position in waits_below
                if goes_on_waiting and is_kept:
                    continue
                call_id = part.call.call_id
                if part.call.status == "writing":  # an earlier call with the same id may have a result
                    result = ToolFinished(call_id, UNFINISHED_CALL, failed=True)
                else:
                    result = left.get(call_id) or ToolFinished(call_id, UNANSWERED_CALL, failed=True)
                self.recorder.note(result)
                self._finish_call(part, result)
            elif part.waiting_pause is not None and not goes_on_waiting:
                self._end_pause("stopped")

    # -- what the store and the page get -----------------------------------------------------------

    def unsaved(self) -> Unsaved | None:
        """Everything since the last call; None if there is nothing. `give_back` undoes it."""
        has_changed = self.unsaved_bytes or self._changed or self._has_taken or self._unsaved_calls
        if not has_changed and not self.recorder.has_news():
            return None  # (a cut, what was heard and another model always come with an event)
        changed, self._changed = self._changed, {}
        self._has_taken = False
        noted = self.recorder.take()
        calls, self._unsaved_calls = self._unsaved_calls, {}
        cut_from, self._cut_from = self._cut_from, None
        heard, self._heard = self._heard, []
        model, self._unsaved_model = self._unsaved_model, None
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
            noted,
            list(calls.values()),
            cut_from,
            heard,
            model,
            marks,
        )

    def _chunk(self, part: LivePart) -> Chunk:
        text = "".join(part.texts[part.saved :])
        assert part.kind in ("text", "reasoning", "tool_call"), "a fact is saved whole"
        # Numbered by its first piece: one that is written again, and longer, takes its own place.
        return Chunk(self.message_id, part.position, part.kind, part.saved, text)

    def give_back(self, unsaved: Unsaved) -> None:
        """It could not be written: it is unsaved again, before what came since."""
        for part, saved in unsaved.marks:
            part.saved = min(part.saved, saved)
        # A part may have been cut meanwhile, and another stand in its place.
        by_position = {part.position: part for part in self._live}
        given_back = {part.position for part in unsaved.parts} & by_position.keys()
        self._changed = {position: by_position[position] for position in given_back} | self._changed
        if unsaved.cut_from is not None:
            self._cut_from = min(unsaved.cut_from, self._cut_from if self._cut_from is not None else 2**62)
        self._heard = unsaved.heard + self._heard
        self._unsaved_model = self._unsaved_model or unsaved.model
        self.recorder.give_back(unsaved.noted)
        self._has_taken = True
        self._unsaved_calls = {call.call_id: call for call in unsaved.calls} | self._unsaved_calls
        self.unsaved_bytes += sum(len(chunk.text) for chunk in unsaved.chunks)

    def stored_parts(self) -> list[StoredPart]:
        """Every part of this run, whole."""
        return [part.stored() for part in self._live]

    def usage(self) -> MessageUsage:
        """The tokens of all model calls of this run."""
        used = [call.usage for call in self.calls()]
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
            model=self._row.model,
            parts=[*kept, *(part.part() for part in self._live)],
            error=self.error,
            queue_place=self.queue_place,
            steering=list(self.steering),
        )


def message_error(error: AppError) -> MessageError:
    return MessageError(error.code, error.message, error.hint, error.retryable, request_id.get())


def _as_text(part: LivePart) -> str:
    if part.call is not None:
        return f"{part.call.name}({part.text()})"
    return part.text()


def _length_utf16(text: str) -> int:
    """Characters past U+FFFF are two units."""
    return len(text) + sum(1 for each in text if each > "\uffff")
