"""The store under the load of a busy day, and what committing in groups buys.

    python build/bench/store.py [--seconds 5] [--inserts 2000]

First eight replies stream at once (four flushes a second each) while the page reads pages of 50 messages of
a conversation of 50,000; prints how long a flush and a page take and how far the event loop lags behind a
1 ms timer. Then the same inserts are made by 32 tasks through the store and, in turn, one transaction each
on one thread with plain sqlite3, each time without and with waiting for the disk; prints both rates and
their ratio. Trust the ratio, not the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

from deskside.backend.paths import Paths  # noqa: E402 - a checkout that is not installed
from deskside.backend.store import messages, replies  # noqa: E402
from deskside.backend.store.connection import Db  # noqa: E402
from deskside.backend.store.database import Store, open_store  # noqa: E402

STREAMS = 8
FLUSH_EVERY_S = 0.25
FLUSH_TEXT = "twenty characters or so " * 20  # what a fast model says in a quarter of a second
PAGES_PER_S = 20
PAST = 50_000
INSERT = (
    "insert into error_log (at_ms, source, code, message, place, detail, request_id) "
    "values (0, 'bench', '', ?, '', '', '')"
)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--inserts", type=int, default=2000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), options.seconds, options.inserts))
    return 0


async def measure(folder: Path, seconds: float, inserts: int) -> None:
    started = time.perf_counter()
    async with open_store(Paths(folder / "data", folder, folder)) as store:
        print(f"open, new file     {(time.perf_counter() - started) * 1000:6.1f} ms")
        await stream(store, seconds)
        for synchronous in ("normal", "full"):
            for _ in range(3):
                grouped, single = await insert_both_ways(store, inserts, synchronous)
                rates = f"{grouped:6.0f} in groups, {single:6.0f} one each"
                print(f"inserts/s, {synchronous:7} {rates}: {grouped / single:.1f}×")


async def stream(store: Store, seconds: float) -> None:
    """Eight replies, pages, and a timer, for `seconds`."""
    asked = [await store.write(replies.ask, None, f"question {n}", "bench/model") for n in range(STREAMS)]
    await store.write(prepend_past, asked[0].conversation.id)
    flushes: list[float] = []
    pages: list[float] = []
    lags: list[float] = []
    end = time.perf_counter() + seconds

    def flushing(message_id: int) -> Callable[[int], Awaitable[object]]:
        return lambda n: store.write_soon(
            replies.append_chunks, [replies.Chunk(message_id, 0, "text", n, FLUSH_TEXT)]
        )

    def paging(n: int) -> Awaitable[object]:
        return store.read(messages.page, asked[n % STREAMS].conversation.id, None, 50)

    await asyncio.gather(
        *(every(FLUSH_EVERY_S, flushing(each.reply.id), flushes, end) for each in asked),
        every(1 / PAGES_PER_S, paging, pages, end),
        watch_loop(lags, end),
    )
    print(f"flush              {shown(flushes)}   ({len(flushes) / seconds:.0f} a second)")
    print(f"page of 50         {shown(pages)}   ({PAST} messages in one of {STREAMS} conversations)")
    print(f"loop lag           {shown(lags)}")


def prepend_past(db: Db, conversation_id: int) -> None:
    """A long past in front of a conversation's question."""
    root = db.sql.execute(
        "select min(id) from message where conversation = ?", (conversation_id,)
    ).fetchone()[0]
    first = 1_000_000
    db.sql.execute("update message set depth = depth + ? where conversation = ?", (PAST, conversation_id))
    db.sql.executemany(
        "insert into message (id, conversation, parent, role, status, created_ms, depth, is_shown) "
        "values (?, ?, ?, 'user', 'complete', 0, ?, 1)",
        ((first + n, conversation_id, first + n - 1 if n else None, n) for n in range(PAST)),
    )
    db.sql.executemany(
        "insert into message_part (message, position, step, kind, text, origin) "
        "values (?, 0, 0, 'text', ?, 'user')",
        ((first + n, "something was said here " * 20) for n in range(PAST)),
    )
    db.sql.execute("update message set parent = ? where id = ?", (first + PAST - 1, root))


async def every(
    period_s: float, act: Callable[[int], Awaitable[object]], times: list[float], end: float
) -> None:
    n = 0
    due = time.perf_counter()
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        await act(n)
        times.append(time.perf_counter() - started)
        due += period_s
        n += 1


async def watch_loop(lags: list[float], end: float) -> None:
    while (started := time.perf_counter()) < end:
        await asyncio.sleep(0.001)
        lags.append(time.perf_counter() - started - 0.001)


async def insert_both_ways(store: Store, count: int, synchronous: str) -> tuple[float, float]:
    """Rates per second, in groups and one transaction each. `full` waits for the disk."""
    write = store.write if synchronous == "full" else store.write_soon
    grouped = await timed(count, lambda n: write(insert, str(n)))
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        connection = await loop.run_in_executor(pool, plain_connection, store.path, synchronous)
        single = await timed(
            count, lambda n: loop.run_in_executor(pool, connection.execute, INSERT, (str(n),))
        )
        await loop.run_in_executor(pool, connection.close)
    return grouped, single


def insert(db: Db, message: str) -> None:
    db.sql.execute(INSERT, (message,))


def plain_connection(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    connection.execute(f"pragma synchronous = {synchronous}")
    return connection


async def timed(count: int, act: Callable[[int], Awaitable[object]]) -> float:
    numbers = iter(range(count))

    async def work() -> None:
        for n in numbers:
            await act(n)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(32)))
    return count / (time.perf_counter() - started)


def shown(times: list[float]) -> str:
    ordered = sorted(times)
    p99 = ordered[int(len(ordered) * 0.99)]
    return f"p50 {statistics.median(ordered) * 1000:6.2f}  p99 {p99 * 1000:6.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
