"""Something to be known in later conversations, too."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.events import MemoriesChanged
from deskside.backend.store import memories
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import Preview, tool

Memory = Annotated[str, msgspec.Meta(min_length=1, max_length=memories.LONGEST_MEMORY)]


def _preview(context: ToolContext, text: str) -> Preview:
    return Preview(f"Remembers “{text.strip()}” for later conversations.")


@tool(approval="never", effect="write", preview=_preview)
async def remember(context: ToolContext, text: Memory) -> str:
    """Keep a short fact about the user, or a wish of theirs, for later conversations.

    Write it so that it can be understood alone ("The user's daughter is called Ada."), and only what the
    user said or asked to keep. The user sees every memory and can change or delete it.
    """
    await context.store.write(
        memories.add,
        text,
        conversation_id=context.conversation_id,
        run_id=context.run_id,
        agent_id=context.agent_id,
        is_tainted=context.is_tainted,
    )
    context.events.publish(MemoriesChanged())
    return "It is remembered."
