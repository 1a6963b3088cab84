"""A rescue from its preparation to its place, the trouble that is told, and a program that can only read."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from damage import make_database, overwrite
from deskside.backend import rescue
from deskside.backend.app import App, open_app
from deskside.backend.backups import restoring
from deskside.backend.backups.making import make_backup
from deskside.backend.errors import (
    AppError,
    Conflict,
    NotFound,
    StoreDamaged,
    StoreFull,
    StoreGone,
    StoreUnsuitable,
)
from deskside.backend.events import TroubleChanged
from deskside.backend.paths import Paths
from deskside.backend.store import attachments, conversations
from deskside.backend.store.database import open_store
from deskside.backend.store.sqlite_errors import store_error
from stores import ask, files_of, paths_in, rows, run_to_its_death, shown, texts


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "deskside.db"
    make_database(path, conversations=20)
    return path


@pytest.fixture
def paths(whole: Path, tmp_path: Path) -> Paths:
    """A data folder whose database has lost its conversations' first page."""
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    shutil.copy(whole, paths.database)
    lost = rows(whole, "select pageno from dbstat where name = 'conversation' limit 1")[0][0]
    overwrite(paths.database, {lost}, bytes)
    return paths


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


# -- from the preparation to its place ----------------------------------------------------------


async def test_a_rescue_takes_effect_at_the_next_start_and_keeps_the_damaged_file(paths: Paths) -> None:
    async with open_app(paths, or_read=True) as app:
        await app.store.read(conversations.page, None, 50)
        damaged = paths.database.read_bytes()
        findings = await app.rescues.prepare()
        await app.rescues.confirm()
    assert damaged == paths.database.read_bytes()

    async with open_app(paths) as app:
        done = await app.rescues.done()
        await ask(app.store, "and on")
        await app.rescues.forget()
        assert await app.rescues.done() is None

    assert done is not None
    assert findings == done.findings
    assert damaged == (Path(done.kept) / "deskside.db").read_bytes()
    assert [("ok",)] == rows(paths.database, "pragma integrity_check")
    assert not paths.rescue.exists()


async def test_what_was_only_looked_at_is_removed_and_changes_nothing(paths: Paths) -> None:
    async with open_app(paths, or_read=True) as app:
        await app.store.read(conversations.page, None, 50)
        await app.rescues.prepare()
    assert paths.rescue.exists()

    async with open_store(paths):
        assert not paths.rescue.exists()
    assert [] == list(paths.data.glob("damaged-*"))


async def test_a_whole_database_is_not_rescued_from_the_window(tmp_path: Path) -> None:
    async with open_app(paths_in(tmp_path)) as app:
        with pytest.raises(Conflict):
            await app.rescues.prepare()
        with pytest.raises(NotFound):
            await app.rescues.confirm()


KILLED_WHILE_IT_IS_PUT_IN_PLACE = """
import os, signal, sys
from pathlib import Path
from deskside.backend import rescue
from stores import paths_in

after, counted = int(sys.argv[2]), 0

def dies(function):
    def call(*arguments, **named):
        global counted
        counted += 1
        if counted > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call

os.replace = dies(os.replace)
rescue.sync_folder = dies(rescue.sync_folder)
rescue.apply_pending(paths_in(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after", range(9))
def test_a_crash_while_it_is_put_in_place_is_made_good_by_the_next_start(
    after: int, paths: Paths, tmp_path: Path
) -> None:
    damaged = paths.database.read_bytes()
    (paths.data / "deskside.db-wal").write_bytes(b"of the damaged one")
    rescue.confirm(paths, rescue.prepare(paths))

    run_to_its_death(KILLED_WHILE_IT_IS_PUT_IN_PLACE, tmp_path, after)
    rescue.apply_pending(paths)

    (kept,) = paths.data.glob("damaged-*")
    assert damaged == (kept / "deskside.db").read_bytes()
    assert b"of the damaged one" == (kept / "deskside.db-wal").read_bytes()
    assert [("ok",)] == rows(paths.database, "pragma integrity_check")
    assert {"deskside.db", kept.name, "rescued.json"} == {path.name for path in paths.data.iterdir()}


async def with_files(paths: Paths, *contents: bytes) -> None:
    """A conversation with files put to its draft, each with the words of its content for a name."""
    async with open_app(paths) as app:
        asked = await ask(app.store)
        for content in contents:
            await app.attachments.receive(asked.conversation.id, content.decode(), pieces(content))
        put = await app.store.read(attachments.of_draft, asked.conversation.id)
        await app.attachments.wait_for_texts(row.sha256 for row in put)


async def test_attached_files_that_nothing_left_refers_to_are_kept(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    await with_files(paths, b"one", b"other", b"third")
    with closing(sqlite3.connect(paths.database)) as database:  # as a damaged page would
        database.execute("pragma foreign_keys = off")
        database.execute("delete from stored_file where id = 1")
        database.execute("delete from attachment where id = 2")
        database.commit()

    rescue.confirm(paths, rescue.prepare(paths))
    done = rescue.apply_pending(paths)
    async with open_app(paths) as app:
        (left,) = await app.store.read(attachments.of_draft, 1)
        assert b"third" == app.attachments.path_of(left).read_bytes()

    assert done is not None
    assert 2 == done.kept_files
    assert {b"one", b"other"} == {file.read_bytes() for file in (Path(done.kept) / "files").iterdir()}


async def test_an_attached_file_whose_row_is_lost_is_known_again_by_its_hash(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    await with_files(paths, b"one", b"other")
    before = rows(paths.database, "select sha256, size_bytes, media_type, text from stored_file")
    lost = rows(paths.database, "select pageno from dbstat where name = 'stored_file'")
    overwrite(paths.database, {page for (page,) in lost}, bytes)

    found = rescue.prepare(paths)
    rescue.confirm(paths, found)
    async with open_app(paths) as app:
        put = await app.store.read(attachments.of_draft, 1)
        await app.attachments.wait_for_texts(row.sha256 for row in put)

    (table,) = [table for table in found.tables if table.name == "stored_file"]
    assert (0, 2, 0) == (table.rescued, table.rebuilt, table.lost)
    assert ["one", "other"] == [row.name for row in put]
    assert before == rows(paths.database, "select sha256, size_bytes, media_type, text from stored_file")


# -- beside a restore ---------------------------------------------------------------------------


async def test_of_a_rescue_and_a_restore_the_one_chosen_later_counts(
    paths: Paths, tmp_path: Path, whole: Path
) -> None:
    backup = make_backup(whole, tmp_path / "elsewhere", "manual")
    source = tmp_path / "elsewhere" / f"{backup.name}.json"

    def choose_the_backup() -> None:
        restoring.confirm(paths, restoring.prepare(paths, source).source)

    choose_the_backup()
    rescue.confirm(paths, rescue.prepare(paths))
    assert not restoring.is_pending(paths)
    choose_the_backup()
    async with open_app(paths) as app:
        applied = app.store.applied

    assert applied is not None
    assert "restored" == applied.outcome
    assert rows(whole, "select id, title from conversation") == rows(
        paths.database, "select id, title from conversation"
    )
    # What was rescued before that is kept, too.
    assert (paths.backups / f"{applied.replaced}.json").is_file()
    assert 1 == len(list(paths.data.glob("damaged-*")))


# -- a store that can only be read --------------------------------------------------------------


async def test_a_database_that_does_not_open_is_shown_as_far_as_it_can_be_read(
    whole: Path, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    shutil.copy(whole, paths.database)
    overwrite(paths.database, {1}, bytes)
    before = files_of(paths.data)

    async with open_app(paths, or_read=True) as app:
        listed = (await app.store.read(conversations.page, None, 50)).conversations
        first = await shown(app.store, listed[0].id)
        with pytest.raises(StoreDamaged):
            await ask(app.store, "no more")
        assert isinstance(app.store.trouble, StoreDamaged)

    assert 18 == len(listed)
    assert all(texts(first))
    assert before == {name: content for name, content in files_of(paths.data).items() if "lock" not in name}


async def test_a_copy_that_a_killed_program_left_behind_is_gone_after_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "passing"))
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    left = [tmp_path / "passing" / f"deskside-readable-{pid}-x" for pid in (ended.pid, os.getpid())]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "deskside.readable-1.db").write_text("what the user wrote")

    async with open_app(paths_in(tmp_path)):
        assert [False, True] == [folder.exists() for folder in left]


async def test_a_file_that_holds_nothing_of_ours_is_an_empty_window_and_left_alone(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    paths.database.write_text("Dear diary\n" * 5000)

    async with open_app(paths, or_read=True) as app:
        assert [] == (await app.store.read(conversations.page, None, 50)).conversations
        with pytest.raises(StoreDamaged, match="Nothing"):
            await app.rescues.prepare()

    assert "Dear diary\n" * 5000 == paths.database.read_text()


# -- the data folder is gone --------------------------------------------------------------------


def troubles(app: App) -> list[str | None]:
    found = [event for event in app.events.since(0, 1000) or [] if isinstance(event, TroubleChanged)]
    return [event.trouble and event.trouble.code for event in found]


async def test_a_folder_that_is_gone_is_noticed_without_a_write_and_so_is_its_return(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    async with open_app(paths) as app:
        paths.data.rename(elsewhere)
        await app.store.look_whether_it_is_there()
        assert isinstance(app.store.trouble, StoreGone)
        await asyncio.sleep(0)
        elsewhere.rename(paths.data)
        await app.store.look_whether_it_is_there()
        assert app.store.trouble is None
        await asyncio.sleep(0)
        told = troubles(app)

    assert ["store_gone", None] == told


async def test_nothing_is_written_where_the_folder_was(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    async with open_app(paths) as app:
        asked = await ask(app.store)
        paths.data.rename(elsewhere)
        with pytest.raises(StoreGone):
            await app.attachments.receive(asked.conversation.id, "notes.txt", pieces(b"notes"))
        with pytest.raises(StoreGone):
            await ask(app.store, "into nothing")
        assert not paths.data.exists()
    assert not paths.data.exists()


async def test_another_database_in_its_place_is_not_written_to(whole: Path, tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_app(paths) as app:
        paths.data.rename(tmp_path / "elsewhere")
        paths.data.mkdir()
        shutil.copy(whole, paths.database)
        with pytest.raises(StoreGone):
            await ask(app.store, "into another")

    assert whole.read_bytes() == paths.database.read_bytes()


# -- drives that are not fit --------------------------------------------------------------------


async def test_a_drive_without_memory_to_share_is_named_and_its_database_can_be_read(
    whole: Path, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    shutil.copy(whole, paths.database)
    (paths.data / "deskside.db-shm").mkdir()  # what SQLite needs there cannot be made

    async with open_app(paths, or_read=True) as app:
        listed = (await app.store.read(conversations.page, None, 50)).conversations

        assert app.store.is_reading_only
    assert 18 == len(listed)


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        (sqlite3.SQLITE_IOERR_LOCK, "SQLITE_IOERR_LOCK", StoreUnsuitable),
        (sqlite3.SQLITE_IOERR_SHMMAP, "SQLITE_IOERR_SHMMAP", StoreUnsuitable),
        (sqlite3.SQLITE_PROTOCOL, "SQLITE_PROTOCOL", StoreUnsuitable),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE", StoreFull),
    ],
)
def test_what_network_drives_say_is_told_as_what_it_is(
    code: int, name: str, expected: type[Exception]
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = code, name

    assert expected is type(store_error(error, Path("/data/deskside.db")))


# -- the file with the latest changes -----------------------------------------------------------

LEFT_BY_A_CRASH = """
import asyncio, os, signal, sys
from pathlib import Path
from deskside.backend.store.database import open_store
from stores import paths_in, talk

async def main():
    async with open_store(paths_in(Path(sys.argv[1]))) as store:
        for n in range(30):
            await talk(store, (f"question {n}", "x" * 2000))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as a crash left it, with everything still in the -wal file."""
    folder = tmp_path_factory.mktemp("crashed")
    run_to_its_death(LEFT_BY_A_CRASH, folder)
    assert (folder / "data" / "deskside.db-wal").stat().st_size > 100_000
    return folder / "data"


@pytest.mark.parametrize("seed", range(10))
async def test_a_wal_file_that_is_cut_off_or_damaged_is_read_as_far_as_it_is_whole(
    seed: int, crashed: Path, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    shutil.copytree(crashed, paths.data)
    chance = random.Random(seed)
    wal = paths.data / "deskside.db-wal"
    at = chance.randrange(100_000, wal.stat().st_size)
    with wal.open("r+b") as file:
        if seed % 2:
            file.truncate(at)
        else:
            file.seek(at)
            file.write(chance.randbytes(200))

    async with open_store(paths) as store:
        assert not store.is_wal_missing
        listed = (await store.read(conversations.page, None, 50)).conversations
        await ask(store, "and on")

    titles = [row.title for row in reversed(listed)]
    assert [f"question {n}" for n in range(len(titles))] == titles
    assert [("ok",)] == rows(paths.database, "pragma integrity_check")


async def test_a_wal_file_that_is_gone_is_told(crashed: Path, tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    shutil.copytree(crashed, paths.data)
    (paths.data / "deskside.db-wal").unlink()

    async with open_store(paths) as store:
        assert store.is_wal_missing
    async with open_store(paths) as store:
        assert not store.is_wal_missing
    assert [("ok",)] == rows(paths.database, "pragma integrity_check")


async def test_a_wal_file_of_another_database_is_never_brought_into_this_one(
    crashed: Path, whole: Path, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    shutil.copy(whole, paths.database)
    shutil.copy(crashed / "deskside.db-wal", paths.data / "deskside.db-wal")

    async with open_app(paths, or_read=True) as app:
        for number in range(1, 31):
            with suppress(AppError):  # whatever is met first: the damage must be
                await shown(app.store, number)
        assert app.store.damage is not None
    kept = paths.database.read_bytes()
    found = rescue.prepare(paths)

    assert whole.read_bytes() == kept
    assert found.is_without_wal
    assert found.is_whole
