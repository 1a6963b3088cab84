"""Attachments: which file is put to which question, or to a draft.

A file (`stored_file`) is known once however often it is attached. It stays as long as an attachment refers to
it; `take_unreferenced` says which do not any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import UserFile
from deskside.backend.errors import NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, storable

TextStatus = Literal["none", "waiting", "ready", "failed"]


class AttachmentRow(msgspec.Struct, frozen=True):
    """A file that is put to a question. `text_status` says whether there is text for models that do not take
    the file itself; `text_error` why there is none, `hidden_characters` how many invisible ones in it are
    kept from models."""

    id: int
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    text_status: TextStatus
    text_error: str = ""
    hidden_characters: int = 0


class AttachmentText(msgspec.Struct, frozen=True):
    """A piece of a text. `next` is where the next one begins; None behind the last."""

    text: str
    next: int | None = None


class StoredFile(msgspec.Struct, frozen=True):
    """One file, whoever refers to it."""

    id: int
    sha256: str
    media_type: str
    text_status: TextStatus


SELECT = (
    "select attachment.id, name, media_type, size_bytes, sha256, text_status, text_error, hidden_characters "
    "from attachment join stored_file on stored_file.id = attachment.file "
)


def put_file(db: Db, sha256: str, size_bytes: int, media_type: str, text_status: TextStatus) -> StoredFile:
    """Know a file. One that is known already keeps its text."""
    db.sql.execute(
        "insert into stored_file (sha256, size_bytes, media_type, text_status, created_ms) "
        "values (?, ?, ?, ?, ?) on conflict do nothing",
        (sha256, size_bytes, media_type, text_status, now_ms()),
    )
    row = db.sql.execute(
        "select id, sha256, media_type, text_status from stored_file where sha256 = ?", (sha256,)
    ).fetchone()
    return StoredFile(*row)


def set_text(db: Db, file_id: int, text: str | None, error: str = "", hidden_characters: int = 0) -> None:
    """Keep what was read out of a file, or why that could not be done."""
    status = "failed" if text is None else "ready"
    db.sql.execute(
        "update stored_file set text = ?, text_status = ?, text_error = ?, hidden_characters = ? "
        "where id = ?",
        (None if text is None else storable(text), status, error, hidden_characters, file_id),
    )


def waiting_for_text(db: Db) -> list[StoredFile]:
    """The files that were not read yet, because the program ended."""
    rows = db.sql.execute(
        "select id, sha256, media_type, text_status from stored_file "
        "where text_status = 'waiting' order by id"
    )
    return [StoredFile(*row) for row in rows.fetchall()]


def text_of(db: Db, attachment_id: int) -> str | None:
    """What was read out of an attachment; None where there is nothing (yet). NotFound."""
    row = db.sql.execute(
        "select text from attachment join stored_file on stored_file.id = attachment.file "
        "where attachment.id = ?",
        (attachment_id,),
    ).fetchone()
    if row is None:
        raise not_found(attachment_id)
    return None if row[0] is None else str(row[0])


def text_from(db: Db, attachment_id: int, start: int, limit: int) -> AttachmentText:
    """A piece of what was read out of an attachment; the empty one where there is nothing (yet). NotFound."""
    row = db.sql.execute(
        "select substr(text, ?2 + 1, ?3), length(text) "
        "from attachment join stored_file on stored_file.id = attachment.file where attachment.id = ?1",
        (attachment_id, start, limit),
    ).fetchone()
    if row is None:
        raise not_found(attachment_id)
    text, length = row[0] or "", row[1] or 0
    end = start + len(text)
    return AttachmentText(text, end if text and end < length else None)


def attach_to_draft(db: Db, conversation_id: int | None, name: str, file_id: int) -> AttachmentRow:
    """Put a file to what is being typed in a conversation; None is the one that does not exist yet."""
    attachment = db.sql.execute(
        "insert into attachment (conversation, position, name, file, created_ms) "
        "select ?1, ifnull(max(position), -1) + 1, ?2, ?3, ?4 from attachment "
        "where message is null and conversation is ?1",
        (conversation_id, storable(name), file_id, now_ms()),
    ).lastrowid
    assert attachment is not None
    return get(db, attachment)


def get(db: Db, attachment_id: int) -> AttachmentRow:
    """NotFound."""
    row = db.sql.execute(f"{SELECT} where attachment.id = ?", (attachment_id,)).fetchone()
    if row is None:
        raise not_found(attachment_id)
    return AttachmentRow(*row)


def of_file(db: Db, file_id: int) -> list[AttachmentRow]:
    """All attachments of one file."""
    rows = db.sql.execute(f"{SELECT} where file = ? order by attachment.id", (file_id,))
    return [AttachmentRow(*row) for row in rows.fetchall()]


def of_draft(db: Db, conversation_id: int | None) -> list[AttachmentRow]:
    """What is put to what is being typed, in order."""
    rows = db.sql.execute(
        f"{SELECT} where message is null and conversation is ? order by position", (conversation_id,)
    )
    return [AttachmentRow(*row) for row in rows.fetchall()]


def of_messages(db: Db, message_ids: Iterable[int]) -> dict[int, list[AttachmentRow]]:
    """Per message what was put to it, in order. Messages without attachments are left out."""
    found: dict[int, list[AttachmentRow]] = {}
    ids = msgspec.json.encode(list(message_ids)).decode()
    rows: Iterable[tuple[Any, ...]] = db.sql.execute(
        f"{SELECT.replace('select ', 'select message, ', 1)} "
        "where message in (select value from json_each(?)) order by message, position",
        (ids,),
    )
    for message, *columns in rows:
        found.setdefault(message, []).append(AttachmentRow(*columns))
    return found


def as_read(db: Db, message_ids: Iterable[int]) -> dict[int, list[UserFile]]:
    """Per message what was put to it, as a history holds it. Messages without attachments are left out."""
    found: dict[int, list[UserFile]] = {}
    rows = db.sql.execute(
        "select message, sha256, name, media_type, size_bytes, text, text_status = 'waiting' "
        "from attachment join stored_file on stored_file.id = attachment.file "
        "where message in (select value from json_each(?)) order by message, position",
        (msgspec.json.encode(list(message_ids)).decode(),),
    )
    for message, sha256, name, media_type, size_bytes, text, is_waiting in rows.fetchall():
        file = UserFile(sha256, name, media_type, size_bytes, text, bool(is_waiting))
        found.setdefault(message, []).append(file)
    return found


def detach(db: Db, attachment_id: int) -> None:
    """Take a file off what is being typed. NotFound for what was sent, which stays as it is."""
    gone = db.sql.execute("delete from attachment where id = ? and message is null", (attachment_id,))
    if gone.rowcount == 0:
        raise not_found(attachment_id)


def send(db: Db, draft: int | None, attachment_ids: Iterable[int], message_id: int) -> None:
    """What was put to a draft now belongs to a question, in this order. NotFound for what is not there (any
    more)."""
    for position, id in enumerate(attachment_ids):
        sent = db.sql.execute(
            "update attachment set message = ?, position = ?, conversation = null "
            "where id = ? and message is null and conversation is ?",
            (message_id, position, id, draft),
        )
        if sent.rowcount == 0:
            raise not_found(id)


def copy(db: Db, source_message: int, message_id: int) -> None:
    """Put to one message what is put to another."""
    db.sql.execute(
        "insert into attachment (message, position, name, file, created_ms) "
        "select ?, position, name, file, created_ms from attachment where message = ?",
        (message_id, source_message),
    )


def take_unreferenced(db: Db) -> list[str]:
    """Forget the files that no attachment refers to, and return their hashes: their content may go."""
    rows = db.sql.execute(
        "delete from stored_file where id not in (select file from attachment) returning sha256"
    )
    return [row[0] for row in rows.fetchall()]


def known(db: Db) -> set[str]:
    """The hashes of all files that are known."""
    return {row[0] for row in db.sql.execute("select sha256 from stored_file").fetchall()}


def not_found(attachment_id: int) -> NotFound:
    return NotFound(
        f"attachment {attachment_id} was removed", hint="Reload the conversation, and attach the file again."
    )
