"""What the assistant wrote into files, and what was in them before."""

from __future__ import annotations

import zlib

import msgspec

from deskside.backend.errors import NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, storable

# What the earlier contents may take, compressed; then those of the oldest go.
KEPT_BYTES = 100_000_000
KEPT_CONTENTS = 1_000
# Rows say only that something was written.
KEPT_ROWS = 10_000
PAGE = 200


class NewVersion(msgspec.Struct, frozen=True):
    """A file that is about to be written. `folder` is the granted one; `before` None is no file."""

    path: str
    folder: str
    conversation_id: int
    message_id: int
    call_id: str
    before: bytes | None
    after_bytes: int
    after_sha256: str


class WrittenFile(msgspec.Struct, frozen=True):
    """A file that was written by the call `call_id` of a reply. `existed` says that it was there before;
    `can_undo` that its earlier content is still kept and was not brought back yet."""

    id: int
    path: str
    conversation_id: int | None
    message_id: int | None
    call_id: str
    existed: bool
    before_bytes: int
    after_bytes: int
    created_ms: int
    undone_ms: int | None
    can_undo: bool


class StoredVersion(msgspec.Struct, frozen=True):
    """What undoing needs."""

    written: WrittenFile
    folder: str
    before: bytes | None
    after_sha256: str


COLUMNS = (
    "id, path, conversation, message, call_id, existed, before_bytes, after_bytes, created_ms, undone_ms, "
    "undone_ms is null and (existed = 0 or before is not null)"
)


def keep(db: Db, new: NewVersion) -> int:
    """Keep what a file holds before it is written; the id to undo it with."""
    cursor = db.sql.execute(
        "insert into file_version (path, folder, conversation, message, call_id, before, existed, "
        "before_bytes, after_bytes, after_sha256, created_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            storable(new.path),
            storable(new.folder),
            new.conversation_id,
            new.message_id,
            new.call_id,
            None if new.before is None else zlib.compress(new.before),
            new.before is not None,
            len(new.before or b""),
            new.after_bytes,
            new.after_sha256,
            now_ms(),
        ),
    )
    _drop_oldest(db)
    return cursor.lastrowid or 0


def forget(db: Db, version_id: int) -> None:
    """It was not written after all."""
    db.sql.execute("delete from file_version where id = ?", (version_id,))


def get(db: Db, version_id: int) -> StoredVersion:
    """NotFound if there is none."""
    row = db.sql.execute(
        f"select {COLUMNS}, folder, before, after_sha256 from file_version where id = ?", (version_id,)
    ).fetchone()
    if row is None:
        raise NotFound("What was in this file before is no longer known.", hint="It cannot be undone.")
    *written, folder, before, after_sha256 = row
    return StoredVersion(
        _row(*written), folder, None if before is None else zlib.decompress(before), after_sha256
    )


def mark_undone(db: Db, version_id: int) -> WrittenFile:
    """Its earlier content is in the file again, and need not be kept here any longer."""
    db.sql.execute(
        "update file_version set undone_ms = ?, before = null where id = ?", (now_ms(), version_id)
    )
    return get(db, version_id).written


def written(db: Db, message_id: int | None) -> list[WrittenFile]:
    """The files that one reply wrote, or the last that any did, newest first."""
    rows = db.sql.execute(
        f"select {COLUMNS} from file_version where ? is null or message = ? order by id desc limit ?",
        (message_id, message_id, PAGE),
    )
    return [_row(*row) for row in rows]


def _row(
    id: int,
    path: str,
    conversation_id: int | None,
    message_id: int | None,
    call_id: str,
    existed: int,
    before_bytes: int,
    after_bytes: int,
    created_ms: int,
    undone_ms: int | None,
    can_undo: int,
) -> WrittenFile:
    return WrittenFile(
        id,
        path,
        conversation_id,
        message_id,
        call_id,
        bool(existed),
        before_bytes,
        after_bytes,
        created_ms,
        undone_ms,
        bool(can_undo),
    )


def _drop_oldest(db: Db) -> None:
    db.sql.execute(
        "delete from file_version where id <= (select max(id) from file_version) - ?", (KEPT_ROWS,)
    )
    db.sql.execute(
        "update file_version set before = null where id in (select id from ("
        "  select id, sum(length(before)) over (order by id desc) as size,"
        "    row_number() over (order by id desc) as place from file_version where before is not null"
        ") where size > ? or place > ?)",
        (KEPT_BYTES, KEPT_CONTENTS),
    )
