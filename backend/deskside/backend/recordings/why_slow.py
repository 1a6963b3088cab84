"""Why a run took as long as it did, in words that everybody understands.

Each moment counts once: where a model answers while a tool still works, it is the model's. What the user took
to decide is not the program's slowness, and is told apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec

from deskside.backend.agent.recording import RunEnded
from deskside.backend.recordings.run_file import RunFile
from deskside.backend.recordings.story import Span, Story

Cause = Literal["queue", "first_byte", "generation", "tools", "agents", "user", "retry", "store", "other"]

# The first that goes on at a moment is what took it.
ORDER: tuple[Cause, ...] = ("first_byte", "generation", "tools", "user", "agents", "retry", "queue", "store")

WORDS: dict[Cause, str] = {
    "queue": "getting ready and waiting in line",
    "first_byte": "waiting for the model's first word",
    "generation": "the model writing",
    "tools": "tools working",
    "agents": "other agents working",
    "user": "waiting for you",
    "retry": "waiting before trying again",
    "store": "saving",
    "other": "everything else",
}


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
    end_ms = root.end_ms or story.end_ms
    total_ms = max(0, end_ms - root.start_ms)
    agents = {span.parent_id for span in story.spans if span.kind == "run"}
    intervals = [
        (max(start, root.start_ms), min(end, end_ms), cause)
        for span in story.spans
        if span.run_id == story.run_id
        for start, end, cause in _intervals(span, end_ms, is_agent=span.id in agents)
    ]
    spent = _spent(intervals)
    used_ms = sum(spent.values())
    ended = next((each.fact for each in file.root.facts if isinstance(each.fact, RunEnded)), None)
    store_ms = min(0 if ended is None else ended.store_ms, total_ms - used_ms)
    spent["store"] = spent.get("store", 0) + store_ms
    spent["other"] = total_ms - sum(spent.values())
    shares = [Share(cause, ms, WORDS[cause]) for cause, ms in spent.items() if ms > 0]
    shares.sort(key=lambda share: -share.ms)
    return WhySlow(total_ms, shares, _summary(total_ms, shares))


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
        case "retry" | "queue" | "store":
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


def in_seconds(ms: int) -> str:
    """A duration for people: 340 ms, 2.4 s, 3 min 20 s."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"
