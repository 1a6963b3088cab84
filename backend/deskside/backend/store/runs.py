"""The recorder: what happened in a run, event by event."""

from __future__ import annotations

import msgspec

from deskside.backend.agent.events import RunEvent
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json

RecordedEvent = tuple[int, int, RunEvent]
"""Number within the run, Unix milliseconds, and the event."""

_read_event = msgspec.json.Decoder(RunEvent).decode


def record_events(db: Db, run_id: int, events: list[RecordedEvent]) -> None:
    """Keep events. Deltas are not among them: their text is in the message. One that was kept before may
    come again."""
    db.sql.executemany(
        "insert into run_event (run, n, at_ms, kind, data) values (?, ?, ?, ?, ?) "
        "on conflict do update set at_ms = excluded.at_ms, kind = excluded.kind, data = excluded.data",
        [(run_id, n, at_ms, event.__struct_config__.tag, as_json(event)) for n, at_ms, event in events],
    )


def events(db: Db, run_id: int) -> list[RecordedEvent]:
    """All events of a run in order; none for a run that is not there."""
    rows = db.sql.execute("select n, at_ms, data from run_event where run = ? order by n", (run_id,))
    return [(n, at_ms, _read_event(data)) for n, at_ms, data in rows]
