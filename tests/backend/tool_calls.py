"""Calling a tool as a run does: its arguments as JSON text, its context the real program's."""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.app import App
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import FunctionTool, Preview, ToolOutput


def context_of(app: App, conversation_id: int = 1, **changes: Any) -> ToolContext:
    """The context of a call in a conversation's first reply."""
    no_sandbox: Any = None  # none of these tools runs code
    no_web: Any = None  # or reaches the web
    services = ToolServices(app.store, app.settings, app.paths, no_sandbox, no_web, app.events, app.files)
    found: dict[str, Any] = {"message_id": 2, "run_id": 1, "agent_id": None, "call_id": "call-1"} | changes
    return ToolContext(services, conversation_id, **found)


async def called(tool: FunctionTool, context: ToolContext, /, **arguments: Any) -> ToolOutput:
    return await tool.call(context, tool.read_arguments(msgspec.json.encode(arguments).decode()))


async def previewed(tool: FunctionTool, context: ToolContext, /, **arguments: Any) -> Preview:
    return await tool.preview(context, tool.read_arguments(msgspec.json.encode(arguments).decode()))
