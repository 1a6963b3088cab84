"""How long something took, in words."""

from __future__ import annotations


def in_seconds(ms: int) -> str:
    """A duration for people: 340 ms, 2.4 s, 3 min 20 s."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"
