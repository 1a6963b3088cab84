#!/usr/bin/env python3
"""A long history in daily use, each thing beside plain sqlite3 doing the same work.

    python build/bench/history.py [--messages 10000 100000 1000000] [--rounds 100] [--cpu]

Takes a generated history of each size (generated_history.py; made on the first run, minutes for a million)
and measures on a copy of it: a read of nothing, which is what the way to a thread and back costs, the list of
conversations, the newest page and one in the middle of the longest conversation, searches of many kinds, a
question with its answer, and a flush of a reply that streams. Ours goes through the store with its threads
and structs; plain sqlite3 runs statements of its own for the same rows in this thread, with the same cache
and the same waiting for the disk, and keeps tuples. They take turns. Printed are milliseconds, p50 / p95, of
both, the ratio of each, and what of ours grows with the history.

Then an hour of streaming: one answer a minute at 100 tokens a second, flushed as the program does, as fast as
it goes. Printed is what the process wrote for it, beside the text itself.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "backend"), str(ROOT / "build")]

from bench.generated_history import FOLDER, history  # noqa: E402 - a checkout that is not installed
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store import (  # noqa: E402
    conversation_search,
    conversations,
    messages,
    replies,
    segmentation,
)
from deskside.backend.store.connection import CACHE_KIB  # noqa: E402
from deskside.backend.store.database import Store, open_store  # noqa: E402
from deskside.backend.store.search_query import parse  # noqa: E402

try:
    from uvloop import run  # as the program does where there is one
except ImportError:
    from asyncio import run

PAGE = 50
HITS = 20
MODEL = "bench/model"
ANSWER = "A sentence of an answer, as they come. " * 12
FLUSH_EVERY_S = 0.15
FLUSH_TEXT = "100 tokens/s: words that come in 150 ms. " + "x" * 19  # 60 characters
MEASURED_MINUTES = 6

clocks = [time.perf_counter]
Times = dict[str, tuple[list[float], list[float]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--messages", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--cpu", action="store_true", help="time of the processor, where others use it too")
    options = parser.parse_args()
    if options.cpu:
        clocks[:] = [time.process_time]
    measured = {}
    for size in options.messages:
        with tempfile.TemporaryDirectory(dir=FOLDER if FOLDER.exists() else None) as folder:
            data = Path(folder) / "data"
            data.mkdir()
            shutil.copyfile(history(size), data / "deskside.db")
            measured[size] = run(measure(Path(folder), size, options.rounds))
    if len(measured) > 1:
        print_growth(measured)
    return 0


async def measure(folder: Path, size: int, rounds: int) -> Times:
    times: Times = {}
    paths = Paths(folder / "data", folder, folder)
    typed = queries(paths.database, rounds)
    async with open_store(paths) as store:
        with closing(plain(paths.database)) as raw:
            await read_pages(store, raw, times, rounds)
            await search(store, raw, times, typed)
            await write(store, raw, times, rounds)
        print(f"\n{size:,} messages, {paths.database.stat().st_size / 1e6:,.0f} MB")
        for name, (ours, theirs) in times.items():
            print(f"{name:24}{shown(ours)}   plain {shown(theirs)}   {ratio(ours, theirs)}")
        await stream_for_an_hour(store)
    return times


def plain(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, cached_statements=256)
    connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    segmentation.register(connection)
    return connection


async def take_turns(
    times: Times, name: str, ours: Callable[[], Awaitable[object]], raw: Callable[[], object]
) -> None:
    mine, theirs = times.setdefault(name, ([], []))
    clock = clocks[0]
    started = clock()
    await ours()
    between = clock()
    raw()
    mine.append((between - started) * 1000)
    theirs.append((clock() - between) * 1000)


# -- pages ---------------------------------------------------------------------------------------

RAW_LIST = """
  select c.id, c.title, c.model, c.draft, c.created_ms, c.updated_ms, agent.name, c.id in (
    select message.conversation from message_part join message on message.id = message_part.message
    where message_part.kind in ('tool_call', 'pause')
      and json_extract(message_part.data, '$.status') = 'waiting'
  ), c.folder, c.pinned_ms, c.archived_ms, (
    select group_concat(name) from conversation_tag join tag on tag.id = conversation_tag.tag
    where conversation_tag.conversation = c.id
  )
  from conversation c left join agent on agent.id = c.agent
  where c.deleted_ms is null and c.archived_ms is null order by c.updated_ms desc, c.id desc limit 51"""
RAW_HEAD = "select depth from message where id = (select head from conversation where id = 1)"
RAW_MESSAGES = """
  select m.id, m.conversation, m.parent, m.role, m.status, m.model, m.error, m.usage, m.created_ms,
    m.finished_ms, run.id, agent.name,
    (select group_concat(id) from message v where v.parent is m.parent and v.conversation = 1)
  from message m left join run on run.message = m.id left join agent on agent.id = run.agent
  where m.conversation = 1 and m.is_shown = 1 and m.depth between ? and ? order by m.depth"""
RAW_PARTS = """
  select p.message, p.position, p.kind, p.text, p.data
  from message m join message_part p on p.message = m.id
  where m.conversation = 1 and m.is_shown = 1 and m.depth between ? and ? order by m.depth, p.position"""


async def read_pages(store: Store, raw: sqlite3.Connection, times: Times, rounds: int) -> None:
    (head,) = raw.execute(RAW_HEAD).fetchone()
    chance = random.Random(1)
    depths = [chance.randrange(PAGE, head - PAGE) for _ in range(rounds)]
    ids = [
        raw.execute(
            "select id from message where conversation = 1 and is_shown = 1 and depth = ?", (depth,)
        ).fetchone()[0]
        for depth in depths
    ]

    def raw_page(first: int, last: int) -> tuple[list[object], list[object]]:
        return (
            raw.execute(RAW_MESSAGES, (first, last)).fetchall(),
            raw.execute(RAW_PARTS, (first, last)).fetchall(),
        )

    for depth, id in zip(depths, ids, strict=True):
        await take_turns(
            times,
            "nothing",
            lambda: store.read(lambda db: db.sql.execute("select 1").fetchone()),
            lambda: raw.execute("select 1").fetchone(),
        )
        await take_turns(
            times,
            "list page",
            lambda: store.read(conversations.page, None, PAGE),
            lambda: raw.execute(RAW_LIST).fetchall(),
        )
        await take_turns(
            times,
            "newest page of the long",
            lambda: store.read(messages.page, 1, None, PAGE),
            lambda: (raw.execute(RAW_HEAD).fetchone(), raw_page(head - PAGE + 1, head)),
        )
        await take_turns(
            times,
            "page in its middle",
            partial(store.read, messages.page_around, 1, id, PAGE),
            partial(raw_page, depth - PAGE // 2, depth + PAGE // 2 - 1),
        )


# -- search --------------------------------------------------------------------------------------

RAW_HITS = "select count(*) from (select 1 from message_search where message_search match ? limit 3000)"
RAW_SEARCH = """
  select m.id, m.conversation, c.title, m.role, m.created_ms, m.model, m.is_shown, (
    select group_concat(text, char(10)) from message_part where message = m.id and kind in ('text', 'user')
  )
  from message_search join message m on m.id = message_search.rowid
    join conversation c on c.id = m.conversation
  where message_search match ? and c.deleted_ms is null order by {} limit 20"""


async def search(store: Store, raw: sqlite3.Connection, times: Times, typed: dict[str, list[str]]) -> None:
    def raw_search(text: str) -> object:
        match = parse(text).match
        (hits,) = raw.execute(RAW_HITS, (match,)).fetchone()
        order = "rank" if hits < 3000 else "message_search.rowid desc"
        return raw.execute(RAW_SEARCH.format(order), (match,)).fetchall()

    for kind, texts in typed.items():
        for text in texts:
            await take_turns(
                times,
                f"search, {kind}",
                partial(store.read, conversation_search.search, text, HITS),
                partial(raw_search, text),
            )
    all_ours = [spent for kind in typed for spent in times[f"search, {kind}"][0]]
    all_raw = [spent for kind in typed for spent in times[f"search, {kind}"][1]]
    times["search, all"] = (all_ours, all_raw)


def queries(database: Path, each: int) -> dict[str, list[str]]:
    """What could be typed, taken from messages all over the history. A space at the end: it is whole."""
    chance = random.Random(7)
    with closing(sqlite3.connect(database)) as connection:
        (most,) = connection.execute("select max(id) from message_part").fetchone()
        picked = [(chance.randrange(1, most),) for _ in range(20 * each)]
        texts = [
            row[0]
            for id in picked
            for row in connection.execute("select text from message_part where id = ? and text <> ''", id)
        ]
    spaced = [text for text in texts if text.count(" ") > 5]
    words = [chance.choice(re.findall(r"[^\W\d_]+", text)) for text in spaced]
    pairs = [found[0] for text in spaced if (found := re.search(r"[^\W\d_]+ [^\W\d_]+", text))]
    runs = [found[0] for text in texts if (found := re.search("[\u4e00-\u9fff\u3040-\u30ff]{5}", text))]
    rare = [found[1] for text in texts if (found := re.search(r"\n\n([\w.()-]{3,40})\Z", text, re.ASCII))]
    long = [word for word in words if len(word) > 5]
    return {
        "words": [f"{word} " for word in words[:each]],
        "two words": [f"{one} {other} " for one, other in zip(words[each:], words[2 * each :], strict=False)][
            :each
        ],
        "phrases": [f'"{pair}"' for pair in pairs[:each]],
        "prefixes": [word[: chance.randint(3, 5)] for word in long[:each]],
        "characters": [run[1 : 1 + chance.randint(1, 3)] for run in runs[:each]],
        "rare": [f"{word} " for word in rare[:each]],
    }


# -- writing -------------------------------------------------------------------------------------


async def write(store: Store, raw: sqlite3.Connection, times: Times, rounds: int) -> None:
    raw.execute("pragma synchronous = full")
    for n in range(rounds):
        await take_turns(times, "question and answer", partial(say, store, 1, n), partial(raw_say, raw, 2, n))
    raw.execute("pragma synchronous = normal")
    asked = await store.write(replies.ask, None, "What streams?", MODEL)
    chunks = [replies.Chunk(asked.reply.id, 0, "text", n, FLUSH_TEXT) for n in range(rounds)]
    for n, chunk in enumerate(chunks):
        await take_turns(
            times,
            "flush",
            partial(store.write_soon, replies.append_chunks, [chunk]),
            partial(raw_flush, raw, asked.reply.id, n),
        )
    await finish(store, asked, [])


async def say(store: Store, conversation: int, n: int) -> None:
    asked = await store.write(replies.ask, conversation, f"Question {n} about plums?", MODEL)
    await finish(store, asked, [replies.StoredPart(0, 0, messages.TextPart(ANSWER))])


async def finish(store: Store, asked: replies.Asked, parts: list[replies.StoredPart]) -> None:
    usage = messages.MessageUsage(input_tokens=10, output_tokens=10)
    finished = replies.FinishedReply(asked.reply.id, asked.run_id, "complete", parts, None, usage, "answered")
    await store.write(replies.finish, finished)


INSERT_MESSAGE = (
    "insert into message (conversation, parent, role, status, model, created_ms, depth, is_shown) "
    "values (?, ?, ?, ?, ?, 0, ?, 1)"
)
INSERT_PART = (
    "insert into message_part (message, position, step, kind, text, origin) "
    "values (?, 0, 0, 'text', ?, 'model')"
)
INDEX = "insert into message_search (rowid, text) values (?, segmented(?))"


def raw_say(raw: sqlite3.Connection, conversation: int, n: int) -> None:
    """The rows of a question with the reply to it, in the two transactions that they need."""
    raw.execute("begin immediate")
    head, depth = raw.execute(
        "select m.id, m.depth from conversation c join message m on m.id = c.head where c.id = ?",
        (conversation,),
    ).fetchone()
    text = f"Question {n} about plums?"
    question = raw.execute(
        INSERT_MESSAGE, (conversation, head, "user", "complete", None, depth + 1)
    ).lastrowid
    raw.execute(INSERT_PART, (question, text))
    raw.execute(INDEX, (question, text))
    reply = raw.execute(
        INSERT_MESSAGE, (conversation, question, "assistant", "streaming", MODEL, depth + 2)
    ).lastrowid
    run = raw.execute(
        "insert into run (conversation, message, agent, model, status, request_id, started_ms) "
        "values (?, ?, 1, ?, 'running', '', 0)",
        (conversation, reply, MODEL),
    ).lastrowid
    raw.execute(
        "update conversation set head = ?, draft = '', updated_ms = ? where id = ?", (reply, n, conversation)
    )
    raw.execute("commit")
    raw.execute("begin immediate")
    raw.execute(INSERT_PART, (reply, ANSWER))
    raw.execute(
        "update message set status = 'complete', usage = '{}', finished_ms = 1 where id = ?", (reply,)
    )
    raw.execute(INDEX, (reply, ANSWER))
    raw.execute(
        "update run set status = 'complete', reason = 'answered', finished_ms = 1 where id = ?", (run,)
    )
    raw.execute("update conversation set updated_ms = ? where id = ?", (n, conversation))
    raw.execute("commit")


def raw_flush(raw: sqlite3.Connection, message: int, n: int) -> None:
    # Another position of the same reply: the two must not meet.
    raw.execute("begin immediate")
    raw.execute("insert into message_chunk values (?, 1, ?, 'text', ?)", (message, n, FLUSH_TEXT))
    raw.execute("commit")


async def stream_for_an_hour(store: Store) -> None:
    flushes = round(60 / FLUSH_EVERY_S)
    conversation = (await store.write(replies.ask, None, "Go on.", MODEL)).conversation.id
    await store.write(replies.interrupt_unfinished)
    await store.maintain(empty_wal)
    before = written_bytes()
    for _ in range(MEASURED_MINUTES):
        asked = await store.write(replies.ask, conversation, "Go on.", MODEL)
        for n in range(flushes):
            await store.write_soon(
                replies.append_chunks, [replies.Chunk(asked.reply.id, 0, "text", n, FLUSH_TEXT)]
            )
        await finish(store, asked, [])
    await store.maintain(empty_wal)  # what is still in the -wal file is written once more
    written = written_bytes() - before
    text = MEASURED_MINUTES * flushes * len(FLUSH_TEXT)
    an_hour = 60 / MEASURED_MINUTES / 1e6
    print(f"an hour of streaming    {written * an_hour:,.0f} MB written for {text * an_hour:,.1f} MB of text")


def empty_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def written_bytes() -> int:
    """What this process has handed to the system to be written. (Linux alone tells.)"""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["wchar"])


# -- figures -------------------------------------------------------------------------------------


def percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def shown(times: Sequence[float]) -> str:
    return f"{percentile(times, 0.5):8.2f} /{percentile(times, 0.95):8.2f} ms"


def ratio(ours: Sequence[float], raw: Sequence[float]) -> str:
    return " / ".join(f"{percentile(ours, share) / percentile(raw, share):.2f}×" for share in (0.5, 0.95))


def print_growth(measured: dict[int, Times]) -> None:
    sizes = sorted(measured)
    print("\nours, p50, by the size of the history" + "".join(f"{size:>12,}" for size in sizes))
    for name in measured[sizes[0]]:
        medians = [percentile(measured[size][name][0], 0.5) for size in sizes]
        print(
            f"{name:37}"
            + "".join(f"{median:9.2f} ms" for median in medians)
            + f"{medians[-1] / medians[0]:8.1f}×"
        )


if __name__ == "__main__":
    sys.exit(main())
