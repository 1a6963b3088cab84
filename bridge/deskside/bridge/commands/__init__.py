"""All commands: a module a domain, and this list of them. A new module is added here."""

from __future__ import annotations

from types import ModuleType

from deskside.bridge.commands import (
    agents,
    app,
    attachments,
    backups,
    conversations,
    desktop,
    device,
    diagnostics,
    files,
    folders,
    keys,
    mcp,
    memories,
    messages,
    models,
    rescue,
    runs,
    search,
    settings,
    sorting,
    tools,
    transfers,
    usage,
)

COMMANDS: list[ModuleType] = [
    agents,
    app,
    attachments,
    backups,
    conversations,
    desktop,
    device,
    diagnostics,
    files,
    folders,
    keys,
    memories,
    mcp,
    messages,
    models,
    rescue,
    runs,
    search,
    settings,
    sorting,
    tools,
    transfers,
    usage,
]
