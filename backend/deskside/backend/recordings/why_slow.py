"""Why a run took as long as it did, in words that everybody understands.

Each moment counts once: where a model answers while a tool still works, it is the model's. What the user took
to decide is not the program's slowness, and is told apart. The window draws mostly while the model writes:
that is the model's time, and the drawing is said beside it where it was much.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec

from deskside.backend.agent.recording import ReplyShown, RunEnded
from deskside.backend.recordings.durations import in_seconds
from deskside.backend.recordings.run_file import RunFile
from deskside.backend.recordings.story import Span, Story

Cause = Literal[
    "queue", "first_byte", "generation", "tools", "agents", "user", "retry", "store", "render", "other"
]

# The first that goes on at a moment is what took it.
ORDER: tuple[Cause, ...] = (
    "first_byte",
    "generation",
    "tools",
    "user",
    "agents",
    "retry",
    "queue",
    "store",
    "render",
)

WORDS: dict[Cause, str] = {
    "queue": "getting ready and waiting in line",
    "first_byte": "waiting for the model's first word",
    "generation": "the model writing",
    "tools": "tools working",
    "agents": "other agents working",
    "user": "waiting for you",
    "retry": "waiting before trying again",
    "store": "saving",
    "render": "showing the answer",
    "other": "everything else",
}

# Less drawing than this is not felt.
LEAST_DRAWING_MS = 100


class Share(msgspec.Struct, frozen=True):
    """How much of the time went into one cause, and what it is called."""

    cause: Cause
    ms: int
    words: str


class WhySlow(msgspec.Struct, frozen=True):
    """Where the time went, the largest share first. `summary` is one or two sentences."""

    total_ms: int
    shares: list[Share]
    summary: str


def why_slow(file: RunFile, story: Story) -> WhySlow:
    """Where the time of the run that was asked for went."""
    root = story.spans[0]
    own = [span for span in story.spans if span.run_id == story.run_id]
    # Its answer is shown after its end.
    end_ms = max([root.end_ms or story.end_ms, *(span.end_ms or 0 for span in own)])
    total_ms = max(0, end_ms - root.start_ms)
    agents = {span.parent_id for span in story.spans if span.kind == "run"}
    intervals = [
        (max(start, root.start_ms), min(end, end_ms), cause)
        for span in own
        for start, end, cause in _intervals(span, end_ms, is_agent=span.id in agents)
    ]
    spent = _spent(intervals)
    used_ms = sum(spent.values())
    facts = [each.fact for each in file.root.facts]
    ended = next((fact for fact in facts if isinstance(fact, RunEnded)), None)
    shown = next((fact for fact in facts if isinstance(fact, ReplyShown)), None)
    store_ms = min(0 if ended is None else ended.store_ms, total_ms - used_ms)
    spent["store"] = spent.get("store", 0) + store_ms
    spent["other"] = total_ms - sum(spent.values())
    shares = [Share(cause, ms, WORDS[cause]) for cause, ms in spent.items() if ms > 0]
    shares.sort(key=lambda share: -share.ms)
    return WhySlow(total_ms, shares, _summary(total_ms, shares) + _of_drawing(total_ms, shown))


def _intervals(span: Span, until_ms: int, *, is_agent: bool) -> list[tuple[int, int, Cause]]:
    end_ms = until_ms if span.end_ms is None else span.end_ms
    match span.kind:
        case "model" | "side_call":
            first_ms = end_ms if span.first_ms is None else span.first_ms
            return [(span.start_ms, first_ms, "first_byte"), (first_ms, end_ms, "generation")]
        case "tool":  # from when it runs: before, it waits for the user
            if span.first_ms is None:
                return []
            return [(span.first_ms, end_ms, "agents" if is_agent else "tools")]
        case "decision" | "pause":
            return [(span.start_ms, end_ms, "user")]
        case "retry" | "queue" | "store" | "render":
            return [(span.start_ms, end_ms, span.kind)]
        case "run":
            return []


def _spent(intervals: list[tuple[int, int, Cause]]) -> dict[Cause, int]:
    """Milliseconds by cause, each moment once."""
    moments = sorted({moment for start, end, _ in intervals for moment in (start, end) if start < end})
    spent: dict[Cause, int] = {}
    for start, end in pairwise(moments):
        going_on = {cause for first, last, cause in intervals if first <= start and end <= last}
        cause = next((each for each in ORDER if each in going_on), None)
        if cause is not None:
            spent[cause] = spent.get(cause, 0) + end - start
    return spent


def _summary(total_ms: int, shares: list[Share]) -> str:
    if not shares:
        return "It took no time that can be measured."
    first = shares[0]
    percent = round(100 * first.ms / total_ms)
    text = f"It took {in_seconds(total_ms)}, most of it {first.words} ({in_seconds(first.ms)}, {percent} %)."
    others = [share for share in shares[1:3] if share.ms >= total_ms / 20]
    if others:
        text += " Next: " + ", ".join(f"{share.words} ({in_seconds(share.ms)})" for share in others) + "."
    return text


def _of_drawing(total_ms: int, shown: ReplyShown | None) -> str:
    """What the window did while others were at work, where it was enough to be felt."""
    if shown is None or shown.drawing_ms < max(LEAST_DRAWING_MS, total_ms / 10):
        return ""
    return f" Meanwhile the window was drawing for {in_seconds(shown.drawing_ms)}."
