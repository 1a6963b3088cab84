"""The folders whose files the assistant may use.

The page names no folder that is not granted yet, and widens nothing by itself: the system's own dialogs ask
the user, and only what was chosen in them is stored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.settings import GrantedFolder
from deskside.backend.visible import made_visible
from deskside.bridge.registry import Bridge, command

FolderPath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class GrantFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    can_write: bool


class ChangeFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FolderPath
    can_write: bool


class RemoveFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FolderPath


@command
async def grant(bridge: Bridge, params: GrantFolder) -> list[GrantedFolder]:
    """Let the user choose a folder in the system's dialog, and grant it. NeedsWindow without a window."""
    what = "read and change" if params.can_write else "read"
    path = await bridge.desktop.choose_folder(f"Choose a folder whose files the assistant may {what}")
    if path is None:
        return bridge.app.settings.current.folders
    return await bridge.app.folders.grant(path, params.can_write)


@command
async def change(bridge: Bridge, params: ChangeFolder) -> list[GrantedFolder]:
    """Let a folder only be read, or, when the user says so in the system's dialog, be written as well."""
    folder = bridge.app.folders.get(params.path)
    if not params.can_write:
        return await bridge.app.folders.narrow(folder.path)
    if not folder.can_write and not await bridge.desktop.confirm(
        "Let the assistant change files?",
        f"With your approval, it can then change files in this folder:\n\n{made_visible(folder.path)}",
        "Let it",
    ):
        return bridge.app.settings.current.folders
    bridge.app.folders.get(folder.path)  # it may have been removed while the dialog was open
    return await bridge.app.folders.grant(folder.path, can_write=True)


@command
async def remove(app: App, params: RemoveFolder) -> list[GrantedFolder]:
    """Take a folder back at once."""
    return await app.folders.remove(params.path)
