"""Dialogs for files, as the desktop shows them, with the keyboard of a user."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_parts import ask, expect_complete
from desk import Desk
from playwright.sync_api import Locator, expect

from window_engines import WindowEngine

pytestmark = [
    pytest.mark.window,
    pytest.mark.both_engines,
    pytest.mark.only_on("gtk", reason="Qt's dialogs are drawn off screen, where no key reaches them"),
]

WAIT_S = 20.0
EXPORT, IMPORT = "Export conversations", "Import conversations"
# A name is in the field where a file is saved, its ending not selected; to open one there is no field yet.
SELECT_ALL, TYPE_A_PATH = "ctrl+a", "ctrl+l"


class Keyboard:
    """Real keys on the program's screen, in the dialog of a name."""

    def __init__(self, display: str) -> None:
        self._environ = {"DISPLAY": display}

    def wait_for(self, title: str) -> str:
        limit = time.monotonic() + WAIT_S
        while not (found := self._ask("search", "--onlyvisible", "--name", title)):
            assert time.monotonic() < limit, f"no window is called {title!r}"
            time.sleep(0.05)  # another process shows it; nothing tells when
        return found.split()[0]

    def type(self, title: str, begin: str, text: str) -> None:
        """`begin` is the key that makes the field for a path ready."""
        window = self.wait_for(title)
        self._ask("windowfocus", "--sync", window, "key", begin, "type", "--delay", "20", text)

    def press(self, *keys: str) -> None:
        self._ask("key", *keys)

    def press_until_gone(self, key: str, title: str) -> None:
        """What is in front of the dialog, such as names that begin as what was typed, takes a key first."""
        limit = time.monotonic() + WAIT_S
        while self._ask("search", "--onlyvisible", "--name", title):
            assert time.monotonic() < limit, f"{title!r} is still there"
            self.press(key)
            time.sleep(0.5)  # as long as a person takes to see what the key did

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self._environ, capture_output=True, text=True, timeout=WAIT_S
        )
        return done.stdout


@pytest.fixture
def keyboard(engine: WindowEngine) -> Keyboard:
    assert engine.display is not None
    return Keyboard(engine.display)


@pytest.fixture
def data_settings(desk: Desk, keyed: dict[str, str]) -> Iterator[Locator]:
    """Settings → Data, with one conversation there to be exported."""
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-test"}
    page = desk.start()
    ask(page, "Where are the plums?")
    expect_complete(page)
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Data", exact=True).click()
    yield page.get_by_role("region", name="Export and import")
    assert 0 == desk.close()


def export_to(settings: Locator) -> None:
    settings.get_by_role("button", name="Export all…").click()
    settings.page.get_by_role("dialog").get_by_role("button", name="Choose where…").click()


def test_a_file_is_saved_where_it_is_typed_and_another_is_overwritten_only_after_a_question(
    data_settings: Locator, keyboard: Keyboard, tmp_path: Path
) -> None:
    page = data_settings.page
    kept = tmp_path / "kept.deskside"
    kept.write_text("mine")

    export_to(data_settings)
    keyboard.type(EXPORT, SELECT_ALL, str(kept))
    keyboard.press("Return")
    # First the question whether to overwrite it.
    keyboard.press_until_gone("Escape", EXPORT)
    assert "mine" == kept.read_text()

    page.get_by_role("button", name="Choose where…").click()
    keyboard.type(EXPORT, SELECT_ALL, str(tmp_path / "new.deskside"))
    keyboard.press_until_gone("Return", EXPORT)
    done = page.get_by_role("dialog", name="Export conversations")
    expect(done).to_contain_text("1 conversation exported")
    assert "plums" in (tmp_path / "new.deskside").read_text()


def test_a_file_that_is_typed_is_opened(data_settings: Locator, keyboard: Keyboard, tmp_path: Path) -> None:
    (tmp_path / "a list.json").write_text("[]")

    data_settings.get_by_role("button", name="Import…").click()
    keyboard.type(IMPORT, TYPE_A_PATH, str(tmp_path / "a list.json"))
    keyboard.press_until_gone("Return", IMPORT)

    expect(data_settings.page.get_by_text("The file holds no conversation.")).to_be_visible()


def test_an_open_dialog_does_not_keep_the_program_from_ending(
    data_settings: Locator, keyboard: Keyboard
) -> None:
    data_settings.get_by_role("button", name="Import…").click()

    keyboard.wait_for(IMPORT)
