"""The error log that the user can look at: what failed, where, how often, and in which request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from deskside.backend import redaction
from deskside.backend.errors import AppError, NotFound
from deskside.backend.log import last_call, request_id
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms, storable
from deskside.backend.version import VERSION

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

# Enough to see when something began; a fault that repeats must not fill the disk.
ROWS_KEPT = 1000
LONGEST_MESSAGE = 2_000
LONGEST_DETAIL = 20_000
SHOWN_AT_ONCE = 3
EARLIER_KEPT = 9

COLUMNS = (
    "id, at_ms, source, code, message, place, detail, request_id, fingerprint, count, first_ms, version, "
    "doing, is_shown, earlier"
)


class Occurrence(msgspec.Struct, frozen=True):
    """One time that a failure came."""

    at_ms: int
    request_id: str


_read_earlier = msgspec.json.Decoder(list[Occurrence]).decode


class ErrorRow(msgspec.Struct, frozen=True):
    """One kind of failure, as it came last at `at_ms`, and `count` times since `first_ms`.

    `source` is the part that saw it: `command` and `run` told who asked; `thread`, `task`, `child` (a program
    that we started), `window` (the page), `renderer` (the process that draws it), `crash` (of Python itself)
    and `program` told nobody, so the page does, once (`is_shown`). `place` is where in it, `detail` the
    stack, `version` Deskside's, `doing` the last command that the user gave before, all as they were last.
    `earlier` are the last times before that, newest first.
    """

    id: int
    at_ms: int
    source: str
    code: str
    message: str
    place: str
    detail: str
    request_id: str
    fingerprint: str
    count: int
    first_ms: int
    version: str
    doing: str
    is_shown: bool
    earlier: list[Occurrence] = []


class Failure(msgspec.Struct, frozen=True):
    """A failure that nobody was told of, on its way into the log."""

    source: str
    code: str
    message: str
    place: str = ""
    detail: str = ""
    request_id: str = "-"
    doing: str = ""
    version: str = VERSION
    at_ms: int = msgspec.field(default_factory=now_ms)


async def keep(store: Store, source: str, error: AppError, where: str, detail: str) -> ErrorRow | None:
    """As `record`, for who has an error to answer with: a store that cannot take it is no second error. None
    then."""
    try:
        return await store.write_soon(record, source, error.code, error.message, where, detail)
    except (AppError, RuntimeError) as failure:
        # RuntimeError: the store is closed. The log has the error in any case.
        logger.warning("an error could not be kept: {}", type(failure).__name__)
        return None


def record(db: Db, source: str, code: str, message: str, where: str, detail: str) -> ErrorRow:
    """Keep a failure of which the user is told elsewhere, together with the request it belongs to. Returns
    its row."""
    return _write(
        db, Failure(source, code, message, where, detail, request_id.get(), last_call()), is_shown=True
    )


def record_untold(db: Db, failures: Sequence[Failure]) -> list[ErrorRow]:
    """Keep failures that nobody was told of. Returns their rows as they are now."""
    return [_write(db, failure, is_shown=False) for failure in failures]


def _write(db: Db, failure: Failure, *, is_shown: bool) -> ErrorRow:
    """Raise the count of its kind, or add it. Long texts are cut; the oldest rows go."""
    redact = redaction.PROCESS.redact
    kind = fingerprint(failure)
    row = db.sql.execute(
        "insert into error_log (at_ms, source, code, message, place, detail, request_id, fingerprint, "
        "first_ms, version, doing, is_shown, earlier) "
        "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1, ?9, ?10, ?11, ?12) "
        "on conflict (fingerprint) where fingerprint <> '' do update set count = count + 1, "
        "at_ms = excluded.at_ms, message = excluded.message, place = excluded.place, "
        "detail = excluded.detail, request_id = excluded.request_id, version = excluded.version, "
        f"doing = excluded.doing, earlier = excluded.earlier returning {COLUMNS}",
        (
            failure.at_ms,
            failure.source,
            failure.code,
            storable(redact(failure.message))[:LONGEST_MESSAGE],
            storable(redact(failure.place))[:LONGEST_MESSAGE],
            storable(redact(failure.detail))[:LONGEST_DETAIL],
            redact(failure.request_id),
            kind,
            failure.version,
            redact(failure.doing),
            is_shown,
            as_json(_before(db, kind)),
        ),
    ).fetchone()
    db.sql.execute(
        "delete from error_log where id in "
        "(select id from error_log order by at_ms desc, id desc limit -1 offset ?)",
        (ROWS_KEPT,),
    )
    return _row(row)


def _before(db: Db, kind: str) -> list[Occurrence]:
    """The last times that a failure of this kind came, newest first."""
    row = db.sql.execute(
        "select at_ms, request_id, earlier from error_log where fingerprint = ?", (kind,)
    ).fetchone()
    if row is None:
        return []
    at_ms, id, earlier = row
    return [Occurrence(at_ms, id), *_read_earlier(earlier)][:EARLIER_KEPT]


def fingerprint(failure: Failure) -> str:
    """16 hex digits that failures of one kind share: numbers (of runs, of lines) make no difference where
    there is a stack to tell them apart by."""
    message = _without_numbers(failure.message) if failure.detail else failure.message
    parts = (failure.source, failure.code, _without_numbers(failure.place), message)
    text = "\0".join((*parts, _without_numbers(failure.detail)))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def of_request(db: Db, id: str) -> list[ErrorRow]:
    """The failures of one request, in their order, as each came last."""
    rows = db.sql.execute(
        f"select {COLUMNS} from error_log where request_id = ?1 or exists (select 1 from json_each(earlier) "
        "where json_extract(value, '$.request_id') = ?1) order by id",
        (id,),
    )
    return [_row(row) for row in rows.fetchall()]


def recent(db: Db, limit: int) -> list[ErrorRow]:
    """The last failures, newest first."""
    rows = db.sql.execute(
        f"select {COLUMNS} from error_log order by at_ms desc, id desc limit ?", (limit,)
    ).fetchall()
    return [_row(row) for row in rows]


def get(db: Db, id: int) -> ErrorRow:
    """Raises NotFound."""
    row = db.sql.execute(f"select {COLUMNS} from error_log where id = ?", (id,)).fetchone()
    if row is None:
        raise NotFound("This error is not in the log any more.")
    return _row(row)


def untold(db: Db) -> list[ErrorRow]:
    """The newest of those that the user has not been told of, oldest first."""
    rows = db.sql.execute(
        f"select {COLUMNS} from error_log where not is_shown order by at_ms desc, id desc limit ?",
        (SHOWN_AT_ONCE,),
    ).fetchall()
    return [_row(row) for row in reversed(rows)]


def mark_shown(db: Db) -> None:
    """The user was told of all there are."""
    db.sql.execute("update error_log set is_shown = 1 where not is_shown")


def clear(db: Db) -> None:
    db.sql.execute("delete from error_log")


def _row(row: Sequence[Any]) -> ErrorRow:
    fields = dict(zip(COLUMNS.split(", "), row, strict=True))
    read = {"is_shown": bool(fields["is_shown"]), "earlier": _read_earlier(fields["earlier"])}
    return ErrorRow(**{**fields, **read})


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "#", text)
