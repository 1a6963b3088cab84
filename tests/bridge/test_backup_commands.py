"""Backups over the bridge: what a page may do by itself, and what the user is asked about."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sqlite3
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backup_parts import PASSPHRASE, attach, flip, newest, titles
from deskside.backend.app import App, open_app
from deskside.backend.backups.manifest import place_of, read_folder
from deskside.backend.backups.service import Backups
from deskside.backend.errors import StoreReadOnly
from deskside.backend.events import AppEvent, BackupsChanged, Notice
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import conversations
from deskside.backend.store.database import Store
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from deskside.shell.paths import find_paths
from stores import paths_in, rows, talk


class Desktop(NoDesktop):
    """A user at the screen, who chooses and confirms as the test says."""

    def __init__(self) -> None:
        self.chosen: Path | None = None
        self.says_yes = False
        self.asked: list[str] = []

    async def choose_folder(self, title: str) -> str | None:
        return None if self.chosen is None else str(self.chosen)

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        return None if self.chosen is None else str(self.chosen)

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        self.asked.append(text)
        return self.says_yes


class Page:
    """Calls commands as a page does."""

    def __init__(self, app: App, desktop: NoDesktop) -> None:
        self.app = app
        self._registry = Registry(COMMANDS)
        self._bridge = Bridge(app, self._registry, desktop, Timings())

    async def call(self, command: str, **params: Any) -> Any:
        found = await self._registry.dispatch(self._bridge, command, msgspec.json.encode(params))
        assert not isinstance(found, Failure), found
        return msgspec.json.decode(found)

    async def refused(self, command: str, **params: Any) -> Failure:
        found = await self._registry.dispatch(self._bridge, command, msgspec.json.encode(params))
        assert isinstance(found, Failure), found
        return found

    def events(self) -> list[AppEvent]:
        return self.app.events.since(0, 10_000) or []


@pytest.fixture
def desktop() -> Desktop:
    return Desktop()


@pytest.fixture
async def page(tmp_path: Path, desktop: Desktop) -> AsyncIterator[Page]:
    async with open_app(paths_in(tmp_path)) as app:
        await talk(app.store, ("Where are the plums?", "Eaten."))
        yield Page(app, desktop)


async def attached(app: App, content: bytes) -> str:
    """Attach a file while the program runs, which removes what it does not know as it starts."""
    async with app.attachments.placing:
        return attach(app.paths, content)


async def test_a_backup_is_made_and_listed(page: Page) -> None:
    await attached(page.app, b"a file")

    made = await page.call("backups.make")

    found = await page.call("backups.list")
    (row,) = found["backups"]
    assert made == {"folder": str(page.app.paths.backups), "missing_files": 0}
    assert ("whole", "manual", 1, 2, 1) == tuple(
        row[name] for name in ("state", "kind", "conversations", "messages", "files")
    )
    assert (False, False, None) == (found["is_encrypted"], found["pending"], found["job"])
    told = [event.job for event in page.events() if isinstance(event, BackupsChanged)]
    assert told[0] is not None
    assert told[-1] is None


async def test_only_the_user_sends_a_backup_elsewhere(page: Page, desktop: Desktop, tmp_path: Path) -> None:
    assert {"folder": None, "missing_files": 0} == await page.call("backups.make", elsewhere=True)
    desktop.chosen = tmp_path / "disk"
    made = await page.call("backups.make", elsewhere=True)

    assert str(tmp_path / "disk" / "deskside-backups") == made["folder"]
    assert 1 == len(read_folder(Path(made["folder"]))[0])
    without = Page(page.app, NoDesktop())
    assert "needs_window" == (await without.refused("backups.make", elsewhere=True)).code


async def test_a_restore_is_looked_at_asked_about_and_takes_effect_at_the_next_start(
    page: Page, desktop: Desktop
) -> None:
    await page.call("backups.make")
    name = newest(page.app.paths.backups).name
    await talk(page.app.store, ("And the icebox?", "Empty."))

    preview = (await page.call("backups.preview", name=name))["preview"]
    assert {"count": 1, "titles": ["And the icebox?"]} == preview["comparison"]["only_here"]
    assert {"confirmed": False} == await page.call("backups.restore")
    assert not (await page.call("backups.list"))["pending"]
    desktop.says_yes = True
    assert {"confirmed": True} == await page.call("backups.restore")
    assert (await page.call("backups.list"))["pending"]
    assert "1 conversations that are only here" in desktop.asked[-1]
    await talk(page.app.store, ("Said after it?", "Yes."))
    await page.app.store.close()

    async with open_app(page.app.paths) as app:
        found = await app.store.read(conversations.page, None, 10)
        assert ["Where are the plums?"] == [row.title for row in found.conversations]
        await Page(app, desktop).call("diagnostics.page_ready")
        (notice,) = (event for event in app.events.since(0, 100) or [] if isinstance(event, Notice))
        assert "was restored" in notice.message
    kept = newest(page.app.paths.backups)
    assert "before_restore" == kept.kind
    assert "Said after it?" in titles(page.app.paths.backups / kept.database)


async def test_programs_and_folders_that_a_backup_brings_are_in_the_question(
    page: Page, desktop: Desktop
) -> None:
    await page.call("backups.make")
    made = newest(page.app.paths.backups)
    forged = page.app.paths.backups / "forged.db"
    shutil.copyfile(page.app.paths.backups / made.database, forged)
    with closing(sqlite3.connect(forged)) as connection, connection:
        connection.execute(
            "insert into mcp_server "
            "(name, transport, command, arguments, url, is_enabled, created_ms, updated_ms) "
            """values ('x', 'stdio', 'sh', '["-c", "evil"]', '', 1, 0, 0)"""
        )
        connection.execute(
            """insert into setting values ('folders', '[{"path": "/", "can_write": true}]', 0)"""
        )
    desktop.chosen = forged

    preview = (await page.call("backups.preview"))["preview"]
    await page.call("backups.restore")

    assert ["change files in /", "start sh -c evil"] == preview["comparison"]["allows"]
    assert "start sh -c evil" in desktop.asked[-1]


async def test_without_a_preview_and_without_a_window_nothing_is_restored(page: Page) -> None:
    await page.call("backups.make")
    without = Page(page.app, NoDesktop())

    assert "not_found" == (await without.refused("backups.restore")).code
    await without.call("backups.preview", name=newest(page.app.paths.backups).name)
    assert "needs_window" == (await without.refused("backups.restore")).code
    await without.call("backups.cancel_restore")
    assert not page.app.paths.restore.exists()
    assert "not_found" == (await without.refused("backups.preview", name="nothing")).code
    assert "invalid_request" == (await without.refused("backups.preview", name="../../other")).code


async def test_backups_are_encrypted_from_when_a_passphrase_is_given(
    page: Page, desktop: Desktop, tmp_path: Path
) -> None:
    assert "invalid_request" == (await page.refused("backups.encrypt", passphrase="short")).code
    assert (await page.call("backups.encrypt", passphrase=PASSPHRASE))["is_encrypted"]
    await page.call("backups.make")
    made = newest(page.app.paths.backups)
    (row,) = (await page.call("backups.list"))["backups"]
    assert row["is_encrypted"]

    wanted = await page.refused("backups.preview", name=made.name)
    wrong = await page.refused("backups.preview", name=made.name, passphrase="not this one")
    right = await page.call("backups.preview", name=made.name, passphrase=PASSPHRASE)
    assert ("passphrase_wanted", "wrong_passphrase") == (wanted.code, wrong.code)
    assert 1 == right["preview"]["comparison"]["backup"]["conversations"]

    desktop.chosen = page.app.paths.backups / f"{made.name}.json"
    assert "passphrase_wanted" == (await page.refused("backups.preview")).code
    desktop.chosen = None
    again = await page.call("backups.preview", again=True, passphrase=PASSPHRASE)
    assert str(page.app.paths.backups / f"{made.name}.json") == again["preview"]["source"]

    assert not (await page.call("backups.encrypt", passphrase=None))["is_encrypted"]
    await page.call("backups.make")
    assert newest(page.app.paths.backups).encryption is None
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes(), path


async def test_the_work_of_opening_a_backup_does_not_depend_on_how_busy_the_computer_was(page: Page) -> None:
    await page.call("backups.encrypt", passphrase=PASSPHRASE)
    await page.call("backups.make")
    made = newest(page.app.paths.backups)
    assert made.encryption is not None
    header, *lines, end = made.encryption.identity.strip().split("\n")
    file = base64.b64decode("".join(lines))
    assert b" 18\n" in file.partition(b"---")[0]

    file = file.replace(b" 18\n", b" 28\n", 1)
    manifest = page.app.paths.backups / f"{made.name}.json"
    content = json.loads(manifest.read_text())
    lines = textwrap.wrap(base64.b64encode(file).decode(), 64)
    content["encryption"]["identity"] = "\n".join((header, *lines, end, ""))
    manifest.write_text(json.dumps(content))

    refused = await page.refused("backups.preview", name=made.name, passphrase=PASSPHRASE)
    assert ("conflict", "Close what keeps it busy, then try again.") == (refused.code, refused.hint)


async def test_a_check_finds_what_a_list_does_not(page: Page) -> None:
    await page.call("backups.make")
    made = newest(page.app.paths.backups)
    await page.call("backups.check", name=made.name)
    database = page.app.paths.backups / made.database
    flip(database, seed=3)

    assert "whole" == (await page.call("backups.list"))["backups"][0]["state"]
    assert "store_damaged" == (await page.refused("backups.check", name=made.name)).code
    database.unlink()
    assert "gone" == (await page.call("backups.list"))["backups"][0]["state"]
    (page.app.paths.backups / f"{made.name}.json").write_text("{")
    assert "unreadable" == (await page.call("backups.list"))["backups"][0]["state"]


async def test_a_backup_can_be_stopped_and_only_one_thing_is_done_at_a_time(page: Page) -> None:
    await page.app.store.write(
        lambda db: db.sql.execute("create table big (text text not null) strict") and None
    )
    with closing(sqlite3.connect(page.app.paths.database)) as connection, connection:
        connection.execute(
            "insert into big with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) "
            "select hex(randomblob(100)) from n"
        )
    making = asyncio.ensure_future(page.refused("backups.make"))
    async with asyncio.timeout(30):
        while (await page.call("backups.list"))["job"] is None:
            await asyncio.sleep(0)
    assert "conflict" == (await page.refused("backups.vacuum")).code

    await page.call("backups.stop")

    assert "cancelled" == (await making).code
    assert [] == (await page.call("backups.list"))["backups"]
    assert not list(page.app.paths.backups.glob("*.unfinished"))


async def test_a_vacuum_gives_space_back_and_loses_nothing_that_is_written_meanwhile(page: Page) -> None:
    with closing(sqlite3.connect(page.app.paths.database)) as connection, connection:
        connection.execute("create table big (text text not null) strict")
        connection.execute("insert into big values (hex(zeroblob(20000000)))")
        connection.execute("drop table big")
    before = await page.call("backups.statistics")
    assert before["unused_bytes"] > 30_000_000

    cleaned, *_ = await asyncio.gather(
        page.call("backups.vacuum"), *(talk(page.app.store, (f"Question {n}", "Yes.")) for n in range(5))
    )

    after = await page.call("backups.statistics")
    assert cleaned["before_bytes"] - cleaned["after_bytes"] > 30_000_000
    assert page.app.paths.database.stat().st_size < 2_000_000
    assert 0 == after["unused_bytes"]
    assert [(6,)] == rows(page.app.paths.database, "select count(*) from conversation")


async def test_statistics_say_where_the_bytes_are(page: Page) -> None:
    await attached(page.app, b"x" * 5000)
    found = await page.call("backups.statistics")

    sizes = {table["name"]: table for table in found["tables"]}
    assert (1, 2) == (sizes["conversation"]["rows"], sizes["message"]["rows"])
    assert sizes["message_search"]["bytes"] > 0
    assert not found["is_estimate"]
    assert 5000 == found["files_bytes"]
    # Pages of the schema itself and of the free list belong to no table.
    assert 0 < sum(table["bytes"] for table in found["tables"]) <= found["database_bytes"]


# -- moving -------------------------------------------------------------------------------------


@pytest.fixture
async def home_page(home: Path, desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Page]:
    """In the system's folder, which alone can be moved."""
    monkeypatch.delenv("DESKSIDE_DATA_DIR")
    async with open_app(find_paths(None)) as app:
        await talk(app.store, ("Where are the plums?", "Eaten."))
        yield Page(app, desktop)


async def test_the_data_folder_is_moved_and_the_old_one_deleted_when_the_user_says_so(
    home_page: Page, desktop: Desktop, tmp_path: Path
) -> None:
    sha256 = await attached(home_page.app, b"a file")
    await home_page.call("backups.make")
    old = home_page.app.paths.data
    (old / "keys.json").write_text("{}")
    assert {"folder": None} == await home_page.call("backups.move")
    desktop.chosen = tmp_path / "disk"
    desktop.chosen.mkdir()
    (desktop.chosen / "letter").write_text("mine")

    moved, *_ = await asyncio.gather(
        home_page.call("backups.move"),
        *(talk(home_page.app.store, (f"Question {n}", "Yes.")) for n in range(3)),
        return_exceptions=True,
    )

    new = tmp_path / "disk" / "Deskside"
    assert {"folder": str(new)} == moved
    assert str(new) == (await home_page.call("backups.list"))["moved_to"]
    refused = await home_page.refused("conversations.rename", id=1, title="Too late")
    assert ("store_read_only", "Start Deskside again to use them there.") == (refused.code, refused.hint)
    acknowledged = titles(old / "deskside.db")
    await home_page.app.backups.close()
    await home_page.app.store.close()

    async with open_app(find_paths(None)) as app:
        page = Page(app, desktop)
        assert new == app.paths.data
        assert acknowledged == titles(app.paths.database)
        assert b"a file" == place_of(app.paths.files, sha256).read_bytes()
        assert place_of(app.paths.files, sha256).samefile(place_of(app.paths.backups / "files", sha256))
        assert "{}" == (new / "keys.json").read_text()
        assert str(old) == (await page.call("backups.list"))["moved_from"]
        (old / "theirs").write_text("mine")
        await page.call("backups.delete_old_data")
        assert (old / "deskside.db").exists()
        desktop.says_yes = True
        await page.call("backups.delete_old_data")
        assert {"location.json", "theirs"} == {path.name for path in old.iterdir()}
        assert (await page.call("backups.list"))["moved_from"] is None
    assert "mine" == (tmp_path / "disk" / "letter").read_text()


async def test_a_folder_that_was_chosen_at_the_start_is_not_moved(
    page: Page, desktop: Desktop, tmp_path: Path
) -> None:
    desktop.chosen = tmp_path
    assert "conflict" == (await page.refused("backups.move")).code
    assert not (await page.call("backups.list"))["can_move"]


async def test_a_move_that_is_stopped_or_impossible_leaves_everything_where_it_is(
    home_page: Page, desktop: Desktop, tmp_path: Path
) -> None:
    paths = home_page.app.paths
    attach(paths, b"x" * 20_000_000)
    desktop.chosen = paths.data / "inside"
    desktop.chosen.mkdir()
    assert "invalid_request" == (await home_page.refused("backups.move")).code
    desktop.chosen = tmp_path / "disk"
    desktop.chosen.mkdir()
    moving = asyncio.ensure_future(home_page.refused("backups.move"))
    async with asyncio.timeout(30):
        while (await home_page.call("backups.list"))["job"] is None:
            await asyncio.sleep(0)

    await home_page.call("backups.stop")

    assert "cancelled" == (await moving).code
    assert [] == list(desktop.chosen.iterdir())
    assert paths == find_paths(None)
    await talk(home_page.app.store, ("Still here?", "Yes."))


def test_a_folder_that_is_gone_is_not_replaced_by_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DESKSIDE_DATA_DIR")
    pointer = find_paths(None).pointer
    assert pointer is not None
    pointer.parent.mkdir(parents=True)
    pointer.write_text(json.dumps({"data": str(tmp_path / "unplugged")}))
    with pytest.raises(StoreReadOnly, match="is not there"):
        find_paths(None)
    pointer.write_text("{")
    with pytest.raises(StoreReadOnly, match="cannot be read"):
        find_paths(None)
    assert tmp_path / "chosen" == find_paths(str(tmp_path / "chosen")).data


# -- each day -----------------------------------------------------------------------------------

DAY_MS = 24 * 60 * 60 * 1000
NOON_MS = 1_795_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("deskside.backend.backups.making.now_ms", clock)
    return clock


@pytest.fixture
def days(page: Page, clock: Clock) -> Callable[[Store], Backups]:
    """Backups that look at the clock all the time."""
    return lambda store: Backups(
        store, page.app.events, page.app.paths, clock_ms=clock, first_look_s=0, look_every_s=0.01
    )


async def test_a_backup_is_made_each_day_also_after_the_clock_was_set_back(
    page: Page, clock: Clock, days: Callable[[Store], Backups]
) -> None:
    backups = days(page.app.store)

    async def made(count: int) -> list[int]:
        async with asyncio.timeout(20):
            while len(found := read_folder(page.app.paths.backups)[0]) < count or backups.is_due():
                await asyncio.sleep(0.01)
        assert {"daily"} == {each.kind for each in found}
        return [(each.made_ms - NOON_MS) // DAY_MS for each in reversed(found)]

    assert [0] == await made(1)
    clock.now_ms += DAY_MS
    assert [0, 1] == await made(2)
    clock.now_ms -= 10 * DAY_MS
    assert [0, 1, -9] == await made(3)
    clock.now_ms += DAY_MS // 4
    assert not backups.is_due()
    clock.now_ms += DAY_MS
    assert [0, 1, -9, -8] == await made(4)
    await backups.close()


async def test_a_daily_backup_that_fails_is_told_once(page: Page, days: Callable[[Store], Backups]) -> None:
    page.app.paths.backups.write_text("in the way")
    backups = days(page.app.store)

    def tries() -> int:
        return sum(isinstance(event, BackupsChanged) and event.job is None for event in page.events())

    async with asyncio.timeout(20):
        while tries() < 3:
            await asyncio.sleep(0.01)
    await backups.close()

    (notice,) = (event for event in page.events() if isinstance(event, Notice))
    assert notice.message.startswith("Today's backup could not be made.")
