"""Characters that a person does not see and a model reads.

Text from outside (a tool's output, a page that was fetched, a file) can carry orders in them that the
user, who looks at the same text, cannot know of. So they are taken out before a model reads it. What is
stored and shown stays as it came.

What a person typed keeps what typing can make; only tag characters go, which no keyboard has and which
spell hidden words by themselves.

Source: Unicode 16, chapter 23, "Special Areas and Format Characters".
"""

from __future__ import annotations

import re

# Three flags are spelled with tags: England, Scotland, Wales. They are the only ones (UTS #51, RGI).
_FLAGS = [
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
]
_TAGS = "\U000e0000-\U000e007f"
# Joiners and variation selectors mean something behind what they change: in emoji, Persian, Indic scripts.
# One is kept there. A row of them means nothing, and can spell anything.
_JOINING = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_NEVER_SEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a"
)

_flags = "|".join(_FLAGS)
_keycap = "(?<=[0-9#*])\ufe0f(?=\u20e3)"
# A heart on fire: the heart, that it is an emoji, a joiner, the fire.
_joined_emoji = f"(?<=[^\\x00-\\x7f{_TAGS}{_NEVER_SEEN}{_JOINING}])\ufe0f\u200d(?=[^\\x00-\\x7f])"
# All that can be taken out: in most texts there is none of it, in others a few in a row here and there.
_suspects = re.compile(f"[{_TAGS}{_NEVER_SEEN}{_JOINING}]+")
_tags = re.compile(f"({_flags})|[{_TAGS}]")
_hidden = re.compile(
    f"({_flags}|{_keycap}|{_joined_emoji})|[{_TAGS}{_NEVER_SEEN}]"
    f"|(?<=[{_JOINING}{_TAGS}{_NEVER_SEEN}])[{_JOINING}]|(?<![^\\x00-\\x7f])[{_JOINING}]"
)

# The same in UTF-8, to find out quickly that there is none of it: one byte is found many times as fast as any
# of many characters. A joiner does no harm behind a character that it can change, if no other one follows.
_joiner = r"(?:\xe2\x80[\x8c\x8d]|\xef\xb8[\x80-\x8f])"
_harmful = rf"(?:(?<![\x80-\xff]...)|(?={_joiner}))"
_harmful_selector = (
    r"(?:(?<![\x80-\xff]...)(?!(?<=[0-9#*]...)\xe2\x83\xa3)"  # but for a keycap
    rf"|(?={_joiner})(?!\xe2\x80\x8d[\x80-\xff]))"  # but for a joined emoji
)
_rest_by_first_byte = {
    b"\xc2": r"\xad",
    b"\xcd": r"\x8f",
    b"\xd8": r"\x9c",
    b"\xe1": r"(?:\x85[\x9f\xa0]|\x9e[\xb4\xb5]|\xa0[\x8b-\x8f])",
    b"\xe2": rf"(?:\x80[\x8b\x8e\x8f\xaa-\xae]|\x80[\x8c\x8d]{_harmful}|\x81[\xa0-\xaf])",
    b"\xe3": r"\x85\xa4",
    b"\xef": rf"(?:\xb8\x8f{_harmful_selector}|\xb8[\x80-\x8e]{_harmful}|\xbb\xbf|\xbe\xa0|\xbf[\xb0-\xbb])",
    b"\xf0": r"\x9d\x85[\xb3-\xba]",
    b"\xf3": r"\xa0",
}
_searches = [
    (first, re.compile(re.escape(first) + rest.encode(), re.DOTALL).search)
    for first, rest in _rest_by_first_byte.items()
]


def is_visible(text: str) -> bool:
    """Whether all of a text can be seen, and there are no half characters (lone surrogates) in it: then it is
    read as it is. Costs 2 to 4 ns a character. False for a few texts that a closer look finds nothing in."""
    if text.isascii():
        return True
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return False
    return not any(first in encoded and search(encoded) for first, search in _searches)


def without_tags(text: str) -> str:
    """What a person typed or pasted, without tag characters."""
    return text if is_visible(text) else _tags.sub(r"\1", text)


def without_invisible(text: str) -> str:
    """Text from outside, without anything that a person could not see. Costs nothing where it is plain ASCII,
    2 to 4 ns a character where nothing in it is suspect, 10 to 20 where little is, else 100."""
    if is_visible(text):
        return text
    rows = len(_suspects.findall(text))
    if rows > len(text) // 20:
        return _hidden.sub(r"\1", text)
    return _suspects.sub(_what_is_seen, text)


def _what_is_seen(row: re.Match[str]) -> str:
    """What stays of suspects in a row. One character on each side is all that decides about them."""
    start, end = row.span()
    before, after = row.string[max(start - 1, 0) : start], row.string[end : end + 1]
    seen = _hidden.sub(r"\1", before + row[0] + after)
    return seen[len(before) : len(seen) - len(after)]
