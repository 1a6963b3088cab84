"""How an agent answers: its plan, with the tools that it has and its instructions as they read today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from deskside.backend.agent import instructions
from deskside.backend.agent.loop import Plan
from deskside.backend.tools.declaration import Tool

if TYPE_CHECKING:
    from deskside.backend.settings import Settings
    from deskside.backend.store.agents import AgentRow


def plan_for(
    agent: AgentRow,
    model_name: str,
    tools: Sequence[Tool],
    settings: Settings,
    at: datetime,
    first_step: int,
) -> Plan:
    """The plan of a run that `model_name` is asked in first, with what fields stand for at this time."""
    return Plan(
        models=list(dict.fromkeys([model_name, *agent.fallback_models])),
        tools=tools,
        instructions=instructions.rendered(agent.instructions, instructions.field_values(settings, at)),
        temperature=agent.temperature,
        max_output_tokens=agent.max_output_tokens,
        reasoning_effort=agent.reasoning_effort,
        output_schema=agent.output_schema,
        first_step=first_step,
        step_limit=agent.step_limit,
    )
