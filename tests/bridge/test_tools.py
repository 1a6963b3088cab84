"""The commands about tools, as the page calls them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.app import open_app
from deskside.backend.log import request_id
from deskside.backend.metrics.timings import Timings
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in

SOURCE = 'def add(a: int, b: int = 1) -> int:\n    """Add two numbers."""\n    return a + b\n'


class Caller:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def __call__(self, command: str, /, **params: Any) -> Any:
        request_id.set("test")
        reply = await self._bridge.registry.dispatch(self._bridge, command, json.dumps(params).encode())
        return reply if isinstance(reply, Failure) else json.loads(bytes(reply))


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    async with open_app(paths_in(tmp_path)) as app:
        yield Caller(Bridge(app, Registry(COMMANDS), NoDesktop(), Timings()))


async def test_a_tool_is_drafted_tried_kept_changed_and_deleted(call: Caller) -> None:
    draft = await call("tools.draft_parameters", source=SOURCE)
    assert ("add", "Add two numbers.", []) == (draft["name"], draft["description"], draft["problems"])
    written = {"source": SOURCE, "parameters": draft["parameters"]}

    tried = await call("tools.try_out", **written, arguments={"a": 2, "b": 3})
    assert (True, "5") == (tried["ok"], tried["result"])

    tool = {"name": "add", "description": "Add two numbers.", **written}
    created = await call("tools.create", **tool, category="Sums")
    assert ("user", "ask", "read", True, "Sums") == tuple(
        created[name] for name in ("kind", "approval", "effect", "is_enabled", "category")
    )

    changed = await call("tools.change", name="add", approval="never")
    assert ("never", True) == (changed["approval"], changed["is_enabled"])

    renamed = await call("tools.update", name="add", tool={**tool, "name": "sum_up", "capabilities": ["web"]})
    assert ("sum_up", "send", ["web"]) == (renamed["name"], renamed["effect"], renamed["capabilities"])

    assert None is await call("tools.delete", name="sum_up")
    assert "sum_up" not in [row["name"] for row in await call("tools.list")]


async def test_what_is_being_written_is_kept_until_it_is_done(call: Caller) -> None:
    assert None is await call("tools.saved_draft")
    tool = {"replaces": None, "source": SOURCE, "name": "add", "description": "", "category": ""}
    tool |= {"parameters": "{", "capabilities": ["web"], "own": ["parameters"]}

    await call("tools.save_draft", tool=tool)
    assert tool == await call("tools.saved_draft")

    await call("tools.save_draft", tool=None)
    assert None is await call("tools.saved_draft")


async def test_built_in_tools_are_listed_with_what_they_do_and_their_declared_approval(call: Caller) -> None:
    found = {row["name"]: row for row in await call("tools.list")}

    assert ("built_in", "never", "read") == tuple(
        found["calculate"][name] for name in ("kind", "approval", "effect")
    )
    assert ("built_in", "ask", "execute") == tuple(
        found["run_python"][name] for name in ("kind", "approval", "effect")
    )


@pytest.mark.parametrize(
    ("command", "params", "code"),
    [
        (
            "tools.create",
            {"name": "a b", "description": "x", "parameters": {}, "source": "x"},
            "invalid_request",
        ),
        (
            "tools.create",
            {"name": "ok", "description": "", "parameters": {}, "source": "x"},
            "invalid_request",
        ),
        (
            "tools.create",
            {"name": "ok", "description": "x", "parameters": {}, "source": "x"},
            "invalid_request",
        ),
        ("tools.change", {"name": "gone", "is_enabled": False}, "not_found"),
        ("tools.change", {"name": "calculate", "approval": "whenever"}, "invalid_request"),
        ("tools.delete", {"name": "calculate"}, "not_found"),
        ("tools.try_out", {"source": SOURCE, "parameters": {"type": 3}, "arguments": {}}, "invalid_request"),
    ],
)
async def test_what_cannot_be_done_is_refused(call: Caller, command: str, params: Any, code: str) -> None:
    failure = await call(command, **params)

    assert isinstance(failure, Failure)
    assert code == failure.code
