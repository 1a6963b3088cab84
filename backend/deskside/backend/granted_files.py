"""Files in the folders that the user granted, reached so that nothing else can be.

Invariants
  - A path is resolved first and must then lie in a granted folder. What is opened is reached from that folder
    name by name without following a link, so that one that is put there meanwhile is an error and no way
    out.
  - Only ordinary files and folders are opened: no device, pipe or socket.
  - Deskside's own folders are never entered, whatever was granted. They are known by their identity, so that
    another spelling, or another mount, does not help.

What is refused is said the same way whether or not something is there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from deskside.backend.errors import InvalidRequest
from deskside.backend.paths import Paths
from deskside.backend.settings import MOST_FOLDERS, GrantedFolder

LONGEST_PATH = 4096
# Windows has neither descriptors of folders nor these flags; there each step is checked by its path.
HAS_DESCRIPTORS = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
READ_FLAGS |= getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
FOLDER_FLAGS = READ_FLAGS | getattr(os, "O_DIRECTORY", 0)
WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
WRITE_FLAGS |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
LINK_TAGS = {getattr(stat, "IO_REPARSE_TAG_SYMLINK", -1), getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)}
# What the system keeps there is no document of the user's, and much of it says or does something when read.
SYSTEM_FOLDERS = [
    *("/proc", "/sys", "/dev", "/run", "/boot", "/etc", "/System", "/private/etc", "/private/var/db"),
    *([os.environ["SYSTEMROOT"]] if "SYSTEMROOT" in os.environ else []),
]


class FileRefused(Exception):
    """Why a file or folder cannot be used. The text is for whoever named it."""


class FileMissing(FileRefused):
    """There is nothing of this name in the granted folder."""


@dataclass(frozen=True)
class Place:
    """A path that lies in a granted folder: the names that lead from there to it, none for itself."""

    folder: GrantedFolder
    names: tuple[str, ...]

    @property
    def path(self) -> Path:
        return Path(self.folder.path, *self.names)

    @property
    def parent(self) -> Place:
        return Place(self.folder, self.names[:-1])


class GrantedFiles:
    """What may be used at this moment. Make a new one for each call: grants change."""

    def __init__(self, folders: Sequence[GrantedFolder], paths: Paths) -> None:
        self.folders = folders
        self._paths = paths

    def find(self, text: str) -> Place:
        """Where a path lies; something need not be there. Raises FileRefused."""
        if "\0" in text or not text.strip() or len(text) > LONGEST_PATH:
            raise FileRefused("this is no path of a file")
        # Resolving a network path would already send the user's name to that server.
        if text.startswith(("//", "\\\\")) or (os.name == "nt" and ":" in text[2:]):
            self._refuse(text)
        if not os.path.isabs(text):
            if text.startswith("~") or len(self.folders) != 1:
                raise FileRefused(f"{text!r} is not a whole path. {self.said()}")
            text = os.path.join(self.folders[0].path, text)
        try:
            resolved = Path(os.path.realpath(text))
        except (OSError, ValueError):
            self._refuse(text)
        granted = [folder for folder in self.folders if resolved.is_relative_to(folder.path)]
        if not granted or any(resolved.is_relative_to(own) for own in own_folders(self._paths)):
            self._refuse(text)
        # The innermost decides: a folder inside a writable one can be granted for reading only.
        folder = max(granted, key=lambda each: len(each.path))
        return Place(folder, resolved.relative_to(folder.path).parts)

    @contextmanager
    def open_folder(self, place: Place, *, make: bool = False) -> Iterator[OpenFolder]:
        """The folder at `place`; `make` makes what is missing. Raises FileRefused."""
        protected = frozenset(_identity(own) for own in own_folders(self._paths) if own.exists())
        with _translated(place.path):
            folder = OpenFolder.at(place.folder.path, protected)
            try:
                for name in place.names:
                    inner = folder.enter(name, make=make)
                    folder.close()
                    folder = inner
            except BaseException:
                folder.close()
                raise
        with closing(folder), _translated(place.path):
            yield folder

    @contextmanager
    def open_file(self, place: Place) -> Iterator[int]:
        """A descriptor for reading an ordinary file. Raises FileRefused."""
        if not place.names:
            raise FileRefused(f"{str(place.path)!r} is a folder")
        with self.open_folder(place.parent) as folder, _translated(place.path):
            descriptor = folder.open_file(place.names[-1])
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def said(self) -> str:
        """Which folders there are, for the model."""
        if not self.folders:
            return "No folder was granted; the user can grant some in Settings, under Folders."
        return "The folders are: " + "; ".join(
            f"{folder.path} ({'read and write' if folder.can_write else 'read'})" for folder in self.folders
        )

    def _refuse(self, text: str) -> NoReturn:
        raise FileRefused(f"{text!r} is in no folder that may be used. {self.said()}")


class OpenFolder:
    """A folder that is open. Names in it are never followed where they are links."""

    def __init__(self, path: Path, descriptor: int | None, protected: frozenset[tuple[int, int]]) -> None:
        self.path = path
        self._descriptor = descriptor
        self._protected = protected

    @classmethod
    def at(cls, path: str, protected: frozenset[tuple[int, int]]) -> OpenFolder:
        """A granted folder itself. Raises OSError, and FileRefused for Deskside's own."""
        _check_no_link(os.lstat(path), path)
        descriptor = os.open(path, FOLDER_FLAGS) if HAS_DESCRIPTORS else None
        return cls._checked(Path(path), descriptor, protected)

    @classmethod
    def _checked(
        cls, path: Path, descriptor: int | None, protected: frozenset[tuple[int, int]]
    ) -> OpenFolder:
        folder = cls(path, descriptor, protected)
        found = os.stat(path if descriptor is None else descriptor)
        if (found.st_dev, found.st_ino) in protected:
            folder.close()
            raise FileRefused(f"{str(path)!r} is Deskside's own folder, which cannot be used")
        return folder

    def enter(self, name: str, *, make: bool = False) -> OpenFolder:
        """A folder in it. Raises OSError."""
        target, at = self._at(name)
        if make:
            with suppress(FileExistsError):
                os.mkdir(target, **at)
        descriptor = None
        if HAS_DESCRIPTORS:
            descriptor = os.open(target, FOLDER_FLAGS, **at)
        else:
            found = self.stat(name)
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return self._checked(self.path / name, descriptor, self._protected)

    def stat(self, name: str) -> os.stat_result:
        """What has this name in it. Raises OSError, and FileRefused for a link."""
        target, at = self._at(name)
        found = os.stat(target, follow_symlinks=False, **at)
        _check_no_link(found, str(self.path / name))
        return found

    def open_file(self, name: str) -> int:
        """A descriptor for reading an ordinary file. Looked at before it is opened, as opening some devices
        does something, and afterwards, as it may be another then."""
        target, at = self._at(name)
        before = self.stat(name)
        _check_ordinary(before, self.path / name)
        descriptor = os.open(target, READ_FLAGS, **at)
        if not os.path.samestat(before, os.fstat(descriptor)):
            os.close(descriptor)
            raise FileRefused(f"{str(self.path / name)!r} was exchanged while it was opened")
        return descriptor

    def create(self, name: str, mode: int) -> int:
        """A descriptor for writing a file that is not there yet. Raises OSError."""
        target, at = self._at(name)
        return os.open(target, WRITE_FLAGS, mode, **at)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """What is in it, in no order. Raises OSError."""
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as found:
            yield from found

    def replace(self, draft: str, name: str) -> None:
        """Give `draft` the name, in place of what had it."""
        source, target = self._at(draft)[0], self._at(name)[0]
        os.replace(source, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def name_new(self, draft: str, name: str) -> None:
        """Give `draft` a name that nothing has. FileExistsError where something does."""
        source, target = self._at(draft)[0], self._at(name)[0]
        try:
            os.link(source, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links: between looking and renaming is a gap.
            if self._has(name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self.replace(draft, name)
        else:
            self.remove(draft)

    def remove(self, name: str) -> None:
        target, at = self._at(name)
        os.unlink(target, **at)

    def sync(self) -> None:
        """Let the names survive a power cut, where the system can be asked for that."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _has(self, name: str) -> bool:
        target, at = self._at(name)
        try:
            os.stat(target, follow_symlinks=False, **at)
        except FileNotFoundError:
            return False
        return True

    def _at(self, name: str) -> tuple[str, dict[str, Any]]:
        """How to name something in it: relative to the descriptor where there is one."""
        if self._descriptor is None:
            return str(self.path / name), {}
        return name, {"dir_fd": self._descriptor}


# -- granting -------------------------------------------------------------------------------------


def granted(
    path: str, can_write: bool, folders: Sequence[GrantedFolder], paths: Paths
) -> list[GrantedFolder]:
    """`folders` with one more, or with one that was there changed. Raises InvalidRequest for what is no
    folder, and for one that holds more than anybody would want to show."""
    if "\0" in path or not os.path.isabs(path) or path.startswith(("//", "\\\\")):
        raise InvalidRequest(f"{path!r} is not the whole path of a folder.", hint="Choose another folder.")
    resolved = Path(os.path.realpath(path))
    if not resolved.is_dir():
        raise InvalidRequest(f"There is no folder {str(resolved)!r}.", hint="Choose another folder.")
    _check_grantable(resolved, paths)
    grant = GrantedFolder(str(resolved), can_write)
    if any(folder.path == grant.path for folder in folders):
        return [grant if folder.path == grant.path else folder for folder in folders]
    if len(folders) >= MOST_FOLDERS:
        raise InvalidRequest(
            f"At most {MOST_FOLDERS} folders can be granted.", hint="Remove one that is not needed."
        )
    return [*folders, grant]


def _check_grantable(folder: Path, paths: Paths) -> None:
    hint = "Choose a folder that holds only what the assistant shall see."
    if folder == folder.parent or any(folder.is_relative_to(each) for each in SYSTEM_FOLDERS):
        raise InvalidRequest(f"{str(folder)!r} belongs to the system.", hint=hint)
    if folder == Path.home().resolve() or Path.home().resolve().is_relative_to(folder):
        raise InvalidRequest(
            f"{str(folder)!r} holds your whole home folder, with keys and passwords in it.", hint=hint
        )
    if any(folder.is_relative_to(own) for own in own_folders(paths)):
        raise InvalidRequest(f"{str(folder)!r} is Deskside's own folder.", hint=hint)


def own_folders(paths: Paths) -> list[Path]:
    """Deskside's own: database, keys, logs."""
    return [Path(os.path.realpath(own)) for own in (paths.data, paths.logs, paths.cache)]


# -- what the system says -------------------------------------------------------------------------


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _check_no_link(found: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) in LINK_TAGS:
        raise FileRefused(f"{path!r} is a link that was put there meanwhile")


def _check_ordinary(found: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise FileRefused(f"{str(path)!r} is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{str(path)!r} is not an ordinary file")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(f"there is no {str(path)!r}") from error
    except NotADirectoryError as error:
        raise FileRefused(f"{str(path)!r} is no folder, or is below a file") from error
    except OSError as error:
        # ELOOP: a link where none was when the path was resolved.
        reason = "a link was put there meanwhile" if error.errno == errno.ELOOP else error.strerror
        raise FileRefused(f"{str(path)!r} cannot be used: {reason}") from error
