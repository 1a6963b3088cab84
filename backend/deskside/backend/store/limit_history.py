"""What limits were, and when each was set."""

from __future__ import annotations

import msgspec

from deskside.backend.agent.limits import AgentLimits, Limits
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms

_of_all = msgspec.json.Decoder(Limits).decode
_of_agent = msgspec.json.Decoder(AgentLimits).decode


class LimitChange(msgspec.Struct, frozen=True):
    """Limits that were set, those of all agents together or of the agent with this label. Only one of
    `limits` and `agent_limits` is there."""

    at_ms: int
    agent: str | None
    limits: Limits | None
    agent_limits: AgentLimits | None


def note(db: Db, agent_id: int | None, limits: Limits | AgentLimits) -> None:
    """Keep what limits are from now on, where that is another than what was kept last."""
    text = as_json(limits)
    last = db.sql.execute(
        "select limits from limit_change where agent is ? order by id desc limit 1", (agent_id,)
    ).fetchone()
    before = Limits() if agent_id is None else AgentLimits()
    read = _of_all if agent_id is None else _of_agent
    if limits != (before if last is None else read(last[0])):
        db.sql.execute(
            "insert into limit_change (at_ms, agent, limits) values (?, ?, ?)", (now_ms(), agent_id, text)
        )


def recent(db: Db, limit: int) -> list[LimitChange]:
    """The last changes, newest first."""
    found = db.sql.execute(
        "select at_ms, agent, iif(agent.label = '', agent.name, agent.label), limit_change.limits "
        "from limit_change left join agent on agent.id = agent order by limit_change.id desc limit ?",
        (limit,),
    )
    return [
        LimitChange(at_ms, None, _of_all(text), None)
        if agent_id is None
        else LimitChange(at_ms, label, None, _of_agent(text))
        for at_ms, agent_id, label, text in found
    ]
