"""What only the window can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from deskside.backend.exchange.exporting import file_name_of
from deskside.backend.store import attachments, conversations
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.desktop import Integration, check_link
from deskside.bridge.registry import Bridge, command


class OpenLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, msgspec.Meta(max_length=8000)]


class ChooseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(max_length=200)]
    endings: list[Annotated[str, msgspec.Meta(pattern="^[a-z0-9]{1,10}$")]]


class ChosenFile(msgspec.Struct, frozen=True):
    """None when the user closed the dialog without choosing."""

    path: str | None


class SetStartAtLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_on: bool


class DragAttachment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


class DragConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`text` and `html` are for programs that take no files."""

    id: RowId
    text: Annotated[str, msgspec.Meta(max_length=2000)]
    html: Annotated[str, msgspec.Meta(max_length=4000)]


class Dragged(msgspec.Struct, frozen=True):
    """`is_taken`: it was dropped where somebody took it."""

    is_taken: bool


@command
async def open_link(bridge: Bridge, params: OpenLink) -> None:
    """Open a web or mail address outside, in the user's own program."""
    check_link(params.url)
    await bridge.desktop.open_link(params.url)


@command
async def choose_file(bridge: Bridge, params: ChooseFile) -> ChosenFile:
    """Show the system's file dialog. NeedsWindow without a window."""
    return ChosenFile(await bridge.desktop.choose_file(params.title, params.endings))


@command
async def integration(bridge: Bridge) -> Integration:
    """What this desktop and this window can do together. NeedsWindow without a window."""
    return await bridge.desktop.integration()


@command
async def set_start_at_login(bridge: Bridge, params: SetStartAtLogin) -> Integration:
    """Have the system start Deskside when the user logs in, or no more, and say how it is now."""
    await bridge.desktop.set_start_at_login(params.is_on)
    return await bridge.desktop.integration()


@command
async def drag_attachment(bridge: Bridge, params: DragAttachment) -> Dragged:
    """Let the user drag a copy of an attached file out of the window, and say how that ended. NotFound where
    it is gone, NeedsWindow without a window, Conflict during another drag."""
    row = await bridge.app.store.read(attachments.get, params.id)

    async def write(folder: Path) -> Path:
        path = folder / file_name_of(row.name)
        await bridge.app.attachments.copy(row, path)
        return path

    return Dragged(await bridge.desktop.drag_file(write, "", ""))


@command
async def drag_conversation(bridge: Bridge, params: DragConversation) -> Dragged:
    """The same with a conversation, as the file that its export would be."""
    row = await bridge.app.store.read(conversations.get, params.id)

    async def write(folder: Path) -> Path:
        return await bridge.app.transfers.write_one(folder, row.id, row.title)

    return Dragged(await bridge.desktop.drag_file(write, params.text, params.html))
