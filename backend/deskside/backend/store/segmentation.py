"""Texts as the search index reads them, so that a word is found in whatever way it is written.

SQLite's tokenizer takes a run of letters for one word. That makes a whole sentence of Chinese one word, and
`parseOrder` another that a search for `order` does not find. So the index reads a text in which each
character of such a script stands alone (a word of it is then a phrase of its characters), in which letters
that are written in two ways are written in one, and that ends with the parts of the names of code.

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
JOINT = re.compile("[A-Za-z0-9][._]+[A-Za-z0-9]")
NAME = re.compile("[A-Za-z0-9]+(?:[._]+[A-Za-z0-9]+)*")
PART = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# A longer one is no name but Base64 or the like. Its words are found one by one.
LONGEST_NAME = 100
# So many parts in their order are found together.
MOST_PARTS = 8


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
    """What the names of code are found by besides their words, each name once, in their order.

    In camel case those are its parts. Of every name it is also each of its ends in one word, so that
    `parse_order_id` and `parseOrderId` are both found as `parseorderid`, and as the begin of `orderid`. As a
    phrase, `order_id` would miss the second, and be words that are everywhere: FTS5 reads all rows of each.
    """
    if HUMP.search(text) is None and JOINT.search(text) is None:
        return ""
    found = []
    for name in dict.fromkeys(NAME.findall(text)):
        if len(name) <= LONGEST_NAME and (HUMP.search(name) or JOINT.search(name)):
            parts = PART.findall(name)
            found += parts if HUMP.search(name) else []
            found += ["".join(parts[n : n + MOST_PARTS]) for n in range(len(parts) - 1)]
    return " ".join(found)


def joined(name: str) -> str:
    """The begin of the word that a name with dots or underscores is found by, or a part of such a name; else
    nothing."""
    is_name = NAME.fullmatch(name) and JOINT.search(name) and len(name) <= LONGEST_NAME
    return "".join(PART.findall(name)[:MOST_PARTS]) if is_name else ""


def register(connection: sqlite3.Connection) -> None:
    """Let a connection read the index's views: each that writes messages or makes the index anew."""
    connection.create_function("segmented", 1, indexed, deterministic=True)
