"""MCP servers, and their tools with the definitions that the user accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from deskside.backend.errors import Conflict, NotFound
from deskside.backend.mcp.rows import KeptSignIn, KeptVariable, ToolDefinition
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms
from deskside.backend.tools.declaration import Approval

LONGEST_NAME = 64  # as OpenAI and Anthropic take it
LONGEST_PREFIX = 24
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


class StoredServer(msgspec.Struct, frozen=True):
    """A server's row. What its secrets are kept under begins with `secret_prefix`; `sign_in` is there while
    the user is signed in."""

    id: int
    name: str
    transport: Any
    command: str
    arguments: list[str]
    url: str
    environment: list[KeptVariable]
    headers: list[KeptVariable]
    is_enabled: bool
    secret_prefix: str
    sign_in: KeptSignIn | None = None


class StoredTool(msgspec.Struct, frozen=True):
    """A tool's row. `accepted` and `offered` as the migration says."""

    name: str
    server_id: int
    remote_name: str
    approval: Approval
    is_enabled: bool
    is_offered: bool
    accepted: ToolDefinition | None
    offered: ToolDefinition | None

    @property
    def is_usable(self) -> bool:
        """Whether a model may be told of it: it is switched on, and is what the user accepted."""
        return self.is_enabled and self.is_offered and self.accepted is not None and self.offered is None


def servers(db: Db) -> list[StoredServer]:
    """All, by name."""
    return [_server(row) for row in db.McpServer.select().order_by(db.McpServer.name)]


def server(db: Db, server_id: int) -> StoredServer:
    """One. Raises NotFound."""
    return _server(_row(db, server_id))


def save(db: Db, stored: StoredServer) -> StoredServer:
    """Add a server (`id` 0), or put another in the place of one. Raises Conflict for a name that is taken,
    NotFound."""
    other = db.McpServer.get(name=stored.name)
    if other is not None and other.id != stored.id:
        raise Conflict(f"There is an MCP server {stored.name!r} already.", hint="Give it another name.")
    columns: dict[str, Any] = {
        "name": stored.name,
        "transport": stored.transport,
        "command": stored.command,
        "arguments": as_json(stored.arguments),
        "url": stored.url,
        "environment": as_json(stored.environment),
        "headers": as_json(stored.headers),
        "is_enabled": stored.is_enabled,
        "secret_prefix": stored.secret_prefix,
        "updated_ms": now_ms(),
    }
    if stored.id:
        row = _row(db, stored.id)
        row.set(**columns)
        if stored.sign_in is None:
            row.set(sign_in=None)  # and otherwise as it is by now: `keep_sign_in` alone writes it
        # Another program may do another thing under the same description: its tools are looked at anew.
        db.sql.execute(
            "delete from tool_grant where tool in (select name from tool where mcp_server = ?)", (row.id,)
        )
        db.sql.execute("delete from tool where mcp_server = ?", (row.id,))
    else:
        row = db.McpServer(created_ms=now_ms(), **columns)
    db.flush()
    return _server(row)


def enable(db: Db, server_id: int, is_enabled: bool) -> StoredServer:
    """Switch a server on or off. Raises NotFound."""
    row = _row(db, server_id)
    row.set(is_enabled=is_enabled, updated_ms=now_ms())
    return _server(row)


def keep_sign_in(db: Db, server_id: int, kept: KeptSignIn | None) -> None:
    """Note where what came of signing in is; None for nowhere. Raises NotFound."""
    sign_in = None if kept is None else as_json(kept)
    _row(db, server_id).set(sign_in=sign_in, updated_ms=now_ms())


def delete(db: Db, server_id: int) -> None:
    """Forget a server and its tools. Raises NotFound."""
    _row(db, server_id).delete()


def tools(db: Db) -> list[StoredTool]:
    """The tools of all servers, by name."""
    return [_tool(row) for row in db.Tool.select(lambda tool: tool.kind == "mcp").order_by(db.Tool.name)]


def tool(db: Db, name: str) -> StoredTool:
    """One. Raises NotFound."""
    row = db.Tool.get(name=name, kind="mcp")
    if row is None:
        raise NotFound(f"there is no tool {name!r} of an MCP server")
    return _tool(row)


def offer(db: Db, server_id: int, definitions: Sequence[ToolDefinition]) -> bool:
    """Note what a server offers now. Nothing that was accepted changes by it; True where the user has
    something new to look at, or something is gone."""
    known = {row.remote_name: row for row in db.Tool.select(lambda tool: tool.mcp_server == server_id)}
    has_changed = False
    for definition in definitions:
        row = known.pop(definition.name, None)
        if row is None:
            _add(db, server_id, definition)
            has_changed = True
        else:
            has_changed |= _note(row, definition)
    for gone in known.values():
        if gone.is_offered:
            gone.set(is_offered=False, updated_ms=now_ms())
            has_changed = True
    return has_changed


def accept(db: Db, server_id: int, hashes: Mapping[str, str]) -> None:
    """The user has seen these definitions (by the tool's name, their hash) and accepts them. Raises NotFound,
    and Conflict where the server offers another one by now."""
    for name, seen in hashes.items():
        row = db.Tool.get(name=name, kind="mcp", mcp_server=server_id)
        if row is None or row.offered is None:
            raise NotFound(f"There is nothing to accept about {name!r}.", hint="Reload the list.")
        offered = msgspec.json.decode(row.offered, type=ToolDefinition)
        if offered.sha256 != seen:
            raise Conflict(
                f"{name!r} changed again while you looked at it.", hint="Read the new definition first."
            )
        if row.accepted is not None:
            # What the user allowed for good was about the old definition.
            db.sql.execute("delete from tool_grant where tool = ?", (name,))
            row.set(approval="ask" if row.approval == "never" else row.approval)
        row.set(accepted=row.offered, offered=None, updated_ms=now_ms(), **_columns(offered))


def enable_tool(db: Db, server_id: int, name: str, is_enabled: bool) -> None:
    """Switch a tool on or off. Raises NotFound."""
    row = db.Tool.get(name=name, kind="mcp", mcp_server=server_id)
    if row is None:
        raise NotFound(f"there is no tool {name!r}")
    row.set(is_enabled=is_enabled, updated_ms=now_ms())


def _add(db: Db, server_id: int, definition: ToolDefinition) -> None:
    at_ms = now_ms()
    db.Tool(
        name=_free_name(db, db.McpServer[server_id].name, definition.name),
        kind="mcp",
        mcp_server=server_id,
        remote_name=definition.name,
        offered=as_json(definition),
        approval="ask",
        is_enabled=True,
        is_offered=True,
        created_ms=at_ms,
        updated_ms=at_ms,
        **_columns(definition),
    )
    db.flush()


def _note(row: Any, definition: ToolDefinition) -> bool:
    accepted = row.accepted and msgspec.json.decode(row.accepted, type=ToolDefinition)
    # By hash: JSON text can differ in order only.
    is_accepted = accepted is not None and accepted.sha256 == definition.sha256
    offered = None if is_accepted else as_json(definition)
    if row.offered == offered and row.is_offered:
        return False
    row.set(offered=offered, is_offered=True, updated_ms=now_ms())
    if accepted is None:
        row.set(**_columns(definition))
    return True


def _columns(definition: ToolDefinition) -> dict[str, str]:
    return {
        "description": definition.description,
        "parameters": as_json(definition.parameters),
        "effect": definition.effect,
    }


def _free_name(db: Db, server_name: str, remote_name: str) -> str:
    """`server__tool`, in characters that every provider takes, and nobody else's."""
    prefix = NOT_IN_A_NAME.sub("_", server_name).strip("_")[:LONGEST_PREFIX] or "mcp"
    whole = f"{prefix}__{NOT_IN_A_NAME.sub('_', remote_name).strip('_') or 'tool'}"
    # What was cut, or lost a character, is told apart by a hash of what it was.
    tail = "_" + sha256(remote_name.encode("utf-8", "replace")).hexdigest()[:8]
    name = whole if len(whole) <= LONGEST_NAME else whole[: LONGEST_NAME - len(tail)] + tail
    if db.Tool.get(name=name) is not None:
        name = whole[: LONGEST_NAME - len(tail)] + tail
    number = 2
    while db.Tool.get(name=name) is not None:
        ending = f"{tail}_{number}"
        name = whole[: LONGEST_NAME - len(ending)] + ending
        number += 1
    return name


def _row(db: Db, server_id: int) -> Any:
    row = db.McpServer.get(id=server_id)
    if row is None:
        raise NotFound(f"There is no MCP server {server_id}.")
    return row


def _server(row: Any) -> StoredServer:
    return StoredServer(
        id=row.id,
        name=row.name,
        transport=row.transport,
        command=row.command,
        arguments=msgspec.json.decode(row.arguments, type=list[str]),
        url=row.url,
        environment=msgspec.json.decode(row.environment, type=list[KeptVariable]),
        headers=msgspec.json.decode(row.headers, type=list[KeptVariable]),
        is_enabled=row.is_enabled,
        secret_prefix=row.secret_prefix,
        sign_in=None if row.sign_in is None else msgspec.json.decode(row.sign_in, type=KeptSignIn),
    )


def _tool(row: Any) -> StoredTool:
    return StoredTool(
        name=row.name,
        server_id=row.mcp_server,
        remote_name=row.remote_name,
        approval=row.approval,
        is_enabled=row.is_enabled,
        is_offered=row.is_offered,
        accepted=_definition(row.accepted),
        offered=_definition(row.offered),
    )


def _definition(text: str | None) -> ToolDefinition | None:
    return None if text is None else msgspec.json.decode(text, type=ToolDefinition)
