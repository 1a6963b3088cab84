"""Restoring: a look first, then all or nothing, and what was there before is kept."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from test_backups import DYING, spread

from backup_parts import attach, fill, newest, titles, whole
from deskside.backend.backups import restoring
from deskside.backend.backups.comparing import Counts, Difference
from deskside.backend.backups.making import make_backup
from deskside.backend.backups.manifest import place_of, read_folder
from deskside.backend.errors import NotFound, StoreRefused
from deskside.backend.paths import Paths
from deskside.backend.store import conversations, messages
from deskside.backend.store.database import open_store
from deskside.backend.store.migrate import migrate
from deskside.backend.store.schema import read_migrations
from stores import connected, paths_in, rows, run_child, run_to_its_death, talk

NEWEST = len(read_migrations())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_in(tmp_path)


async def backed_up(paths: Paths, *questions: str) -> Path:
    """A backup of a store with these conversations."""
    await fill(paths, *questions)
    return paths.backups / make_backup(paths.database, paths.backups, "manual").database


async def restored(paths: Paths) -> restoring.Applied | None:
    """What the next start says."""
    async with open_store(paths) as store:
        return store.applied


async def test_the_preview_says_what_would_change_and_changes_nothing(paths: Paths) -> None:
    backup = await backed_up(paths, "kept", "renamed", "deleted", "continued")
    async with open_store(paths) as store:
        await store.write(conversations.rename, 2, "another name")
        await store.write(conversations.delete, 3)
        await talk(store, ("new", "An answer"))
    before = paths.database.read_bytes()

    preview = restoring.prepare(paths, backup)

    found = preview.comparison
    assert Difference(1, ["new"]) == found.only_here
    assert Difference(1, ["deleted"]) == found.only_in_backup
    assert Difference(1, ["another name"]) == found.changed
    assert Counts(conversations=4, messages=8, files=0, agents=1, memories=0) == found.backup
    assert found.here is not None
    assert (4, 10) == (found.here.conversations, found.here.messages)
    assert ("manual", NEWEST, NEWEST) == (preview.kind, preview.schema, preview.newest_schema)
    assert before == paths.database.read_bytes()
    assert await restored(paths) is None
    assert ["kept", "another name", "continued", "new"] == titles(paths.database)
    assert not paths.restore.exists()


async def test_a_restore_takes_effect_at_the_next_start_and_keeps_what_it_replaced(paths: Paths) -> None:
    backup = await backed_up(paths, "old")
    restoring.prepare(paths, backup)
    restoring.confirm(paths, str(backup))
    async with open_store(paths, busy_timeout_s=1) as store:
        applied = store.applied
        assert ["old"] == [row.title for row in (await store.read(conversations.page, None, 9)).conversations]
        assert 2 == len((await store.read(messages.page, 1, None, 9)).messages)
        await talk(store, ("said since", "An answer"))

    assert applied is not None
    assert "restored" == applied.outcome
    kept = newest(paths.backups)
    assert ("before_restore", applied.replaced) == (kept.kind, kept.name)
    assert ["old"] == titles(paths.backups / kept.database)
    assert not paths.restore.exists()
    assert await restored(paths) is None
    assert ["old", "said since"] == titles(paths.database)
    assert "ok" == whole(paths.database)


async def test_what_was_said_after_the_preview_is_in_the_backup_of_what_was_replaced(paths: Paths) -> None:
    backup = await backed_up(paths, "old")
    restoring.prepare(paths, backup)
    restoring.confirm(paths, str(backup))
    with closing(connected(paths.database)) as connection, connection:
        connection.execute("update conversation set title = 'changed since'")

    applied = await restored(paths)

    assert applied is not None
    assert ["old"] == titles(paths.database)
    assert ["changed since"] == titles(paths.backups / f"{applied.replaced}.db")


async def test_an_older_backup_is_brought_up_to_date_before_it_goes_live(paths: Paths) -> None:
    await fill(paths, "new")
    old = paths.data.parent / "old.db"
    migrate(old, None, read_migrations()[:1])
    with closing(connected(old)) as connection, connection:
        connection.execute("insert into user values (1, '', 'system', 'en', 0)")
        connection.execute(
            "insert into conversation (id, user, title, draft, created_ms, updated_ms) "
            "values (1, 1, 'of long ago', '', 0, 0)"
        )
    folder = paths.data.parent / "old backups"
    made = make_backup(old, folder, "manual")

    preview = restoring.prepare(paths, folder / f"{made.name}.json")
    restoring.confirm(paths, preview.source)
    await restored(paths)

    assert (1, NEWEST) == (preview.schema, preview.newest_schema)
    assert ["of long ago"] == titles(paths.database)
    assert [(1,)] == rows(folder / made.database, "pragma user_version")
    assert {"manual", "before_restore"} >= {each.kind for each in read_folder(paths.backups)[0]}


async def test_a_newer_one_and_another_programs_are_refused(paths: Paths) -> None:
    await fill(paths, "one")
    newer, foreign = paths.data.parent / "newer.db", paths.data.parent / "foreign.db"
    shutil.copyfile(paths.database, newer)
    for path, sql in (
        (newer, f"pragma user_version = {NEWEST + 1}"),
        (foreign, "create table notes (text)"),
    ):
        with closing(connected(path)) as connection, connection:
            connection.execute(sql)

    with pytest.raises(StoreRefused, match="newer Deskside"):
        restoring.prepare(paths, newer)
    with pytest.raises(StoreRefused, match="not a database of Deskside"):
        restoring.prepare(paths, foreign)
    with pytest.raises(NotFound):
        restoring.prepare(paths, paths.backups / "nothing.db")
    with pytest.raises(NotFound):
        restoring.confirm(paths, "nothing")
    assert not paths.restore.exists()


async def test_attached_files_come_back_and_those_that_are_nowhere_are_counted(paths: Paths) -> None:
    await fill(paths, "one")
    back, gone, here = (attach(paths, content) for content in (b"back", b"gone", b"here"))
    place_of(paths.files, gone).unlink()
    made = make_backup(paths.database, paths.backups, "manual")
    place_of(paths.files, back).unlink()

    preview = restoring.prepare(paths, paths.backups / made.database)
    assert 1 == preview.missing_files
    assert not place_of(paths.files, back).exists()
    restoring.confirm(paths, preview.source)
    await restored(paths)

    assert b"back" == place_of(paths.files, back).read_bytes()
    assert b"here" == place_of(paths.files, here).read_bytes()


async def test_damaged_data_give_way_and_are_kept_as_they_are(paths: Paths) -> None:
    backup = await backed_up(paths, "old")
    damaged = b"\xa5" * 100_000
    paths.database.write_bytes(damaged)

    preview = restoring.prepare(paths, backup)
    assert preview.comparison.here is None
    restoring.confirm(paths, preview.source)
    applied = await restored(paths)

    assert applied is not None
    assert ["old"] == titles(paths.database)
    assert damaged == (paths.backups / applied.replaced / "deskside.db").read_bytes()


async def test_a_restore_that_cannot_be_applied_leaves_the_data_and_says_so(paths: Paths) -> None:
    backup = await backed_up(paths, "old")
    preview = restoring.prepare(paths, backup)
    restoring.confirm(paths, preview.source)
    await_name = paths.backups.with_name("elsewhere")
    paths.backups.rename(await_name)
    paths.backups.write_text("in the way")

    applied = await restored(paths)

    assert applied is not None
    assert "failed" == applied.outcome
    assert "your data are as they were" in applied.message
    assert ["old"] == titles(paths.database)
    assert not paths.restore.exists()


async def test_it_waits_while_another_program_has_the_store_open(paths: Paths) -> None:
    backup = await backed_up(paths, "old")
    async with open_store(paths) as store:
        await talk(store, ("new", "An answer"))
        restoring.confirm(paths, restoring.prepare(paths, backup).source)
        assert await restored(paths) is None
        assert ["old", "new"] == titles(paths.database)

    assert await restored(paths) is not None
    assert ["old"] == titles(paths.database)


APPLYING = (
    DYING
    + """
from deskside.backend.backups import restoring
from deskside.backend.paths import Paths
data = Path(sys.argv[2])
restoring.apply_pending(Paths(data, data, data))
print(done)
"""
)


async def test_a_restore_that_is_killed_anywhere_leaves_the_old_or_the_new_and_is_finished(
    paths: Paths, tmp_path: Path
) -> None:
    await fill(paths, "old")
    file = attach(paths, b"a file")
    backup = paths.backups / make_backup(paths.database, paths.backups, "manual").database
    place_of(paths.files, file).unlink()
    async with open_store(paths) as store:
        await talk(store, ("new", "An answer"))
    writer = connected(paths.database)  # what is still in the -wal file belongs to it
    writer.execute("update conversation set title = 'renamed' where id = 2")
    writer.commit()
    restoring.confirm(paths, restoring.prepare(paths, backup).source)
    start = tmp_path / "start"
    shutil.copytree(paths.data, start, ignore=shutil.ignore_patterns("*-shm"))
    writer.close()
    shutil.rmtree(paths.data)
    shutil.copytree(start, paths.data)
    points = int(run_child(APPLYING, 0, paths.data).stdout)

    for point in spread(points, 10):
        shutil.rmtree(paths.data)
        shutil.copytree(start, paths.data)
        run_to_its_death(APPLYING, point, paths.data)
        assert "ok" == whole(paths.database), point
        assert titles(paths.database) in (["old", "renamed"], ["old"]), point
        await restored(paths)
        assert ["old"] == titles(paths.database), point
        assert "ok" == whole(paths.database), point
        assert place_of(paths.files, file).exists(), point
        assert not paths.restore.exists(), point
        kept = [each for each in read_folder(paths.backups)[0] if each.kind == "before_restore"]
        assert ["old", "renamed"] == titles(paths.backups / kept[-1].database), point
