"""When to load the page again after the process that draws it has died."""

from __future__ import annotations

WAITS_S = (0.0, 0.5, 2.0)
SPAN_S = 60.0


class Recovery:
    """Counts deaths of the renderer. More than three within a minute is not bad luck: then the user
    is asked, instead of burning the processor in a loop."""

    def __init__(self) -> None:
        self._deaths_s: list[float] = []

    def next_wait_s(self, now_s: float) -> float | None:
        """How long to wait before the next attempt, or None to give up. `now_s` is monotonic."""
        self._deaths_s = [death for death in self._deaths_s if now_s - death < SPAN_S]
        self._deaths_s.append(now_s)
        deaths = len(self._deaths_s)
        return WAITS_S[deaths - 1] if deaths <= len(WAITS_S) else None

    def forget(self) -> None:
        """Start counting anew: the user asked for another attempt."""
        self._deaths_s.clear()
