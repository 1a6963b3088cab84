"""The rows of tools: built in and the user's own, and what refers to them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store import tools
from deskside.backend.store.database import open_store
from deskside.backend.store.tools import NewTool, ToolChanges
from deskside.backend.tools.declaration import FunctionTool, tool
from stores import paths_in, rows


def built_in(name: str, description: str = "Does it", **declared: Any) -> FunctionTool:
    def function() -> str:
        return ""

    function.__name__, function.__doc__ = name, description
    return tool(**{"approval": "never", **declared})(function)


async def test_built_in_tools_are_what_the_program_has_and_keep_what_the_user_chose(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await store.write(tools.sync_built_in, [built_in("calculate"), built_in("dropped")])
        await store.write(tools.change, "calculate", ToolChanges("always_ask", False))

        declared = [
            built_in("calculate", "Does it better"),
            built_in("added", approval="ask", effect="write"),
        ]
        await store.write(tools.sync_built_in, declared)

    assert [
        ("added", "Does it", "ask", "write", 1),
        ("calculate", "Does it better", "always_ask", "read", 0),
    ] == rows(
        paths.database, "select name, description, approval, effect, is_enabled from tool order by name"
    )


async def test_a_tool_of_the_user_that_has_the_name_of_a_new_built_in_one_gets_another(
    tmp_path: Path,
) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await store.write(tools.create, own_tool("remember"), "read")
        await store.write(lambda db: db.Agent.get(name="assistant").set(tools='["calculate","remember"]'))

        await store.write(tools.sync_built_in, [built_in("remember")])

    assert [("remember", "built_in"), ("remember_2", "user")] == rows(
        paths.database, "select name, kind from tool order by name"
    )
    assert [('["calculate","remember_2"]',)] == rows(paths.database, "select tools from agent")


def own_tool(name: str, source: str = "def it() -> int:\n    return 1\n", **changes: Any) -> NewTool:
    plain = NewTool(name, "Does it", {"type": "object"}, source, "", [], "ask", True)
    return msgspec.structs.replace(plain, **changes)


GRANTED = "insert into tool_grant (agent, tool, created_ms) values (1, 'old', 0)"


async def test_a_new_name_is_followed_by_agents_and_by_what_they_may(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await store.write(tools.create, own_tool("old"), "read")
        await store.write(lambda db: db.Agent.get(name="assistant").set(tools='["old"]'))
        await store.write(lambda db: db.sql.execute(GRANTED) and None)

        await store.write(tools.update, "old", own_tool("new"), "read")

    assert [('["new"]',)] == rows(paths.database, "select tools from agent")
    assert [(1, "new")] == rows(paths.database, "select agent, tool from tool_grant")


@pytest.mark.parametrize(
    "changed", [own_tool("old", "def it() -> int:\n    return 2\n"), own_tool("old", capabilities=["web"])]
)
async def test_what_was_allowed_for_good_ends_with_the_code_it_was_allowed_for(
    changed: NewTool, tmp_path: Path
) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await store.write(tools.create, own_tool("old"), "read")
        await store.write(lambda db: db.sql.execute(GRANTED) and None)

        await store.write(tools.update, "old", changed, "read")

    assert [] == rows(paths.database, "select tool from tool_grant")


async def test_a_deleted_tool_takes_what_was_allowed_with_it(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await store.write(tools.create, own_tool("old"), "read")
        await store.write(lambda db: db.sql.execute(GRANTED) and None)

        await store.write(tools.delete, "old")

        assert [] == await store.read(tools.listed)
    assert [] == rows(paths.database, "select tool from tool_grant")


async def test_only_what_the_user_wrote_can_be_deleted_or_replaced(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        await store.write(tools.sync_built_in, [built_in("calculate")])

        with pytest.raises(NotFound):
            await store.write(tools.delete, "calculate")
        with pytest.raises(NotFound):
            await store.write(tools.update, "calculate", own_tool("mine"), "read")
        with pytest.raises(Conflict):
            await store.write(tools.create, own_tool("calculate"), "read")
