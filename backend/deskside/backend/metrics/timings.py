"""How often something happened and how long it took, by name.

A histogram with fixed bounds: an observation costs well under a microsecond and no memory, however many there
are, and what is read out of it holds for all of them since the program started.

Invariants
  - Written and read on the backend's loop only, so there is no lock. What a thread measures is observed where
    its outcome arrives.
  - Names are bounded: after the first MOST_NAMES, all further ones share one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator

import msgspec

MOST_NAMES = 250
OTHERS = "(others)"

# Five a decade, from 0.1 ms to 250 s: a percentile read out of them is off by a fifth at most.
BOUNDS_S = (
    *(float(f"{step}e{decade}") for decade in range(-4, 2) for step in (1, 1.6, 2.5, 4, 6.3)),
    *(100.0, 160.0, 250.0),
)


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds, over all calls since the start. `failures` counts those that failed, by error code; what
    was cancelled or stopped has the code `cancelled` or `stopped`. `p50_ms` and `p95_ms` are read out of a
    histogram, and off by a fifth at most."""

    name: str
    count: int
    failures: dict[str, int]
    total_ms: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float


class Histogram:
    """Times in seconds. `counts` has one more entry than BOUNDS_S: what took longer than the last."""

    __slots__ = ("counts", "longest_s", "shortest_s", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self.shortest_s = math.inf
        self.longest_s = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds
        if seconds < self.shortest_s:
            self.shortest_s = seconds
        if seconds > self.longest_s:
            self.longest_s = seconds

    def quantile_s(self, part: float) -> float:
        """What `part` (0 to 1) of the times were below; 0 without any."""
        wanted = part * self.count
        before = 0
        for place, count in enumerate(self.counts):
            if count and before + count >= wanted:
                low = BOUNDS_S[place - 1] if place else 0.0
                high = BOUNDS_S[place] if place < len(BOUNDS_S) else self.longest_s
                guess = low + (high - low) * (wanted - before) / count
                return min(max(guess, self.shortest_s), self.longest_s)
            before += count
        return 0.0


class Timings:
    """A histogram for each name, and how many of its calls failed with which code."""

    def __init__(self) -> None:
        self._histograms: dict[str, Histogram] = {}
        self._failures: dict[str, dict[str, int]] = {}

    def observe(self, name: str, seconds: float, failure: str = "") -> None:
        """`failure` is the code of the error that it ended with; empty where it did what it should."""
        (self._histograms.get(name) or self._histogram(name)).observe(seconds)
        if failure:
            self._count_failure(name, failure)

    def _histogram(self, name: str) -> Histogram:
        known = name if len(self._histograms) < MOST_NAMES else OTHERS
        return self._histograms.setdefault(known, Histogram())

    def _count_failure(self, name: str, code: str) -> None:
        failures = self._failures.setdefault(name if name in self._histograms else OTHERS, {})
        failures[code] = failures.get(code, 0) + 1

    def histograms(self) -> Iterator[tuple[str, Histogram]]:
        return iter(self._histograms.items())

    def failures(self) -> Iterator[tuple[str, str, int]]:
        """Name, code and how many."""
        for name, codes in self._failures.items():
            for code, count in codes.items():
                yield name, code, count

    def report(self) -> list[Timing]:
        """One row a name, the most total time first."""
        rows = [self._row(name, histogram) for name, histogram in self._histograms.items()]
        return sorted(rows, key=lambda row: row.total_ms, reverse=True)

    def _row(self, name: str, histogram: Histogram) -> Timing:
        count = histogram.count
        return Timing(
            name=name,
            count=count,
            failures=dict(self._failures.get(name, {})),
            total_ms=1000 * histogram.total_s,
            mean_ms=1000 * histogram.total_s / count,
            p50_ms=1000 * histogram.quantile_s(0.5),
            p95_ms=1000 * histogram.quantile_s(0.95),
            max_ms=1000 * histogram.longest_s,
        )
