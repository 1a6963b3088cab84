"""The program that torture.py kills: `deskside --serve`, and a command of the terminal beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend", "tests")]

from deskside.backend.errors import AppError  # noqa: E402 - a checkout that is not installed
from deskside.shell.instance import AlreadyRunning  # noqa: E402
from deskside.shell.paths import find_paths  # noqa: E402
from deskside.shell.running import offer_file  # noqa: E402


class Gone(Exception):
    """The program was killed: nobody knows whether the last call was carried out."""


class Program:
    """`deskside --serve`. Every call raises Gone once it was killed."""

    def __init__(self, data: Path, environ: dict[str, str]) -> None:
        self.process = run("--serve", "--data-dir", str(data), environ=environ)
        self.data = data
        self.http = httpx2.Client(trust_env=False, timeout=60)
        self._is_killed = False

    def wait_until_it_answers(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(f"it did not start: {self.process.stderr.read()[-2000:]}")
        url = json.loads(line)["url"]
        origin = url.split("/__boot")[0]
        self.http.base_url = httpx2.URL(origin)
        self.http.headers["origin"] = origin
        self.http.get(url)

    def call(self, command: str, params: Any) -> Any:
        try:
            answer = self.http.post(f"/rpc/{command}", json=params).json()
        except httpx2.HTTPError as error:
            raise Gone from error
        if not answer["ok"]:
            raise AssertionError(f"{command} failed: {answer['error']}")
        return answer["data"]

    def upload(self, name: str, content: bytes, conversation: int) -> Any:
        to = {"name": name, "conversation": str(conversation)}
        try:
            answer = self.http.post("/attachments/", params=to, content=content)
        except httpx2.HTTPError as error:
            raise Gone from error
        assert answer.status_code == 200, answer.text
        return answer.json()

    def offer(self, file: Path) -> str:
        """Tell it of a file as a terminal does; returns the word for it."""
        try:
            return offer_file(find_paths(str(self.data)), file)
        except (AlreadyRunning, AppError) as error:
            if self._is_killed:
                raise Gone from error
            raise

    def kill(self) -> None:
        self._is_killed = True
        kill(self.process)


def run(*arguments: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    """Start `deskside` with these arguments."""
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    return subprocess.Popen(
        [sys.executable, "-m", "deskside", *arguments],
        env={**os.environ, "PYTHONPATH": roots, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """By `kill -9`, where it runs still."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
