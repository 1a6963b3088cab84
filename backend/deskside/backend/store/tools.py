"""The tools that can be called: those built in, and later the user's own and those of MCP servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from deskside.backend.agent.events import ToolSpec
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms

if TYPE_CHECKING:
    from deskside.backend.tools.declaration import Approval


class ToolChoice(msgspec.Struct, frozen=True):
    """What the user chose about a tool."""

    approval: Approval
    is_enabled: bool


def choices(db: Db) -> dict[str, ToolChoice]:
    """What the user chose about each tool, by its name."""
    rows = db.sql.execute("select name, approval, is_enabled from tool")
    return {name: ToolChoice(approval, bool(is_enabled)) for name, approval, is_enabled in rows}


def sync_built_in(db: Db, specs: Sequence[ToolSpec]) -> None:
    """Make the built-in tools' rows say what this program has. What the user chose about one (whether it
    is enabled, when to ask) stays."""
    at_ms = now_ms()
    for spec in specs:
        tool = db.Tool.get(name=spec.name)
        columns = {"description": spec.description, "parameters": as_json(spec.parameters)}
        if tool is None:
            db.Tool(
                name=spec.name,
                kind="built_in",
                approval="never",
                is_enabled=True,
                created_ms=at_ms,
                updated_ms=at_ms,
                **columns,
            )
        elif any(getattr(tool, name) != value for name, value in columns.items()):
            tool.set(**columns, updated_ms=at_ms)
    names = {spec.name for spec in specs}
    for tool in list(db.Tool.select(lambda tool: tool.kind == "built_in")):
        if tool.name not in names:
            tool.delete()
