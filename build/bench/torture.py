"""Kill the program again and again while everything happens at once, and see whether anything is missing.

    python build/bench/torture.py [--rounds 200] [--seed 1]

Each round: start `deskside --serve` on the same data folder, let every activity below work in a thread of
its own, kill the program at a random moment (one time in five while it still starts), and look at a copy of
what it left. What an activity was told is done is written down here, outside of the program; each of these
facts must be in the database. Besides: `integrity_check`, `foreign_key_check`, the search index against its
table, depth and shown path of every message; and, once the next start has repaired what the crash left, no
reply that still streams, no attached file without a row and no row without its file.

All choices follow from the seed; when the kill falls does not. Exits 1 where anything is wrong. To add an
activity write one function and put it into ACTIVITIES.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend", "tests")]

from stores import connected  # noqa: E402

SETTLED_S = 60.0
WORKS_S = (0.05, 3.0)  # after the program answers
STARTS_S = (0.0, 2.5)  # where it is killed before that


class Gone(Exception):
    """The program was killed: nobody knows whether the last call was carried out."""


@dataclass(frozen=True)
class Fact:
    """What a query must answer, because the program said so."""

    sql: str
    values: tuple[Any, ...]
    expected: tuple[Any, ...] | None


@dataclass
class Journal:
    """What the program has said is done. Of its own things an activity withdraws a fact before it asks for
    something that changes it."""

    facts: dict[str, Fact] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, activity: str, key: str, sql: str, *values: Any, is_: tuple[Any, ...] | None) -> None:
        with self._lock:
            self.facts[key] = Fact(sql, values, is_)
            self.told[activity] += 1

    def withdraw(self, prefix: str) -> None:
        with self._lock:
            for key in [key for key in self.facts if key.startswith(prefix)]:
                del self.facts[key]


class Worker:
    """What an activity gets: the program, the journal, and chance."""

    def __init__(self, name: str, program: Program, journal: Journal, seed: str) -> None:
        self.name = name
        self.random = random.Random(f"{seed} {name}")
        self._program = program
        self._journal = journal

    def call(self, command: str, params: Any = None) -> Any:
        """The data of a command's answer. Raises Gone."""
        return self._program.call(command, params)

    def upload(self, name: str, content: bytes, conversation: int) -> Any:
        return self._program.upload(name, content, conversation)

    def told(self, key: str, sql: str, *values: Any, is_: tuple[Any, ...] | None) -> None:
        """The program has said that this is so."""
        self._journal.write(self.name, key, sql, *values, is_=is_)

    def withdraw(self, prefix: str) -> None:
        """From here on nobody knows."""
        self._journal.withdraw(prefix)

    def ask(self, text: str, conversation: int | None = None) -> Any:
        started = self.call("runs.start", {"text": text, "conversation_id": conversation})
        self._told_of(started, text)
        return started

    def _told_of(self, started: Any, text: str) -> None:
        conversation, question = started["conversation"]["id"], started["question"]["id"]
        key = f"conversation {conversation} "
        self.told(f"{key}question {question}", TEXT, question, is_=(text,))
        self.told(f"{key}reply {started['reply']['id']}", MESSAGE, started["reply"]["id"], is_=(question,))

    def finished(self, conversation: int, reply: int) -> str:
        """The text of a reply, once nothing runs in its conversation any more."""
        while self.call("conversations.get", {"id": conversation})["is_running"]:
            time.sleep(0.02)
        page = self.call("messages.page", {"conversation_id": conversation})
        (message,) = [message for message in page["messages"] if message["id"] == reply]
        assert message["status"] != "streaming", message["status"]
        return "".join(part["text"] for part in message["parts"] if part["kind"] == "text")


TEXT = "select text from message_part where message = ? and position = 0"
MESSAGE = "select parent from message where id = ?"


# -- activities: each runs until the program is killed --------------------------------------------


def stream(worker: Worker) -> None:
    """Ask, and read the answer to its end; what was read is there."""
    conversation = None
    for n in itertools.count():
        started = worker.ask(f"Tell me {n} stories, {worker.random.random()}", conversation)
        conversation = started["conversation"]["id"]
        reply = started["reply"]["id"]
        said = worker.finished(conversation, reply)
        worker.told(f"conversation {conversation} said {reply}", TEXT, reply, is_=(said,))
        if worker.random.random() < 0.2:
            conversation = None


def stop(worker: Worker) -> None:
    """Ask, and stop the answer in the middle."""
    while True:
        started = worker.ask(f"Begin {worker.random.random()}")
        time.sleep(worker.random.uniform(0, 0.2))
        reply = started["reply"]["id"]
        worker.call("runs.stop", {"message_id": reply})
        said = worker.finished(started["conversation"]["id"], reply)
        worker.told(
            f"conversation {started['conversation']['id']} stopped {reply}",
            "select status = 'streaming', coalesce((select text from message_part where message = ?1), '') "
            "from message where id = ?1",
            reply,
            is_=(0, said),
        )


def edit(worker: Worker) -> None:
    """Ask in other words, fork, and switch between versions."""
    started = worker.ask(f"First {worker.random.random()}")
    conversation = started["conversation"]["id"]
    worker.finished(conversation, started["reply"]["id"])
    head = "select head from conversation where id = ?"
    while True:
        worker.withdraw(f"conversation {conversation} head")
        text = f"Again {worker.random.random()}"
        again = worker.call("runs.ask_instead", {"message_id": started["question"]["id"], "text": text})
        worker._told_of(again, text)
        worker.finished(conversation, again["reply"]["id"])
        fork = worker.call("conversations.fork", {"message_id": again["reply"]["id"]})
        worker.told(
            f"conversation {fork['id']} fork",
            "select count(*), sum(is_shown) from message where conversation = ?",
            fork["id"],
            is_=(2, 2),
        )
        worker.call("messages.show_version", {"message_id": started["question"]["id"]})
        worker.told(f"conversation {conversation} head", head, conversation, is_=(started["reply"]["id"],))


def trash(worker: Worker) -> None:
    """Delete, restore, purge."""
    deleted = "select deleted_ms is not null from conversation where id = ?"
    while True:
        started = worker.ask(f"Throw this away {worker.random.random()}")
        id = started["conversation"]["id"]
        worker.finished(id, started["reply"]["id"])
        worker.withdraw(f"conversation {id} ")
        worker.call("conversations.delete", {"ids": [id]})
        worker.told(f"conversation {id} deleted", deleted, id, is_=(1,))
        worker.withdraw(f"conversation {id} ")
        if worker.random.random() < 0.5:
            worker.call("conversations.restore", {"ids": [id]})
            worker.told(f"conversation {id} deleted", deleted, id, is_=(0,))
        else:
            worker.call("conversations.purge", {"ids": [id]})
            worker.told(f"conversation {id} deleted", deleted, id, is_=None)


def attach(worker: Worker) -> None:
    """Put files to what is being typed, take some off, send the others."""
    there = "select sha256 from attachment join stored_file on stored_file.id = file where name = ?"
    started = worker.ask(f"Read these {worker.random.random()}")
    conversation = started["conversation"]["id"]
    worker.finished(conversation, started["reply"]["id"])
    for n in itertools.count():
        content = worker.random.randbytes(worker.random.choice([10, 5_000, 400_000]))
        name = f"file {worker.random.random()}.bin"
        row = worker.upload(name, content, conversation)
        worker.told(f"attachment {name}", there, name, is_=(hashlib.sha256(content).hexdigest(),))
        if worker.random.random() < 0.4:
            worker.withdraw(f"attachment {name}")
            worker.call("attachments.detach", {"id": row["id"]})
            worker.told(f"attachment {name}", there, name, is_=None)
        if n % 8 == 7:
            started = worker.ask(f"Now read them {worker.random.random()}", conversation)
            worker.finished(conversation, started["reply"]["id"])


def sort(worker: Worker) -> None:
    """Rename, pin, type a draft."""
    started = worker.ask(f"Sort me {worker.random.random()}")
    id = started["conversation"]["id"]
    while True:
        title, draft = f"Title {worker.random.random()}", f"Draft {worker.random.random()}"
        worker.withdraw(f"conversation {id} title")
        time.sleep(0.02)  # the others want to get on
        worker.call("conversations.rename", {"id": id, "title": title})
        worker.told(
            f"conversation {id} title", "select title from conversation where id = ?", id, is_=(title,)
        )
        worker.withdraw(f"conversation {id} draft")
        worker.call("conversations.save_draft", {"id": id, "text": draft})
        worker.told(
            f"conversation {id} draft", "select draft from conversation where id = ?", id, is_=(draft,)
        )


ACTIVITIES: list[Callable[[Worker], None]] = [stream, stop, edit, trash, attach, sort]


# -- the program ----------------------------------------------------------------------------------


class Program:
    """`deskside --serve`. Every call raises Gone once it was killed."""

    def __init__(self, data: Path, environ: dict[str, str]) -> None:
        roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deskside", "--data-dir", str(data), "--serve"],
            env={**os.environ, "PYTHONPATH": roots, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.http = httpx2.Client(trust_env=False, timeout=60)

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

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=20)


# -- one round ------------------------------------------------------------------------------------


@dataclass
class Round:
    """What happened, and what is wrong."""

    killed: str
    told: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    wrong: list[str] = field(default_factory=list)


def play(data: Path, environ: dict[str, str], journal: Journal, seed: str) -> Round:
    """Start, work, kill, and look."""
    chance = random.Random(seed)
    program = Program(data, environ)
    if chance.random() < 0.2 and (data / "deskside.db").exists():
        after_s = chance.uniform(*STARTS_S)
        time.sleep(after_s)
        program.kill()
        return Round(
            f"{after_s:.2f} s into its start", wrong=check_copy(data, journal), facts=len(journal.facts)
        )
    wrong: list[str] = []
    try:
        program.wait_until_it_answers()
        wrong += check_settled(data, program)
        program.call("settings.change", {"max_runs": 2 * len(ACTIVITIES)})
        journal.told.clear()
        after_s = chance.uniform(*WORKS_S)
        threads = [
            threading.Thread(
                target=work, args=(activity, program, journal, seed, wrong), name=activity.__name__
            )
            for activity in ACTIVITIES
        ]
        for thread in threads:
            thread.start()
        time.sleep(after_s)
    finally:
        program.kill()
    for thread in threads:
        thread.join(60)
    told = Counter(journal.told)
    return Round(
        f"{after_s:.2f} s into its work", told, len(journal.facts), wrong + check_copy(data, journal)
    )


def work(
    activity: Callable[[Worker], None], program: Program, journal: Journal, seed: str, wrong: list[str]
) -> None:
    try:
        with suppress(Gone):
            activity(Worker(activity.__name__, program, journal, seed))
    except AssertionError as error:
        wrong.append(f"{activity.__name__}: {error}")


def check_copy(data: Path, journal: Journal) -> list[str]:
    """What is wrong with the database as the crash left it. A copy: looking would repair it."""
    if not (data / "deskside.db").exists():
        return [] if not journal.facts else ["the database is gone"]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "deskside.db"
        for end in ("", "-wal"):
            if (data / f"deskside.db{end}").exists():
                shutil.copyfile(data / f"deskside.db{end}", f"{copy}{end}")
        with closing(connected(copy)) as database:
            return [*inconsistencies(database), *missing(database, journal)]


PATHS = {
    "depth or conversation of a message differs from its parent's": """
        select count(*) from message child join message parent on child.parent = parent.id
        where child.depth <> parent.depth + 1 or child.conversation <> parent.conversation""",
    "a shown message has a parent that is not shown": """
        select count(*) from message child join message parent on child.parent = parent.id
        where child.is_shown and not parent.is_shown""",
    "a head is not shown": """
        select count(*) from conversation join message on message.id = head where not is_shown""",
    "a shown path does not end at its head": """
        select count(*) from conversation where head is not null and (
          select max(depth) from message where message.conversation = conversation.id and is_shown
        ) <> (select depth from message where message.id = head)""",
}


def inconsistencies(database: sqlite3.Connection) -> list[str]:
    wrong = []
    if not database.execute("select count(*) from sqlite_schema where name = 'message'").fetchone()[0]:
        return []  # killed before the first migration was done
    found = database.execute("pragma integrity_check").fetchall()
    if found != [("ok",)]:
        wrong.append(f"integrity_check: {found[:3]}")
    dangling = database.execute("pragma foreign_key_check").fetchall()
    if dangling:
        wrong.append(f"foreign_key_check: {dangling[:3]}")
    for index in ("message_search", "title_search"):
        try:
            database.execute(f"insert into {index} ({index}, rank) values ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            wrong.append(f"{index} differs from what it is made of: {error}")
        database.rollback()
    for what, select in PATHS.items():
        count = database.execute(select).fetchone()[0]
        if count:
            wrong.append(f"{what}: {count}")
    return wrong


def missing(database: sqlite3.Connection, journal: Journal) -> list[str]:
    """Facts that are not so."""
    wrong = []
    for key, fact in journal.facts.items():
        found = database.execute(fact.sql, fact.values).fetchone()
        if found != fact.expected:
            wrong.append(f"{key}: {str(found)[:80]} instead of {str(fact.expected)[:80]}")
    return wrong


def check_settled(data: Path, program: Program) -> list[str]:
    """What is still wrong once the start has repaired what the crash left."""
    until = time.monotonic() + SETTLED_S
    while wrong := unsettled(data):
        if time.monotonic() > until or program.process.poll() is not None:
            return [f"after the start: {each}" for each in wrong]
        time.sleep(0.05)
    return []


def unsettled(data: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{data}/deskside.db?mode=ro", uri=True)) as database:
        streaming = database.execute("select count(*) from message where status = 'streaming'").fetchone()[0]
        running = database.execute("select count(*) from run where status = 'running'").fetchone()[0]
        known = {row[0] for row in database.execute("select sha256 from stored_file")}
        unused = database.execute(
            "select count(*) from stored_file where id not in (select file from attachment)"
        ).fetchone()[0]
    files = {path.name for path in (data / "files").glob("??/*")}
    incoming = list((data / "files" / "incoming").glob("*"))
    found = {
        f"{streaming} replies stream": streaming,
        f"{running} runs run": running,
        f"{len(files - known)} attached files without a row": files - known,
        f"{len(known - files)} rows without their attached file": known - files,
        f"{unused} files that nothing refers to": unused,
        f"{len(incoming)} files that were never received": incoming,
    }
    return [what for what, is_wrong in found.items() if is_wrong]


def main() -> int:
    from provider_server import ProviderServer

    arguments = argparse.ArgumentParser(description="Kill the program while everything happens at once.")
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    names = [activity.__name__ for activity in ACTIVITIES]
    print(f"{'round':>5}  {'killed':<24}" + "".join(f"{name:>8}" for name in names) + f"{'facts':>8}")
    total: Counter[str] = Counter()
    failed = 0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ProviderServer(chunks=25, chunk_delay_s=0.004) as provider,
    ):
        journal = Journal()
        environ = {
            "OPENAI_API_KEY": "sk-test-0000000000000000",
            "OPENAI_BASE_URL": provider.openai_url,
            "DESKSIDE_MODEL": "openai/gpt-test",
        }
        data = Path(folder) / "data"
        for number in range(1, options.rounds + 1):
            played = play(data, environ, journal, f"{options.seed} {number}")
            total += played.told
            failed += bool(played.wrong)
            counts = "".join(f"{played.told[name]:>8}" for name in names)
            print(f"{number:>5}  {played.killed:<24}{counts}{played.facts:>8}", flush=True)
            for each in played.wrong:
                print(f"       WRONG: {each}", flush=True)
        last = Program(data, environ)
        last.wait_until_it_answers()
        for each in check_settled(data, last):
            print(f"       WRONG: {each}")
            failed += 1
        last.kill()
    counts = "".join(f"{total[name]:>8}" for name in names)
    print(f"{'all':>5}  {f'{options.rounds} kills':<24}{counts}{len(journal.facts):>8}")
    print(f"{sum(total.values())} things were acknowledged; {failed} rounds failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
