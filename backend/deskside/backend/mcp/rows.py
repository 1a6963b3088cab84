"""What the page is told about MCP servers."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import Effect
from deskside.backend.tools.declaration import Approval

ServerState = Literal[
    "disabled", "idle", "starting", "ready", "waiting", "failed", "offline", "signed_out", "signing_in"
]
"""Switched off; not asked for yet; on its way; ready; broken and soon tried again; given up; it
would need the network, and Deskside is offline; it wants the user to sign in; they are about to."""


class ToolDefinition(msgspec.Struct, frozen=True):
    """A tool as its server describes it. Everything here is the server's own word, and what the user
    accepts."""

    name: str
    title: str
    description: str
    parameters: dict[str, Any]
    output: dict[str, Any] | None = None
    annotations: dict[str, Any] = {}

    @property
    def effect(self) -> Effect:
        """What a call may do. A server's own word that a tool only reads is worth nothing; that it destroys
        is believed."""
        return "write" if self.annotations.get("destructiveHint") is True else "send"

    @property
    def sha256(self) -> str:
        """The same for the same definition, whatever the order of what is in it."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class ShownDefinition(msgspec.Struct, frozen=True):
    """A definition for the eyes of the user: nothing in it is invisible. `details` is the JSON of the
    parameters, the result and the annotations; `hash` is what `mcp.accept_tools` wants back."""

    hash: str
    title: str
    description: str
    details: str


class McpToolRow(msgspec.Struct, frozen=True):
    """`accepted` is what models are told; `offered` is there while the server offers something else, and then
    the tool cannot be used. A tool that is not `is_offered` was withdrawn by its server."""

    name: str
    remote_name: str
    is_enabled: bool
    is_offered: bool
    approval: Approval
    effect: Effect
    accepted: ShownDefinition | None
    offered: ShownDefinition | None


class KeptVariable(msgspec.Struct, frozen=True):
    """`place` is where the secret is; empty for a value that is none, and in the store."""

    name: str
    value: str | None = None
    place: Literal["", "keychain", "file"] = ""


class KeptSignIn(msgspec.Struct, frozen=True):
    """What came of signing in is at `place`, in `parts` entries."""

    place: Literal["keychain", "file"]
    parts: int


class McpServerRow(msgspec.Struct, frozen=True):
    """A server and how it does. `reason` says in a sentence why it is not ready; `retry_ms` when it is tried
    again. `title` is what the server calls itself. `is_signed_in` says that there are tokens to sign out
    with, also where the server takes them no more."""

    id: int
    name: str
    transport: Literal["stdio", "http"]
    command: str
    arguments: list[str]
    url: str
    environment: list[KeptVariable]
    headers: list[KeptVariable]
    is_enabled: bool
    is_signed_in: bool
    state: ServerState
    reason: str
    retry_ms: int | None
    title: str
    has_resources: bool
    has_prompts: bool
    tools: list[McpToolRow]


class LogLine(msgspec.Struct, frozen=True):
    """`source` is who wrote it: the program's standard error, the server through the protocol, or
    Deskside."""

    at_ms: int
    source: Literal["program", "server", "deskside"]
    text: str


class McpResource(msgspec.Struct, frozen=True):
    uri: str
    name: str
    description: str
    media_type: str


class PromptArgument(msgspec.Struct, frozen=True):
    name: str
    description: str
    is_required: bool


class McpPrompt(msgspec.Struct, frozen=True):
    name: str
    title: str
    description: str
    arguments: list[PromptArgument]


class InsertedText(msgspec.Struct, frozen=True):
    """What a resource or a prompt says, for the message box. `hidden_characters` invisible ones were left
    out."""

    text: str
    hidden_characters: int
