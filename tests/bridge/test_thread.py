"""The backend thread: it ends with whoever started it."""

from __future__ import annotations

import _thread
import threading
import time
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


@pytest.mark.parametrize("moment", ["as its thread starts", "while it opens"])
def test_ctrl_c_before_it_is_open_closes_what_is_opened(
    moment: str, paths: Paths, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted, closed = threading.Event(), threading.Event()
    start = threading.Thread.start

    @asynccontextmanager
    async def interrupting(paths: Paths, models: Any, **options: bool) -> AsyncIterator[App]:
        async with open_app(paths, models, **options) as app:
            _thread.interrupt_main()
            interrupted.set()
            yield app
        closed.set()

    def start_late(self: threading.Thread) -> None:
        start(self)
        if self.name == "backend" and moment == "as its thread starts":
            interrupted.wait(10)

    monkeypatch.setattr(thread, "open_app", interrupting)
    monkeypatch.setattr(threading.Thread, "start", start_late)
    with pytest.raises(KeyboardInterrupt), thread.run_backend(paths, NoDesktop(), web):
        time.sleep(10)  # where the interrupt is told only now

    assert closed.is_set()
    assert "backend" not in [each.name for each in threading.enumerate()]


def test_what_opening_raised_is_raised_where_it_was_asked_for(paths: Paths, tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="not built"),
        thread.run_backend(paths, NoDesktop(), tmp_path / "nothing"),
    ):
        pass
