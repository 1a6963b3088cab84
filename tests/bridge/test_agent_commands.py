"""The agents' commands, as the page and scripts call them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.agent.events import Usage
from deskside.backend.app import App, open_app
from deskside.backend.errors import NeedsWindow
from deskside.backend.events import AgentsChanged, ConversationChanged
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import tool_grants, tools
from deskside.backend.store import usage as usage_rows
from deskside.backend.store.text import now_ms
from deskside.backend.store.usage import Cost, UsageRecord
from deskside.backend.tools.calculate import calculate
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in, talk

Call = Callable[..., Coroutine[Any, Any, Any]]


class Files(NoDesktop):
    """A desktop whose user chooses these files, in turn."""

    def __init__(self) -> None:
        self.chosen: list[Path | None] = []
        self.suggested: list[str] = []

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        path = self.chosen.pop(0)
        return None if path is None else str(path)

    async def save_file(self, title: str, suggested_name: str, text: str) -> str | None:
        self.suggested.append(suggested_name)
        path = self.chosen.pop(0)
        if path is not None:
            path.write_text(text, "utf-8")
        return None if path is None else str(path)


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path)) as app:
        yield app


@pytest.fixture
def call(app: App, files: Files) -> Call:
    """Call a command; a refusal is its `Failure`."""
    registry = Registry(COMMANDS)
    bridge = Bridge(app, registry, files, Timings())

    async def call(command: str, **params: Any) -> Any:
        answer = await registry.dispatch(bridge, command, msgspec.json.encode(params))
        return answer if isinstance(answer, Failure) else json.loads(bytes(answer))

    return call


async def test_an_agent_is_made_changed_copied_deleted_and_brought_back(app: App, call: Call) -> None:
    before = app.events.last
    made = await call("agents.create", name="critic", instructions="Find what is wrong.")
    changed = await call("agents.change", id=made["id"], label="The critic", tools=["calculate"])
    copy = await call("agents.duplicate", id=made["id"])
    await call("agents.delete", id=copy["id"])
    await call("agents.restore", id=copy["id"])

    assert made | {"label": "The critic", "tools": ["calculate"]} == changed
    assert ["assistant", "critic", "critic-2"] == [row["name"] for row in await call("agents.list")]
    assert [AgentsChanged()] * 5 == app.events.since(before, 99)


async def test_what_an_agent_may_use_without_asking_is_told_and_taken_back(app: App, call: Call) -> None:
    made = await call("agents.create", name="critic")
    for tool in ("write_file", "calculate"):
        await app.store.write(tool_grants.add, made["id"], tool)

    assert ["calculate", "write_file"] == await call("agents.allowed_tools", id=made["id"])
    await call("agents.disallow_tool", id=made["id"], tool="write_file")
    assert ["calculate"] == await call("agents.allowed_tools", id=made["id"])


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"name": "assistant"}, "conflict", "already an agent named 'assistant'"),
        ({"name": "No"}, "invalid_request", "$.name"),
        ({"name": "a", "is_default": True}, "invalid_request", "unknown field"),
        ({"name": "a", "model": "gpt"}, "invalid_request", "$.model"),
        ({"name": "a", "subagents": ["a"]}, "invalid_request", "delegate to itself"),
        ({"name": "a", "output_schema": {"type": "object", "pattern": "a"}}, "invalid_request", "a pattern"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused(
    call: Call, params: dict[str, Any], code: str, said: str
) -> None:
    refused = await call("agents.create", **params)

    assert code == refused.code
    assert said in refused.message
    assert 1 == len(await call("agents.list"))


async def test_an_exported_agent_is_imported_as_the_user_says(call: Call) -> None:
    made = await call("agents.create", name="critic", label="Critic", temperature=0.5)
    file = (await call("agents.export", name="critic"))["json"]
    refused = await call("agents.import_", json=file)
    renamed = await call("agents.import_", json=file, on_conflict="rename")
    await call("agents.change", id=made["id"], label="Changed", instructions="Something else.")
    replaced = await call("agents.import_", json=file, on_conflict="replace")

    assert "conflict" == refused.code
    assert ("critic-2", "Critic", 0.5) == tuple(
        renamed["agent"][name] for name in ("name", "label", "temperature")
    )
    assert made == replaced["agent"]
    assert [] == renamed["notes"] == replaced["notes"]


async def test_an_imported_agent_has_the_name_that_is_given_with_it(call: Call) -> None:
    file = (await call("agents.export", name="assistant"))["json"]
    imported = await call("agents.import_", json=file, name="second")
    taken = await call("agents.import_", json=file, name="second")
    no_name = await call("agents.import_", json=file, name="Second!")

    assert "second" == imported["agent"]["name"]
    assert ("conflict", "There is already an agent named 'second'.") == (taken.code, taken.message)
    assert "invalid_request" == no_name.code


async def test_what_an_imported_agent_names_and_is_not_here_is_kept_and_told(app: App, call: Call) -> None:
    await app.store.write(tools.sync_built_in, [calculate])
    tool_names = ["calculate", *(f"mail__{n}" for n in range(10))]
    file = {"format": "deskside-agent", "version": 1, "name": "chief", "tools": tool_names}

    imported = await call("agents.import_", json=json.dumps(file | {"subagents": ["assistant", "nobody"]}))

    assert tool_names == imported["agent"]["tools"]
    listed = ", ".join(tool_names[1:9])
    assert [
        f"The tools {listed} and 2 more are not here. The agent works without them until they are.",
        "The sub-agent nobody is not here. The agent works without it until it is.",
    ] == imported["notes"]


async def test_a_file_goes_out_and_comes_in_through_the_systems_dialogs(
    call: Call, files: Files, tmp_path: Path
) -> None:
    target = tmp_path / "mine.json"
    files.chosen = [target, target, None, None]

    assert {"path": str(target)} == await call("agents.export_file", name="assistant")
    opened = {"json": target.read_text("utf-8"), "name": "assistant", "free_name": "assistant-2"}
    assert {"found": opened} == await call("agents.open_file")
    assert {"path": None} == await call("agents.export_file", name="assistant")
    assert {"found": None} == await call("agents.open_file")
    assert ["assistant.desksideagent"] * 2 == files.suggested


async def test_a_chosen_file_that_is_no_agents_is_refused_with_a_sentence(
    call: Call, files: Files, tmp_path: Path
) -> None:
    picture, other = tmp_path / "picture.json", tmp_path / "other.json"
    picture.write_bytes(b"\xff\xd8\xff\xe0")
    other.write_text("{}")
    files.chosen = [picture, other, tmp_path / "gone.json"]

    assert "it is no text" in (await call("agents.open_file")).message
    assert "This is not the file of an agent" in (await call("agents.open_file")).message
    assert "No such file" in (await call("agents.open_file")).message


async def test_without_a_window_there_is_no_dialog() -> None:
    with pytest.raises(NeedsWindow):
        await NoDesktop().save_file("Export", "a.json", "")


async def test_instructions_are_shown_as_a_model_gets_them(call: Call) -> None:
    await call("settings.change", user_name="Ada", fields=[{"name": "team", "value": "Engines"}])

    assert {"text": "Ada of Engines, {{rank}}", "unknown": ["rank"]} == await call(
        "agents.preview_instructions", instructions="{{user}} of {{ team }}, {{rank}}"
    )


@pytest.mark.parametrize("names", [["date"], ["team", "team"], ["Team"], ["a b"], ["a\n"]])
async def test_a_field_has_a_name_of_its_own(call: Call, names: list[str]) -> None:
    refused = await call("settings.change", fields=[{"name": name, "value": ""} for name in names])

    assert "invalid_request" == refused.code


async def test_limits_are_kept_and_what_was_spent_is_told(app: App, call: Call) -> None:
    await app.store.write(
        usage_rows.record,
        UsageRecord("c", None, "openai/x", Usage(1, 2, 3, 4), now_ms(), Cost("estimated", 5)),
    )
    limits = {"day": {"cost_nano_usd": 5_000_000_000, "tokens": None}, "month": {"tokens": 9}}
    changed = await call("settings.change", limits=limits, max_runs=2)

    assert limits["day"] == changed["limits"]["day"]
    assert 2 == changed["max_runs"]
    so_far = {"cost_nano_usd": 5, "tokens": 10, "unknown_calls": 0}
    assert {"day": so_far, "month": so_far} == await call("agents.spent")
    assert "invalid_request" == (await call("settings.change", max_runs=0)).code


async def test_the_agent_of_a_conversation_is_chosen_by_name(app: App, call: Call) -> None:
    id = await talk(app.store, ("q", "a"))
    await call("agents.create", name="critic")
    before = app.events.last

    row = await call("conversations.set_agent", id=id, agent="critic")

    assert "critic" == row["agent"]
    (told,) = app.events.since(before, 9) or []
    assert isinstance(told, ConversationChanged)
    assert "critic" == told.conversation.agent
    assert "not_found" == (await call("conversations.set_agent", id=id, agent="nobody")).code
