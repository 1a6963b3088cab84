"""What the pages of a database file hold, read without SQLite, which gives up where a tree is broken.

Only reads. A page that makes no sense is passed by; what is read off the others is what was written there,
as far as that can be seen: SQLite keeps no checksums of its pages.

Source: https://www.sqlite.org/fileformat2.html, from where the names are.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100  # of the file, at the begin of its first page
USUAL_PAGE_BYTES = 4096  # what SQLite takes unasked, and so do we
INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 0x02, 0x05, 0x0A, 0x0D
LEAST_CELL_BYTES = 4
WAL_MAGIC = 0x377F0682  # the next one for checksums in the other order of bytes
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24

Value = int | float | str | bytes | None


class Broken(Exception):
    """A page, or a cell of it, is not what it should be."""


class Cell(NamedTuple):
    """A row of a table (with its row id) or an entry of an index or of a table without row ids."""

    row_id: int
    values: tuple[Value, ...]


@dataclass
class Tree:
    """What was found below one root: the pages that hold rows, all pages, and how many could not be read."""

    leaves: list[int] = field(default_factory=list)
    pages: set[int] = field(default_factory=set)
    broken: int = 0


class Image:
    """The committed state of a database: its file, and the frames of its -wal that are whole."""

    def __init__(self, file: BinaryIO, wal: bytes) -> None:
        self._file = file
        self._wal = wal
        header = file.read(HEADER_BYTES)
        self.page_bytes = _page_bytes(header, wal)
        self._frames, committed = _frames(wal, self.page_bytes)
        self.count = committed or file.seek(0, os.SEEK_END) // self.page_bytes
        self.overflow: set[int] = set()
        """Pages that continue a cell, of all pages that were looked at."""
        self._unread: dict[int, int] = {}

    @property
    def has_wal(self) -> bool:
        return bool(self._frames)

    def without_wal(self) -> Image:
        """What the file says by itself."""
        self._file.seek(0)
        return Image(self._file, b"")

    def page(self, number: int) -> bytes:
        """Raises Broken for one that is not there, or that the disk does not give."""
        offset = self._frames.get(number)
        if offset is not None:
            return self._wal[offset : offset + self.page_bytes]
        if not 1 <= number <= self.count:
            raise Broken
        try:
            # Not mapped into memory: there a bad sector would end the program.
            self._file.seek((number - 1) * self.page_bytes)
            page = self._file.read(self.page_bytes)
        except OSError as error:
            raise Broken from error
        if len(page) < self.page_bytes:
            raise Broken
        return page

    def header(self) -> bytes:
        """The first bytes of the database, whatever they are."""
        try:
            return self.page(1)[:HEADER_BYTES]
        except Broken:
            return b""

    def walk(self, root: int) -> Tree:
        """The pages below `root`, in order."""
        tree = Tree()
        waiting = [root]
        while waiting:
            number = waiting.pop()
            try:
                if number in tree.pages:
                    raise Broken
                page = self.page(number)
                kind = _kind(page, number)
                children = self._children(page, number) if kind in (TABLE_INTERIOR, INDEX_INTERIOR) else []
            except Broken:
                tree.broken += 1
                continue
            tree.pages.add(number)
            if kind != TABLE_INTERIOR:
                tree.leaves.append(number)
            waiting += reversed(children)
        return tree

    def cells(self, number: int) -> tuple[list[Cell], int]:
        """What a page holds, and how much of it makes no sense: cells that cannot be read, and bytes that
        nothing accounts for. Raises Broken for no such page."""
        found: list[Cell] = []

        def take(row_id: int, payload: bytes) -> None:
            found.append(Cell(row_id, _values(payload)))

        unread = self._unread[number] = self._look(number, take)
        return found, unread

    def unread(self, number: int) -> int:
        """How much of a page makes no sense; where nobody has asked for its cells, whatever is in them."""
        if number not in self._unread:
            self._unread[number] = self._look(number, lambda row_id, payload: None)
        return self._unread[number]

    def _look(self, number: int, take: Callable[[int, bytes], None]) -> int:
        """Hand over the cells of a page in their order. Returns how much of it makes no sense."""
        page = self.page(number)
        kind = _kind(page, number)
        if kind == TABLE_INTERIOR:
            return 0
        try:
            offsets = _cell_offsets(page, number, kind)
        except Broken:
            return 1
        broken = used = 0
        last: int | None = None
        for offset in offsets:
            try:
                row_id, payload, end = self._cell(page, offset, kind)
                take(row_id, payload)
            except (Broken, IndexError):
                broken += 1
                continue
            used += max(end - offset, LEAST_CELL_BYTES)
            broken += kind == TABLE_LEAF and last is not None and last >= row_id
            last = row_id
        return broken or int(used != _bytes_of_cells(page, number, kind))

    def free_pages(self) -> set[int]:
        """The pages that hold nothing any more, though their bytes are still those of deleted rows."""
        free: set[int] = set()
        header = self.header()
        trunk = int.from_bytes(header[32:36], "big") if header[:16] == MAGIC else 0
        while 1 < trunk <= self.count and trunk not in free:
            free.add(trunk)
            try:
                page = self.page(trunk)
            except Broken:
                break
            count = min(int.from_bytes(page[4:8], "big"), self.page_bytes // 4 - 2)
            free.update(struct.unpack_from(f">{count}I", page, 8))
            trunk = int.from_bytes(page[:4], "big")
        return free

    def _children(self, page: bytes, number: int) -> list[int]:
        offsets = _cell_offsets(page, number, page[_start(number)])
        children = [int.from_bytes(page[offset : offset + 4], "big") for offset in offsets]
        start = _start(number)
        return [*children, int.from_bytes(page[start + 8 : start + 12], "big")]

    def _cell(self, page: bytes, offset: int, kind: int) -> tuple[int, bytes, int]:
        """The row id of a cell, what it holds, and where on the page it ends."""
        if kind == INDEX_INTERIOR:
            offset += 4
        length, offset = _varint(page, offset)
        row_id = 0
        if kind == TABLE_LEAF:
            row_id, offset = _varint(page, offset)
        local = self._local_bytes(length, kind)
        payload = _piece(page, offset, local)
        end = offset + local
        if local < length:
            following = int.from_bytes(_piece(page, end, 4), "big")
            payload += self._continued(following, length - local)
            end += 4
        return row_id, payload, end

    def _local_bytes(self, length: int, kind: int) -> int:
        """How much of a payload is on the page of its cell."""
        usable = self.page_bytes
        least = (usable - 12) * 32 // 255 - 23
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return length
        local = least + (length - least) % (usable - 4)
        return local if local <= most else least

    def _continued(self, following: int, missing: int) -> bytes:
        """The rest of a payload, from the pages that continue it."""
        pages: list[int] = []
        pieces = []
        if missing > self.count * self.page_bytes:
            raise Broken
        while missing > 0:
            page = self.page(following)
            pages.append(following)
            pieces.append(page[4 : 4 + missing])
            missing -= len(pieces[-1])
            following = int.from_bytes(page[:4], "big")
        if following != 0 or len(set(pages)) < len(pages):
            raise Broken
        self.overflow.update(pages)
        return b"".join(pieces)


@contextmanager
def open_image(database: Path) -> Iterator[Image]:
    """Raises OSError where the file cannot be read."""
    wal = database.with_name(f"{database.name}-wal")
    frames = wal.read_bytes() if wal.exists() else b""
    with database.open("rb") as file:
        yield Image(file, frames)


def _page_bytes(header: bytes, wal: bytes) -> int:
    for size in (int.from_bytes(header[16:18], "big"), int.from_bytes(wal[8:12], "big")):
        size = 65536 if size == 1 else size
        if 512 <= size <= 65536 and size & (size - 1) == 0:
            return size
    return USUAL_PAGE_BYTES


def _frames(wal: bytes, page_bytes: int) -> tuple[dict[int, int], int]:
    """Where in the -wal each page is that was committed last, and how many pages there are then."""
    magic = int.from_bytes(wal[:4], "big")
    if (
        len(wal) < WAL_HEADER_BYTES
        or magic & ~1 != WAL_MAGIC
        or int.from_bytes(wal[8:12], "big") != page_bytes
    ):
        return {}, 0
    order = ">" if magic & 1 else "<"
    sums = _checksum(wal[:24], (0, 0), order)
    if sums != struct.unpack_from(">2I", wal, 24):
        return {}, 0
    committed: dict[int, int] = {}
    waiting: dict[int, int] = {}
    count = 0
    for start in range(WAL_HEADER_BYTES, len(wal), FRAME_HEADER_BYTES + page_bytes):
        end = start + FRAME_HEADER_BYTES + page_bytes
        if end > len(wal) or wal[start + 8 : start + 16] != wal[16:24]:
            break
        sums = _checksum(wal[start : start + 8], sums, order)
        sums = _checksum(wal[start + FRAME_HEADER_BYTES : end], sums, order)
        number, size, *_, first, second = struct.unpack_from(">6I", wal, start)
        if sums != (first, second):
            break
        waiting[number] = start + FRAME_HEADER_BYTES
        if size:
            committed.update(waiting)
            waiting.clear()
            count = size
    return committed, count


def _checksum(content: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _start(number: int) -> int:
    """Where the tree's part of a page begins."""
    return HEADER_BYTES if number == 1 else 0


def _kind(page: bytes, number: int) -> int:
    kind = page[_start(number)]
    if kind not in (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF):
        raise Broken
    return kind


def _cell_offsets(page: bytes, number: int, kind: int) -> tuple[int, ...]:
    start = _start(number)
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + (12 if kind in (INDEX_INTERIOR, TABLE_INTERIOR) else 8)
    if first + 2 * count > len(page):
        raise Broken
    return struct.unpack_from(f">{count}H", page, first)


def _bytes_of_cells(page: bytes, number: int, kind: int) -> int:
    """What the header of a page and its list of free blocks leave for cells; -1 where they make no sense."""
    start = _start(number)
    block, count, content = struct.unpack_from(">3H", page, start + 1)
    header = start + (12 if kind in (INDEX_INTERIOR, TABLE_INTERIOR) else 8)
    free = (content or 65536) - header - 2 * count + page[start + 7]
    while block:
        following, length = struct.unpack_from(">2H", page, block) if block + 4 <= len(page) else (0, 0)
        if length < 4 or 0 < following <= block:
            return -1
        free += length
        block = following
    return len(page) - header - 2 * int(count) - int(free)


def _piece(page: bytes, offset: int, length: int) -> bytes:
    piece = page[offset : offset + length]
    if len(piece) < length:
        raise Broken
    return piece


def _varint(content: bytes, offset: int) -> tuple[int, int]:
    """A number and where it ends. IndexError past the end."""
    value = 0
    for at in range(offset, offset + 8):
        byte = content[at]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + 1
    value = value << 8 | content[offset + 8]
    return (value - (1 << 64) if value >= 1 << 63 else value), offset + 9


INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _values(record: bytes) -> tuple[Value, ...]:
    header_bytes, offset = _varint(record, 0)
    if not offset <= header_bytes <= len(record):
        raise Broken
    values: list[Value] = []
    at = header_bytes
    while offset < header_bytes:
        kind = record[offset]
        if kind < 0x80:  # nearly all
            offset += 1
        else:
            kind, offset = _varint(record, offset)
        if kind >= 12:
            end = at + (kind - 12) // 2
            piece = record[at:end]
            # A damaged text is worth more than none.
            values.append(piece.decode(errors="replace") if kind % 2 else piece)
            at = end
        elif kind == 0:
            values.append(None)
        elif kind in INTEGER_BYTES:
            end = at + INTEGER_BYTES[kind]
            values.append(int.from_bytes(record[at:end], "big", signed=True))
            at = end
        elif kind in (8, 9):
            values.append(kind - 8)
        elif kind == 7:
            values.append(float(struct.unpack(">d", _piece(record, at, 8))[0]))
            at += 8
        else:
            raise Broken
    if offset != header_bytes or at != len(record):  # also where the last value was cut off
        raise Broken
    return tuple(values)
