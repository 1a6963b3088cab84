"""The readable text of an HTML page, worked out in a child process (readable_worker.py)."""

from __future__ import annotations

import msgspec

from deskside.backend.child_text import ChildFailed, text_from
from deskside.backend.python_children import READABLE_WORKER

TIME_LIMIT_S = 20.0
TEXT_LIMIT = 1_000_000  # characters; a page of 5 MB rarely holds more


class Unreadable(OSError):
    """The page is too large, or not made to be read. The text is for the model, and is ours."""


class Readable(msgspec.Struct, frozen=True):
    """A page's title (perhaps empty) and its text in Markdown (perhaps empty)."""

    title: str
    text: str


async def readable(page: str, url: str, *, time_limit_s: float = TIME_LIMIT_S) -> Readable:
    """Takes 0.3 s for a usual page, most of it for the start of the process. `url` is what its links are
    relative to. Raises Unreadable when the child needs too long or too much memory, or dies."""
    order = msgspec.json.encode({"url": url, "longest": TEXT_LIMIT})
    try:
        text = await text_from(
            READABLE_WORKER,
            order + b"\n" + page.encode("utf-8", "replace"),
            time_limit_s=time_limit_s,
            longest=TEXT_LIMIT,
        )
    except ChildFailed as error:
        raise Unreadable("The page is too large or too tangled to be read.") from error
    title, _, rest = text.partition("\n")
    return Readable(title, rest)
