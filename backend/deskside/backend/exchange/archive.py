"""A file that was chosen for an import: JSON by itself, or a zip with JSON and other files in it.

Nothing of a zip is unpacked to the disk under its own names: members are read as streams, by name. What it
says of its sizes is held to; a member that would grow out of all proportion is refused before it is read.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from deskside.backend.errors import InvalidRequest

LARGEST_JSON_BYTES = 8_000_000_000
MOST_MEMBERS = 500_000
# Text shrinks to a tenth, seldom to a fiftieth.
BOMB_RATIO = 200
BOMB_BYTES = 20_000_000

# `conversations.json`, and the numbered pieces that long exports come in.
_conversations = re.compile(r"conversations(?:-\d{1,6})?\.json", re.IGNORECASE)
_asset_id = re.compile(r"[A-Za-z0-9_-]{6,80}")


class Archive:
    """An open file. Use `open_archive`."""

    def __init__(self, path: Path, zipped: zipfile.ZipFile | None) -> None:
        self.path = path
        self._zip = zipped
        self._members = [] if zipped is None else [each for each in zipped.infolist() if not each.is_dir()]
        self._assets: dict[str, zipfile.ZipInfo] | None = None
        if len(self._members) > MOST_MEMBERS:
            raise InvalidRequest(f"The zip holds more than {MOST_MEMBERS:,} files.", hint="It is not read.")

    @property
    def is_zip(self) -> bool:
        return self._zip is not None

    @property
    def documents(self) -> list[str]:
        """The names of the JSON files with conversations; the path's own where there is no zip. Raises
        InvalidRequest where a zip has none."""
        if self._zip is None:
            return [self.path.name]
        names = [
            each.filename
            for each in self._members
            if _conversations.fullmatch(PurePosixPath(each.filename).name)
        ]
        if not names:
            json_names = [each.filename for each in self._members if each.filename.lower().endswith(".json")]
            names = json_names if len(json_names) == 1 else []
        if not names:
            raise InvalidRequest(
                "There is no conversations.json in this zip.",
                hint="Choose the zip as you got it from the export.",
            )
        return sorted(names)

    def size(self, name: str) -> int:
        """Bytes of a document."""
        return self.path.stat().st_size if self._zip is None else self._zip.getinfo(name).file_size

    @contextmanager
    def document(self, name: str) -> Iterator[BinaryIO]:
        """Read a document. Raises InvalidRequest where it is too large, or a trap."""
        if self.size(name) > LARGEST_JSON_BYTES:
            raise InvalidRequest(
                f"The file is larger than {LARGEST_JSON_BYTES // 10**9} GB.", hint="Export it in parts."
            )
        if self._zip is None:
            with self.path.open("rb") as file:
                yield file
            return
        with self.open(self._zip.getinfo(name)) as member:
            yield member

    def open(self, member: zipfile.ZipInfo) -> BinaryIO:
        """Read a member. Raises InvalidRequest for one that is encrypted, or a trap."""
        assert self._zip is not None
        if member.flag_bits & 1:
            raise InvalidRequest("The zip is encrypted.", hint="Unpack it, and choose the file in it.")
        if member.file_size > BOMB_BYTES and member.file_size > BOMB_RATIO * max(member.compress_size, 1):
            raise InvalidRequest(
                f"“{PurePosixPath(member.filename).name}” in the zip would become more than {BOMB_RATIO} "
                "times as large as it is. It is not read.",
                hint="Unpack it yourself if you trust it, and choose the file in it.",
            )
        return cast(BinaryIO, self._zip.open(member))

    def asset(self, asset_id: str) -> zipfile.ZipInfo | None:
        """The member whose name is this id, or begins with it, an ending or a name of its own behind it."""
        if self._zip is None or not _asset_id.fullmatch(asset_id):
            return None
        if self._assets is None:
            self._assets = {}
            for member in self._members:
                stem = PurePosixPath(member.filename).name.partition(".")[0]
                while stem:
                    self._assets.setdefault(stem, member)
                    stem = stem.rpartition("-")[0]
        return self._assets.get(asset_id)

    def stored(self, sha256: str) -> zipfile.ZipInfo | None:
        """The member that our own export has put under its hash."""
        if self._zip is None:
            return None
        try:
            return self._zip.getinfo(f"files/{sha256}")
        except KeyError:
            return None


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a file. Raises InvalidRequest where that cannot be."""
    try:
        if not path.is_file():
            raise InvalidRequest(f"There is no file {path}.", hint="Choose another one.")
        with path.open("rb") as file:
            begin = file.read(4)
        if begin[:2] != b"PK":
            kind = _other_kind(begin)
            if kind:
                raise InvalidRequest(
                    f"This is {kind}, not a file of conversations.", hint="Choose a .json or .zip."
                )
            yield Archive(path, None)
            return
        with zipfile.ZipFile(path) as zipped:
            yield Archive(path, zipped)
    except OSError as error:
        raise InvalidRequest(
            f"The file could not be read: {error.strerror or error}.", hint="Choose another one."
        ) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise InvalidRequest("The zip is broken.", hint="Download it again.") from error


def _other_kind(begin: bytes) -> Literal["", "a PDF", "a gzip archive", "a database", "UTF-16 text"]:
    if begin.startswith(b"%PDF"):
        return "a PDF"
    if begin.startswith(b"\x1f\x8b"):
        return "a gzip archive"
    if begin.startswith(b"SQLi"):
        return "a database"
    return "UTF-16 text" if begin[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
