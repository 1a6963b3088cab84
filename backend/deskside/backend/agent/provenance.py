"""Which text of a history somebody else may have written.

Lowest of the modules about trust: the store reads it, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from deskside.backend.agent.events import HistoryItem, Summary, ToolFinished, UserFile

NAMELESS = "a tool"


def outside_sources(history: Iterable[HistoryItem]) -> list[str]:
    """Where the text from outside in a history comes from, each once, in the order it came; empty where
    there is none."""
    found: dict[str, None] = {}
    for item in history:
        if isinstance(item, ToolFinished):
            if item.is_outside:
                found[item.source or NAMELESS] = None
        elif isinstance(item, UserFile):
            found[item.name] = None
        elif isinstance(item, Summary):
            found.update(dict.fromkeys(item.outside))
    return list(found)
