"""A database like a user's, and ways to damage a copy of it. All of it follows from seeds."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from deskside.backend.store import search_index
from deskside.backend.store.messages import ToolCallPart
from deskside.backend.store.migrate import migrate
from stores import connected

WORDS = ["the", "cat", "sat", "while", "rain", "fell", "über", "Straßen", "猫", "και", "def f(x):", "return"]

TOOL_CALL = msgspec.json.encode(
    ToolCallPart("call_1", "calculate", '{"expression": "6 * 7"}', "finished", "42", 3)
).decode()


def make_database(path: Path, *, conversations: int = 60, seed: int = 1) -> None:
    """With trees of versions, long texts, tools, files, tags, deleted rows and what else a user leaves."""
    random_ = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    migrate(path, None)
    with closing(connected(path)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("insert into user values (1, 'Ann', 'dark', 'en', 1)")
        db.execute(
            "insert into agent (id, name, label, instructions, step_limit, created_ms, updated_ms) "
            "values (1, 'assistant', 'Assistant', 'Help.', 20, 1, 1)"
        )
        db.executemany("insert into setting values (?, ?, 1)", [(f"s{n}", f'"{n}"') for n in range(200)])
        db.executemany("insert into tag values (?, ?)", [(n, f"tag {n}") for n in range(1, 20)])
        db.executemany("insert into folder values (?, ?, ?, 1)", [(n, f"folder {n}", n) for n in range(1, 9)])
        for n in range(1, conversations + 1):
            _conversation(db, n, random_)
        for n in range(80):
            values = (n, "run", "internal", _text(random_, 8), "loop", _text(random_, 40), f"r{n}")
            db.execute(
                "insert into error_log (at_ms, source, code, message, place, detail, request_id) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        db.executemany(
            "insert into memory (text, is_tainted, created_ms, updated_ms) values (?, 0, 1, 1)",
            [(_text(random_, 30),) for _ in range(60)],
        )
        db.executemany(
            "insert into file_version (path, folder, call_id, before, existed, before_bytes, after_bytes, "
            "after_sha256, created_ms) values (?, '/f', 'c', ?, 1, 9, 9, ?, 1)",
            [(f"/f/{n}", random_.randbytes(6000), f"{n:064x}") for n in range(20)],
        )
        search_index.rebuild(db)
        db.commit()
        # What was deleted leaves free pages that look like rows.
        db.execute("pragma foreign_keys = on")
        db.execute("delete from conversation where id % 10 = 0")
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")


def _conversation(db: sqlite3.Connection, n: int, random_: random.Random) -> None:
    at_ms = 1_700_000_000_000 + n * 1000
    db.execute(
        "insert into conversation (id, user, agent, title, draft, created_ms, updated_ms, folder) "
        "values (?, 1, 1, ?, ?, ?, ?, ?)",
        (n, _text(random_, 4), _text(random_, n % 3), at_ms, at_ms, n % 9 or None),
    )
    db.executemany("insert into conversation_tag values (?, ?)", {(n, random_.randint(1, 19)) for _ in "xyz"})
    parent, depth = None, 0
    for turn in range(random_.randint(1, 12)):
        question = _message(db, n, parent, "user", depth, random_, is_shown=True)
        for version in range(random_.choice([1, 1, 1, 3])):
            answer = _message(db, n, question, "assistant", depth + 1, random_, is_shown=version == 0)
            _run(db, n, answer, at_ms + turn)
            parent = answer if version == 0 else parent
        depth += 2
    db.execute("update conversation set head = ? where id = ?", (parent, n))


def _message(
    db: sqlite3.Connection,
    conversation: int,
    parent: int | None,
    role: str,
    depth: int,
    random_: random.Random,
    *,
    is_shown: bool,
) -> int:
    added = db.execute(
        "insert into message (conversation, parent, role, status, model, created_ms, depth, is_shown, agent) "
        "values (?, ?, ?, 'complete', 'openai/gpt-test', 5, ?, ?, ?)",
        (conversation, parent, role, depth, is_shown, 1 if role == "assistant" else None),
    ).lastrowid
    assert added is not None
    origin = "user" if role == "user" else "model"
    insert = (
        "insert into message_part (message, position, step, kind, text, data, origin) "
        "values (?, ?, 0, ?, ?, ?, ?)"
    )
    length = random_.choice([3, 10, 60, 60, 200, 3000])
    db.execute(insert, (added, 0, "text", f"message {added}: {_text(random_, length)}", None, origin))
    if role == "assistant" and random_.random() < 0.2:
        db.execute(insert, (added, 1, "tool_call", "", TOOL_CALL, "tool"))
    if role == "user" and random_.random() < 0.1:
        _attach(db, added)
    return added


def _attach(db: sqlite3.Connection, message: int) -> None:
    file = db.execute(
        "insert into stored_file (sha256, size_bytes, media_type, text, text_status, created_ms) "
        "values (?, 9, 'text/plain', ?, 'ready', 1)",
        (f"{message:064x}", f"what is in file {message}"),
    ).lastrowid
    db.execute(
        "insert into attachment (message, position, name, file, created_ms) values (?, 0, 'a.txt', ?, 1)",
        (message, file),
    )


def _run(db: sqlite3.Connection, conversation: int, message: int, at_ms: int) -> None:
    run = db.execute(
        "insert into run (conversation, message, agent, model, status, request_id, started_ms) "
        "values (?, ?, 1, 'openai/gpt-test', 'complete', 'r', ?)",
        (conversation, message, at_ms),
    ).lastrowid
    db.executemany(
        "insert into run_event (run, n, at_ms, kind, data) values (?, ?, ?, 'text', ?)",
        [(run, n, at_ms, "{}") for n in range(3)],
    )
    db.execute(
        "insert into usage_record (call_id, run, provider, model, input_tokens, cache_read_tokens, "
        "cache_write_tokens, output_tokens, reasoning_tokens, reported, state, request_id, at_ms, agent) "
        "values (?, ?, 'openai', 'gpt-test', 5, 0, 0, 7, 0, 'all', 'unknown', 'r', ?, 1)",
        (f"call {run}", run, at_ms),
    )


def _text(random_: random.Random, words: int) -> str:
    return " ".join(random_.choices(WORDS, k=words)) or "…"


# -- damage: each changes a file, and returns the numbers of the pages that it touched -------------

PAGE = 4096


def flip_bytes(path: Path, random_: random.Random) -> set[int]:
    touched = set()
    with path.open("r+b") as file:
        size = path.stat().st_size
        for _ in range(random_.choice([1, 3, 30])):
            at = random_.randrange(PAGE, size)
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ random_.randint(1, 255)]))
            touched.add(at // PAGE + 1)
    return touched


def flip_bytes_of_headers(path: Path, random_: random.Random) -> set[int]:
    """Where a page says what it is, how many rows it holds and where they are."""
    count = path.stat().st_size // PAGE
    pages = {random_.randrange(2, count + 1) for _ in range(random_.choice([1, 5, 40]))}
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE + random_.randrange(12))
            file.write(random_.randbytes(1))
    return pages


def overwrite(path: Path, pages: set[int], content: Callable[[int], bytes]) -> set[int]:
    with path.open("r+b") as file:
        for number in pages:
            file.seek((number - 1) * PAGE)
            file.write(content(PAGE))
    return pages


def spoil_pages(path: Path, random_: random.Random) -> set[int]:
    """Zeros or noise in the place of some pages."""
    count = path.stat().st_size // PAGE
    pages = {random_.randrange(2, count + 1) for _ in range(random_.choice([1, 5, 40]))}
    return overwrite(path, pages, random_.choice([bytes, random_.randbytes]))


def swap_pages(path: Path, random_: random.Random) -> set[int]:
    """What a confused disk does: a page where another should be."""
    content = path.read_bytes()
    one, other = random_.sample(range(2, len(content) // PAGE + 1), 2)
    with path.open("r+b") as file:
        file.seek((one - 1) * PAGE)
        file.write(content[(other - 1) * PAGE : other * PAGE])
    return {one}


def cut_off(path: Path, random_: random.Random) -> set[int]:
    size = path.stat().st_size
    left = random_.randrange(size // 10, size)
    with path.open("r+b") as file:
        file.truncate(left)
    return set(range(left // PAGE + 1, size // PAGE + 1))


def spoil_header(path: Path, random_: random.Random) -> set[int]:
    """The first 100 bytes, which say that it is a database at all."""
    with path.open("r+b") as file:
        file.write(random_.randbytes(100))
    return set()


def spoil_first_page(path: Path, random_: random.Random) -> set[int]:
    """With it goes what says which tables there are."""
    return overwrite(path, {1}, random_.choice([bytes, random_.randbytes]))


DAMAGES = {
    "bytes": flip_bytes,
    "headers of pages": flip_bytes_of_headers,
    "pages": spoil_pages,
    "swapped": swap_pages,
    "cut off": cut_off,
    "header": spoil_header,
    "first page": spoil_first_page,
}
