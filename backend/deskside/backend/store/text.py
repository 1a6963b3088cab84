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


def title_of(text: str) -> str:
    """A conversation's title from its first message: the first line that says something, without
    Markdown's marks, at most 60 characters, cut at the end of a word. Never empty."""
    for line in text.lstrip()[:2000].splitlines():
        # Loose marks are trimmed only where something else is left: "***" alone is no title.
        plain = " ".join(CONTROL.sub(" ", line).split())
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
