"""WebView2 on Windows, locked down: what pywebview leaves open there, closed.

Written from Microsoft's documentation of `CoreWebView2` and Windows Forms and from pywebview's source. It has
not been run on Windows yet: until it has, every promise here is to be checked there by hand. That what is
used of WebView2 is there was looked up in the libraries that pywebview brings; what is of Windows Forms alone
was seen at work with Mono's.

The window's thread is not Python's main one here: pywebview makes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from loguru import logger

from deskside.shell.page_lock import PageLock, describe
from deskside.shell.recovery import Recovery
from deskside.shell.tray import TrayWishes
from deskside.shell.tray_winforms import WinFormsTray
from deskside.shell.webview2_runtime import require_runtime
from deskside.shell.window_state import WindowState
from deskside.shell.winforms import soon

GUI = "edgechromium"
RENDERER = "edgechromium"
HAS_MENU_BAR = False
DRAGS_FILES = False

# Read by the WebView2 loader itself.
SCRUBBED = (
    "WEBVIEW2_ADDITIONAL_BROWSER_ARGUMENTS",
    "WEBVIEW2_BROWSER_EXECUTABLE_FOLDER",
    "WEBVIEW2_PIPE_FOR_SCRIPT_DEBUGGER",
    "WEBVIEW2_WAIT_FOR_SCRIPT_DEBUGGER",
)
FORBIDDEN = (
    "AreBrowserAcceleratorKeysEnabled",
    "AreDevToolsEnabled",
    "AreHostObjectsAllowed",
    "IsBuiltInErrorPageEnabled",
    "IsGeneralAutofillEnabled",
    "IsPasswordAutosaveEnabled",
    "IsStatusBarEnabled",
    "IsSwipeNavigationEnabled",
    "IsWebMessageEnabled",
    # Ctrl and the wheel would make the page larger, and the settings not know of it.
    "IsZoomControlEnabled",
)
# Of the menu on the right button. The others are a browser's: back, reload, save, print.
MENU_ACTIONS = frozenset({"undo", "redo", "cut", "copy", "paste", "pasteAndMatchStyle", "selectAll"})
SW_RESTORE = 9


def prepare(environ: MutableMapping[str, str]) -> None:
    """Load WebView2. Raises NotFound where its runtime is missing: pywebview would take MSHTML instead, and
    the window close again, because RENDERER is another."""
    import winreg

    require_runtime(winreg)
    if environ.get("DESKSIDE_ALLOW_DEBUGGING") == "1":
        logger.warning("DESKSIDE_ALLOW_DEBUGGING=1: the window can be controlled from outside")
    else:
        for name in SCRUBBED:
            environ.pop(name, None)
    import webview
    import webview.platforms.edgechromium as platform
    import webview.platforms.winforms as winforms

    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["ALLOW_DOWNLOADS"] = False
    webview.settings["OPEN_EXTERNAL_LINKS_IN_BROWSER"] = False
    platform.EdgeChrome.on_new_window_request = lambda _, __, request: _refuse_window(request)
    platform.EdgeChrome.on_script_notify = lambda *_: None
    platform.inject_pywebview = lambda *_: None
    # It is put in our place, and would end the window's loop at Ctrl-C past all that closes in order. What
    # signals.py listens to hears Ctrl-C whatever the handler is.
    winforms._sigint_handler = lambda *_: None


def watch_opened(opened: Callable[[str], None]) -> None:
    """Nothing is handed to a program that runs: each is opened by a start, with it as an argument."""


def watch_end(end: Callable[[], None]) -> None:
    """See engine.Engine. When the user logs out, Windows ends the process once all of it has heard that."""
    from Microsoft.Win32 import SystemEvents  # type: ignore[import-not-found, unused-ignore]

    SystemEvents.SessionEnded += lambda *_: end()


def prefers_dark() -> bool:
    import winreg

    folder = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, folder) as key:  # type: ignore[attr-defined, unused-ignore]
            return bool(winreg.QueryValueEx(key, "AppsUseLightTheme")[0] == 0)  # type: ignore[attr-defined, unused-ignore]
    except OSError:
        return False


def harden(window: Any, lock: PageLock) -> None:
    """See engine.Engine. What hangs on the core is attached when the core is there, which is before
    its first navigation."""
    control = window.native.browser.webview

    def navigating(_: Any, request: Any) -> None:
        if not lock.may_show(str(request.Uri)):
            request.Cancel = True
            logger.info("blocked a navigation to {}", describe(str(request.Uri)))

    def ready(_: Any, initialized: Any) -> None:
        if not initialized.IsSuccess:
            logger.error("WebView2 did not start: {}", initialized.InitializationException)
            _end(window, "WebView2, which draws it, does not start")
            return
        try:
            _lock_down(window, control.CoreWebView2, lock, navigating)
        except Exception:  # nobody above could take it: WebView2 has called
            logger.exception("WebView2 could not be locked down")
            _end(window, "WebView2, which draws it, cannot be made safe")

    control.NavigationStarting += navigating
    if control.CoreWebView2 is not None:
        raise RuntimeError("WebView2 was ready before it could be locked down")
    control.CoreWebView2InitializationCompleted += ready


def _lock_down(window: Any, core: Any, lock: PageLock, navigating: Callable[[Any, Any], None]) -> None:
    core.FrameNavigationStarting += navigating
    core.PermissionRequested += _deny
    core.DownloadStarting += _cancel_download
    core.WebResourceRequested += _resource_filter(core, lock)
    core.ContextMenuRequested += _offer_edit_menu
    core.ProcessFailed += _recoverer(window, core, lock)
    for name in FORBIDDEN:
        setattr(core.Settings, name, False)
    core.Settings.AreDefaultContextMenusEnabled = True  # pywebview takes them away; writing needs them


def _refuse_window(request: Any) -> None:
    request.Handled = True  # handled, with no window to show for it
    logger.info("blocked a window for {}", describe(str(request.Uri)))


def _deny(_: Any, request: Any) -> None:
    from Microsoft.Web.WebView2.Core import (  # type: ignore[import-not-found, unused-ignore]
        CoreWebView2PermissionState,
    )

    request.State = CoreWebView2PermissionState.Deny
    logger.info("denied {}", request.PermissionKind)


def _cancel_download(_: Any, download: Any) -> None:
    download.Cancel = True
    download.Handled = True
    logger.info("blocked a download")


def _resource_filter(core: Any, lock: PageLock) -> Callable[[Any, Any], None]:
    """Under the page's CSP, a second net. pywebview has asked for all resources ("*") already."""

    def requested(_: Any, resource: Any) -> None:
        url = str(resource.Request.Uri)
        if not lock.may_request(url):
            resource.Response = core.Environment.CreateWebResourceResponse(None, 403, "Blocked", "")
            logger.info("blocked a request to {}", describe(url))

    return requested


def _offer_edit_menu(_: Any, request: Any) -> None:
    """Of the standard menu what can be done to the text under the mouse; no menu where that is nothing."""
    items = request.MenuItems
    for place in reversed(range(len(items))):
        if items[place].Name not in MENU_ACTIONS or not items[place].IsEnabled:
            items.RemoveAt(place)
    request.Handled = len(items) == 0


def _recoverer(window: Any, core: Any, lock: PageLock) -> Callable[[Any, Any], None]:
    """Load the page again when its process died; its state comes back from the store."""
    recovery = Recovery()

    def load() -> None:
        window.load_url(lock.fresh_url(str(core.Source)))

    def reload_anew() -> None:
        recovery.forget()
        load()

    def died(_: Any, failure: Any) -> None:
        kind = str(failure.ProcessFailedKind)
        if kind not in ("RenderProcessExited", "RenderProcessUnresponsive", "BrowserProcessExited"):
            return  # a helper process; WebView2 starts it again by itself
        logger.bind(source="renderer").error("the page's process died ({})", kind)
        if kind == "BrowserProcessExited":  # the control is dead: there is nothing to load into
            _end(window, "WebView2, which draws it, has stopped")
            return
        wait_s = recovery.next_wait_s(time.monotonic())
        if wait_s is None:
            logger.info("the user is asked whether to load the page again")
            # No dialog inside a handler: WebView2 waits for it.
            soon(window.native, lambda: ask_to_reload(window, reload_anew))
        else:
            logger.info("the page is loaded again in {} s", wait_s)
            timer = threading.Timer(wait_s, soon, (window.native, load))
            timer.daemon = True
            timer.start()

    return died


def ask_to_reload(window: Any, reload: Callable[[], None]) -> None:
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    answer = forms.MessageBox.Show(
        window.native,
        "Deskside's page stopped working several times in a row. Your conversations are safe.\n\n"
        "Load the page again? Cancel closes Deskside.",
        "Deskside",
        forms.MessageBoxButtons.OKCancel,
        forms.MessageBoxIcon.Error,
    )
    if answer == forms.DialogResult.OK:
        reload()
    else:
        window.deskside_end()  # for good: from the tray there would be nothing to bring back


def _end(window: Any, reason: str) -> None:
    """Tell the user why Deskside's window cannot go on, and close it."""
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    def tell() -> None:
        forms.MessageBox.Show(
            window.native,
            f"Deskside's window closes: {reason}.\n\nYour conversations are safe. Start Deskside again.",
            "Deskside",
            forms.MessageBoxButtons.OK,
            forms.MessageBoxIcon.Error,
        )
        window.deskside_end()

    soon(window.native, tell)


def confirm(window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]) -> None:
    """See engine.Engine. pywebview's own question has OK as its default, and does not scroll."""
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    def ask() -> None:
        dialog = forms.Form()
        dialog.Text = title
        dialog.Width, dialog.Height = 660, 460
        dialog.StartPosition = forms.FormStartPosition.CenterParent
        dialog.MinimizeBox = dialog.MaximizeBox = False
        reading = forms.TextBox()
        reading.Multiline = reading.ReadOnly = reading.WordWrap = True
        reading.ScrollBars = forms.ScrollBars.Vertical
        reading.Dock = forms.DockStyle.Fill
        reading.Text = text.replace("\n", "\r\n")
        buttons = forms.FlowLayoutPanel()
        buttons.Dock = forms.DockStyle.Bottom
        buttons.FlowDirection = forms.FlowDirection.RightToLeft
        buttons.Height = 44
        cancel, accept = forms.Button(), forms.Button()
        cancel.Text, cancel.DialogResult = "Cancel", forms.DialogResult.Cancel
        accept.Text, accept.DialogResult = accept_label, forms.DialogResult.OK
        for button in (cancel, accept):
            button.AutoSize = True
            buttons.Controls.Add(button)
        dialog.Controls.Add(reading)
        dialog.Controls.Add(buttons)
        dialog.AcceptButton = dialog.CancelButton = dialog.ActiveControl = cancel
        answer = dialog.ShowDialog(window.native)
        dialog.Dispose()
        answered(answer == forms.DialogResult.OK)

    soon(window.native, ask)


def read_state(window: Any, before: WindowState) -> WindowState:
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    if window.native.WindowState != forms.FormWindowState.Normal:
        maximized = window.native.WindowState == forms.FormWindowState.Maximized
        return WindowState(before.width, before.height, before.x, before.y, maximized, before.theme)
    return WindowState(window.width, window.height, window.x, window.y, False, before.theme)


def bring_forward(window: Any) -> None:
    """Windows lets it come to the front where the user has just worked with us, or with another process that
    allows it (instance.py); else its button in the taskbar blinks."""
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    form = window.native

    def raise_it() -> None:
        form.Show()
        if form.WindowState == forms.FormWindowState.Minimized:
            # Unlike `WindowState` it knows whether the window was maximised before.
            _user32().ShowWindow(form.Handle.ToInt64(), SW_RESTORE)
        form.Activate()

    soon(form, raise_it)


def watch_front(window: Any, tell: Callable[[bool], None]) -> None:
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    form = window.native
    is_active = False

    def look(*_: Any) -> None:
        tell(is_active and form.Visible and form.WindowState != forms.FormWindowState.Minimized)

    def activated(*_: Any) -> None:
        nonlocal is_active
        is_active = True
        look()

    def deactivated(*_: Any) -> None:
        nonlocal is_active
        is_active = False
        look()

    form.Activated += activated
    form.Deactivate += deactivated
    form.Resize += look
    form.VisibleChanged += look
    look()


def make_tray(window: Any, wishes: TrayWishes) -> WinFormsTray:
    return WinFormsTray(window, wishes, _user32())


def _user32() -> Any:
    import ctypes

    return ctypes.windll.user32  # type: ignore[attr-defined, unused-ignore]


def hide(window: Any) -> None:
    window.hide()


def zoom(window: Any, percent: int) -> None:
    def set_it() -> None:
        window.native.browser.webview.ZoomFactor = percent / 100

    soon(window.native, set_it)


def drag_file(window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
    """Not asked for: `DRAGS_FILES` is False."""
    ended(False)
