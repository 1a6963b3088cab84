"""Agents: who answers, with which instructions, model, tools and limits.

Invariants
  - Among the agents that were not deleted a name is unique (an index says so too).
  - The default agent is always there and always active.
  - Sub-agents are kept by name. A name may be of no agent (one that was deleted, or not imported yet):
    whoever delegates leaves it out. No agent names itself. Two may name each other; the runner limits how
    deep that goes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from deskside.backend.agent.limits import AgentLimits
from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.store import limit_history
from deskside.backend.store.connection import Db
from deskside.backend.store.text import CONTROL, INVISIBLE, as_json, now_ms, storable

DEFAULT = "assistant"
STEP_LIMIT = 20
LONGEST_NAME = 48
LONGEST_LABEL = 100

# `$` alone would let a line break at the end through.
AgentName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,47}(?!\\n)$")]
ToolName = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.:/-]{1,128}(?!\\n)$")]
AgentModel = Annotated[
    str, msgspec.Meta(pattern="^[a-z][a-z0-9-]*/[^\\x00-\\x1f\\x7f]+(?!\\n)$", max_length=300)
]
Label = Annotated[str, msgspec.Meta(max_length=LONGEST_LABEL)]
Icon = Annotated[str, msgspec.Meta(max_length=32)]
Instructions = Annotated[str, msgspec.Meta(max_length=200_000)]
FallbackModels = Annotated[list[AgentModel], msgspec.Meta(max_length=10)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
OutputTokens = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Effort = Literal["minimal", "low", "medium", "high"]
StepLimit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
ToolNames = Annotated[list[ToolName], msgspec.Meta(max_length=500)]
Subagents = Annotated[list[AgentName], msgspec.Meta(max_length=50)]


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says of an agent. `model` None takes the conversation's; `fallback_models` are tried in
    order when it fails. None for `temperature`, `max_output_tokens` and `reasoning_effort` leaves them to
    the provider. `tools` None is every tool that is enabled. A run makes at most `step_limit` model calls.

    An agent that is not active is not offered and not delegated to; conversations that have it keep it.
    """

    name: AgentName
    label: Label = ""
    icon: Icon = ""
    instructions: Instructions = ""
    model: AgentModel | None = None
    fallback_models: FallbackModels = []
    temperature: Temperature | None = None
    max_output_tokens: OutputTokens | None = None
    reasoning_effort: Effort | None = None
    output_schema: dict[str, Any] | None = None
    step_limit: StepLimit = STEP_LIMIT
    tools: ToolNames | None = None
    subagents: Subagents = []
    limits: AgentLimits = AgentLimits()
    is_active: bool = True


class AgentRow(Agent, frozen=True, kw_only=True):
    """An agent as it is stored. Its label is never empty: where none was given it is the name."""

    id: int


# In the order that `_row` reads.
COLUMNS = (
    "id, name, label, icon, instructions, model, fallback_models, temperature, max_output_tokens, "
    "reasoning_effort, output_schema, step_limit, tools, subagents, limits, is_active"
)
AS_JSON = frozenset({"fallback_models", "output_schema", "tools", "subagents", "limits"})

_names = msgspec.json.Decoder(list[str]).decode
_schema = msgspec.json.Decoder(dict[str, Any]).decode
_limits = msgspec.json.Decoder(AgentLimits).decode
_no_limits = AgentLimits()


# -- reading ------------------------------------------------------------------------------------

# Not through the entity: every run asks for its agent, and it would be a fifth of what storing one costs.


def default(db: Db) -> AgentRow:
    """The agent of new conversations."""
    row = db.sql.execute(
        f"select {COLUMNS} from agent where name = ? and deleted_ms is null", (DEFAULT,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no agent {DEFAULT!r}", hint="Start Deskside again.")
    return _row(row)


def get(db: Db, agent_id: int) -> AgentRow:
    """One agent. NotFound if there is none, or it was deleted."""
    row = db.sql.execute(
        f"select {COLUMNS} from agent where id = ? and deleted_ms is null", (agent_id,)
    ).fetchone()
    if row is None:
        raise not_found(agent_id)
    return _row(row)


def by_name(db: Db, name: str) -> AgentRow:
    """One agent. NotFound if none that was not deleted has this name."""
    row = db.sql.execute(
        f"select {COLUMNS} from agent where name = ? and deleted_ms is null", (name,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no agent named {name!r}", hint="It may have been deleted or renamed.")
    return _row(row)


def of_conversation(db: Db, conversation_id: int) -> AgentRow:
    """Who answers in a conversation: the default agent where none was chosen, or it was deleted."""
    row = db.sql.execute(
        f"select {COLUMNS} from agent where deleted_ms is null "
        "and id = (select agent from conversation where id = ?)",
        (conversation_id,),
    ).fetchone()
    return default(db) if row is None else _row(row)


def of_message(db: Db, message_id: int) -> AgentRow:
    """Who wrote a reply: the default agent where that one was deleted."""
    row = db.sql.execute(
        f"select {COLUMNS} from agent where deleted_ms is null "
        "and id = (select agent from run where message = ? order by id desc limit 1)",
        (message_id,),
    ).fetchone()
    return default(db) if row is None else _row(row)


def all(db: Db) -> list[AgentRow]:
    """Every agent that was not deleted: the default one first, the others by label."""
    rows = db.sql.execute(
        f"select {COLUMNS} from agent where deleted_ms is null "
        "order by name <> ?, lower(case label when '' then name else label end), name",
        (DEFAULT,),
    )
    return [_row(row) for row in rows]


def unknown_names(db: Db, agent: Agent) -> tuple[list[str], list[str]]:
    """The tools and the sub-agents that it names and that are not there."""
    tools = {row[0] for row in db.sql.execute("select name from tool")}
    others = {row[0] for row in db.sql.execute("select name from agent where deleted_ms is null")}
    return (
        [name for name in agent.tools or [] if name not in tools],
        [name for name in agent.subagents if name not in others],
    )


# -- changing -----------------------------------------------------------------------------------


def create(db: Db, agent: Agent) -> AgentRow:
    """Add an agent. Raises Conflict where the name is taken, InvalidRequest for one that cannot be."""
    _check(db, agent, own_id=None)
    at_ms = now_ms()
    row = db.Agent(**_columns(msgspec.structs.asdict(agent)), created_ms=at_ms, updated_ms=at_ms)
    db.flush()
    limit_history.note(db, row.id, agent.limits)
    return get(db, row.id)


def change(db: Db, agent_id: int, changes: dict[str, Any]) -> AgentRow:
    """Change some of an agent's fields, by the names of `Agent`. A new name is also written into the lists
    of those who delegate to it.

    Raises NotFound, Conflict where the name is taken, InvalidRequest for what cannot be.
    """
    before = get(db, agent_id)
    after = msgspec.structs.replace(before, **changes)
    _check(db, after, own_id=agent_id)
    db.Agent[agent_id].set(**_columns(changes), updated_ms=now_ms())
    if after.limits != before.limits:
        limit_history.note(db, agent_id, after.limits)
    if after.name != before.name:
        _rename_in_lists(db, before.name, after.name)
    return get(db, agent_id)


def duplicate(db: Db, agent_id: int) -> AgentRow:
    """Add a copy under a name that is free. What the user allowed the agent for good is not copied."""
    agent = get(db, agent_id)
    label = f"{agent.label} (copy)"
    copy = {name: getattr(agent, name) for name in Agent.__struct_fields__}
    changed = {"name": free_name(db, agent.name), "label": label[:LONGEST_LABEL], "is_active": True}
    return create(db, Agent(**(copy | changed)))


def replace(db: Db, agent_id: int, agent: Agent) -> AgentRow:
    """Put another agent in its place, which keeps its conversations and loses what the user allowed it."""
    db.sql.execute("delete from tool_grant where agent = ?", (agent_id,))
    return change(db, agent_id, {name: getattr(agent, name) for name in Agent.__struct_fields__})


def delete(db: Db, agent_id: int) -> AgentRow:
    """Take it off the list. Its conversations are answered by the default agent from then on; `restore`
    brings all back. What the user allowed it for good is forgotten.

    Raises NotFound, and Conflict for the default agent.
    """
    agent = get(db, agent_id)
    if agent.name == DEFAULT:
        raise Conflict("The default agent cannot be deleted.", hint="Change its instructions instead.")
    db.sql.execute("delete from tool_grant where agent = ?", (agent_id,))
    db.Agent[agent_id].deleted_ms = now_ms()
    return agent


def restore(db: Db, agent_id: int) -> AgentRow:
    """Undo `delete`. Raises NotFound, and Conflict where another agent has taken its name."""
    agent = db.Agent.get(id=agent_id)
    if agent is None:
        raise not_found(agent_id)
    if agent.deleted_ms is not None:
        _check_name_is_free(db, agent.name, own_id=agent_id)
        agent.deleted_ms = None
    return get(db, agent_id)


def free_name(db: Db, name: str) -> str:
    """`name`, or the first of `name-2`, `name-3` … that no agent has."""
    taken = {row[0] for row in db.sql.execute("select name from agent where deleted_ms is null")}
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        ending = f"-{number}"
        candidate = name[: LONGEST_NAME - len(ending)] + ending
    return candidate


def not_found(agent_id: int) -> NotFound:
    return NotFound(f"agent {agent_id} was deleted")


def _check(db: Db, agent: Agent, *, own_id: int | None) -> None:
    """What neither the annotations nor the schema can say."""
    _check_name_is_free(db, agent.name, own_id)
    if own_id is not None and own_id == default(db).id:
        if agent.name != DEFAULT:
            raise Conflict("The default agent keeps its name.", hint="Give it another label instead.")
        if not agent.is_active:
            raise Conflict("The default agent cannot be switched off.", hint="Choose another one in a chat.")
    if agent.name in agent.subagents:
        raise InvalidRequest(f"{agent.name!r} cannot delegate to itself.", hint="Take it off its sub-agents.")
    for kind, names in (("sub-agent", agent.subagents), ("tool", agent.tools or [])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidRequest(f"The {kind} {twice!r} is named twice.", hint="Name each one once.")
    if CONTROL.search(agent.label) or INVISIBLE.search(agent.label):
        raise InvalidRequest(
            "The label holds characters that cannot be seen.", hint="Type it anew instead of pasting it."
        )


def _check_name_is_free(db: Db, name: str, own_id: int | None) -> None:
    row = db.sql.execute(
        "select label from agent where name = ? and deleted_ms is null and id is not ?", (name, own_id)
    ).fetchone()
    if row is not None:
        raise Conflict(f"There is already an agent named {name!r}.", hint="Choose another name.")


def _rename_in_lists(db: Db, before: str, after: str) -> None:
    """Also in agents that were deleted: they may come back."""
    for agent_id, subagents in db.sql.execute("select id, subagents from agent").fetchall():
        names = _names(subagents)
        if before in names:
            renamed = [after if name == before else name for name in names if name != after]
            db.sql.execute("update agent set subagents = ? where id = ?", (as_json(renamed), agent_id))


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of an `Agent` as their columns."""
    return {
        name: as_json(value)
        if name in AS_JSON and value is not None
        else storable(value)
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def _row(columns: tuple[Any, ...]) -> AgentRow:
    (
        agent_id, name, label, icon, instructions, model, fallback_models, temperature, max_output_tokens,
        reasoning_effort, output_schema, step_limit, tools, subagents, limits, is_active,
    ) = columns  # fmt: skip
    return AgentRow(
        id=agent_id,
        name=name,
        label=label or name,
        icon=icon,
        instructions=instructions,
        model=model,
        # Most agents have neither list nor limits, and every run reads one.
        fallback_models=[] if fallback_models == "[]" else _names(fallback_models),
        temperature=temperature,
        max_output_tokens=max_output_tokens,
        reasoning_effort=reasoning_effort,
        output_schema=None if output_schema is None else _schema(output_schema),
        step_limit=step_limit,
        tools=None if tools is None else _names(tools),
        subagents=[] if subagents == "[]" else _names(subagents),
        limits=_no_limits if limits == "{}" else _limits(limits),
        is_active=bool(is_active),
    )
