"""Files that are dragged out of the window: made soon or not at all, and gone when nobody took them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.errors import Conflict, NeedsWindow, NotFound
from deskside.shell.desktop import WindowDesktop


class Dragging:
    """An engine whose user drops where the test says."""

    DRAGS_FILES = True

    def __init__(self, is_taken: bool = True) -> None:
        self.is_taken = is_taken
        self.dragged: list[tuple[bytes, str, str]] = []
        self.paths: list[Path] = []

    def drag_file(self, window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
        self.paths.append(path)
        self.dragged.append((path.read_bytes(), text, html))
        ended(self.is_taken)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def desktop_with(engine: Any) -> WindowDesktop:
    desktop = WindowDesktop()
    desktop.window, desktop.engine = object(), engine
    return desktop


async def plums(folder: Path) -> Path:
    path = folder / "plums.txt"
    path.write_bytes(b"plums")
    return path


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_what_was_taken_stays_until_the_program_ends(temporary: Path) -> None:
    engine = Dragging()
    desktop = desktop_with(engine)

    assert await desktop.drag_file(plums, "a", "<b>")

    assert [(b"plums", "a", "<b>")] == engine.dragged
    assert ["plums.txt"] == files_in(temporary)
    folders = engine.paths[0].parents[:2]
    assert temporary == folders[1].parent
    assert [0o700, 0o700] == [folder.stat().st_mode & 0o777 for folder in folders]
    desktop.dragged_files.close()
    assert not folders[1].exists()


async def test_what_nobody_took_goes_at_once(temporary: Path) -> None:
    assert not await desktop_with(Dragging(is_taken=False)).drag_file(plums, "", "")

    assert [] == files_in(temporary)


async def test_what_is_late_is_not_dragged_and_does_not_stay(temporary: Path) -> None:
    engine = Dragging()
    goes_on, is_written = asyncio.Event(), asyncio.Event()

    async def slow(folder: Path) -> Path:
        await goes_on.wait()
        try:
            return await plums(folder)
        finally:
            is_written.set()

    assert not await desktop_with(engine).drag_file(slow, "", "")
    assert [] == engine.dragged
    goes_on.set()
    await is_written.wait()
    while files_in(temporary):
        await asyncio.sleep(0)


async def test_what_cannot_be_made_is_told_and_leaves_nothing(temporary: Path) -> None:
    async def gone(folder: Path) -> Path:
        await plums(folder)
        raise NotFound("gone")

    desktop = desktop_with(Dragging())
    with pytest.raises(NotFound):
        await desktop.drag_file(gone, "", "")
    assert [] == files_in(temporary)

    assert await desktop.drag_file(plums, "", "")


async def test_one_is_dragged_at_a_time(temporary: Path) -> None:
    class Holding(Dragging):
        def drag_file(self, window: Any, path: Path, text: str, html: str, ended: Any) -> None:
            self.ended = ended

    engine = Holding()
    desktop = desktop_with(engine)
    first = asyncio.create_task(desktop.drag_file(plums, "", ""))
    while not hasattr(engine, "ended"):
        await asyncio.sleep(0)

    with pytest.raises(Conflict):
        await desktop.drag_file(plums, "", "")
    engine.ended(True)

    assert await first


async def test_a_window_that_cannot_says_so() -> None:
    engine = Dragging()
    engine.DRAGS_FILES = False  # type: ignore[misc]
    for desktop in (WindowDesktop(), desktop_with(engine)):
        assert not desktop.drags_files()
        with pytest.raises(NeedsWindow):
            await desktop.drag_file(plums, "", "")
