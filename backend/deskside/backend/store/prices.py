"""The user's own prices: what they say a model's tokens cost, from which day on.

A row is never changed: another price is a new row. Of the rows that have begun, the one that began last
holds, and of those of one day the last that was made.
"""

from __future__ import annotations

import msgspec

from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms

COLUMNS = "id, model, valid_from, input, cache_read, cache_write, output, made_ms"


class PriceRow(msgspec.Struct, frozen=True):
    """Exact decimal dollars for a million tokens. `model` is `provider/model`, `valid_from` a local date
    (`2026-11-25`). Without a price for the cache, what is read from it or written to it is input like any
    other. `input` and `output` are both None where the program's own list holds again."""

    id: int
    model: str
    valid_from: str
    input: str | None
    cache_read: str | None
    cache_write: str | None
    output: str | None
    made_ms: int


def every(db: Db) -> list[PriceRow]:
    """All versions of all prices: by model, the one that begins last first."""
    found = db.sql.execute(f"select {COLUMNS} from price order by model, valid_from desc, id desc")
    return [PriceRow(*row) for row in found]


def add(
    db: Db,
    model: str,
    valid_from: str,
    *,
    input: str | None,
    cache_read: str | None,
    cache_write: str | None,
    output: str | None,
) -> None:
    """Keep a new version of a model's price."""
    values = (model, valid_from, input, cache_read, cache_write, output, now_ms())
    db.sql.execute(
        "insert into price (model, valid_from, input, cache_read, cache_write, output, made_ms) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        values,
    )
