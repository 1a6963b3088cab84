"""What the user chose."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.agent.limits import Limits
from deskside.backend.app import App
from deskside.backend.settings import (
    Field,
    Language,
    NotificationText,
    Server,
    Settings,
    Url,
    ZoomPercent,
)
from deskside.backend.theme import Theme
from deskside.bridge.commands.conversations import ModelName
from deskside.bridge.registry import command


class ChangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is present is changed."""

    theme: Theme | msgspec.UnsetType = msgspec.UNSET
    language: Language | msgspec.UnsetType = msgspec.UNSET
    default_model: ModelName | msgspec.UnsetType | None = msgspec.UNSET
    servers: list[Server] | msgspec.UnsetType = msgspec.UNSET
    openai_base_url: Url | msgspec.UnsetType | None = msgspec.UNSET
    anthropic_base_url: Url | msgspec.UnsetType | None = msgspec.UNSET
    has_chosen_start: bool | msgspec.UnsetType = msgspec.UNSET
    user_name: Annotated[str, msgspec.Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    fields: Annotated[list[Field], msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    max_runs: Annotated[int, msgspec.Meta(ge=1, le=32)] | msgspec.UnsetType = msgspec.UNSET
    names_conversations: bool | msgspec.UnsetType = msgspec.UNSET
    records_runs: bool | msgspec.UnsetType = msgspec.UNSET
    recordings_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | msgspec.UnsetType = msgspec.UNSET
    recordings_mb: Annotated[int, msgspec.Meta(ge=10, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET
    sentry_dsn: Annotated[str, msgspec.Meta(max_length=500)] | msgspec.UnsetType = msgspec.UNSET
    looks_for_updates: bool | msgspec.UnsetType = msgspec.UNSET
    notifies: bool | msgspec.UnsetType = msgspec.UNSET
    notification_text: NotificationText | msgspec.UnsetType = msgspec.UNSET
    closes_to_tray: bool | msgspec.UnsetType = msgspec.UNSET
    zoom_percent: ZoomPercent | msgspec.UnsetType = msgspec.UNSET


@command
async def get(app: App) -> Settings:
    """All settings."""
    return app.settings.current


@command
async def change(app: App, params: ChangeSettings) -> Settings:
    """Change some settings and return all of them."""
    changes = {
        name: value for name, value in msgspec.structs.asdict(params).items() if value is not msgspec.UNSET
    }
    settings = await app.settings.change(changes)
    app.runs.let_in()  # more runs may work at once now
    return settings
