"""What is dragged out of the window: the file that is made of it, whatever its name, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.app import App, open_app
from deskside.backend.metrics.timings import Timings
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in, talk


class Desktop(NoDesktop):
    """A user who drops everything in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: list[str] = []

    def drags_files(self) -> bool:
        return True

    async def drag_file(self, write: Callable[[Path], Awaitable[Path]], text: str, html: str) -> bool:
        assert self.folder == (await write(self.folder)).parent
        self.texts += [text, html]
        return True


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path / "own")) as app:
        yield app


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    (tmp_path / "dropped").mkdir()
    return tmp_path / "dropped"


@pytest.fixture
def bridge(app: App, dropped: Path) -> Bridge:
    return Bridge(app, Registry(COMMANDS), Desktop(dropped), Timings())


async def call(bridge: Bridge, name: str, **params: Any) -> Any:
    answer = await bridge.registry.dispatch(bridge, name, msgspec.json.encode(params))
    return answer if isinstance(answer, Failure) else msgspec.json.decode(answer)


async def attached(app: App, name: str, conversation_id: int | None = None) -> int:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"plums"

    return (await app.attachments.receive(conversation_id, name, pieces())).id


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("plums.txt", "plums.txt"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("..", "_"),
        ("plums\u202egpj.exe\n", "plumsgpj.exe"),
        ("🍑" * 199, "🍑" * 50),
        ("nul.tar.gz", "_nul.tar.gz"),
    ],
)
async def test_a_copy_of_an_attachment_is_dragged_by_a_name_for_any_system(
    bridge: Bridge, dropped: Path, name: str, file: str
) -> None:
    id = await attached(bridge.app, name)

    assert {"is_taken": True} == await call(bridge, "desktop.drag_attachment", id=id)

    (path,) = dropped.iterdir()
    assert (file, b"plums") == (path.name, path.read_bytes())
    path.write_bytes(b"changed by whoever has it now")
    row = (await call(bridge, "attachments.draft", conversation_id=None))[0]
    (stored,) = (each for each in bridge.app.paths.files.rglob(row["sha256"]))
    assert b"plums" == stored.read_bytes()


async def test_a_conversation_is_dragged_as_its_export_with_text_beside_it(
    bridge: Bridge, dropped: Path
) -> None:
    id = await talk(bridge.app.store, ("Plums: cold?", "Yes."))

    given = {"id": id, "text": "[Plums](deskside://conversation/1)", "html": "<a>Plums</a>"}
    assert {"is_taken": True} == await call(bridge, "desktop.drag_conversation", **given)
    await attached(bridge.app, "plums.txt", id)
    assert {"is_taken": True} == await call(bridge, "desktop.drag_conversation", **given)

    assert {"Plums- cold.deskside", "Plums- cold.zip"} == {path.name for path in dropped.iterdir()}
    document = msgspec.json.decode((dropped / "Plums- cold.deskside").read_bytes())
    assert ["Plums: cold?"] == [each["title"] for each in document["conversations"]]
    assert [given["text"], given["html"]] * 2 == bridge.desktop.texts  # type: ignore[attr-defined]
    assert bridge.app.transfers.current is None


async def test_what_is_gone_is_not_dragged(bridge: Bridge, dropped: Path) -> None:
    id = await attached(bridge.app, "plums.txt")
    for path in list(bridge.app.paths.files.rglob("*")):
        if path.is_file():
            path.unlink()

    answers = [
        await call(bridge, "desktop.drag_attachment", id=id),
        await call(bridge, "desktop.drag_attachment", id=4711),
        await call(bridge, "desktop.drag_conversation", id=4711, text="", html=""),
    ]

    assert ["not_found"] * 3 == [answer.code for answer in answers]
    assert "is not there any more" in answers[0].message
    assert [] == list(dropped.iterdir())


async def test_without_a_window_the_page_is_told_that_nothing_is_dragged(app: App) -> None:
    bridge = Bridge(app, Registry(COMMANDS), NoDesktop(), Timings())
    id = await attached(app, "plums.txt")

    assert not (await call(bridge, "app.state"))["drags_files"]
    assert "needs_window" == (await call(bridge, "desktop.drag_attachment", id=id)).code
