"""What recorded requests are made of: instructions, tools and items of histories, each kept once.

A request names its items by id, so that the history that every call of a conversation repeats costs a few
bytes. What no request names any more is cleared away by recording_retention.py.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

import msgspec

from deskside.backend.agent.events import HistoryItem, ToolSpec
from deskside.backend.agent.recorder import Item, Items
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json

Redact = Callable[[str], str]

PACKED_FROM = 400  # characters; below, zlib gains nothing
AT_ONCE = 500  # values of one statement

_read_history_item = msgspec.json.Decoder(HistoryItem).decode
_read_tools = msgspec.json.Decoder(list[ToolSpec]).decode
_read_any = msgspec.json.Decoder(str | list[ToolSpec] | HistoryItem).decode
_read_text = msgspec.json.Decoder(str).decode


def packed(text: str) -> bytes:
    """JSON text as it is kept: compressed where that pays."""
    data = text.encode()
    if len(text) < PACKED_FROM:
        return data
    # A window no larger than the text: the usual one of 32 KB is 250 KB to clear each time, which takes
    # longer than compressing the few hundred characters that most are.
    window_bits = min(max(len(data).bit_length(), 9), zlib.MAX_WBITS)
    memory_level = min(max(window_bits - 6, 1), zlib.DEF_MEM_LEVEL)
    compress = zlib.compressobj(1, zlib.DEFLATED, window_bits, memory_level)
    return compress.compress(data) + compress.flush()


def unpacked(data: bytes) -> bytes:
    """The JSON text again."""
    # The first byte of its streams names the method, 8, in the lower half; ours of JSON are {, [ and ".
    return zlib.decompress(data) if data[0] & 0x0F == zlib.DEFLATED else data


def keep(db: Db, items: Items, redact: Redact) -> list[int]:
    """Keep values that are not kept yet, without what `redact` takes out. Returns their ids, in their order,
    and tells `items` too."""
    if items.ids:
        return items.ids
    before = items.before
    known = {} if before is None else dict(zip(map(id, before.values), before.ids, strict=False))
    new = [value for value in items.values if id(value) not in known]
    known.update(zip(map(id, new), _ids_of(db, [_Text.of(value) for value in new], redact), strict=True))
    items.ids, items.before = [known[id(value)] for value in items.values], None
    return items.ids


@dataclass(frozen=True)
class _Text:
    """A value as JSON text, and its hash: of what it is, whatever is taken out where it is kept."""

    text: str
    sha256: bytes

    @classmethod
    def of(cls, value: Item) -> _Text:
        return _of_tools(value) if isinstance(value, list | tuple) else cls.read(value)

    @classmethod
    def read(cls, value: Item) -> _Text:
        text = as_json(value)
        return cls(text, hashlib.sha256(text.encode()).digest())


# Of the last few lists of tools. They are long, and the same from run to run.
_tools_met: deque[tuple[Sequence[ToolSpec], _Text]] = deque(maxlen=8)


def _of_tools(tools: Sequence[ToolSpec]) -> _Text:
    for met, text in tuple(_tools_met):
        if len(met) == len(tools) and all(map(is_, met, tools)):
            return text
    text = _Text.read(tools)
    _tools_met.append((tools, text))
    return text


def _ids_of(db: Db, texts: Sequence[_Text], redact: Redact) -> list[int]:
    ids: dict[bytes, int] = {}
    for start in range(0, len(texts), AT_ONCE):
        some = [each.sha256 for each in texts[start : start + AT_ONCE]]
        marks = ", ".join("?" * len(some))
        ids.update(
            db.sql.execute(f"select sha256, id from recorded_item where sha256 in ({marks})", some).fetchall()
        )
    missing = {each.sha256: each.text for each in texts if each.sha256 not in ids}
    if missing:
        (next_id,) = db.sql.execute("select ifnull(max(id), 0) + 1 from recorded_item").fetchone()
        rows = [
            (next_id + n, sha256, packed(redact(text))) for n, (sha256, text) in enumerate(missing.items())
        ]
        db.sql.executemany("insert into recorded_item (id, sha256, data) values (?, ?, ?)", rows)
        ids.update((sha256, id) for id, sha256, _ in rows)
    return [ids[each.sha256] for each in texts]


def history(db: Db, ids: Iterable[int]) -> list[HistoryItem]:
    """The items of a history again. KeyError for one that is not there."""
    return [_read_history_item(data) for data in texts(db, list(ids))]


def tools(db: Db, id: int) -> list[ToolSpec]:
    return _read_tools(texts(db, [id])[0])


def instructions(db: Db, id: int) -> str:
    return _read_text(texts(db, [id])[0])


def all_of(db: Db, ids: Sequence[int]) -> list[str | list[ToolSpec] | HistoryItem]:
    """Items of every kind again."""
    return [_read_any(data) for data in texts(db, ids)]


def texts(db: Db, ids: Sequence[int]) -> list[bytes]:
    """The JSON texts of these items, in this order."""
    found: dict[int, Any] = {}
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        found.update(
            db.sql.execute(f"select id, data from recorded_item where id in ({marks})", some).fetchall()
        )
    return [unpacked(found[id]) for id in ids]
