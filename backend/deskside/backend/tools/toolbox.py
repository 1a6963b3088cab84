"""Which tools an agent is offered in a run.

Tools come from several sources: built in, written by the user, MCP servers, and one for each agent that may
be asked. What the user chose about a tool (whether it is on, when to ask) is on its row and wins over its
declaration.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from deskside.backend.agent.events import Effect, ToolSpec
from deskside.backend.store import agents
from deskside.backend.store.agents import AgentRow
from deskside.backend.store.tools import ToolChoice
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import Approval, Preview, Tool, ToolOutput, bad_arguments

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

Source = Callable[[], Awaitable[Sequence[Tool]]]
Choices = Callable[[], Awaitable[Mapping[str, ToolChoice]]]
Delegate = Callable[[ToolContext, AgentRow, str], Awaitable[ToolOutput]]

# An agent that asks one that asks one: deeper, nobody follows what happens, and the cost multiplies.
DEEPEST = 3
ASK = "ask_"


@dataclass(frozen=True)
class OfferedTool:
    """A tool with what the user chose about it."""

    tool: Tool
    approval: Approval

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    @property
    def effect(self) -> Effect:
        return self.tool.effect

    @property
    def time_limit_s(self) -> float:
        return self.tool.time_limit_s

    @property
    def is_repeatable(self) -> bool:
        return self.tool.is_repeatable

    def read_arguments(self, text: str) -> Any:
        return self.tool.read_arguments(text)

    async def call(self, context: ToolContext, arguments: Any) -> ToolOutput:
        return await self.tool.call(context, arguments)

    async def preview(self, context: ToolContext, arguments: Any) -> Preview:
        return await self.tool.preview(context, arguments)


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


@dataclass(frozen=True)
class AgentTool:
    """Another agent, asked as a tool. It needs no approval: what the agent does is approved call by call."""

    agent: AgentRow
    delegate: Delegate
    approval: Approval = "never"
    effect: Effect = "read"
    time_limit_s: float = float("inf")  # its own limits end it
    is_repeatable: bool = False

    @property
    def spec(self) -> ToolSpec:
        label = self.agent.label or self.agent.name
        return ToolSpec(
            agent_tool_name(self.agent.name),
            f"Ask the agent {label!r} to do a task, and get its answer. It knows nothing of this "
            "conversation: say in the task all that it needs to know.",
            {
                "type": "object",
                "properties": {"task": {"type": "string", "minLength": 1, "maxLength": 100_000}},
                "required": ["task"],
                "additionalProperties": False,
            },
        )

    def read_arguments(self, text: str) -> Task:
        try:
            return msgspec.json.decode(text, type=Task)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise bad_arguments(self.spec, str(error)) from error

    async def call(self, context: ToolContext, arguments: Task) -> ToolOutput:
        return await self.delegate(context, self.agent, arguments.task)

    async def preview(self, context: ToolContext, arguments: Task) -> Preview:
        return Preview("")


def agent_tool_name(agent_name: str) -> str:
    """What a model calls the agent: providers take letters, digits, `_` and `-`, at most 64 of them."""
    return ASK + re.sub(r"[^a-zA-Z0-9_-]", "_", agent_name)


class Toolbox:
    """All tools of the program. `sources`, and `choices` for what the user chose about each, are asked anew
    for each run; each keeps its own list."""

    def __init__(
        self,
        store: Store,
        built_in: Sequence[Tool],
        sources: Sequence[Source],
        choices: Choices,
        delegate: Delegate,
    ) -> None:
        self._store = store
        self._built_in = built_in
        self._sources = sources
        self._choices = choices
        self._delegate = delegate

    async def tools_for(self, agent: AgentRow, depth: int) -> list[Tool]:
        """What the agent may ask for, at `depth` below the agent that the user talks to."""
        choices = await self._choices()
        found: list[Tool] = list(self._built_in)
        for source in self._sources:
            found += await source()
        offered: list[Tool] = []
        for tool in found:
            choice = choices.get(tool.spec.name)
            if choice is not None and not choice.is_enabled:
                continue
            if agent.tools is None or tool.spec.name in agent.tools:
                offered.append(OfferedTool(tool, choice.approval if choice else tool.approval))
        return offered + await self._agents(agent, depth)

    async def _agents(self, agent: AgentRow, depth: int) -> list[Tool]:
        if not agent.subagents or depth >= DEEPEST:
            return []
        by_name = {row.name: row for row in await self._store.read(agents.all) if row.is_active}
        return [AgentTool(by_name[name], self._delegate) for name in agent.subagents if name in by_name]
