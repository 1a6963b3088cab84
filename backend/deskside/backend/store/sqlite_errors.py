"""What SQLite and the disk say, as the user would put it."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from loguru import logger

from deskside.backend.errors import (
    AppError,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    StoreGone,
    StoreReadOnly,
    StoreUnsuitable,
)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_ROOM = ("WRITE", "FSYNC", "SHMSIZE")
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Health:
    """What is known of one database file. Shared by the threads that use it.

    Damage stays: reading what is left is worth a try, writing to a damaged file destroys more of it. (A
    damaged search index is none: it is made anew.) So does what kept the file from being opened for writing.
    A file that is gone may come back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reading_only: AppError | None = None
        """Why nothing is written, for as long as this program runs."""
        self.moved: StoreReadOnly | None = None
        """Where the data are now. It is no trouble: the user has moved them."""
        self.gone: StoreGone | None = None
        self.on_trouble: Callable[[], None] = lambda: None
        """Called on whichever thread meets it."""

    @property
    def damage(self) -> StoreDamaged | None:
        return self.reading_only if isinstance(self.reading_only, StoreDamaged) else None

    @property
    def trouble(self) -> AppError | None:
        """Why nothing is written now."""
        return self.reading_only or self.gone

    @property
    def is_writable(self) -> bool:
        return self.reading_only is None

    def check_writable(self) -> None:
        """Raises why nothing is written any more. (Whether the file is there, the writer sees by itself.)"""
        why = self.moved or self.reading_only
        if why is not None:
            raise type(why)(why.message, hint=why.hint)

    def told(self, error: BaseException) -> BaseException:
        """What to raise for `error` where it is awaited."""
        found = store_error(error, self._path)
        if found is None:
            return error
        code = getattr(found.__cause__, "sqlite_errorcode", 0)
        if isinstance(found, StoreDamaged) and code != sqlite3.SQLITE_CORRUPT_VTAB and self.is_writable:
            self.reading_only = found
            logger.error("the database is damaged; nothing more is written to it")
            self.on_trouble()
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


def is_text_damage(error: BaseException) -> bool:
    """Whether a text was not UTF-8. Python says so with the text itself: show it to nobody."""
    return any(
        isinstance(cause, sqlite3.OperationalError) and "decode to UTF-8" in str(cause)
        for cause in chain(error)
    )


def _of_sqlite(error: sqlite3.Error, path: Path) -> AppError | None:
    code = getattr(error, "sqlite_errorcode", 0)  # absent on errors that Python itself raises
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            # SQLite says so, too, where the drive has no locks at all.
            reason = _why_no_locks(path.parent)
            if reason is not None:
                return unsuitable(path, reason)
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
                f"{path} is not a database, or its first bytes are damaged.", hint=way_out(path)
            )
        case sqlite3.SQLITE_CORRUPT:
            return StoreDamaged(f"{path} is damaged, so nothing more is written to it.", hint=way_out(path))
        case sqlite3.SQLITE_PROTOCOL | sqlite3.SQLITE_NOLFS:
            return unsuitable(path, error.sqlite_errorname)
    return None


def unsuitable(path: Path, reason: str) -> StoreUnsuitable:
    """A drive without the locks or the shared memory that keep a database whole."""
    return StoreUnsuitable(
        f"The drive that holds {path} cannot keep a database safely ({reason}). Network drives often cannot."
    )


def _why_no_locks(folder: Path) -> str | None:
    """What the system says where files in a folder cannot be locked; None where they can."""
    if sys.platform == "win32":
        return None  # there it is the file's own system that keeps others out
    import fcntl

    with suppress(OSError), TemporaryFile(dir=folder) as probe:
        try:
            fcntl.lockf(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return errno.errorcode[error.errno]
    return None


def way_out(path: Path) -> str:
    """What to do about a damaged file."""
    backups = sorted((path.parent / "backups").glob("*.json"), key=lambda backup: backup.stat().st_mtime_ns)
    rescue = "Rescue what can be read: in the window, or with Deskside closed by the command deskside rescue."
    if not backups:
        return f"{rescue} There is no backup of it. The damaged files are kept."
    return (
        f"{rescue} Or restore a backup: in Settings, under Data, or by deskside restore {backups[-1].stem}. "
        "The damaged files are kept."
    )


def _of_failed_transfer(error: sqlite3.Error, path: Path) -> AppError:
    """SQLite reports a quota or a file size limit as an I/O error without saying which."""
    if any(error.sqlite_errorname.endswith(word) for word in NO_ROOM):
        return StoreFull(
            f"The disk did not take what was written to {path} ({error.sqlite_errorname}).",
            hint="Check that the disk has space and is still connected, then try again.",
        )
    if any(word in error.sqlite_errorname for word in ("LOCK", "SHM")):
        return unsuitable(path, error.sqlite_errorname)
    return StoreReadOnly(
        f"The disk that holds {path} cannot be read ({error.sqlite_errorname}).",
        hint="Check that the disk is still connected, then start Deskside again.",
    )


def _of_system(error: OSError, path: Path) -> AppError | None:
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(path)
    if error.errno in FULL:
        return StoreFull(f"The disk that holds {where} is full.")
    if error.errno in NO_LOCKS:
        return unsuitable(path, errno.errorcode[error.errno])
    if error.errno in NOT_ALLOWED:
        return StoreReadOnly(f"{where} cannot be written to.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return StoreReadOnly(
            f"{where} is in the way of the data folder.",
            hint="Move it elsewhere, or start Deskside with another data folder (--data-dir).",
        )
    return None
