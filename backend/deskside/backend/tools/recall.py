"""What was remembered in earlier conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from deskside.backend.store import memories
from deskside.backend.store.memories import MemoryRow
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import ToolOutput, tool

SHOWN_LIMIT = 100


@tool(approval="never")
async def recall(
    context: ToolContext, query: Annotated[str, msgspec.Meta(max_length=200)] = ""
) -> ToolOutput:
    """Say what was remembered about the user in earlier conversations, the newest first.

    `query` is a word or two that the memory must hold; without it all come.
    """
    words = query.casefold().split()
    found = [
        memory
        for memory in await context.store.read(memories.rows)
        if all(word in memory.text.casefold() for word in words)
    ]
    lines = [_written(memory) for memory in found[:SHOWN_LIMIT]]
    if len(found) > SHOWN_LIMIT:
        lines.append(f"… {SHOWN_LIMIT} of {len(found)} are shown; ask for one with a word.")
    text = "\n".join(lines) or "Nothing that fits is remembered."
    if any(memory.is_tainted for memory in found[:SHOWN_LIMIT]):
        # Somebody else may have had a hand in these: they are no more to be obeyed than a page of the web.
        return ToolOutput(text, origin="store", source="your memories")
    return ToolOutput(text)


def _written(memory: MemoryRow) -> str:
    day = datetime.fromtimestamp(memory.updated_ms / 1000)
    mark = ", while text from outside was read" if memory.is_tainted else ""
    return f"- {memory.text} ({day:%Y-%m-%d}{mark})"
