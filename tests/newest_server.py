"""An MCP server of the newest protocol, made with the official SDK: `python newest_server.py`."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

server = MCPServer("newest")


class Count(BaseModel):
    n: int


def how_many() -> Elicit[Count]:
    return Elicit("How many?", Count)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def ask(count: Annotated[Count, Resolve(how_many)]) -> str:
    """Ask the user how many."""
    return f"They want {count.n}."


@server.tool()
async def grow(context: Context) -> str:
    """Get another tool."""
    server.add_tool(add, name="another")
    await context.notify_tools_changed()
    return "grown"


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "Buy plums."


@server.prompt()
def greet(who: str) -> str:
    """Say hello."""
    return f"Say hello to {who}."


if __name__ == "__main__":
    server.run()
