"""Stores and database files for tests: real files, read back with plain sqlite3."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import deskside.backend.errors
from deskside.backend.paths import Paths
from deskside.backend.store import messages, replies, segmentation
from deskside.backend.store.database import Store
from deskside.backend.store.messages import MessageError, MessageRow, MessageUsage, TextPart
from deskside.backend.store.replies import Asked, Chunk, FinishedReply, StoredPart

MODEL = "scripted/model"
# What a child process must find: the backend, and this file.
PYTHONPATH = os.pathsep.join(
    map(str, (Path(deskside.backend.errors.__file__).parents[2], Path(__file__).parent))
)


def paths_in(folder: Path) -> Paths:
    return Paths(folder / "data", folder / "logs", folder / "cache")


def connected(database: Path) -> sqlite3.Connection:
    """A plain connection that may change what the search index knows: titles, and whole messages."""
    connection = sqlite3.connect(database)
    segmentation.register(connection)
    return connection


def rows(database: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a file says, without the program."""
    with closing(connected(database)) as connection:
        return connection.execute(sql, values).fetchall()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but SQLite's shared memory, which says who reads at the moment."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def run_child(code: str, *arguments: object, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own. `sys.argv[1:]` are the arguments."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=60,
        user=user,
        check=False,
    )


def run_to_its_death(code: str, *arguments: object) -> None:
    """Run a child that ends by `kill -9`, as it must have promised."""
    child = run_child(code, *arguments)
    assert child.returncode == -signal.SIGKILL, child.stderr


async def ask(store: Store, text: str = "Hello", conversation_id: int | None = None) -> Asked:
    return await store.write(replies.ask, conversation_id, text, MODEL)


async def answer(store: Store, asked: Asked, text: str = "Hi", **changes: Any) -> MessageRow:
    """End a reply with one text."""
    part = StoredPart(asked.next_position, asked.next_step, TextPart(text))
    return await finish(store, asked, [part], **changes)


async def finish(
    store: Store,
    asked: Asked,
    parts: Sequence[StoredPart] = (),
    *,
    status: Any = "complete",
    error: MessageError | None = None,
    usage: MessageUsage | None = None,
) -> MessageRow:
    return await store.write(
        replies.finish,
        FinishedReply(
            message_id=asked.reply.id,
            run_id=asked.run_id,
            status=status,
            parts=list(parts),
            error=error,
            usage=usage or MessageUsage(),
            reason="answered",
        ),
    )


async def say(
    store: Store, asked: Asked, *texts: str, position: int | None = None, kind: Any = "text"
) -> None:
    """Flush pieces of a reply that streams."""
    where = asked.next_position if position is None else position
    chunks = [Chunk(asked.reply.id, where, kind, n, text) for n, text in enumerate(texts)]
    await store.write_soon(replies.append_chunks, chunks)


async def talk(store: Store, *pairs: tuple[str, str]) -> int:
    """A conversation of questions and their answers. Returns its id."""
    conversation_id: int | None = None
    for question, reply in pairs:
        asked = await ask(store, question, conversation_id)
        await answer(store, asked, reply)
        conversation_id = asked.conversation.id
    assert conversation_id is not None
    return conversation_id


async def shown(store: Store, conversation_id: int) -> list[MessageRow]:
    return (await store.read(messages.page, conversation_id, None, 200)).messages


def texts(found: Sequence[MessageRow]) -> list[str]:
    return ["".join(part.text for part in row.parts if isinstance(part, TextPart)) for row in found]
