"""The notifications of macOS and Windows: what desktop-notifier is asked for, and what it makes of a click.

The library is the real one; what is replaced is its way to the system.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import desktop_notifier
import pytest
from desktop_notifier.backends.base import DesktopNotifierBackend
from loguru import logger
from PIL import Image

from deskside.shell.notifications import Notification
from deskside.shell.notifications_native import NativeNotifier

HEADING = "The answer is there"


class System:
    """What the library finds on a machine, and what its user does."""

    def __init__(self) -> None:
        self.centres: list[Centre] = []
        self.shown: asyncio.Queue[desktop_notifier.Notification] = asyncio.Queue()
        self.asked: asyncio.Queue[asyncio.Future[bool]] = asyncio.Queue()
        self.asks = False  # the user, who answers by what is in `asked`
        self.fault: Exception | None = None  # of what is called next

    def open(self, app_name: str, app_icon: desktop_notifier.Icon | None = None) -> Centre:
        self.stumble()
        self.centres.append(Centre(self, app_name, app_icon))
        return self.centres[-1]

    def stumble(self) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault

    async def next_shown(self) -> desktop_notifier.Notification:
        async with asyncio.timeout(20):
            return await self.shown.get()

    async def next_asked(self) -> asyncio.Future[bool]:
        async with asyncio.timeout(20):
            return await self.asked.get()


class Centre(DesktopNotifierBackend):
    """A way to the system, as desktop-notifier's own are."""

    def __init__(self, system: System, app_name: str, app_icon: desktop_notifier.Icon | None) -> None:
        super().__init__(app_name, app_icon)
        self._system = system

    async def request_authorisation(self) -> bool:
        if not self._system.asks:
            return True
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        await self._system.asked.put(answer)
        return await answer

    async def has_authorisation(self) -> bool:
        raise NotImplementedError

    async def _send(self, notification: desktop_notifier.Notification) -> None:
        self._system.stumble()
        await self._system.shown.put(notification)

    async def _clear(self, identifier: str) -> None:
        raise NotImplementedError

    async def _clear_all(self) -> None:
        raise NotImplementedError

    async def _get_capabilities(self) -> frozenset[desktop_notifier.Capability]:
        raise NotImplementedError

    def move_aside(self, identifier: str) -> None:
        """As Windows does after some seconds; the library forgets the notification then."""
        self._clear_notification_from_cache(identifier)

    def click(self, identifier: str) -> None:
        """On a thread of the system's, as on macOS."""
        found = self._clear_notification_from_cache(identifier)
        clicking = threading.Thread(target=self.handle_clicked, args=(identifier, found))
        clicking.start()
        clicking.join()


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr("desktop_notifier.main.get_backend_class", lambda: system.open)
    return system


@pytest.fixture
def clicked() -> asyncio.Queue[tuple[int, threading.Thread]]:
    """Which, and on which thread."""
    return asyncio.Queue()


@pytest.fixture
async def notifier(
    system: System, clicked: asyncio.Queue[tuple[int, threading.Thread]]
) -> AsyncIterator[NativeNotifier]:
    notifier = NativeNotifier(lambda id: clicked.put_nowait((id, threading.current_thread())))
    yield notifier
    await notifier.close()


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE", format="{message} {extra} {exception}")
    yield lines
    logger.remove(sink)


async def test_the_first_one_reaches_the_system_and_none_before(
    system: System, notifier: NativeNotifier
) -> None:
    assert [] == system.centres

    await notifier.show(Notification(7, HEADING, "Plums & <b>pears</b>, 100%"))
    shown = await system.next_shown()

    assert (HEADING, "Plums & <b>pears</b>, 100%") == (shown.title, shown.message)
    (centre,) = system.centres
    assert "Deskside" == centre.app_name
    assert centre.app_icon is not None
    with Image.open(centre.app_icon.as_path()) as icon:
        assert ("PNG", (128, 128)) == (icon.format, icon.size)


async def test_what_windows_cannot_read_is_replaced(system: System, notifier: NativeNotifier) -> None:
    await notifier.show(Notification(7, HEADING, "\x1b[1mPlums\x00\ufffe\n\tund Äpfel 🍎"))

    assert "\ufffd[1mPlums\ufffd\ufffd\n\tund Äpfel 🍎" == (await system.next_shown()).message


async def test_a_click_says_which_on_the_loop(
    system: System, notifier: NativeNotifier, clicked: asyncio.Queue[tuple[int, threading.Thread]]
) -> None:
    for conversation in (7, 8):
        await notifier.show(Notification(conversation, HEADING, ""))
    seven, eight = [await system.next_shown() for _ in range(2)]
    (centre,) = system.centres

    centre.click(eight.identifier)
    centre.move_aside(seven.identifier)
    centre.click(seven.identifier)

    here = threading.current_thread()
    async with asyncio.timeout(20):
        assert [(8, here), (7, here)] == [await clicked.get() for _ in range(2)]


async def test_after_the_end_a_click_does_nothing(
    system: System, notifier: NativeNotifier, clicked: asyncio.Queue[tuple[int, threading.Thread]]
) -> None:
    await notifier.show(Notification(7, HEADING, ""))
    shown = await system.next_shown()

    await notifier.close()
    system.centres[0].click(shown.identifier)
    await asyncio.sleep(0)  # what the click would have asked of the loop

    assert clicked.empty()


async def test_a_later_one_takes_the_place_of_the_earlier_one(
    system: System, notifier: NativeNotifier
) -> None:
    identifiers = []
    for conversation in (7, 8, 7):
        await notifier.show(Notification(conversation, HEADING, ""))
        identifiers.append((await system.next_shown()).identifier)

    first, other, again = identifiers
    assert first == again != other


async def test_until_the_user_has_answered_only_the_newest_of_each_conversation_waits(
    system: System, notifier: NativeNotifier
) -> None:
    system.asks = True

    await notifier.show(Notification(7, HEADING, "old"))
    answer = await system.next_asked()
    for conversation, body in ((8, "other"), (7, "new")):
        await notifier.show(Notification(conversation, HEADING, body))
    system.asks = False
    answer.set_result(True)

    assert ["new", "other"] == [(await system.next_shown()).message for _ in range(2)]
    await notifier.close()
    assert system.shown.empty()


async def test_the_end_does_not_wait_for_the_users_answer(system: System, notifier: NativeNotifier) -> None:
    system.asks = True
    await notifier.show(Notification(7, HEADING, ""))
    answer = await system.next_asked()

    await notifier.close()

    assert answer.cancelled()


async def test_where_the_user_refused_nothing_is_shown_until_they_allow_it(
    system: System, notifier: NativeNotifier, log: list[str]
) -> None:
    system.asks = True

    for conversation, is_allowed in ((7, False), (8, False), (9, True)):
        await notifier.show(Notification(conversation, HEADING, f"Secret {conversation}"))
        (await system.next_asked()).set_result(is_allowed)

    assert "Secret 9" == (await system.next_shown()).message
    assert ["the system does not let Deskside show notifications"] == [line.split(" {")[0] for line in log]


async def test_a_system_without_them_costs_nothing_and_is_asked_again(
    system: System, notifier: NativeNotifier, log: list[str]
) -> None:
    system.fault = OSError("The plums are secret")

    await notifier.show(Notification(7, HEADING, "The plums are secret"))
    async with asyncio.timeout(20):
        while not log:
            await asyncio.sleep(0)
    await notifier.show(Notification(7, HEADING, "seen"))

    assert "seen" == (await system.next_shown()).message
    assert log[0].startswith("a notification could not be shown: OSError")
    assert "plums" not in "".join(log)


async def test_one_that_the_system_refuses_costs_no_other(
    system: System, notifier: NativeNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    await notifier.show(Notification(6, HEADING, "shown"))
    await system.next_shown()
    system.fault = OSError("no such service")

    for conversation in (7, 8):
        await notifier.show(Notification(conversation, HEADING, f"number {conversation}"))

    assert "number 8" == (await system.next_shown()).message
    assert ["Notification failed"] == [record.getMessage() for record in caplog.records]
