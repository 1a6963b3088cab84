"""Files that the assistant writes: shown first, whole or not at all, and never without a way back.

Invariants
  - What a file holds is in the store before the file is touched; where it cannot be kept, nothing is written.
  - A file is replaced in one step by one that is on the disk: whoever reads it meanwhile, and a power cut,
    finds the old content or the new one.
  - What the user was shown is what is changed: a file that was changed since is left alone. So is one that
    was changed between reading and replacing it, but for the moment that the system's own rename takes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deskside.backend.errors import Conflict
from deskside.backend.granted_files import FileMissing, FileRefused, GrantedFiles, OpenFolder, Place
from deskside.backend.settings import GrantedFolder
from deskside.backend.store import file_versions
from deskside.backend.store.file_versions import NewVersion, StoredVersion, WrittenFile
from deskside.backend.text_files import NotText, lines_of, read_text
from deskside.backend.tools.declaration import Preview

if TYPE_CHECKING:
    from deskside.backend.paths import Paths
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.database import Store

Mode = Literal["create", "replace", "append"]

FILE_LIMIT_BYTES = 5_000_000  # before and after; each earlier content is kept
DIFF_LIMIT = 60_000  # characters that are shown to the user
DIFF_LINE_LIMIT = 3_000  # lines of a file; comparing takes the square of them
PREVIEWS_KEPT = 500


@dataclass(frozen=True)
class Call:
    """Whom a file is written for: rows of the store, and the model's id of the call."""

    conversation_id: int
    message_id: int
    call_id: str


@dataclass(frozen=True)
class Change:
    """What one call would make of a file. `before` is None where there is none."""

    place: Place
    before: bytes | None
    found: os.stat_result | None
    after: bytes


class WrittenFiles:
    """Used from the backend's loop only; what touches files runs on threads."""

    def __init__(self, store: Store, settings: SettingsStore, paths: Paths) -> None:
        self._store = store
        self._settings = settings
        self._paths = paths
        self._shown: OrderedDict[tuple[int, str, Path], str] = OrderedDict()

    async def preview(self, call: Call, path: str, text: str, mode: Mode) -> Preview:
        """What the call would do, with a diff. Raises FileRefused. `write` will refuse where the file is
        another by then."""
        change = await asyncio.to_thread(_planned, self._granted(), path, text, mode)
        self._shown[call.message_id, call.call_id, change.place.path] = _digest(change.before)
        while len(self._shown) > PREVIEWS_KEPT:
            self._shown.popitem(last=False)
        return await asyncio.to_thread(_preview, change, mode)

    async def write(self, call: Call, path: str, text: str, mode: Mode) -> Change:
        """Write the file. Raises FileRefused, and the store's errors where the earlier content could not be
        kept; then nothing was written."""
        change = await asyncio.to_thread(_planned, self._granted(), path, text, mode)
        shown = self._shown.get((call.message_id, call.call_id, change.place.path))
        if shown is not None and shown != _digest(change.before):
            raise FileRefused(
                f"{str(change.place.path)!r} was changed after the user was shown what would happen to it; "
                "read it again"
            )
        if change.after != change.before:
            # A run that is stopped in the middle leaves neither a file without a way back nor the reverse.
            carried_out = asyncio.ensure_future(self._carry_out(call, change))
            carried_out.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(carried_out)
        return change

    async def undo(self, version_id: int) -> WrittenFile:
        """Bring back what was in a file before. Raises NotFound, and Conflict where it was changed since."""
        version = await self._store.read(file_versions.get, version_id)
        if not version.written.can_undo:
            hint = "It was undone already." if version.written.undone_ms else "It was too long ago."
            raise Conflict(f"The earlier content of {version.written.path} is no longer kept.", hint=hint)
        try:
            await asyncio.to_thread(_brought_back, version, self._paths)
        except FileRefused as error:
            raise Conflict(
                f"{str(error)[:1].upper()}{str(error)[1:]}.", hint="Nothing was changed."
            ) from error
        return await self._store.write(file_versions.mark_undone, version_id)

    async def written(self, message_id: int | None) -> list[WrittenFile]:
        """The files that one reply wrote, or the last that any did, newest first."""
        return await self._store.read(file_versions.written, message_id)

    def _granted(self) -> GrantedFiles:
        return GrantedFiles(self._settings.current.folders, self._paths)

    async def _carry_out(self, call: Call, change: Change) -> None:
        version = NewVersion(
            path=str(change.place.path),
            folder=change.place.folder.path,
            conversation_id=call.conversation_id,
            message_id=call.message_id,
            call_id=call.call_id,
            before=change.before,
            after_bytes=len(change.after),
            after_sha256=_digest(change.after),
        )
        version_id = await self._store.write(file_versions.keep, version)
        try:
            await asyncio.to_thread(_replaced, self._granted(), change)
        except FileRefused:
            await self._store.write(file_versions.forget, version_id)
            raise


# -- on a thread ----------------------------------------------------------------------------------


def _planned(files: GrantedFiles, path: str, text: str, mode: Mode) -> Change:
    place = files.find(path)
    if not place.folder.can_write:
        raise FileRefused(f"{place.folder.path!r} may only be read. {files.said()}")
    if not place.names or not all(name.isprintable() for name in place.names):
        raise FileRefused(f"{str(place.path)!r} is no name for a file")
    before, found = _contents(files, place)
    if before is not None and mode == "create":
        raise FileRefused(f"{str(place.path)!r} is there already; use mode 'replace' or 'append'")
    after = _content(place, before, text, mode)
    if len(after) > FILE_LIMIT_BYTES:
        raise FileRefused(f"the file would have more than {FILE_LIMIT_BYTES:,} bytes")
    return Change(place, before, found, after)


def _contents(files: GrantedFiles, place: Place) -> tuple[bytes | None, os.stat_result | None]:
    """What a file holds, and what the system says of it; None where there is no file."""
    try:
        with files.open_file(place) as descriptor:
            found = os.fstat(descriptor)
            if found.st_size > FILE_LIMIT_BYTES:
                raise FileRefused(f"{str(place.path)!r} is too large to be written ({found.st_size:,} bytes)")
            if not found.st_mode & stat.S_IWUSR:
                raise FileRefused(f"{str(place.path)!r} is protected against writing")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(FILE_LIMIT_BYTES + 1), found
    except FileMissing:
        return None, None


def _content(place: Place, before: bytes | None, text: str, mode: Mode) -> bytes:
    """The new content, in the encoding and with the line ends that the file has."""
    if before is None:
        return text.encode()
    try:
        old = read_text(before)
    except NotText as error:
        raise FileRefused(f"{str(place.path)!r} is no text file, so it is not written") from error
    if not old.is_exact and mode == "append":
        raise FileRefused(f"the encoding of {str(place.path)!r} is not known, so nothing is added to it")
    if "\r\n" in old.text and "\n" not in old.text.replace("\r\n", ""):
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    if mode == "append":
        is_open = old.text != "" and not old.text.endswith("\n")
        text = old.text + ("\n" if is_open else "") + text
    try:
        return text.encode(old.encoding)
    except UnicodeEncodeError:
        return text.encode()


def _preview(change: Change, mode: Mode) -> Preview:
    old = [] if change.before is None else lines_of(read_text(change.before).text)
    new = lines_of(read_text(change.after).text)
    path = change.place.path
    if change.before is None:
        summary = f"Creates {path} with {_counted(len(new))}."
    elif change.before == change.after:
        summary = f"Changes nothing: {path} holds exactly this already."
    elif mode == "append":
        summary = f"Adds {_counted(len(new) - len(old))} at the end of {path}."
    else:
        summary = f"Replaces what is in {path} ({_counted(len(old))}) with {_counted(len(new))}."
    return Preview(summary, _diff(path, old, new, is_new=change.before is None))


def _counted(lines: int) -> str:
    return "1 line" if lines == 1 else f"{lines:,} lines"


def _diff(path: Path, before: list[str], after: list[str], *, is_new: bool) -> str:
    """A unified diff. One that is too long to be compared or shown is cut, and says so."""
    import difflib

    if max(len(before), len(after)) > DIFF_LINE_LIMIT:
        lines = [f"--- {path}", f"+++ {path}", *(f"+{line}" for line in after)]
    else:
        source = "/dev/null" if is_new else str(path)
        lines = list(difflib.unified_diff(before, after, source, str(path), lineterm=""))
    shown: list[str] = []
    room = DIFF_LIMIT
    for line in lines:
        if len(line) >= room:
            left_out = len(lines) - len(shown)
            return "\n".join([*shown, line[:room], f"… cut here; {_counted(left_out)} in all are not shown."])
        room -= len(line) + 1
        shown.append(line)
    if max(len(before), len(after)) > DIFF_LINE_LIMIT:
        shown.append("… the file is too long to be compared; this is all of its new content.")
    return "\n".join(shown)


def _replaced(files: GrantedFiles, change: Change) -> None:
    """Put the new content in place of the old one."""
    name = change.place.names[-1]
    with files.open_folder(change.place.parent, make=True) as folder:
        draft = _draft(folder, change.after, change.found)
        try:
            if change.found is None:
                folder.name_new(draft, name)
            else:
                _check_unchanged(folder, name, change.found)
                folder.replace(draft, name)
        except FileExistsError as error:
            _removed(folder, draft)
            raise FileRefused(f"{str(change.place.path)!r} is there already") from error
        except BaseException:
            _removed(folder, draft)
            raise
        folder.sync()


def _draft(folder: OpenFolder, content: bytes, found: os.stat_result | None) -> str:
    """A file beside the one to be replaced, on the disk, with its permissions. Returns its name."""
    name = f".deskside-{secrets.token_hex(8)}.tmp"
    descriptor = folder.create(name, 0o666 if found is None else 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if found is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & 0o777)
            os.fsync(descriptor)
    except BaseException:
        _removed(folder, name)
        raise
    return name


def _removed(folder: OpenFolder, name: str) -> None:
    with suppress(OSError):
        folder.remove(name)


def _check_unchanged(folder: OpenFolder, name: str, found: os.stat_result) -> None:
    now = folder.stat(name)
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (found.st_ino, found.st_size, found.st_mtime_ns):
        raise FileRefused(f"{str(folder.path / name)!r} was changed meanwhile; read it again")


def _brought_back(version: StoredVersion, paths: Paths) -> None:
    """Undo on the disk. The folder need not be granted any more: it is the user who asks."""
    folder = GrantedFolder(version.folder, can_write=True)
    place = Place(folder, Path(version.written.path).relative_to(version.folder).parts)
    files = GrantedFiles([folder], paths)
    now, found = _contents(files, place)
    if now is None or _digest(now) != version.after_sha256:
        raise FileRefused(f"{str(place.path)!r} was changed since")
    if version.before is not None:
        _replaced(files, Change(place, now, found, version.before))
        return
    with files.open_folder(place.parent) as open_folder:
        open_folder.remove(place.names[-1])
        open_folder.sync()


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
