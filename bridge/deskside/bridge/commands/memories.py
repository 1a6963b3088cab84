"""What the assistant remembers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.events import MemoriesChanged
from deskside.backend.store import memories
from deskside.backend.store.memories import LONGEST_MEMORY, MemoryRow
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command

# The command of that name hides the type below it.
MemoryRows = list[MemoryRow]


class MemoryId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


class ChangeMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_MEMORY)]


@command
async def list(app: App) -> MemoryRows:
    """All memories, the last changed first."""
    return await app.store.read(memories.rows)


@command
async def change(app: App, params: ChangeMemory) -> MemoryRow:
    """Give a memory another text. NotFound if it was deleted meanwhile."""
    row = await app.store.write(memories.change, params.id, params.text)
    app.events.publish(MemoriesChanged())
    return row


@command
async def delete(app: App, params: MemoryId) -> None:
    """Forget a memory for good."""
    await app.store.write(memories.delete, params.id)
    app.events.publish(MemoriesChanged())
