"""Our own document, read strictly: see conversation_file.py."""

from __future__ import annotations

import io
from collections.abc import Sequence

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import (
    FORMAT,
    VERSION,
    FileAttachment,
    FileConversation,
    FileFolder,
    content_sha256,
)
from deskside.backend.exchange.foreign import NOT_IN_ZIP, FoundFile, Imported
from deskside.backend.exchange.report import Report
from deskside.backend.store.transfer import Source

PROGRAM = "deskside"

_read = msgspec.json.Decoder(FileConversation).decode
_read_folder = msgspec.json.Decoder(FileFolder).decode
_read_text = msgspec.json.Decoder(str).decode
_read_version = msgspec.json.Decoder(int).decode


def check_member(key: str, raw: bytes) -> None:
    """Look at a member of the document that is no conversation. InvalidRequest where it is of another
    format."""
    try:
        if key == "format" and _read_text(raw) != FORMAT:
            raise InvalidRequest(
                f'This is not a file of conversations: it does not say "format": "{FORMAT}".'
            )
        if key == "version" and _read_version(raw) > VERSION:
            raise InvalidRequest(
                f"This file has version {raw.decode()}; this Deskside reads version {VERSION}.",
                hint="Install the newest Deskside.",
            )
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"This is not a file of conversations: its {key!r} cannot be read.") from error


def read_folder(raw: bytes) -> FileFolder:
    """Raises msgspec.ValidationError."""
    return _read_folder(raw)


def read(raw: bytes, archive: Archive, now_ms: int, report: Report) -> Imported | None:
    """One conversation. Raises msgspec.ValidationError where it is none."""
    found = _read(raw)
    report.of(found.title)
    files: dict[int | None, Sequence[FoundFile]] = {}
    if found.draft_attachments:
        files[None] = _files(found.draft_attachments, archive, report)
    for message in found.messages:
        if message.attachments:
            files[message.id] = _files(message.attachments, archive, report)
    return Imported(found, Source(content_sha256(found)), files)


def _files(attachments: Sequence[FileAttachment], archive: Archive, report: Report) -> list[FoundFile]:
    found = []
    for each in attachments:
        file = _file(each, archive)
        if file is None:
            report.skip("file", each.name, NOT_IN_ZIP)
        else:
            found.append(file)
    return found


def _file(each: FileAttachment, archive: Archive) -> FoundFile | None:
    bare = msgspec.structs.replace(each, data=None)
    if each.data is not None:
        data = each.data
        return FoundFile(
            each.name, each.media_type, len(data), lambda: io.BytesIO(data), each.sha256, as_was=bare
        )
    member = archive.stored(each.sha256)
    if member is None:
        return None
    return FoundFile(
        each.name, each.media_type, member.file_size, lambda: archive.open(member), each.sha256, as_was=bare
    )
