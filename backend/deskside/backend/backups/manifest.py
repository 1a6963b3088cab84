"""What a backup says of itself, and which backups a folder holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
from filelock import FileLock, Timeout
from msgspec import Meta

from deskside.backend.durable import write_durably
from deskside.backend.errors import StoreBusy, StoreRefused

FORMAT: Final = "deskside-backup"
VERSION: Final = 1
FILES = "files"
# What a crash in the middle of making a backup leaves.
UNFINISHED = ".unfinished"

Kind = Literal["daily", "manual", "before_migration", "before_restore"]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
# Names become paths: none may lead out of the folder.
FileName = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(\.age)?$")]
DatabaseName = Annotated[str, Meta(pattern=r"^[\w-]{1,100}\.db(\.age)?$")]


# Nothing else in a folder is touched: it may hold other things of the user's.
_OURS = re.compile(
    rf".?(?:{'|'.join(get_args(Kind))})-\d{{8}}T\d{{6}}Z-(\d+)\.(?:db|db\.age|json)(?:{re.escape(UNFINISHED)}|\.\w+)?"
)
_ATTACHED = re.compile(r"\.?[0-9a-f]{64}(?:\.age)?(?:\.\w+)?")


class Encryption(msgspec.Struct, frozen=True):
    """For whom files are encrypted. Neither half opens anything without the passphrase."""

    recipient: Annotated[str, Meta(description="The public key, as age writes it.")]
    identity: Annotated[
        str, Meta(description="The private key, encrypted with the passphrase: an armored age file.")
    ]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A backup of Deskside."""

    format: Annotated[Literal["deskside-backup"], Meta(description="Says what the file is.")]
    version: Annotated[Literal[1], Meta(description="The version of this format.")]
    number: Annotated[int, Meta(description="Counts the backups of a folder, whatever the clock says.")]
    kind: Annotated[Kind, Meta(description="Why it was made.")]
    made_ms: Annotated[int, Meta(description="When: Unix milliseconds, UTC.")]
    program: Annotated[str, Meta(description="The version of the Deskside that made it.")]
    schema: Annotated[int, Meta(description="The version of the database's schema.")]
    database: Annotated[DatabaseName, Meta(description="The file beside this one that holds the database.")]
    size_bytes: Annotated[int, Meta(description="The size of that file.")]
    sha256: Annotated[Sha256, Meta(description="The SHA-256 of that file.")]
    tables: Annotated[dict[str, int], Meta(description="How many rows each table has.")]
    files: Annotated[list[FileName], Meta(description="The attached files, as they are named below files/.")]
    missing: Annotated[
        list[Sha256], Meta(description="SHA-256 of attached files that were not there to be backed up.")
    ] = []
    encryption: Annotated[Encryption | None, Meta(description="Present where files are encrypted.")] = None

    @property
    def name(self) -> str:
        """What the backup is called: the name of its files without their endings."""
        return self.database.partition(".")[0]


def read_manifest(path: Path) -> Manifest:
    """Raises StoreRefused where it is none, or a newer one than this program knows; OSError."""
    content = path.read_bytes()
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if _version(content) > VERSION:
            raise StoreRefused(f"{path} was made by a newer Deskside.") from error
        raise StoreRefused(
            f"{path} does not describe a backup, or is damaged.", hint="Choose another backup."
        ) from error


def _version(content: bytes) -> int:
    try:
        return msgspec.json.decode(content, type=_Versioned).version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


class _Versioned(msgspec.Struct):
    format: Literal["deskside-backup"]
    version: int


def read_folder(folder: Path) -> tuple[list[Manifest], list[Path]]:
    """The backups of a folder, the newest first, and the manifests that cannot be read."""
    found: list[Manifest] = []
    unreadable: list[Path] = []
    for path in sorted(folder.glob("*.json")):
        if not _OURS.fullmatch(path.name):
            continue
        try:
            found.append(read_manifest(path))
        except (StoreRefused, OSError):
            unreadable.append(path)
    return sorted(found, key=lambda manifest: manifest.number, reverse=True), unreadable


def next_number(folder: Path) -> int:
    """Higher than that of every backup in the folder, also of those that cannot be read."""
    found = [_OURS.fullmatch(path.name) for path in folder.iterdir()]
    return 1 + max((int(match[1]) for match in found if match), default=0)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """From here on the backup counts."""
    write_durably(folder / f"{manifest.name}.json", msgspec.json.format(msgspec.json.encode(manifest)))


def remove_backup(folder: Path, manifest: Manifest) -> None:
    """The manifest first, so that a crash leaves no backup that is half there."""
    (folder / f"{manifest.name}.json").unlink(missing_ok=True)
    (folder / manifest.database).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """What a crash left, and the attached files that no backup needs any more. Nothing that is not ours.

    While a manifest cannot be read nobody knows what it needs, and nothing of it is removed.
    """
    ours = [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]
    for path in ours:
        if path.name.endswith(UNFINISHED):
            path.unlink(missing_ok=True)
    manifests, unreadable = read_folder(folder)
    if unreadable:
        return
    known = {manifest.name for manifest in manifests}
    for path in ours:
        if path.name.partition(".")[0] not in known:
            path.unlink(missing_ok=True)
    needed = {name for manifest in manifests for name in manifest.files}
    for path in (folder / FILES).glob("??/*"):
        if _ATTACHED.fullmatch(path.name) and path.name not in needed:
            path.unlink(missing_ok=True)


def place_of(folder: Path, name: str) -> Path:
    """Where a file of this name is below `folder`, which is a store of files by their content."""
    return folder / name[:2] / name


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder, and be the only one who changes it. Raises StoreBusy while another is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / ".lock", mode=0o600, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreBusy(
            f"Another backup is being made in {folder}.", hint="Wait until it is done, then try again."
        ) from error
    try:
        yield
    finally:
        lock.release()
