"""Looking for something in the whole history, and going there."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.store import conversation_search, conversations, messages, replies
from deskside.backend.store.connection import Db
from deskside.backend.store.conversation_search import SearchPage
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.messages import MessagePage
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.commands.messages import PageMessages
from deskside.bridge.commands.messages import page as page_messages
from deskside.bridge.registry import command


class Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`text` as it was typed, the last word perhaps by half; see store/search_query.py. With a
    `conversation_id`, only that conversation is searched."""

    text: Annotated[str, msgspec.Meta(max_length=500)]
    conversation_id: RowId | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


class FoundPlace(msgspec.Struct, frozen=True):
    """A conversation with the page around what was found. `message_id` is on the page."""

    conversation: ConversationRow
    message_id: int
    page: MessagePage


class OpenFound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message_id: RowId


@command
async def find(app: App, params: Find) -> SearchPage:
    """Messages and titles that match, the best first, or the newest where there are thousands. Any text is a
    query; nothing matches one without a word or a filter. Cancel it when the user types on."""
    return await app.store.read(
        conversation_search.search, params.text, params.limit, params.cursor, params.conversation_id
    )


@command
async def open(app: App, params: OpenFound) -> FoundPlace:
    """The page around a message. Where it is in a version that is not shown, that version is shown from now
    on; what another agent wrote is in the reply that asked for it. NotFound if it was deleted."""
    conversation_id, root, is_shown = await app.store.read(_place, params.message_id)
    if not is_shown:
        await app.store.write(messages.show_version, root)
    conversation = app.runs.with_live(await app.store.read(conversations.get, conversation_id))
    page = await page_messages(app, PageMessages(conversation_id, around_id=root))
    return FoundPlace(conversation, root, page)


def _place(db: Db, message_id: int) -> tuple[int, int, bool]:
    root = replies.root_of(db, message_id)
    conversation, is_shown = db.sql.execute(
        "select conversation, is_shown from message where id = ?", (root,)
    ).fetchone()
    conversations.get(db, conversation)
    return conversation, root, bool(is_shown)
