"""Clears recordings away that are old, or more than the user wants to keep.

Each function is a small unit of work, so that what is written meanwhile waits for one of them at most. The
runs stay, with what they used; only how they came about is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from deskside.backend.agent.recording import Ranges
from deskside.backend.store.connection import Db

RUNS_AT_ONCE = 20
ITEMS_AT_ONCE = 500
CLOCK_MAY_DIFFER_MS = 60_000
REFERRING = "items is not null"

_read_items = msgspec.json.Decoder(Ranges).decode


class Sizes(msgspec.Struct, frozen=True):
    """Bytes that recordings take: by run, the oldest first, and of what they share."""

    runs: list[tuple[int, int]]
    items: int


class Unreferred(msgspec.Struct, frozen=True):
    """Items that no request named at `at_ms`, when `last_run` was the last run."""

    ids: list[int]
    at_ms: int
    last_run: int


def older_than(db: Db, before_ms: int) -> list[int]:
    """Recorded runs that ended before then, the oldest first; a few of them."""
    rows = db.sql.execute(
        "select run.id from run where exists (select 1 from run_event where run_event.run = run.id) "
        "and run.status <> 'running' and ifnull(run.finished_ms, run.started_ms) < ? order by run.id limit ?",
        (before_ms, RUNS_AT_ONCE),
    )
    return [run for (run,) in rows]


def sizes(db: Db) -> Sizes:
    """What recordings take. Looks at each row's length: about a second for a gigabyte."""
    runs = db.sql.execute(
        "select run_event.run, sum(length(data) + ifnull(length(packed), 0) + ifnull(length(items), 0)) "
        "from run_event join run on run.id = run_event.run where run.status <> 'running' "
        "group by run_event.run order by run_event.run"
    ).fetchall()
    (items,) = db.sql.execute("select ifnull(sum(length(data)), 0) from recorded_item").fetchone()
    return Sizes([(run, size) for run, size in runs], items)


def clear(db: Db, run_ids: Iterable[int]) -> None:
    """Remove what was recorded of these runs. Items that they alone referred to are left for
    `remove_items`."""
    db.sql.executemany("delete from run_event where run = ?", [(run,) for run in run_ids])


def unreferred(db: Db, at_ms: int) -> Unreferred:
    """Which items no request names any more. `at_ms` is now."""
    (last_run,) = db.sql.execute("select ifnull(max(id), 0) from run").fetchone()
    used = _referred_to(db, REFERRING)
    ids = [id for (id,) in db.sql.execute("select id from recorded_item order by id") if id not in used]
    return Unreferred(ids, at_ms, last_run)


def remove_items(db: Db, found: Unreferred) -> None:
    """Remove the first few of what was found, but for what a run has referred to since."""
    used = _referred_to(
        db,
        f"{REFERRING} and run in (select id from run where id > ? or status = 'running' or finished_ms > ?)",
        found.last_run,
        found.at_ms - CLOCK_MAY_DIFFER_MS,
    )
    db.sql.executemany(
        "delete from recorded_item where id = ?",
        [(id,) for id in found.ids[:ITEMS_AT_ONCE] if id not in used],
    )


def _referred_to(db: Db, where: str, *values: int) -> set[int]:
    used: set[int] = set()
    for (items,) in db.sql.execute(f"select items from run_event where {where}", values):
        for first, count in _read_items(items):
            used.update(range(first, first + count))
    return used
