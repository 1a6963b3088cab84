"""What a released Deskside has written opens in this one: a database of each is kept, and migrated."""

from __future__ import annotations

import json
import lzma
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import released_store
from deskside.backend.app import open_app
from deskside.backend.backups.manifest import read_folder
from deskside.backend.store import conversation_search
from deskside.backend.store.migrate import migrate
from deskside.backend.store.schema import read_migrations
from stores import connected, paths_in, rows

ROOT = Path(__file__).resolve().parents[1]
KEPT = sorted(released_store.FOLDER.glob("*.db.xz"))
NEWEST = len(read_migrations())
RELEASED = re.findall(r"^## (\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def version_of(kept: Path) -> str:
    return kept.name.removesuffix(".db.xz")


def said_of(kept: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(kept.with_name(f"{version_of(kept)}.json").read_text("utf-8"))
    return said


@pytest.fixture(params=KEPT, ids=version_of)
def kept(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def database(kept: Path, tmp_path: Path) -> Path:
    """Where a start finds it."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "deskside.db"
    path.write_bytes(lzma.decompress(kept.read_bytes()))
    return path


def test_every_release_has_left_its_store() -> None:
    assert KEPT
    assert set(RELEASED) <= {version_of(kept) for kept in KEPT}


def test_a_kept_store_is_brought_to_the_newest_schema_whole(kept: Path, database: Path) -> None:
    migrate(database, None)

    with closing(connected(database)) as connection:
        assert [("ok",)] == connection.execute("pragma integrity_check").fetchall()
        assert [] == connection.execute("pragma foreign_key_check").fetchall()
        for index in ("message_search", "title_search"):
            # 1: also against the texts that it is of.
            connection.execute(f"insert into {index} ({index}, rank) values ('integrity-check', 1)")
        now = released_store.rows_of(connection)
    assert [(NEWEST,)] == rows(database, "pragma user_version")
    before = said_of(kept)["rows"]
    assert before | {"migration": NEWEST} == {name: now[name] for name in before}


async def test_a_kept_store_says_what_it_said(kept: Path, database: Path, tmp_path: Path) -> None:
    """In the program itself, which also puts right what was cut off when the earlier one ended."""
    (schema,) = rows(database, "pragma user_version")[0]
    async with open_app(paths_in(tmp_path)) as app:
        assert app.store.trouble is None
        said = await released_store.said_in(app.store)
        found = await app.store.read(conversation_search.search, "李子", 10)

    cut = [each for each in said if each["title"] == "Tell me a long story."]
    assert said_of(kept)["conversations"] == [each for each in said if each not in cut]
    [[_, reply]] = [each["messages"] for each in cut]
    assert ("interrupted", [["text", "Once upon a time"]]) == (reply["status"], reply["parts"])
    assert ["Who has eaten the plums?"] == [message.title for message in found.messages]
    made, unreadable = read_folder(database.parent / "backups") if schema < NEWEST else ([], [])
    assert [] == unreadable
    assert (["before_migration"] if schema < NEWEST else []) == [each.kind for each in made]


def test_the_store_of_this_checkout_has_rows_in_every_table_and_is_the_same_each_time() -> None:
    first, second = released_store.make("0.0.1"), released_store.make("0.0.1")

    assert first == second


def test_an_older_deskside_refuses_a_newer_store_and_the_way_back_that_it_names_leads_there(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    # As the update does it: a backup, then the newer form.
    assert 0 == deskside(data, "call", "app.state").returncode
    assert 0 == deskside(data, "backup").returncode
    with closing(sqlite3.connect(data / "deskside.db")) as connection:
        connection.executescript(f"""
            create table of_the_future (id integer primary key) strict;
            insert into migration values ({NEWEST + 1}, 'of_the_future', '', 0);
            pragma user_version = {NEWEST + 1};
        """)
    before = (data / "deskside.db").read_bytes()

    refused = deskside(data, "call", "app.state")

    assert 1 == refused.returncode
    assert "was written by a newer Deskside" in refused.stderr
    assert "Install the newest Deskside" in refused.stderr
    assert before == (data / "deskside.db").read_bytes()
    assert "deskside backup --list" in refused.stderr
    assert "deskside restore NAME" in refused.stderr
    name = deskside(data, "backup", "--list").stdout.split()[0]
    restored = deskside(data, "restore", name, "--yes")
    assert 0 == restored.returncode, restored.stderr
    assert 0 == deskside(data, "call", "app.state").returncode


def deskside(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deskside", "--data-dir", str(data), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
