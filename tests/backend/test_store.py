"""The store: group commits, consistent reads, and what happens when the disk or the file fails."""

from __future__ import annotations

import asyncio
import errno
import os
import queue
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.app import open_app
from deskside.backend.errors import (
    AppError,
    NotFound,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    StoreOutdated,
    StoreReadOnly,
    StoreRefused,
)
from deskside.backend.log import request_id
from deskside.backend.store import conversations, errors, settings, threads
from deskside.backend.store.connection import Db
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.first_start import STORE_ID
from deskside.backend.store.salvage import LOST_TEXT
from deskside.backend.store.schema import APPLICATION_ID, Migration, read_migrations
from deskside.backend.store.sqlite_errors import store_error
from stores import PYTHONPATH, ask, files_of, paths_in, rows, run_child, say, shown, talk, texts

# -- opening ------------------------------------------------------------------------------------


async def test_a_first_start_makes_the_folder_the_user_and_the_assistant(tmp_path: Path) -> None:
    paths = paths_in(tmp_path / "deep" / "down")
    async with open_store(paths) as store:
        stored = await store.read(settings.load)

    assert {"theme": "system", "language": "en", STORE_ID: stored[STORE_ID]} == stored
    assert 32 == len(stored[STORE_ID])
    assert 0o700 == stat.S_IMODE(paths.data.stat().st_mode)
    assert 0o600 == stat.S_IMODE(paths.database.stat().st_mode)
    assert [("assistant",)] == rows(paths.database, "select name from agent")
    assert ["deskside.db", "deskside.db.lock"] == sorted(path.name for path in paths.data.iterdir())


async def test_a_second_start_finds_what_the_first_left_and_makes_nothing_twice(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        id = await talk(store, ("Where?", "Here"))
    before = files_of(paths.data)

    async with open_store(paths) as store:
        assert ["Where?", "Here"] == texts(await shown(store, id))

    assert before == files_of(paths.data)


async def test_two_stores_of_one_process_do_not_see_each_other(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path / "a")) as one, open_store(paths_in(tmp_path / "b")) as other:
        await ask(one, "Only here")

        assert 1 == len((await one.read(conversations.page, None, 10)).conversations)
        assert [] == (await other.read(conversations.page, None, 10)).conversations


async def test_programs_that_start_at_once_share_one_new_file(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)

    async def use(n: int) -> None:
        async with open_store(paths) as store:
            await store.write(_note, str(n))

    await asyncio.gather(*(use(n) for n in range(4)))

    assert ["0", "1", "2", "3"] == sorted(row[0] for row in rows(paths.database, NOTES))
    assert [(1, 1)] == rows(
        paths.database, "select (select count(*) from user), (select count(*) from agent)"
    )


async def test_an_opening_that_is_cancelled_lets_go_of_the_file(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)

    async def use() -> None:
        async with open_store(paths):
            pytest.fail("it was cancelled before")

    opening = asyncio.create_task(use())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    async with open_store(paths) as store:
        assert "light" != (await store.read(settings.load))["theme"]


OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from deskside.backend.store.database import open_store
from stores import answer, ask, paths_in, say

async def main():
    async with open_store(paths_in(Path(sys.argv[1]))) as store:
        asked = await ask(store)
        await say(store, asked, "half of ")
        print("streaming", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        row = await answer(store, asked, "half of it, and the rest")
        print(row.status, flush=True)

asyncio.run(main())
"""


async def test_a_reply_that_streams_in_another_process_is_left_to_it(tmp_path: Path) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OTHER_PROCESS, str(tmp_path),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )  # fmt: skip
    assert other.stdout is not None
    async with asyncio.timeout(30):
        assert b"streaming\n" == await other.stdout.readline()
        async with open_store(paths_in(tmp_path)) as store:
            assert "streaming" == (await shown(store, 1))[1].status
            ended, _ = await other.communicate(b"\n")
            assert b"complete\n" == ended
            assert ["Hello", "half of it, and the rest"] == texts(await shown(store, 1))


async def test_a_store_used_after_it_was_closed_says_so(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        pass

    for use in (store.read, store.write, store.write_soon):
        with pytest.raises(RuntimeError, match="is closed"):
            await use(conversations.page, None, 10)


async def test_closing_waits_for_what_is_queued(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        queued = [asyncio.ensure_future(store.write_soon(_note, f"{n}")) for n in range(200)]
        await asyncio.sleep(0)  # let each of them queue its unit

    assert [str(n) for n in range(200)] == [row[0] for row in rows(paths.database, NOTES)]
    assert [None] * 200 == await asyncio.gather(*queued)


# -- units --------------------------------------------------------------------------------------

NOTES = "select message from error_log order by id"


def _note(db: Db, text: str) -> None:
    errors.record(db, "test", "note", text, "", "")


def _note_then_raise(db: Db, text: str) -> None:
    _note(db, text)
    raise NotFound("nothing here")


async def test_what_was_written_is_seen_by_the_next_read(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        for n in range(20):
            await store.write_soon(_note, str(n))
            found = await asyncio.gather(*(store.read(errors.recent, 1) for _ in range(4)))
            assert [[str(n)]] * 4 == [[row.message for row in each] for each in found]


async def test_a_unit_that_raises_is_undone_alone(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        results = await asyncio.gather(
            store.write(_note, "before"),
            store.write(_note_then_raise, "undone"),
            store.write(conversations.rename, 4711, "undone too"),
            store.write(_note, "after"),
            return_exceptions=True,
        )

    assert [None, NotFound, NotFound, None] == [each and type(each) for each in results]
    assert [("before",), ("after",)] == rows(paths.database, NOTES)


async def test_units_of_one_group_see_each_other_in_order(tmp_path: Path) -> None:
    """Also where one writes by SQL what another has read as an entity."""

    def by_sql(db: Db, title: str) -> None:
        db.sql.execute("update conversation set title = ?", (title,))

    async with open_store(paths_in(tmp_path)) as store:
        id = (await ask(store)).conversation.id
        results = await asyncio.gather(
            store.write(conversations.rename, id, "one"),
            store.write(by_sql, "two"),
            store.write(conversations.set_model, id, "a/b"),
            store.write(by_sql, "three"),
            store.write(conversations.save_draft, id, "dear"),
        )

        assert ["one", "two", "three"] == [each.title for each in results if each]
        assert ("three", "a/b", "dear") == (results[4].title, results[4].model, results[4].draft)


async def test_sql_sees_entities_that_were_changed_before_it(tmp_path: Path) -> None:
    def rename_and_look(db: Db, id: int) -> str:
        db.Conversation[id].title = "changed"
        return str(db.sql.execute("select title from conversation where id = ?", (id,)).fetchone()[0])

    async with open_store(paths_in(tmp_path)) as store:
        assert "changed" == await store.write(rename_and_look, (await ask(store)).conversation.id)


async def test_a_read_sees_one_moment(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        loop = asyncio.get_running_loop()

        def count_twice(db: Db) -> tuple[int, int]:
            first = db.sql.execute("select count(*) from error_log").fetchone()[0]
            asyncio.run_coroutine_threadsafe(store.write(_note, "meanwhile"), loop).result(timeout=10)
            return first, db.sql.execute("select count(*) from error_log").fetchone()[0]

        assert (0, 0) == await store.read(count_twice)
        assert ["meanwhile"] == [row.message for row in await store.read(errors.recent, 10)]


async def test_any_number_of_reads_can_wait(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        answers = await asyncio.gather(
            *(store.read(lambda db, n=n: db.sql.execute("select ?", (n,)).fetchone()[0]) for n in range(5000))
        )

    assert [*range(5000)] == answers


async def test_a_text_that_is_damaged_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        id = await talk(store, ("Where?", "Here"))
        with closing(sqlite3.connect(paths.database)) as other, other:
            other.execute("update message_part set text = cast(x'48fe7265' as text) where text = 'Here'")
        assert ["Where?", "H\ufffdre"] == texts(await shown(store, id))


async def test_a_read_cannot_write(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        with pytest.raises(StoreReadOnly):
            await store.read(_note, "sneaked in")

        assert [] == await store.read(errors.recent, 10)


async def test_a_read_whose_caller_gave_up_ends_in_the_middle(tmp_path: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    started: queue.SimpleQueue[None] = queue.SimpleQueue()

    def read_on(db: Db) -> None:
        started.put(None)
        db.sql.execute(endless).fetchone()

    async with open_store(paths_in(tmp_path)) as store:
        readers = [asyncio.create_task(store.read(read_on)) for _ in range(3)]
        for _ in readers:
            await asyncio.to_thread(started.get, timeout=30)
        for reader in readers:
            reader.cancel()

        async with asyncio.timeout(30):
            assert [] == await store.read(errors.recent, 10)


async def test_a_write_whose_caller_gave_up_still_happens_and_disturbs_no_other(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        given_up = [asyncio.ensure_future(store.write(_note, f"given up {n}")) for n in range(3)]
        waited_for = asyncio.ensure_future(store.write(_note, "waited for"))
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()

        await waited_for
        assert all(isinstance(each, asyncio.CancelledError) for each in await _settled(given_up))

    assert ["given up 0", "given up 1", "given up 2", "waited for"] == [
        row[0] for row in rows(paths.database, NOTES)
    ]


async def _settled(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_request_id_of_the_caller_reaches_what_is_written(tmp_path: Path) -> None:
    async def note(id: str) -> None:
        request_id.set(id)
        await store.write(_note, id)

    async with open_store(paths_in(tmp_path)) as store:
        await asyncio.gather(*(asyncio.create_task(note(f"request-{n}")) for n in range(8)))

        found = await store.read(errors.recent, 10)
        assert [row.message for row in found] == [row.request_id for row in found]


async def test_only_what_must_survive_a_power_cut_waits_for_the_disk(tmp_path: Path) -> None:
    def synchronous(db: Db) -> int:
        return int(db.sql.execute("pragma synchronous").fetchone()[0])

    async with open_store(paths_in(tmp_path)) as store:
        assert 2 == await store.write(synchronous)  # FULL
        assert 1 == await store.write_soon(synchronous)  # NORMAL
        together = await asyncio.gather(store.write_soon(_note, ""), *(_both(store, synchronous)))
        assert 2 == together[-1]


def _both(store: Store, function: Any) -> list[Any]:
    return [store.write_soon(function), store.write(function)]


async def test_the_wal_does_not_grow_without_bound(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    largest = 0
    async with open_store(paths) as store:

        def fill(db: Db, n: int) -> None:
            value = "x" * 500_000
            db.sql.execute("insert or replace into setting values (?, json_quote(?), 0)", (n % 8, value))

        async def read_on() -> None:
            while not done.is_set():
                await store.read(settings.load)

        done = asyncio.Event()
        readers = [asyncio.create_task(read_on()) for _ in range(3)]
        for n in range(80):  # 40 MB
            await store.write_soon(fill, n)
            largest = max(largest, paths.database.with_name("deskside.db-wal").stat().st_size)
        done.set()
        await asyncio.gather(*readers)

    assert largest < 2 * threads.LARGEST_WAL_BYTES
    assert not paths.database.with_name("deskside.db-wal").exists()


# -- another program holds the file ------------------------------------------------------------


async def test_a_file_that_another_program_holds_is_busy_and_then_not(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths, busy_timeout_s=0.05) as store:
        with closing(sqlite3.connect(paths.database, isolation_level=None)) as other:
            other.execute("begin immediate")
            waiting = [asyncio.create_task(store.write(_note, "x")) for _ in range(3)]
            results = await _settled(waiting)
            assert [] == await store.read(errors.recent, 10)
            other.execute("rollback")

        assert [StoreBusy] * 3 == [type(each) for each in results]
        assert str(paths.database) in str(results[0])
        await store.write(_note, "later")
        assert ["later"] == [row.message for row in await store.read(errors.recent, 10)]


async def test_a_busy_file_cannot_be_migrated(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    with closing(sqlite3.connect(paths.database, isolation_level=None)) as other:
        other.execute("begin exclusive")

        with pytest.raises(StoreBusy):
            async with open_store(paths, busy_timeout_s=0.05):
                pass


# -- the disk is full ---------------------------------------------------------------------------


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(tmp_path: Path) -> None:
    def limit_pages(db: Db, more: int | None) -> None:
        pages = db.sql.execute("pragma page_count").fetchone()[0]
        db.sql.execute(f"pragma max_page_count = {2**30 if more is None else pages + more}")

    async with open_store(paths_in(tmp_path)) as store:
        await store.write(limit_pages, 12)
        results = await asyncio.gather(
            store.write(_note, "small"),
            store.write(settings.save, {"large": "x" * 1_000_000}),
            store.write(_note, "small too"),
            return_exceptions=True,
        )

        assert [None, StoreFull, None] == [each and type(each) for each in results]
        assert "full" in results[1].message
        assert str(store.path) in results[1].message
        await store.write(limit_pages, None)
        await store.write(settings.save, {"large": "x" * 1_000_000})
        assert ["small too", "small"] == [row.message for row in await store.read(errors.recent, 10)]


FULL_DISK = """
import asyncio, os, sys
from pathlib import Path
from deskside.backend.errors import StoreFull
from deskside.backend.store import replies
from deskside.backend.store.database import open_store
from stores import ask, paths_in, say, shown, texts

async def main():
    folder = Path(sys.argv[1])
    async with open_store(paths_in(folder)) as store:
        asked = await ask(store)
        ballast = folder / "ballast"
        descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
        try:
            while True:
                os.write(descriptor, bytes(4096))
        except OSError:
            os.close(descriptor)
        kept = ""
        for n in range(2000):
            try:
                chunk = replies.Chunk(asked.reply.id, 0, "text", n, "x" * 1000)
                await store.write_soon(replies.append_chunks, [chunk])
                kept += "x" * 1000
            except StoreFull as error:
                print(error.message)
                break
        ballast.unlink()
        await store.write(replies.append_chunks, [replies.Chunk(asked.reply.id, 0, "text", 5000, "and on")])
        assert texts(await shown(store, asked.conversation.id))[1] == kept + "and on"
        print("went on")

asyncio.run(main())
"""


def _can_mount() -> bool:
    try:
        tried = subprocess.run(
            ["unshare", "--map-root-user", "--user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True,
            check=False,
            timeout=10,
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs Linux and the right to mount a small disk of one's own")
def test_a_disk_that_is_really_full_loses_nothing_and_is_used_again_when_it_has_room(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(FULL_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()

    child = subprocess.run(
        ["unshare", "--map-root-user", "--user", "--mount", "sh", "-c",
         'mount -t tmpfs -o size=3m none "$1" && exec "$2" "$3" "$1"',
         "sh", disk, sys.executable, script],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert 0 == child.returncode, child.stderr
    full, went_on = child.stdout.splitlines()
    assert "is full" in full or "did not take" in full
    assert "went on" == went_on


# -- the file cannot be written -----------------------------------------------------------------

OPEN_AND_WRITE = """
import asyncio, os, sys
from pathlib import Path
from deskside.backend.paths import Paths
from deskside.backend.errors import AppError
from deskside.backend.store import errors, migrate
from deskside.backend.store.database import open_store

async def main():
    data = Path(sys.argv[1])
    try:
        async with open_store(Paths(data, data, data)) as store:
            await store.write(errors.record, "a", "b", "c", "d", "e")
    except AppError as error:
        print(type(error).__name__, error.message)

if len(sys.argv) > 2:
    # Root may write anywhere. Who comes after it may not be able to read this checkout: /root is root's.
    ready = migrate.read_migrations()
    migrate.read_migrations = lambda: ready
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach: pytest's own cannot be entered by others."""
    with tempfile.TemporaryDirectory(prefix="deskside-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def _as_a_user_who_may_not(data: Path) -> str:
    """What a user sees who is not root and does not own the folder."""
    nobody = [65534] if os.geteuid() == 0 else []
    child = run_child(OPEN_AND_WRITE, data, *nobody)
    assert 0 == child.returncode, child.stderr
    return child.stdout.strip()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("what", ["folder", "file", "new file"])
async def test_what_may_not_be_written_is_read_only(what: str, open_folder: Path) -> None:
    data = open_folder / "data"
    if what == "new file":
        data.mkdir()
    else:
        async with open_store(paths_in(open_folder)):
            pass
        (data / "deskside.db").chmod(0o444)
    data.chmod(0o777 if what == "file" else 0o555)

    told = await asyncio.to_thread(_as_a_user_who_may_not, data)

    data.chmod(0o755)
    assert told.startswith("StoreReadOnly")
    assert str(data / "deskside.db") in told


async def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    with pytest.raises(StoreReadOnly, match="in the way") as raised:
        async with open_store(paths_in(tmp_path)):
            pass

    assert str(tmp_path / "data") in raised.value.message
    assert "not a folder" == (tmp_path / "data").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let go of an open file")
async def test_a_database_that_is_moved_away_is_told_and_welcome_back(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    async with open_store(paths) as store:
        await ask(store, "before")
        paths.data.rename(elsewhere)
        with pytest.raises(StoreReadOnly, match="moved, removed or replaced"):
            await ask(store, "into nothing")
        elsewhere.rename(paths.data)
        await ask(store, "after")

    assert [("before",), ("after",)] == rows(paths.database, "select text from message_part order by id")


# -- the file is damaged or not ours ------------------------------------------------------------


async def test_a_damaged_file_is_read_as_far_as_it_goes_and_never_written_again(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        ids = [await talk(store, (f"question {n}", "x" * 3000)) for n in range(30)]
        await store.write(_note, "note")
    _damage(paths.database, "message_part")
    before = files_of(paths.data)

    async with open_store(paths) as store:
        assert [LOST_TEXT] * 2 == texts(await shown(store, ids[20]))
        for _ in range(2):
            with pytest.raises(StoreDamaged, match="damaged") as raised:
                await store.write(_note, "no more")
            with pytest.raises(StoreDamaged):
                await store.write_soon(conversations.rename, ids[0], "no more")

        assert str(paths.database) in raised.value.message
        assert "backup" in raised.value.hint
        assert 30 == len((await store.read(conversations.page, None, 50)).conversations)
    assert before == files_of(paths.data)


async def test_a_crash_and_damage_together_still_let_the_rest_be_read(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        ids = [await talk(store, (f"question {n}", "x" * 3000)) for n in range(30)]
        await say(store, await ask(store, "cut off"), "half")
    _damage(paths.database, "message_part")

    async with open_store(paths) as store:
        listed = (await store.read(conversations.page, None, 50)).conversations
        cut_off = await shown(store, listed[0].id)
        with pytest.raises(StoreDamaged):
            await store.write(conversations.rename, ids[0], "no more")

    assert 31 == len(listed)
    assert ("interrupted", [LOST_TEXT, "half"]) == (cut_off[1].status, texts(cut_off))


@pytest.mark.parametrize(
    "damaged",
    [
        "conversation_by_updated",
        "message_by_parent",
        "message_part_by_position",
        "agent",
        "setting",
        "tool",
        "user",
    ],
)
async def test_damage_to_one_part_does_not_hide_the_conversations(damaged: str, tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_app(paths) as app:
        ids = [await talk(app.store, (f"question {n}", f"answer {n}")) for n in range(5)]
    _damage(paths.database, damaged, first=0)
    (paths.data / "deskside.readable-1.db").write_text("left by a crash")

    async with open_app(paths) as app:
        listed = (await app.store.read(conversations.page, None, 50)).conversations

        assert ids[::-1] == [row.id for row in listed]
        for n, id in enumerate(ids):
            assert [f"question {n}", f"answer {n}"] == texts(await shown(app.store, id))
        with pytest.raises(StoreDamaged):
            await ask(app.store, "no more")
    assert [] == list(paths.data.glob("*readable*"))


async def test_lost_messages_are_put_together_from_what_refers_to_them(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        ids = [await talk(store, *((f"question {n}", f"answer {n}") for n in range(40))) for _ in range(10)]
    message_pages = rows(
        paths.database, "select pageno from dbstat where name = 'message' and pagetype = 'leaf'"
    )
    _overwrite(paths.database, [message_pages[2][0]])

    async with open_store(paths) as store:
        seen = {id: len(await shown(store, id)) for id in ids}

    # The rows are gone; the indexes and the texts still say what they were.
    assert {80} == set(seen.values())


async def test_damage_that_a_write_meets_stops_writing(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        id = await talk(store, *((f"question {n}", "x" * 3000) for n in range(30)))
    _damage(paths.database, "message_part")

    async with open_store(paths) as store:
        results = await asyncio.gather(
            store.write(_note, "before"),
            ask(store, "y" * 9000, id),
            store.write(_note, "after"),
            return_exceptions=True,
        )

        assert StoreDamaged is type(results[1])
        with pytest.raises(StoreDamaged):
            await store.write(_note, "no more")


def _damage(database: Path, table: str, first: int = 1) -> None:
    """Overwrite a table's pages but its first."""
    pages = sorted(rows(database, "select pageno from dbstat where name = ?", table))
    _overwrite(database, [number for (number,) in pages[first:]])


def _overwrite(database: Path, pages: list[int]) -> None:
    size = rows(database, "pragma page_size")[0][0]
    with database.open("r+b") as file:
        for number in pages:
            file.seek((number - 1) * size)
            file.write(b"\xa5" * size)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"Dear diary\n" * 1000, StoreDamaged), (b"SQLite format 3\0" + bytes(4096), StoreDamaged)],
    ids=["a text", "a header and nothing"],
)
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    content: bytes, expected: type[AppError], tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    paths.database.write_bytes(content)

    with pytest.raises(expected) as raised:
        async with open_store(paths):
            pass

    assert content == paths.database.read_bytes()
    assert str(paths.database) in raised.value.message


async def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths):
        pass
    with closing(sqlite3.connect(paths.database)) as connection:
        connection.execute("pragma user_version = 1000")
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
    before = files_of(paths.data)

    with pytest.raises(StoreRefused, match="newer Deskside"):
        async with open_store(paths):
            pass

    assert before == files_of(paths.data)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, StoreFull), (errno.EROFS, StoreReadOnly), (errno.EACCES, StoreReadOnly)],
)
def test_what_the_system_says_is_told_like_what_sqlite_says(number: int, expected: type[AppError]) -> None:
    found = store_error(OSError(number, os.strerror(number), "/data/backups/x.db"), Path("/data/deskside.db"))

    assert expected is type(found)
    assert "/data/backups/x.db" in str(found)


def test_other_errors_stay_what_they_are() -> None:
    assert None is store_error(ValueError("ours"), Path("/data/deskside.db"))
    assert None is store_error(sqlite3.IntegrityError("ours"), Path("/data/deskside.db"))


# -- a migration that fails ---------------------------------------------------------------------


async def test_data_that_cannot_be_updated_are_shown_as_they_were_and_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        first = await talk(store, ("plums", "Eaten."))
        await talk(store, ("plums", "Cold."))
    before = files_of(paths.data)
    newest = read_migrations()
    # It fits an empty database, and not what is there.
    sql = "insert into tag (name) select title from conversation;"
    broken = [*newest, Migration(len(newest) + 1, "made_for_a_test", sql, "0" * 64)]
    monkeypatch.setattr("deskside.backend.store.migrate.read_migrations", lambda: broken)

    async with open_store(paths) as store:
        assert 2 == len((await store.read(conversations.page, None, 10)).conversations)
        assert ["plums", "Eaten."] == texts(await shown(store, first))
        assert store.damage is not None
        assert "could not be brought to the form" in store.damage.message
        assert "nothing can be changed" in store.damage.hint
        with pytest.raises(StoreOutdated):
            await talk(store, ("more", "No."))
    monkeypatch.undo()

    after = files_of(paths.data)
    # Whoever only reads may leave an empty -wal file, and the backup that is made before an update stays.
    assert before == {
        name: content
        for name, content in after.items()
        if not name.startswith("backups/") and (content or not name.endswith("-wal"))
    }
    async with open_store(paths) as store:
        await talk(store, ("more", "Yes."))
        assert store.damage is None
