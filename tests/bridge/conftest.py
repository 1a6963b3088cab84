"""A server with sample commands, and a page that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx2
import pytest
import sample_commands
from page_client import Page

from deskside.backend.app import App
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.faults import Faults
from deskside.backend.paths import Paths
from deskside.backend.settings import Settings
from deskside.backend.store.database import open_store
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.server import Server


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text('<!doctype html><html lang="en"><title>Deskside</title></html>')
    (folder / "assets" / "index-abc.js").write_text("export {};")
    return folder


@pytest.fixture
async def page(web: Path, tmp_path: Path) -> AsyncIterator[Page]:
    events = EventBuffer()
    data = tmp_path / "data"
    async with open_store(Paths(data, data / "logs", data / "cache")) as store:
        settings = SimpleNamespace(current=Settings())
        app = cast(
            App, SimpleNamespace(events=events, settings=settings, store=store, faults=Faults(store, events))
        )
        server = Server(app, NoDesktop(), web, commands=[sample_commands])
        await server.start()
        async with httpx2.AsyncClient(base_url=server.origin, trust_env=False) as http:
            opened = await http.get(server.boot_url())
            assert opened.status_code == 303
            yield Page(server, http, events, store, app)
        await server.stop()
