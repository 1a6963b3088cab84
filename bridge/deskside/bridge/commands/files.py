"""Files that the assistant wrote."""

from __future__ import annotations

import msgspec

from deskside.backend.app import App
from deskside.backend.store.file_versions import WrittenFile
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command


class FilesWritten(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`message_id` None asks for the last that any reply wrote."""

    message_id: RowId | None = None


class UndoFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


@command
async def written(app: App, params: FilesWritten) -> list[WrittenFile]:
    """The files that a reply wrote, newest first."""
    return await app.files.written(params.message_id)


@command
async def undo(app: App, params: UndoFile) -> WrittenFile:
    """Bring back what was in a file before. Conflict where it was changed since."""
    return await app.files.undo(params.id)
