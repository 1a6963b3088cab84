"""Moving the data to another folder: copied and compared while everything works, then switched in one step.

The folder that the system gives a program (the default) remembers in `location.json` where the data are. It
is only looked at where no folder was chosen for the start (`--data-dir`, DESKSIDE_DATA_DIR).

Invariants
  - The database is copied while nothing can be written to it, and from the switch on the old one takes no
    more: nothing that was acknowledged is only in the old folder.
  - Until `location.json` is replaced, which comes last, the old folder is used; afterwards the new one. The
    old one stays as it is until the user says that it can go.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deskside.backend.backups import attached
from deskside.backend.backups.making import SPARE_BYTES
from deskside.backend.backups.progress import Report
from deskside.backend.backups.snapshot import copy_checked
from deskside.backend.durable import make_private, sync, sync_folder, write_durably
from deskside.backend.errors import Conflict, InvalidRequest, StoreDamaged, StoreFull
from deskside.backend.paths import Paths

FROM = "moved-from.json"
# What belongs to the process that runs, to the place, or is copied in its own way.
LEFT = {"instance.json", "instance.lock", "location.json", "restore", "rescue", "logs", "cache", FROM}
DATABASE = "deskside.db"
PIECE_BYTES = 1 << 20


class Moved(msgspec.Struct, frozen=True):
    """Where data came from, and the names of what is still there."""

    folder: str
    names: list[str]


def target_in(paths: Paths, chosen: Path) -> Path:
    """The folder to use for a folder that the user chose: itself where it is empty, else one inside it.
    Raises Conflict, InvalidRequest, StoreFull."""
    if paths.pointer is None:
        raise Conflict(
            "The data folder was chosen when Deskside was started.",
            hint="Start it without --data-dir and DESKSIDE_DATA_DIR to move it, or with another folder.",
        )
    target = chosen.resolve()
    if target.is_dir() and any(target.iterdir()):
        target /= "Deskside"
    data = paths.data.resolve()
    if target.is_relative_to(data) or data.is_relative_to(target):
        raise InvalidRequest(
            "The new folder and the old one lie in each other.", hint="Choose another folder."
        )
    if target.exists() and any(target.iterdir()):
        raise InvalidRequest(f"{target} holds something already.", hint="Choose another folder.")
    needed = sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) + SPARE_BYTES
    free = shutil.disk_usage(chosen).free
    if free < needed:
        raise StoreFull(
            f"The data need {needed / 1e9:.1f} GB in {chosen}, and {free / 1e9:.1f} GB are free.",
            hint="Choose a folder on another disk.",
        )
    return target


def copy_files(paths: Paths, target: Path, report: Report) -> None:
    """Copy all but the database, and compare each file. What is there already is left out, so that a second
    call only brings what came since. Raises Cancelled, StoreDamaged, OSError."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    links: dict[tuple[int, int], Path] = {}
    files = list(_files(paths.data))
    for number, file in enumerate(files):
        report("files", number / len(files))
        place = target / file.relative_to(paths.data)
        found = file.stat()
        first = links.setdefault((found.st_dev, found.st_ino), place)
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if first == place or not attached.link(first, place):  # backups share attached files with the data
            _copy(file, place, report)
    for folder in {target, *(path for path in target.rglob("*") if path.is_dir())}:
        sync_folder(folder)


def switch(paths: Paths, target: Path, report: Report) -> None:
    """Copy the database and what came since, then use the new folder from the next start on. Call it while
    nothing is written."""
    assert paths.pointer is not None
    copy_files(paths, target, report)
    copy = target / DATABASE
    make_private(copy)
    copy_checked(paths.database, copy, report)
    sync(copy)
    names = sorted({path.relative_to(paths.data).parts[0] for path in _files(paths.data)} | {DATABASE})
    write_durably(target / FROM, msgspec.json.encode(Moved(str(paths.data), names)))
    write_durably(paths.pointer, msgspec.json.encode({"data": str(target)}))


def undo(target: Path) -> None:
    """Take away what was copied into a folder that was empty before."""
    for path in list(target.iterdir()) if target.is_dir() else []:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def moved_from(paths: Paths) -> Moved | None:
    """The folder that the data were in before, until `delete_old` was called."""
    try:
        return msgspec.json.decode((paths.data / FROM).read_bytes(), type=Moved)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def delete_old(paths: Paths) -> None:
    """Delete what was moved from its old folder, and nothing else there. Raises OSError."""
    moved = moved_from(paths)
    if moved is None:
        return
    old = Path(moved.folder)
    if old.resolve() != paths.data.resolve():
        for name in [*moved.names, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}.lock", "instance.lock"]:
            path = old / Path(name).name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if old.is_dir() and not any(old.iterdir()):
            old.rmdir()
    (paths.data / FROM).unlink(missing_ok=True)


def _files(data: Path) -> Iterator[Path]:
    for top in sorted(data.iterdir()):
        if top.name in LEFT or top.name.startswith("deskside.") or top.name.endswith(".lock"):
            continue
        yield from (
            path for path in sorted([top, *top.rglob("*")]) if path.is_file() and path.name != ".lock"
        )


def _copy(file: Path, place: Path, report: Report) -> None:
    draft = place.with_name(f".{place.name}.new")
    draft.unlink(missing_ok=True)
    make_private(draft)
    digest = hashlib.sha256()
    with file.open("rb") as source, draft.open("wb") as copy:
        while piece := source.read(PIECE_BYTES):
            report("files", 0.0)
            digest.update(piece)
            copy.write(piece)
    sync(draft)
    with draft.open("rb") as copy:
        if hashlib.file_digest(copy, "sha256").digest() != digest.digest():
            raise StoreDamaged(f"{place} is not what was written.", hint="Check the disk, or choose another.")
    os.replace(draft, place)
