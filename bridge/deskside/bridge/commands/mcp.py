"""MCP servers. None is started, or reached, that the user did not say yes to in a dialog of the system."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from deskside.backend.app import App
from deskside.backend.mcp.proposal import Argument, Name, Proposal, Variable
from deskside.backend.mcp.rows import InsertedText, LogLine, McpPrompt, McpResource, McpServerRow
from deskside.bridge.desktop import check_link
from deskside.bridge.registry import Bridge, command

CAME_FROM = "Deskside's settings, or a command that was given to Deskside"

ToolName = Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Variables = Annotated[list[Variable], msgspec.Meta(max_length=50)]


class ProposeServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` is there to change a server. Of `command` and `url` the one that `transport` says is there."""

    name: Name
    transport: Literal["stdio", "http"]
    command: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    arguments: Annotated[list[Argument], msgspec.Meta(max_length=100)] = []
    url: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    environment: Variables = []
    headers: Variables = []
    id: int | None = None


class ProposedServer(msgspec.Struct, frozen=True):
    """None when the user said no."""

    server: McpServerRow | None


class ServerId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int


class ToolSwitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: ToolName
    is_enabled: bool


class ChangeServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    is_enabled: bool | None = None
    tools: list[ToolSwitch] = []


class SeenTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool and the hash of the definition that was shown."""

    name: ToolName
    hash: Hash


class AcceptTools(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    tools: Annotated[list[SeenTool], msgspec.Meta(min_length=1, max_length=1_000)]


class ReadResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    uri: Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]


class GetPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    arguments: dict[str, Annotated[str, msgspec.Meta(max_length=100_000)]] = {}


@command
async def servers(app: App) -> list[McpServerRow]:
    """All MCP servers with their tools, by name. Those that are switched on are started."""
    return await app.mcp.servers()


@command
async def propose(bridge: Bridge, params: ProposeServer) -> ProposedServer:
    """Ask the user, in a dialog of the system, about adding or changing a server. NeedsWindow without one."""
    proposal = Proposal(
        params.name,
        params.transport,
        params.command,
        params.arguments,
        params.url,
        params.environment,
        params.headers,
    )
    return ProposedServer(
        await bridge.app.mcp.propose(proposal, bridge.desktop.confirm, CAME_FROM, params.id)
    )


@command
async def change(app: App, params: ChangeServer) -> McpServerRow:
    """Switch a server, or some of its tools, on or off."""
    tools = {switch.name: switch.is_enabled for switch in params.tools}
    return await app.mcp.change(params.id, is_enabled=params.is_enabled, tools=tools)


@command
async def remove(app: App, params: ServerId) -> None:
    """End a server and forget it, with its tools and its secrets."""
    await app.mcp.remove(params.id)


@command
async def restart(app: App, params: ServerId) -> McpServerRow:
    """End a server and start it again."""
    return await app.mcp.restart(params.id)


@command
async def sign_in(bridge: Bridge, params: ServerId) -> McpServerRow:
    """Let the user sign in at a server, in their browser, once they agreed in a dialog of the system. It
    takes as long as they do, and goes on without the page. NeedsWindow without a window."""

    async def open_page(url: str) -> None:
        check_link(url)
        await bridge.desktop.open_link(url)

    return await bridge.app.mcp.sign_in(params.id, bridge.desktop.confirm, open_page)


@command
async def cancel_sign_in(app: App, params: ServerId) -> McpServerRow:
    """Give up a sign-in that waits for the user."""
    return await app.mcp.cancel_sign_in(params.id)


@command
async def sign_out(app: App, params: ServerId) -> McpServerRow:
    """Forget the tokens of a server, and connect to it without them."""
    return await app.mcp.sign_out(params.id)


@command
async def accept_tools(app: App, params: AcceptTools) -> McpServerRow:
    """Let models use tools as they were shown. Conflict when one was changed since."""
    return await app.mcp.accept_tools(params.id, {tool.name: tool.hash for tool in params.tools})


@command
async def logs(app: App, params: ServerId) -> list[LogLine]:
    """The last lines that a server wrote, oldest first. They are kept in memory only."""
    return await app.mcp.logs(params.id)


@command
async def resources(app: App, params: ServerId) -> list[McpResource]:
    """What a server has to read."""
    return await app.mcp.resources(params.id)


@command
async def read_resource(app: App, params: ReadResource) -> InsertedText:
    """A resource as text, for the message box."""
    return await app.mcp.read_resource(params.id, params.uri)


@command
async def prompts(app: App, params: ServerId) -> list[McpPrompt]:
    """The prompts that a server has."""
    return await app.mcp.prompts(params.id)


@command
async def get_prompt(app: App, params: GetPrompt) -> InsertedText:
    """A prompt with its blanks filled in, for the message box."""
    return await app.mcp.get_prompt(params.id, params.name, params.arguments)
