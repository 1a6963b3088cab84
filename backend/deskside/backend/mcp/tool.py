"""A tool of a server, as the agent's loop takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from deskside.backend.agent.events import Effect, Origin, ToolSpec
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.tools.declaration import (
    Approval,
    OutsideFailure,
    Preview,
    ToolOutput,
    bad_arguments,
)

if TYPE_CHECKING:
    from deskside.backend.mcp.servers import McpServers
    from deskside.backend.store.mcp_servers import StoredServer, StoredTool
    from deskside.backend.tools.context import ToolContext

ORIGIN: Origin = "mcp"
# Without news from the server. News of progress and the user's time for a question prolong it.
CALL_S = 120.0


class ToolFailed(OutsideFailure):
    """The server says that the call failed."""

    def __init__(self, server: str, text: str) -> None:
        super().__init__(text, ORIGIN, server)


@dataclass(frozen=True)
class McpTool:
    """A tool that the user accepted. `sha256` is of the definition that the model is told: the call is
    refused once the server has another one."""

    spec: ToolSpec
    approval: Approval
    effect: Effect
    server: StoredServer
    remote_name: str
    sha256: str
    servers: McpServers
    time_limit_s: float = CALL_S
    is_repeatable: bool = False

    @classmethod
    def of(cls, servers: McpServers, server: StoredServer, tool: StoredTool) -> McpTool:
        definition = tool.accepted
        assert definition is not None
        spec = ToolSpec(
            tool.name, without_invisible(definition.description), _for_a_model(definition.parameters)
        )
        return cls(
            spec, tool.approval, definition.effect, server, tool.remote_name, definition.sha256, servers
        )

    def read_arguments(self, text: str) -> dict[str, Any]:
        """The arguments as an object. What is in it the server checks: its schema could make us work for
        hours. Raises BadArguments."""
        try:
            arguments = msgspec.json.decode(text.strip() or "{}", type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise bad_arguments(self.spec, str(error)) from error
        required = self.spec.parameters.get("required")
        missing = [name for name in required if name not in arguments] if isinstance(required, list) else []
        if missing:
            raise bad_arguments(self.spec, f"Missing: {', '.join(map(str, missing))}")
        return arguments

    async def call(self, context: ToolContext, arguments: Any) -> ToolOutput:
        """Ask the server. Raises ToolFailed with what it says, McpServerError where it does not run, and
        TimeoutError."""
        text = await self.servers.call(self.spec.name, self.sha256, arguments, context.elicit)
        return ToolOutput(text, ORIGIN, self.server.name)

    async def preview(self, context: ToolContext, arguments: Any) -> Preview:
        if self.server.transport == "stdio":
            where = "a program on this computer"
        else:
            where = urlsplit(self.server.url).hostname or self.server.url
        return Preview(f"Sends this to the MCP server “{self.server.name}” ({where}).")


def _for_a_model(value: Any) -> Any:
    """A schema without characters that the user could not see, and without `$schema`, which some providers
    refuse."""
    if isinstance(value, str):
        return without_invisible(value)
    if isinstance(value, list):
        return [_for_a_model(each) for each in value]
    if isinstance(value, dict):
        return {
            without_invisible(name): _for_a_model(each) for name, each in value.items() if name != "$schema"
        }
    return value
