"""What the desktop is told of runs, on a real bus with somebody who shows notifications."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deskside.backend.agent.events import ToolRequested
from deskside.backend.agent.scripted_model import Hang, ScriptedModel, Step
from deskside.backend.app import App, open_app
from deskside.backend.errors import BadKey
from deskside.shell.attention import Attention
from deskside.shell.notifications import BUNDLE, Notification, can_notify, make_notifier
from deskside.shell.notifications_dbus import DBusNotifier
from deskside.shell.notifications_native import NativeNotifier
from deskside.shell.tray import Activity
from desktop_bus import NotificationServer, session_bus
from stores import paths_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with session_bus() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@pytest.fixture
def server(address: str) -> Iterator[NotificationServer]:
    with NotificationServer(address) as server:
        yield server


async def shown(server: NotificationServer) -> dict[str, object]:
    return await asyncio.to_thread(server.shown.get, timeout=30)


async def test_it_is_shown_as_plain_text_and_a_click_says_which(server: NotificationServer) -> None:
    clicked: asyncio.Queue[int] = asyncio.Queue()
    notifier = DBusNotifier(clicked.put_nowait)

    await notifier.show(Notification(7, "The answer is there", "Plums & <b>pears</b>"))
    first = await shown(server)
    server.click(int(str(first["id"])) + 1)  # another program's
    server.click(int(str(first["id"])))

    assert ("The answer is there", "Plums & <b>pears</b>") == (first["heading"], first["body"])
    assert 7 == await clicked.get()
    assert clicked.empty()
    await notifier.close()


async def test_where_a_body_is_markup_it_is_escaped(address: str) -> None:
    notifier = DBusNotifier(lambda _: None)
    with NotificationServer(address, ("actions", "body", "body-markup")) as server:
        await notifier.show(Notification(7, "The answer is there", "Plums & <b>pears</b>"))

        assert "Plums &amp; &lt;b&gt;pears&lt;/b&gt;" == (await shown(server))["body"]
        await notifier.close()


async def test_a_later_one_takes_the_place_of_the_earlier_one(server: NotificationServer) -> None:
    notifier = DBusNotifier(lambda _: None)

    for conversation in (7, 8, 7):
        await notifier.show(Notification(conversation, "The answer is there", ""))

    first, other, again = [await shown(server) for _ in range(3)]
    assert (first["id"], 0) == (again["replaces"], other["replaces"])
    await notifier.close()


async def test_nobody_who_shows_them_costs_nothing_and_is_found_later(address: str) -> None:
    notifier = DBusNotifier(lambda _: None)
    await notifier.show(Notification(7, "The answer is there", "lost"))

    with NotificationServer(address) as server:
        await notifier.show(Notification(7, "The answer is there", "seen"))

        assert "seen" == (await shown(server))["body"]
        await notifier.close()


async def test_a_bus_that_is_gone_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    notifier = DBusNotifier(lambda _: None)

    await notifier.show(Notification(7, "The answer is there", ""))
    await notifier.close()


A_BUS = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}


@pytest.mark.parametrize(
    ("environ", "platform", "bundle", "kind"),
    [
        (A_BUS, "linux", None, DBusNotifier),
        ({}, "linux", None, None),
        ({}, "win32", None, NativeNotifier),
        ({}, "darwin", BUNDLE, NativeNotifier),
        (A_BUS, "darwin", None, None),
        ({}, "darwin", "org.python.python", None),
        (A_BUS, "freebsd14", None, None),
    ],
)
def test_each_system_has_its_own(
    environ: dict[str, str], platform: str, bundle: str | None, kind: type | None
) -> None:
    notifier = make_notifier(lambda _: None, environ, platform, lambda: bundle)

    assert kind == (None if notifier is None else type(notifier))
    assert can_notify(environ, platform, lambda: bundle) == (kind is not None)


def test_the_bundle_is_the_one_that_the_installer_makes() -> None:
    settings = tomllib.loads((ROOT / "briefcase.toml").read_text("utf-8"))["tool"]["briefcase"]

    assert f"{settings['bundle']}.{next(iter(settings['app']))}" == BUNDLE


# -- what they say ---------------------------------------------------------------------------------


class Desktop:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.is_in_front = False
        self.notifications: asyncio.Queue[Notification] = asyncio.Queue()
        self.activities: list[Activity] = []
        self.zooms: list[int] = []

    async def show(self, notification: Notification) -> None:
        await self.notifications.put(notification)


MODEL = "scripted/model"
ASKS = ToolRequested("call_1", "run_python", '{"code": "print(1)"}')


@dataclass
class Followed:
    app: App
    model: ScriptedModel
    desktop: Desktop

    async def ask(self, *steps: Step, text: str = "Where are the plums?") -> int:
        """Returns the conversation's number."""
        self.model.enqueue(*steps)
        started = await self.app.runs.start(None, text, MODEL)
        return started.reply.conversation_id

    async def told(self) -> Notification:
        async with asyncio.timeout(20):
            return await self.desktop.notifications.get()

    async def until_idle(self, conversation_id: int) -> None:
        """The run is over, and everything that it published was followed."""
        async with asyncio.timeout(20):
            while self.app.runs.is_running(conversation_id) or self.desktop.activities[-1].running:
                await self.app.events.wait_beyond(self.app.events.last)


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    model, desktop = ScriptedModel(), Desktop()
    async with open_app(paths_in(tmp_path), {MODEL: model}) as app:
        attention = Attention(
            app,
            desktop,
            lambda: desktop.is_in_front,
            desktop.activities.append,
            lambda settings: desktop.zooms.append(settings.zoom_percent),
        )
        following = asyncio.create_task(attention.follow())
        await asyncio.sleep(0)
        yield Followed(app, model, desktop)
        following.cancel()


async def test_the_end_of_an_answer_is_told_by_the_title_alone(followed: Followed) -> None:
    id = await followed.ask("In the icebox.")

    assert Notification(id, "The answer is there", "Where are the plums?") == await followed.told()


async def test_a_failure_is_told(followed: Followed) -> None:
    id = await followed.ask([BadKey("The key is wrong.")])

    assert Notification(id, "The answer failed", "Where are the plums?") == await followed.told()


async def test_a_question_to_the_user_is_told_once(followed: Followed) -> None:
    id = await followed.ask([ASKS], "done")

    assert Notification(id, "Deskside waits for you", "Where are the plums?") == await followed.told()
    assert Activity(running=0, waiting=1) == followed.desktop.activities[-1]
    await followed.app.runs.stop_conversation(id)
    assert followed.desktop.notifications.empty()


async def test_what_is_shown_is_the_users_choice(followed: Followed) -> None:
    await followed.app.settings.change({"notification_text": "nothing"})
    await followed.ask("In the icebox.")
    nothing = await followed.told()
    await followed.app.settings.change({"notification_text": "answer"})
    await followed.ask("In the **icebox**.\n\n" + "And more. " * 50)
    answer = await followed.told()

    assert "" == nothing.body
    assert answer.body.startswith("Where are the plums?\nIn the **icebox**. And more.")
    assert answer.body.endswith("…")
    assert len(answer.body) < 250


@pytest.mark.parametrize("why", ["in front", "switched off"])
async def test_nothing_is_told(followed: Followed, why: str) -> None:
    followed.desktop.is_in_front = why == "in front"
    await followed.app.settings.change({"notifies": why != "switched off"})
    silent = await followed.ask("In the icebox.")
    await followed.until_idle(silent)
    followed.desktop.is_in_front = False
    await followed.app.settings.change({"notifies": True})
    told = await followed.ask("Elsewhere.")

    assert told == (await followed.told()).conversation_id
    assert followed.desktop.notifications.empty()


async def test_what_the_user_stopped_is_no_news(followed: Followed) -> None:
    hang = Hang()
    stopped = await followed.ask([hang])
    await hang.reached.wait()
    assert Activity(running=1) == followed.desktop.activities[-1]
    await followed.app.runs.stop_conversation(stopped)
    await followed.until_idle(stopped)
    other = await followed.ask("In the icebox.")

    assert other == (await followed.told()).conversation_id


async def test_the_window_is_told_of_settings(followed: Followed) -> None:
    await followed.app.settings.change({"zoom_percent": 125})
    await followed.ask("In the icebox.")
    await followed.told()

    assert [100, 125] == followed.desktop.zooms
