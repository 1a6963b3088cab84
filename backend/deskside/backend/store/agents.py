"""Agents: who answers, with which instructions and model."""

from __future__ import annotations

from typing import Any

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


def default(db: Db) -> AgentRow:
    """The agent of new conversations."""
    agent = db.Agent.get(name=DEFAULT)
    if agent is None:
        raise NotFound(f"there is no agent {DEFAULT!r}", hint="Start Deskside again.")
    return _row(agent)


def _row(agent: Any) -> AgentRow:
    return AgentRow(
        id=agent.id,
        name=agent.name,
        label=agent.label,
        instructions=agent.instructions,
        model=agent.model,
        temperature=agent.temperature,
        step_limit=agent.step_limit,
    )
