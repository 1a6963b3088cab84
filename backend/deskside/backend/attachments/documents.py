"""What the child process makes of documents: their text, and smaller pictures (extract_worker.py)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from deskside.backend.attachments.media import LONGEST_TEXT
from deskside.backend.child_text import text_from

WORKER = Path(__file__).with_name("extract_worker.py")
TIME_LIMIT_S = 90.0
# In base64: less than any provider's limit.
LONGEST_PICTURE = 4_900_000


async def text_of(media_type: str, content: bytes) -> str:
    """The text of a document, at most LONGEST_TEXT characters. Raises ChildFailed."""
    return await _made(media_type, content, LONGEST_TEXT)


async def smaller_picture(media_type: str, content: bytes) -> str:
    """A picture as JPEG in base64, small enough for any provider. Raises ChildFailed."""
    return await _made(media_type, content, LONGEST_PICTURE)


async def _made(media_type: str, content: bytes, longest: int) -> str:
    order = msgspec.json.encode({"media_type": media_type, "longest": longest})
    return await text_from(WORKER, order + b"\n" + content, time_limit_s=TIME_LIMIT_S, longest=longest)
