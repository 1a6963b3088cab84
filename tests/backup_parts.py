"""Stores with conversations and attached files, and what their backups must hold."""

from __future__ import annotations

import hashlib
import random
from contextlib import closing
from pathlib import Path

from deskside.backend.backups.manifest import Manifest, place_of, read_folder
from deskside.backend.paths import Paths
from deskside.backend.store.database import open_store
from stores import connected, rows, talk

PASSPHRASE = "correct horse battery staple"


async def fill(paths: Paths, *questions: str) -> None:
    """A conversation for each question."""
    async with open_store(paths) as store:
        for question in questions:
            await talk(store, (question, f"An answer to {question}"))


def attach(paths: Paths, content: bytes) -> str:
    """Put a file into the data, as an attachment does. Returns its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    place = place_of(paths.files, sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    with closing(connected(paths.database)) as connection, connection:
        connection.execute(
            "insert into stored_file (sha256, size_bytes, media_type, text_status, created_ms) "
            "values (?, ?, 'text/plain', 'none', 0)",
            (sha256, len(content)),
        )
        # To a draft: what nothing refers to is removed by the running program.
        connection.execute(
            "insert into attachment (position, name, file, created_ms) "
            "select 0, 'attached', id, 0 from stored_file where sha256 = ?",
            (sha256,),
        )
    return sha256


def titles(database: Path) -> list[str]:
    found = rows(database, "select title from conversation where deleted_ms is null order by id")
    return [title for (title,) in found]


def whole(database: Path) -> str:
    """What SQLite says of the file and of its search index."""
    with closing(connected(database)) as connection:
        connection.execute("insert into message_search (message_search, rank) values ('integrity-check', 1)")
        connection.rollback()
        return str(connection.execute("pragma integrity_check").fetchone()[0])


def newest(folder: Path) -> Manifest:
    found, unreadable = read_folder(folder)
    assert [] == unreadable
    return found[0]


def flip(path: Path, *, seed: int) -> None:
    """Change one bit somewhere in a file."""
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
