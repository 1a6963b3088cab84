"""End the program with SIGKILL while an answer streams, and see what is lost.

    python build/bench/kills.py [--times 20]

Each time: start `deskside --serve` on the same data folder, ask, watch the events as the page does, kill at
a random moment, run `PRAGMA integrity_check`, start again and compare. What counts as lost is text that
the page had been shown and the database does not have, in characters and in the time it had been
shown before the kill. Exits 1 when that time is over 250 ms and the text over 4 KB, when text differs, or
when the database is not whole. A local server plays the provider; it writes a word every 5 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend", "tests")]
ALLOWED_S = 0.25
ALLOWED_CHARACTERS = 4096


@dataclass
class Shown:
    """A piece of text as the page got it."""

    at_s: float
    text: str


class Program:
    """`deskside --serve` and one socket to it."""

    def __init__(self, data: Path, environ: dict[str, str]) -> None:
        roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deskside", "--data-dir", str(data), "--serve"],
            env={**os.environ, "PYTHONPATH": roots, **environ},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        url = json.loads(self.process.stdout.readline())["url"]
        self.origin = url.split("/__boot")[0]
        self.http = httpx2.Client(base_url=self.origin, headers={"origin": self.origin}, trust_env=False)
        self.http.get(url)

    def call(self, command: str, params: Any) -> Any:
        answer = self.http.post(f"/rpc/{command}", json=params).json()
        assert answer["ok"], answer
        return answer["data"]

    def socket(self) -> Any:
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        address = self.origin.replace("http", "ws") + "/bridge"
        return connect(address, origin=self.origin, additional_headers={"cookie": cookie}, proxy=None)  # type: ignore[arg-type]

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)
        self.http.close()


def main() -> int:
    from provider_server import ProviderServer

    arguments = argparse.ArgumentParser(description="Kill the program while it streams.")
    arguments.add_argument("--times", type=int, default=20)
    options = arguments.parse_args()
    failed = 0
    lost_ms: list[float] = []
    lost_characters: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ProviderServer(chunks=4000, chunk_delay_s=0.005) as provider,
    ):
        environ = {
            "OPENAI_API_KEY": "sk-test-0000000000000000",
            "OPENAI_BASE_URL": provider.openai_url,
            "DESKSIDE_MODEL": "openai/gpt-test",
        }
        for number in range(1, options.times + 1):
            data = Path(folder) / "data"
            shown, message_id, killed_s = shown_until_kill(data, environ)
            whole = integrity(data / "deskside.db")
            stored, status = stored_text(data, environ, message_id)
            seen = "".join(piece.text for piece in shown)
            missing = max(0, len(seen) - len(stored))
            age_ms = 1000 * (killed_s - first_missing_s(shown, len(stored), killed_s))
            is_prefix = seen.startswith(stored) or stored.startswith(seen)
            fine = whole == "ok" and status == "interrupted" and is_prefix
            fine = fine and (age_ms <= 1000 * ALLOWED_S or missing <= ALLOWED_CHARACTERS)
            failed += not fine
            lost_ms.append(age_ms)
            lost_characters.append(missing)
            print(
                f"{number:3}  shown {len(seen):6} characters, lost {missing:4} (the last {age_ms:4.0f} ms)"
                f", integrity {whole}, {status}{'' if fine else '   FAILED'}"
            )
    print(
        f"{options.times} kills: at most {max(lost_characters)} characters and {max(lost_ms):.0f} ms lost, "
        f"median {sorted(lost_ms)[len(lost_ms) // 2]:.0f} ms; {failed} failed"
    )
    return 1 if failed else 0


def shown_until_kill(data: Path, environ: dict[str, str]) -> tuple[list[Shown], int, float]:
    """Ask, watch, kill. Returns what was shown, the reply's id, and when it was killed."""
    program = Program(data, environ)
    shown: list[Shown] = []
    with program.socket() as socket:
        started = program.call("runs.start", {"text": "Tell me a long story."})
        message_id = started["reply"]["id"]
        after_s = random.uniform(0.0, 3.0)  # after the first words
        kill_s = time.monotonic() + 60
        try:
            while time.monotonic() < kill_s:
                frame = json.loads(socket.recv(timeout=max(0.001, kill_s - time.monotonic())))
                texts = [Shown(time.monotonic(), event["text"]) for event in texts_of(frame, message_id)]
                if texts and not shown:
                    kill_s = texts[0].at_s + after_s
                shown += texts
        except TimeoutError:
            pass
        killed_s = time.monotonic()
        program.end(signal.SIGKILL)
        try:
            while True:  # what was on the wire had been shown, too
                frame = json.loads(socket.recv(timeout=1))
                shown += [Shown(killed_s, event["text"]) for event in texts_of(frame, message_id)]
        except (ConnectionClosed, TimeoutError):
            pass
    return shown, message_id, killed_s


def texts_of(frame: Any, message_id: int) -> list[Any]:
    events = frame["events"] if frame["t"] == "event" else []
    return [
        event for event in events if event["type"] == "text_appended" and event["message_id"] == message_id
    ]


def first_missing_s(shown: list[Shown], stored_characters: int, killed_s: float) -> float:
    """When the first character that is not in the database was shown."""
    reached = 0
    for piece in shown:
        reached += len(piece.text)
        if reached > stored_characters:
            return piece.at_s
    return killed_s


def integrity(database: Path) -> str:
    connection = sqlite3.connect(database)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def stored_text(data: Path, environ: dict[str, str], message_id: int) -> tuple[str, str]:
    """The reply's text and status after the next start."""
    program = Program(data, environ)
    newest = program.call("conversations.page", {"limit": 1})["conversations"][0]["id"]
    messages = program.call("messages.page", {"conversation_id": newest})["messages"]
    program.end(signal.SIGTERM)
    reply = next(message for message in messages if message["id"] == message_id)
    return "".join(part["text"] for part in reply["parts"] if part["kind"] == "text"), reply["status"]


if __name__ == "__main__":
    sys.exit(main())
