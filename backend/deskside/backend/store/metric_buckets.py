"""The history of what the program used of the machine: five minutes a row, for 30 days."""

from __future__ import annotations

from itertools import groupby

from deskside.backend.metrics.samples import BUCKET_MS, Bucket, decode, encode, merged
from deskside.backend.store.connection import Db

KEPT_MS = 30 * 24 * 3_600_000


def add(db: Db, bucket: Bucket) -> None:
    """Keep a bucket, together with what is there of the same minutes: the program may have been started
    again. Rows that are older than 30 days go."""
    found = db.sql.execute("select data from metric_bucket where at_ms = ?", (bucket.at_ms,)).fetchone()
    if found is not None:
        bucket = merged(bucket.at_ms, [Bucket(bucket.at_ms, decode(found[0])), bucket])
    db.sql.execute(
        "insert or replace into metric_bucket (at_ms, data) values (?, ?)",
        (bucket.at_ms, encode(bucket.series)),
    )
    db.sql.execute("delete from metric_bucket where at_ms < ?", (bucket.at_ms - KEPT_MS,))


def since(db: Db, at_ms: int, most: int) -> list[Bucket]:
    """The buckets from `at_ms` on, oldest first, joined so that a whole period of them is at most `most`."""
    rows = db.sql.execute(
        "select at_ms, data from metric_bucket where at_ms >= ? order by at_ms", (at_ms,)
    ).fetchall()
    if not rows:
        return []
    each_ms = BUCKET_MS * max(1, -(-(rows[-1][0] - at_ms) // (BUCKET_MS * most)))
    return [
        merged(begin, [Bucket(row_ms, decode(data)) for row_ms, data in group])
        for begin, group in groupby(rows, key=lambda row: row[0] - row[0] % each_ms)
    ]
