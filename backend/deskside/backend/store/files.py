"""Files of the user, each on the disk once: `<data>/files/<first two hex digits>/<sha256>`.

What a file is called, and to what it is attached, is in the database (`stored_file`, `attachment`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 1 << 20


class TooLarge(ValueError):
    """The content has more bytes than were allowed."""


def put(folder: Path, content: BinaryIO, largest_bytes: int) -> tuple[str, int]:
    """Keep a file's content; returns its SHA-256 and its size in bytes. One that is there already stays as it
    is.

    Raises TooLarge, and OSError where it cannot be written or read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix="new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            sha256, size = _copied(content, file, largest_bytes)
            file.flush()
            os.fsync(file.fileno())
        path = path_of(folder, sha256)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return sha256, size


def get(folder: Path, sha256: str) -> Path | None:
    """Where the content is; None where it is gone."""
    path = path_of(folder, sha256)
    return path if path.is_file() else None


def path_of(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256


def _copied(content: BinaryIO, file: BinaryIO, largest_bytes: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := content.read(PIECE_BYTES):
        size += len(piece)
        if size > largest_bytes:
            raise TooLarge
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest(), size
