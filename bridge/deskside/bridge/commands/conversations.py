"""The list of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.events import ConversationChanged, ConversationDeleted, FoldersChanged
from deskside.backend.recordings.retention import remove_unreferred
from deskside.backend.store import conversations, forks
from deskside.backend.store.agents import AgentName
from deskside.backend.store.conversations import ConversationChanges, ConversationPage, ConversationRow
from deskside.backend.store.tags import TagName
from deskside.bridge.registry import command

# SQLite's row ids are 64 bits wide, JavaScript's whole numbers 53.
RowId = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
ModelName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]*/.+$", max_length=300)]
Draft = Annotated[str, msgspec.Meta(max_length=2_000_000)]


class ConversationId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


# More than anybody selects by hand, and one short unit of work.
RowIds = Annotated[list[RowId], msgspec.Meta(min_length=1, max_length=1000)]


class ConversationIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ids: RowIds


class PageConversations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place, and there one folder or tag, or all."""

    cursor: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    place: conversations.Place = "listed"
    folder_id: RowId | None = None
    tag: TagName | None = None


class ChangeConversations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ids: RowIds
    changes: ConversationChanges


class RenameConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    title: Title


class SetConversationModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    model: ModelName


class SetConversationAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    agent: AgentName


class ForkConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The message that the new conversation ends with."""

    message_id: RowId


class SaveDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` None is the draft of the conversation that does not exist yet."""

    id: RowId | None
    text: Draft


@command
async def page(app: App, params: PageConversations) -> ConversationPage:
    """Conversations of a place, the last used first."""
    found = await app.store.read(
        conversations.page, params.cursor, params.limit, params.place, params.folder_id, params.tag
    )
    return msgspec.structs.replace(
        found, conversations=[app.runs.with_live(row) for row in found.conversations]
    )


@command
async def pinned(app: App) -> list[ConversationRow]:
    """The pinned conversations that are listed, the last pinned first."""
    return [app.runs.with_live(row) for row in await app.store.read(conversations.pinned)]


@command
async def get(app: App, params: ConversationId) -> ConversationRow:
    """One conversation. NotFound if it was deleted."""
    return app.runs.with_live(await app.store.read(conversations.get, params.id))


@command
async def rename(app: App, params: RenameConversation) -> ConversationRow:
    """Give a conversation a new title. NotFound if it was deleted meanwhile."""
    return await _changed(app, await app.store.write(conversations.rename, params.id, params.title))


@command
async def name_by_model(app: App, params: ConversationId) -> ConversationRow:
    """Let the conversation's model give it a title, which is a model call. Conflict where a limit stands in
    the way."""
    return await _changed(app, await app.runs.titles.make(params.id))


@command
async def set_model(app: App, params: SetConversationModel) -> ConversationRow:
    """Choose the model for the next answers of a conversation. Any name is taken as it is."""
    return await _changed(app, await app.store.write(conversations.set_model, params.id, params.model))


@command
async def set_agent(app: App, params: SetConversationAgent) -> ConversationRow:
    """Choose who writes the next answers of a conversation. NotFound without such an agent, Conflict where
    it is switched off."""
    return await _changed(app, await app.store.write(conversations.set_agent, params.id, params.agent))


@command
async def fork(app: App, params: ForkConversation) -> ConversationRow:
    """Begin a new conversation with a copy of all up to a message. Conflict while that is being written."""
    return await _changed(app, await app.store.write(forks.fork, params.message_id))


@command
async def change(app: App, params: ChangeConversations) -> list[ConversationRow]:
    """Pin, archive, put into a folder or tag conversations: all of them or, when one is gone, none."""
    rows = await app.store.write(conversations.change, params.ids, params.changes)
    app.events.publish(FoldersChanged())
    return [await _changed(app, row) for row in rows]


@command
async def delete(app: App, params: ConversationIds) -> None:
    """Put conversations into the trash; their runs are stopped. `restore` brings them back whole."""
    for id in params.ids:
        await app.runs.stop_conversation(id)
    await app.store.write(conversations.delete, *params.ids)
    for id in params.ids:
        app.events.publish(ConversationDeleted(id))
    app.events.publish(FoldersChanged())


@command
async def restore(app: App, params: ConversationIds) -> list[ConversationRow]:
    """Undo `delete`."""
    rows = [await app.store.write(conversations.restore, id) for id in params.ids]
    app.events.publish(FoldersChanged())
    return [await _changed(app, row) for row in rows]


@command
async def purge(app: App, params: ConversationIds) -> None:
    """Remove conversations that are in the trash, for good, with the files that only they had. Others
    stay."""
    await _purge(app, params.ids)


@command
async def empty_trash(app: App) -> None:
    """Remove all that is in the trash, for good."""
    await _purge(app, await app.store.read(conversations.in_trash))


@command
async def save_draft(app: App, params: SaveDraft) -> None:
    """Keep what is typed but not sent."""
    if params.id is None:
        await app.settings.save_new_chat_draft(params.text)
    else:
        await app.store.write(conversations.save_draft, params.id, params.text)


async def _purge(app: App, ids: Sequence[int]) -> None:
    for id in ids:
        await app.store.write(conversations.purge, id)
    await app.attachments.collect()
    await remove_unreferred(app.store)
    app.events.publish(FoldersChanged())


async def _changed(app: App, row: ConversationRow) -> ConversationRow:
    row = app.runs.with_live(row)
    app.events.publish(ConversationChanged(row))
    return row
