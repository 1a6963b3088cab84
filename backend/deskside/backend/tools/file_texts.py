"""What the user's own tools may use of the granted folders (user_tools.py)."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deskside.backend.granted_files import FileMissing, FileRefused, GrantedFiles
from deskside.backend.text_files import NotText, read_text

if TYPE_CHECKING:
    from deskside.backend.paths import Paths
    from deskside.backend.settings import SettingsStore

SIZE_LIMIT_BYTES = 5_000_000
ENTRY_LIMIT = 5_000


class FileTexts:
    """Reads under the rules of the built-in tools. What is refused comes as the error that Python's own
    functions would raise, so that a tool can handle it."""

    def __init__(self, settings: SettingsStore, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths

    async def read_text(self, path: str) -> str:
        """A text file as a whole. Raises OSError, and ValueError where it is no text."""
        return await asyncio.to_thread(self._read, path)

    async def list_dir(self, path: str) -> list[str]:
        """The names in a folder, sorted; those of folders end in a slash. Raises OSError."""
        return await asyncio.to_thread(self._list, path)

    def _read(self, path: str) -> str:
        files = self._files()
        with _as_of_python(), files.open_file(files.find(path)) as descriptor:
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes > SIZE_LIMIT_BYTES:
                raise OSError(f"{path!r} has {size_bytes:,} bytes; at most {SIZE_LIMIT_BYTES:,} can be read")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(SIZE_LIMIT_BYTES)
        try:
            return read_text(content).text
        except NotText as error:
            raise ValueError(f"{path!r} is no text file") from error

    def _list(self, path: str) -> list[str]:
        files = self._files()
        with _as_of_python(), files.open_folder(files.find(path)) as folder:
            entries = itertools.islice(folder.entries(), ENTRY_LIMIT)
            return sorted(_name(entry) for entry in entries)

    def _files(self) -> GrantedFiles:
        return GrantedFiles(self._settings.current.folders, self._paths)


def _name(entry: os.DirEntry[str]) -> str:
    # A name can hold bytes that are no text.
    name = entry.name.encode("utf-8", "replace").decode()
    return f"{name}/" if entry.is_dir(follow_symlinks=False) else name


@contextmanager
def _as_of_python() -> Iterator[None]:
    try:
        yield
    except FileMissing as error:
        raise FileNotFoundError(str(error)) from error
    except FileRefused as error:
        raise PermissionError(str(error)) from error
