"""Restoring a backup: prepared beside the data, looked at, and put in its place while nobody has it open.

`prepare` makes the new database in the folder `restore`, checked and brought to this program's schema, and
says what it would change. `confirm` marks it. The next start that has the data folder to itself backs up what
is there and then puts the new database in its place (`apply_pending`, before the store is opened).

Invariants
  - Until the one rename in `_replace` the old database is in place and whole, from then on the new one.
    Attached files only come along before it: one that nothing refers to does no harm.
  - A crash anywhere is made good by the next start: what was marked is applied, what was not is removed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec
from loguru import logger

from deskside.backend.backups import attached, encryption, manifest, snapshot
from deskside.backend.backups.comparing import Comparison, compare
from deskside.backend.backups.encryption import Opened, file_name
from deskside.backend.backups.making import SPARE_BYTES, make_backup
from deskside.backend.backups.manifest import Manifest, read_manifest
from deskside.backend.backups.progress import Report, quiet
from deskside.backend.durable import make_private, sync, sync_folder, write_durably
from deskside.backend.errors import AppError, InvalidRequest, NotFound, StoreDamaged, StoreFull, StoreRefused
from deskside.backend.paths import Paths
from deskside.backend.store.migrate import migrate
from deskside.backend.store.schema import APPLICATION_ID, read_migrations
from deskside.backend.store.sqlite_errors import store_error
from deskside.backend.store.text import now_ms

MARK = "confirmed.json"
BESIDE = ("-wal", "-shm", "-journal")


class Preview(msgspec.Struct, frozen=True):
    """A backup that was prepared, and what restoring it would change. `made_ms` and `kind` are None for a
    database without a manifest. `missing_files` counts attached files that are neither here nor there."""

    source: str
    made_ms: int | None
    kind: str | None
    schema: int
    newest_schema: int
    size_bytes: int
    missing_files: int
    comparison: Comparison


class Applied(msgspec.Struct, frozen=True):
    """What became of a restore at a start. `replaced` is the backup of what was there."""

    outcome: Literal["restored", "failed"]
    message: str
    replaced: str = ""


class PassphraseWanted(InvalidRequest):
    code = "passphrase_wanted"
    default_hint = "Give the passphrase that it was encrypted with."


class _Confirmed(msgspec.Struct, frozen=True):
    source: str
    at_ms: int


def prepare(paths: Paths, source: Path, passphrase: str | None = None, report: Report = quiet) -> Preview:
    """Prepare the backup `source`: a manifest, or a database of Deskside's by itself. Blocks; writes only
    into the folder `restore`, whose former content goes.

    Raises NotFound, WrongPassphrase, PassphraseWanted, StoreDamaged, StoreRefused for a newer schema or
    another program's file, StoreFull, Cancelled, sqlite3.Error, OSError. After each the folder is gone.
    """
    cancel(paths)
    paths.restore.mkdir(parents=True, mode=0o700)
    try:
        return _prepare(paths, source, passphrase, report)
    except BaseException:
        cancel(paths)
        raise


def confirm(paths: Paths, source: str) -> None:
    """From here on the next start restores what was prepared. NotFound where nothing is."""
    if not (paths.restore / "deskside.db").exists():
        raise NotFound("Nothing is prepared to be restored.", hint="Choose a backup again.")
    mark = msgspec.json.encode(_Confirmed(source, now_ms()))
    write_durably(paths.restore / MARK, mark)


def is_pending(paths: Paths) -> bool:
    """A restore was confirmed and waits for the next start."""
    return (paths.restore / MARK).exists()


def cancel(paths: Paths) -> None:
    """Forget what was prepared, or confirmed and not yet applied."""
    (paths.restore / MARK).unlink(missing_ok=True)
    shutil.rmtree(paths.restore, ignore_errors=True)


def apply_pending(paths: Paths) -> Applied | None:
    """Put what was confirmed in the place of the data, or remove what was only prepared. None where there was
    nothing confirmed.

    Call it with the data folder to oneself. Raises nothing that the disk or SQLite says: then the old data
    stay, and `Applied` says so.
    """
    if not paths.restore.exists():
        return None
    if not is_pending(paths):
        cancel(paths)
        return None
    try:
        applied = _apply(paths)
    except (AppError, sqlite3.Error, OSError) as error:
        logger.opt(exception=error).error("a backup could not be restored")
        told = store_error(error, paths.database)
        reason = told.message if told is not None else str(error)
        applied = Applied("failed", f"The backup was not restored, and your data are as they were. {reason}")
    cancel(paths)
    return applied


def _prepare(paths: Paths, source: Path, passphrase: str | None, report: Report) -> Preview:
    described, database = _found(source)
    if described is not None and described.schema > len(read_migrations()):
        raise StoreRefused(f"{source.name} was made by a newer Deskside: its schema is {described.schema}.")
    if shutil.disk_usage(paths.restore).free < 2 * database.stat().st_size + SPARE_BYTES:
        raise StoreFull(f"There is not enough space on the disk that holds {paths.data} to restore a backup.")
    opened = _opened(described, passphrase)
    copy = paths.restore / "deskside.db"
    _bring(database, copy, described, opened, report)
    schema = _check(copy, described, source.name, report)
    report("updating", 0.0)
    migrate(copy, None)
    with closing(snapshot.connect(copy, "rw")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        wanted = attached.attached_files(connection)
    sync(copy)
    missing = _bring_files(paths, wanted, database.with_name(manifest.FILES), opened, report)
    report("comparing", 0.0)
    return Preview(
        source=str(source),
        made_ms=described.made_ms if described else None,
        kind=described.kind if described else None,
        schema=schema,
        newest_schema=len(read_migrations()),
        size_bytes=copy.stat().st_size,
        missing_files=missing,
        comparison=compare(copy, paths.database),
    )


def _found(source: Path) -> tuple[Manifest | None, Path]:
    """The manifest, where there is one, and the database; `source` names either."""
    if not source.is_file():
        raise NotFound(f"There is no file {source}.", hint="Name a backup's .json or .db file.")
    if source.suffix == ".json":
        described = read_manifest(source)
        database = source.with_name(described.database)
        if not database.is_file():
            raise NotFound(
                f"{database}, which belongs to the backup, is gone.", hint="Choose another backup."
            )
        return described, database
    beside = source.with_name(f"{source.name.partition('.')[0]}.json")
    if beside.is_file():
        described = read_manifest(beside)
        if described.database == source.name:
            return described, source
    if source.suffix == ".age":
        raise NotFound(
            f"The key of {source} is in {beside.name}, which is gone.", hint="Put it beside it again."
        )
    return None, source


def _opened(described: Manifest | None, passphrase: str | None) -> Opened | None:
    if described is None or described.encryption is None:
        return None
    if not passphrase:
        raise PassphraseWanted("This backup is encrypted.")
    return encryption.open_identity(described.encryption, passphrase)


def _bring(
    database: Path, copy: Path, described: Manifest | None, opened: Opened | None, report: Report
) -> None:
    if described is not None and snapshot.digest_of(database, report) != described.sha256:
        raise StoreDamaged(
            f"{database.name} is damaged: it is not what was written when the backup was made.",
            hint="Choose another backup.",
        )
    if opened is not None:
        encryption.decrypt(database, copy, opened, report)
        return
    make_private(copy)
    if described is not None:
        report("copying", 0.0)
        shutil.copyfile(database, copy)
        return
    # A database by itself may be one that somebody has open, with a -wal beside it.
    with closing(snapshot.connect(database, "ro")) as source, closing(snapshot.connect(copy, "rw")) as target:
        source.backup(target, pages=snapshot.PAGES_A_STEP, progress=lambda *_: report("copying", 0.0))
        target.execute("PRAGMA journal_mode = DELETE")


def _check(copy: Path, described: Manifest | None, name: str, report: Report) -> int:
    """The schema of the copy. Raises StoreDamaged, StoreRefused."""
    facts = snapshot.check(copy, None, report, name=name)
    with closing(snapshot.connect(copy, "ro")) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise StoreRefused(f"{name} is not a database of Deskside.", hint="Choose another file.")
    if facts.schema > len(read_migrations()):
        raise StoreRefused(f"{name} was made by a newer Deskside: its schema is {facts.schema}.")
    if described is not None and (facts.tables != described.tables or facts.schema != described.schema):
        raise StoreDamaged(f"{name} is not what its manifest says.", hint="Choose another backup.")
    return facts.schema


def _bring_files(paths: Paths, wanted: list[str], backup: Path, opened: Opened | None, report: Report) -> int:
    """Have the attached files that are not here yet in the folder `restore`. How many are nowhere."""
    missing = 0
    for number, sha256 in enumerate(wanted):
        report("files", number / len(wanted))
        if manifest.place_of(paths.files, sha256).exists():
            continue
        place = manifest.place_of(paths.restore / manifest.FILES, sha256)
        if not _bring_file(backup, place, sha256, opened):
            missing += 1
    return missing


def _bring_file(backup: Path, place: Path, sha256: str, opened: Opened | None) -> bool:
    if opened is None:
        return attached.add_file(manifest.place_of(backup, sha256), place, sha256)
    closed = manifest.place_of(backup, file_name(opened.name_key, sha256))
    if not closed.is_file():
        return False
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        is_whole = encryption.decrypt(closed, place, opened) == sha256
    except StoreDamaged:
        is_whole = False
    if not is_whole:
        place.unlink()
        return False
    sync(place)
    return True


def _apply(paths: Paths) -> Applied:
    new = paths.restore / "deskside.db"
    confirmed = msgspec.json.decode((paths.restore / MARK).read_bytes(), type=_Confirmed)
    replaced = ""
    if new.exists():  # otherwise it was put in place, and then came a crash
        replaced = _set_aside(paths)
        for file in (paths.restore / manifest.FILES).glob("??/*"):
            place = manifest.place_of(paths.files, file.name)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.replace(file, place)
            sync_folder(place.parent)
        _replace(new, paths.database)
    logger.info("a backup was restored")
    message = f"The backup {Path(confirmed.source).stem} was restored."
    if replaced:
        message += f" What was there before is among the backups, as {replaced}."
    return Applied("restored", message, replaced)


def _set_aside(paths: Paths) -> str:
    """Back up what is there; where it is damaged, keep its files as they are. Then nothing of it is left but
    the one file. Returns the name of what was kept."""
    if not paths.database.exists():
        return ""
    try:
        name = make_backup(paths.database, paths.backups, "before_restore").name
        with closing(snapshot.connect(paths.database, "rw")) as connection:
            # A -wal or a journal that stayed would be taken for one of the new file.
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
            if mode != "delete":
                raise StoreDamaged(f"{paths.database} is in use.")
    except (StoreDamaged, sqlite3.DatabaseError) as error:
        told = store_error(error, paths.database)
        if not isinstance(told, StoreDamaged):
            raise
        name = _keep_damaged(paths)
    return name


def _keep_damaged(paths: Paths) -> str:
    folder = paths.backups / f"damaged-{now_ms()}"
    folder.mkdir(parents=True, mode=0o700)
    for end in ("", *BESIDE):
        file = paths.database.with_name(paths.database.name + end)
        if file.exists():
            shutil.copyfile(file, folder / file.name)
            sync(folder / file.name)
    sync_folder(folder)
    for end in BESIDE:
        paths.database.with_name(paths.database.name + end).unlink(missing_ok=True)
    return folder.name


def _replace(new: Path, database: Path) -> None:
    sync(new)
    os.replace(new, database)
    sync_folder(database.parent)
