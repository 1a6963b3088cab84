"""Making a backup: copy, check, add the attached files, encrypt, and only then let it count."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deskside.backend.backups import attached, encryption, manifest, retention, snapshot
from deskside.backend.backups.encryption import Encrypting
from deskside.backend.backups.manifest import FORMAT, UNFINISHED, VERSION, Kind, Manifest
from deskside.backend.backups.progress import Report, quiet
from deskside.backend.durable import make_private, sync, sync_folder
from deskside.backend.errors import StoreFull
from deskside.backend.store.sqlite_errors import store_error
from deskside.backend.store.text import now_ms
from deskside.backend.version import VERSION as PROGRAM

# The name of the setting that says how backups are encrypted; without it they are not.
SETTING = "backup_encryption"
# What must stay free for the database to go on writing.
SPARE_BYTES = 50_000_000


def make_backup(
    database: Path,
    folder: Path,
    kind: Kind,
    *,
    encrypting: Encrypting | None = None,
    report: Report = quiet,
) -> Manifest:
    """Back up a database and the files beside it into `folder`, then remove what need not be kept there.

    It is encrypted as `encrypting` says, else as the settings in the database do. Blocks: 1 GB takes about
    10 s, and as much space for a while as the database, twice when it is encrypted. However this ends, the
    backups that were there before are there, and nothing half.

    Raises StoreDamaged when the copy does not pass its checks, StoreFull, StoreBusy while another backup is
    made there, Cancelled, sqlite3.Error, OSError.
    """
    with manifest.held(folder):
        manifest.remove_leftovers(folder)
        encrypting = encrypting or stored_encryption(database)
        _check_space(database, folder, is_encrypted=encrypting is not None)
        number = manifest.next_number(folder)
        made_ms = now_ms()
        name = f"{kind}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(made_ms / 1000))}-{number}"
        try:
            made = _make(database, folder, _Plan(name, kind, number, made_ms, encrypting), report)
        except BaseException as error:
            manifest.remove_leftovers(folder)
            told = store_error(error, folder)
            if isinstance(told, StoreFull):  # the folder's disk, which need not be the data's
                raise told from error
            raise
        _remove_old(folder)
        return made


def stored_encryption(database: Path) -> Encrypting | None:
    """How backups of this database are to be encrypted. Raises sqlite3.Error."""
    with closing(snapshot.connect(database, "ro")) as connection:
        if connection.execute("select 1 from sqlite_master where name = 'setting'").fetchone() is None:
            return None
        row = connection.execute("select value from setting where name = ?", (SETTING,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=Encrypting | None)


@dataclass(frozen=True)
class _Plan:
    name: str
    kind: Kind
    number: int
    made_ms: int
    encrypting: Encrypting | None


def _make(database: Path, folder: Path, plan: _Plan, report: Report) -> Manifest:
    copy = folder / f"{plan.name}.db{UNFINISHED}"
    make_private(copy)
    # What is backed up while a start waits for it goes without what can be made anew.
    checks_search = plan.kind in ("daily", "manual")
    facts = snapshot.copy_checked(database, copy, report, checks_search=checks_search)
    sync(copy)
    with closing(snapshot.connect(copy, "ro")) as connection:
        wanted = attached.attached_files(connection)
    files = attached.add_files(
        wanted, database.with_name(manifest.FILES), folder / manifest.FILES, plan.encrypting, report
    )
    final = folder / f"{plan.name}.db"
    if plan.encrypting is not None:
        final = folder / f"{plan.name}.db.age"
        closed = folder / f"{plan.name}.db.age{UNFINISHED}"
        encryption.encrypt(copy, closed, plan.encrypting, report)
        copy.unlink()
        copy = closed
    sha256 = snapshot.digest_of(copy, report)
    os.replace(copy, final)
    sync_folder(folder)
    made = Manifest(
        format=FORMAT,
        version=VERSION,
        number=plan.number,
        kind=plan.kind,
        made_ms=plan.made_ms,
        program=PROGRAM,
        schema=facts.schema,
        database=final.name,
        size_bytes=final.stat().st_size,
        sha256=sha256,
        tables=facts.tables,
        files=files.names,
        missing=files.missing,
        encryption=None if plan.encrypting is None else plan.encrypting.told,
    )
    manifest.write_manifest(folder, made)
    return made


def _remove_old(folder: Path) -> None:
    backups, _ = manifest.read_folder(folder)
    staying = retention.kept(backups)
    for backup in backups:
        if backup.number not in staying:
            manifest.remove_backup(folder, backup)
    manifest.remove_leftovers(folder)


def _check_space(database: Path, folder: Path, *, is_encrypted: bool) -> None:
    size = snapshot.size_of(database)
    needed = (2 if is_encrypted else 1) * size + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreFull(
            f"A backup needs {needed / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free.",
            hint="Free some disk space, then try again.",
        )
