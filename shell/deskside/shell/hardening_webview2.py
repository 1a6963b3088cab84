"""WebView2 on Windows, locked down: what pywebview leaves open there, closed.

Written from Microsoft's documentation of `CoreWebView2` and from pywebview's source. It has not been
run on Windows yet: until it has, every promise here is to be checked there by hand.
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
from deskside.shell.webview2_runtime import require_runtime
from deskside.shell.window_state import WindowState

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
)


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

    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["ALLOW_DOWNLOADS"] = False
    webview.settings["OPEN_EXTERNAL_LINKS_IN_BROWSER"] = False
    platform.EdgeChrome.on_new_window_request = lambda _, __, request: _refuse_window(request)
    platform.EdgeChrome.on_script_notify = lambda *_: None
    platform.inject_pywebview = lambda *_: None


def watch_opened(opened: Callable[[str], None]) -> None:
    """Nothing is handed to a program that runs: each is opened by a start, with it as an argument."""


def watch_end(end: Callable[[], None]) -> None:
    """The window is shown until it is closed, here."""


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
            return
        core = control.CoreWebView2
        core.FrameNavigationStarting += navigating
        core.PermissionRequested += _deny
        core.DownloadStarting += _cancel_download
        core.WebResourceRequested += _resource_filter(core, lock)
        core.ProcessFailed += _recoverer(window, lock)
        for name in FORBIDDEN:
            setattr(core.Settings, name, False)

    control.NavigationStarting += navigating
    if control.CoreWebView2 is not None:
        raise RuntimeError("WebView2 was ready before it could be locked down")
    control.CoreWebView2InitializationCompleted += ready


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


def _recoverer(window: Any, lock: PageLock) -> Callable[[Any, Any], None]:
    """Load the page again when its process died; its state comes back from the store."""
    recovery = Recovery()

    def load() -> None:
        window.load_url(lock.fresh_url())

    def reload_anew() -> None:
        recovery.forget()
        load()

    def died(_: Any, failure: Any) -> None:
        kind = str(failure.ProcessFailedKind)
        if kind not in ("RenderProcessExited", "RenderProcessUnresponsive", "BrowserProcessExited"):
            return  # a helper process; WebView2 starts it again by itself
        # Without its browser process the control is dead: there is nothing to load into.
        wait_s = None if kind == "BrowserProcessExited" else recovery.next_wait_s(time.monotonic())
        logger.bind(source="renderer").error("the page's process died ({})", kind)
        if wait_s is None:
            logger.info("the user is asked whether to load the page again")
            ask_to_reload(window, reload_anew)
        else:
            logger.info("the page is loaded again in {} s", wait_s)
            threading.Timer(wait_s, load).start()

    return died


def ask_to_reload(window: Any, reload: Callable[[], None]) -> None:
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    answer = forms.MessageBox.Show(
        "Deskside's page stopped working several times in a row. Your conversations are safe.\n\n"
        "Load the page again? Cancel closes Deskside.",
        "Deskside",
        forms.MessageBoxButtons.OKCancel,
        forms.MessageBoxIcon.Error,
    )
    # Off the window's thread: pywebview's calls wait for it.
    then = reload if answer == forms.DialogResult.OK else window.destroy
    threading.Thread(target=then, daemon=True).start()


def confirm(window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]) -> None:
    """See engine.Engine. pywebview's own question has OK as its default, and does not scroll."""
    import System
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
        answered(dialog.ShowDialog(window.native) == forms.DialogResult.OK)

    window.native.BeginInvoke(System.Action(ask))


def read_state(window: Any, before: WindowState) -> WindowState:
    import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

    if window.native.WindowState != forms.FormWindowState.Normal:
        maximized = window.native.WindowState == forms.FormWindowState.Maximized
        return WindowState(before.width, before.height, before.x, before.y, maximized, before.theme)
    return WindowState(window.width, window.height, window.x, window.y, False, before.theme)


def bring_forward(window: Any) -> None:
    window.restore()
    window.show()


def watch_front(window: Any, tell: Callable[[bool], None]) -> None:
    """Nobody asks here yet: there are no notifications on Windows."""
    tell(True)


def make_tray(window: Any, wishes: TrayWishes) -> None:
    """Not on Windows yet."""


def hide(window: Any) -> None:
    window.hide()


def zoom(window: Any, percent: int) -> None:
    import System

    def set_it() -> None:
        window.native.browser.webview.ZoomFactor = percent / 100

    window.native.BeginInvoke(System.Action(set_it))


def drag_file(window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
    """Not asked for: `DRAGS_FILES` is False."""
    ended(False)
