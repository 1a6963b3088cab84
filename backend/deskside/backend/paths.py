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
    pointer: Path | None = None
    """The file that remembers a data folder other than the system's; None where the folder was chosen for
    this start."""

    @property
    def database(self) -> Path:
        return self.data / "deskside.db"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def backups(self) -> Path:
        return self.data / "backups"

    @property
    def crashes(self) -> Path:
        """What a Deskside that ended badly left for the next one to tell of."""
        return self.data / "crashes"

    @property
    def files(self) -> Path:
        """Attached files under their SHA-256: `8f/8f43…`."""
        return self.data / "files"

    @property
    def metrics_token(self) -> Path:
        """What a scraper of `/metrics` sends, once that was switched on."""
        return self.data / "metrics-token"

    @property
    def restore(self) -> Path:
        """What is to take the place of the data at the next start, while there is such."""
        return self.data / "restore"

    @property
    def rescue(self) -> Path:
        """What was read of a damaged database, until it takes its place."""
        return self.data / "rescue"
