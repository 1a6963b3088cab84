"""`deskside export` and `deskside import`, as processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_cli import Terminal

CHATS: list[dict[str, Any]] = [
    {
        "uuid": "1",
        "name": "Dinner",
        "chat_messages": [
            {"uuid": "a", "sender": "human", "text": "Hi", "files": [{"file_name": "cat.png"}]},
            {"uuid": "b", "sender": "assistant", "text": "Hello"},
        ],
    }
]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "data")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "claude.json"
    path.write_text(json.dumps(CHATS))
    return path


def test_a_dry_run_only_says_what_would_come(terminal: Terminal, export: Path) -> None:
    trial = terminal.run("import", str(export), "--dry-run")
    done = terminal.run("import", str(export), "--from", "claude")
    again = terminal.run("import", str(export))

    skipped = "  1 × file: The export does not hold the file.\n      Dinner: cat.png\n"
    assert (0, f"claude: 1 conversation, 2 messages, 0 files would be imported.\n{skipped}") == (
        trial.returncode,
        trial.stdout,
    )
    assert (0, f"claude: 1 conversation, 2 messages, 0 files imported.\n{skipped}") == (
        done.returncode,
        done.stdout,
    )
    assert again.stdout.startswith(
        "claude: 0 conversations, 0 messages, 0 files imported; 1 are here already."
    )


def test_what_is_exported_comes_back(terminal: Terminal, export: Path, tmp_path: Path) -> None:
    terminal.run("import", str(export))
    out = [tmp_path / name for name in ("all.json", "one.html", "one.md")]
    done = [
        terminal.run("export", "--all", "--to", str(out[0])),
        terminal.run("export", "1", "--format", "html", "--to", str(out[1])),
        terminal.run("export", "1", "--format", "markdown", "--to", str(out[2])),
    ]
    other = Terminal(tmp_path / "other")
    other.run("import", str(out[0]))
    other.run("export", "--all", "--to", str(tmp_path / "again.json"))

    assert [(0, f"1 conversation exported to {path}\n") for path in out] == [
        (each.returncode, each.stdout) for each in done
    ]
    assert out[0].read_bytes() == (tmp_path / "again.json").read_bytes()
    assert "<h1" in out[1].read_text("utf-8")
    assert out[2].read_text("utf-8").startswith("# Dinner\n")


def test_a_deskside_that_runs_does_the_work(terminal: Terminal, export: Path, tmp_path: Path) -> None:
    serving = terminal.start("--serve")
    try:
        assert serving.stdout is not None
        assert json.loads(serving.stdout.readline())["pid"]
        done = terminal.run("import", str(export))
        exported = terminal.run("export", "--all", "--to", str(tmp_path / "all.json"))
    finally:
        serving.terminate()
        serving.communicate()

    assert (0, 0) == (done.returncode, exported.returncode), done.stderr + exported.stderr
    assert (tmp_path / "all.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export"], 2, "give either the ids of conversations, or --all"),
        (["export", "--all", "1"], 2, "give either the ids of conversations, or --all"),
        (["export", "x"], 2, "invalid"),
        (["export", "0"], 2, "0 is not an id"),
        (["export", "--all", "--format", "pdf"], 2, "invalid choice"),
        (["export", "7", "--to", "/tmp"], 1, "/tmp is a folder"),
        (["import"], 2, "required: FILE"),
        (["import", "x.json", "--from", "word"], 2, "invalid choice"),
        (["import", "/no/such/file.json"], 1, "There is no file /no/such/file.json. Choose another one."),
    ],
)
def test_wrong_usage_and_failures_say_what_to_do(
    terminal: Terminal, arguments: list[str], code: int, message: str
) -> None:
    done = terminal.run(*arguments)

    assert code == done.returncode
    assert message in done.stderr
