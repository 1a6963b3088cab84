"""The attached files of a backup: each is stored once, however many backups have it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deskside.backend.backups.encryption import Encrypting, encrypt, file_name
from deskside.backend.backups.manifest import place_of
from deskside.backend.backups.progress import Report, quiet
from deskside.backend.durable import make_private, sync, sync_folder

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Attached:
    """The names of the files below files/, and the SHA-256 of those that are gone or damaged."""

    names: list[str]
    missing: list[str]


def attached_files(database: sqlite3.Connection) -> list[str]:
    """The SHA-256 of every file that the database refers to; none where its schema has no files yet."""
    has_files = "select 1 from pragma_table_info('stored_file') where name = 'sha256'"
    if database.execute(has_files).fetchone() is None:
        return []
    return [sha256 for (sha256,) in database.execute("select sha256 from stored_file order by sha256")]


def add_files(
    wanted: list[str], source: Path, target: Path, encryption: Encrypting | None, report: Report = quiet
) -> Attached:
    """Have all `wanted` in `target`, from `source`; both are stores of files by their content.

    A file is read and its hash compared when it is added; one that is there already is taken as it is. On
    the same disk it takes no space of its own (a hard link). Raises OSError, Cancelled.
    """
    names: list[str] = []
    missing: list[str] = []
    for number, sha256 in enumerate(wanted):
        report("files", number / len(wanted))
        name = sha256 if encryption is None else file_name(encryption.name_key, sha256)
        place = place_of(target, name)
        if place.exists() or _add(place_of(source, sha256), place, sha256, encryption):
            names.append(name)
        else:
            missing.append(sha256)
    return Attached(names, missing)


def add_file(source: Path, place: Path, sha256: str) -> bool:
    """Have a file at `place`, durably. False where there is none at `source`, or another."""
    return _add(source, place, sha256, None)


def _add(source: Path, place: Path, sha256: str, encryption: Encrypting | None) -> bool:
    if not source.is_file() or _digest(source) != sha256:
        return False
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place.with_name(f".{place.name}.new")
    draft.unlink(missing_ok=True)
    if encryption is not None:
        encrypt(source, draft, encryption)
    elif not link(source, draft):
        make_private(draft)
        shutil.copyfile(source, draft)
        sync(draft)
        if _digest(draft) != sha256:
            draft.unlink()
            return False
    os.replace(draft, place)
    sync_folder(place.parent)
    return True


def link(source: Path, target: Path) -> bool:
    """False on another disk, and where the disk knows no links."""
    with suppress(OSError):
        os.link(source, target)
        return True
    return False


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
