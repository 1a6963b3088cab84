"""The folders that the user granted, and how that changes.

Nothing here asks the user. Whoever widens a grant has asked before, in a dialog of the system or in a
terminal: a page that was taken over can narrow, and nothing else.
"""

from __future__ import annotations

import asyncio

from deskside.backend.errors import NotFound
from deskside.backend.granted_files import granted
from deskside.backend.paths import Paths
from deskside.backend.settings import GrantedFolder, SettingsStore


class Folders:
    """Used from the backend's loop only. All methods that change return the folders as they are then."""

    def __init__(self, settings: SettingsStore, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths

    def get(self, path: str) -> GrantedFolder:
        """A granted folder by its path, as it is stored. Raises NotFound."""
        for folder in self._settings.current.folders:
            if folder.path == path:
                return folder
        raise NotFound(f"{path!r} is not granted.", hint="It may have been removed meanwhile.")

    async def grant(self, path: str, can_write: bool) -> list[GrantedFolder]:
        """Add a folder, or change what may be done in it. Raises InvalidRequest for one that holds more than
        anybody would want to show."""
        # In a thread: a disk that sleeps, or a server that does not answer, takes its time.
        folders = await asyncio.to_thread(
            granted, path, can_write, self._settings.current.folders, self._paths
        )
        return await self._save(folders)

    async def narrow(self, path: str) -> list[GrantedFolder]:
        """Let a folder only be read."""
        narrowed = GrantedFolder(self.get(path).path, can_write=False)
        return await self._save(
            [narrowed if folder.path == path else folder for folder in self._settings.current.folders]
        )

    async def remove(self, path: str) -> list[GrantedFolder]:
        """Take a folder back. NotFound where it is not granted."""
        self.get(path)
        return await self._save([each for each in self._settings.current.folders if each.path != path])

    async def _save(self, folders: list[GrantedFolder]) -> list[GrantedFolder]:
        return (await self._settings.change({"folders": folders})).folders
