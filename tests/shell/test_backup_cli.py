"""`deskside backup` and `deskside restore`, as processes: alone, and beside a Deskside that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_cli import Terminal, end, read_line

from backup_parts import PASSPHRASE, fill, flip, titles
from deskside.backend.paths import Paths


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path / "data")
    asyncio.run(fill(paths_of(terminal), "Where are the plums?"))
    return terminal


def paths_of(terminal: Terminal) -> Paths:
    return Paths(terminal.data, terminal.data / "logs", terminal.data / "cache")


def ask_more(terminal: Terminal) -> None:
    asyncio.run(fill(paths_of(terminal), "And the icebox?"))


@contextmanager
def serving(terminal: Terminal) -> Iterator[None]:
    process = terminal.start("--serve")
    read_line(process)
    yield
    assert 0 == end(process)


def database(terminal: Terminal) -> Path:
    return terminal.data / "deskside.db"


def test_a_backup_is_made_listed_looked_at_and_restored(terminal: Terminal) -> None:
    made = terminal.run("backup")
    assert (0, "") == (made.returncode, made.stderr)
    manifest = Path(made.stdout.strip())
    ask_more(terminal)

    listed = terminal.run("backup", "--list").stdout
    looked = terminal.run("restore", manifest.stem, "--dry-run")
    asked = terminal.run("restore", manifest.stem)
    assert manifest.stem in listed
    assert "1 conversation, made by hand" in listed
    assert 0 == looked.returncode
    assert "1 conversation would go, as it is only here:\n  And the icebox?" in looked.stdout
    assert "--yes" in asked.stderr
    assert 1 == asked.returncode
    assert ["Where are the plums?", "And the icebox?"] == titles(database(terminal))

    restored = terminal.run("restore", str(manifest), "--yes")
    assert 0 == restored.returncode, restored.stderr
    assert ["Where are the plums?"] == titles(database(terminal))
    (kept,) = (
        line for line in terminal.run("backup", "--list").stdout.splitlines() if "before a restore" in line
    )
    assert 0 == terminal.run("restore", kept.split()[0], "--yes").returncode
    assert ["Where are the plums?", "And the icebox?"] == titles(database(terminal))


def test_an_encrypted_backup_goes_to_another_disk_and_comes_back_on_a_new_machine(
    terminal: Terminal, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    too_short = terminal.run("backup", "--to", str(disk), "--passphrase", stdin="short\n")
    assert (1, False) == (too_short.returncode, (disk / "deskside-backups").exists())
    made = terminal.run("backup", "--to", str(disk), "--passphrase", stdin=f"{PASSPHRASE}\n")
    assert 0 == made.returncode, made.stderr
    manifest = Path(made.stdout.strip())
    assert disk / "deskside-backups" == manifest.parent
    assert {".json", ".age", ""} == {path.suffix for path in manifest.parent.iterdir()}
    assert "encrypted" in terminal.run("backup", "--list", "--to", str(disk)).stdout

    new = Terminal(tmp_path / "new")
    wrong = new.run("restore", str(manifest), "--yes", stdin="another passphrase\n")
    right = new.run("restore", str(manifest), "--yes", stdin=f"{PASSPHRASE}\n")

    assert 1 == wrong.returncode
    assert "The passphrase does not open this backup." in wrong.stderr
    assert 0 == right.returncode, right.stderr
    assert ["Where are the plums?"] == titles(database(new))
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert PASSPHRASE.encode() not in path.read_bytes(), path


def test_beside_a_running_deskside_a_restore_waits_for_its_next_start(terminal: Terminal) -> None:
    manifest = terminal.run("backup").stdout.strip()
    ask_more(terminal)

    with serving(terminal):
        assert 0 == terminal.run("backup").returncode
        restored = terminal.run("restore", manifest, "--yes")
        assert "when it is closed and started again" in restored.stdout
        assert ["Where are the plums?", "And the icebox?"] == titles(database(terminal))

    with serving(terminal):
        page = json.loads(terminal.run("call", "conversations.page", '{"limit": 5}').stdout)
        assert ["Where are the plums?"] == [row["title"] for row in page["data"]["conversations"]]


def test_what_cannot_be_restored_is_said_in_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    manifest = Path(terminal.run("backup").stdout.strip())
    flip(manifest.with_suffix(".db"), seed=1)

    damaged = terminal.run("restore", str(manifest), "--yes")
    missing = terminal.run("restore", "nothing", "--yes")
    empty = Terminal(tmp_path / "empty").run("backup")

    assert "is damaged: it is not what was written" in damaged.stderr
    assert "There is no file" in missing.stderr
    assert "There is nothing to back up" in empty.stderr
    assert [1, 1, 1] == [each.returncode for each in (damaged, missing, empty)]
    assert ["Where are the plums?"] == titles(database(terminal))


def test_a_store_that_does_not_open_can_be_restored(terminal: Terminal) -> None:
    manifest = terminal.run("backup").stdout.strip()
    database(terminal).write_bytes(b"\xa5" * 50_000)
    assert 1 == terminal.run("call", "conversations.page", '{"limit": 5}').returncode

    restored = terminal.run("restore", manifest, "--yes")

    assert 0 == restored.returncode, restored.stderr
    assert "cannot be read; its files will be kept" in restored.stdout
    assert ["Where are the plums?"] == titles(database(terminal))
