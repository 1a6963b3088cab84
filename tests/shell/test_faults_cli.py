"""The terminal commands when the disk, the database or the user's shell gets in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from damage import make_database, overwrite
from provider_server import ProviderServer
from stores import rows

ROOTS = [str(Path(__file__).resolve().parents[2] / root) for root in ("shell", "bridge", "backend")]
LIMIT_S = 60


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """A provider that needs a minute for its answer."""
    with ProviderServer(chunks=3000, chunk_delay_s=0.02) as server:
        yield server


class Terminal:
    """`deskside` as a shell starts it, on one data folder."""

    def __init__(self, data: Path, environ: dict[str, str]) -> None:
        self.data = data
        self._environ = {**os.environ, "PYTHONPATH": os.pathsep.join(ROOTS), **environ}

    def start(
        self, *arguments: str, stdin: Any = subprocess.DEVNULL, prefix: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "deskside", "--data-dir", str(self.data), *arguments],
            env=self._environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def printed(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what was printed on stdout."""
        with self.start(*arguments) as process:
            printed, _ = process.communicate(timeout=LIMIT_S)
        return process.returncode, printed.decode()

    def run(self, *arguments: str, typed: bytes = b"", prefix: Sequence[str] = ()) -> tuple[int, str]:
        """The exit code, and what was said on stderr."""
        with self.start(*arguments, stdin=subprocess.PIPE, prefix=prefix) as process:
            _, said = process.communicate(typed, LIMIT_S)
        return process.returncode, said.decode()

    def replies(self) -> list[tuple[str, int]]:
        """Status and length of each reply in the database, as another program reads it."""
        return rows(
            self.data / "deskside.db",
            "select status, coalesce(sum(length(text)), 0) from message "
            "left join message_part on message_part.message = message.id "
            "where role = 'assistant' group by message.id order by message.id",
        )  # type: ignore[return-value]


@pytest.fixture
def terminal(tmp_path: Path, provider: ProviderServer) -> Terminal:
    return Terminal(
        tmp_path / "data",
        {
            "OPENAI_API_KEY": "sk-test-openai-0000000000001234",
            "OPENAI_BASE_URL": provider.openai_url,
            "DESKSIDE_MODEL": "openai/gpt-test",
        },
    )


def read(stream: IO[bytes] | None, count: int) -> int:
    assert stream is not None
    return len(stream.read(count))


def test_ctrl_c_in_the_middle_of_an_answer_keeps_what_was_said(terminal: Terminal) -> None:
    with terminal.start("ask", "Tell me a story.") as process:
        seen = read(process.stdout, 60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)

    assert (1, b"deskside: stopped.\n") == (process.returncode, said)
    ((status, length),) = terminal.replies()
    assert "stopped" == status
    assert length >= seen


def test_a_reader_that_has_seen_enough_ends_the_answer_without_a_complaint(terminal: Terminal) -> None:
    with terminal.start("ask", "Tell me a story.") as process:
        read(process.stdout, 30)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait(LIMIT_S)

    assert (1, b"") == (process.returncode, said)
    assert "stopped" == terminal.replies()[0][0]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 2_000_001, "2,000,001 characters"),
        (b" \n", "the question is empty"),
    ],
    ids=["other bytes", "too long", "nothing"],
)
def test_a_question_that_cannot_be_asked_is_wrong_usage(
    terminal: Terminal, typed: bytes, expected: str
) -> None:
    code, said = terminal.run("ask", "-", typed=typed)

    assert 2 == code
    assert expected in said


def test_what_a_killed_program_left_is_no_obstacle(terminal: Terminal) -> None:
    with terminal.start("ask", "Tell me a story.") as process:
        read(process.stdout, 200)
        process.kill()
        process.communicate()
    assert (terminal.data / "instance.json").exists()

    assert (0, "") == terminal.run("call", "app.state")
    ((status, length),) = terminal.replies()
    assert "interrupted" == status
    assert length > 0


@pytest.mark.parametrize("closed", ["data", "data/logs"])
def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path, closed: str) -> None:
    (tmp_path / closed).mkdir(parents=True)
    (tmp_path / closed).chmod(0o555)

    said_by = Terminal(tmp_path / "data", {}).run("call", "app.state", prefix=without_root_s_rights())

    (tmp_path / closed).chmod(0o755)
    code, said = said_by
    assert 1 == code
    assert 1 == said.count("\n")
    assert str(tmp_path / closed) in said
    assert "--data-dir" in said
    assert "fault" not in said


def without_root_s_rights() -> list[str]:
    """What makes permissions count for root, too; another user could not enter a checkout below /root."""
    return [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]


@pytest.mark.parametrize("broken", ["logs", "deskside.db"])
def test_a_file_that_is_not_ours_is_told_in_one_sentence_and_left_alone(
    terminal: Terminal, broken: str
) -> None:
    terminal.data.mkdir(mode=0o700)
    (terminal.data / broken).write_text("Dear diary\n" * 1000)

    code, said = terminal.run("call", "app.state")

    assert 1 == code
    assert 1 == said.count("\n")
    assert str(terminal.data / broken) in said
    assert "fault" not in said
    assert "Dear diary\n" * 1000 == (terminal.data / broken).read_text()


@pytest.fixture
def damaged(terminal: Terminal) -> Path:
    """A database that does not open any more."""
    database = terminal.data / "deskside.db"
    make_database(database, conversations=20)
    overwrite(database, {1}, bytes)
    return database


def test_a_damaged_database_is_told_with_what_to_do_about_it(terminal: Terminal, damaged: Path) -> None:
    code, said = terminal.run("call", "app.state")

    assert 1 == code
    assert 1 == said.count("\n")
    assert str(damaged) in said
    assert "deskside rescue" in said


def test_a_damaged_database_is_rescued_from_the_terminal(terminal: Terminal, damaged: Path) -> None:
    before = damaged.read_bytes()

    looked = terminal.printed("rescue", "--dry-run")
    refused = terminal.run("rescue")
    untouched = damaged.read_bytes()
    rescued = terminal.printed("rescue", "--yes", "--json")
    again = terminal.run("call", "app.state")

    assert 0 == looked[0]
    assert re.search(r"Conversations +18 +0 ", looked[1])
    assert before == untouched
    assert 1 == refused[0]
    assert "--yes" in refused[1]
    assert 0 == rescued[0]
    found = {table["name"]: table["rescued"] for table in json.loads(rescued[1])["tables"]}
    assert 18 == found["conversation"] == rows(damaged, "select count(*) from conversation")[0][0]
    (kept,) = terminal.data.glob("damaged-*")
    assert before == (kept / "deskside.db").read_bytes()
    assert (0, "") == again


def test_what_holds_nothing_of_ours_is_not_rescued_and_left_alone(terminal: Terminal) -> None:
    terminal.data.mkdir(mode=0o700)
    (terminal.data / "deskside.db").write_text("Dear diary\n" * 1000)

    code, said = terminal.run("rescue", "--yes")

    assert 1 == code
    assert "Nothing of the damaged database can be read. Restore a backup" in said
    assert "Dear diary\n" * 1000 == (terminal.data / "deskside.db").read_text()


def test_a_running_deskside_is_not_rescued_behind_its_back(terminal: Terminal) -> None:
    with terminal.start("--serve") as process:
        assert process.stdout is not None
        process.stdout.readline()
        code, said = terminal.run("rescue", "--yes")
        process.terminate()
        process.communicate(timeout=LIMIT_S)

    assert 1 == code
    assert "Close it first" in said
