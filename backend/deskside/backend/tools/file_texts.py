"""What the user's own tools may use of files: reading in the folders that the user granted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from deskside.backend.granted_files import FileRefused, GrantedFiles
from deskside.backend.text_files import NotText, read_text
from deskside.backend.tools.list_folder import LOOKED_AT_LIMIT
from deskside.backend.tools.read_file import READ_LIMIT_BYTES

if TYPE_CHECKING:
    from deskside.backend.paths import Paths
    from deskside.backend.settings import SettingsStore


class FileTexts:
    """Fits user_tools.Files. What may be read is asked of the settings at each call."""

    def __init__(self, settings: SettingsStore, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths

    async def read_text(self, path: str) -> str:
        """A file's text, at most its first 10 MB. Raises OSError where it may not be read or is no text."""
        return await asyncio.to_thread(self._read, path)

    async def list_dir(self, path: str) -> list[str]:
        """The names in a folder, sorted; folders end in a slash. Raises OSError where it may not be read."""
        return await asyncio.to_thread(self._list, path)

    def _read(self, path: str) -> str:
        try:
            files = self._files()
            with (
                files.open_file(files.find(path)) as descriptor,
                open(descriptor, "rb", closefd=False) as file,
            ):
                content = file.read(READ_LIMIT_BYTES + 1)
            is_cut = len(content) > READ_LIMIT_BYTES
            return read_text(content[:READ_LIMIT_BYTES], is_cut=is_cut).text
        except NotText as error:
            raise OSError(f"{path!r} is no text file") from error
        except FileRefused as error:
            raise OSError(str(error)) from error

    def _list(self, path: str) -> list[str]:
        names: list[str] = []
        try:
            files = self._files()
            with files.open_folder(files.find(path)) as folder:
                for entry in folder.entries():
                    if len(names) == LOOKED_AT_LIMIT:
                        break
                    names.append(f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name)
        except FileRefused as error:
            raise OSError(str(error)) from error
        return sorted(names)

    def _files(self) -> GrantedFiles:
        return GrantedFiles(self._settings.current.folders, self._paths)
