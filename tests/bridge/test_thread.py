"""The backend thread: it ends with whoever started it."""

from __future__ import annotations

import _thread
import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.app import App, open_app
from deskside.backend.paths import Paths
from deskside.bridge import thread
from deskside.bridge.desktop import NoDesktop


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    data = tmp_path / "data"
    return Paths(data, data / "logs", data / "cache")


def test_ctrl_c_while_it_opens_closes_what_was_opened(
    paths: Paths, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted, closed = threading.Event(), threading.Event()

    @asynccontextmanager
    async def slow(paths: Paths, models: Any) -> AsyncIterator[App]:
        async with open_app(paths, models) as app:
            _thread.interrupt_main()
            # Long enough for the main thread to be interrupted first, and no longer than that where it is.
            await asyncio.to_thread(interrupted.wait, 0.2)
            yield app
        closed.set()

    monkeypatch.setattr(thread, "open_app", slow)
    with pytest.raises(KeyboardInterrupt), thread.run_backend(paths, NoDesktop(), web):
        interrupted.set()

    assert closed.is_set()
    assert "backend" not in [each.name for each in threading.enumerate()]


def test_what_opening_raised_is_raised_where_it_was_asked_for(paths: Paths, tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="not built"),
        thread.run_backend(paths, NoDesktop(), tmp_path / "nothing"),
    ):
        pass
