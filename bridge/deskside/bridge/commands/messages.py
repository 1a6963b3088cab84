"""The messages of a conversation."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.errors import InvalidRequest
from deskside.backend.store import messages
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessagePage, MessageRow
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import command


class PageMessages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most one of the three messages, each of the shown path; without one the page is the path's end."""

    conversation_id: RowId
    before_id: RowId | None = None
    after_id: RowId | None = None
    around_id: RowId | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class ShowVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId


@command
async def page(app: App, params: PageMessages) -> MessagePage:
    """A page of the shown path, oldest first, with replies that still stream."""
    if sum(id is not None for id in (params.before_id, params.after_id, params.around_id)) > 1:
        raise InvalidRequest("a page is before, after or around a message, not several of them")
    # Taken before the read: an event that comes between the two is applied twice, which is harmless.
    last_event = app.events.last
    found = await app.store.read(_read_page, params)
    return msgspec.structs.replace(
        found, messages=[app.runs.with_live_parts(row) for row in found.messages], last_event=last_event
    )


def _read_page(db: Db, params: PageMessages) -> MessagePage:
    if params.after_id is not None:
        return messages.page_after(db, params.conversation_id, params.after_id, params.limit)
    if params.around_id is not None:
        return messages.page_around(db, params.conversation_id, params.around_id, params.limit)
    return messages.page(db, params.conversation_id, params.before_id, params.limit)


class DelegatedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId


@command
async def delegated(app: App, params: DelegatedBy) -> list[MessageRow]:
    """The messages in which other agents answer this one's calls, oldest first; see `call_position`."""
    rows = await app.store.read(messages.delegated, params.message_id)
    return [app.runs.with_live_parts(row) for row in rows]


@command
async def show_version(app: App, params: ShowVersion) -> MessagePage:
    """Switch the shown path to another version of a message, and return the path's end."""
    conversation_id = await app.store.write(messages.show_version, params.message_id)
    return await page(app, PageMessages(conversation_id))
