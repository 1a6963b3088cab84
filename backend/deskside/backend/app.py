"""The running application and the order in which it is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskside.backend.agent.device import Device
    from deskside.backend.agent.events import Model
    from deskside.backend.agent.models import Models
    from deskside.backend.agent.runs import Runs
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.keys import Keys
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.database import Store


@dataclass(frozen=True)
class Paths:
    """Folders of one installation. All below `data` are made when the app opens, mode 0700."""

    data: Path
    logs: Path
    cache: Path

    @property
    def database(self) -> Path:
        return self.data / "deskside.db"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def backups(self) -> Path:
        return self.data / "backups"


@dataclass(frozen=True)
class App:
    """The running application: everything a command may use."""

    paths: Paths
    store: Store
    events: EventBuffer
    settings: SettingsStore
    keys: Keys
    models: Models
    device: Device
    runs: Runs


@asynccontextmanager
async def open_app(paths: Paths, models: Mapping[str, Model] | None = None) -> AsyncIterator[App]:
    """Open everything in the order of these lines, and close it in reverse."""
    raise NotImplementedError
    yield
