"""Where Deskside keeps its data, logs and cache, and where its page is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import PlatformDirs

from deskside.backend.errors import NotFound
from deskside.backend.paths import Paths

_HERE = Path(__file__).resolve().parent


def find_paths(data_dir: str | None, environ: Mapping[str, str] = os.environ) -> Paths:
    """The platform's folders, or all three below `--data-dir`, else below DESKSIDE_DATA_DIR.

    Nothing is made yet.
    """
    chosen = data_dir or environ.get("DESKSIDE_DATA_DIR")
    if chosen:
        data = Path(chosen).expanduser().resolve()
        return Paths(data=data, logs=data / "logs", cache=data / "cache")
    folders = PlatformDirs("deskside", appauthor=False, roaming=False)
    return Paths(folders.user_data_path, folders.user_log_path, folders.user_cache_path)


def web_folder() -> Path:
    """The built page: inside an installed Deskside, else the checkout's `frontend/dist`.

    Raises NotFound where it was never built.
    """
    # shell/deskside/shell/paths.py: the checkout's root is three folders above this file's.
    for folder in (_HERE / "web", _HERE.parents[2] / "frontend" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    raise NotFound("Deskside's page has not been built.", hint="Run: python3 build/frontend.py")
