"""Whether there is a newer Deskside."""

from __future__ import annotations

import msgspec

from deskside.backend.app import App
from deskside.backend.updates.manifest import Version
from deskside.backend.updates.state import UpdateState
from deskside.bridge.registry import command


class SkipVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None takes it back."""

    version: Version | None


@command
async def status(app: App) -> UpdateState:
    """What is known of newer versions. Reaches nobody."""
    return app.updates.state


@command
async def look(app: App) -> UpdateState:
    """Look now whether there is a newer version, whatever the settings say. UpdateLookFailed says why not."""
    return await app.updates.look()


@command
async def skip(app: App, params: SkipVersion) -> UpdateState:
    """Say nothing more of a newer version until there is another one."""
    return await app.updates.skip(params.version)
