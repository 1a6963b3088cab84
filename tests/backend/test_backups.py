"""Backups: what counts as one, what is kept, and that nothing that goes wrong costs an earlier one."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_parts import PASSPHRASE, attach, fill, flip, newest, titles, whole
from deskside.backend.backups import encryption, restoring, retention
from deskside.backend.backups.encryption import Encrypting, WrongPassphrase
from deskside.backend.backups.making import make_backup
from deskside.backend.backups.manifest import Kind, Manifest, place_of, read_folder
from deskside.backend.errors import (
    Cancelled,
    InvalidRequest,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    StoreRefused,
)
from deskside.backend.paths import Paths
from deskside.backend.store.database import open_store
from deskside.backend.store.schema import read_migrations
from stores import connected, paths_in, rows, run_child, run_to_its_death, talk

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_in(tmp_path)


# -- making -------------------------------------------------------------------------------------


async def test_a_backup_holds_what_was_committed_while_the_store_is_open(paths: Paths) -> None:
    async with open_store(paths) as store:
        await talk(store, ("Where are the plums?", "Eaten."))
        made = make_backup(paths.database, paths.backups, "manual")
        await talk(store, ("And the icebox?", "Empty."))

    copy = paths.backups / made.database
    assert ["Where are the plums?"] == titles(copy)
    assert "ok" == whole(copy)
    assert 1 == made.tables["conversation"]
    assert [(2,)] == rows(copy, "select count(*) from message")
    assert {".lock", made.database, f"{made.name}.json"} == {path.name for path in paths.backups.iterdir()}


async def test_attached_files_are_kept_once_and_go_with_the_last_backup_that_has_them(paths: Paths) -> None:
    await fill(paths, "one")
    first = attach(paths, b"the first file")
    make_backup(paths.database, paths.backups, "before_restore")
    second = attach(paths, b"the second file")
    with closing(connected(paths.database)) as connection, connection:
        connection.execute("delete from stored_file where sha256 = ?", (first,))
    place_of(paths.files, first).unlink()

    for _ in range(5):
        made = make_backup(paths.database, paths.backups, "before_restore")

    assert [second] == made.files
    assert b"the second file" == place_of(paths.backups / "files", second).read_bytes()
    assert place_of(paths.files, second).samefile(place_of(paths.backups / "files", second))
    assert not place_of(paths.backups / "files", first).exists()


async def test_an_attached_file_that_is_gone_or_damaged_is_told_and_the_rest_is_kept(paths: Paths) -> None:
    await fill(paths, "one")
    gone, damaged, fine = (attach(paths, content) for content in (b"gone", b"damaged", b"fine"))
    place_of(paths.files, gone).unlink()
    place_of(paths.files, damaged).write_bytes(b"something else")

    made = make_backup(paths.database, paths.backups, "manual")

    assert [fine] == made.files
    assert sorted([gone, damaged]) == made.missing


async def test_a_damaged_search_index_is_made_anew_in_the_backup(paths: Paths) -> None:
    await fill(paths, "Where are the plums?")
    with closing(connected(paths.database)) as connection, connection:
        connection.execute("update message_search_data set block = x'ff' where id > 1")

    made = make_backup(paths.database, paths.backups, "manual")

    assert "ok" == whole(paths.backups / made.database)
    assert [(2,)] == rows(
        paths.backups / made.database,
        "select count(*) from message_search where message_search match 'where'",
    )


async def test_a_damaged_database_is_not_backed_up_and_the_earlier_backups_stay(paths: Paths) -> None:
    await fill(paths, "one", "two")
    earlier = make_backup(paths.database, paths.backups, "manual")
    ((page,),) = rows(paths.database, "select rootpage from sqlite_master where name = 'message_part'")
    with paths.database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))

    with pytest.raises(StoreDamaged):
        make_backup(paths.database, paths.backups, "manual")

    assert [earlier] == read_folder(paths.backups)[0]
    assert not list(paths.backups.glob("*.unfinished"))


async def test_what_is_stopped_leaves_nothing(paths: Paths) -> None:
    await fill(paths, "one")
    attach(paths, b"a file")
    phases: list[str] = []
    make_backup(paths.database, paths.backups, "manual", report=lambda phase, part: phases.append(phase))
    earlier = newest(paths.backups)
    before = set(paths.backups.rglob("*"))

    def stop_at(step: int) -> int:
        """How many steps were told, of those that come before this one."""
        told = 0

        def report(phase: str, part: float) -> None:
            nonlocal told
            told += 1
            if told == step:
                raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            make_backup(paths.database, paths.backups, "manual", report=report)
        return told

    assert list(range(1, len(phases) + 1)) == [stop_at(step) for step in range(1, len(phases) + 1)]
    assert {"copying", "checking", "files"} == set(phases)
    assert [earlier] == read_folder(paths.backups)[0]
    assert before == set(paths.backups.rglob("*"))


async def test_one_backup_at_a_time(paths: Paths) -> None:
    await fill(paths, "one")

    def make_another(phase: str, part: float) -> None:
        with pytest.raises(StoreBusy, match="Another backup"):
            make_backup(paths.database, paths.backups, "manual")

    make_backup(paths.database, paths.backups, "manual", report=make_another)

    assert 1 == len(read_folder(paths.backups)[0])


async def test_nothing_of_the_users_in_the_folder_is_touched(paths: Paths, tmp_path: Path) -> None:
    await fill(paths, "one")
    elsewhere = tmp_path / "elsewhere"
    theirs = [
        elsewhere / name
        for name in (
            "notes.db",
            "notes.json",
            "daily-notes.db",
            "files/ab/letter",
            "x.unfinished",
            "k.db.age",
        )
    ]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")

    for _ in range(12):
        make_backup(paths.database, elsewhere, "manual")

    assert ["mine"] * len(theirs) == [path.read_text() for path in theirs]
    assert 10 == len(read_folder(elsewhere)[0])


# -- what is kept -------------------------------------------------------------------------------


def generation(number: int, kind: Kind, made_ms: int) -> Manifest:
    return Manifest(
        format="deskside-backup",
        version=1,
        number=number,
        kind=kind,
        made_ms=made_ms,
        program="0",
        schema=1,
        database=f"backup-{number}.db",
        size_bytes=0,
        sha256="0" * 64,
        tables={},
        files=[],
    )


NOON = datetime(2026, 11, 25, 12)


def daily(days: int) -> list[Manifest]:
    moments = [NOON + timedelta(days=day) for day in range(days)]
    return [generation(n, "daily", int(moment.timestamp() * 1000)) for n, moment in enumerate(moments, 1)]


def test_after_a_year_of_days_seven_days_four_weeks_and_six_months_are_left() -> None:
    kept: list[Manifest] = []
    for backup in daily(365):
        kept.append(backup)
        numbers = retention.kept(kept)
        kept = [each for each in kept if each.number in numbers]

    days = [datetime.fromtimestamp(each.made_ms / 1000).date() for each in kept]
    last = days[-1]
    assert [last - timedelta(days=back) for back in reversed(range(7))] == days[-7:]
    assert 4 <= len({day.isocalendar()[:2] for day in days})
    assert 6 <= len({(day.year, day.month) for day in days})
    assert len(kept) <= 7 + 3 + 5


KINDS = st.sampled_from(["daily", "manual", "before_migration", "before_restore"])
BACKUPS = st.lists(st.tuples(KINDS, st.integers(-DAY_MS, 400 * DAY_MS)), max_size=60).map(
    lambda drawn: [generation(n, kind, made_ms) for n, (kind, made_ms) in enumerate(drawn, 1)]
)


@given(BACKUPS)
def test_the_newest_of_each_kind_stays_whatever_the_clock_said(backups: list[Manifest]) -> None:
    kept = retention.kept(backups)

    assert {
        max(each.number for each in backups if each.kind == kind) for kind in {b.kind for b in backups}
    } <= kept


@given(BACKUPS)
def test_what_is_kept_is_bounded_and_keeping_again_removes_nothing(backups: list[Manifest]) -> None:
    kept = retention.kept(backups)

    assert len(kept) <= retention.DAILY + retention.WEEKLY + retention.MONTHLY + sum(
        retention.NEWEST.values()
    )
    assert kept == retention.kept([each for each in backups if each.number in kept])


@given(BACKUPS)
def test_no_more_days_weeks_or_months_are_lost_than_must_be(backups: list[Manifest]) -> None:
    kept = retention.kept(backups)
    generations = [each for each in backups if each.kind in ("daily", "manual")]
    days = {datetime.fromtimestamp(each.made_ms / 1000).date() for each in generations}
    kept_days = {
        datetime.fromtimestamp(each.made_ms / 1000).date() for each in generations if each.number in kept
    }

    assert len(kept_days) >= min(7, len(days))
    months = {(day.year, day.month) for day in days}
    assert len({(day.year, day.month) for day in kept_days}) >= min(6, len(months))


# -- encryption ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encrypting() -> Encrypting:
    """Takes seconds to make, as a guess at the passphrase does."""
    return encryption.new_encryption(PASSPHRASE)


async def encrypted(paths: Paths, encrypting: Encrypting) -> Manifest:
    await fill(paths, "Where are the plums?")
    attach(paths, b"a letter about plums " * 10_000)
    return make_backup(paths.database, paths.backups, "manual", encrypting=encrypting)


async def test_an_encrypted_backup_gives_nothing_away_and_comes_back_with_its_passphrase(
    paths: Paths, tmp_path: Path, encrypting: Encrypting
) -> None:
    made = await encrypted(paths, encrypting)
    for path in paths.backups.rglob("*"):
        assert not path.is_file() or b"plums" not in path.read_bytes(), path
    assert {".json", ".age", ""} == {path.suffix for path in paths.backups.rglob("*") if path.is_file()}
    shutil.rmtree(paths.files)
    empty = paths_in(tmp_path / "empty")

    preview = restoring.prepare(empty, paths.backups / made.database, PASSPHRASE)

    assert ["Where are the plums?"] == titles(empty.restore / "deskside.db")
    assert 0 == preview.missing_files
    ((sha256,),) = rows(empty.restore / "deskside.db", "select sha256 from stored_file")
    assert b"a letter about plums " * 10_000 == place_of(empty.restore / "files", sha256).read_bytes()


async def test_a_wrong_passphrase_is_said_to_be_wrong_and_none_is_asked_for(
    paths: Paths, encrypting: Encrypting
) -> None:
    made = await encrypted(paths, encrypting)

    with pytest.raises(WrongPassphrase, match="does not open"):
        restoring.prepare(paths, paths.backups / made.database, PASSPHRASE + "!")
    with pytest.raises(InvalidRequest, match="encrypted"):
        restoring.prepare(paths, paths.backups / made.database)
    assert not paths.restore.exists()


async def test_attached_files_are_encrypted_once_for_all_backups(
    paths: Paths, encrypting: Encrypting
) -> None:
    await fill(paths, "one")
    attach(paths, b"a file")
    first = make_backup(paths.database, paths.backups, "manual", encrypting=encrypting)
    before = place_of(paths.backups / "files", first.files[0]).stat()

    second = make_backup(paths.database, paths.backups, "manual", encrypting=encrypting)

    assert first.files == second.files
    assert before == place_of(paths.backups / "files", first.files[0]).stat()


AGE_CHUNK = 65_536 + 16


def _cut(content: bytes) -> bytes:
    return content[: -AGE_CHUNK // 2]


def _cut_at_a_chunk(content: bytes) -> bytes:
    return content[: len(content) - (len(content) - len(_header(content))) % AGE_CHUNK]


def _swap_chunks(content: bytes) -> bytes:
    start = len(_header(content))
    one, two = (content[start + n * AGE_CHUNK : start + (n + 1) * AGE_CHUNK] for n in (0, 1))
    return content[:start] + two + one + content[start + 2 * AGE_CHUNK :]


def _drop_a_chunk(content: bytes) -> bytes:
    start = len(_header(content))
    return content[:start] + content[start + AGE_CHUNK :]


def _add_to_the_end(content: bytes) -> bytes:
    return content + bytes(100)


def _header(content: bytes) -> bytes:
    """The header and the nonce of 16 bytes behind it."""
    return content[: content.index(b"\n", content.index(b"\n---") + 1) + 1 + 16]


@pytest.mark.parametrize(
    "spoil", [_cut, _cut_at_a_chunk, _swap_chunks, _drop_a_chunk, _add_to_the_end], ids=lambda f: f.__name__
)
def test_what_was_done_to_an_encrypted_file_is_found(
    spoil: Callable[[bytes], bytes], tmp_path: Path, encrypting: Encrypting
) -> None:
    plain, closed = tmp_path / "plain", tmp_path / "closed"
    plain.write_bytes(os.urandom(5 * 65_536 + 1000))
    encryption.encrypt(plain, closed, encrypting)
    opened = encryption.open_identity(encrypting.told, PASSPHRASE)
    encryption.decrypt(closed, tmp_path / "back", opened)
    assert plain.read_bytes() == (tmp_path / "back").read_bytes()
    closed.write_bytes(spoil(closed.read_bytes()))

    with pytest.raises(StoreDamaged):
        encryption.decrypt(closed, tmp_path / "spoiled", opened)


# -- flipped bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_flipped_bit_in_a_backup_is_found_and_nothing_is_restored(
    paths: Paths, is_encrypted: bool, encrypting: Encrypting
) -> None:
    await fill(paths, "one")
    made = make_backup(
        paths.database, paths.backups, "manual", encrypting=encrypting if is_encrypted else None
    )
    database = paths.backups / made.database
    content = database.read_bytes()

    for seed in range(3 if is_encrypted else 20):
        flip(database, seed=seed)
        with pytest.raises(StoreDamaged, match="damaged"):
            restoring.prepare(paths, database, PASSPHRASE)
        assert not paths.restore.exists()
        database.write_bytes(content)


async def test_a_manifest_that_was_changed_is_refused_or_does_not_fit(paths: Paths) -> None:
    await fill(paths, "one")
    made = make_backup(paths.database, paths.backups, "manual")
    path = paths.backups / f"{made.name}.json"
    told = json.loads(path.read_text())

    for changes in (
        {"format": "another"},
        {"version": 2},
        {"sha256": "0" * 64},
        {"database": "../deskside.db"},
        {"schema": len(read_migrations()) + 1},
        {"tables": {**told["tables"], "message": 7}},
    ):
        path.write_text(json.dumps({**told, **changes}))
        with pytest.raises((StoreDamaged, StoreRefused)):
            restoring.prepare(paths, path)


# -- a full disk --------------------------------------------------------------------------------

FULL = """
import resource, sys
from pathlib import Path
from deskside.backend.backups.making import make_backup
from deskside.backend.errors import StoreFull
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    make_backup(Path(sys.argv[1]), Path(sys.argv[2]), "manual")
    print("made")
except StoreFull as error:
    print(error.code, sys.argv[2] in error.message)
"""


async def test_a_disk_that_takes_no_more_is_told_and_the_earlier_backup_stays(paths: Paths) -> None:
    await fill(paths, "one")
    attach(paths, os.urandom(2_000_000))
    earlier = make_backup(paths.database, paths.backups, "manual")
    attach(paths, os.urandom(1_000_000))
    size = paths.database.stat().st_size

    for limit in (65_536, size // 2, size - 4096):
        child = run_child(FULL, paths.database, paths.backups, limit)
        assert "store_full True" == child.stdout.strip(), child.stderr
        assert [earlier] == read_folder(paths.backups)[0]
        assert not list(paths.backups.glob("*.unfinished"))

    assert "made" == run_child(FULL, paths.database, paths.backups, resource.RLIM_INFINITY).stdout.strip()


async def test_too_little_space_is_told_before_anything_is_written(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(paths, "one")
    usage = shutil.disk_usage(paths.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))

    with pytest.raises(StoreFull, match=r"needs 0\.1 GB"):
        make_backup(paths.database, paths.backups, "manual")

    assert [".lock"] == [path.name for path in paths.backups.iterdir()]


# -- kill -9 ------------------------------------------------------------------------------------

# Dies before its Nth call of what changes the disk; without a N it says how many there are.
DYING = """
import os, signal, sqlite3, sys
from pathlib import Path

done, last = 0, int(sys.argv[1])

def counted(function):
    def call(*arguments, **named):
        global done
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call

for name in ("replace", "fsync", "unlink", "link", "open", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
Path.unlink = counted(Path.unlink)
connect = sqlite3.connect

class Dying(sqlite3.Connection):
    execute = counted(sqlite3.Connection.execute)

sqlite3.connect = lambda *arguments, **named: connect(*arguments, **{**named, "factory": Dying})
"""
BACKING_UP = (
    DYING
    + """
from deskside.backend.backups.making import make_backup
make_backup(Path(sys.argv[2]), Path(sys.argv[3]), "manual")
print(done)
"""
)


async def test_a_backup_that_is_killed_anywhere_costs_nothing(paths: Paths, tmp_path: Path) -> None:
    await fill(paths, "one", "two")
    attach(paths, b"a file")
    earlier = make_backup(paths.database, paths.backups, "manual")
    attach(paths, b"another file")
    start = tmp_path / "start"
    shutil.copytree(paths.backups, start)
    counted = run_child(BACKING_UP, 0, paths.database, paths.backups)
    points = int(counted.stdout)

    for point in spread(points, 10):
        shutil.rmtree(paths.backups)
        shutil.copytree(start, paths.backups)
        run_to_its_death(BACKING_UP, point, paths.database, paths.backups)
        assert "ok" == whole(paths.database), point
        found, unreadable = read_folder(paths.backups)
        assert [] == unreadable
        assert earlier in found
        for backup in found:  # what counts is whole
            restoring.prepare(paths, paths.backups / backup.database)
        made = make_backup(paths.database, paths.backups, "manual")
        assert 2 == len(made.files)
        assert len(found) + 1 == len(list(paths.backups.glob("*.db"))), point
        assert not list(paths.backups.glob("*.unfinished"))


def spread(points: int, count: int) -> list[int]:
    """Evenly, and the last three."""
    assert points > 10
    return sorted({*range(1, points + 1, max(1, points // count)), points - 2, points - 1, points})
