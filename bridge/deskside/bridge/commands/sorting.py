"""Folders and tags, which conversations are sorted by."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.events import ConversationChanged, FoldersChanged
from deskside.backend.store import conversations, folders, tags
from deskside.backend.store.folders import FolderRow
from deskside.backend.store.tags import TagRow
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command

FolderName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Sorting(msgspec.Struct, frozen=True):
    folders: list[FolderRow]
    tags: list[TagRow]


class AddFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: FolderName


class RenameFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    name: FolderName


class MoveFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`to` is its new place in the list, which counts from 0."""

    id: RowId
    to: Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class FolderId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


@command
async def overview(app: App) -> Sorting:
    """All folders in their order, and all tags by name."""
    return Sorting(await app.store.read(folders.all_folders), await app.store.read(tags.all_tags))


@command
async def add_folder(app: App, params: AddFolder) -> FolderRow:
    """Make a folder. Conflict where there is one with this name."""
    folder = await app.store.write(folders.add, params.name)
    app.events.publish(FoldersChanged())
    return folder


@command
async def rename_folder(app: App, params: RenameFolder) -> FolderRow:
    """Conflict where another folder has this name."""
    folder = await app.store.write(folders.rename, params.id, params.name)
    app.events.publish(FoldersChanged())
    return folder


@command
async def move_folder(app: App, params: MoveFolder) -> None:
    """Give a folder another place in the list."""
    await app.store.write(folders.move, params.id, params.to)
    app.events.publish(FoldersChanged())


@command
async def delete_folder(app: App, params: FolderId) -> None:
    """Remove a folder. Its conversations stay, in no folder."""
    for id in await app.store.write(folders.delete, params.id):
        row = await app.store.read(conversations.get, id)
        app.events.publish(ConversationChanged(app.runs.with_live(row)))
    app.events.publish(FoldersChanged())
