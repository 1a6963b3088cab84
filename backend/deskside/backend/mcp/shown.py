"""What a server says, for the eyes of the user: nothing in it is invisible, and nothing is too long."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from deskside.backend.agent.invisible import without_invisible
from deskside.backend.mcp.rows import (
    InsertedText,
    McpPrompt,
    McpResource,
    McpToolRow,
    ShownDefinition,
    ToolDefinition,
)
from deskside.backend.store.mcp_servers import StoredTool
from deskside.backend.visible import made_visible

Listed = TypeVar("Listed", McpResource, McpPrompt)

# Of a resource or a prompt that goes into the message box.
LONGEST_INSERTED = 100_000


def tool_row(tool: StoredTool) -> McpToolRow:
    definition = tool.accepted or tool.offered
    assert definition is not None
    return McpToolRow(
        name=tool.name,
        remote_name=made_visible(tool.remote_name),
        is_enabled=tool.is_enabled,
        is_offered=tool.is_offered,
        approval=tool.approval,
        effect=definition.effect,
        accepted=_definition(tool.accepted),
        offered=_definition(tool.offered),
    )


def _definition(definition: ToolDefinition | None) -> ShownDefinition | None:
    if definition is None:
        return None
    details: dict[str, Any] = {"parameters": definition.parameters}
    if definition.output is not None:
        details["result"] = definition.output
    if definition.annotations:
        details["annotations"] = definition.annotations
    return ShownDefinition(
        definition.sha256,
        made_visible(definition.title),
        made_visible(definition.description, keeps_lines=True),
        made_visible(json.dumps(details, indent=2, ensure_ascii=False), keeps_lines=True),
    )


def listed(each: Listed) -> Listed:
    """A resource or a prompt with every text in it made visible; what the server is asked by stays."""
    shown = {
        name: made_visible(value) if isinstance(value, str) and name != "uri" else value
        for name, value in msgspec.structs.asdict(each).items()
        if not (isinstance(each, McpPrompt) and name == "name")
    }
    return msgspec.structs.replace(each, **shown)


def inserted(text: str) -> InsertedText:
    """A resource or a prompt as it goes into the message box."""
    plain = without_invisible(text)
    hidden = len(text) - len(plain)
    if len(plain) > LONGEST_INSERTED:
        plain = f"{plain[:LONGEST_INSERTED]}\n… cut after {LONGEST_INSERTED:,} of {len(plain):,} characters."
    return InsertedText(plain, hidden)
