"""Two recorded runs beside each other: which step of the one is which of the other, and what is other in it.

Invariants
  - Every step of both runs is in exactly one pair, in order.
  - Steps inside a step are paired only with those inside its partner.
  - Two steps are a pair only if both call a model, or both call the same tool. A model call that was made
    again is a pair only with another such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from deskside.backend.agent.events import Usage
from deskside.backend.errors import InvalidRequest
from deskside.backend.recordings.comparing import history_text, line_diff
from deskside.backend.recordings.run_file import RunFile
from deskside.backend.recordings.steps import Aspect, Step, steps_of
from deskside.backend.recordings.story import SpanKind, SpanStatus, Story, tell

LONGEST_EXCERPT = 200  # characters
# Steps further from each other than this are not looked at as partners: the work grows with its square.
MOST_ALIGNED = 500
# How much two steps belong together: each counts for more than all that follow it.
KIND_FITS, OUTCOME_FITS, REQUEST_FITS, PLACE_FITS, ANSWER_FITS = 16, 8, 4, 2, 1
REQUEST: tuple[Aspect, ...] = ("arguments", "instructions", "tools", "conversation")
ANSWER: tuple[Aspect, ...] = ("answer", "calls", "result")
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
# What every call of a run is given again.
REPEATED: frozenset[Aspect] = frozenset({"model", "instructions", "settings", "tools"})
LINE_ENDS = "Only the ends of lines are different."

Partners = tuple[Step | None, Step | None]


class RunTotals(msgspec.Struct, frozen=True):
    """A run and all that worked for it, in figures. `took_ms` None: it goes on, or its end is not known.
    `first_ms` is when the first word of the answer was there, after the run was asked for. The cost of
    `unknown_calls` of the `used_calls` is not known, and not in `cost_nano_usd`; `partial_calls` may have
    cost more than is in it. Of a run without any used call nothing is known to be paid."""

    run_id: int
    conversation_id: int
    message_id: int
    agent: str
    model: str
    status: str
    message: str
    start_ms: int
    took_ms: int | None
    first_ms: int | None
    model_calls: int
    failed_model_calls: int
    tool_calls: int
    failed_tool_calls: int
    usage: Usage
    used_calls: int
    unknown_calls: int
    partial_calls: int
    cost_nano_usd: int


class ComparedStep(msgspec.Struct, frozen=True):
    """One step of one run. `n` is the fact of run `run_id` that shows what was in it; `excerpts` are the
    beginnings of what it got and gave: answer, calls and failure of a model, arguments and result of a
    tool."""

    run_id: int
    n: int
    kind: SpanKind
    name: str
    status: SpanStatus
    took_ms: int | None
    first_ms: int | None
    usage: Usage | None
    cost_nano_usd: int | None
    excerpts: list[str]


class StepDifference(msgspec.Struct, frozen=True):
    """What is other in a pair, line by line. `is_repeated`: the same difference was in a pair before, and
    `diff` is empty."""

    aspect: Aspect
    diff: str
    is_repeated: bool = False


class StepPair(msgspec.Struct, frozen=True):
    """What happened in both runs at the same place. `depth` is how many agents it is inside of. A model call
    is the same where it answered the same, and was asked the same but for what steps before it show."""

    kind: Literal["same", "changed", "only_left", "only_right"]
    depth: int
    left: ComparedStep | None
    right: ComparedStep | None
    differences: list[StepDifference] = []


class ComparedRuns(msgspec.Struct, frozen=True):
    """Two runs beside each other."""

    left: RunTotals
    right: RunTotals
    pairs: list[StepPair]


def compare(left: RunFile, right: RunFile) -> ComparedRuns:
    """Two recordings, aligned step by step. Raises InvalidRequest for one and the same run."""
    if left.root.id == right.root.id:
        raise InvalidRequest(f"Run {left.root.id} would be compared with itself.", hint="Give another run.")
    stories = tell(left), tell(right)
    names = f"run {left.root.id}", f"run {right.root.id}"
    steps = steps_of(left, stories[0]), steps_of(right, stories[1])
    pairs = list(_pairs(*steps, depth=0, names=names, told=set()))
    return ComparedRuns(_totals(left, stories[0]), _totals(right, stories[1]), pairs)


def _pairs(
    left: Sequence[Step],
    right: Sequence[Step],
    *,
    depth: int,
    names: tuple[str, str],
    told: set[tuple[Aspect, str]],
) -> Iterator[StepPair]:
    for one, other in align(left, right):
        if one is None or other is None:
            kind: Literal["only_left", "only_right"] = "only_left" if other is None else "only_right"
            yield StepPair(kind, depth, _shown(one), _shown(other))
        else:
            found = list(_differences(one, other, names, told))
            yield StepPair("changed" if found else "same", depth, _shown(one), _shown(other), found)
        inside = [] if one is None else one.inside, [] if other is None else other.inside
        yield from _pairs(*inside, depth=depth + 1, names=names, told=told)


def _differences(
    one: Step, other: Step, names: tuple[str, str], told: set[tuple[Aspect, str]]
) -> Iterator[StepDifference]:
    for aspect in ASPECTS:
        before, after = one.texts.get(aspect, ""), other.texts.get(aspect, "")
        if aspect == "conversation" and one.is_first != other.is_first:
            # A fork goes on from a step: its first call has read what the other run's steps show.
            before, after = history_text(one.history), history_text(other.history)
        if before == after:
            continue
        diff = line_diff(before, after, *names) or LINE_ENDS
        is_repeated = aspect in REPEATED and (aspect, diff) in told
        told.add((aspect, diff))
        yield StepDifference(aspect, "" if is_repeated else diff, is_repeated)


# -- aligning -----------------------------------------------------------------------------------


def align(left: Sequence[Step], right: Sequence[Step]) -> Iterator[Partners]:
    """Each step with its partner, or with nothing, in order: those partners that together fit best."""
    for at in range(0, max(len(left), len(right)), MOST_ALIGNED):
        yield from _align(left[at : at + MOST_ALIGNED], right[at : at + MOST_ALIGNED])


def _align(left: Sequence[Step], right: Sequence[Step]) -> list[Partners]:
    keys = [_Key.of(other) for other in right]
    fits = [[key.fit(other) for other in keys] for key in map(_Key.of, left)]
    # best[i][j] is how well left[i:] and right[j:] fit at best.
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            paired = best[i + 1][j + 1] + fits[i][j] if fits[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    partners: list[Partners] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if fits[i][j] and best[i][j] == best[i + 1][j + 1] + fits[i][j]:
            partners.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            partners.append((left[i], None))
            i += 1
        else:
            partners.append((None, right[j]))
            j += 1
    return partners + [(one, None) for one in left[i:]] + [(None, other) for other in right[j:]]


@dataclass(frozen=True)
class _Key:
    """What of a step is looked at to find its partner. Texts are there as their hashes."""

    kind: tuple[str, str, bool]
    status: SpanStatus
    place: int | None
    request: int
    answer: int

    @classmethod
    def of(cls, step: Step) -> _Key:
        span = step.span
        return cls(
            (span.kind, span.name if span.kind == "tool" else "", step.was_tried_again),
            span.status,
            span.step,
            hash(tuple(step.texts.get(aspect) for aspect in REQUEST)),
            hash(tuple(step.texts.get(aspect) for aspect in ANSWER)),
        )

    def fit(self, other: _Key) -> int:
        """0 for what is no pair."""
        if self.kind != other.kind:
            return 0
        return (
            KIND_FITS
            + OUTCOME_FITS * (self.status == other.status)
            + REQUEST_FITS * (self.request == other.request)
            + PLACE_FITS * (self.place == other.place)
            + ANSWER_FITS * (self.answer == other.answer)
        )


# -- what is shown ------------------------------------------------------------------------------


def _shown(step: Step | None) -> ComparedStep | None:
    if step is None:
        return None
    span = step.span
    return ComparedStep(
        span.run_id,
        span.n,
        span.kind,
        span.name,
        span.status,
        None if span.end_ms is None else span.end_ms - span.start_ms,
        None if span.first_ms is None else span.first_ms - span.start_ms,
        span.usage,
        span.cost_nano_usd,
        _excerpts(step),
    )


def _excerpts(step: Step) -> list[str]:
    texts = step.texts
    if step.span.kind == "tool":
        found = [texts.get("arguments", ""), texts.get("result", "")]
    else:
        calls = ", ".join(texts.get("calls", "").splitlines())
        failure = step.span.message if step.span.status == "failed" else ""
        found = [texts.get("answer", ""), f"Asks for {calls}" if calls else "", failure]
    return [_excerpt(text) for text in found if text]


def _excerpt(text: str) -> str:
    words = " ".join(text[: 4 * LONGEST_EXCERPT].split())
    return words if len(words) <= LONGEST_EXCERPT else f"{words[:LONGEST_EXCERPT]}…"


def _totals(file: RunFile, story: Story) -> RunTotals:
    root = story.spans[0]
    models = [span for span in story.spans if span.kind in ("model", "side_call")]
    tools = [span for span in story.spans if span.kind == "tool"]
    first = [span.first_ms for span in models if span.kind == "model" and span.run_id == root.run_id]
    first_ms = min((each for each in first if each is not None), default=None)
    used = [call for run in file.runs for call in run.calls]
    costs = [call.cost_nano_usd for call in used if call.cost_nano_usd is not None]
    usages = [call.usage for call in used]
    return RunTotals(
        run_id=story.run_id,
        conversation_id=story.conversation_id,
        message_id=story.message_id,
        agent=root.name,
        model=story.model,
        status=story.status,
        message=root.message,
        start_ms=story.start_ms,
        took_ms=None if root.end_ms is None else root.end_ms - root.start_ms,
        first_ms=None if first_ms is None else first_ms - root.start_ms,
        model_calls=len(models),
        failed_model_calls=sum(span.status == "failed" for span in models),
        tool_calls=len(tools),
        failed_tool_calls=sum(span.status == "failed" for span in tools),
        usage=Usage(
            sum(each.input_tokens for each in usages),
            sum(each.cache_read_tokens for each in usages),
            sum(each.cache_write_tokens for each in usages),
            sum(each.output_tokens for each in usages),
            sum(each.reasoning_tokens for each in usages),
        ),
        used_calls=len(used),
        unknown_calls=len(used) - len(costs),
        partial_calls=sum(call.is_partial for call in used),
        cost_nano_usd=sum(costs),
    )
