"""Which models there are."""

from __future__ import annotations

import msgspec

from deskside.backend.agent.catalog import FoundServer
from deskside.backend.agent.models import ProviderModels
from deskside.backend.app import App
from deskside.bridge.registry import command


class AvailableModels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`refresh` asks the providers again instead of using the list of the last hour."""

    refresh: bool = False


@command
async def available(app: App, params: AvailableModels) -> list[ProviderModels]:
    """Every configured provider with its models. A provider that cannot be asked keeps its last list,
    or the one built in, and says why."""
    return await app.models.available(refresh=params.refresh)


@command
async def find_servers(app: App) -> list[FoundServer]:
    """Look for Ollama, LM Studio, llama.cpp and vLLM on their usual ports of this machine."""
    return await app.models.find_servers()
