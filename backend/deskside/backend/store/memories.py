"""What the assistant was asked to remember: the user's own notebook, a line each."""

from __future__ import annotations

import msgspec

from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms, storable

MOST_MEMORIES = 500
LONGEST_MEMORY = 1_000  # characters


class MemoryRow(msgspec.Struct, frozen=True):
    """One memory, and the conversation it comes from where that is still there. `is_tainted` says that text
    from outside was in the run that wrote it, which may have put it there."""

    id: int
    text: str
    conversation_id: int | None
    conversation_title: str | None
    is_tainted: bool
    created_ms: int
    updated_ms: int


ROWS = (
    "select memory.id, memory.text, c.id, c.title, is_tainted, memory.created_ms, memory.updated_ms "
    "from memory left join conversation c on c.id = memory.conversation and c.deleted_ms is null"
)


def add(
    db: Db, text: str, *, conversation_id: int, run_id: int, agent_id: int | None, is_tainted: bool
) -> int:
    """Keep a text; one that is there already is not kept twice. Returns its id. Raises Conflict where the
    notebook is full."""
    text = _cleaned(text)
    known = db.sql.execute("select id from memory where text = ?", (text,)).fetchone()
    if known is not None:
        return int(known[0])
    (count,) = db.sql.execute("select count(*) from memory").fetchone()
    if count >= MOST_MEMORIES:
        raise Conflict(
            f"There are {MOST_MEMORIES} memories already.", hint="Delete some in Settings, under Memory."
        )
    at_ms = now_ms()
    memory = db.Memory(
        text=text,
        conversation=conversation_id,
        run=run_id,
        agent=agent_id,
        is_tainted=is_tainted,
        created_ms=at_ms,
        updated_ms=at_ms,
    )
    db.flush()
    return int(memory.id)


def rows(db: Db) -> list[MemoryRow]:
    """All of them, the last changed first."""
    found = db.sql.execute(f"{ROWS} order by memory.updated_ms desc, memory.id desc")
    return [_row(*row) for row in found]


def change(db: Db, memory_id: int, text: str) -> MemoryRow:
    """Give one another text. It stays marked where it was: who corrects a letter has not vouched for all."""
    memory = db.Memory.get(id=memory_id)
    if memory is None:
        raise _not_found(memory_id)
    memory.set(text=_cleaned(text), updated_ms=now_ms())
    return _row(*db.sql.execute(f"{ROWS} where memory.id = ?", (memory_id,)).fetchone())


def delete(db: Db, memory_id: int) -> None:
    """Forget one for good."""
    memory = db.Memory.get(id=memory_id)
    if memory is None:
        raise _not_found(memory_id)
    memory.delete()


def _cleaned(text: str) -> str:
    text = storable(text).strip()
    if not text:
        raise Conflict("A memory needs a text.", hint="Write what shall be remembered.")
    return text


def _row(
    id: int,
    text: str,
    conversation_id: int | None,
    conversation_title: str | None,
    is_tainted: int,
    created_ms: int,
    updated_ms: int,
) -> MemoryRow:
    return MemoryRow(id, text, conversation_id, conversation_title, bool(is_tainted), created_ms, updated_ms)


def _not_found(memory_id: int) -> NotFound:
    return NotFound(f"memory {memory_id} was deleted")
