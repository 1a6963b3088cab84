"""The recorder: what happened in a run, fact by fact."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deskside.backend.agent.events import HistoryItem, ModelRequest, Usage
from deskside.backend.agent.recorder import Noted, WithItems
from deskside.backend.agent.recording import (
    ModelAsked,
    Ranges,
    Recorded,
    ReplyShown,
    RunBegan,
    RunEnded,
    as_ranges,
    ids_of,
)
from deskside.backend.errors import NotFound
from deskside.backend.recordings.run_file import FileCall, FileFact, FileRun, RunFile
from deskside.backend.store import recorded_items, settings
from deskside.backend.store.connection import Db
from deskside.backend.store.first_start import STORE_ID
from deskside.backend.store.recorded_items import Redact
from deskside.backend.store.text import as_json
from deskside.backend.version import VERSION

RecordedFact = tuple[int, int, Recorded]
"""Number within the run, Unix milliseconds, and the fact."""

FACTS = "facts"
"""The kind of a row that holds several. Before there was a recorder, each had a row of its own."""

PUT_FACTS = """
  insert into run_event (run, n, at_ms, kind, data, items, packed) values (?, ?, ?, ?, ?, ?, ?)
  on conflict do update set at_ms = excluded.at_ms, kind = excluded.kind, data = excluded.data,
    items = excluded.items, packed = excluded.packed"""

ROWS = "select n, at_ms, data, packed from run_event where run = ?"

_read_row = msgspec.json.Decoder(Recorded | list[tuple[int, Recorded]]).decode


def record_events(db: Db, run_id: int, noted: Sequence[Noted], redact: Redact = str) -> None:
    """Keep facts that follow each other, as one row, without what `redact` takes out of their texts. One that
    was kept before may come again."""
    facts: list[tuple[int, Recorded]] = []
    items: Ranges = []
    for _, at_ms, each in noted:
        fact = each
        if isinstance(fact, WithItems):
            ranges = as_ranges(recorded_items.keep(db, fact.items, redact))
            fact = msgspec.structs.replace(fact.fact, items=ranges)
            items += ranges
        facts.append((at_ms, fact))
    text = redact(as_json(facts))
    is_short = len(text) < recorded_items.PACKED_FROM
    data, packed = (text, None) if is_short else ("", recorded_items.packed(text))
    n, at_ms, _ = noted[0]
    db.sql.execute(PUT_FACTS, (run_id, n, at_ms, FACTS, data, as_json(items) if items else None, packed))


def record_shown(db: Db, run_id: int, shown: ReplyShown) -> bool:
    """Keep how a window showed the reply of a run that has ended. False where that is known already, or the
    run was not recorded."""
    row = db.sql.execute(f"{ROWS} order by n desc limit 1", (run_id,)).fetchone()
    if row is None:
        return False
    n, at_ms, last = _facts_of(*row)[-1]
    if not isinstance(last, RunEnded):
        return False
    record_events(db, run_id, [(n + 1, at_ms + shown.after_ms, shown)])
    return True


def events(db: Db, run_id: int) -> list[RecordedFact]:
    """All facts of a run in order; none for a run that is not there, or was not recorded."""
    found: dict[int, RecordedFact] = {}
    for row in db.sql.execute(f"{ROWS} order by n", (run_id,)):
        found.update((fact[0], fact) for fact in _facts_of(*row))
    return list(found.values())


def _facts_of(first: int, at_ms: int, data: str, packed: bytes | None) -> list[RecordedFact]:
    read = _read_row(data if packed is None else recorded_items.unpacked(packed))
    together = read if isinstance(read, list) else [(at_ms, read)]
    return [(n, each_ms, fact) for n, (each_ms, fact) in enumerate(together, first)]


def request(db: Db, asked: ModelAsked) -> ModelRequest:
    """The request as the loop made it. Files are not in it: the history has their hashes and texts."""
    instructions, tools, *history = ids_of(asked.items)
    return ModelRequest(
        recorded_items.history(db, history),
        recorded_items.instructions(db, instructions),
        recorded_items.tools(db, tools),
        asked.max_output_tokens,
        asked.temperature,
        asked.reasoning_effort,
        asked.output_schema,
        asked.may_use_tools,
    )


def start_history(db: Db, began: RunBegan) -> list[HistoryItem]:
    """What a run began with."""
    return recorded_items.history(db, ids_of(began.items))


# -- a run with all that worked for it ----------------------------------------------------------

ROOT = """with recursive above (id, parent) as (
    select id, parent from run where id = ?
    union all select run.id, run.parent from above join run on run.id = above.parent
  ) select id from above order by id limit 1"""

FAMILY = """with recursive family (id) as (
    select ? union all select run.id from family join run on run.parent = family.id
  ) select run.id, run.parent, run.conversation, run.message, ifnull(agent.name, ''), run.model, run.status,
    run.reason, run.request_id, run.started_ms, run.finished_ms
  from family join run on run.id = family.id left join agent on agent.id = run.agent order by run.id"""


def root_of(db: Db, run_id: int) -> int:
    """The run that this one works for in the end; itself where nobody asked for it. Raises NotFound."""
    row = db.sql.execute(ROOT, (run_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no run {run_id}.", hint="It may have been deleted with its conversation.")
    return int(row[0])


def recording(db: Db, run_id: int, *, with_items: bool = True) -> RunFile:
    """A run, the one that it works for, and all that work for that one. `with_items` False leaves out what
    requests are made of, which is most of it. Raises NotFound."""
    rows = db.sql.execute(FAMILY, (root_of(db, run_id),)).fetchall()
    runs = [
        FileRun(
            id=id, parent=parent, conversation_id=conversation, message_id=message, agent=agent, model=model,
            status=status, reason=reason, request_id=request_id, started_ms=started_ms,
            finished_ms=finished_ms, calls=_calls(db, id),
            facts=[FileFact(*fact) for fact in events(db, id)],
        )
        for id, parent, conversation, message, agent, model, status, reason, request_id, started_ms,
        finished_ms in rows
    ]  # fmt: skip
    store_id = str(settings.load(db)[STORE_ID])
    if not with_items:
        return RunFile(program=VERSION, store_id=store_id, runs=runs)
    return _with_items(db, RunFile(program=VERSION, store_id=store_id, runs=runs))


def _calls(db: Db, run_id: int) -> list[FileCall]:
    rows = db.sql.execute(
        "select call_id, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, "
        "reasoning_tokens, cost_nano_usd, state <> 'unknown' and reported = 'part' "
        "from usage_record where run = ? order by id",
        (run_id,),
    )
    return [
        FileCall(call_id, model, Usage(*used), cost, bool(is_partial))
        for call_id, model, *used, cost, is_partial in rows
    ]


def _with_items(db: Db, file: RunFile) -> RunFile:
    """The same with its items, numbered anew."""
    used = sorted(
        {
            id
            for run in file.runs
            for each in run.facts
            if isinstance(each.fact, ModelAsked | RunBegan)
            for id in ids_of(each.fact.items)
        }
    )
    numbers = {id: n for n, id in enumerate(used, 1)}

    def numbered(each: FileFact) -> FileFact:
        if not isinstance(each.fact, ModelAsked | RunBegan):
            return each
        items = as_ranges([numbers[id] for id in ids_of(each.fact.items)])
        return FileFact(each.n, each.at_ms, msgspec.structs.replace(each.fact, items=items))

    runs = [msgspec.structs.replace(run, facts=[numbered(each) for each in run.facts]) for run in file.runs]
    return msgspec.structs.replace(file, runs=runs, items=recorded_items.all_of(db, used))


def of_request(db: Db, request_id: str) -> list[int]:
    """The runs that a request asked for, without those that work for them."""
    rows = db.sql.execute(
        "select id from run where request_id = ? and parent is null order by id", (request_id,)
    )
    return [id for (id,) in rows]


def last_of(db: Db, message_id: int) -> list[int]:
    """The runs that wrote a reply, the last one first: a reply that went on has several."""
    return [
        id for (id,) in db.sql.execute("select id from run where message = ? order by id desc", (message_id,))
    ]
