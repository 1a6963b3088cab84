"""What kind of file it is, told by its first bytes; a name alone is believed only of texts."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from deskside.backend.text_files import NotText, read_text

Kind = Literal["image", "pdf", "office", "text", "other"]

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
PDF = "application/pdf"
TEXT = "text/plain"
OTHER = "application/octet-stream"

SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", PDF),
)
# The member that makes a zip file one of them.
OFFICE = {"word/document.xml": DOCX, "xl/workbook.xml": XLSX, "ppt/presentation.xml": PPTX}
READ_BYTES = 64_000
# More than any model reads.
LONGEST_TEXT = 4_000_000  # characters


def media_type_of(path: Path) -> str:
    """The media type of a file on the disk. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(READ_BYTES)
    for signature, media_type in SIGNATURES:
        if start.startswith(signature):
            return media_type
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start.startswith(b"PK\x03\x04"):
        return _office_type(path)
    try:
        read_text(start, is_cut=len(start) == READ_BYTES)
    except NotText:
        return OTHER
    return TEXT


def kind_of(media_type: str) -> Kind:
    """The kind of preview and of treatment that a media type gets."""
    if media_type.startswith("image/"):
        return "image"
    if media_type == PDF:
        return "pdf"
    if media_type in OFFICE.values():
        return "office"
    return "text" if media_type == TEXT else "other"


def _office_type(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return OTHER
    return next((media_type for member, media_type in OFFICE.items() if member in names), OTHER)


def text_status_at_first(media_type: str) -> Literal["waiting", "none"]:
    """Whether text is to be read out of such a file."""
    return "waiting" if kind_of(media_type) in ("pdf", "office", "text") else "none"
