"""The error log that the user can look at: what failed, where, and in which request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from deskside.backend.errors import AppError
from deskside.backend.log import request_id
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, storable

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

# Enough to see when something began; a fault that repeats must not fill the disk.
ROWS_KEPT = 1000
LONGEST_MESSAGE = 2_000
LONGEST_DETAIL = 20_000


class ErrorRow(msgspec.Struct, frozen=True):
    """One failure. `source` is the part that saw it (`window`, `command`, `run`), `place` where in it."""

    id: int
    at_ms: int
    source: str
    code: str
    message: str
    place: str
    detail: str
    request_id: str


async def keep(store: Store, source: str, error: AppError, where: str, detail: str) -> None:
    """As `record`, for who has an error to answer with: a store that cannot take it is no second error."""
    try:
        await store.write_soon(record, source, error.code, error.message, where, detail)
    except (AppError, RuntimeError) as failure:
        # RuntimeError: the store is closed. The log has the error in any case.
        logger.warning("an error could not be kept: {}", type(failure).__name__)


def record(db: Db, source: str, code: str, message: str, where: str, detail: str) -> None:
    """Keep a failure together with the request it belongs to. Long texts are cut; the oldest rows go."""
    db.ErrorLog(
        at_ms=now_ms(),
        source=source,
        code=code,
        message=storable(message)[:LONGEST_MESSAGE],
        place=storable(where)[:LONGEST_MESSAGE],
        detail=storable(detail)[:LONGEST_DETAIL],
        request_id=request_id.get(),
    )
    db.sql.execute("delete from error_log where id <= (select max(id) from error_log) - ?", (ROWS_KEPT,))


def of_request(db: Db, id: str) -> list[ErrorRow]:
    """The failures of one request, in their order."""
    rows = db.sql.execute(
        "select id, at_ms, source, code, message, place, detail, request_id "
        "from error_log where request_id = ? order by id",
        (id,),
    )
    return [ErrorRow(*row) for row in rows]


def recent(db: Db, limit: int) -> list[ErrorRow]:
    """The last failures, newest first."""
    rows = db.sql.execute(
        "select id, at_ms, source, code, message, place, detail, request_id "
        "from error_log order by id desc limit ?",
        (limit,),
    )
    return [ErrorRow(*row) for row in rows]
