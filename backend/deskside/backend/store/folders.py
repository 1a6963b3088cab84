"""The folders that the user sorts conversations into."""

from __future__ import annotations

import msgspec

from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, plain_title


class FolderRow(msgspec.Struct, frozen=True):
    """`conversations` counts those that are neither in the archive nor in the trash."""

    id: int
    name: str
    conversations: int


SELECT = (
    "select id, name, (select count(*) from conversation where conversation.folder = folder.id "
    "and deleted_ms is null and archived_ms is null) from folder "
)


def all_folders(db: Db) -> list[FolderRow]:
    """All folders, in the order that the user gave them."""
    return [FolderRow(*row) for row in db.sql.execute(f"{SELECT} order by position, id").fetchall()]


def add(db: Db, name: str) -> FolderRow:
    """Make a folder, behind the others. Conflict where there is one with this name."""
    name = plain_title(name)
    _check_free(db, name)
    folder = db.sql.execute(
        "insert into folder (name, position, created_ms) "
        "select ?, ifnull(max(position), 0) + 1, ? from folder",
        (name, now_ms()),
    ).lastrowid
    assert folder is not None
    return _get(db, folder)


def rename(db: Db, folder_id: int, name: str) -> FolderRow:
    """Conflict where another folder has this name, NotFound where there is no such folder."""
    name = plain_title(name)
    if _get(db, folder_id).name != name:
        _check_free(db, name)
        db.sql.execute("update folder set name = ? where id = ?", (name, folder_id))
    return _get(db, folder_id)


def move(db: Db, folder_id: int, to: int) -> list[FolderRow]:
    """Put a folder at place `to` of the list, which counts from 0. Returns the list."""
    _get(db, folder_id)
    ids = [folder.id for folder in all_folders(db) if folder.id != folder_id]
    ids.insert(to, folder_id)
    db.sql.executemany("update folder set position = ? where id = ?", list(enumerate(ids)))
    return all_folders(db)


def delete(db: Db, folder_id: int) -> list[int]:
    """Remove a folder. Its conversations stay, in no folder; returns the ids of those that are not in the
    trash."""
    _get(db, folder_id)
    ids = db.sql.execute(
        "select id from conversation where folder = ? and deleted_ms is null", (folder_id,)
    ).fetchall()
    db.sql.execute("delete from folder where id = ?", (folder_id,))
    return [row[0] for row in ids]


def _get(db: Db, folder_id: int) -> FolderRow:
    row = db.sql.execute(f"{SELECT} where id = ?", (folder_id,)).fetchone()
    if row is None:
        raise NotFound(f"folder {folder_id} was deleted")
    return FolderRow(*row)


def _check_free(db: Db, name: str) -> None:
    if db.sql.execute("select 1 from folder where name = ?", (name,)).fetchone() is not None:
        raise Conflict(f"There is a folder with the name {name!r} already.", hint="Choose another name.")
