"""How providers answer: how soon, how fast, and how often they do not.

A call here is one request to a model's API that asks for an answer. What was refused and asked again is two.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import msgspec

from deskside.backend.agent.answer import Refused
from deskside.backend.agent.events import ModelEvent, ReasoningDelta, Usage, UsageReported
from deskside.backend.agent.refusals import error_of
from deskside.backend.errors import AppError
from deskside.backend.metrics.timings import Timing, Timings

# What comes faster came in one piece, and says nothing of how fast the model is.
LEAST_SPOKEN_S = 0.05


class ProviderTiming(msgspec.Struct, frozen=True):
    """`calls` are all, however they ended. `head`: until the answer began; `first`: until the model's first
    word, also of its reasoning; `whole`: until its end, of those that came to it.

    `tokens_per_s` is over the time after the first word, of answers that came in more than one piece; None
    where there was none yet. `output_tokens` are those that it counts.
    """

    provider: str
    calls: Timing
    head: Timing | None
    first: Timing | None
    whole: Timing | None
    output_tokens: int
    tokens_per_s: float | None


class ProviderCalls:
    """The calls since the program started, by the provider's id. Used on the backend's loop only."""

    def __init__(self) -> None:
        self.all = Timings()
        self.head = Timings()
        self.first = Timings()
        self.whole = Timings()
        self.spoken: dict[str, tuple[int, float]] = {}
        """Tokens that were said after the first word, and the seconds that took."""

    def begin(self, provider: str) -> ProviderCall:
        return ProviderCall(self, provider)

    def report(self) -> list[ProviderTiming]:
        """One row a provider, the most total time first."""
        head, first, whole = (
            {row.name: row for row in timings.report()} for timings in (self.head, self.first, self.whole)
        )
        rows = []
        for calls in self.all.report():
            name = calls.name
            tokens, seconds = self.spoken.get(name, (0, 0.0))
            speed = tokens / seconds if tokens else None
            rows.append(
                ProviderTiming(name, calls, head.get(name), first.get(name), whole.get(name), tokens, speed)
            )
        return rows


class ProviderCall:
    """One call, from its request to its end: a context manager around all of it that can fail."""

    __slots__ = (
        "_began_s",
        "_calls",
        "_first_s",
        "_is_reasoning",
        "_provider",
        "_usage",
        "_usage_s",
        "is_silent",
    )

    def __init__(self, calls: ProviderCalls, provider: str) -> None:
        self._calls = calls
        self._provider = provider
        self._began_s = time.perf_counter()
        self._first_s = self._usage_s = 0.0
        self._is_reasoning = False
        self._usage: Usage | None = None
        self.is_silent = True
        """Nothing was said yet."""

    def answered(self) -> None:
        """The head of the answer is here."""
        self._calls.head.observe(self._provider, time.perf_counter() - self._began_s)

    def saw(self, event: ModelEvent) -> None:
        """For the first event, and each that reports usage; all others tell nothing."""
        now_s = time.perf_counter()
        if isinstance(event, UsageReported):
            self._usage, self._usage_s = event.usage, now_s
        elif self.is_silent:
            self.is_silent = False
            self._first_s = now_s
            self._is_reasoning = isinstance(event, ReasoningDelta)
            self._calls.first.observe(self._provider, now_s - self._began_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began_s
        self._calls.all.observe(self._provider, seconds, _code(error))
        if error is None:
            self._calls.whole.observe(self._provider, seconds)
        spoken_s = 0.0 if self.is_silent else self._usage_s - self._first_s
        if self._usage is not None and spoken_s >= LEAST_SPOKEN_S:
            tokens, spent_s = self._calls.spoken.get(self._provider, (0, 0.0))
            # Reasoning that is not shown comes before the first word.
            hidden = 0 if self._is_reasoning else self._usage.reasoning_tokens
            said = max(0, self._usage.output_tokens - hidden)
            self._calls.spoken[self._provider] = (tokens + said, spent_s + spoken_s)


def _code(error: BaseException | None) -> str:
    if error is None:
        return ""
    if isinstance(error, Refused):
        return error_of(error.refusal, label="", key=None).code
    if isinstance(error, AppError):
        return error.code
    return "stopped" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "internal"
