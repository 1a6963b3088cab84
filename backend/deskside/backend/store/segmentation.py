"""Texts as the search index reads them, so that a word is found in whatever way it is written.

SQLite's tokenizer takes a run of letters for one word. That makes a whole sentence of Chinese one word, and
`parseOrder` another that a search for `order` does not find. So the index reads a text in which each
character of such a script stands alone (a word of it is then a phrase of its characters), in which letters
that are written in two ways are written in one, and that ends with the parts of each name in camel case.

What is stored and shown is never this text. What is looked for goes through `spelled` as well.
"""

from __future__ import annotations

import re
import sqlite3

# Scripts that put no space between words, or so few that a part of a word is looked for (Hangul): Thai and
# Lao, Myanmar, Khmer, kana, Bopomofo, Han with its marks and extensions, Hangul, halfwidth kana.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
RUN = re.compile(f"[{UNSPACED}]+")
# What the tokenizer does not fold by itself: the vowel signs of Arabic, which it would end a word at, and its
# stretching line; Russian's ё, German's ß, fullwidth letters of Latin.
MARKS = "\u0640\u064b-\u065f\u0670"
VARIANT = re.compile(f"[{MARKS}ёЁßẞ\uff01-\uff5e]")
SPELLINGS = {"ё": "е", "Ё": "Е", "ß": "ss", "ẞ": "SS"}
FULLWIDTH = 0xFEE0

# A capital inside a word: after `parse` in `parseOrder`, and the P of `HTTPServer`.
HUMP = re.compile("[A-Z](?:(?<=[a-z0-9][A-Z])|[A-Z][a-z])")
WORD = re.compile("[A-Za-z0-9]+")
PART = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Base64 and the like are full of humps; a name has few.
LONGEST_NAME = 60


def indexed(text: str) -> str:
    """What the index reads of a text."""
    parts = name_parts(text)
    text = spelled(text)
    return f"{text}\n{parts}" if parts else text


def spelled(text: str) -> str:
    """The text in one spelling, with a space around each character of a script without spaces."""
    if text.isascii():
        return text
    return RUN.sub(lambda run: f" {' '.join(run[0])} ", VARIANT.sub(_usual, text))


def _usual(variant: re.Match[str]) -> str:
    character = variant[0]
    if character >= "\uff01":
        return chr(ord(character) - FULLWIDTH)
    return SPELLINGS.get(character, "")


def name_parts(text: str) -> str:
    """The parts of the names in camel case, each name once, in their order."""
    if HUMP.search(text) is None:
        return ""
    words = dict.fromkeys(WORD.findall(text))
    names = [word for word in words if len(word) <= LONGEST_NAME and HUMP.search(word)]
    return "\n".join(" ".join(PART.findall(name)) for name in names)


def register(connection: sqlite3.Connection) -> None:
    """Let a connection read the index's views: each that writes messages or makes the index anew."""
    connection.create_function("segmented", 1, indexed, deterministic=True)
