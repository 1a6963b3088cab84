"""Where Deskside keeps its data, logs and cache, and where its page is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import PlatformDirs

from deskside.backend.errors import NotFound, StoreReadOnly
from deskside.backend.paths import Paths

_HERE = Path(__file__).resolve().parent
ICON = _HERE / "deskside.png"
"""The program's icon, 128 by 128."""


def find_paths(data_dir: str | None, environ: Mapping[str, str] = os.environ) -> Paths:
    """All three below `--data-dir`, else below DESKSIDE_DATA_DIR, else the platform's folders, with the data
    where they were moved to.

    Nothing is made yet. Raises StoreReadOnly where the folder that they were moved to is not there: an empty
    one in its place would look as if all were lost.
    """
    chosen = data_dir or environ.get("DESKSIDE_DATA_DIR")
    if chosen:
        data = Path(chosen).expanduser().resolve()
        return Paths(data=data, logs=data / "logs", cache=data / "cache")
    folders = PlatformDirs("deskside", appauthor=False, roaming=False)
    pointer = folders.user_data_path / "location.json"
    return Paths(
        _moved(pointer) or folders.user_data_path, folders.user_log_path, folders.user_cache_path, pointer
    )


def _moved(pointer: Path) -> Path | None:
    try:
        data = Path(json.loads(pointer.read_text("utf-8"))["data"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise StoreReadOnly(
            f"{pointer} should say where your data are, and cannot be read.",
            hint="Correct it, or delete it to use the folder that it is in.",
        ) from error
    if not data.is_dir():
        raise StoreReadOnly(
            f"Your data were moved to {data}, which is not there.",
            hint=f"Connect its disk, then start Deskside again. To begin anew, delete {pointer}.",
        )
    return data


def web_folder() -> Path:
    """The built page: inside an installed Deskside, else the checkout's `frontend/dist`.

    Raises NotFound where it was never built.
    """
    # shell/deskside/shell/paths.py: the checkout's root is three folders above this file's.
    for folder in (_HERE / "web", _HERE.parents[2] / "frontend" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    raise NotFound("Deskside's page has not been built.", hint="Run: python3 build/frontend.py")
