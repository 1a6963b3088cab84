"""Rescue of a damaged database: what can be read becomes the database, and the damaged one is kept.

`prepare` makes the new database in the folder `rescue` and says what is in it. `confirm` marks it. The next
start that has the data folder to itself puts it in place (`apply_pending`, before the store is opened).

Invariants
  - The damaged files are moved into a folder of their own, and neither changed nor removed by us. An attached
    file that nothing in the new database refers to goes there, too.
  - A restore that waits beside a confirmed rescue was chosen after it.
  - A crash anywhere is made good by the next start: what was marked is put in place, what was not is removed.
    A -wal file of the damaged database never lies beside the new one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger
from pony.orm import OrmError

from deskside.backend.attachments.content import Contents
from deskside.backend.attachments.media import media_type_of, text_status_at_first
from deskside.backend.backups import restoring
from deskside.backend.durable import sync, sync_folder
from deskside.backend.errors import Conflict, NotFound, StoreDamaged, StoreOutdated
from deskside.backend.paths import Paths
from deskside.backend.store.salvage import Rescue, RescuedTable, salvage
from deskside.backend.store.sqlite_errors import store_error

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

CALLED = {
    "conversation": "Conversations",
    "message": "Messages",
    "message_part": "Texts and tool calls",
    "stored_file": "Attached files",
    "memory": "Memories",
    "agent": "Agents",
    "setting": "Settings",
}
MARK = "confirmed.json"
BESIDE = ("-wal", "-shm", "-journal")
SAID = "rescued.json"


class Findings(msgspec.Struct, frozen=True):
    """A rescue as it is told: a line for each kind of thing that a user knows, and one for all else."""

    lines: list[RescuedTable]
    is_whole: bool
    is_without_wal: bool

    @classmethod
    def of(cls, found: Rescue) -> Findings:
        by_name = {table.name: table for table in found.tables}
        lines = [
            msgspec.structs.replace(by_name[name], name=called)
            for name, called in CALLED.items()
            if name in by_name
        ]
        rest = [table for table in found.tables if table.name not in CALLED]
        others = RescuedTable(
            "Everything else",
            sum(table.rescued for table in rest),
            sum(table.rebuilt for table in rest),
            sum(table.lost for table in rest),
            any(table.may_be_more for table in rest),
        )
        return cls([*lines, others], found.is_whole, found.is_without_wal)


class Rescued(msgspec.Struct, frozen=True):
    """A rescue that takes effect at the next start, or has. `kept` is the folder for the damaged files,
    `kept_files` how many attached files are there then because no message that is left refers to them."""

    findings: Findings
    kept: str
    at_ms: int
    kept_files: int = 0


class Rescues:
    """The rescue of the running program's own database. Used on the backend's loop only."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self._store = store
        self._paths = paths
        self._turn = asyncio.Lock()
        self._prepared: Rescue | None = None

    async def prepare(self) -> Findings:
        """Read what can be read, and say what that is. Nothing is changed yet. Conflict where the database is
        not damaged; StoreDamaged where nothing can be read; StoreFull."""
        if self._store.damage is None or isinstance(self._store.damage, StoreOutdated):
            raise Conflict("The database is not damaged.", hint="There is nothing to rescue.")
        async with self._turn:
            self._prepared = None
            self._prepared = await asyncio.to_thread(prepare, self._paths)
            return Findings.of(self._prepared)

    async def confirm(self) -> None:
        """What was prepared takes effect at the next start. NotFound."""
        async with self._turn:
            if self._prepared is None:
                raise NotFound("Nothing is prepared to be rescued.", hint="Look at what can be read first.")
            await asyncio.to_thread(confirm, self._paths, self._prepared)

    async def done(self) -> Rescued | None:
        """The rescue that took effect last, until it was looked at."""
        return await asyncio.to_thread(_read_done, self._paths)

    async def forget(self) -> None:
        """It was looked at."""
        await asyncio.to_thread((self._paths.data / SAID).unlink, missing_ok=True)


def prepare(paths: Paths) -> Rescue:
    """Make the new database and check it. Blocks.

    Raises NotFound where there is no database, StoreDamaged where nothing of it can be read, StoreRefused,
    StoreFull, StoreReadOnly.
    """
    cancel(paths)
    with _told(paths.database):
        if not paths.database.exists():
            raise NotFound(f"There is no {paths.database}.", hint="Is it the right --data-dir?")
        paths.rescue.mkdir(mode=0o700)
        try:
            new = paths.rescue / "deskside.db"
            found = salvage(paths.database, new)
            _look_into_files(paths, new)
            _check(new)
            sync(new)
        except BaseException:
            cancel(paths)
            raise
        return found


def confirm(paths: Paths, found: Rescue) -> None:
    """From here on the next start puts in place what was prepared, and restores no backup: what was chosen
    last counts."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = _free(paths.data / f"damaged-{stamp}")
    mark = Rescued(Findings.of(found), str(kept), time.time_ns() // 1_000_000)
    with _told(paths.database):
        restoring.cancel(paths)
        _write(paths.rescue / MARK, msgspec.json.encode(mark))


def cancel(paths: Paths) -> None:
    """Forget what was prepared, or confirmed and not yet put in place."""
    (paths.rescue / MARK).unlink(missing_ok=True)
    shutil.rmtree(paths.rescue, ignore_errors=True)


def apply_pending(paths: Paths) -> Rescued | None:
    """Put what was confirmed in place, or remove what was only prepared. None where there was nothing
    confirmed. Call it with the data folder to oneself. Raises OSError as it comes; then it goes on with the
    next call."""
    if not paths.rescue.exists():
        return None
    if not (paths.rescue / MARK).exists():
        cancel(paths)
        return None
    confirmed = msgspec.json.decode((paths.rescue / MARK).read_bytes(), type=Rescued)
    kept = Path(confirmed.kept)
    new = paths.rescue / "deskside.db"
    if new.exists():  # else it is in its place already, and then came a crash
        kept.mkdir(mode=0o700, exist_ok=True)
        for end in (*BESIDE, ""):
            _move(paths.database.with_name(paths.database.name + end), kept)
        sync_folder(kept)
        os.replace(new, paths.database)
        sync_folder(paths.data)
    files = _keep_unknown_files(paths, kept / "files")
    rescued = msgspec.structs.replace(confirmed, kept_files=files)
    _write(paths.data / SAID, msgspec.json.encode(rescued))
    logger.warning("the damaged database was replaced by what could be read of it; it is in {}", kept.name)
    cancel(paths)
    return rescued


def _move(file: Path, folder: Path) -> None:
    if file.exists():
        os.replace(file, folder / file.name)


def _look_into_files(paths: Paths, new: Path) -> None:
    """Of a file that is known by its hash alone, what it is itself says. One that is gone stays as it is."""
    contents = Contents(paths.files)
    with closing(sqlite3.connect(new)) as connection:
        found = connection.execute("select id, sha256 from stored_file where size_bytes = 0").fetchall()
        for id, sha256 in found:
            path = contents.path_of(sha256)
            if path.is_file():
                media_type = media_type_of(path)
                connection.execute(
                    "update stored_file set size_bytes = ?, media_type = ?, text_status = ? where id = ?",
                    (path.stat().st_size, media_type, text_status_at_first(media_type), id),
                )
        connection.commit()


def _keep_unknown_files(paths: Paths, folder: Path) -> int:
    """Attached files whose row is lost would be taken for left over, and removed."""
    contents = Contents(paths.files)
    referred_to = "select sha256 from stored_file where id in (select file from attachment)"
    with closing(sqlite3.connect(paths.database)) as connection:
        known = {sha256 for (sha256,) in connection.execute(referred_to)}
    unknown = [sha256 for sha256 in contents.all() if sha256 not in known]
    for sha256 in unknown:
        folder.mkdir(mode=0o700, exist_ok=True)
        _move(contents.path_of(sha256), folder)
    return len(unknown)


def _check(new: Path) -> None:
    """What takes the place of the data is sound itself."""
    with closing(sqlite3.connect(new)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
    if found != "ok" or dangling is not None:
        raise StoreDamaged(f"What was read does not hang together ({found}).")


def _read_done(paths: Paths) -> Rescued | None:
    file = paths.data / SAID
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Rescued)
    except (OSError, msgspec.DecodeError) as error:
        logger.warning("{} cannot be read: {}", SAID, type(error).__name__)
        return None


def _free(folder: Path) -> Path:
    """The folder itself, or the first of "…-2", "…-3" … that is not there."""
    free, number = folder, 1
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


@contextmanager
def _told(database: Path) -> Iterator[None]:
    """What SQLite and the disk say, as the user would put it."""
    try:
        yield
    except (sqlite3.Error, OrmError, OSError) as error:
        told = store_error(error, database)
        if told is None:
            raise
        raise told from error


def _write(file: Path, content: bytes) -> None:
    draft = file.with_suffix(".new")
    draft.write_bytes(content)
    sync(draft)
    os.replace(draft, file)
    sync_folder(file.parent)
