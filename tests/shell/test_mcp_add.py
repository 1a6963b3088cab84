"""`deskside mcp add`: the same question as in the window, on the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import LIMIT_S, ROOT, Terminal, end, read_line

from guarded_server import guarded_server
from mcp_parts import HOSTILE, NO_KEYCHAIN, everything_over_http


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "data", NO_KEYCHAIN)


def servers(terminal: Terminal) -> list[str]:
    listed = terminal.run("call", "mcp.servers")
    return [row["name"] for row in json.loads(listed.stdout)["data"]]


def test_a_program_is_added_with_yes(terminal: Terminal) -> None:
    command = [sys.executable, str(HOSTILE), "plain", "--yes"]

    added = terminal.run("mcp", "add", "sums", "--env", "LEVEL=1", "--yes", "--", *command)

    assert 0 == added.returncode, added.stderr
    assert "“sums” was added, runs, and offers 1 tool." in added.stdout
    assert 'Argument 3: "--yes"' in added.stderr
    assert 'Variable LEVEL = "1"' in added.stderr
    assert ["sums"] == servers(terminal)


def test_an_address_is_added_with_yes(terminal: Terminal) -> None:
    with everything_over_http() as url:
        added = terminal.run("mcp", "add", "everything", "--yes", "--url", url)

    assert "“everything” was added, runs, and offers" in added.stdout, added.stderr


def test_where_to_sign_in_is_said(terminal: Terminal) -> None:
    with guarded_server() as guard:
        added = terminal.run("mcp", "add", "guarded", "--yes", "--url", guard.server)

    assert 0 == added.returncode, added.stderr
    assert "“guarded” was added, and wants you to sign in" in added.stdout


def test_without_a_terminal_nothing_is_added(terminal: Terminal, tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    refused = terminal.run("mcp", "add", "sums", "--", sys.executable, str(HOSTILE), "marker", str(marker))

    assert 1 == refused.returncode
    assert "add --yes" in refused.stderr
    assert not marker.exists()
    assert [] == servers(terminal)


@pytest.mark.parametrize(("typed", "is_added"), [("y", True), ("", False), ("n", False), ("ye", False)])
def test_a_person_is_asked(terminal: Terminal, typed: str, is_added: bool) -> None:
    """On a pseudo-terminal, as `input` wants one."""
    ours, theirs = pty.openpty()
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    process = subprocess.Popen(
        [sys.executable, "-m", "deskside", "mcp", "add", "sums", "--", sys.executable, str(HOSTILE), "plain"],
        env={**os.environ, **NO_KEYCHAIN, "PYTHONPATH": roots, "DESKSIDE_DATA_DIR": str(terminal.data)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours, f"{typed}\n".encode())
    try:
        out, errors = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        os.close(ours)

    assert (0 if is_added else 1) == process.returncode, errors
    assert is_added == ("was added" in out)
    assert is_added or "Nothing was added." in errors


def test_beside_a_deskside_without_a_window_nothing_is_added(terminal: Terminal, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    process = terminal.start("--serve")
    try:
        read_line(process)
        command = [sys.executable, str(HOSTILE), "marker", str(marker)]

        refused = terminal.run("mcp", "add", "sums", "--yes", "--", *command)

        assert 1 == refused.returncode
        assert "Without a window there is no way to ask you." in refused.stderr
        assert not marker.exists()
    finally:
        assert 0 == end(process)


@pytest.mark.parametrize(
    "arguments",
    [
        ["mcp"],
        ["mcp", "add"],
        ["mcp", "add", "x"],
        ["mcp", "add", "x", "--"],
        ["mcp", "add", "x", "--url", "http://127.0.0.1/", "--", "ls"],
        ["ask", "mcp", "--", "ls"],
    ],
)
def test_wrong_usage_exits_2(terminal: Terminal, arguments: list[str]) -> None:
    ended = terminal.run(*arguments)

    assert 2 == ended.returncode
    assert re.search("usage:", ended.stderr)
    assert not terminal.data.exists()
