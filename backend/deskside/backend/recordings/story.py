"""A recorded run as spans: what took how long, inside what, and how it ended.

Spans nest as the work did: a run holds its model calls, tools and waits; a tool that is another agent holds
that agent's run; the user's decision about a call is inside the call. Only the answer is still being shown
when its run has ended. Marks are moments. Ids are those of OpenTelemetry (16 bytes for the trace, 8 for a
span, in hex), derived from what is recorded, so that every telling of a run has the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from deskside.backend.agent.events import (
    AnswerForced,
    HistoryCompacted,
    HistoryTrimmed,
    ModelFellBack,
    OutputRepaired,
    Paused,
    Resumed,
    SideCallStarted,
    Steered,
    StepFinished,
    StepRetried,
    StepStarted,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    Usage,
)
from deskside.backend.agent.recording import (
    CallFailed,
    ModelAsked,
    ModelSaid,
    ReplyShown,
    RunAsked,
    RunBegan,
    RunEnded,
)
from deskside.backend.recordings.durations import in_seconds
from deskside.backend.recordings.run_file import FileFact, FileRun, RunFile

SpanKind = Literal[
    "run", "queue", "model", "side_call", "tool", "decision", "pause", "retry", "store", "render"
]
SpanStatus = Literal["open", "ok", "failed", "stopped", "denied"]

RUN_STATUS: dict[str, SpanStatus] = {
    "running": "open",
    "complete": "ok",
    "failed": "failed",
    "stopped": "stopped",
    "interrupted": "stopped",
}
# Less than this in line is not seen by anybody.
SHORTEST_WAIT_MS = 2


class Span(msgspec.Struct, frozen=True):
    """Something that took time. `n` is the fact of run `run_id` that shows what was in it; `end_ms` None: its
    end is not recorded, because it goes on or the program ended. `first_ms` is when a model began to answer.
    `step` is the run's step that it is part of, counted from 0. The cost is in nano-dollars;
    with `is_partial_cost` it may have been more."""

    id: str
    parent_id: str | None
    kind: SpanKind
    name: str
    run_id: int
    n: int
    start_ms: int
    end_ms: int | None = None
    status: SpanStatus = "open"
    message: str = ""
    code: str = ""
    call_id: str = ""
    step: int | None = None
    first_ms: int | None = None
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    is_partial_cost: bool = False
    decided: str = ""


class Mark(msgspec.Struct, frozen=True):
    """A moment in a run: something was said, left out, or given up."""

    span_id: str
    run_id: int
    n: int
    at_ms: int
    kind: str
    text: str


class Story(msgspec.Struct, frozen=True):
    """A run and all that worked for it. The first span is the run's own. Spans come in the order in which
    they began, each after the one it is in. `end_ms` is the last moment that is recorded."""

    trace_id: str
    run_id: int
    conversation_id: int
    message_id: int
    request_id: str
    command: str
    program: str
    model: str
    status: str
    start_ms: int
    end_ms: int
    spans: list[Span]
    marks: list[Mark]


def trace_id(file: RunFile) -> str:
    return _hash(file.store_id, "trace", file.root.id)[:32]


def tell(file: RunFile) -> Story:
    """The story of a recording; of one without facts, what its rows say."""
    root = file.root
    tellers = {run.id: _Run(file, run) for run in file.runs}
    for run in file.runs:
        tellers[run.id].tell(tellers.get(run.parent) if run.parent is not None else None)
    spans = [span for run in file.runs for span in tellers[run.id].spans]
    order = {span.id: (span.start_ms, place) for place, span in enumerate(spans)}
    spans = _nested(sorted(spans, key=lambda span: order[span.id]))
    marks = [mark for run in file.runs for mark in tellers[run.id].marks]
    first = root.facts[0].fact if root.facts else None
    return Story(
        trace_id(file),
        root.id,
        root.conversation_id,
        root.message_id,
        root.request_id,
        first.command if isinstance(first, RunAsked) else "",
        first.version if isinstance(first, RunAsked) else file.program,
        root.model,
        root.status,
        spans[0].start_ms,
        max(
            [span.end_ms or span.start_ms for span in spans]
            + [each.at_ms for run in file.runs for each in run.facts]
        ),
        spans,
        sorted(marks, key=lambda mark: mark.at_ms),
    )


def _nested(spans: Iterable[Span]) -> list[Span]:
    """Each span after the one it is in."""
    inside: dict[str | None, list[Span]] = {}
    for span in spans:
        inside.setdefault(span.parent_id, []).append(span)
    ordered: list[Span] = []

    def add(parent_id: str | None) -> None:
        for span in inside.get(parent_id, []):
            ordered.append(span)
            add(span.id)

    add(None)
    return ordered


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


@dataclass
class _Run:
    """Tells one run."""

    file: RunFile
    run: FileRun
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    tools: dict[str, str] = field(default_factory=dict)  # span by call, the last of each id
    _open: dict[str, int] = field(default_factory=dict)  # place in `spans` by key
    _asked: dict[str, int] = field(
        default_factory=dict
    )  # that of a model's call by its id, also once it is over
    _step: int | None = None
    _side_call_id: str = ""

    def tell(self, above: _Run | None) -> None:
        run = self.run
        began = next((each.fact for each in run.facts if isinstance(each.fact, RunBegan)), None)
        name = (began.agent if began else "") or run.agent or "run"
        first = run.facts[0] if run.facts else None
        start_ms = first.at_ms if first else run.started_ms
        parent_id = None
        if above is not None:
            asked = first.fact if first is not None else None
            call_id = asked.parent_call_id if isinstance(asked, RunAsked) else ""
            parent_id = above.tools.get(call_id, above.spans[0].id)
        self._begin("run", "run", name, 0, start_ms, parent_id)
        for each in run.facts:
            self._take(each)
        self._end_run()

    def _take(self, each: FileFact) -> None:
        match each.fact:
            case RunBegan(waited_ms=waited_ms):
                if waited_ms >= SHORTEST_WAIT_MS:
                    key = self._begin("queue", "queue", "Getting ready", each.n, each.at_ms - waited_ms)
                    self._end(key, each.at_ms, "ok")
            case StepStarted(step=step):
                self._step = step
            case SideCallStarted(call_id=call_id):
                self._side_call_id = call_id
            case ModelAsked() as asked:
                self._ask(each, asked)
            case ModelSaid(call_id=call_id, began_ms=int(first_ms)) if call_id in self._asked:
                place = self._asked[call_id]  # the call is over, mostly
                self.spans[place] = msgspec.structs.replace(self.spans[place], first_ms=first_ms)
            case StepFinished():
                self._end_model(each.at_ms, "ok")
            case CallFailed(call_id=call_id, code=code, message=message):
                self._end(call_id, each.at_ms, "failed", code=code, message=message)
            case StepRetried() | ModelFellBack() as again:
                self._end_model(each.at_ms, "failed", code=again.code, message=again.message)
                self._try_again(each, again)
            case _:
                self._take_other(each)

    def _take_other(self, each: FileFact) -> None:
        match each.fact:
            case ToolRequested(call_id=call_id, name=name):
                self.tools[call_id] = self._span_id("tool", each.n)
                self._begin(f"tool {call_id}", "tool", name, each.n, each.at_ms, call_id=call_id)
            case ToolWaiting(call_id=call_id):
                parent_id = self.tools.get(call_id)
                self._begin(f"decision {call_id}", "decision", "Your decision", each.n, each.at_ms, parent_id)
            case ToolDecided(call_id=call_id, question=question):
                status: SpanStatus = "ok" if question.decision == "approved" else "denied"
                decided = f"{question.decision}, for {SCOPES[question.scope]}" + (
                    f": {question.reason}" if question.reason else ""
                )
                self._end(f"decision {call_id}", each.at_ms, status, decided=decided)
                self._change(f"tool {call_id}", decided=decided)
            case ToolStarted(call_id=call_id):
                self._change(f"tool {call_id}", first_ms=each.at_ms)
            case ToolFinished(call_id=call_id, failed=failed, output=output):
                message = output.split("\n", 1)[0][:300] if failed else ""
                self._end(f"tool {call_id}", each.at_ms, "failed" if failed else "ok", message=message)
            case Paused(text=text):
                self._begin("pause", "pause", "Your word on a limit", each.n, each.at_ms)
                self._change("pause", message=text)
            case Resumed(goes_on=goes_on):
                self._end("pause", each.at_ms, "ok" if goes_on else "stopped")
            case RunEnded() as ended:
                self._note_end(each, ended)
            case ReplyShown() as shown:
                self._show(each, shown)
            case _:
                self._mark(each)

    def _ask(self, each: FileFact, asked: ModelAsked) -> None:
        is_side_call = asked.call_id == self._side_call_id
        kind: SpanKind = "side_call" if is_side_call else "model"
        used = next((call for call in self.run.calls if call.call_id == asked.call_id), None)
        self._begin(asked.call_id, kind, asked.model, each.n, each.at_ms, call_id=asked.call_id)
        self._asked[asked.call_id] = self._open[asked.call_id]
        if used is not None and used.usage != Usage():
            self._change(
                asked.call_id,
                usage=used.usage,
                cost_nano_usd=used.cost_nano_usd,
                is_partial_cost=used.is_partial,
            )

    def _end_model(self, at_ms: int, status: SpanStatus, **how: str) -> None:
        """The call that is being answered ends: there is one at a time."""
        for key, place in list(self._open.items()):
            if self.spans[place].kind in ("model", "side_call"):
                self._end(key, at_ms, status, **how)

    def _try_again(self, each: FileFact, again: StepRetried | ModelFellBack) -> None:
        if isinstance(again, StepRetried):
            until_ms = each.at_ms + round(1000 * again.delay_s)
            key = self._begin("retry", "retry", "Waiting to try again", each.n, each.at_ms)
            self._end(key, until_ms, "ok", message=again.message, code=again.code)
        else:
            self._mark(each)

    def _note_end(self, each: FileFact, ended: RunEnded) -> None:
        for key in [key for key in self._open if key != "run"]:
            self._end(key, each.at_ms, "stopped")
        status = RUN_STATUS[ended.status]
        self._end("run", each.at_ms, status, code=ended.code, message=ended.message)
        if self.run.finished_ms is not None and self.run.finished_ms > each.at_ms:
            key = self._begin("store", "store", "Saving the answer", each.n, each.at_ms)
            self._end(key, self.run.finished_ms, "ok")
            self.spans[0] = msgspec.structs.replace(self.spans[0], end_ms=self.run.finished_ms)

    def _show(self, each: FileFact, shown: ReplyShown) -> None:
        """What came after the run: the window heard of its end when that was saved."""
        start_ms = self.spans[0].end_ms or each.at_ms - shown.after_ms
        key = self._begin("render", "render", "Showing the answer", each.n, start_ms)
        count = "once" if shown.drawings == 1 else f"{shown.drawings} times"
        message = f"Drawn {count}, {in_seconds(shown.drawing_ms)} of work in all"
        if shown.drawings > 1:
            message += f", at most {in_seconds(shown.longest_ms)} at once"
        self._end(key, start_ms + shown.after_ms, "ok", message=f"{message}.")

    def _end_run(self) -> None:
        """Of a run that ended without saying so, what its row says."""
        if "run" in self._open and self.run.status != "running":
            self._end("run", self.run.finished_ms, RUN_STATUS[self.run.status])

    # -- the pieces ----------------------------------------------------------------------------

    def _span_id(self, kind: str, n: int) -> str:
        return _hash(self.file.store_id, "span", self.run.id, kind, n)[:16]

    def _begin(
        self,
        key: str,
        kind: SpanKind,
        name: str,
        n: int,
        start_ms: int,
        parent_id: str | None = None,
        *,
        call_id: str = "",
    ) -> str:
        if kind != "run" and parent_id is None:
            parent_id = self.spans[0].id
        self._open[key] = len(self.spans)
        span_id = self._span_id(kind, n)
        self.spans.append(
            Span(span_id, parent_id, kind, name, self.run.id, n, start_ms, call_id=call_id, step=self._step)
        )
        return key

    def _change(self, key: str, **fields: object) -> None:
        place = self._open.get(key)
        if place is not None:
            self.spans[place] = msgspec.structs.replace(self.spans[place], **fields)

    def _end(self, key: str, at_ms: int | None, status: SpanStatus, **fields: str) -> None:
        self._change(
            key, end_ms=at_ms, status=status, **{name: text for name, text in fields.items() if text}
        )
        self._open.pop(key, None)

    def _mark(self, each: FileFact) -> None:
        kind = str(each.fact.__struct_config__.tag)
        text = _in_words(each.fact)
        if text:
            self.marks.append(Mark(self.spans[0].id, self.run.id, each.n, each.at_ms, kind, text))


SCOPES = {"once": "this call", "run": "this answer", "agent": "good"}


def _in_words(fact: object) -> str:
    """What a mark says; nothing for what is seen in spans."""
    match fact:
        case ModelFellBack(failed_model=failed, model=model, message=message):
            return f"{failed} failed, {model} answers instead: {message}"
        case Steered(text=text):
            return f"You said: {text}"
        case HistoryTrimmed(results=results):
            return f"{results} older results of tools were left out, to make room."
        case HistoryCompacted(items=items):
            return f"A summary took the place of {items} older pieces of the conversation."
        case OutputRepaired(problem=problem):
            return f"The answer did not have the form it should: {problem}"
        case AnswerForced(message=message):
            return f"{message} The model had to answer with what it had."
        case _:
            return ""
