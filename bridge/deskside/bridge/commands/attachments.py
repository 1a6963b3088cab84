"""The files that are put to what is being typed. Their content comes and goes beside the socket
(attachment_files.py)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.store import attachments
from deskside.backend.store.attachments import AttachmentRow, AttachmentText
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command


class DraftOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None is the conversation that does not exist yet."""

    conversation_id: RowId | None


class AttachmentId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


class TextOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit` characters from `start` on: all of a long text would hold the socket up."""

    id: RowId
    start: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=500_000)] = 100_000


@command
async def draft(app: App, params: DraftOf) -> list[AttachmentRow]:
    """What is put to what is being typed in a conversation, in order."""
    return await app.store.read(attachments.of_draft, params.conversation_id)


@command
async def detach(app: App, params: AttachmentId) -> None:
    """Take a file off what is being typed. NotFound for one that was sent already."""
    await app.attachments.detach(params.id)


@command
async def text(app: App, params: TextOf) -> AttachmentText:
    """A piece of what was read out of an attachment; the empty one where there is nothing, or not yet."""
    return await app.store.read(attachments.text_from, params.id, params.start, params.limit)
