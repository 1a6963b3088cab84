"""`read_file`, `list_folder` and `search_files`: what is in a granted folder, and not a byte beside it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tool_calls import called, context_of

from deskside.backend import granted_files
from deskside.backend.app import App, open_app
from deskside.backend.errors import InvalidRequest
from deskside.backend.granted_files import FileRefused, GrantedFiles, granted
from deskside.backend.settings import GrantedFolder
from deskside.backend.tools.declaration import BadArguments
from deskside.backend.tools.list_folder import list_folder
from deskside.backend.tools.read_file import OUTPUT_LIMIT, READ_LIMIT_BYTES, read_file
from deskside.backend.tools.search_files import search_files
from stores import paths_in

SECRET = "planted-outside"
# The package gives the tools the names of their modules.
LISTING = sys.modules["deskside.backend.tools.list_folder"]
SEARCHING: Any = sys.modules["deskside.backend.tools.search_files"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The granted folder; `outside` beside it is not."""
    folder = tmp_path / "granted"
    (folder / "notes").mkdir(parents=True)
    (folder / "plan.md").write_text("# Plan\nBuy plums\n")
    (folder / "notes" / "list.txt").write_text("one\ntwo plums\nthree\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture
async def app(tmp_path: Path, folder: Path) -> AsyncIterator[App]:
    # The data folder lies inside the granted one: it must stay closed all the same.
    async with open_app(paths_in(folder)) as app:
        await app.settings.change({"folders": [GrantedFolder(str(folder))]})
        yield app


async def read(app: App, path: object, **arguments: Any) -> str:
    return (await called(read_file, context_of(app), path=str(path), **arguments)).text


async def listed(app: App, path: object = "") -> str:
    return (await called(list_folder, context_of(app), path=str(path))).text


async def searched(app: App, folder: object, **arguments: Any) -> str:
    return (await called(search_files, context_of(app), folder=str(folder), **arguments)).text


# -- reading --------------------------------------------------------------------------------------


async def test_a_file_comes_with_numbered_lines_and_says_where_it_is_from(app: App, folder: Path) -> None:
    found = await called(read_file, context_of(app), path=str(folder / "plan.md"))

    assert f"{folder}/plan.md: lines 1 to 2 of 2.\n     1\t# Plan\n     2\tBuy plums" == found.text
    assert ("file", str(folder / "plan.md")) == (found.origin, found.source)


async def test_a_path_from_the_only_granted_folder_is_understood(app: App) -> None:
    assert "two plums" in await read(app, "notes/list.txt")


async def test_a_long_file_comes_in_pieces(app: App, folder: Path) -> None:
    (folder / "long.txt").write_text("".join(f"line {n}\n" for n in range(1, 5001)))

    first = await read(app, folder / "long.txt")
    second = await read(app, folder / "long.txt", from_line=4999, line_count=2000)
    beyond = await read(app, folder / "long.txt", from_line=6000)

    assert first.startswith(f"{folder}/long.txt: lines 1 to 2,000 of 5,000. Continue with from_line=2001.\n")
    assert second.endswith(": lines 4,999 to 5,000 of 5,000.\n  4999\tline 4999\n  5000\tline 5000")
    assert beyond.endswith("it has only 5,000 lines.")


async def test_long_lines_and_large_files_are_cut_and_say_so(app: App, folder: Path) -> None:
    (folder / "one.js").write_text("x" * 50_000)
    (folder / "wide.txt").write_text(("y" * 1990 + "\n") * 2000)
    with (folder / "huge.log").open("wb") as file:
        file.write("ü".encode() * 10)
        file.truncate(20)
        for _ in range(11):
            file.write(b"a long line of a log\n" * 50_000)

    one, wide, huge = [await read(app, folder / name) for name in ("one.js", "wide.txt", "huge.log")]

    assert one.endswith("xxx… (48,000 more characters)")
    assert len(wide) < OUTPUT_LIMIT + 1000
    assert "lines 1 to 50 of 2,000. Continue with from_line=51." in wide
    assert f"Only the first {READ_LIMIT_BYTES:,} of its 11,550,020 bytes can be read." in huge


@pytest.mark.parametrize(
    ("content", "text", "said"),
    [
        (b"", "the file is empty.", ""),
        ("Grüße\n".encode(), "Grüße", "1 of 1.\n"),
        ("\ufeffGrüße\n".encode(), "     1\tGrüße", "1 of 1.\n"),
        ("Grüße\n".encode("utf-16"), "Grüße", "seems to be utf-16."),
        (
            "Grüße\r\nUnd\rmehr".encode("cp1252"),
            "     1\tGrüße\n     2\tUnd\n     3\tmehr",
            "seems to be cp1252.",
        ),
        (b"caf\xe9 \x81", "café \ufffd", "cp1252"),
        ("a\u2028b\x0cc\n".encode(), "a\u2028b\x0cc", "1 of 1.\n"),
    ],
)
async def test_encodings_and_line_ends_are_understood(
    app: App, folder: Path, content: bytes, text: str, said: str
) -> None:
    (folder / "file").write_bytes(content)

    found = await read(app, folder / "file")

    assert text in found
    assert said in found


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", bytes(range(1, 32)) * 9, b"\xff\xfe\x00\xd8\x00", b"GIF89a\x00"],
)
async def test_a_file_that_is_no_text_is_said_to_be_none(app: App, folder: Path, content: bytes) -> None:
    (folder / "image").write_bytes(content)

    with pytest.raises(FileRefused, match=rf"is no text file \({len(content)} bytes\)"):
        await read(app, folder / "image")


# -- listing and searching ------------------------------------------------------------------------


async def test_a_folder_is_listed_and_so_are_the_granted_ones(app: App, folder: Path) -> None:
    (folder / "notes" / "in").mkdir()
    (folder / "notes" / "link").symlink_to("/etc/passwd")
    (folder / "notes" / "new\nline").touch()
    os.mkfifo(folder / "notes" / "pipe")
    for name in ("list.txt", "new\nline"):
        os.utime(folder / "notes" / name, (1_700_000_000, 1_700_000_000))
    changed = f"{datetime.fromtimestamp(1_700_000_000):%Y-%m-%d %H:%M}"

    assert f"The folders are: {folder} (read)" == await listed(app)
    assert [
        f"{folder}/notes:",
        "in/",
        "link (a link)",
        f"list.txt  20 bytes  {changed}",
        f"'new\\nline'  0 bytes  {changed}",
        "pipe (no ordinary file)",
    ] == (await listed(app, folder / "notes")).splitlines()


async def test_a_huge_folder_is_bounded(app: App, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "many").mkdir()
    for n in range(700):
        (folder / "many" / f"{n:04}.txt").touch()

    some = (await listed(app, folder / "many")).splitlines()
    monkeypatch.setattr(LISTING, "LOOKED_AT_LIMIT", 600)
    cut = (await listed(app, folder / "many")).splitlines()

    assert 502 == len(some)
    assert "… 500 of 700 entries are shown; search_files finds others by name." == some[-1]
    assert "… 500 of more than 600 entries are shown; search_files finds others by name." == cut[-1]


async def test_files_are_found_by_name_and_by_text(app: App, folder: Path) -> None:
    (folder / "PLUMS.TXT").write_text("nothing")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "plums.txt").write_text("plums")
    (folder / "image.bin").write_bytes(b"plums\0plums")

    assert [str(folder / "PLUMS.TXT"), f"{folder}/notes/list.txt"] == (
        await searched(app, folder, name="*.txt")
    ).splitlines()
    assert [str(folder / "PLUMS.TXT")] == (await searched(app, folder, name="plum")).splitlines()
    assert (
        f"{folder}/plan.md\n     2\tBuy plums\n{folder}/notes/list.txt\n     2\ttwo plums"
        == await searched(app, folder, text="PLUMS")
    )
    assert f"{folder}/plan.md\n     2\tBuy plums" == await searched(app, folder, name="*.md", text="plums")
    assert f"Nothing was found in {folder}." == await searched(app, folder, text="[a-z]+")
    with pytest.raises(BadArguments):
        await searched(app, folder)


async def test_a_search_is_bounded(app: App, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = folder.joinpath(*["deep"] * 60)
    deep.mkdir(parents=True)
    (deep / "treasure.txt").touch()
    (folder / "big.txt").write_text("plums\n" * 400_000)
    (folder / "wide.txt").write_text("x" * 5000 + "needle" + "y" * 5000)
    for n in range(30):
        (folder / f"same{n:02}.txt").write_text("many plums here\n" * 9)

    few = await searched(app, folder, name="same*", limit=3)
    lines = await searched(app, folder, name="same00*", text="plums")
    wide = await searched(app, folder, text="needle")
    monkeypatch.setattr(SEARCHING, "LOOKED_AT_LIMIT", 5)
    short = await searched(app, folder, name="*")

    assert "… only the first 3 are shown; search in a folder inside, or for something narrower." in few
    assert 7 == len(lines.splitlines())
    assert "needle" in wide
    assert len(wide) < 500
    assert "only 5 files and folders were looked at" in short
    assert "Nothing was found" in await searched(app, folder, name="treasure*")
    assert "big.txt" not in await searched(app, folder, text="plums", limit=200)


async def test_a_search_that_is_stopped_ends(app: App, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "many").mkdir()
    for n in range(3000):
        (folder / "many" / str(n)).write_text("x")
    ended: list[str] = []
    look_in = SEARCHING._Search.look_in

    def watched(search: Any, top: Any) -> None:
        look_in(search, top)
        ended.append(search.ended)

    monkeypatch.setattr(SEARCHING._Search, "look_in", watched)
    call = asyncio.create_task(searched(app, folder, text="plums"))
    asyncio.get_running_loop().call_later(0.02, call.cancel)

    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        while not ended:
            await asyncio.sleep(0.01)  # a thread has no event to wait for

    assert ["the search was stopped"] == ended


# -- what must not be reached ---------------------------------------------------------------------

Path_ = Callable[[Path], object]
HOSTILE: list[Path_] = [
    lambda folder: "/etc/passwd",
    lambda folder: "/proc/self/environ",
    lambda folder: "/proc/self/cwd/outside/secret.txt",
    lambda folder: f"/proc/{os.getpid()}/root{folder.parent}/outside/secret.txt",
    lambda folder: "/dev/fd/0",
    lambda folder: "/dev/zero",
    lambda folder: "/dev/stdin",
    lambda folder: "/",
    lambda folder: "..",
    lambda folder: "../outside/secret.txt",
    lambda folder: "notes/../../outside/secret.txt",
    lambda folder: f"{folder}/../outside/secret.txt",
    lambda folder: f"{folder}/notes/../../outside/secret.txt",
    lambda folder: f"{folder}/./.././outside//secret.txt",
    lambda folder: f"{folder}/missing/../../outside/secret.txt",
    lambda folder: f"{folder}x/secret.txt",
    lambda folder: f"{folder.parent}/outside/secret.txt",
    lambda folder: f"{folder}\\..\\outside\\secret.txt",
    lambda folder: f"{folder}/%2e%2e/outside/secret.txt",
    lambda folder: f"{folder}/..%2foutside/secret.txt",
    lambda folder: f"{folder}/\u2025/outside/secret.txt",
    lambda folder: f"{folder}/plan.md/../../outside/secret.txt/x",
    lambda folder: f"{folder}/plan.md\x00.txt",
    lambda folder: "\x00",
    lambda folder: "~/secret.txt",
    lambda folder: "~root/.bashrc",
    lambda folder: "$HOME/secret.txt",
    lambda folder: "${HOME}/secret.txt",
    lambda folder: "file:///etc/passwd",
    lambda folder: f"file://{folder}/plan.md",
    lambda folder: "//server/share/secret.txt",
    lambda folder: "\\\\server\\share\\secret.txt",
    lambda folder: "\\\\?\\C:\\secret.txt",
    lambda folder: "\\\\.\\PhysicalDrive0",
    lambda folder: "C:\\Windows\\win.ini",
    lambda folder: "CON",
    lambda folder: "plan.md::$DATA",
    lambda folder: " ",
    lambda folder: f"{folder}/" + "a" * 3000,
    lambda folder: f"{folder}/" + "a/" * 1500,
    lambda folder: "a/../" * 700 + "../outside/secret.txt",
    lambda folder: f"{folder}/notes",
    lambda folder: f"{folder}",
    lambda folder: f"{folder}/link",
    lambda folder: f"{folder}/link-to-folder/secret.txt",
    lambda folder: f"{folder}/relative-link",
    lambda folder: f"{folder}/link-to-link",
    lambda folder: f"{folder}/loop",
    lambda folder: f"{folder}/loop/x",
    lambda folder: f"{folder}/dangling",
    lambda folder: f"{folder}/proc/self/environ",
    lambda folder: f"{folder}/pipe",
    lambda folder: f"{folder}/socket",
    lambda folder: f"{folder}/zero",
    lambda folder: f"{folder}/data/deskside.db",
    lambda folder: f"{folder}/notes/../data/deskside.db",
    lambda folder: f"{folder}/link-to-data/deskside.db",
    lambda folder: f"{folder}/logs/combined.log",
    lambda folder: f"{folder}/notes/log-link",
]


@pytest.fixture
def traps(app: App, folder: Path, tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    (folder / "link").symlink_to(outside / "secret.txt")
    (folder / "link-to-folder").symlink_to(outside)
    (folder / "relative-link").symlink_to("../outside/secret.txt")
    (folder / "link-to-link").symlink_to(folder / "link")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "dangling").symlink_to(tmp_path / "not-there")
    (folder / "proc").symlink_to("/proc")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "link-to-data").symlink_to(folder / "data")
    os.mkfifo(folder / "pipe")
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "combined.log").write_text(SECRET)
    (folder / "notes" / "log-link").symlink_to("../logs/combined.log")
    if len(str(folder)) < 90:  # as long as a socket's path can be
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket"))
    return folder


@pytest.mark.parametrize("path", HOSTILE)
async def test_a_path_that_leads_elsewhere_is_refused(app: App, traps: Path, path: Path_) -> None:
    with pytest.raises((FileRefused, BadArguments)) as refusal:
        async with asyncio.timeout(5):
            await read(app, path(traps))

    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "..",
        "../outside",
        "/proc/self",
        "link-to-folder",
        "data",
        "logs",
        "loop",
        "plan.md",
        "~",
        "proc/self",
    ],
)
async def test_a_folder_that_lies_elsewhere_is_neither_listed_nor_searched(
    app: App, traps: Path, path: str
) -> None:
    with pytest.raises(FileRefused):
        await listed(app, path)
    with pytest.raises(FileRefused):
        await searched(app, path, name="*")


async def test_a_search_follows_no_link_and_stays_out_of_the_data_folder(app: App, traps: Path) -> None:
    by_name = await searched(app, traps, name="*", limit=200)
    by_text = await searched(app, traps, text="planted", limit=200)

    assert [str(traps / "plan.md"), f"{traps}/notes/list.txt"] == by_name.splitlines()
    assert f"Nothing was found in {traps}." == by_text


async def test_outside_it_is_the_same_whether_something_is_there(app: App, tmp_path: Path) -> None:
    said = []
    for name in ("secret.txt", "absent.txt"):
        with pytest.raises(FileRefused) as refusal:
            await read(app, tmp_path / "outside" / name)
        said.append(str(refusal.value).replace(name, ""))

    assert said[0] == said[1]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_is_put_there_after_the_look_is_not_followed(
    folder: Path, tmp_path: Path, what: str
) -> None:
    files = GrantedFiles([GrantedFolder(str(folder))], paths_in(tmp_path))
    place = files.find(str(folder / "notes" / "list.txt"))
    (tmp_path / "outside" / "list.txt").write_text(SECRET)
    if what == "file":
        (folder / "notes" / "list.txt").unlink()
        (folder / "notes" / "list.txt").symlink_to(tmp_path / "outside" / "list.txt")
    else:
        shutil.rmtree(folder / "notes")
        (folder / "notes").symlink_to(tmp_path / "outside")

    with pytest.raises(FileRefused), files.open_file(place):
        pass


@pytest.mark.parametrize("what", ["file", "folder"])
def test_without_descriptors_of_folders_links_are_refused_too(
    folder: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granted_files, "HAS_DESCRIPTORS", False)
    files = GrantedFiles([GrantedFolder(str(folder))], paths_in(tmp_path))
    place = files.find(str(folder / "notes" / "list.txt"))
    with files.open_file(place) as descriptor:
        content = os.read(descriptor, 100)
    shutil.rmtree(folder / "notes")
    if what == "file":
        (folder / "notes").mkdir()
        (folder / "notes" / "list.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    else:
        (folder / "notes").symlink_to(tmp_path / "outside")

    assert b"one\ntwo plums\nthree\n" == content
    with pytest.raises(FileRefused), files.open_file(place):
        pass


def test_no_descriptor_is_left_open(folder: Path, tmp_path: Path) -> None:
    files = GrantedFiles([GrantedFolder(str(folder))], paths_in(tmp_path))

    def next_descriptor() -> int:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    before = next_descriptor()
    for name in ("notes", "notes/absent", "notes/absent/x", "plan.md/x"):
        with pytest.raises(FileRefused), files.open_file(files.find(str(folder / name))):
            pass
    with files.open_file(files.find(str(folder / "notes" / "list.txt"))):
        pass

    assert before == next_descriptor()


async def test_without_a_grant_there_is_nothing(app: App, folder: Path) -> None:
    await app.settings.change({"folders": []})

    with pytest.raises(FileRefused, match="No folder was granted; the user can grant some in Settings"):
        await read(app, folder / "plan.md")
    assert (await listed(app)).startswith("No folder was granted")


# -- granting -------------------------------------------------------------------------------------


def test_a_grant_is_the_folder_itself_and_not_a_link_to_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(folder)

    once = granted(str(tmp_path / "shortcut"), False, [], paths_in(tmp_path))
    twice = granted(str(folder), True, once, paths_in(tmp_path))

    assert [GrantedFolder(str(folder), False)] == once
    assert [GrantedFolder(str(folder), True)] == twice


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "/proc/self",
        "/dev",
        "/sys",
        "relative",
        "",
        "//server/share",
        "a\0b",
        "{home}",
        "{home}/..",
        "{data}",
        "{data}/backups",
        "{folder}/plan.md",
        "{folder}/absent",
    ],
)
def test_what_nobody_would_want_to_show_is_not_granted(
    path: str, folder: Path, home: Path, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path / "own")
    (paths.data / "backups").mkdir(parents=True)

    with pytest.raises(InvalidRequest):
        granted(path.format(home=home, data=paths.data, folder=folder), True, [], paths)


def test_grants_are_bounded(tmp_path: Path) -> None:
    many = [GrantedFolder(f"/x/{n}") for n in range(50)]
    (tmp_path / "one-more").mkdir()

    with pytest.raises(InvalidRequest, match="At most 50 folders"):
        granted(str(tmp_path / "one-more"), False, many, paths_in(tmp_path))
