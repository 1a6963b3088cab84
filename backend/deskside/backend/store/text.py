"""Texts as they can be kept and shown."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import msgspec

LONGEST_TITLE = 60
NO_TITLE = "New conversation"

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Nothing to see, or what turns the text around it; not the joiners, which emoji and Persian need.
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
JOINERS = "\u200c\u200d"
# Only in front of a space, so that "-5 + 3" and "#topic" stay what they are.
BLOCK_MARKS = re.compile(r"^(?:[#>*+-]+ +)+")
PAIRED_MARKS = re.compile(r"(?<!\w)(\*\*|~~|`)(?=\S)(.+?)(?<=\S)\1(?!\w)")
LOOSE_MARKS = "*`~_#> "


def now_ms() -> int:
    """Unix milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def storable(text: str) -> str:
    """`text` as SQLite takes it: halves of UTF-16 pairs are joined, and replaced by U+FFFD when alone.

    JSON from outside cannot hold such halves (msgspec refuses it), but a file name that a tool lists can.
    Everything else stays, NUL included.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def as_json(value: Any) -> str:
    """A struct or plain data as JSON text that SQLite takes; see `storable`."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return storable(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))


def plain_title(text: str) -> str:
    """`text` as one line of what can be seen; NO_TITLE where that is nothing."""
    line = " ".join(INVISIBLE.sub("", CONTROL.sub(" ", storable(text))).split())
    return line if line.strip(JOINERS) else NO_TITLE


def title_of(text: str) -> str:
    """A conversation's title from its first message: the first line that says something, without
    Markdown's marks, at most 60 characters, cut at the end of a word. Never empty."""
    for line in text.lstrip()[:2000].splitlines():
        # Loose marks are trimmed only where something else is left: "***" alone is no title.
        plain = plain_title(line)
        if plain == NO_TITLE:
            continue
        plain = PAIRED_MARKS.sub(r"\2", BLOCK_MARKS.sub("", plain))
        if plain.strip(LOOSE_MARKS + "-="):
            return _shortened(plain.lstrip("*`~ ").rstrip("*`~ ") or plain)
    return NO_TITLE


def _shortened(line: str) -> str:
    if len(line) <= LONGEST_TITLE:
        return line
    room = line[:LONGEST_TITLE]  # one more than fits beside the ellipsis: a word may end exactly there
    end = room.rfind(" ")
    # A text without spaces, or with one long word, is cut where it is.
    cut = room[:end] if end >= LONGEST_TITLE // 2 else room[:-1]
    return cut.rstrip(" ,;:.-–—") + "…"
