"""Agents: who answers, with which instructions and model."""

from __future__ import annotations

import msgspec

from deskside.backend.errors import NotFound
from deskside.backend.store.connection import Db

DEFAULT = "assistant"


class AgentRow(msgspec.Struct, frozen=True):
    """`model` None takes the conversation's. `temperature` None leaves it to the provider. A run makes at
    most `step_limit` model calls."""

    id: int
    name: str
    label: str
    instructions: str
    model: str | None
    temperature: float | None
    step_limit: int


COLUMNS = "id, name, label, instructions, model, temperature, step_limit"


def default(db: Db) -> AgentRow:
    """The agent of new conversations."""
    # Not through the entity: every run asks twice, and it would be a fifth of what storing one costs.
    row = db.sql.execute(f"select {COLUMNS} from agent where name = ?", (DEFAULT,)).fetchone()
    if row is None:
        raise NotFound(f"there is no agent {DEFAULT!r}", hint="Start Deskside again.")
    return AgentRow(*row)
