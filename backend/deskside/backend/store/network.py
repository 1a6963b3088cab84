"""The network ledger: what left this machine, to whom, why and how much."""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.network.purpose import Kind
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, storable

# Whichever comes first. A model call is a row; a heavy day has some thousands.
ROWS_KEPT = 100_000
KEPT_DAYS = 30
LONGEST_NAME = 300

_COLUMNS = (
    "id, at_ms, duration_ms, host, port, is_loopback, via, purpose, subject, request_id, "
    "sent_bytes, received_bytes, outcome"
)


class NetworkRow(msgspec.Struct, frozen=True):
    """One use of a connection. `via` is the proxy's host where there is one. `duration_ms` is None and
    `outcome` empty while it goes on. `id` is None before it is stored."""

    id: int | None
    at_ms: int
    duration_ms: int | None
    host: str
    port: int
    is_loopback: bool
    via: str
    purpose: Kind
    subject: str
    request_id: str
    sent_bytes: int
    received_bytes: int
    outcome: str


class HostTotal(msgspec.Struct, frozen=True):
    """What one host got and gave. `purposes` are what for, the most frequent first."""

    host: str
    is_loopback: bool
    uses: int
    refused: int
    sent_bytes: int
    received_bytes: int
    last_ms: int
    purposes: list[Kind]


def keep(db: Db, rows: list[NetworkRow]) -> list[int]:
    """Store rows, or store them anew; returns their ids in the same order. The oldest rows go."""
    ids: list[int] = []
    for row in rows:
        values = msgspec.structs.astuple(row)
        named = [storable(each)[:LONGEST_NAME] if isinstance(each, str) else each for each in values]
        marks = ", ".join("?" * len(named))
        stored = db.sql.execute(
            f"insert into network_use ({_COLUMNS}) values ({marks}) on conflict (id) do update set "
            "duration_ms = excluded.duration_ms, sent_bytes = excluded.sent_bytes, "
            "received_bytes = excluded.received_bytes, outcome = excluded.outcome returning id",
            named,
        ).fetchone()
        ids.append(stored[0])
    db.sql.execute("delete from network_use where id <= (select max(id) from network_use) - ?", (ROWS_KEPT,))
    return ids


def begin_anew(db: Db) -> None:
    """At a start: what was going on ended with the program, and what is old goes."""
    db.sql.execute("update network_use set outcome = 'lost' where outcome = ''")
    db.sql.execute("delete from network_use where at_ms < ?", (now_ms() - KEPT_DAYS * 86_400_000,))


def page(
    db: Db, before: int | None, limit: int, host: str, purpose: str, with_loopback: bool
) -> list[NetworkRow]:
    """Newest first, those with a smaller id than `before`. An empty `host` or `purpose` stands for all."""
    found = db.sql.execute(
        f"select {_COLUMNS} from network_use where (? is null or id < ?) and (? = '' or host = ?) "
        "and (? = '' or purpose = ?) and (? or not is_loopback) order by id desc limit ?",
        (before, before, host, host, purpose, purpose, with_loopback, limit),
    )
    return [_row(values) for values in found]


def totals(db: Db, since_ms: int, with_loopback: bool) -> list[HostTotal]:
    """By host, whoever got most first."""
    found = db.sql.execute(
        "select host, is_loopback, sum(uses), sum(refused), sum(sent), sum(received), max(last), "
        "group_concat(purpose) from ("
        " select host, is_loopback, purpose, count(*) as uses, sum(outcome = 'refused') as refused, "
        " sum(sent_bytes) as sent, sum(received_bytes) as received, max(at_ms) as last"
        " from network_use where at_ms >= ? and (? or not is_loopback)"
        " group by host, is_loopback, purpose order by uses desc"
        ") group by host, is_loopback order by sum(sent) + sum(received) desc, host",
        (since_ms, with_loopback),
    )
    return [
        HostTotal(host, bool(is_loopback), uses, refused, sent, received, last_ms, purposes.split(","))
        for host, is_loopback, uses, refused, sent, received, last_ms, purposes in found
    ]


def _row(values: tuple[Any, ...]) -> NetworkRow:
    row = NetworkRow(*values)
    return msgspec.structs.replace(row, is_loopback=bool(row.is_loopback))
