"""Agents in the store, and whom a conversation is answered by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.agent.limits import AgentLimits, Limit, RunLimit
from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.store import agents, conversations
from deskside.backend.store.agents import Agent, AgentRow
from deskside.backend.store.connection import Db
from deskside.backend.store.database import Store, open_store
from stores import ask, paths_in, talk

FULL = Agent(
    name="critic",
    label="The critic",
    icon="🧐",
    instructions="Find what is wrong. {{date}}",
    model="openai/gpt-x",
    fallback_models=["local/llama", "device/small"],
    temperature=0.25,
    max_output_tokens=4000,
    reasoning_effort="high",
    output_schema={"type": "object", "properties": {"verdict": {"type": "string"}}},
    step_limit=7,
    tools=["calculate", "files__read"],
    subagents=["assistant", "not_here_yet"],
    limits=AgentLimits(RunLimit(1_000_000_000, 50_000, 60, 9), Limit(tokens=7), Limit(5)),
    is_active=False,
)


def content(row: AgentRow) -> Agent:
    return Agent(**{name: getattr(row, name) for name in Agent.__struct_fields__})


async def make(store: Store, name: str, **fields: Any) -> AgentRow:
    return await store.write(agents.create, Agent(name=name, **fields))


async def test_an_agent_comes_back_as_it_was_made(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        made = await store.write(agents.create, FULL)

        assert FULL == content(made)
        assert made == await store.read(agents.get, made.id) == await store.read(agents.by_name, "critic")


async def test_every_field_of_an_agent_can_be_changed_alone(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        row = await make(store, "plain")
        for name in Agent.__struct_fields__:
            changes = {name: getattr(FULL, name)}
            expected = msgspec.structs.replace(row, **changes)
            if name == "name":
                expected = msgspec.structs.replace(expected, label=FULL.name)

            row = await store.write(agents.change, row.id, changes)

            assert expected == row
        assert FULL == content(await store.read(agents.get, row.id))


async def test_the_list_begins_with_the_default_agent(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        for name, label in (("zz", "a label"), ("aa", ""), ("mm", "B label")):
            await make(store, name, label=label)

        assert ["assistant", "zz", "aa", "mm"] == [row.name for row in await store.read(agents.all)]


async def test_a_name_is_of_one_agent_until_that_is_deleted(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await make(store, "critic")
        other = await make(store, "other")
        with pytest.raises(Conflict, match="already an agent named 'critic'"):
            await make(store, "critic")
        with pytest.raises(Conflict, match="already an agent named 'critic'"):
            await store.write(agents.change, other.id, {"name": "critic"})
        await store.write(agents.delete, first.id)
        second = await make(store, "critic")

        assert second.id != first.id
        with pytest.raises(Conflict, match="already an agent named 'critic'"):
            await store.write(agents.restore, first.id)
        await store.write(agents.change, second.id, {"name": "critic-2"})
        assert first == await store.write(agents.restore, first.id)


async def test_the_default_agent_stays(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = (await store.read(agents.default)).id
        with pytest.raises(Conflict, match="cannot be deleted"):
            await store.write(agents.delete, id)
        with pytest.raises(Conflict, match="cannot be switched off"):
            await store.write(agents.change, id, {"is_active": False})
        with pytest.raises(Conflict, match="keeps its name"):
            await store.write(agents.change, id, {"name": "other"})
        changed = await store.write(agents.change, id, {"instructions": "Be brief."})

        assert ("assistant", "Be brief.") == (changed.name, changed.instructions)


async def test_a_new_name_is_written_where_the_agent_is_delegated_to(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        critic = await make(store, "critic", subagents=["writer"])
        writer = await make(store, "writer", subagents=["critic", "assistant"])
        gone = await make(store, "gone", subagents=["critic"])
        await store.write(agents.delete, gone.id)
        await store.write(agents.change, critic.id, {"name": "editor"})
        await store.write(agents.restore, gone.id)

        found = {row.name: row.subagents for row in await store.read(agents.all)}
        assert {"assistant": [], "editor": ["writer"], "gone": ["editor"]} | {
            "writer": ["editor", "assistant"]
        } == found
        assert writer.id == (await store.read(agents.by_name, "writer")).id


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"subagents": ["one"]}, "cannot delegate to itself"),
        ({"subagents": ["two", "two"]}, "sub-agent 'two' is named twice"),
        ({"tools": ["a", "b", "a"]}, "tool 'a' is named twice"),
        ({"label": "nice\u202eecin"}, "cannot be seen"),
        ({"label": "two\nlines"}, "cannot be seen"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        with pytest.raises(InvalidRequest, match=said):
            await make(store, "one", **fields)

        assert ["assistant"] == [row.name for row in await store.read(agents.all)]


async def test_a_copy_takes_all_but_the_name_and_what_was_allowed(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        critic = await make(store, "c" * 48, label="Critic", tools=["calculate"], is_active=False)
        await store.write(allow, critic.id)

        second = await store.write(agents.duplicate, critic.id)
        third = await store.write(agents.duplicate, critic.id)

        assert ["c" * 46 + "-2", "c" * 46 + "-3"] == [second.name, third.name]
        assert ("Critic (copy)", ["calculate"], True) == (second.label, second.tools, second.is_active)
        assert [critic.id] == await store.read(allowed)


async def test_what_was_allowed_ends_when_an_agent_is_replaced_or_deleted(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = await make(store, "one"), await make(store, "two")
        for row in (one, two):
            await store.write(allow, row.id)

        await store.write(agents.replace, one.id, Agent(name="one", instructions="Send all mail away."))
        await store.write(agents.delete, two.id)

        assert [] == await store.read(allowed)


def allow(db: Db, agent_id: int) -> None:
    db.sql.execute("insert into tool_grant values (?, 'write_file', 0)", (agent_id,))


def allowed(db: Db) -> list[int]:
    return [row[0] for row in db.sql.execute("select agent from tool_grant")]


async def test_an_agent_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        gone = await make(store, "gone")
        await store.write(agents.delete, gone.id)
        for call in (
            store.read(agents.get, gone.id),
            store.write(agents.change, gone.id, {"label": "x"}),
            store.write(agents.delete, gone.id),
            store.write(agents.duplicate, gone.id),
            store.write(agents.restore, 4711),
            store.read(agents.by_name, "gone"),
        ):
            with pytest.raises(NotFound):
                await call


# -- conversations ------------------------------------------------------------------------------


async def test_a_conversation_is_answered_by_the_agent_that_was_chosen(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("q", "a"))
        critic = await make(store, "critic")
        before = await store.read(agents.of_conversation, id)
        row = await store.write(conversations.set_agent, id, "critic")

        assert ("assistant", "critic") == (before.name, row.agent)
        assert critic == await store.read(agents.of_conversation, id)
        assert [row] == (await store.read(conversations.page, None, 5)).conversations

        await store.write(agents.delete, critic.id)

        assert "assistant" == (await store.read(agents.of_conversation, id)).name
        assert "assistant" == (await store.read(conversations.get, id)).agent

        await store.write(agents.restore, critic.id)
        await store.write(agents.change, critic.id, {"name": "editor"})

        assert "editor" == (await store.read(conversations.get, id)).agent


async def test_an_agent_that_is_switched_off_is_not_chosen_and_keeps_its_conversations(
    tmp_path: Path,
) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = await talk(store, ("q", "a")), await talk(store, ("q", "a"))
        critic = await make(store, "critic")
        await store.write(conversations.set_agent, one, "critic")
        await store.write(agents.change, critic.id, {"is_active": False})

        assert "critic" == (await store.read(agents.of_conversation, one)).name
        with pytest.raises(Conflict, match="switched off"):
            await store.write(conversations.set_agent, two, "critic")
        with pytest.raises(NotFound, match="no agent named 'nobody'"):
            await store.write(conversations.set_agent, two, "nobody")


async def test_a_conversation_waits_while_a_call_or_a_pause_in_it_waits(tmp_path: Path) -> None:
    def put(db: Db, message: int, kind: str, status: str) -> None:
        db.sql.execute(
            "insert into message_part (message, position, step, kind, text, data, origin) "
            "values (?, 7, 0, ?, '', json_object('kind', ?, 'status', ?), 'tool')",
            (message, kind, kind, status),
        )

    def settle(db: Db, status: str) -> None:
        db.sql.execute(
            "update message_part set data = json_set(data, '$.status', ?) where position = 7", [status]
        )

    async with open_store(paths_in(tmp_path)) as store:
        asked = [await ask(store, text) for text in ("one", "two", "three", "four")]
        for each, kind, status in zip(
            asked,
            ("tool_call", "pause", "note", "tool_call"),
            ("waiting", "waiting", "waiting", "running"),
            strict=True,
        ):
            await store.write(put, each.reply.id, kind, status)

        page = (await store.read(conversations.page, None, 9)).conversations
        assert [("one", True), ("two", True), ("three", False), ("four", False)] == [
            (row.title, row.is_waiting) for row in reversed(page)
        ]
        await store.write(settle, "finished")
        assert not (await store.read(conversations.get, asked[0].conversation.id)).is_waiting
