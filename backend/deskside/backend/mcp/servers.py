"""The MCP servers of this installation: which there are, how they do, and what they offer.

Invariants
  - No program is started, and no address reached, that the user did not say yes to in a dialog that showed it
    (`propose`); a changed command is asked about again.
  - A tool reaches a model only as the user accepted it. `tools` gives what was accepted; `call` looks once
    more whether the server still has exactly that.
  - Secret values are in the keychain, or the encrypted file, and go from there into the program's environment
    or the request's header, and nowhere else.

Nothing is started before it is needed: by a run that offers tools, by the page of settings, or a moment after
the window is there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from deskside.backend.agent.invisible import without_invisible
from deskside.backend.errors import InvalidRequest, KeychainUnavailable, McpServerError
from deskside.backend.events import McpChanged
from deskside.backend.mcp import proposal as proposals
from deskside.backend.mcp.connection import BACK_OFF_S, CONNECT_S, Connection
from deskside.backend.mcp.proposal import Confirm, Proposal, Variable
from deskside.backend.mcp.rows import (
    InsertedText,
    KeptVariable,
    LogLine,
    McpPrompt,
    McpResource,
    McpServerRow,
    McpToolRow,
    ShownDefinition,
    ToolDefinition,
)
from deskside.backend.mcp.tool import McpTool
from deskside.backend.store import mcp_servers
from deskside.backend.store.mcp_servers import StoredServer, StoredTool
from deskside.backend.visible import made_visible

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.keys import Keys
    from deskside.backend.mcp.session import Elicit, Session
    from deskside.backend.store.database import Store

# Of a resource or a prompt that goes into the message box.
LONGEST_INSERTED = 100_000


class McpServers:
    """All methods belong to the loop's thread, and raise NotFound for a server that there is none of.
    `tools_changed` is called when rows of tools did: whoever keeps them reads them again."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        keys: Keys,
        tools_changed: Callable[[], None],
        *,
        back_off_s: Sequence[float] = BACK_OFF_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._store = store
        self._events = events
        self._keys = keys
        self._back_off_s = back_off_s
        self._connect_s = connect_s
        self._tools_changed = tools_changed
        self._connections: dict[int, Connection] = {}
        self._changes = 0
        self._none_since: int | None = None  # most users have no server, and every run asks
        self._is_closed = False

    async def close(self) -> None:
        """End all servers, side by side."""
        self._is_closed = True
        await asyncio.gather(*(connection.stop() for connection in self._connections.values()))

    # -- what a run needs --

    async def wake(self) -> None:
        """Start what is switched on, and do not wait for it."""
        for stored in await self._store.read(mcp_servers.servers):
            if stored.is_enabled:
                self._connection(stored).start()

    async def tools(self) -> list[McpTool]:
        """The tools that a model may be told of, by name: switched on, accepted, of a server that is switched
        on and was not given up. Their servers are started; a call waits for its own."""
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
            if connection.state != "failed":
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
        return await session.call(tool.remote_name, arguments, elicit)

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
            [_visible(each) for each in await _answer(session.resources())] if session.has_resources else []
        )

    async def read_resource(self, server_id: int, uri: str) -> InsertedText:
        """A resource as text. Raises McpServerError."""
        session = await self._session(server_id)
        return _inserted(await _answer(session.read_resource(uri)))

    async def prompts(self, server_id: int) -> list[McpPrompt]:
        """The server's prompts. Raises McpServerError."""
        session = await self._session(server_id)
        return [_visible(each) for each in await _answer(session.prompts())] if session.has_prompts else []

    async def get_prompt(self, server_id: int, name: str, arguments: Mapping[str, str]) -> InsertedText:
        """A prompt, filled in. Raises McpServerError."""
        session = await self._session(server_id)
        return _inserted(await _answer(session.get_prompt(name, arguments)))

    # -- what the user changes --

    async def propose(
        self, proposal: Proposal, confirm: Confirm, came_from: str, server_id: int | None = None
    ) -> McpServerRow | None:
        """Ask the user about a server, and add it (or put it in the place of `server_id`) if they say yes;
        None if they do not. Raises InvalidRequest for what cannot be run, and what `confirm` raises."""
        proposals.check(proposal)
        before = await self._stored(server_id) if server_id is not None else None
        _check_kept(proposal, before)
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
        await self._drop(server_id)
        await self._store.write(mcp_servers.delete, server_id)
        for account, variable in _secrets_of(stored).items():
            await self._forget(account, variable)
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

    # -- connections --

    def _connection(self, stored: StoredServer) -> Connection:
        found = self._connections.get(stored.id)
        if found is None:
            if self._is_closed:
                raise McpServerError("Deskside is being closed.", hint="Start it again.")
            found = Connection(
                stored,
                lambda: self._secret_values(stored),
                lambda definitions: self._note_offer(stored.id, definitions),
                self._publish,
                back_off_s=self._back_off_s,
                connect_s=self._connect_s,
            )
            self._connections[stored.id] = found
        return found

    async def _drop(self, server_id: int) -> None:
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

    # -- secrets --

    async def _secret_values(self, stored: StoredServer) -> tuple[Mapping[str, str], Mapping[str, str]]:
        variables = await self._values(stored, "env", stored.environment)
        headers = await self._values(stored, "header", stored.headers)
        return proposals.environment(variables), headers

    async def _values(
        self, stored: StoredServer, kind: str, variables: Sequence[KeptVariable]
    ) -> dict[str, str]:
        values: dict[str, str] = {}
        for variable in variables:
            if not variable.place:
                values[variable.name] = variable.value or ""
                continue
            secret = await self._keys.kept_secret(_account(stored, kind, variable.name), variable.place)
            if secret is None:
                raise KeychainUnavailable(
                    f"The value of {variable.name} is not in the keychain any more.",
                    hint="Edit the server and type it again.",
                )
            values[variable.name] = secret
        return values

    async def _save(self, proposal: Proposal, before: StoredServer | None) -> StoredServer:
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
        )
        kept = {} if before is None else _secrets_of(before)
        stored = msgspec.structs.replace(
            stored,
            environment=await self._keep(stored, "env", proposal.environment, kept),
            headers=await self._keep(stored, "header", proposal.headers, kept),
        )
        saved = await self._store.write(mcp_servers.save, stored)
        for account, variable in kept.items():
            if account not in _secrets_of(saved):
                await self._forget(account, variable)
        return saved

    async def _keep(
        self,
        stored: StoredServer,
        kind: str,
        variables: Sequence[Variable],
        kept: Mapping[str, KeptVariable],
    ) -> list[KeptVariable]:
        found: list[KeptVariable] = []
        for variable in variables:
            account = _account(stored, kind, variable.name)
            if not variable.is_secret:
                found.append(KeptVariable(variable.name, variable.value))
            elif variable.value is None:
                found.append(kept[account])
            else:
                place = await self._keys.keep_secret(account, variable.value)
                found.append(KeptVariable(variable.name, None, place))
        return found

    async def _forget(self, account: str, variable: KeptVariable) -> None:
        if variable.place:
            await self._keys.drop_secret(account, variable.place)

    # -- rows --

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
            state="disabled" if not stored.is_enabled else connection.state if connection else "idle",
            reason=made_visible(connection.reason) if connection else "",
            retry_ms=connection.retry_ms if connection else None,
            title=made_visible(session.title[:100]) if session else "",
            has_resources=session is not None and session.has_resources,
            has_prompts=session is not None and session.has_prompts,
            tools=[_shown_tool(tool) for tool in tools if tool.server_id == stored.id],
        )

    def _publish(self) -> None:
        self._changes += 1
        self._events.publish(McpChanged())

    def _publish_tools(self) -> None:
        self._publish()
        self._tools_changed()


def _check_kept(proposal: Proposal, before: StoredServer | None) -> None:
    """A stored secret stays with what it was given to: another program or host has to be given it anew."""
    stays = before is not None and (
        (before.transport, before.command, before.arguments, before.url)
        == (proposal.transport, proposal.command, list(proposal.arguments), proposal.url)
    )
    stored = {} if before is None else _secrets_of(before)
    for kind, variables in (("env", proposal.environment), ("header", proposal.headers)):
        for variable in variables:
            if variable.value is not None:
                continue
            if before is None or not stays or _account(before, kind, variable.name) not in stored:
                raise InvalidRequest(
                    f"The value of {variable.name} is missing.",
                    hint="Type it again: a secret is not handed on to another command or address.",
                )


def _secrets_of(stored: StoredServer) -> dict[str, KeptVariable]:
    """By what they are kept under."""
    both = (("env", stored.environment), ("header", stored.headers))
    return {
        _account(stored, kind, variable.name): variable
        for kind, variables in both
        for variable in variables
        if variable.place
    }


def _account(stored: StoredServer, kind: str, name: str) -> str:
    return f"{stored.secret_prefix}-{kind}-{name}"


def _shown_tool(tool: StoredTool) -> McpToolRow:
    definition = tool.accepted or tool.offered
    assert definition is not None
    return McpToolRow(
        name=tool.name,
        remote_name=made_visible(tool.remote_name),
        is_enabled=tool.is_enabled,
        is_offered=tool.is_offered,
        approval=tool.approval,
        effect=definition.effect,
        accepted=_shown_definition(tool.accepted),
        offered=_shown_definition(tool.offered),
    )


def _shown_definition(definition: ToolDefinition | None) -> ShownDefinition | None:
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


def _visible(listed: Any) -> Any:
    """A resource or a prompt with every text in it made visible; what the server is asked by stays."""
    shown = {
        name: made_visible(value) if isinstance(value, str) and name != "uri" else value
        for name, value in msgspec.structs.asdict(listed).items()
        if not (isinstance(listed, McpPrompt) and name == "name")
    }
    return msgspec.structs.replace(listed, **shown)


def _inserted(text: str) -> InsertedText:
    plain = without_invisible(text)
    hidden = len(text) - len(plain)
    if len(plain) > LONGEST_INSERTED:
        plain = f"{plain[:LONGEST_INSERTED]}\n… cut after {LONGEST_INSERTED:,} of {len(plain):,} characters."
    return InsertedText(plain, hidden)


async def _answer(asked: Any) -> Any:
    """What a session answers, its failures in our words. Only called with a session at hand, so the SDK is
    imported."""
    from deskside.backend.mcp.session import FAILURES, FAILURES_OF_STREAMS, why

    try:
        return await asked
    except (*FAILURES, *FAILURES_OF_STREAMS) as error:
        raise McpServerError(f"The MCP server did not give an answer. {why(error)}") from error
