"""Files by the hash of their content: `<folder>/<first two digits>/<sha256>`, each there once.

A file comes in piece by piece under a name of its own and gets its place in one step, when it is whole and on
the disk. So whatever has a place is whole, also after a crash.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from deskside.backend.durable import sync_folder

INCOMING = "incoming"
IS_SHA256 = re.compile(r"[0-9a-f]{64}")


class Content(NamedTuple):
    """What is known of a file without looking into it."""

    sha256: str
    size_bytes: int


class Contents:
    """The files below one folder, which is made when it is needed. All of it blocks: use it on a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, sha256: str) -> Path:
        """Where the file is, or would be."""
        if IS_SHA256.fullmatch(sha256) is None:
            raise ValueError(f"{sha256!r} is no SHA-256")
        return self._folder / sha256[:2] / sha256

    def receive(self) -> Incoming:
        """A file that is to come. Use it as a context manager: what was not kept is gone at its end."""
        return Incoming(self, self._folder / INCOMING)

    def remove(self, sha256: str) -> None:
        self.path_of(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """The hashes of all files that are there."""
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                if IS_SHA256.fullmatch(path.name):
                    yield path.name

    def forget_incoming(self) -> None:
        """Remove what a crash left half received. Only while nothing is received."""
        for path in (self._folder / INCOMING).glob("*"):
            path.unlink(missing_ok=True)


class Incoming:
    """A file while it comes in."""

    def __init__(self, contents: Contents, folder: Path) -> None:
        self._contents = contents
        # Not the folders above: where the data folder was moved away, there must not be another one.
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)  # mode 0600
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._hash.update(piece)
        self.size_bytes += len(piece)

    def keep(self) -> Content:
        """Give the file its place; on return it survives a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        content = Content(self._hash.hexdigest(), self.size_bytes)
        target = self._contents.path_of(content.sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            self._path.replace(target)  # where it is there already, by the very same content
        except PermissionError:
            if not target.is_file():  # Windows does not replace what somebody is reading
                raise
        sync_folder(target.parent)
        sync_folder(target.parent.parent)
        return content
