"""`write_file`: what was shown is what is written, whole or not at all, and it can be undone."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asked_runs import MODEL, Desk
from test_runs import ended
from tool_calls import called, context_of, previewed

from deskside.backend import written_files
from deskside.backend.agent.events import Model, ToolRequested
from deskside.backend.agent.scripted_model import ScriptedModel, Step
from deskside.backend.app import App, open_app
from deskside.backend.errors import Conflict, NotFound, StoreFull
from deskside.backend.granted_files import FileRefused, OpenFolder
from deskside.backend.settings import GrantedFolder
from deskside.backend.store import file_versions
from deskside.backend.store.messages import ToolCallPart
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, Preview
from deskside.backend.tools.write_file import write_file
from stores import paths_in, rows, talk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "granted").mkdir()
    (tmp_path / "only-read").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path / "granted"


@pytest.fixture
async def app(tmp_path: Path, folder: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(folder)) as app:
        await talk(app.store, ("Write it down", "Done"))
        grants = [GrantedFolder(str(folder), True), GrantedFolder(str(tmp_path / "only-read"))]
        await app.settings.change({"folders": grants})
        yield app


async def write(app: App | ToolContext, path: object, text: str, mode: str = "create") -> str:
    context = app if isinstance(app, ToolContext) else context_of(app)
    return (await called(write_file, context, path=str(path), text=text, mode=mode)).text


async def shown(app: App, path: object, text: str, mode: str = "create") -> Preview:
    return await previewed(write_file, context_of(app), path=str(path), text=text, mode=mode)


async def undo_last(app: App) -> Any:
    return await app.files.undo((await app.files.written(None))[0].id)


def files_in(folder: Path) -> dict[Path, int]:
    """When each file was changed; not those of the store, which is at work meanwhile."""
    return {
        file: file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and "data" not in file.parts
    }


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in ("data", "logs", "cache"))


def test_the_user_is_asked_before_anything_is_written() -> None:
    assert ("ask", "write") == (write_file.approval, write_file.effect)


# -- writing and undoing --------------------------------------------------------------------------


async def test_a_new_file_is_shown_written_and_undone(app: App, folder: Path) -> None:
    path = folder / "lists" / "plan.md"

    preview = await shown(app, path, "# Plan\nplums\n")
    assert not path.exists()
    said = await write(app, path, "# Plan\nplums\n")
    written = await app.files.written(2)
    content = path.read_text()
    undone = await undo_last(app)

    assert (
        Preview(
            f"Creates {path} with 2 lines.", f"--- /dev/null\n+++ {path}\n@@ -0,0 +1,2 @@\n+# Plan\n+plums"
        )
        == preview
    )
    assert f"Wrote {path}: it has 13 bytes now." == said
    assert "# Plan\nplums\n" == content
    assert [(str(path), 1, 2, "call-1", False, 13, True)] == [
        (
            row.path,
            row.conversation_id,
            row.message_id,
            row.call_id,
            row.existed,
            row.after_bytes,
            row.can_undo,
        )
        for row in written
    ]
    assert (False, False) == (path.exists(), undone.can_undo)
    assert undone.undone_ms is not None
    assert [] == names(folder / "lists")


async def test_a_replaced_file_keeps_its_permissions_and_comes_back(app: App, folder: Path) -> None:
    path = folder / "script.sh"
    path.write_text("echo one\necho two\n")
    path.chmod(0o750)

    preview = await shown(app, path, "echo one\necho 2\n", "replace")
    await write(app, path, "echo one\necho 2\n", "replace")
    content, mode = path.read_text(), stat.S_IMODE(path.stat().st_mode)
    await undo_last(app)

    assert f"Replaces what is in {path} (2 lines) with 2 lines." == preview.summary
    assert f"--- {path}\n+++ {path}\n@@ -1,2 +1,2 @@\n echo one\n-echo two\n+echo 2" == preview.diff
    assert ("echo one\necho 2\n", 0o750) == (content, mode)
    assert ("echo one\necho two\n", 0o750) == (path.read_text(), stat.S_IMODE(path.stat().st_mode))
    assert ["script.sh"] == names(folder)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"one\n", "two\n", b"one\ntwo\n"),
        (b"one", "two", b"one\ntwo"),
        (b"", "two", b"two"),
        (b"one\r\ntwo\r\n", "three\nfour\n", b"one\r\ntwo\r\nthree\r\nfour\r\n"),
        ("\ufeffGrün\n".encode(), "Blau\n", "\ufeffGrün\nBlau\n".encode()),
        ("Grün\n".encode("utf-16"), "Blau\n", "Grün\nBlau\n".encode("utf-16")),
        ("Grün\n".encode("cp1252"), "für\n", "Grün\nfür\n".encode("cp1252")),
        ("Grün\n".encode("cp1252"), "日本\n", "Grün\n日本\n".encode()),
    ],
)
async def test_what_is_added_fits_the_file(
    app: App, folder: Path, before: bytes, text: str, after: bytes
) -> None:
    (folder / "file").write_bytes(before)

    preview = await shown(app, folder / "file", text, "append")
    await write(app, folder / "file", text, "append")
    content = (folder / "file").read_bytes()
    await undo_last(app)

    assert after == content
    assert before == (folder / "file").read_bytes()
    assert preview.summary.startswith("Adds ")


async def test_through_a_link_the_file_itself_is_written(app: App, folder: Path) -> None:
    (folder / "real.txt").write_text("old")
    (folder / "link.txt").symlink_to("real.txt")

    await write(app, folder / "link.txt", "new", "replace")

    assert "new" == (folder / "real.txt").read_text()
    assert (folder / "link.txt").is_symlink()


async def test_what_is_there_already_is_not_written_again(app: App, folder: Path) -> None:
    (folder / "same.txt").write_text("same")

    said = await write(app, folder / "same.txt", "same", "replace")

    assert "holds exactly this already" in said
    assert [] == await app.files.written(None)


async def test_a_long_diff_is_cut_and_says_so(app: App, folder: Path) -> None:
    (folder / "long.txt").write_text("".join(f"old {n}\n" for n in range(2900)))

    cut = await shown(app, folder / "long.txt", "x" * 70_000, "replace")
    too_long = await shown(app, folder / "long.txt", "new\n" * 5000, "replace")

    assert len(cut.diff) < 61_000
    assert "… cut here; " in cut.diff
    assert too_long.diff.endswith("… the file is too long to be compared; this is all of its new content.")


# -- in a run -------------------------------------------------------------------------------------


async def test_in_a_run_the_user_reads_the_diff_first_and_a_change_meanwhile_stops_the_write(
    tmp_path: Path, folder: Path
) -> None:
    path = folder / "plan.md"
    path.write_text("one\n")
    arguments = msgspec.json.encode({"path": str(path), "text": "two\n", "mode": "replace"}).decode()
    calls: list[Step] = [[ToolRequested(name, "write_file", arguments)] for name in ("first", "second")]
    model = ScriptedModel([*calls, "done"])
    models: dict[str, Model] = {MODEL: model}
    async with open_app(paths_in(tmp_path / "own"), models) as app:
        await app.folders.grant(str(folder), can_write=True)
        desk = Desk(app, model, [], models)
        message_id = await desk.ask()

        first = await desk.waiting(message_id)
        path.write_text("the user's own words\n")
        await desk.decide(message_id)
        second = await desk.waiting(message_id, 1)
        await desk.decide(message_id, 1)
        reply = await ended(app, message_id)
        written = await app.files.written(message_id)

    assert first.approval is not None
    assert f"Replaces what is in {path} (1 line) with 1 line." == first.approval.summary
    assert "-one\n+two" in first.approval.diff
    assert second.approval is not None
    assert "-the user's own words\n+two" in second.approval.diff
    assert ["failed", "finished"] == [part.status for part in reply.parts if isinstance(part, ToolCallPart)]
    assert "two\n" == path.read_text()
    assert ["second"] == [row.call_id for row in written]


# -- never overwriting what cannot be brought back ------------------------------------------------


async def test_a_file_that_changed_after_it_was_shown_is_left_alone(app: App, folder: Path) -> None:
    path = folder / "plan.md"
    path.write_text("one")
    await shown(app, path, "two", "replace")
    path.write_text("the user's own words")

    with pytest.raises(FileRefused, match="was changed after the user was shown"):
        await write(app, path, "two", "replace")
    await shown(app, folder / "new.md", "two", "replace")
    (folder / "new.md").write_text("the user's own")
    with pytest.raises(FileRefused, match="was changed after the user was shown"):
        await write(app, folder / "new.md", "two", "replace")

    assert ("the user's own words", "the user's own") == (path.read_text(), (folder / "new.md").read_text())
    assert [] == await app.files.written(None)


@pytest.mark.parametrize("mode", ["create", "replace"])
async def test_a_file_that_changes_in_the_last_moment_is_left_alone(
    app: App, folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "plan.md"
    if mode == "replace":
        path.write_text("one")
    create = OpenFolder.create

    def and_another_writes(folder: OpenFolder, name: str, mode: int) -> int:
        path.write_text("the user's own words")
        return create(folder, name, mode)

    monkeypatch.setattr(OpenFolder, "create", and_another_writes)

    with pytest.raises(FileRefused, match=r"changed meanwhile|is there already"):
        await write(app, path, "two", mode)

    assert "the user's own words" == path.read_text()
    assert ["plan.md"] == names(folder)
    assert [] == await app.files.written(None)


async def test_without_a_copy_of_the_old_content_nothing_is_written(
    app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise StoreFull("The disk is full.")

    monkeypatch.setattr(file_versions, "keep", full)
    (folder / "plan.md").write_text("one")

    with pytest.raises(StoreFull):
        await write(app, folder / "plan.md", "two", "replace")

    assert "one" == (folder / "plan.md").read_text()


async def test_a_write_that_fails_leaves_nothing_behind(
    app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (folder / "plan.md").write_text("one")
    monkeypatch.setattr(written_files.os, "fsync", full)
    with pytest.raises(FileRefused, match="No space left on device"):
        await write(app, folder / "plan.md", "two", "replace")

    assert "one" == (folder / "plan.md").read_text()
    assert ["plan.md"] == names(folder)
    assert [] == await app.files.written(None)


async def test_a_run_that_is_stopped_leaves_no_file_without_a_way_back(
    app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "plan.md").write_text("one")
    reached, replaced = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    replace = written_files._replaced

    def slowly(*arguments: Any) -> None:
        loop.call_soon_threadsafe(reached.set)
        replace(*arguments)
        loop.call_soon_threadsafe(replaced.set)

    monkeypatch.setattr(written_files, "_replaced", slowly)
    call = asyncio.create_task(write(app, folder / "plan.md", "two", "replace"))
    await reached.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await replaced.wait()
    content = (folder / "plan.md").read_text()
    await undo_last(app)

    assert ("two", "one") == (content, (folder / "plan.md").read_text())


async def test_a_file_that_changed_since_is_not_undone(app: App, folder: Path) -> None:
    (folder / "plan.md").write_text("one")
    await write(app, folder / "plan.md", "two", "replace")
    await write(app, folder / "new.md", "two")
    (folder / "plan.md").write_text("the user's own words")
    (folder / "new.md").write_text("the user's own words")
    new, plan = await app.files.written(None)

    for row in (new, plan):
        with pytest.raises(Conflict, match="was changed since"):
            await app.files.undo(row.id)

    assert "the user's own words" == (folder / "plan.md").read_text() == (folder / "new.md").read_text()


async def test_undoing_twice_or_what_is_not_known_is_refused(app: App, folder: Path) -> None:
    await write(app, folder / "new.md", "two")
    row = await undo_last(app)

    with pytest.raises(Conflict) as refusal:
        await app.files.undo(row.id)
    with pytest.raises(NotFound):
        await app.files.undo(99)

    assert "It was undone already." == refusal.value.hint


async def test_undoing_needs_no_grant_any_more_and_still_follows_no_link(
    app: App, folder: Path, tmp_path: Path
) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "plan.md").write_text("one")
    await write(app, folder / "notes" / "plan.md", "two", "replace")
    await app.settings.change({"folders": []})
    (folder / "notes").rename(folder / "moved")
    (tmp_path / "outside" / "plan.md").write_text("two")
    (folder / "notes").symlink_to(tmp_path / "outside")

    with pytest.raises(Conflict):
        await undo_last(app)
    (folder / "notes").unlink()
    (folder / "moved").rename(folder / "notes")
    await undo_last(app)

    assert "two" == (tmp_path / "outside" / "plan.md").read_text()
    assert "one" == (folder / "notes" / "plan.md").read_text()


async def test_what_is_kept_is_bounded(app: App, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_versions, "KEPT_CONTENTS", 2)
    monkeypatch.setattr(file_versions, "KEPT_ROWS", 4)
    (folder / "plan.md").write_text("0")
    for n in range(1, 7):
        await write(app, folder / "plan.md", str(n), "replace")

    written = await app.files.written(None)

    assert [True, True, False, False] == [row.can_undo for row in written]
    with pytest.raises(Conflict, match="no longer kept"):
        await app.files.undo(written[-1].id)
    monkeypatch.setattr(file_versions, "KEPT_BYTES", 1)
    await write(app, folder / "plan.md", "7", "replace")
    assert [(0,)] == rows(app.paths.database, "select count(*) from file_version where before is not null")


async def test_a_deleted_conversation_takes_no_way_back_with_it(app: App, folder: Path) -> None:
    (folder / "plan.md").write_text("one")
    await write(app, folder / "plan.md", "two", "replace")
    await app.store.write(lambda db: db.sql.execute("delete from conversation"))

    assert await undo_last(app)
    assert "one" == (folder / "plan.md").read_text()


# -- what must not be written ---------------------------------------------------------------------

HOSTILE = [
    "/etc/cron.d/evil",
    "/proc/self/mem",
    "/dev/sda",
    "../outside/x",
    "{folder}/../outside/x",
    "{folder}/notes/../../outside/x",
    "{parent}/outside/x",
    "{parent}/only-read/x",
    "{folder}x",
    "{folder}",
    "{folder}/",
    "{folder}/.",
    "{folder}/sub",
    "{folder}/link-out",
    "{folder}/link-to-folder/x",
    "{folder}/dangling-out",
    "{folder}/loop",
    "{folder}/pipe",
    "{folder}/data/deskside.db",
    "{folder}/data/new.txt",
    "{folder}/logs/new.txt",
    "{folder}/link-to-data/new.txt",
    "{folder}/file.txt/below-a-file",
    "{folder}/image.png",
    "{folder}/protected.txt",
    "{folder}/huge.txt",
    "{folder}/two\nlines",
    "{folder}/right\u202eto-left",
    "{folder}/nul\x00",
    "{folder}/" + "n" * 300,
    "~/x",
    "//server/share/x",
    "\\\\server\\share\\x",
    "file://{folder}/x",
]


@pytest.fixture
def traps(app: App, folder: Path, tmp_path: Path) -> Path:
    (folder / "sub").mkdir()
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "link-out").symlink_to(tmp_path / "outside" / "x")
    (folder / "link-to-folder").symlink_to(tmp_path / "outside")
    (folder / "dangling-out").symlink_to(tmp_path / "outside" / "new")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "link-to-data").symlink_to(folder / "data")
    os.mkfifo(folder / "pipe")
    (folder / "file.txt").write_text("x")
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    (folder / "protected.txt").write_text("x")
    (folder / "protected.txt").chmod(0o444)
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(6_000_000)
    return folder


@pytest.mark.parametrize("mode", ["create", "replace", "append"])
@pytest.mark.parametrize("path", HOSTILE)
async def test_a_path_that_must_not_be_written_is_refused(
    app: App, traps: Path, tmp_path: Path, path: str, mode: str
) -> None:
    path = path.format(folder=traps, parent=tmp_path)
    before = files_in(tmp_path)

    with pytest.raises((FileRefused, BadArguments)):
        async with asyncio.timeout(5):
            await write(app, path, "evil", mode)
    with pytest.raises((FileRefused, BadArguments)):
        await shown(app, path, "evil", mode)

    assert before == files_in(tmp_path)
    assert [] == names(tmp_path / "outside")


async def test_a_file_is_not_created_over_one_and_not_larger_than_can_be_kept(app: App, folder: Path) -> None:
    (folder / "plan.md").write_text("one\n" * 1_200_000)

    with pytest.raises(FileRefused, match="is there already; use mode 'replace' or 'append'"):
        await write(app, folder / "plan.md", "two")
    with pytest.raises(FileRefused, match="the file would have more than 5,000,000 bytes"):
        await write(app, folder / "plan.md", "x" * 900_000, "append")
