"""What SQLite and the disk say, as the user would put it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from deskside.backend.errors import AppError, StoreBusy, StoreDamaged, StoreFull, StoreReadOnly

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Health:
    """What is known of one database file. Shared by the threads that use it.

    Damage stays: reading what is left is worth a try, writing to a damaged file destroys more of it. (A
    damaged search index is none: it is made anew.)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage: StoreDamaged | None = None
        self.moved: StoreReadOnly | None = None

    @property
    def is_damaged(self) -> bool:
        return self.damage is not None

    def check_writable(self) -> None:
        """Raises StoreDamaged once damage was seen, StoreReadOnly once the data are elsewhere."""
        if self.moved is not None:
            raise StoreReadOnly(self.moved.message, hint=self.moved.hint)
        if self.damage is not None:
            raise type(self.damage)(self.damage.message, hint=self.damage.hint)

    def told(self, error: BaseException) -> BaseException:
        """What to raise for `error` where it is awaited."""
        found = store_error(error, self._path)
        if found is None:
            return error
        code = getattr(found.__cause__, "sqlite_errorcode", 0)
        if isinstance(found, StoreDamaged) and code != sqlite3.SQLITE_CORRUPT_VTAB and not self.is_damaged:
            self.damage = found
            logger.error("the database is damaged; nothing more is written to it")
        return found


def store_error(error: BaseException, path: Path) -> AppError | None:
    """The error to tell the user instead of `error`, None where the disk and the file are not to blame.

    Pony wraps what sqlite3 raises, sometimes twice: the chain is searched for the first that says more.
    """
    for cause in chain(error):
        if isinstance(cause, AppError):
            return cause
        found = None
        if isinstance(cause, sqlite3.Error):
            found = _of_sqlite(cause, path)
        elif isinstance(cause, OSError):
            found = _of_system(cause, path)
        if found is not None:
            found.__cause__ = cause
            return found
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it wraps, the outermost first."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # Pony: a wrapped error keeps its original, a failed commit the errors of all its databases.
        waiting += [getattr(cause, "original_exc", None), cause.__cause__, cause.__context__]
        waiting += [entry[1] for entry in getattr(cause, "exceptions", ())]


def _of_sqlite(error: sqlite3.Error, path: Path) -> AppError | None:
    code = getattr(error, "sqlite_errorcode", 0)  # absent on errors that Python itself raises
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(f"Another program is using {path}.")
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"The disk that holds {path} is full.")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreReadOnly(f"{path} cannot be written to.")
        case sqlite3.SQLITE_CANTOPEN:
            return StoreReadOnly(f"{path} cannot be opened for writing.")
        case sqlite3.SQLITE_IOERR:
            return _of_failed_transfer(error, path)
        case sqlite3.SQLITE_NOTADB:
            return StoreDamaged(
                f"{path} is not a database, or its first bytes are damaged.", hint=_restore(path)
            )
        case sqlite3.SQLITE_CORRUPT:
            return StoreDamaged(f"{path} is damaged, so nothing more is written to it.", hint=_restore(path))
    return None


def _restore(path: Path) -> str:
    """What to do about a damaged file, with the backup that is there."""
    backups = sorted((path.parent / "backups").glob("*.json"), key=lambda backup: backup.stat().st_mtime_ns)
    if not backups:
        return (
            "There is no backup of it. Keep a copy of the data folder, as much may still be readable; to "
            "begin anew, close Deskside and move the file elsewhere."
        )
    return (
        "Restore a backup: in Settings, under Data, or with Deskside closed by this command: "
        f"deskside restore {backups[-1].stem}. The damaged files are kept."
    )


def _of_failed_transfer(error: sqlite3.Error, path: Path) -> AppError:
    """SQLite reports a quota or a file size limit as an I/O error without saying which."""
    if "WRITE" in error.sqlite_errorname or "FSYNC" in error.sqlite_errorname:
        return StoreFull(
            f"The disk did not take what was written to {path} ({error.sqlite_errorname}).",
            hint="Check that the disk has space and is still connected, then try again.",
        )
    return StoreReadOnly(
        f"The disk that holds {path} cannot be read ({error.sqlite_errorname}).",
        hint="Check that the disk is still connected, then start Deskside again.",
    )


def _of_system(error: OSError, path: Path) -> AppError | None:
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(path)
    if error.errno in FULL:
        return StoreFull(f"The disk that holds {where} is full.")
    if error.errno in NOT_ALLOWED:
        return StoreReadOnly(f"{where} cannot be written to.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return StoreReadOnly(
            f"{where} is in the way of the data folder.",
            hint="Move it elsewhere, or start Deskside with another data folder (--data-dir).",
        )
    return None
