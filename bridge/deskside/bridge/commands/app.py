"""What the page asks first."""

from __future__ import annotations

import platform

import msgspec

from deskside.backend.app import App
from deskside.backend.settings import Settings
from deskside.backend.version import VERSION
from deskside.bridge.registry import command


class AppState(msgspec.Struct, frozen=True):
    """`needs_start` is True until the user has chosen how to begin (a key, a server, the small model).

    `default_model` is what a new conversation would use now: the setting, else DESKSIDE_MODEL, else
    the first that is configured; None when nothing is.
    """

    version: str
    platform: str
    data_folder: str
    settings: Settings
    default_model: str | None
    needs_start: bool
    draft: str
    last_event: int


@command
async def state(app: App) -> AppState:
    """Everything the page needs before its first paint."""
    last_event = app.events.last
    default_model = await app.models.default()
    return AppState(
        version=VERSION,
        platform=platform.system().lower(),
        data_folder=str(app.paths.data),
        settings=app.settings.current,
        default_model=default_model,
        needs_start=not app.settings.current.has_chosen_start and default_model is None,
        draft=await app.settings.new_chat_draft(),
        last_event=last_event,
    )
