"""The files that are put to what is being typed. Their content comes and goes beside the socket
(attachment_files.py)."""

from __future__ import annotations

import msgspec

from deskside.backend.app import App
from deskside.backend.store import attachments
from deskside.backend.store.attachments import AttachmentRow
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command


class DraftOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None is the conversation that does not exist yet."""

    conversation_id: RowId | None


class AttachmentId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


@command
async def draft(app: App, params: DraftOf) -> list[AttachmentRow]:
    """What is put to what is being typed in a conversation, in order."""
    return await app.store.read(attachments.of_draft, params.conversation_id)


@command
async def detach(app: App, params: AttachmentId) -> None:
    """Take a file off what is being typed. NotFound for one that was sent already."""
    await app.attachments.detach(params.id)


@command
async def text(app: App, params: AttachmentId) -> str | None:
    """What was read out of an attachment; None where there is nothing, or not yet."""
    return await app.store.read(attachments.text_of, params.id)
