"""Links and files from outside: what the page is told of them, and that nothing else comes of them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from agent_files import PIRATE
from deskside.backend.app import App, open_app
from deskside.backend.events import ProposalsChanged
from deskside.backend.metrics.timings import Timings
from deskside.backend.proposal import LONGEST_LINK
from deskside.backend.proposals import MOST_WAITING
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in, talk

Call = Callable[..., Coroutine[Any, Any, Any]]

CHATS = [
    {"uuid": "1", "name": "Dinner", "chat_messages": [{"uuid": "a", "sender": "human", "text": "Plums?"}]}
]


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path)) as app:
        yield app


@pytest.fixture
def call(app: App) -> Call:
    """Call a command; a refusal is its `Failure`."""
    registry = Registry(COMMANDS)
    bridge = Bridge(app, registry, NoDesktop(), Timings())

    async def call(name: str, **params: Any) -> Any:
        outcome = await registry.dispatch(bridge, name, json.dumps(params).encode())
        return outcome if isinstance(outcome, Failure) else json.loads(bytes(outcome))

    return call


def agent_link(agent: object = PIRATE) -> str:
    return f"deskside://agent?json={quote(json.dumps(agent))}"


async def everything(call: Call) -> list[Any]:
    return [await call("conversations.page"), await call("agents.list"), await call("settings.get")]


async def test_a_link_to_a_conversation_proposes_to_open_it(app: App, call: Call) -> None:
    id = await talk(app.store, ("Where?", "In the icebox."))

    await app.proposals.open(f"deskside://conversation/{id}")

    assert [{"type": "conversation", "id": 1, "conversation_id": id}] == await call("proposals.waiting")


async def test_a_link_with_an_agent_proposes_it_and_imports_nothing(app: App, call: Call) -> None:
    before = await everything(call)

    await app.proposals.open(agent_link())

    [proposed] = await call("proposals.waiting")
    assert ("agent", "link", "pirate") == (proposed["type"], proposed["origin"], proposed["free_name"])
    assert ("Talk like a pirate.", []) == (
        proposed["agent"]["instructions"],
        proposed["agent"]["tools"],
    )
    assert before == await everything(call)


async def test_what_was_proposed_is_imported_by_the_user_alone(app: App, call: Call) -> None:
    await app.proposals.open(agent_link())
    [proposed] = await call("proposals.waiting")

    imported = await call("agents.import_", json=proposed["json"])
    await call("proposals.put_away", id=proposed["id"])
    await app.proposals.open(agent_link())

    assert "pirate" == imported["agent"]["name"]
    [again] = await call("proposals.waiting")
    assert "pirate-2" == again["free_name"]


async def test_what_a_person_cannot_see_in_an_agent_is_told(app: App, call: Call) -> None:
    await app.proposals.open(agent_link({**PIRATE, "instructions": "Hi\u200b there\x07"}))

    [proposed] = await call("proposals.waiting")
    assert "Hi there" == proposed["agent"]["instructions"]
    assert "2 characters were taken out" in proposed["notes"][0]


HOSTILE = {
    "another scheme": ("javascript:alert(1)", "does not begin with deskside://"),
    "a web page": ("https://example.com/conversation/1", "does not begin with deskside://"),
    "data": ("data:text/html,hello", "does not begin with deskside://"),
    "another host": ("deskside://example.com/conversation/1", "neither to a conversation nor to an agent"),
    "a port": ("deskside://conversation:80/1", "neither to a conversation nor to an agent"),
    "a user": ("deskside://me@conversation/1", "neither to a conversation nor to an agent"),
    "a deed": ("deskside://send?text=hello", "neither to a conversation nor to an agent"),
    "a setting": ("deskside://settings/keys", "neither to a conversation nor to an agent"),
    "a file": ("deskside://import?file=/etc/passwd", "neither to a conversation nor to an agent"),
    "nothing": ("deskside://", "neither to a conversation nor to an agent"),
    "a traversal": ("deskside://conversation/../../etc/passwd", "by its number"),
    "a hidden traversal": ("deskside://conversation/1%2f..%2f2", "by its number"),
    "a negative number": ("deskside://conversation/-1", "by its number"),
    "zero": ("deskside://conversation/0", "by its number"),
    "a huge number": ("deskside://conversation/99999999999999999999", "by its number"),
    "one beyond JavaScript's": ("deskside://conversation/9007199254740992", "by its number"),
    "foreign digits": ("deskside://conversation/１", "characters that no link may hold"),
    "no number": ("deskside://conversation/", "by its number"),
    "more": ("deskside://conversation/1?send=hello", "neither to a conversation nor to an agent"),
    "a line break": ("deskside://conversation/1\nHost: evil", "characters that no link may hold"),
    "a null": ("deskside://conversation/1\0", "characters that no link may hold"),
    "a direction mark": ("deskside://conversation/1\u202e", "characters that no link may hold"),
    "a backslash": ("deskside:\\\\conversation\\1", "characters that no link may hold"),
    "a bad host": ("deskside://[conversation/1", "cannot be read"),
    "too long": (f"deskside://agent?json={'x' * LONGEST_LINK}", "longer than 16,000 characters"),
    "an agent elsewhere": ("deskside://agent?url=https://example.com/a.json", "does not carry an agent"),
    "two agents": (agent_link() + "&json=%7B%7D", "does not carry an agent"),
    "an agent and more": (agent_link() + "&start=1", "does not carry an agent"),
    "no text": ("deskside://agent?json=%ff", "does not carry text"),
    "no JSON": ("deskside://agent?json=hello", "not the file of an agent"),
    "no agent": (agent_link({"format": "other"}), "not the file of an agent"),
    "a field too many": (agent_link({**PIRATE, "allowed_tools": ["write_file"]}), "not the file of an agent"),
    "a conversation that is not there": ("deskside://conversation/4711", "4711"),
}


@pytest.mark.parametrize(("link", "says"), HOSTILE.values(), ids=HOSTILE)
async def test_any_other_link_is_refused_in_words(app: App, call: Call, link: str, says: str) -> None:
    await talk(app.store, ("Where?", "In the icebox."))
    before = await everything(call)

    await app.proposals.open(link)

    [refused] = await call("proposals.waiting")
    assert "refused" == refused["type"]
    assert says in refused["message"]
    assert refused["hint"]
    assert before == await everything(call)


async def test_an_agents_file_is_shown_before_it_is_imported(app: App, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "pirate.agent.json"
    path.write_text(json.dumps(PIRATE), "utf-8-sig")
    before = await everything(call)

    await app.proposals.open(str(path))

    [proposed] = await call("proposals.waiting")
    assert ("agent", "file", "pirate") == (proposed["type"], proposed["origin"], proposed["agent"]["name"])
    assert before == await everything(call)


async def test_an_export_is_only_looked_at(app: App, call: Call, tmp_path: Path) -> None:
    # Its text speaks of agents' files: that makes it none.
    chats = [{**CHATS[0], "name": "deskside-agent"}]
    path = tmp_path / "claude.json"
    path.write_text(json.dumps(chats))

    await app.proposals.open(str(path))
    while (transfer := await call("transfers.current"))["state"] == "looking":
        await app.events.wait_beyond(app.events.last)

    assert ("looked", False, 1) == (
        transfer["state"],
        transfer["is_from_terminal"],
        transfer["counts"]["conversations"],
    )
    assert [] == await call("proposals.waiting")
    assert [] == (await call("conversations.page"))["conversations"]


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.json")
    return folder / "pipe.json"


def text(folder: Path) -> Path:
    (folder / "notes.json").write_text("Dear diary")
    return folder / "notes.json"


def bad_agent(folder: Path) -> Path:
    (folder / "bad.json").write_text(json.dumps({**PIRATE, "version": 99}))
    return folder / "bad.json"


NO_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "gone.json", "There is no file 'gone.json'"),
    "a folder": (lambda folder: folder, "There is no file"),
    "a pipe": (pipe, "There is no file 'pipe.json'"),
    "a null": (lambda folder: folder / "a\0b", "There is no file"),
    "a text": (text, "not"),
    "an agent of tomorrow": (bad_agent, "version 99"),
}


@pytest.mark.parametrize(("make", "says"), NO_FILES.values(), ids=NO_FILES)
async def test_what_is_no_file_of_ours_is_refused(
    app: App, call: Call, tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    await app.proposals.open(str(make(tmp_path)))

    [refused] = await call("proposals.waiting")
    assert "refused" == refused["type"]
    assert says in refused["message"]


async def test_one_waits_for_the_other_and_no_flood_comes_through(app: App, call: Call) -> None:
    for n in range(MOST_WAITING + 5):
        await app.proposals.open(agent_link({**PIRATE, "name": f"pirate-{n}"}))

    waiting = await call("proposals.waiting")
    assert [f"pirate-{n}" for n in range(MOST_WAITING)] == [each["agent"]["name"] for each in waiting]

    await call("proposals.put_away", id=waiting[0]["id"])
    await call("proposals.put_away", id=waiting[0]["id"])
    assert waiting[1:] == await call("proposals.waiting")
    told = app.events.since(app.events.last - 1, 1)
    assert told is not None
    assert (
        waiting[1:]
        == msgspec.to_builtins([each for each in told if isinstance(each, ProposalsChanged)])[0]["waiting"]
    )
