"""Deskside as one program among others: links, files, notifications, the tray, the login, the zoom."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from chat_parts import ask, expect_complete, said
from desk import Desk
from playwright.sync_api import Page, expect

from desktop_bus import NotificationServer, TrayHost, TrayIcon, session_bus
from provider_server import ProviderServer
from screen import press_close_button, screen
from window_engines import WindowEngine

pytestmark = pytest.mark.window

WAIT_MS = 30_000
PIRATE = {
    "format": "deskside-agent",
    "version": 1,
    "name": "pirate",
    "label": "Pirate",
    "instructions": "Talk like a pirate.",
    "tools": ["calculate"],
}
MODEL = "anthropic/claude-sonnet-4-5"


def agent_link() -> str:
    return f"deskside://agent?json={quote(json.dumps(PIRATE))}"


def wait_until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.05)  # another process's state: there is nothing to be told by


@pytest.fixture
def answered(desk: Desk, keyed: dict[str, str], provider: ProviderServer) -> Desk:
    """With a provider behind it."""
    desk.environ |= {**keyed, "DESKSIDE_MODEL": MODEL}
    return desk


def agents(desk: Desk) -> list[str]:
    return [row["name"] for row in desk.call("agents.list", None)]


def test_a_link_opens_its_conversation_in_the_window_that_is_there(
    answered: Desk, provider: ProviderServer
) -> None:
    provider.script(said("In the icebox."))
    page = answered.start()
    ask(page, "Where are the plums?")
    expect_complete(page)
    page.get_by_test_id("new-chat").click()
    expect(page.get_by_text("In the icebox.")).to_have_count(0)

    answered.run("open", "deskside://conversation/1")

    expect(page.get_by_text("In the icebox.")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("location.hash") == "#/chat/1"


def test_an_agent_in_a_link_is_shown_whole_and_imported_by_the_user_alone(answered: Desk) -> None:
    page = answered.start("open", agent_link())

    dialog = page.get_by_role("dialog", name="Import this agent?")
    expect(dialog).to_contain_text("A link brought this agent.", timeout=WAIT_MS)
    expect(dialog.get_by_label("Instructions")).to_have_value("Talk like a pirate.")
    expect(dialog).to_contain_text("calculate")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert "pirate" not in agents(answered)

    answered.run("open", agent_link())
    dialog.get_by_role("button", name="Import").click()
    expect(page.get_by_text("“Pirate” was imported.")).to_be_visible()
    assert "pirate" in agents(answered)
    page.reload()
    expect(page.get_by_test_id("chat-input")).to_be_visible(timeout=WAIT_MS)
    expect(dialog).to_have_count(0)

    answered.run("open", agent_link())
    dialog.get_by_role("button", name="Import").click()
    taken = page.get_by_role("dialog", name="This name is taken")
    taken.get_by_role("button", name="Import", exact=True).click()
    expect(taken).to_have_count(0)
    assert {"pirate", "pirate-2"} <= set(agents(answered))


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("javascript:alert(1)", "does not begin with deskside://"),
        ("deskside://send?text=hello", "neither to a conversation nor to an agent"),
        ("deskside://conversation/../../etc/passwd", "by its number"),
        ("deskside://conversation/1\n2", "characters that no link may hold"),
        ("deskside://conversation/4711", "4711"),
        ("deskside://agent?json=" + "x" * 90_000, "longer than 16,000 characters"),
    ],
    ids=["script", "deed", "traversal", "control", "gone", "huge"],
)
def test_a_link_that_proposes_nothing_is_refused_in_the_window(answered: Desk, link: str, says: str) -> None:
    page = answered.start()
    place = page.evaluate("location.hash")

    answered.run("open", link)

    expect(page.locator(".toast").filter(has_text=says)).to_be_visible(timeout=WAIT_MS)
    assert place == page.evaluate("location.hash")


def test_an_export_that_is_opened_is_only_looked_at(answered: Desk, tmp_path: Path) -> None:
    path = tmp_path / "my chats.json"
    chat = {"uuid": "1", "name": "Dinner"}
    chats = [{**chat, "chat_messages": [{"uuid": "a", "sender": "human", "text": "Plums?"}]}]
    path.write_text(json.dumps(chats))
    page = answered.start()

    answered.run("open", f"file://{quote(str(path))}")

    dialog = page.get_by_role("dialog", name="Import conversations")
    expect(dialog).to_contain_text("“my chats.json” is an export of Claude", timeout=WAIT_MS)
    expect(dialog).to_contain_text("1 conversation")
    dialog.get_by_role("button", name="Cancel").click()
    assert [] == answered.call("conversations.page", {})["conversations"]


def test_the_page_is_shown_larger_and_stays_so(answered: Desk) -> None:
    page = answered.start()
    width = page.evaluate("innerWidth")

    page.keyboard.press("Control+Equal")
    page.keyboard.press("Control+Equal")
    wait_until(lambda: answered.call("settings.get", None)["zoom_percent"] == 125, "the setting")
    wait_until(lambda: page.evaluate("innerWidth") <= width / 1.24, "a larger page")
    larger = page.evaluate("innerWidth")
    assert 0 == answered.close()

    page = answered.start()
    wait_until(lambda: page.evaluate("innerWidth") == larger, "a page as large as before")
    page.keyboard.press("Control+0")
    wait_until(lambda: page.evaluate("innerWidth") == width, "a page of the usual size")


def test_an_answer_is_copied_with_its_looks(answered: Desk, provider: ProviderServer) -> None:
    provider.script(said("In the **icebox**."))
    page = answered.start()
    ask(page, "Where are the plums?")
    expect_complete(page)
    # What a program gets that is pasted into: the engine's own clipboard.
    page.evaluate("""() => {
      window.copied = {};
      document.addEventListener("copy", (event) => setTimeout(() => {}, 0), true);
      const own = DataTransfer.prototype.setData;
      DataTransfer.prototype.setData = function (kind, text) {
        window.copied[kind] = text;
        return own.call(this, kind, text);
      };
    }""")

    page.locator("[data-role=assistant]").get_by_role("button", name="Copy", exact=True).click()

    expect(page.locator("[data-role=assistant]").get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("window.copied")
    assert "In the **icebox**." == copied["text/plain"].strip()
    assert "<p>In the <strong>icebox</strong>." in copied["text/html"]


def test_it_starts_at_login_where_the_user_wants_that(answered: Desk, home: Path) -> None:
    page = answered.start()
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Desktop", exact=True).click()
    switch = page.get_by_role("switch", name="Start when I log in")
    expect(switch).to_have_attribute("aria-checked", "false")

    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    [entry] = home.rglob("autostart/deskside.desktop")
    assert re.search(r"^Exec=.* -m deskside --data-dir ", entry.read_text(), re.MULTILINE)
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    assert not entry.exists()


def test_where_it_cannot_start_at_login_it_says_so(answered: Desk) -> None:
    answered.environ["FLATPAK_ID"] = "org.deskside.deskside"
    page = answered.start()
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Desktop", exact=True).click()

    expect(page.get_by_role("switch", name="Start when I log in")).to_be_disabled()
    expect(page.get_by_text("add Deskside to the programs that your system starts")).to_be_visible()


# -- the tray --------------------------------------------------------------------------------------


@pytest.fixture
def bus(answered: Desk) -> Iterator[str]:
    with session_bus() as address:
        answered.environ["DBUS_SESSION_BUS_ADDRESS"] = address
        yield address


@pytest.fixture
def display(engine: WindowEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A screen that the window really appears on."""
    if engine.display is not None:
        yield engine.display
        return
    with screen() as name:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        yield name


@pytest.fixture
def host(bus: str) -> Iterator[TrayHost]:
    with TrayHost(bus) as host:
        yield host


@dataclass
class InTray:
    """The program with its window and its icon in the tray."""

    desk: Desk
    page: Page
    icon: TrayIcon

    def hide(self) -> None:
        self.icon.press("Show or hide Deskside")
        self.until_hidden()

    def until_hidden(self) -> None:
        wait_until(lambda: not is_shown(self.page), "the window to hide")

    def until_shown(self) -> None:
        wait_until(lambda: is_shown(self.page), "the window to come back")


@pytest.fixture
def in_tray(answered: Desk, display: str, host: TrayHost) -> Iterator[InTray]:
    answered.call("settings.change", {"closes_to_tray": True})
    page = answered.start()
    with host.icon() as icon:
        yield InTray(answered, page, icon)


def is_shown(page: Page) -> bool:
    return bool(page.evaluate("document.visibilityState") == "visible")


def test_a_closed_window_goes_on_in_the_tray_and_tells_of_the_answer(
    in_tray: InTray, display: str, bus: str, provider: ProviderServer
) -> None:
    provider.script(said("In the icebox."))
    press_close_button(display, "Deskside")
    in_tray.until_hidden()

    with NotificationServer(bus) as notifications:
        in_tray.desk.call("runs.start", {"text": "Where are the plums?"})
        told = notifications.shown.get(timeout=WAIT_MS / 1000)
        assert ("The answer is there", "Where are the plums?") == (told["heading"], told["body"])
        notifications.click(told["id"])

        in_tray.until_shown()
        expect(in_tray.page.get_by_text("In the icebox.")).to_be_visible(timeout=WAIT_MS)


def test_the_trays_menu_shows_hides_and_begins_a_chat_and_quits(in_tray: InTray) -> None:
    assert ["Nothing under way", "Show or hide Deskside", "New chat", "Quit"] == in_tray.icon.labels()

    in_tray.hide()
    in_tray.icon.press("Show or hide Deskside")
    in_tray.until_shown()
    in_tray.page.get_by_test_id("settings-button").click()
    in_tray.icon.press("New chat")
    expect(in_tray.page.get_by_test_id("chat-input")).to_be_visible(timeout=WAIT_MS)

    in_tray.icon.press("Quit")
    assert in_tray.desk.process is not None
    assert 0 == in_tray.desk.process.wait(WAIT_MS / 1000)


@pytest.mark.only_on("qt", reason="the tray's library for GTK has icons with a menu and no click")
def test_a_click_on_the_icon_brings_the_window_back(in_tray: InTray) -> None:
    in_tray.hide()

    in_tray.icon.click()

    in_tray.until_shown()


def test_quitting_asks_while_an_answer_is_written(in_tray: InTray, provider: ProviderServer) -> None:
    provider.script(said("In the icebox.", hang_after=10))
    in_tray.desk.call("runs.start", {"text": "Where are the plums?"})
    wait_until(lambda: in_tray.icon.labels()[0] == "1 answer under way", "the tray to tell of the answer")
    in_tray.hide()

    in_tray.icon.press("Quit")

    in_tray.until_shown()  # for what it asks
    assert in_tray.desk.process is not None
    assert in_tray.desk.process.poll() is None
    assert in_tray.desk.call("conversations.get", {"id": 1})["is_running"]


def test_a_tray_that_goes_away_gives_the_window_back(in_tray: InTray, host: TrayHost) -> None:
    in_tray.hide()

    host.close()

    in_tray.until_shown()


def test_a_second_start_shows_the_window_that_is_in_the_tray(in_tray: InTray, display: str) -> None:
    press_close_button(display, "Deskside")
    in_tray.until_hidden()

    in_tray.desk.run("open")

    in_tray.until_shown()


def test_without_a_tray_closing_really_closes(answered: Desk, display: str, bus: str) -> None:
    answered.call("settings.change", {"closes_to_tray": True})
    page = answered.start()
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Desktop", exact=True).click()
    expect(page.get_by_role("region", name="Window")).to_contain_text("Your desktop has no tray now")

    press_close_button(display, "Deskside")

    assert answered.process is not None
    assert 0 == answered.process.wait(WAIT_MS / 1000)


@pytest.mark.only_on("qt", reason="its menus stand in for those of macOS, which no window on Linux has")
def test_the_menus_that_macos_shows_do_what_the_shortcuts_do(
    answered: Desk, provider: ProviderServer
) -> None:
    answered.show_menus()
    page = answered.start()
    ask(page, "Where are the plums?")
    expect_complete(page)

    answered.choose("Chat/New Chat")
    expect(page.get_by_test_id("message")).to_have_count(0)
    answered.choose("Chat/Find in All Conversations")
    expect(page.get_by_test_id("search-input")).to_be_focused()
    answered.choose("Help/Keyboard Shortcuts")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    # The menu with the program's own name, and Settings in it, pywebview makes on macOS alone.
    answered.choose("Chat/Larger")
    wait_until(lambda: answered.call("settings.get", None)["zoom_percent"] > 100, "a larger page")
