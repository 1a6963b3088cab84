"""An import of a large file: its time and memory, against reading the file with Python's json module.

    python build/bench/imports.py [--megabytes 200] [--program chatgpt]

Makes a file of conversations of realistic lengths, always the same. Looks at it (a dry run), imports it into
an empty store, exports that to JSON, and reads the file once with json.loads, each in a process of its own.
Prints seconds, megabytes a second, and how much the process grew at its highest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

from deskside.backend.attachments.content import Contents  # noqa: E402 - a checkout that is not installed
from deskside.backend.exchange.archive import open_archive  # noqa: E402
from deskside.backend.exchange.exporting import Export  # noqa: E402
from deskside.backend.exchange.importing import Import, program_of  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store.database import open_store  # noqa: E402

TEXT = (
    "the a to of and in that with model answer history window store question file tool Straße übermorgen "
    "日本語 中文 مرحبا 🙂 def return self import value list of strings"
)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--megabytes", type=int, default=200)
    arguments.add_argument("--program", choices=("chatgpt", "claude"), default="chatgpt")
    arguments.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        return measure(options.child[0], Path(options.child[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count, size = make(folder / "export.json", options.megabytes * 1_000_000, options.program)
        print(f"{options.program}: {count:,} conversations in {size / 1e6:.0f} MB")
        for what in ("look", "import", "export", "json"):
            subprocess.run([sys.executable, __file__, "--child", what, str(folder)], check=True)
        print(f"database: {(folder / 'data' / 'deskside.db').stat().st_size / 1e6:.0f} MB")
    return 0


def measure(what: str, folder: Path) -> int:
    file = folder / "export.json"
    before, started = peak_bytes(), time.perf_counter()
    if what == "json":
        json.loads(file.read_bytes())
    else:
        asyncio.run(work(what, folder))
    seconds, grown = time.perf_counter() - started, peak_bytes() - before
    rate = file.stat().st_size / 1e6 / seconds
    print(f"{what:7} {seconds:7.1f} s {rate:7.1f} MB/s   grew by {grown / 1e6:6.0f} MB", flush=True)
    return 0


async def work(what: str, folder: Path) -> None:
    paths = Paths(folder / "data", folder, folder)
    contents = Contents(paths.files)
    async with open_store(paths) as store:
        if what == "export":
            async for _ in Export(store, contents, folder / "out.json", "json", None).run():
                pass
            return
        with open_archive(folder / "export.json") as archive:
            program = program_of(archive)
            job = Import(store, contents, asyncio.Lock(), archive, program, is_trial=what == "look")
            async for _ in job.run():
                pass


def peak_bytes() -> int:
    """The most that this process has held. Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def make(path: Path, size: int, program: str) -> tuple[int, int]:
    """Write conversations until the file has `size` bytes."""
    chance = random.Random(7)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        while file.tell() < size:
            made = claude(chance, count) if program == "claude" else chatgpt(chance, count)
            file.write(("," if count else "") + json.dumps(made, ensure_ascii=False))
            count += 1
        file.write("]")
    return count, path.stat().st_size


def lengths(chance: random.Random) -> Iterator[tuple[str, str]]:
    """The messages of a conversation: most are short, some very long."""
    every_word = TEXT.split()
    for n in range(min(400, 2 + int(chance.expovariate(1 / 12)))):
        words = min(20_000, 5 + int(chance.lognormvariate(3 + n % 2 * 1.5, 1)))
        yield ("user", "assistant")[n % 2], " ".join(chance.choices(every_word, k=words))


def chatgpt(chance: random.Random, number: int) -> dict[str, Any]:
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    parent = "root"
    for n, (role, text) in enumerate(lengths(chance)):
        key = f"{number}-{n}"
        content = {"content_type": "text", "parts": [text]}
        message = {"id": key, "author": {"role": role}, "content": content, "create_time": 1.7e9 + n}
        mapping[key] = {"id": key, "message": message, "parent": parent, "children": []}
        parent = key
    times = {"create_time": 1.7e9 + number, "update_time": 1.7e9 + number}
    return {"title": f"Talk {number}", "mapping": mapping, "current_node": parent, "id": f"{number}", **times}


def claude(chance: random.Random, number: int) -> dict[str, Any]:
    messages = [
        {"uuid": f"{number}-{n}", "sender": "human" if role == "user" else role, "text": text}
        for n, (role, text) in enumerate(lengths(chance))
    ]
    created = {"created_at": "2025-03-01T12:00:00Z", "name": f"Chat {number}"}
    return {"uuid": f"{number}", "chat_messages": messages, **created}


if __name__ == "__main__":
    sys.exit(main())
