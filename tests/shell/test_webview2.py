"""The window on Windows, against stand-ins that behave as Microsoft documents it (tests/windows_forms.py)."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deskside.shell import hardening_webview2 as engine
from deskside.shell.page_lock import PageLock
from windows_forms import Control, Core, Form, MenuList, MessageBox, install

PAGE = "http://127.0.0.1:4321"
BOOT = f"{PAGE}/__boot/token"


class Window:
    """pywebview's, with a form and the control in it."""

    def __init__(self) -> None:
        self.native: Any = Form()
        self.control = Control()
        self.native.browser = SimpleNamespace(webview=self.control)
        self.loaded: list[str] = []
        self.has_ended = False

    def load_url(self, url: str) -> None:
        self.loaded.append(url)

    def deskside_end(self) -> None:
        self.has_ended = True


@pytest.fixture
def user32(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return install(monkeypatch)


@pytest.fixture
def window(user32: SimpleNamespace) -> Window:
    return Window()


@pytest.fixture
def core(window: Window) -> Core:
    """The core of a window that is locked down, with the page's address known."""
    core, lock = Core(), PageLock()
    engine.harden(window, lock)
    window.control.initialize(core)
    lock.unlock(PAGE, lambda: BOOT)
    return core


def test_what_pywebview_leaves_open_is_closed_before_its_window_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import webview.platforms

    platform: Any = ModuleType("webview.platforms.edgechromium")
    platform.EdgeChrome = type("EdgeChrome", (), {})
    winforms: Any = ModuleType("webview.platforms.winforms")
    winforms._sigint_handler = lambda *_: pytest.fail("Ctrl-C would end the loop past all that closes")
    registry = SimpleNamespace(HKEY_LOCAL_MACHINE=1, HKEY_CURRENT_USER=2)
    for module in (platform, winforms):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(webview.platforms, module.__name__.rpartition(".")[2], module, raising=False)
    monkeypatch.setitem(sys.modules, "winreg", registry)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "require_runtime", lambda given: None)
    environ = dict.fromkeys(engine.SCRUBBED, "1") | {"PATH": "kept"}

    engine.prepare(environ)

    asked = SimpleNamespace(Uri="https://example.com/", Handled=False)
    platform.EdgeChrome().on_new_window_request(None, asked)
    winforms._sigint_handler(2, None)
    assert {"PATH": "kept"} == environ
    assert asked.Handled


def test_only_the_page_is_shown_and_asked_for(window: Window, core: Core) -> None:
    def is_let_through(event: Any, url: str) -> bool:
        return not event(SimpleNamespace(Uri=url, Cancel=False)).Cancel

    for event in (window.control.NavigationStarting, core.FrameNavigationStarting):
        assert is_let_through(event, BOOT)
        assert not is_let_through(event, "https://example.com/")

    def answer_to(url: str) -> Any:
        request = SimpleNamespace(Request=SimpleNamespace(Uri=url), Response=None)
        return core.WebResourceRequested(request).Response

    assert answer_to(f"{PAGE}/app.js") is None
    assert (None, 403, "Blocked", "") == answer_to("https://example.com/x.png")


def test_nothing_is_shown_before_the_page_has_an_address(window: Window) -> None:
    engine.harden(window, PageLock())

    assert window.control.NavigationStarting(SimpleNamespace(Uri=BOOT, Cancel=False)).Cancel


def test_what_a_page_is_not_to_have_is_off(core: Core) -> None:
    assert dict.fromkeys(engine.FORBIDDEN, False) | {"AreDefaultContextMenusEnabled": True} == vars(
        core.Settings
    )
    asked = core.PermissionRequested(SimpleNamespace(PermissionKind="Camera", State="Default"))
    assert "Deny" == asked.State
    download = core.DownloadStarting(SimpleNamespace(Cancel=False, Handled=False))
    assert download.Cancel
    assert download.Handled


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        (
            ["back", "undo", "cut", "copy", "paste", "other", "saveAs", "print"],
            ["undo", "cut", "copy", "paste"],
        ),
        (["copy", "cut (off)", "selectAll"], ["copy", "selectAll"]),
        (["back", "reload"], []),
    ],
)
def test_the_menu_on_the_right_button_is_for_text(core: Core, offered: list[str], kept: list[str]) -> None:
    items = MenuList(
        SimpleNamespace(Name=name.removesuffix(" (off)"), IsEnabled=" " not in name) for name in offered
    )

    asked = core.ContextMenuRequested(SimpleNamespace(MenuItems=items, Handled=False))

    assert kept == [each.Name for each in items]
    assert asked.Handled == (not kept)


def test_an_engine_that_does_not_start_is_told_and_ends_the_program(window: Window) -> None:
    engine.harden(window, PageLock())
    window.control.initialize(None)
    window.native.run_queue()

    assert "WebView2" in MessageBox.shown[0]
    assert window.has_ended


def test_a_window_that_cannot_be_locked_down_is_closed(window: Window) -> None:
    class Old:
        """An older runtime, which does not know one of the settings."""

        def __setattr__(self, name: str, _: object) -> None:
            if name == engine.FORBIDDEN[-1]:
                raise NotImplementedError(name)

    core = Core()
    core.Settings = Old()
    engine.harden(window, PageLock())
    window.control.initialize(core)
    window.native.run_queue()

    assert window.has_ended


def test_the_page_comes_back_where_it_was_and_after_three_times_the_user_is_asked(
    window: Window, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Timer:
        def __init__(self, wait_s: float, call: Any, arguments: tuple[Any, ...]) -> None:
            waits.append(wait_s)
            self.start = lambda: call(*arguments)

    monkeypatch.setattr(engine.threading, "Timer", Timer)
    core.Source = f"{PAGE}/#/chat/7"

    def dies(kind: str) -> None:
        core.ProcessFailed(SimpleNamespace(ProcessFailedKind=kind))

    dies("GpuProcessExited")
    for _ in range(3):
        dies("RenderProcessExited")
    window.native.run_queue()
    assert [0.0, 0.5, 2.0] == waits
    assert [f"{BOOT}#/chat/7"] * 3 == window.loaded

    dies("RenderProcessExited")
    assert [] == MessageBox.shown  # WebView2 waits for its handlers
    window.native.run_queue()
    assert 1 == len(MessageBox.shown)
    assert 4 == len(window.loaded)

    MessageBox.answer = "Cancel"
    for _ in range(4):
        dies("RenderProcessUnresponsive")
    window.native.run_queue()
    assert window.has_ended


def test_without_webview2s_own_process_the_program_ends_and_says_so(window: Window, core: Core) -> None:
    core.ProcessFailed(SimpleNamespace(ProcessFailedKind="BrowserProcessExited"))
    window.native.run_queue()

    assert "WebView2" in MessageBox.shown[0]
    assert window.has_ended
    assert [] == window.loaded


def test_all_is_stored_before_windows_ends_the_session(user32: SimpleNamespace) -> None:
    ended: list[bool] = []

    engine.watch_end(lambda: ended.append(True))
    assert [] == ended
    sys.modules["Microsoft.Win32"].SystemEvents.SessionEnded()

    assert [True] == ended


def test_whether_the_window_is_in_front_is_told_at_each_change(window: Window) -> None:
    told: list[bool] = []
    form = window.native
    form.Visible = False

    engine.watch_front(window, told.append)
    assert [False] == told
    form.Show()
    form.Activated()
    assert told[-1]
    form.Deactivate()
    assert not told[-1]
    form.Activated()
    form.WindowState = "Minimized"
    form.Resize()
    assert not told[-1]
    form.WindowState = "Maximized"
    form.Resize()
    assert told[-1]
    form.Hide()
    assert not told[-1]


@pytest.mark.parametrize(
    ("state", "restored"), [("Minimized", [(4711, 9)]), ("Maximized", []), ("Normal", [])]
)
def test_it_is_brought_forward_as_large_as_it_was(
    window: Window, user32: SimpleNamespace, state: str, restored: list[tuple[int, int]]
) -> None:
    window.native.Visible = False
    window.native.WindowState = state

    engine.bring_forward(window)
    assert [] == window.native.calls  # another thread has asked
    window.native.run_queue()

    assert ["show", "activate"] == window.native.calls
    assert restored == user32.calls


def test_after_the_window_nothing_is_brought_forward(window: Window) -> None:
    window.native.IsDisposed = True

    engine.bring_forward(window)
    engine.zoom(window, 150)

    assert [] == window.native.queue


def test_what_goes_wrong_on_the_windows_thread_is_no_dialog_of_windows_forms(window: Window) -> None:
    window.native.browser = None

    engine.zoom(window, 150)

    window.native.run_queue()
