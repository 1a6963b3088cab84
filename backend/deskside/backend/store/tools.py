"""The tools that can be called: those built in, the user's own and those of MCP servers.

A name belongs to one tool, whatever its kind. What the user allowed an agent for good (`tool_grant`) was
allowed for the code as it was: it ends when the code, or what it may reach, changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import Effect
from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms
from deskside.backend.tools.declaration import Approval, Tool

Kind = Literal["built_in", "user", "mcp"]
Capability = Literal["files", "web", "time"]


class ToolChoice(msgspec.Struct, frozen=True):
    """What the user chose about a tool."""

    approval: Approval
    is_enabled: bool


def choices(db: Db) -> dict[str, ToolChoice]:
    """What the user chose about each tool, by its name."""
    rows = db.sql.execute("select name, approval, is_enabled from tool")
    return {name: ToolChoice(approval, bool(is_enabled)) for name, approval, is_enabled in rows}


class ToolRow(msgspec.Struct, frozen=True):
    """A tool as it is listed. `source` is the Python text of a user's own tool, `server` the name of the MCP
    server it comes from. One that is not `is_ready` is of no use to a model, on or off: the user has not
    accepted what its server offers now, or the server offers it no more."""

    name: str
    kind: Kind
    description: str
    parameters: dict[str, Any]
    approval: Approval
    effect: Effect
    is_enabled: bool
    category: str
    capabilities: list[Capability]
    source: str | None
    server: str | None
    is_ready: bool


class NewTool(msgspec.Struct, frozen=True):
    """A tool of the user's, as they write it."""

    name: str
    description: str
    parameters: dict[str, Any]
    source: str
    category: str
    capabilities: list[Capability]
    approval: Approval
    is_enabled: bool


class ToolChanges(msgspec.Struct, frozen=True):
    """What may be changed about a tool of any kind; only what is set is."""

    approval: Approval | msgspec.UnsetType = msgspec.UNSET
    is_enabled: bool | msgspec.UnsetType = msgspec.UNSET


LISTED = """select tool.name, kind, description, parameters, approval, effect, tool.is_enabled, category,
    capabilities, source, mcp_server.name,
    kind <> 'mcp' or accepted is not null and offered is null and is_offered
  from tool left join mcp_server on mcp_server.id = tool.mcp_server"""


def listed(db: Db, kind: Kind | None = None) -> list[ToolRow]:
    """All tools, or those of one kind, by name."""
    found = db.sql.execute(f"{LISTED} where ?1 is null or kind = ?1 order by tool.name", (kind,))
    return [_row(columns) for columns in found]


def get(db: Db, name: str) -> ToolRow:
    """One tool. Raises NotFound."""
    columns = db.sql.execute(f"{LISTED} where tool.name = ?", (name,)).fetchone()
    if columns is None:
        raise _no_tool(name)
    return _row(columns)


def change(db: Db, name: str, changes: ToolChanges) -> ToolRow:
    """Change when a tool asks and whether it is on. Raises NotFound."""
    _entity(db, name).set(**msgspec.to_builtins(changes), updated_ms=now_ms())
    return get(db, name)


def create(db: Db, tool: NewTool, effect: Effect) -> ToolRow:
    """Keep a tool that the user wrote. Raises Conflict where its name is taken."""
    _check_free(db, tool.name)
    at_ms = now_ms()
    db.Tool(kind="user", created_ms=at_ms, updated_ms=at_ms, **_columns(tool, effect))
    return get(db, tool.name)


def update(db: Db, name: str, tool: NewTool, effect: Effect) -> ToolRow:
    """Replace a tool that the user wrote; what refers to its name follows a new one.

    Raises NotFound, and Conflict where the new name is taken.
    """
    row = _entity(db, name, "user")
    columns = _columns(tool, effect)
    if tool.name != name:
        _check_free(db, tool.name)
        rename(db, name, tool.name)
    if (row.source, row.capabilities) != (columns["source"], columns["capabilities"]):
        _end_grants(db, tool.name)
    row.set(**columns, updated_ms=now_ms())
    return get(db, tool.name)


def delete(db: Db, name: str) -> None:
    """Forget a tool that the user wrote. Agents keep its name, in case it comes back. Raises NotFound."""
    _entity(db, name, "user").delete()
    _end_grants(db, name)


def rename(db: Db, old: str, new: str) -> None:
    """Give a tool, of any kind, another name, and to all that refer to it. Raises NotFound."""
    _entity(db, old).name = new
    db.flush()
    for agent in list(db.Agent.select(lambda agent: agent.tools is not None)):
        names = msgspec.json.decode(agent.tools)
        if old in names:
            agent.tools = as_json([new if name == old else name for name in names])
    db.sql.execute("update or replace tool_grant set tool = ? where tool = ?", (new, old))


def sync_built_in(db: Db, tools: Sequence[Tool]) -> None:
    """Make the built-in tools' rows say what this program has. What the user chose about one (whether it
    is enabled, when to ask) stays; a tool of theirs that has the name of a new one gets another."""
    at_ms = now_ms()
    for tool in tools:
        spec = tool.spec
        row = db.Tool.get(name=spec.name)
        columns = {
            "description": spec.description,
            "parameters": as_json(spec.parameters),
            "effect": tool.effect,
        }
        if row is not None and row.kind != "built_in":
            rename(db, spec.name, _free_name(db, spec.name))
            row = None
        if row is None:
            db.Tool(
                name=spec.name,
                kind="built_in",
                approval=tool.approval,
                is_enabled=True,
                created_ms=at_ms,
                updated_ms=at_ms,
                **columns,
            )
        elif any(getattr(row, name) != value for name, value in columns.items()):
            row.set(**columns, updated_ms=at_ms)
    names = {tool.spec.name for tool in tools}
    for row in list(db.Tool.select(lambda row: row.kind == "built_in")):
        if row.name not in names:
            row.delete()


def _columns(tool: NewTool, effect: Effect) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": as_json(tool.parameters),
        "source": tool.source,
        "category": tool.category,
        "capabilities": as_json(sorted(set(tool.capabilities))),
        "approval": tool.approval,
        "effect": effect,
        "is_enabled": tool.is_enabled,
    }


def _row(columns: Sequence[Any]) -> ToolRow:
    (
        name,
        kind,
        description,
        parameters,
        approval,
        effect,
        is_enabled,
        category,
        capabilities,
        source,
        server,
        is_ready,
    ) = columns
    return ToolRow(
        name,
        kind,
        description,
        msgspec.json.decode(parameters),
        approval,
        effect,
        bool(is_enabled),
        category,
        msgspec.json.decode(capabilities),
        source,
        server,
        bool(is_ready),
    )


def _entity(db: Db, name: str, kind: Kind | None = None) -> Any:
    row = db.Tool.get(name=name)
    if row is None or (kind is not None and row.kind != kind):
        raise _no_tool(name)
    return row


def _no_tool(name: str) -> NotFound:
    return NotFound(f"There is no tool named {name!r}.", hint="It may have been deleted meanwhile.")


def _check_free(db: Db, name: str) -> None:
    if db.Tool.get(name=name) is not None:
        raise Conflict(f"There is already a tool named {name!r}.", hint="Give this one another name.")


def _free_name(db: Db, name: str) -> str:
    number = 2
    while db.Tool.get(name=f"{name}_{number}") is not None:
        number += 1
    return f"{name}_{number}"


def _end_grants(db: Db, name: str) -> None:
    db.sql.execute("delete from tool_grant where tool = ?", (name,))
