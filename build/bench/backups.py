"""A backup of a large store, against SQLite's own backup of it in the same run.

    python build/bench/backups.py [--megabytes 1000] [--database FILE]

Makes a store of conversations (or takes a copy of one that is given), then in turn copies it with plain
sqlite3 (the online backup API and a flush to the disk), and makes a backup as Deskside does: copied, every
page looked at, rows counted on both sides, the newest conversations and the search index read back, hashed.
Prints both times, their ratio and where the time goes; then the same encrypted, the preview of a restore,
and how long a write had to wait meanwhile. Trust the ratios, not the times.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

from deskside.backend.backups import encryption, restoring  # noqa: E402 - a checkout that is not installed
from deskside.backend.backups.making import make_backup  # noqa: E402
from deskside.backend.durable import sync  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store.migrate import migrate  # noqa: E402

MESSAGES_EACH = 50
WORDS_EACH = 120


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--megabytes", type=int, default=1000)
    arguments.add_argument("--database", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder) / "data", Path(folder), Path(folder))
        paths.data.mkdir()
        if options.database is None:
            fill(paths.database, options.megabytes * 10**6)
        else:
            shutil.copyfile(options.database, paths.database)
        measure(paths)
    return 0


def fill(database: Path, size_bytes: int) -> None:
    """Conversations of 50 messages each until the file is as large as that."""
    migrate(database, None)
    chance = random.Random(1)
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 10))) for _ in range(50_000)
    ]
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")
        connection.execute("begin")
        connection.execute("insert into user values (1, '', 'system', 'en', 0)")
        number = 0
        while number % 50 or database.stat().st_size < size_bytes * 0.75:  # the index is the rest
            number += 1
            add_conversation(connection, number, chance, words)
            if number % 50 == 0:
                connection.execute("commit")
                connection.execute("pragma wal_checkpoint(truncate)")
                connection.execute("begin")
        connection.execute("insert into message_search (message_search) values ('rebuild')")
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)")


def add_conversation(
    connection: sqlite3.Connection, number: int, chance: random.Random, words: list[str]
) -> None:
    connection.execute(
        "insert into conversation (id, user, title, draft, created_ms, updated_ms) "
        "values (?, 1, ?, '', ?, ?)",
        (number, f"Conversation {number}", number, number),
    )
    first = number * MESSAGES_EACH
    messages = range(first, first + MESSAGES_EACH)
    connection.executemany(
        "insert into message (id, conversation, parent, role, status, created_ms, depth, is_shown) "
        "values (?, ?, ?, ?, 'complete', 0, ?, 1)",
        (
            (id, number, id - 1 if id > first else None, "user" if id % 2 == 0 else "assistant", id - first)
            for id in messages
        ),
    )
    connection.executemany(
        "insert into message_part (id, message, position, step, kind, text, origin) "
        "values (?, ?, 0, 0, 'text', ?, ?)",
        (
            (id, id, " ".join(chance.choices(words, k=WORDS_EACH)), "user" if id % 2 == 0 else "model")
            for id in messages
        ),
    )
    connection.execute("update conversation set head = ? where id = ?", (messages[-1], number))


def measure(paths: Paths) -> None:
    with closing(sqlite3.connect(paths.database)) as connection:
        (count,) = connection.execute("select count(*) from message").fetchone()
    print(f"{paths.database.stat().st_size / 1e6:,.0f} MB, {count:,} messages")
    plain: list[float] = []
    ours: list[float] = []
    for _ in range(2):
        plain.append(timed(lambda: copy_plainly(paths.database, paths.data / "plain.db")))
        ours.append(backed_up(paths, None))
        print(f"sqlite3 {plain[-1]:6.1f} s   ours {ours[-1]:6.1f} s   {ours[-1] / plain[-1]:.1f}×")
    encrypting = encryption.new_encryption("a passphrase for the bench")
    encrypted = backed_up(paths, encrypting)
    print(f"encrypted            {encrypted:6.1f} s   {encrypted / min(plain):.1f}×")
    backup = next(paths.backups.glob("*.db"))
    print(f"preview of a restore {timed(lambda: restoring.prepare(paths, backup)):6.1f} s")


def copy_plainly(database: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    sync(target)


def backed_up(paths: Paths, encrypting: encryption.Encrypting | None) -> float:
    """Seconds. Says how they are spent, and the longest that a write had to wait meanwhile."""
    spent: dict[str, float] = {}
    last = ["", time.perf_counter()]

    def report(phase: str, _part: float) -> None:
        now = time.perf_counter()
        spent[str(last[0])] = spent.get(str(last[0]), 0) + now - float(last[1])
        last[:] = [phase, now]

    done = threading.Event()
    waits: list[float] = []
    writer = threading.Thread(target=lambda: waits.extend(writes_until(paths.database, done)))
    writer.start()
    seconds = timed(
        lambda: make_backup(paths.database, paths.backups, "manual", encrypting=encrypting, report=report)
    )
    done.set()
    writer.join()
    parts = ", ".join(f"{phase} {part:.1f} s" for phase, part in spent.items() if phase)
    print(f"  {parts}; longest write {1000 * max(waits):.0f} ms of {len(waits)}")
    return seconds


def writes_until(database: Path, done: threading.Event) -> Iterator[float]:
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
        connection.execute("pragma journal_mode = wal")
        while not done.wait(0.02):
            started = time.perf_counter()
            connection.execute("update conversation set draft = 'x' || ? where id = 1", (started,))
            yield time.perf_counter() - started


def timed(call: object) -> float:
    assert callable(call)
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
