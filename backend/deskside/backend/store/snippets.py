"""The few lines of a text around what was looked for, cut into what matches and what does not.

The index cannot say where: what it read is not the text (segmentation.py). So the words are looked for once
more, in a copy of the text in which every character has one plain character in its place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

import msgspec

from deskside.backend.store.search_query import Term
from deskside.backend.store.segmentation import HUMP, MARKS, PART, RUN, SPELLINGS, UNSPACED

CHARACTERS = 200
# How much of them stands before the first match: a line and a half of a narrow list, half of that where
# characters are twice as wide.
BEFORE = 50
# A longer text is looked through up to here.
LOOKED_THROUGH = 100_000
MOST_HITS = 50

ACCENTS = f"[\u0300-\u036f{MARKS}]*"
UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")


class Piece(msgspec.Struct, frozen=True):
    """A part of a snippet or a title; `is_hit` where it is what was looked for."""

    text: str
    is_hit: bool = False


def snippet(text: str, terms: Sequence[Term]) -> list[Piece]:
    """About 200 characters of the text in which most of the terms are, as pieces in their order."""
    hits = find_hits(text, terms) if terms else []
    start, end = _window(text, hits)
    pieces = cut(text[start:end].rstrip(), [(first - start, last - start) for first, last in hits])
    if start > 0:
        pieces.insert(0, Piece("…"))
    if end < len(text.rstrip()):
        pieces.append(Piece("…"))
    return _joined(pieces)


def cut(text: str, hits: Sequence[tuple[int, int]]) -> list[Piece]:
    """The text as pieces; what of a hit is outside is left out."""
    pieces = []
    at = 0
    for first, last in hits:
        first, last = max(first, at), min(last, len(text))
        if first >= last:
            continue
        pieces += [Piece(text[at:first]), Piece(text[first:last], is_hit=True)]
        at = last
    pieces.append(Piece(text[at:]))
    return [piece for piece in pieces if piece.text]


def find_hits(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the terms are, in their order; the first MOST_HITS of each."""
    text = text[:LOOKED_THROUGH]
    plain = folded(text)
    hits: list[tuple[int, int]] = []
    for term in terms:
        whole, inside = _patterns(term, is_ascii=text.isascii())
        found = [match.span() for match in islice(whole.finditer(plain), MOST_HITS)]
        # Only where it is no word of its own, it is a part of a name: `order` in `parseOrder`.
        hits += found or [match.span() for match in islice(inside.finditer(plain), MOST_HITS)]
    return sorted(hits)


class _Folds(dict[int, str]):
    """One plain character for each: small, without its accent."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        base = unicodedata.normalize("NFKD", SPELLINGS.get(character, character)).lower()
        # ß is two letters and stays one character here; the pattern knows.
        plain = (
            base[0] if len(base) >= 1 and character not in "ßẞ" and not RUN.match(character) else character
        )
        self[code] = plain if not plain.isspace() or character.isspace() else character
        return self[code]


_FOLDS = _Folds()


def folded(text: str) -> str:
    """As long as the text."""
    return text.lower() if text.isascii() else text.translate(_FOLDS)


@lru_cache(maxsize=256)
def _patterns(term: Term, *, is_ascii: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds the term in a folded text: as words of their own, and inside others."""
    words = re.findall(r"[^\W_]+", folded(unicodedata.normalize("NFC", term.words)))
    accents = "" if is_ascii else ACCENTS
    pattern = ""
    for n, word in enumerate(words):
        if n:
            is_apart = not (UNSPACED_CHARACTER.match(words[n - 1]) or UNSPACED_CHARACTER.match(word))
            pattern += r"[\W_]+" if is_apart else r"[\W_]*"
        if is_ascii:
            pattern += word
        else:
            # Each ß of the text was two letters of the word.
            pattern += "".join(
                rf"(?:[sßẞ]{accents}){{{(len(run) + 1) // 2},{len(run)}}}"
                if run[0] == "s" and len(run) > 1
                else "".join(re.escape(letter) + accents for letter in run)
                for run in re.findall("s+|[^s]+", word)
            )
    if UNSPACED_CHARACTER.match(words[0]):
        start = pattern
    else:
        # Behind the first letter, so that the engine can jump to it.
        first = re.escape(words[0][0])
        start = (
            rf"(?<![^\W_]){pattern}"
            if pattern.startswith("(")
            else pattern.replace(first, rf"{first}(?<![^\W_]{first})", 1)
        )
    # The rest of a word that was only begun belongs to it.
    is_begin = term.is_begin or term.name
    end = r"[^\W_]*" if is_begin else "" if UNSPACED_CHARACTER.match(words[-1]) else r"(?![^\W_])"
    inside = pattern.replace(r"[\W_]+", r"[\W_]*")
    if HUMP.search(term.words):
        # `parseOrder` also finds `parse_order`.
        inside = r"[\W_]*".join(part.lower() for part in PART.findall(term.words))
    return re.compile(start + end), re.compile(inside)


def _window(text: str, hits: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """From where to where: the begin of the text where it has no hit, else around the most of them."""
    best = most = 0
    for n, (first, _) in enumerate(hits[:MOST_HITS]):
        near = {text[a:b].lower() for a, b in hits[n : n + 20] if b <= first + CHARACTERS - BEFORE}
        if len(near) > most:
            best, most = first, len(near)
    is_wide = best < len(text) and UNSPACED_CHARACTER.match(text[best])
    start = max(0, best - (BEFORE // 2 if is_wide else BEFORE))
    end = min(len(text), start + CHARACTERS)
    if start > 0:
        start = _next_word(text, start, best)
    if end < len(text):
        cut_at = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = cut_at if cut_at > end - 30 and cut_at > best else end
    return start, end


def _next_word(text: str, start: int, before: int) -> int:
    """The begin of the next word, if it comes soon and before the hit."""
    found = text.find(" ", start, min(start + 20, before))
    return start if found < 0 else found + 1


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].is_hit == piece.is_hit:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.is_hit)
        else:
            joined.append(piece)
    return joined
