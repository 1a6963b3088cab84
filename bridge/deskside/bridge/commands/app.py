"""What the page asks first."""

from __future__ import annotations

import platform

import msgspec

from deskside.backend.app import App
from deskside.backend.events import Trouble
from deskside.backend.rescue import Rescued
from deskside.backend.settings import Settings
from deskside.backend.store import conversations
from deskside.backend.version import VERSION
from deskside.backend.watch import trouble_of
from deskside.bridge.registry import Bridge, command


class AppState(msgspec.Struct, frozen=True):
    """`needs_start` is True until the user has chosen how to begin (a key, a server, the small model).

    `drags_files`: the window can hand on files that are dragged out of it.
    `default_model` is what a new conversation would use now: the setting, else DESKSIDE_MODEL, else
    the first that is configured; None when nothing is. `trouble`: why nothing can be saved. `rescued`:
    what a rescue at the start has done, until the user has seen it.
    """

    version: str
    platform: str
    data_folder: str
    settings: Settings
    default_model: str | None
    needs_start: bool
    draft: str
    last_event: int
    trouble: Trouble | None
    rescued: Rescued | None
    drags_files: bool


async def _needs_start(app: App, default_model: str | None) -> bool:
    """Nobody has chosen anything or asked anything yet; the on-device model is there unasked."""
    if app.settings.current.has_chosen_start or app.models.chosen() is not None:
        return False
    if default_model is not None and not default_model.startswith("device/"):
        return False
    return default_model is None or not (await app.store.read(conversations.page, None, 1)).conversations


@command
async def state(bridge: Bridge) -> AppState:
    """Everything the page needs before its first paint."""
    app = bridge.app
    last_event = app.events.last
    default_model = await app.models.default()
    return AppState(
        version=VERSION,
        platform=platform.system().lower(),
        data_folder=str(app.paths.data),
        settings=app.settings.current,
        default_model=default_model,
        needs_start=await _needs_start(app, default_model),
        draft=await app.settings.new_chat_draft(),
        last_event=last_event,
        trouble=trouble_of(app.store),
        rescued=await app.rescues.done(),
        drags_files=bridge.desktop.drags_files(),
    )
