"""The tray of the window on Windows, against stand-ins that behave as Microsoft documents it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deskside.shell import tray_winforms
from deskside.shell.hardening_webview2 import make_tray
from deskside.shell.tray import BUSY, WAITING, Activity, TrayWishes
from deskside.shell.tray_winforms import WinFormsTray
from windows_forms import Form, NotifyIcon, install


class Desktop:
    """A window, and the icon that its tray has made."""

    def __init__(self, user32: SimpleNamespace) -> None:
        self.user32 = user32
        self.form: Any = Form()
        self.wished: list[str] = []
        self.closes_to_tray = False
        self.form.FormClosing += self._pywebview_asks

    def make(self) -> WinFormsTray:
        wishes = TrayWishes(
            self._show, lambda: self.wished.append("new chat"), lambda: self.wished.append("quit")
        )
        return make_tray(SimpleNamespace(native=self.form), wishes)

    @property
    def icon(self) -> NotifyIcon:
        (icon,) = NotifyIcon.made
        return icon

    def _show(self) -> None:
        self.wished.append("show")
        self.form.Visible = True

    def _pywebview_asks(self, _: object, closing: Any) -> None:
        closing.Cancel = self.closes_to_tray


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    monkeypatch.setattr(tray_winforms, "_picture", lambda mark: f"picture {mark}")
    return Desktop(install(monkeypatch))


@pytest.fixture
def tray(desktop: Desktop) -> WinFormsTray:
    tray = desktop.make()
    tray.set_shown(True)
    desktop.form.run_queue()
    return tray


def test_there_is_no_icon_until_the_user_wants_one(desktop: Desktop) -> None:
    tray = desktop.make()
    tray.show_activity(Activity(1, 0))
    tray.set_shown(False)
    desktop.form.run_queue()

    assert [] == NotifyIcon.made


def test_the_menu_does_what_it_says(desktop: Desktop, tray: WinFormsTray) -> None:
    menu = desktop.icon.ContextMenuStrip
    lines = [(each.Text, each.Enabled) for each in menu.Items if hasattr(each, "Text")]

    menu.press("Show or hide Deskside")
    assert not desktop.form.Visible
    menu.press("Show or hide Deskside")
    menu.press("New chat")
    menu.press("Quit")

    assert [
        ("Nothing under way", False),
        ("Show or hide Deskside", True),
        ("New chat", True),
        ("Quit", True),
    ] == lines
    assert ["show", "new chat", "quit"] == desktop.wished


def test_the_left_button_shows_the_window_and_the_right_one_the_menu(
    desktop: Desktop, tray: WinFormsTray
) -> None:
    desktop.icon.MouseClick(SimpleNamespace(Button="Right"))
    assert [] == desktop.wished
    desktop.icon.MouseClick(SimpleNamespace(Button="Left"))
    assert ["show"] == desktop.wished


@pytest.mark.parametrize(
    ("activity", "text", "colour"),
    [
        (Activity(), "Deskside", ""),
        (Activity(2, 0), "Deskside: 2 answers under way", BUSY),
        (Activity(2, 1), "Deskside: 2 answers under way, 1 waits for you", WAITING),
        (
            Activity(10**15, 10**9),
            "Deskside: 1000000000000000 answers under way, 1000000000 wait for you",
            WAITING,
        ),
    ],
)
def test_the_icon_says_what_is_under_way(
    desktop: Desktop, tray: WinFormsTray, activity: Activity, text: str, colour: str
) -> None:
    tray.show_activity(activity)
    desktop.form.run_queue()

    assert desktop.icon.Visible
    assert text[: tray_winforms.LONGEST_TEXT] == desktop.icon.Text
    assert f"picture {colour}" == desktop.icon.Icon
    assert str(activity) == desktop.icon.ContextMenuStrip.Items[0].Text


def test_taking_the_icon_away_gives_a_hidden_window_back(desktop: Desktop, tray: WinFormsTray) -> None:
    desktop.form.Visible = False

    tray.set_shown(False)
    desktop.form.run_queue()

    assert not desktop.icon.Visible
    assert ["show"] == desktop.wished


@pytest.mark.parametrize("taskbar", [0, 1])
def test_without_a_taskbar_there_is_no_tray(desktop: Desktop, tray: WinFormsTray, taskbar: int) -> None:
    known: list[bool] = []
    desktop.user32.taskbar = taskbar

    tray.when_known(known.append)
    desktop.form.run_queue()

    assert [bool(taskbar)] == known


def test_a_window_that_goes_to_the_tray_keeps_its_icon(desktop: Desktop, tray: WinFormsTray) -> None:
    desktop.closes_to_tray = True

    assert not desktop.form.close()
    assert not desktop.icon.is_disposed


def test_logging_out_does_not_wait_for_a_window_that_goes_to_the_tray(
    desktop: Desktop, tray: WinFormsTray
) -> None:
    desktop.closes_to_tray = True

    assert desktop.form.close("WindowsShutDown")
    assert desktop.icon.is_disposed


def test_where_the_session_goes_on_after_all_the_icon_is_still_there(
    desktop: Desktop, tray: WinFormsTray
) -> None:
    desktop.closes_to_tray = True

    assert desktop.form.may_close("WindowsShutDown")
    assert not desktop.icon.is_disposed
