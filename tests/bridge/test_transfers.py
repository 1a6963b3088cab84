"""Imports and exports as the page and the terminal ask for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.app import App, open_app
from deskside.backend.events import ConversationDeleted, TransferChanged
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import conversations
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import paths_in, talk
from transfers import written

Call = Callable[..., Coroutine[Any, Any, Any]]


class Chooser(NoDesktop):
    """A desktop whose user chooses these paths, in turn."""

    def __init__(self) -> None:
        self.chosen: list[Path | None] = []
        self.suggested: list[str] = []

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        return self._next()

    async def choose_target(self, title: str, suggested_name: str) -> str | None:
        self.suggested.append(suggested_name)
        return self._next()

    def _next(self) -> str | None:
        path = self.chosen.pop(0)
        return None if path is None else str(path)


@pytest.fixture
def user() -> Chooser:
    return Chooser()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path)) as app:
        yield app


@pytest.fixture
def call(app: App, user: Chooser) -> Call:
    """Call a command; a refusal is its `Failure`."""
    registry = Registry(COMMANDS)
    bridge = Bridge(app, registry, user, Timings())

    async def call(command: str, **params: Any) -> Any:
        answer = await registry.dispatch(bridge, command, msgspec.json.encode(params))
        return answer if isinstance(answer, Failure) else json.loads(bytes(answer))

    return call


async def ended(app: App, call: Call) -> Any:
    """The transfer, once it does not work any more."""
    while True:
        number = app.events.last
        transfer = await call("transfers.current")
        if transfer["state"] not in ("looking", "working"):
            return transfer
        await app.events.wait_beyond(number)


def chats(*uuids: str, length: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "uuid": uuid,
            "name": f"Chat {uuid}",
            "created_at": "2025-03-01T12:00:00Z",
            "chat_messages": [
                {"uuid": f"{n}", "sender": ("human", "assistant")[n % 2], "text": f"Text {n}"}
                for n in range(length)
            ],
        }
        for uuid in uuids
    ]


async def test_a_file_is_chosen_looked_at_and_imported(
    app: App, call: Call, user: Chooser, tmp_path: Path
) -> None:
    user.chosen = [written(tmp_path / "c.json", [*chats("1", "2"), {"chat_messages": []}]), None]
    started = await call("transfers.choose_import")
    looked = await ended(app, call)
    would = await call("transfers.skipped")
    before = await call("conversations.page")
    await call("transfers.import_")
    done = await ended(app, call)
    after = await call("conversations.page")
    again = await call("transfers.choose_import")
    await call("transfers.put_away")

    assert ("import", "looking", "c.json", "claude") == tuple(
        started[name] for name in ("kind", "state", "name", "program")
    )
    assert ("looked", 2, 4, 1) == (
        looked["state"], looked["counts"]["conversations"], looked["counts"]["messages"], looked["skipped"],
    )  # fmt: skip
    reason = "It holds no message that could be imported."
    assert [{"kind": "conversation", "reason": reason, "count": 1}] == would["counts"]
    assert [] == before["conversations"]
    assert ("done", looked["counts"]) == (done["state"], done["counts"])
    assert {"Chat 1", "Chat 2"} == {row["title"] for row in after["conversations"]}
    assert again is None
    assert await call("transfers.current") is None
    assert [TransferChanged(None)] == app.events.since(app.events.last - 1, 1)


async def test_a_conversation_that_was_replaced_leaves_the_list(
    app: App, call: Call, user: Chooser, tmp_path: Path
) -> None:
    user.chosen = [
        written(tmp_path / "a.json", chats("1")),
        written(tmp_path / "b.json", chats("1", length=4)),
    ]
    for _ in range(2):
        await call("transfers.choose_import")
        await ended(app, call)
        before = app.events.last
        await call("transfers.import_")
        await ended(app, call)

    assert ConversationDeleted(1) in (app.events.since(before, 99) or [])
    assert [2] == [row["id"] for row in (await call("conversations.page"))["conversations"]]


async def test_conversations_are_exported_to_where_the_user_says(
    app: App, call: Call, user: Chooser, tmp_path: Path
) -> None:
    await talk(app.store, ("Plans?", "Yes"))
    await talk(app.store, ("More", "No"))
    user.chosen = [tmp_path / "one.md", tmp_path / "all.html", tmp_path / "all.json", None]
    await call("transfers.export", format="markdown", ids=[1])
    one = await ended(app, call)
    await call("transfers.export", format="html")
    pages = await ended(app, call)
    await call("transfers.export", format="json")
    document = await ended(app, call)
    cancelled = await call("transfers.export", format="json", ids=[1, 2])

    assert ("done", str(tmp_path / "one.md"), 1) == (
        one["state"], one["path"], one["counts"]["conversations"],
    )  # fmt: skip
    assert (tmp_path / "one.md").read_text("utf-8").startswith("# Plans?\n")
    assert ("done", str(tmp_path / "all.html.zip")) == (pages["state"], pages["path"])
    assert "done" == document["state"]
    assert 2 == len(json.loads((tmp_path / "all.json").read_bytes())["conversations"])
    assert cancelled is None
    assert "Plans.md" == user.suggested[0]
    assert all(name.startswith("deskside-conversations-") for name in user.suggested[1:])


async def test_an_export_that_fails_says_why(app: App, call: Call, user: Chooser, tmp_path: Path) -> None:
    user.chosen = [tmp_path / "all.json"]
    await call("transfers.export", format="json")
    failed = await ended(app, call)
    refused = await call("transfers.export", format="json", ids=[7])

    assert ("failed", "There is no conversation to export.") == (failed["state"], failed["message"])
    assert "not_found" == refused.code


async def test_a_file_that_is_none_is_refused_at_once(call: Call, user: Chooser, tmp_path: Path) -> None:
    user.chosen = [written(tmp_path / "a.txt", "Dear diary")]
    refused = await call("transfers.choose_import")

    assert "invalid_request" == refused.code
    assert "it is not JSON" in refused.message
    assert await call("transfers.current") is None


async def test_a_file_that_breaks_off_fails_with_what_came(
    app: App, call: Call, user: Chooser, tmp_path: Path
) -> None:
    user.chosen = [written(tmp_path / "a.json", json.dumps(chats("1", "2"))[:-9])]
    await call("transfers.choose_import")
    looked = await ended(app, call)
    refused = await call("transfers.import_")

    assert ("failed", "The file ends in the middle.", 1) == (
        looked["state"], looked["message"], looked["counts"]["conversations"],
    )  # fmt: skip
    assert "conflict" == refused.code


async def test_one_transfer_at_a_time_and_it_can_be_stopped(
    app: App, call: Call, user: Chooser, tmp_path: Path
) -> None:
    many = written(tmp_path / "a.json", chats(*map(str, range(400))))
    user.chosen = [many, many]
    await call("transfers.choose_import")
    refused = [await call("transfers.choose_import"), await call("transfers.put_away")]
    await call("transfers.cancel")
    stopped = await ended(app, call)
    not_looked = await call("transfers.import_")

    assert ["conflict", "conflict"] == [each.code for each in refused]
    assert "cancelled" == stopped["state"]
    assert "conflict" == not_looked.code
    assert [] == (await app.store.read(conversations.page, None, 9)).conversations


async def test_an_import_ends_in_order_when_the_program_does(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", chats(*map(str, range(400))))
    async with open_app(paths_in(tmp_path)) as app:
        await app.transfers.look(path)
        transfers = app.transfers

    assert transfers.current is not None
    assert "cancelled" == transfers.current.state


async def test_no_command_takes_a_path(app: App, call: Call, tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", chats("1"))
    refused = [
        await call("transfers.look", ticket=str(path)),
        await call("transfers.export_to", ticket=str(path), format="json"),
        await call("transfers.look", ticket="x", path=str(path)),
        await call("transfers.export", format="json", path=str(path)),
    ]
    word = app.transfers.offer(path)
    looked = await call("transfers.look", ticket=word)
    await ended(app, call)
    twice = await call("transfers.look", ticket=word)

    assert ["not_found", "not_found", "invalid_request", "invalid_request"] == [each.code for each in refused]
    assert looked["is_from_terminal"]
    assert "not_found" == twice.code
