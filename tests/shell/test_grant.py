"""`deskside grant`: folders from the terminal, whoever holds the data folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import Terminal, end, read_line


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "data")


def granted(terminal: Terminal) -> list[dict[str, object]]:
    found = json.loads(terminal.run("call", "settings.get").stdout)["data"]["folders"]
    assert isinstance(found, list)
    return found


def test_a_folder_is_granted_and_taken_back_where_nothing_runs(terminal: Terminal, docs: Path) -> None:
    read = terminal.run("grant", str(docs))
    after_read = granted(terminal)
    write = terminal.run("grant", "--write", f"{docs}/.")
    after_write = granted(terminal)
    removed = terminal.run("grant", "--remove", str(docs))

    assert (0, f"The assistant may read files in {docs}.\n") == (read.returncode, read.stdout)
    assert f"The assistant may read and change files in {docs}.\n" == write.stdout
    assert f"The assistant may no longer use {docs}.\n" == removed.stdout
    assert [[{"path": str(docs), "can_write": False}], [{"path": str(docs), "can_write": True}], []] == [
        after_read,
        after_write,
        granted(terminal),
    ]


def test_a_running_deskside_takes_the_grant_and_says_why_not(terminal: Terminal, docs: Path) -> None:
    process = terminal.start("--serve")
    try:
        read_line(process)
        taken = terminal.run("grant", str(docs))
        refused = terminal.run("grant", "/")
        unknown = terminal.run("grant", "--remove", "/nowhere")
        running = granted(terminal)
    finally:
        assert 0 == end(process)

    assert (0, f"The assistant may read files in {docs}.\n") == (taken.returncode, taken.stdout)
    assert 1 == refused.returncode
    assert refused.stderr.startswith("deskside: '/' belongs to the system. Choose a folder that holds only ")
    assert (1, "'/nowhere' is not granted") == (unknown.returncode, unknown.stderr[10:35])
    assert [{"path": str(docs), "can_write": False}] == running == granted(terminal)


def test_no_folder_is_wrong_usage(terminal: Terminal) -> None:
    done = terminal.run("grant", "")

    assert 2 == done.returncode


@pytest.mark.parametrize("path", ["relative-and-absent", "/proc", "~"])
def test_what_should_not_be_granted_is_refused(terminal: Terminal, path: str) -> None:
    done = terminal.run("grant", path)

    assert 1 == done.returncode
    assert done.stderr.startswith("deskside: ")
    assert [] == granted(terminal)
