"""Words in the user's earlier conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from deskside.backend.store import conversation_search
from deskside.backend.store.conversation_search import FoundMessage
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import ToolOutput, tool


@tool(approval="never")
async def search_conversations(
    context: ToolContext,
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=500)],
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10,
) -> ToolOutput:
    """Look for words in the user's earlier conversations; the open one is left out.

    `query` is a few words, not a sentence. Each hit comes with the conversation's title, the date, who said
    it and the text around the words.
    """
    found = await context.store.read(conversation_search.find, query, limit, context.conversation_id)
    text = "\n\n".join(map(_written, found)) or "No earlier conversation has these words."
    return ToolOutput(text, origin="store", source="your conversations")


def _written(hit: FoundMessage) -> str:
    day = datetime.fromtimestamp(hit.created_ms / 1000)
    who = "the user" if hit.role == "user" else "the assistant"
    snippet = "".join(f"**{piece.text}**" if piece.is_hit else piece.text for piece in hit.snippet)
    return f"“{hit.title}” (conversation {hit.conversation_id}), {day:%Y-%m-%d}, {who}:\n{snippet}"
