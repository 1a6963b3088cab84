"""How long each command takes, for Diagnostics."""

from __future__ import annotations

from collections import deque

import msgspec

KEPT_CALLS = 512  # per command; enough for a p95 and small enough to keep for ever


class CommandTiming(msgspec.Struct, frozen=True):
    """Milliseconds. `count` and `mean_ms` are over all calls, the rest over the last 512."""

    command: str
    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float


class Timings:
    """Calls and their times, by command. Used from the bridge's loop only."""

    def __init__(self) -> None:
        self._totals: dict[str, tuple[int, float]] = {}
        self._recent: dict[str, deque[float]] = {}

    def record(self, command: str, seconds: float) -> None:
        count, total = self._totals.get(command, (0, 0.0))
        self._totals[command] = (count + 1, total + seconds)
        self._recent.setdefault(command, deque(maxlen=KEPT_CALLS)).append(seconds)

    def report(self) -> list[CommandTiming]:
        """One row a command, the most total time first."""
        by_total = sorted(self._totals.items(), key=lambda item: item[1][1], reverse=True)
        return [self._row(command, count, total) for command, (count, total) in by_total]

    def _row(self, command: str, count: int, total: float) -> CommandTiming:
        recent = sorted(self._recent[command])
        return CommandTiming(
            command=command,
            count=count,
            mean_ms=1000 * total / count,
            p50_ms=1000 * recent[len(recent) // 2],
            p95_ms=1000 * recent[int(len(recent) * 0.95)],
            max_ms=1000 * recent[-1],
        )
