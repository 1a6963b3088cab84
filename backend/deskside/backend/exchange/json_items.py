"""A large JSON file piece by piece, without ever holding more than one piece.

A file is an array of conversations, or one object that is a conversation, or our own document, whose
`conversations` are an array inside an object. Only the ends of the pieces are found here; msgspec reads each
piece into the structs that its format has, and leaves out the rest. A library that builds Python objects from
a stream (ijson) would build them before anything could be said about their size: a file of brackets takes 64
times its size in memory. Here depth and size are known from the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from deskside.backend.errors import InvalidRequest

# 2023's longest known conversation exports have some 20 MB; those with pictures inside them several times
# that.
LARGEST_ITEM_BYTES = 256_000_000
# A reply inside a reply inside a reply: some programs nest one conversation that deep.
DEEPEST = 20_000
PIECE_BYTES = 1 << 20

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
# Everything up to a bracket, or up to a string that does not end in what was read.
_PLAIN = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]}\s]*+")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)


class Item(NamedTuple):
    """A piece. `key` is the member of the top object that it belongs to, empty where the piece is an element
    of the top array, or the whole. `raw` is None where it is too large or too deep, which `problem` says.
    `end` counts the bytes that were read so far."""

    key: str
    raw: bytes | None
    end: int
    problem: str = ""


def items(file: BinaryIO) -> Generator[Item, None, None]:
    """The pieces of a file. Raises InvalidRequest, with a sentence, where it is no such JSON."""
    reader = _Reader(file)
    first = reader.peek()
    if first == b"[":
        yield from reader.array("")
    elif first == b"{":
        if reader.starts_with_key(b'"format"'):
            yield from reader.members()
        else:
            yield reader.item("")
    else:
        raise not_json()
    reader.expect_end()


def not_json() -> InvalidRequest:
    return InvalidRequest(
        "This is not a file of conversations: it is not JSON.",
        hint="Choose the conversations.json or the zip as you got it.",
    )


def cut_off() -> InvalidRequest:
    return InvalidRequest("The file ends in the middle.", hint="Download or export it again.")


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = file.read(PIECE_BYTES).removeprefix(b"\xef\xbb\xbf")
        self._at = 0
        self._read = len(self._buffer)
        self._is_over = False

    # -- the parts of a document ----------------------------------------------------------------

    def array(self, key: str) -> Iterator[Item]:
        self._take(b"[")
        if self.peek() == b"]":
            self._take(b"]")
            return
        while True:
            yield self.item(key)
            if self._take(b",]") == b"]":
                return

    def members(self) -> Iterator[Item]:
        self._take(b"{")
        while True:
            if self.peek() != b'"':
                raise not_json()
            raw = self.item("").raw
            key = "" if raw is None else _text(raw)
            self._take(b":")
            if self.peek() == b"[":
                yield from self.array(key)
            else:
                yield self.item(key)
            if self._take(b",}") == b"}":
                return

    def item(self, key: str) -> Item:
        """The next value, whatever it is."""
        first = self.peek()
        if first in (b"[", b"{"):
            raw, problem = self._nested()
        elif first == b'"':
            raw, problem = self._matched(_STRING, is_open=False), ""
        else:
            raw, problem = self._matched(_SCALAR, is_open=True), ""
            if not raw:
                raise not_json()
        return Item(key, raw, self._read - len(self._buffer) + self._at, problem)

    def expect_end(self) -> None:
        if self.peek():
            raise not_json()

    def starts_with_key(self, key: bytes) -> bool:
        self._reserve(200)
        after = _SPACE.match(self._buffer, self._at + 1)
        return after is not None and self._buffer.startswith(key, after.end())

    # -- bytes ----------------------------------------------------------------------------------

    def peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if not self._more(self._at):
                return b""

    def _take(self, wanted: bytes) -> bytes:
        found = self.peek()
        if not found:
            raise cut_off()
        if found not in wanted:
            raise not_json()
        self._at += 1
        return found

    def _nested(self) -> tuple[bytes | None, str]:
        depth, start, at, problem = 0, self._at, self._at, ""
        too_large = f"It is larger than {LARGEST_ITEM_BYTES // 1_000_000} MB."
        while True:
            plain = _PLAIN.match(self._buffer, at)
            assert plain is not None
            at = plain.end()
            found = self._buffer[at : at + 1]
            if found in (b"", b'"'):
                # More is needed. What is known of a piece that is too large is not kept.
                if at - start > LARGEST_ITEM_BYTES:
                    problem = too_large
                keep = at if problem else start
                before = at - keep
                if len(self._buffer) - at > LARGEST_ITEM_BYTES:
                    raise InvalidRequest(
                        f"The file holds a text of more than {LARGEST_ITEM_BYTES // 1_000_000} MB.",
                        hint="It cannot be read.",
                    )
                if not self._more(keep):
                    raise cut_off()
                start, at = 0, before
                continue
            at += 1
            if found in b"[{":
                depth += 1
                if depth > DEEPEST:
                    problem = "It is nested too deeply."
            else:
                depth -= 1
                if depth == 0:
                    break
        self._at = at
        if at - start > LARGEST_ITEM_BYTES:
            problem = too_large
        return (None, problem) if problem else (self._buffer[start:at], "")

    def _matched(self, pattern: re.Pattern[bytes], *, is_open: bool) -> bytes:
        """`is_open`: it may go on where the buffer ends."""
        while True:
            match = pattern.match(self._buffer, self._at)
            if match is not None and not (is_open and match.end() == len(self._buffer)):
                break
            if not self._more(self._at) or len(self._buffer) > LARGEST_ITEM_BYTES:
                if match is not None:
                    break
                raise cut_off()
        self._at = match.end()
        return match[0]

    def _reserve(self, count: int) -> None:
        while len(self._buffer) - self._at < count and self._more(self._at):
            pass

    def _more(self, keep_from: int) -> bool:
        """Read on, and forget what is before `keep_from`. As much again as is kept, so that a long piece is
        not looked at once for each that is read."""
        if self._is_over:
            return False
        kept = self._buffer[keep_from:]
        piece = self._file.read(max(PIECE_BYTES, len(kept)))
        self._is_over = not piece
        self._buffer, self._at = kept + piece, 0
        self._read += len(piece)
        return bool(piece)


def _text(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json() from error


def top_keys(raw: bytes) -> set[str]:
    """The names of an object's own members, however deep it is nested; none for anything else."""
    if not raw.startswith(b"{"):
        return set()
    keys: set[str] = set()
    depth, is_key = 0, True
    for token in _TOKEN.finditer(raw):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and mark == b",":
            is_key = True
        elif depth == 1 and is_key and mark.startswith(b'"'):
            is_key = False
            keys.add(_text(mark))
    return keys
