"""Looks for live keys in every file that the program has written.

A key is looked for in each of its forms (redaction.py), in the bytes of each file and, because SQLite cuts a
long value into pages, also in the values of each database. Files are read in blocks that overlap, so that no
key lies between two.

Not looked into: downloaded models, what is encrypted (backups with a passphrase, the file of keys), and what
is compressed. What was exported to a place of the user's choice is not known here.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deskside.backend.redaction import Form, forms
from deskside.backend.store.text import now_ms

if TYPE_CHECKING:
    from deskside.backend.paths import Paths

BLOCK_BYTES = 2**20
# Half of the time, so that nothing else has to wait for the interpreter's lock.
REST = 1.0
MOST_LEAKS = 200
# Without those of the search index, which are made of what the others hold.
TABLES = "select name from sqlite_master where type = 'table' and sql like 'create table%'"


class Leak(msgspec.Struct, frozen=True):
    """A key where none may be. `key` is its name, as the user knows it; `path` and `offset` (bytes) are where
    it stands first, `count` how often there. `table` is the database's, where it was found in a value; the
    offset is 0 then."""

    key: str
    form: Form
    path: str
    offset: int
    count: int
    table: str = ""


class SelfCheck(msgspec.Struct, frozen=True):
    """`keys` were looked for; `unread` could not be read without asking the user. `is_complete` is False
    where the time was up before the last file, `unreadable` are files that could not be opened."""

    at_ms: int
    keys: int
    unread: int
    files: int
    bytes: int
    duration_ms: int
    is_complete: bool
    unreadable: list[str]
    leaks: list[Leak]


def self_check(
    paths: Paths, known: Mapping[str, str], unread: int = 0, *, limit_s: float, rest: float = 0.0
) -> SelfCheck:
    """Look for the secrets in `known` (secret to name) in all files of this installation, for at most
    `limit_s`. `rest` is how long to rest after each block, in times of what it took."""
    started = time.monotonic()
    search = _Search(known, started + limit_s, rest)
    files = size = 0
    is_complete = True
    unreadable: list[str] = []
    leaks: list[Leak] = []
    for path in _files(paths):
        try:
            if path.suffix == ".db":
                leaks += search.database(path)
            read, found = search.file(path)
        except FileNotFoundError:
            continue  # a -wal comes and goes
        except (OSError, sqlite3.Error):
            unreadable.append(str(path))
            continue
        except _TimeIsUp:
            is_complete = False
            break
        files += 1
        size += read
        leaks += found
    return SelfCheck(
        now_ms(),
        len(known),
        unread,
        files,
        size,
        round(1000 * (time.monotonic() - started)),
        is_complete,
        unreadable[:MOST_LEAKS],
        leaks[:MOST_LEAKS],
    )


class _TimeIsUp(Exception):
    pass


class _Search:
    def __init__(self, known: Mapping[str, str], until_s: float, rest: float) -> None:
        self._until_s = until_s
        self._rest = rest
        self._wanted: list[tuple[bytes, str, Form]] = [
            (text.encode(encoding), name, form)
            for secret, name in known.items()
            for text, form in forms(secret).items()
            for encoding in ("utf-8", "utf-16-le")
        ]
        self._overlap = max((len(wanted) for wanted, _, _ in self._wanted), default=1) - 1

    def file(self, path: Path) -> tuple[int, list[Leak]]:
        """The bytes read, and what was found in them."""
        counts: dict[tuple[str, Form], tuple[int, int]] = {}
        begins = 0  # of `window`, in the file
        window = b""
        read = 0
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                read += len(block)
                window += block
                # What begins in the overlap is found with the next block, whole.
                last = len(window) - self._overlap
                for offset, name, form in self._found(window, last):
                    first, count = counts.get((name, form), (begins + offset, 0))
                    counts[name, form] = (first, count + 1)
                keep = max(0, last)
                begins += keep
                window = window[keep:]
        for offset, name, form in self._found(window, len(window)):
            first, count = counts.get((name, form), (begins + offset, 0))
            counts[name, form] = (first, count + 1)
        return read, [
            Leak(name, form, str(path), first, count) for (name, form), (first, count) in counts.items()
        ]

    def database(self, path: Path) -> list[Leak]:
        """What is in the values of a database."""
        counts: dict[tuple[str, Form, str], int] = {}
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = connection.execute(TABLES)
            for (table,) in tables.fetchall():
                quoted = table.replace('"', '""')
                for row in connection.execute(f'select * from "{quoted}"'):
                    texts = (value.encode() if isinstance(value, str) else value for value in row)
                    content = b"\0".join(value for value in texts if isinstance(value, bytes))
                    for _, name, form in self._found(content, len(content)):
                        counts[name, form, table] = counts.get((name, form, table), 0) + 1
        return [Leak(name, form, str(path), 0, count, table) for (name, form, table), count in counts.items()]

    def _found(self, content: bytes, last: int) -> Iterator[tuple[int, str, Form]]:
        """What begins before `last`. Raises _TimeIsUp."""
        started = time.monotonic()
        if started > self._until_s:
            raise _TimeIsUp
        seen: set[int] = set()
        for wanted, name, form in self._wanted:
            at = content.find(wanted)
            while 0 <= at < last:
                if at not in seen:  # "plain" is also what a key without signs looks like in a URL
                    seen.add(at)
                    yield at, name, form
                at = content.find(wanted, at + 1)
        if self._rest and len(content) >= BLOCK_BYTES:
            time.sleep(self._rest * (time.monotonic() - started))


def _files(paths: Paths) -> Sequence[Path]:
    """Everything that the program wrote; what is small first, because there is most of what nobody thinks
    of."""
    left_out = {paths.models}
    found: dict[Path, int] = {}
    for folder in (paths.logs, paths.data, paths.cache):
        for inner, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if Path(inner, name) not in left_out]
            for path in (Path(inner, name) for name in names):
                if path.suffix != ".age" and path.is_file() and not path.is_symlink():
                    found[path] = path.stat().st_size
    return sorted(found, key=lambda path: found[path])


def summary(leak: Leak) -> str:
    """A sentence for the user."""
    where = f"in its table {leak.table!r}" if leak.table else f"at byte {leak.offset:,}"
    written = "" if leak.form == "plain" else f" (written as {leak.form})"
    return f"The key {leak.key!r}{written} is in {leak.path}, {where}."


def advice(leak: Leak) -> str:
    name = re.sub(r"\.\d{4}-.*", "", Path(leak.path).name)
    if name in ("combined.log", "error.log") or leak.path.endswith((".txt", ".json")):
        remedy = "delete that file"
    elif "backups" in Path(leak.path).parts:
        remedy = "delete that backup in Settings, under Data"
    else:
        remedy = "search for its last characters in Deskside, and delete for good what holds it"
    return f"Make a new key at the provider and revoke this one; then {remedy}."
