"""MCP servers for tests: the official "everything" server, and the hostile one of our own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import frontend
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import ToolsChanged
from deskside.backend.keys import Keys
from deskside.backend.mcp.proposal import Proposal
from deskside.backend.mcp.rows import McpServerRow, McpToolRow
from deskside.backend.mcp.servers import McpServers
from deskside.backend.mcp.tool import McpTool
from deskside.backend.paths import Paths
from deskside.backend.store.database import Store, open_store
from deskside.backend.tools.context import ToolContext

HOSTILE = Path(__file__).with_name("hostile_server.py")
EVERYTHING = frontend.PAGE / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
WAIT_S = 30.0
Asks = Callable[..., Awaitable[Any]]
NO_KEYCHAIN = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}


def everything(*arguments: str) -> list[str]:
    """The command of the official server, whose package comes with those of the page."""
    frontend.ensure_packages()
    return [frontend.node(), str(EVERYTHING), *arguments]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def everything_over_http() -> Iterator[str]:
    """The official server, listening. Gives its address."""
    port = free_port()
    process = subprocess.Popen(
        everything("streamableHttp"),
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        try:
            while "listening" not in (line := process.stderr.readline()):
                assert line, "the server ended while it started"
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def program(name: str, command: Sequence[str], **more: Any) -> Proposal:
    return Proposal(name, "stdio", command[0], command[1:], **more)


def hostile(mode: str, *arguments: object, name: str = "hostile", **more: Any) -> Proposal:
    return program(name, [sys.executable, str(HOSTILE), mode, *map(str, arguments)], **more)


async def say_yes(title: str, text: str, accept_label: str) -> bool:
    return True


async def say_no(title: str, text: str, accept_label: str) -> bool:
    return False


@dataclass
class Desk:
    """The servers of one data folder, and the store below them."""

    servers: McpServers
    store: Store
    keys: Keys
    events: EventBuffer

    async def add(
        self, proposal: Proposal, *, accept: bool = True, until: Callable[[McpServerRow], bool] | None = None
    ) -> McpServerRow:
        """Add a server, wait until it is ready (or `until`), and accept its tools."""
        row = await self.servers.propose(proposal, say_yes, "a test")
        assert row is not None
        row = await self.until(row.id, until or (lambda row: row.state == "ready"))
        return await self.accept(row) if accept else row

    async def accept(self, row: McpServerRow) -> McpServerRow:
        seen = {tool.name: tool.offered.hash for tool in row.tools if tool.offered is not None}
        return await self.servers.accept_tools(row.id, seen) if seen else row

    async def row(self, server_id: int) -> McpServerRow:
        return next(row for row in await self.servers.servers() if row.id == server_id)

    async def until(self, server_id: int, holds: Callable[[McpServerRow], bool]) -> McpServerRow:
        """The server's row once it is as wanted: looked at again with each event."""
        async with asyncio.timeout(WAIT_S):
            while True:
                number = self.events.last
                row = await self.row(server_id)
                if holds(row):
                    return row
                await self.events.wait_beyond(number)

    async def tools(self) -> dict[str, McpTool]:
        return {tool.spec.name: tool for tool in await self.servers.tools()}

    async def call(
        self, name: str, arguments: dict[str, Any] | None = None, elicit: Asks | None = None
    ) -> str:
        tool = (await self.tools())[name]
        return (await tool.call(context(elicit), arguments or {})).text

    async def log(self, server_id: int) -> list[str]:
        return [line.text for line in await self.servers.logs(server_id)]


def context(elicit: Asks | None = None) -> ToolContext:
    return ToolContext(cast(Any, None), 1, 1, 1, None, "call", elicit=elicit)


def tool(row: McpServerRow, name: str = "hostile__add") -> McpToolRow:
    return next(each for each in row.tools if each.name == name)


@asynccontextmanager
async def open_desk(paths: Paths, environ: dict[str, str] | None = None, **more: Any) -> AsyncIterator[Desk]:
    """Servers on a real store. Without a keychain, unless `environ` brings one."""
    async with open_store(paths) as store:
        events = EventBuffer()
        keys = Keys(store, events, paths, NO_KEYCHAIN if environ is None else environ)
        servers = McpServers(store, events, keys, lambda: events.publish(ToolsChanged()), **more)
        try:
            yield Desk(servers, store, keys, events)
        finally:
            await servers.close()
