"""Where one installation keeps its files. Imports nothing: the window needs it before all else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Folders of one installation. All below `data` are made when the app opens, mode 0700."""

    data: Path
    logs: Path
    cache: Path

    @property
    def database(self) -> Path:
        return self.data / "deskside.db"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def files(self) -> Path:
        """Attachments, by content."""
        return self.data / "files"

    @property
    def rescue(self) -> Path:
        """What was read of a damaged database, until it takes its place."""
        return self.data / "rescue"

    @property
    def backups(self) -> Path:
        return self.data / "backups"
