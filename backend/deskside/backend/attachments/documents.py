"""What the child process makes of documents: their text, smaller pictures, and pages as pictures
(extract_worker.py)."""

from __future__ import annotations

import base64
import binascii

import msgspec

from deskside.backend.attachments.media import LONGEST_TEXT, PDF
from deskside.backend.child_text import ChildFailed, text_from
from deskside.backend.python_children import EXTRACT_WORKER

TIME_LIMIT_S = 90.0
# In base64: less than any provider's limit.
LONGEST_PICTURE = 4_900_000
# Somebody waits in front of the window.
PAGE_TIME_LIMIT_S = 20.0
# In base64: the largest page, without any compression.
LONGEST_PAGE = 8_500_000


class DrawnPage(msgspec.Struct, frozen=True):
    """One of the `pages` of a PDF as PNG."""

    pages: int
    png: bytes


async def text_of(media_type: str, content: bytes) -> str:
    """The text of a document, at most LONGEST_TEXT characters. Raises ChildFailed."""
    return await _made(media_type, content, LONGEST_TEXT)


async def smaller_picture(media_type: str, content: bytes) -> str:
    """A picture as JPEG in base64, small enough for any provider. Raises ChildFailed."""
    return await _made(media_type, content, LONGEST_PICTURE)


async def page_of(content: bytes, number: int) -> DrawnPage | None:
    """Page `number` of a PDF, from 1 on; None where it has fewer. Raises ChildFailed."""
    order = msgspec.json.encode({"media_type": PDF, "longest": LONGEST_PAGE, "page": number})
    written = await text_from(
        EXTRACT_WORKER, order + b"\n" + content, time_limit_s=PAGE_TIME_LIMIT_S, longest=LONGEST_PAGE
    )
    count, _, picture = written.partition("\n")
    if picture == "":
        return None
    try:
        return DrawnPage(int(count), base64.b64decode(picture, validate=True))
    except (ValueError, binascii.Error) as error:  # C code that was led astray may write anything
        raise ChildFailed from error


async def _made(media_type: str, content: bytes, longest: int) -> str:
    order = msgspec.json.encode({"media_type": media_type, "longest": longest, "page": None})
    return await text_from(
        EXTRACT_WORKER, order + b"\n" + content, time_limit_s=TIME_LIMIT_S, longest=longest
    )
