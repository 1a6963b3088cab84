"""Ids of tool calls: each its own in what one model reads.

A result is paired with its call by the id: by providers, in the store and in the page. Some servers send no
id, the same one for two calls, or one that an earlier step has used.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from deskside.backend.agent.events import HistoryItem, ToolRequested


class CallIds:
    """The ids of one answer's calls, behind this history."""

    def __init__(self, history: Iterable[HistoryItem]) -> None:
        self._used = {item.call_id for item in history if isinstance(item, ToolRequested)}

    def own(self, call_id: str | None) -> str:
        """The id of a call that was sent with this one: the same, unless there is none or it is another
        call's."""
        if not call_id or call_id in self._used:
            call_id = f"call_{uuid4().hex}"
        self._used.add(call_id)
        return call_id
