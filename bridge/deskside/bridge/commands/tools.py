"""The tools that agents can call, and those that the user writes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from deskside.backend.app import App
from deskside.backend.store import tools as rows
from deskside.backend.store.tools import Capability, NewTool, ToolChanges, ToolRow
from deskside.backend.tools.declaration import Approval
from deskside.backend.tools.sandbox import SOURCE_LIMIT
from deskside.backend.tools.signature import ToolDraft, draft
from deskside.backend.tools.user_tools import TryOut, UnfinishedTool
from deskside.bridge.registry import command

AnyToolName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# What all providers take, and what can be read aloud.
ToolName = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Description = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
Source = Annotated[str, msgspec.Meta(min_length=1, max_length=SOURCE_LIMIT)]
Category = Annotated[str, msgspec.Meta(max_length=60)]
Capabilities = Annotated[list[Capability], msgspec.Meta(max_length=3)]
ToolRows = list[ToolRow]  # below, `list` is the command


class ToolId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: AnyToolName


class ChangeTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is present is changed."""

    name: AnyToolName
    approval: Approval | msgspec.UnsetType = msgspec.UNSET
    is_enabled: bool | msgspec.UnsetType = msgspec.UNSET


class CreateTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`parameters` is a JSON Schema of an object."""

    name: ToolName
    description: Description
    parameters: dict[str, Any]
    source: Source
    category: Category = ""
    capabilities: Capabilities = []
    approval: Approval = "ask"
    is_enabled: bool = True


class UpdateTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` is the tool's name until now, `tool` all that it is from now on."""

    name: AnyToolName
    tool: CreateTool


class DraftParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Annotated[str, msgspec.Meta(max_length=SOURCE_LIMIT)]


class TryTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Source
    parameters: dict[str, Any]
    arguments: dict[str, Any]
    capabilities: Capabilities = []


class SaveToolDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tool` None: nothing is being written."""

    tool: UnfinishedTool | None


@command
async def saved_draft(app: App) -> UnfinishedTool | None:
    """The tool that was being written when the page was last there."""
    return await app.user_tools.unfinished()


@command
async def save_draft(app: App, params: SaveToolDraft) -> None:
    """Keep what is written of a tool but not saved."""
    await app.user_tools.keep_unfinished(params.tool)


@command
async def list(app: App) -> ToolRows:
    """All tools of all kinds, by name."""
    return await app.store.read(rows.listed)


@command
async def change(app: App, params: ChangeTool) -> ToolRow:
    """Change when a tool asks the user, and whether it is on. NotFound if it was deleted meanwhile."""
    return await app.user_tools.change(params.name, ToolChanges(params.approval, params.is_enabled))


@command
async def create(app: App, params: CreateTool) -> ToolRow:
    """Keep a tool that the user wrote. Conflict where the name is taken."""
    return await app.user_tools.create(_new(params))


@command
async def update(app: App, params: UpdateTool) -> ToolRow:
    """Replace a tool that the user wrote; agents that use it follow its new name."""
    return await app.user_tools.update(params.name, _new(params.tool))


@command
async def delete(app: App, params: ToolId) -> None:
    """Forget a tool that the user wrote. Creating it again undoes that: agents keep its name."""
    await app.user_tools.delete(params.name)


@command
async def draft_parameters(app: App, params: DraftParameters) -> ToolDraft:
    """Read the name, description and parameters off a tool's source, without running it."""
    return draft(params.source)


@command
async def try_out(app: App, params: TryTool) -> TryOut:
    """Run a tool's source once with these arguments, in the sandbox, without keeping it."""
    return await app.user_tools.try_out(
        params.source, params.parameters, params.arguments, params.capabilities
    )


def _new(params: CreateTool) -> NewTool:
    return msgspec.convert(msgspec.structs.asdict(params), NewTool)
