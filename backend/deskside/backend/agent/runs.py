"""Runs: the tasks that answer, each owned by its conversation."""

from __future__ import annotations

import msgspec

from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.messages import MessageRow


class StartedRun(msgspec.Struct, frozen=True):
    """What `runs.start` answers with: rows that are on the disk. `question` is None for a retry or a
    continuation."""

    run_id: int
    conversation: ConversationRow
    question: MessageRow | None
    reply: MessageRow
