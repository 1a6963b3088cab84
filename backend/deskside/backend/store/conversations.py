"""Conversations: the list at the left of the window."""

from __future__ import annotations

import msgspec


class ConversationRow(msgspec.Struct, frozen=True):
    """One line of the list. `model` is `provider/model`, None while the default is used.

    `is_running` is not stored: the runner knows it, and the command that answers fills it in.
    """

    id: int
    title: str
    model: str | None
    draft: str
    created_ms: int
    updated_ms: int
    is_running: bool = False


class ConversationPage(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` goes into the next call; None at the end."""

    conversations: list[ConversationRow]
    next_cursor: str | None
