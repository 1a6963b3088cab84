"""Agents: who answers, with which instructions, model, tools and limits."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from loguru import logger

from deskside.backend.agent.instructions import field_values, rendered, unknown_fields
from deskside.backend.agent.limits import AgentLimits, day_start_ms, month_start_ms
from deskside.backend.agent.output_schema import check_output_schema
from deskside.backend.app import App
from deskside.backend.errors import Conflict, NotFound
from deskside.backend.events import AgentsChanged
from deskside.backend.exchange import agent_file
from deskside.backend.store import agents, tool_grants, usage
from deskside.backend.store.agents import (
    Agent,
    AgentModel,
    AgentName,
    AgentRow,
    Effort,
    FallbackModels,
    Icon,
    Instructions,
    Label,
    OutputTokens,
    StepLimit,
    Subagents,
    Temperature,
    ToolNames,
)
from deskside.backend.store.connection import Db
from deskside.backend.store.usage import Spent
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import Bridge, command

# Below, `list` is a command.
AgentRows = list[AgentRow]
Sentences = list[str]
FieldNames = list[str]


class AgentId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId


class AllowedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: RowId
    tool: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NamedAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: AgentName


class CreateAgent(Agent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new agent; what is left out is as in a new one."""


class ChangeAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is present is changed."""

    id: RowId
    name: AgentName | msgspec.UnsetType = msgspec.UNSET
    label: Label | msgspec.UnsetType = msgspec.UNSET
    icon: Icon | msgspec.UnsetType = msgspec.UNSET
    instructions: Instructions | msgspec.UnsetType = msgspec.UNSET
    model: AgentModel | msgspec.UnsetType | None = msgspec.UNSET
    fallback_models: FallbackModels | msgspec.UnsetType = msgspec.UNSET
    temperature: Temperature | msgspec.UnsetType | None = msgspec.UNSET
    max_output_tokens: OutputTokens | msgspec.UnsetType | None = msgspec.UNSET
    reasoning_effort: Effort | msgspec.UnsetType | None = msgspec.UNSET
    output_schema: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    step_limit: StepLimit | msgspec.UnsetType = msgspec.UNSET
    tools: ToolNames | msgspec.UnsetType | None = msgspec.UNSET
    subagents: Subagents | msgspec.UnsetType = msgspec.UNSET
    limits: AgentLimits | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET


class ExportedAgent(msgspec.Struct, frozen=True):
    """The text of an agent's file."""

    json: str


class ImportAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` None is the one in the file. `on_conflict` says what to do where the name is taken: give the new
    one another name, put it in the place of the old one, or refuse with a Conflict."""

    json: Annotated[str, msgspec.Meta(max_length=agent_file.LARGEST_BYTES)]
    name: AgentName | None = None
    on_conflict: Literal["rename", "replace", "refuse"] = "refuse"


class ImportedAgent(msgspec.Struct, frozen=True):
    """`notes` are sentences that the user should read: what is missing here, what was taken out."""

    agent: AgentRow
    notes: Sentences


class SavedFile(msgspec.Struct, frozen=True):
    """None when the user closed the dialog without choosing."""

    path: str | None


class AgentToImport(msgspec.Struct, frozen=True):
    """A file's text, what it calls the agent, and a name that is free: the same one where it is."""

    json: str
    name: str
    free_name: str


class OpenedFile(msgspec.Struct, frozen=True):
    """None when the user closed the dialog without choosing."""

    found: AgentToImport | None


class PreviewInstructions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    instructions: Instructions


class PreviewedInstructions(msgspec.Struct, frozen=True):
    """`text` is what the model would get now. `unknown` are names in {{ }} that stand for nothing."""

    text: str
    unknown: FieldNames


class SpentSoFar(msgspec.Struct, frozen=True):
    """Since the last midnight, and since the first of the month."""

    day: Spent
    month: Spent


@command
async def list(app: App) -> AgentRows:
    """All agents: the default one first, the others by label."""
    return await app.store.read(agents.all)


@command
async def create(app: App, params: CreateAgent) -> AgentRow:
    """Add an agent. Conflict where the name is taken."""
    if params.output_schema is not None:
        await asyncio.to_thread(check_output_schema, params.output_schema)
    return _told(app, await app.store.write(agents.create, params))


@command
async def change(app: App, params: ChangeAgent) -> AgentRow:
    """Change some of an agent. Conflict where a new name is taken; the default agent keeps its name and stays
    active."""
    if params.output_schema not in (msgspec.UNSET, None):
        await asyncio.to_thread(check_output_schema, params.output_schema)
    changes = {
        name: value
        for name, value in msgspec.structs.asdict(params).items()
        if name != "id" and value is not msgspec.UNSET
    }
    return _told(app, await app.store.write(agents.change, params.id, changes))


@command
async def duplicate(app: App, params: AgentId) -> AgentRow:
    """Add a copy under a name that is free."""
    return _told(app, await app.store.write(agents.duplicate, params.id))


@command
async def delete(app: App, params: AgentId) -> None:
    """Take an agent off the list. The default agent answers in its conversations until `restore`."""
    _told(app, await app.store.write(agents.delete, params.id))


@command
async def restore(app: App, params: AgentId) -> AgentRow:
    """Undo `delete`. Conflict where another agent has its name by now."""
    return _told(app, await app.store.write(agents.restore, params.id))


@command
async def allowed_tools(app: App, params: AgentId) -> ToolNames:
    """The tools that the user lets an agent use without asking, by name."""
    return await app.store.read(tool_grants.of_agent, params.id)


@command
async def disallow_tool(app: App, params: AllowedTool) -> None:
    """Take such a permission back: from its next call on the tool is asked about, also in a run under
    way."""
    await app.store.write(tool_grants.remove, params.id, params.tool)


@command
async def export(app: App, params: NamedAgent) -> ExportedAgent:
    """An agent as the text of a file, without ids and keys."""
    return ExportedAgent(agent_file.exported(await app.store.read(agents.by_name, params.name)))


@command
async def export_file(bridge: Bridge, params: NamedAgent) -> SavedFile:
    """Let the user choose where to write an agent's file. NeedsWindow without a window."""
    agent = await bridge.app.store.read(agents.by_name, params.name)
    path = await bridge.desktop.save_file(
        "Export the agent", f"{agent.name}.desksideagent", agent_file.exported(agent)
    )
    return SavedFile(path)


@command
async def open_file(bridge: Bridge) -> OpenedFile:
    """Let the user choose an agent's file, and give its text for `import_`. NeedsWindow without a window,
    InvalidRequest for a file that is not an agent's."""
    path = await bridge.desktop.choose_file("Import an agent", ["json", "desksideagent"])
    if path is None:
        return OpenedFile(None)
    text = await asyncio.to_thread(agent_file.read_text, Path(path))
    name = (await asyncio.to_thread(agent_file.read, text)).agent.name
    return OpenedFile(AgentToImport(text, name, await bridge.app.store.read(agents.free_name, name)))


@command
async def import_(app: App, params: ImportAgent) -> ImportedAgent:
    """Add an agent from the text of its file. It is read strictly; tools and sub-agents that are not here
    are kept by name and told."""
    found = await asyncio.to_thread(agent_file.read, params.json)
    agent = found.agent if params.name is None else msgspec.structs.replace(found.agent, name=params.name)
    row, notes = await app.store.write(_import, agent, params.on_conflict)
    logger.info("agent {} imported", row.name)
    return ImportedAgent(_told(app, row), [*found.notes, *notes])


@command
async def preview_instructions(app: App, params: PreviewInstructions) -> PreviewedInstructions:
    """Instructions as a model would get them now."""
    values = field_values(app.settings.current, datetime.now())
    return PreviewedInstructions(
        rendered(params.instructions, values), unknown_fields(params.instructions, values)
    )


@command
async def spent(app: App) -> SpentSoFar:
    """What all agents together used today and this month. Beside the limits in the settings."""
    now = datetime.now()
    return SpentSoFar(
        await app.store.read(usage.spent, None, day_start_ms(now)),
        await app.store.read(usage.spent, None, month_start_ms(now)),
    )


def _told(app: App, row: AgentRow) -> AgentRow:
    app.events.publish(AgentsChanged())
    return row


def _import(db: Db, agent: Agent, on_conflict: str) -> tuple[AgentRow, Sentences]:
    try:
        before = agents.by_name(db, agent.name)
    except NotFound:
        row = agents.create(db, agent)
    else:
        if on_conflict == "refuse":
            raise Conflict(
                f"There is already an agent named {agent.name!r}.",
                hint="Import it under another name, or put it in the place of the old one.",
            )
        if on_conflict == "replace":
            row = agents.replace(db, before.id, agent)
        else:
            free = agents.free_name(db, agent.name)
            row = agents.create(db, msgspec.structs.replace(agent, name=free))
    tools, others = agents.unknown_names(db, row)
    return row, [*_missing("tool", tools), *_missing("sub-agent", others)]


def _missing(kind: str, names: Sentences) -> Sentences:
    """A sentence about what is named and not here; it names at most eight."""
    if not names:
        return []
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    if len(names) == 1:
        return [f"The {kind} {listed} is not here. The agent works without it until it is."]
    return [f"The {kind}s {listed} are not here. The agent works without them until they are."]
