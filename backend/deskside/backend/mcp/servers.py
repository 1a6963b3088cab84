"""The MCP servers of this installation: which there are, how they do, and what they offer.

Invariants
  - No program is started, and no address reached, that the user did not say yes to in a dialog that showed it
    (`propose`, and `sign_in` for where users sign in); a changed command is asked about again.
  - A tool reaches a model only as the user accepted it. `tools` gives what was accepted; `call` looks once
    more whether the server still has exactly that.
  - Secret values are in the keychain, or the encrypted file, and go from there into the program's environment
    or the request's header, and nowhere else.

Nothing is started before it is needed: by a run that offers tools, by the page of settings, or a moment after
the window is there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deskside.backend.errors import Conflict, InvalidRequest, KeychainUnavailable, McpServerError
from deskside.backend.events import McpChanged
from deskside.backend.mcp import proposal as proposals
from deskside.backend.mcp import shown
from deskside.backend.mcp.connection import BACK_OFF_S, CONNECT_S, WHERE_TO_SIGN_IN, Connection
from deskside.backend.mcp.proposal import Confirm, Proposal
from deskside.backend.mcp.rows import (
    InsertedText,
    LogLine,
    McpPrompt,
    McpResource,
    McpServerRow,
    ServerState,
    ToolDefinition,
)
from deskside.backend.mcp.server_secrets import ServerSecrets, check_kept
from deskside.backend.mcp.sign_ins import BROWSER_S, SignIns
from deskside.backend.mcp.tool import McpTool, ToolFailed
from deskside.backend.network.gate import Gate
from deskside.backend.store import mcp_servers
from deskside.backend.store.mcp_servers import StoredServer, StoredTool
from deskside.backend.visible import made_visible

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.keys import Keys
    from deskside.backend.mcp.calls import Elicit
    from deskside.backend.mcp.session import Session
    from deskside.backend.mcp.sign_in import OpenPage
    from deskside.backend.store.database import Store


class McpServers:
    """All methods belong to the loop's thread, and raise NotFound for a server that there is none of.
    `tools_changed` is called when rows of tools did: whoever keeps them reads them again. `gate` is the
    program's; without one, an open one of its own."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        keys: Keys,
        tools_changed: Callable[[], None],
        *,
        back_off_s: Sequence[float] = BACK_OFF_S,
        connect_s: float = CONNECT_S,
        browser_s: float = BROWSER_S,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate or Gate()
        self._store = store
        self._events = events
        self._keys = keys
        self._secrets = ServerSecrets(store, keys)
        self._sign_ins = SignIns(self._publish)
        self._back_off_s = back_off_s
        self._connect_s = connect_s
        self._browser_s = browser_s
        self._tools_changed = tools_changed
        self._connections: dict[int, Connection] = {}
        self._changes = 0
        self._none_since: int | None = None  # most users have no server, and every run asks
        self._is_closed = False

    async def close(self) -> None:
        """End all servers, side by side."""
        self._is_closed = True
        await self._sign_ins.close()
        await asyncio.gather(*(connection.stop() for connection in self._connections.values()))

    async def learn_secrets(self) -> int:
        """See ServerSecrets.learn_all."""
        return await self._secrets.learn_all()

    async def follow_gate(self) -> None:
        """The gate was closed or opened: begin anew with every server that is elsewhere, and with every
        program, which is kept from the network or is not. A call that is under way breaks off."""
        begun = [
            connection
            for connection in self._connections.values()
            if connection.state not in ("idle", "failed", "signed_out")
            and (connection.is_elsewhere or connection.stored.transport == "stdio")
        ]
        await asyncio.gather(*(connection.stop() for connection in begun))
        if not self._is_closed:
            for connection in begun:
                connection.start()
        self._publish_tools()

    # -- what a run needs --

    async def wake(self) -> None:
        """Start what is switched on, and do not wait for it."""
        for stored in await self._store.read(mcp_servers.servers):
            if stored.is_enabled:
                self._connection(stored).start()

    async def tools(self) -> list[McpTool]:
        """The tools that a model may be told of, by name: switched on, accepted, of a server that is switched
        on, was not given up and wants no sign-in. Their servers are started; a call waits for its own."""
        changes = self._changes
        if self._none_since == changes:
            return []
        servers = {stored.id: stored for stored in await self._store.read(mcp_servers.servers)}
        if not servers:
            self._none_since = changes
            return []
        found: list[McpTool] = []
        for tool in await self._store.read(mcp_servers.tools):
            server = servers[tool.server_id]
            if not (tool.is_usable and server.is_enabled):
                continue
            connection = self._connection(server)
            connection.start()
            if connection.state not in ("failed", "signed_out", "offline"):
                found.append(McpTool.of(self, server, tool))
        return found

    async def call(self, name: str, sha256: str, arguments: dict[str, Any], elicit: Elicit | None) -> str:
        """Call a tool, if it still is what the model was told. Raises McpServerError otherwise, and what
        `Session.call` raises."""
        tool = await self._store.read(mcp_servers.tool, name)
        server = await self._store.read(mcp_servers.server, tool.server_id)
        if not (tool.is_usable and server.is_enabled):
            raise McpServerError(
                f"{name!r} cannot be used: it was switched off, or its definition changed.",
                hint="Look at it in Settings, under MCP servers.",
            )
        connection = self._connection(server)
        session = await connection.ready()
        accepted = tool.accepted
        now = connection.hashes.get(tool.remote_name)
        if accepted is None or sha256 != accepted.sha256 or now != sha256:
            raise McpServerError(
                f"{name!r} is no longer what the user accepted, and was not called.",
                hint="Look at its new definition in Settings, under MCP servers.",
            )
        try:
            return await session.call(tool.remote_name, arguments, elicit)
        except ToolFailed as error:
            if not session.is_refused:
                raise
            # What the SDK says instead names no reason.
            raise McpServerError(
                f"{name!r} was not called: the MCP server “{server.name}” wants the user to sign in again.",
                hint=WHERE_TO_SIGN_IN,
            ) from error

    # -- what the page shows --

    async def servers(self) -> list[McpServerRow]:
        """All of them with their tools, by name; those that are switched on are started."""
        await self.wake()
        tools = await self._store.read(mcp_servers.tools)
        return [self._shown(stored, tools) for stored in await self._store.read(mcp_servers.servers)]

    async def logs(self, server_id: int) -> list[LogLine]:
        """The last lines, oldest first."""
        return list(self._connection(await self._stored(server_id)).lines)

    async def resources(self, server_id: int) -> list[McpResource]:
        """What the server has to read. Raises McpServerError."""
        session = await self._session(server_id)
        return (
            [shown.listed(each) for each in await _answer(session.resources())]
            if session.has_resources
            else []
        )

    async def read_resource(self, server_id: int, uri: str) -> InsertedText:
        """A resource as text. Raises McpServerError."""
        session = await self._session(server_id)
        return shown.inserted(await _answer(session.read_resource(uri)))

    async def prompts(self, server_id: int) -> list[McpPrompt]:
        """The server's prompts. Raises McpServerError."""
        session = await self._session(server_id)
        return (
            [shown.listed(each) for each in await _answer(session.prompts())] if session.has_prompts else []
        )

    async def get_prompt(self, server_id: int, name: str, arguments: Mapping[str, str]) -> InsertedText:
        """A prompt, filled in. Raises McpServerError."""
        session = await self._session(server_id)
        return shown.inserted(await _answer(session.get_prompt(name, arguments)))

    # -- what the user changes --

    async def propose(
        self, proposal: Proposal, confirm: Confirm, came_from: str, server_id: int | None = None
    ) -> McpServerRow | None:
        """Ask the user about a server, and add it (or put it in the place of `server_id`) if they say yes;
        None if they do not. Raises InvalidRequest for what cannot be run, and what `confirm` raises."""
        proposals.check(proposal)
        before = await self._stored(server_id) if server_id is not None else None
        check_kept(proposal, before)
        await self._check_name(proposal, before)
        program = proposals.find_program(proposal) if proposal.transport == "stdio" else ""
        asked = proposals.question(proposal, program, came_from, is_change=before is not None)
        if not await confirm(asked.title, asked.text, asked.accept_label):
            return None
        saved = await self._save(proposal, before)
        await self._drop(saved.id)
        self._connection(saved).start()
        self._publish_tools()
        return await self._row(saved.id)

    async def change(
        self, server_id: int, *, is_enabled: bool | None = None, tools: Mapping[str, bool] | None = None
    ) -> McpServerRow:
        """Switch a server, or some of its tools by name, on or off."""
        for name, is_on in (tools or {}).items():
            await self._store.write(mcp_servers.enable_tool, server_id, name, is_on)
        if is_enabled is not None:
            stored = await self._store.write(mcp_servers.enable, server_id, is_enabled)
            await self._drop(server_id)
            if is_enabled:
                self._connection(stored).start()
        self._publish_tools()
        return await self._row(server_id)

    async def remove(self, server_id: int) -> None:
        """End a server and forget it, with its tools and secrets."""
        stored = await self._stored(server_id)
        await self._store.write(mcp_servers.delete, server_id)
        await self._drop(server_id)
        await self._secrets.drop(stored, None)
        self._publish_tools()

    async def restart(self, server_id: int) -> McpServerRow:
        """End a server and start it again, also one that was given up."""
        stored = await self._stored(server_id)
        if not stored.is_enabled:
            raise InvalidRequest(f"“{stored.name}” is switched off.", hint="Switch it on first.")
        connection = self._connection(stored)
        await connection.stop()
        connection.start()
        return await self._row(server_id)

    async def accept_tools(self, server_id: int, hashes: Mapping[str, str]) -> McpServerRow:
        """The user has seen these definitions, by the tool's name their hash, and accepts them. Raises
        Conflict where one has changed since."""
        await self._store.write(mcp_servers.accept, server_id, hashes)
        self._publish_tools()
        return await self._row(server_id)

    async def sign_in(self, server_id: int, confirm: Confirm, open_page: OpenPage) -> McpServerRow:
        """Let the user sign in at a server that wants it, in their browser; how that went is in the row.
        Raises Conflict where it does not want it or they are about to, KeychainUnavailable where there is no
        place for what comes of it, and what `confirm` and `open_page` raise."""
        stored = await self._stored(server_id)
        if self._state(stored) not in ("signed_out", "signing_in"):
            raise Conflict(f"“{stored.name}” does not ask you to sign in.")
        await self._keys.place()
        await self._sign_ins.run(server_id, self._sign_in(stored, confirm, open_page))
        return await self._row(server_id)

    async def cancel_sign_in(self, server_id: int) -> McpServerRow:
        """Give up a sign-in that is under way."""
        await self._sign_ins.cancel(server_id)
        return await self._row(server_id)

    async def sign_out(self, server_id: int) -> McpServerRow:
        """Forget what came of signing in at a server, and begin with it anew."""
        await self._secrets.drop_sign_in(server_id)
        await self._drop(server_id)
        # Its connection may have renewed them until it ended.
        await self._secrets.drop_sign_in(server_id)
        stored = await self._stored(server_id)
        if stored.is_enabled:
            self._connection(stored).start()
        return await self._row(server_id)

    # -- signing in --

    async def _sign_in(self, stored: StoredServer, confirm: Confirm, open_page: OpenPage) -> None:
        from deskside.backend.mcp.sign_in import SignInFailed, sign_in

        connection = self._connection(stored)
        try:
            signed_in = await sign_in(
                stored.name,
                stored.url,
                connection.challenge,
                confirm,
                open_page,
                browser_s=self._browser_s,
                gate=self._gate,
            )
            await self._secrets.keep_sign_in(stored.id, signed_in.as_text())
        except SignInFailed as failed:
            connection.explain(str(failed))
            return
        except KeychainUnavailable as error:
            await self._secrets.drop_sign_in(stored.id)
            connection.explain(f"{error.message} {error.hint}")
            return
        await connection.stop()
        connection.start()

    # -- connections --

    def _connection(self, stored: StoredServer) -> Connection:
        found = self._connections.get(stored.id)
        if found is None:
            if self._is_closed:
                raise McpServerError("Deskside is being closed.", hint="Start it again.")
            found = Connection(
                stored,
                lambda: self._secrets.access(stored),
                lambda definitions: self._note_offer(stored.id, definitions),
                self._publish,
                self._gate,
                back_off_s=self._back_off_s,
                connect_s=self._connect_s,
            )
            self._connections[stored.id] = found
        return found

    async def _drop(self, server_id: int) -> None:
        await self._sign_ins.cancel(server_id)
        connection = self._connections.pop(server_id, None)
        if connection is not None:
            await connection.stop()

    async def _session(self, server_id: int) -> Session:
        stored = await self._stored(server_id)
        if not stored.is_enabled:
            raise McpServerError(f"“{stored.name}” is switched off.", hint="Switch it on first.")
        return await self._connection(stored).ready()

    async def _note_offer(self, server_id: int, definitions: Sequence[ToolDefinition]) -> None:
        if await self._store.write(mcp_servers.offer, server_id, definitions):
            self._publish_tools()

    # -- rows --

    async def _save(self, proposal: Proposal, before: StoredServer | None) -> StoredServer:
        stays = before is not None and (before.transport, before.url) == (proposal.transport, proposal.url)
        stored = StoredServer(
            id=before.id if before else 0,
            name=proposal.name,
            transport=proposal.transport,
            command=proposal.command,
            arguments=list(proposal.arguments),
            url=proposal.url,
            environment=[],
            headers=[],
            is_enabled=True,
            secret_prefix=before.secret_prefix if before else f"mcp-{secrets.token_hex(8)}",
            # A token is for the address that it was given for.
            sign_in=before.sign_in if before and stays else None,
        )
        saved = await self._store.write(mcp_servers.save, await self._secrets.keep(stored, proposal, before))
        if before is not None:
            await self._secrets.drop(before, saved)
        return saved

    async def _check_name(self, proposal: Proposal, before: StoredServer | None) -> None:
        """Before the user is asked: afterwards is too late to say that it was for nothing."""
        for other in await self._store.read(mcp_servers.servers):
            if other.name.lower() == proposal.name.lower() and (before is None or other.id != before.id):
                raise InvalidRequest(
                    f"There is an MCP server “{other.name}” already.", hint="Give it another name."
                )

    async def _stored(self, server_id: int) -> StoredServer:
        return await self._store.read(mcp_servers.server, server_id)

    async def _row(self, server_id: int) -> McpServerRow:
        return self._shown(await self._stored(server_id), await self._store.read(mcp_servers.tools))

    def _shown(self, stored: StoredServer, tools: Sequence[StoredTool]) -> McpServerRow:
        connection = self._connections.get(stored.id)
        session = connection.session if connection is not None else None
        return McpServerRow(
            id=stored.id,
            name=stored.name,
            transport=stored.transport,
            command=stored.command,
            arguments=stored.arguments,
            url=stored.url,
            environment=stored.environment,
            headers=stored.headers,
            is_enabled=stored.is_enabled,
            is_signed_in=stored.sign_in is not None,
            state=self._state(stored),
            reason=made_visible(connection.reason) if connection else "",
            retry_ms=connection.retry_ms if connection else None,
            title=made_visible(session.title[:100]) if session else "",
            has_resources=session is not None and session.has_resources,
            has_prompts=session is not None and session.has_prompts,
            tools=[shown.tool_row(tool) for tool in tools if tool.server_id == stored.id],
        )

    def _state(self, stored: StoredServer) -> ServerState:
        connection = self._connections.get(stored.id)
        if not stored.is_enabled:
            return "disabled"
        if self._sign_ins.is_under_way(stored.id):
            return "signing_in"
        return connection.state if connection else "idle"

    def _publish(self) -> None:
        self._changes += 1
        self._events.publish(McpChanged())

    def _publish_tools(self) -> None:
        self._publish()
        self._tools_changed()


async def _answer(asked: Any) -> Any:
    """What a session answers, its failures in our words. Only called with a session at hand, so the SDK is
    imported."""
    from deskside.backend.mcp.failures import FAILURES, FAILURES_OF_STREAMS, why

    try:
        return await asked
    except (*FAILURES, *FAILURES_OF_STREAMS) as error:
        raise McpServerError(f"The MCP server did not give an answer. {why(error)}") from error
