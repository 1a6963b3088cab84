"""In a program that Briefcase makes there is no Python to start children with; they start all the same."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docx
import httpx2
import pytest

from deskside.backend.agent.device_models import SMOLLM2
from deskside.backend.paths import Paths
from deskside.shell.client import Client
from deskside.shell.instance import send
from mcp_parts import HOSTILE
from offline_world import answer, tool_result
from provider_server import ProviderServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a first line")
LIMIT_S = 60.0
PROGRAM = Path(__file__).parents[1] / "briefcase_program.py"
PAGE = "<title>Plums</title><body><article>" + "<p>The plums are cold.</p>" * 20 + "</article>"


class Briefcase:
    """The stand-in for one of Briefcase's programs."""

    def __init__(self, folder: Path, system: str) -> None:
        self.path = folder / "Deskside"
        self.data = folder / "data"
        self._starts = folder / "starts"
        # Where it prints to.
        self._printed = folder / ("printed" if system == "macOS" else "log")
        words = shlex.join([sys.executable, "-I", str(PROGRAM), system, str(self.path)])
        self.path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        self.path.chmod(0o755)

    @property
    def roles(self) -> set[str]:
        """What it was started as; "" is Deskside itself."""
        starts = [json.loads(line) for line in self._starts.read_text("utf-8").splitlines()]
        return {start[1] if start[:1] == ["--role"] else "" for start in starts}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(self.path), "--data-dir", str(self.data), *arguments]
        with self._printed.open("a") as printed:
            return subprocess.Popen(command, stdout=printed, stderr=subprocess.PIPE, text=True)

    def text_of(self, name: str, content: bytes, client: Client) -> str:
        """The text of a file that is put to a question."""
        paths = Paths(self.data, self.data / "logs", self.data / "cache")
        origin = {"Origin": client.origin}
        with send(paths, "boot-url") as remote, httpx2.Client(headers=origin, trust_env=False) as http:
            http.get(remote.answer.url)
            row = http.post(f"{client.origin}/attachments/", params={"name": name}, content=content).json()
        give_up = time.monotonic() + LIMIT_S
        while row["text_status"] == "waiting" and time.monotonic() < give_up:
            time.sleep(0.05)
            [row] = client.call("attachments.draft", {"conversation_id": None})
        return str(client.call("attachments.text", {"id": row["id"]})["text"])

    def run(self, *arguments: str, may_fail: bool = False) -> str:
        """What it printed."""
        before = self._before()
        process = self.start(*arguments)
        complaints = process.communicate(timeout=LIMIT_S)[1]
        assert may_fail or process.returncode == 0, complaints
        return self._printed.read_text("utf-8").removeprefix(before)

    def _before(self) -> str:
        return self._printed.read_text("utf-8") if self._printed.exists() else ""

    @contextmanager
    def served(self) -> Iterator[Client]:
        before = self._before()
        process = self.start("--serve")
        try:
            give_up = time.monotonic() + LIMIT_S
            while not (line := self._printed.read_text("utf-8").removeprefix(before)).endswith("\n"):
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < give_up
                time.sleep(0.05)
            with Client(json.loads(line)["url"]) as client:
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=LIMIT_S)


# Microsoft's C library gives a window's program streams that lead nowhere, and whose numbers are taken. The
# console that it was started from can be opened by name.
CONSOLE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
folder, sys.platform = Path(sys.argv[2]), "win32"
from deskside.backend.python_children import take_streams

opened = os.open
kept = [opened(os.devnull, os.O_RDWR) for _ in range(3)]  # so that no low number is given away
os.open = lambda name, flags: opened(folder / name if name.startswith("CON") else name, flags)
fstat = os.fstat
os.fstat = lambda number: (_ for _ in ()).throw(OSError()) if number < 3 else fstat(number)
take_streams()
os.fstat = fstat
print("asked", input())
print("complained", file=sys.stderr)
"""


@pytest.mark.parametrize("has_console", [True, False])
def test_a_terminal_on_windows_is_read_and_written(tmp_path: Path, has_console: bool) -> None:
    if has_console:
        (tmp_path / "CONIN$").write_text("Where are the plums?\n")
        (tmp_path / "CONOUT$").write_text("")
    words = [sys.executable, "-c", CONSOLE, str(PROGRAM.parents[1] / "backend"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S)

    assert ("", "") == (done.stdout, done.stderr)
    # From the menu there is nothing to read: that ends it, and nobody sees the traceback.
    assert (0 if has_console else 1) == done.returncode
    assert not has_console or "complained\n" in (tmp_path / "CONOUT$").read_text()


def letter() -> bytes:
    document = docx.Document()
    document.add_paragraph("The plums are cold.")
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


@pytest.fixture(params=["macOS", "Windows"])
def briefcase(request: pytest.FixtureRequest, tmp_path: Path) -> Briefcase:
    return Briefcase(tmp_path, request.param)


def test_what_needs_a_child_gets_one(briefcase: Briefcase) -> None:
    with briefcase.served() as client, ProviderServer() as local:
        server = {"id": "local", "label": "Here", "base_url": local.openai_url}
        client.call("settings.change", {"servers": [server]})
        read = briefcase.text_of("letter.docx", letter(), client)
        ran = tool_result(client, local, "run_python", {"code": "6 * 7"})
        said = answer(client, f"device/{SMOLLM2.name}")

    assert "The plums are cold." in read
    assert "42" in ran
    assert "complete" == said["status"], said
    assert {"", "extract_worker", "device_server"} == briefcase.roles


def test_programs_of_mcp_servers_run(tmp_path: Path) -> None:
    briefcase = Briefcase(tmp_path, "macOS")  # on Windows they are kept in another way
    briefcase.run("mcp", "add", "program", "--yes", "--", sys.executable, str(HOSTILE), "plain")

    with briefcase.served() as client, ProviderServer() as local:
        server = {"id": "local", "label": "Here", "base_url": local.openai_url}
        client.call("settings.change", {"servers": [server]})
        added = tool_result(client, local, "program__add", {"a": 19, "b": 23})

    assert "42" == added
    assert {"", "lifeline"} == briefcase.roles


def test_the_doctor_looks_at_everything(briefcase: Briefcase) -> None:
    said = briefcase.run("doctor", "--json", may_fail=True)

    checks = {check["name"]: check for check in json.loads(said)["checks"]}
    assert checks["web engine"]["ok"], checks["web engine"]
    assert checks["sandbox"]["ok"], checks["sandbox"]
    assert {"", "engine_probe"} == briefcase.roles


def test_a_page_is_read(briefcase: Briefcase) -> None:
    order = json.dumps({"url": "https://page.example/", "longest": 1000})
    words = [str(briefcase.path), "--role", "readable_worker"]
    done = subprocess.run(words, input=f"{order}\n{PAGE}", capture_output=True, text=True, timeout=LIMIT_S)

    assert 0 == done.returncode
    assert done.stderr.startswith("Plums\nThe plums are cold.")
    assert "" == done.stdout


@pytest.mark.parametrize("words", [["--role"], ["--role", "antigravity"], ["--role", __file__]])
def test_no_other_file_is_run_in_its_name(tmp_path: Path, words: list[str]) -> None:
    briefcase = Briefcase(tmp_path, "macOS")

    assert 2 == subprocess.run([str(briefcase.path), *words], timeout=LIMIT_S).returncode
