"""Bytes of a file as text: most files are UTF-8, older ones are not, and many are no text at all."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

# Longest first: UTF-32's mark begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LOOKED_AT_BYTES = 8192
# What Windows wrote for decades. Bytes that it lacks are shown as U+FFFD.
OLD = "cp1252"


class NotText(ValueError):
    """The bytes are no text."""


@dataclass(frozen=True)
class TextFile:
    """`encoding` as Python names it: what the text is written back with. `is_exact` says that this gives the
    same bytes."""

    text: str
    encoding: str
    is_exact: bool = True


def read_text(content: bytes, *, is_cut: bool = False) -> TextFile:
    """Decode a file. `is_cut` says that more bytes follow. Raises NotText."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return TextFile(_decoded(content, encoding, is_cut), encoding)
    if b"\0" in content[:LOOKED_AT_BYTES]:
        raise NotText
    try:
        text, encoding = _decoded(content, "utf-8", is_cut), "utf-8"
    except UnicodeDecodeError:
        text, encoding = content.decode(OLD, "replace"), OLD
    if _is_mostly_control(text[:LOOKED_AT_BYTES]):
        raise NotText
    return TextFile(text, encoding, is_exact="\ufffd" not in text)


def lines_of(text: str) -> list[str]:
    """Its lines as editors count them, without their ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _decoded(content: bytes, encoding: str, is_cut: bool) -> str:
    try:
        # A character whose last bytes were cut off is left out.
        return codecs.getincrementaldecoder(encoding)().decode(content, final=not is_cut)
    except UnicodeDecodeError:
        if encoding == "utf-8":
            raise
        raise NotText from None


def _is_mostly_control(text: str) -> bool:
    control = sum(character < " " and character not in "\t\n\r\f\x1b" for character in text)
    return control * 20 > len(text)
