"""What the user allowed an agent for good: one row a tool."""

from __future__ import annotations

from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms


def is_granted(db: Db, agent_id: int, tool: str) -> bool:
    """Whether the agent may use this tool without asking, where asking is a matter of being allowed."""
    sql = "select 1 from tool_grant where agent = ? and tool = ?"
    return db.sql.execute(sql, (agent_id, tool)).fetchone() is not None


def of_agent(db: Db, agent_id: int) -> list[str]:
    """The tools that the agent may use without asking, by name."""
    rows = db.sql.execute("select tool from tool_grant where agent = ? order by tool", (agent_id,))
    return [row[0] for row in rows.fetchall()]


def add(db: Db, agent_id: int, tool: str) -> None:
    """Allow a tool for good. One that is allowed already stays so."""
    db.sql.execute(
        "insert into tool_grant (agent, tool, created_ms) values (?, ?, ?) on conflict do nothing",
        (agent_id, tool, now_ms()),
    )


def remove(db: Db, agent_id: int, tool: str) -> None:
    """Take it back."""
    db.sql.execute("delete from tool_grant where agent = ? and tool = ?", (agent_id, tool))
