"""Granting folders: only the user can, in a dialog of the system; a page can narrow and take back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from deskside.backend.app import App, open_app
from deskside.backend.errors import InvalidRequest, NeedsWindow, NotFound
from deskside.backend.events import SettingsChanged
from deskside.backend.metrics.timings import Timings
from deskside.backend.settings import GrantedFolder
from deskside.bridge.commands import COMMANDS, folders
from deskside.bridge.commands.folders import ChangeFolder, GrantFolder, RemoveFolder
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in


class Desktop:
    """A user at the screen, who chooses and confirms as the test says."""

    def __init__(self) -> None:
        self.chosen: Path | None = None
        self.says_yes = False
        self.asked: list[str] = []

    async def open_link(self, url: str) -> None:
        raise NotImplementedError

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        raise NotImplementedError

    async def choose_folder(self, title: str) -> str | None:
        self.asked.append(title)
        return None if self.chosen is None else str(self.chosen)

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        self.asked.append(f"{title} {text}")
        return self.says_yes


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path / "own")) as app:
        yield app


@pytest.fixture
def desktop() -> Desktop:
    return Desktop()


@pytest.fixture
def bridge(app: App, desktop: Desktop) -> Bridge:
    return Bridge(app, Registry(COMMANDS), desktop, Timings())


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


async def test_what_the_user_chose_is_granted_and_kept(
    bridge: Bridge, desktop: Desktop, docs: Path, tmp_path: Path
) -> None:
    seen = bridge.app.events.last
    desktop.chosen = docs

    read = await folders.grant(bridge, GrantFolder(can_write=False))
    write = await folders.grant(bridge, GrantFolder(can_write=True))

    assert [GrantedFolder(str(docs), False)] == read
    assert [GrantedFolder(str(docs), True)] == write == bridge.app.settings.current.folders
    assert ["may read", "may read and change"] == [
        title.partition("assistant ")[2] for title in desktop.asked
    ]
    assert [SettingsChanged, SettingsChanged] == [
        type(event) for event in bridge.app.events.since(seen, 9) or []
    ]


async def test_a_grant_is_there_after_a_restart(tmp_path: Path, docs: Path) -> None:
    async with open_app(paths_in(tmp_path / "own")) as app:
        await app.folders.grant(str(docs), can_write=True)
    async with open_app(paths_in(tmp_path / "own")) as app:
        assert [GrantedFolder(str(docs), True)] == app.settings.current.folders


async def test_without_a_choice_nothing_is_granted(bridge: Bridge) -> None:
    assert [] == await folders.grant(bridge, GrantFolder(can_write=True))


async def test_a_choice_that_nobody_should_make_is_refused(
    bridge: Bridge, desktop: Desktop, home: Path
) -> None:
    for chosen in (Path("/"), home, bridge.app.paths.data):
        desktop.chosen = chosen
        with pytest.raises(InvalidRequest):
            await folders.grant(bridge, GrantFolder(can_write=False))

    assert [] == bridge.app.settings.current.folders


@pytest.mark.parametrize("says_yes", [True, False])
async def test_to_widen_asks_and_to_narrow_does_not(
    bridge: Bridge, desktop: Desktop, docs: Path, says_yes: bool
) -> None:
    await bridge.app.folders.grant(str(docs), can_write=False)
    desktop.says_yes = says_yes

    wider = await folders.change(bridge, ChangeFolder(str(docs), can_write=True))
    asked = list(desktop.asked)
    narrower = await folders.change(bridge, ChangeFolder(str(docs), can_write=False))

    assert [GrantedFolder(str(docs), says_yes)] == wider
    assert [GrantedFolder(str(docs), False)] == narrower
    assert asked == desktop.asked
    assert str(docs) in asked[0]


async def test_a_folder_is_taken_back_at_once_also_when_it_is_gone(bridge: Bridge, docs: Path) -> None:
    await bridge.app.folders.grant(str(docs), can_write=True)
    docs.rmdir()

    assert [] == await folders.remove(bridge.app, RemoveFolder(str(docs)))
    with pytest.raises(NotFound):
        await folders.remove(bridge.app, RemoveFolder(str(docs)))


async def test_a_page_cannot_grant_anything_by_itself(bridge: Bridge, desktop: Desktop, docs: Path) -> None:
    """As one would try that was taken over: every command that could name a folder."""
    await bridge.app.folders.grant(str(docs), can_write=False)
    tried: list[tuple[str, Any]] = [
        ("settings.change", {"folders": [{"path": "/", "can_write": True}]}),
        ("folders.grant", {"can_write": True}),
        ("folders.grant", {"can_write": True, "path": "/"}),
        ("folders.change", {"path": "/", "can_write": True}),
        ("folders.change", {"path": str(docs), "can_write": True}),
        ("folders.change", {"path": f"{docs}/..", "can_write": False}),
        ("folders.grant_path", {"path": "/", "can_write": True}),
    ]
    for name, params in tried:
        await bridge.registry.dispatch(bridge, name, msgspec.json.encode(params))

    assert [GrantedFolder(str(docs), False)] == bridge.app.settings.current.folders


async def test_without_a_window_it_says_how_to_do_it_in_a_terminal(app: App, docs: Path) -> None:
    without = cast(Bridge, SimpleNamespace(app=app, desktop=NoDesktop()))
    await app.folders.grant(str(docs), can_write=False)

    for call in (
        folders.grant(without, GrantFolder(can_write=False)),
        folders.change(without, ChangeFolder(str(docs), can_write=True)),
    ):
        with pytest.raises(NeedsWindow) as refusal:
            await call
        assert "deskside grant FOLDER" in refusal.value.hint


async def test_settings_do_not_take_folders(bridge: Bridge) -> None:
    failure = await bridge.registry.dispatch(bridge, "settings.change", b'{"folders": []}')

    assert isinstance(failure, Failure)
    assert "unknown field `folders`" in failure.message
