"""Qt WebEngine, locked down: what pywebview leaves open on Qt, closed.

Seen with pywebview 6.2 on PySide6 6.11: navigation is free, camera and microphone are granted
unasked, every page gets a channel into Python, downloads and popups go to the system.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from loguru import logger
from PySide6.QtCore import QFileInfo, QMimeData, QObject, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QColor, QDrag, QFontDatabase, QGuiApplication
from PySide6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEnginePermission,
    QWebEngineSettings,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileIconProvider,
    QLabel,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from deskside.backend.errors import NeedsWindow
from deskside.shell.page_lock import PageLock, describe
from deskside.shell.recovery import Recovery
from deskside.shell.tray import TrayWishes
from deskside.shell.tray_qt import QtTray
from deskside.shell.window_state import WindowState

GUI = "qt"
RENDERER = "qtwebengine"
HAS_MENU_BAR = False
DRAGS_FILES = True

FLAGS = "QTWEBENGINE_CHROMIUM_FLAGS"
NO_SANDBOX = "QTWEBENGINE_DISABLE_SANDBOX"

FORBIDDEN = (
    QWebEngineSettings.WebAttribute.LocalContentCanAccessFileUrls,
    QWebEngineSettings.WebAttribute.LocalContentCanAccessRemoteUrls,
    QWebEngineSettings.WebAttribute.AllowRunningInsecureContent,
    QWebEngineSettings.WebAttribute.AllowWindowActivationFromJavaScript,
    QWebEngineSettings.WebAttribute.DnsPrefetchEnabled,
    QWebEngineSettings.WebAttribute.HyperlinkAuditingEnabled,
    QWebEngineSettings.WebAttribute.JavascriptCanOpenWindows,
    QWebEngineSettings.WebAttribute.JavascriptCanPaste,
    QWebEngineSettings.WebAttribute.NavigateOnDropEnabled,
    QWebEngineSettings.WebAttribute.PdfViewerEnabled,
    QWebEngineSettings.WebAttribute.PluginsEnabled,
    QWebEngineSettings.WebAttribute.ScreenCaptureEnabled,
)

# A person needs longer than this to read what they are asked.
ACCEPT_AFTER_MS = 700
DRAG_ICON_PX = 32

# The standard menu also offers Back, Reload, View Source and Save: none of them is for a program.
MENU_ACTIONS = (
    QWebEnginePage.WebAction.Undo,
    QWebEnginePage.WebAction.Redo,
    QWebEnginePage.WebAction.Cut,
    QWebEnginePage.WebAction.Copy,
    QWebEnginePage.WebAction.Paste,
    QWebEnginePage.WebAction.SelectAll,
)


def prepare(environ: MutableMapping[str, str]) -> None:
    """Load Qt and start its application object. Raises NeedsWindow for root (see `scrub`)."""
    flags = scrub(environ)
    environ["QT_API"] = "pyside6"  # pywebview asks QtPy, which prefers PyQt; that is GPL, and aborts
    import webview
    import webview.platforms.qt as platform

    # On some distributions the import itself adds --no-sandbox; later, pywebview would add
    # --use-fake-ui-for-media-stream, which grants camera and microphone behind our back.
    platform.environ_append = lambda *_, **__: None
    _restore(environ, FLAGS, flags)
    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["ALLOW_DOWNLOADS"] = False
    webview.settings["OPEN_EXTERNAL_LINKS_IN_BROWSER"] = False
    # Its script needs `unsafe-eval` and hands the page a way into Python; we use neither.
    platform.BrowserView._set_js_api = lambda _: None
    application = QApplication.instance() or QApplication(["deskside"])
    application.setApplicationName("Deskside")
    application.setDesktopFileName("deskside")
    # A caret that blinks draws all of the window anew, twice a second for as long as it is shown.
    application.setCursorFlashTime(0)


def scrub(environ: MutableMapping[str, str]) -> str | None:
    """Take away the variables that open Chromium up (remote debugging, flags, no sandbox).

    DESKSIDE_ALLOW_DEBUGGING=1 keeps them, and the log says so. Chromium has no sandbox for root:
    QTWEBENGINE_DISABLE_SANDBOX is kept there if it was set, else NeedsWindow says what to do.
    Returns the Chromium flags that are left.
    """
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and NO_SANDBOX not in environ:
        raise NeedsWindow(
            "Deskside's window cannot be protected when root runs it.",
            hint=f"Run it as yourself, or, where that does not matter, set {NO_SANDBOX}=1.",
        )
    found = [name for name in environ if name.startswith("QTWEBENGINE_")]
    if environ.get("DESKSIDE_ALLOW_DEBUGGING") == "1":
        logger.warning("DESKSIDE_ALLOW_DEBUGGING=1: the window can be controlled from outside ({})", found)
        return environ.get(FLAGS)
    for name in found:
        if not (is_root and name == NO_SANDBOX):
            logger.warning("{} is ignored; it needs DESKSIDE_ALLOW_DEBUGGING=1", name)
            del environ[name]
    return None


def _restore(environ: MutableMapping[str, str], name: str, value: str | None) -> None:
    if value is None:
        environ.pop(name, None)
    else:
        environ[name] = value


def watch_opened(opened: Callable[[str], None]) -> None:
    """Nothing is handed to a program that runs: each is opened by a start, with it as an argument."""


def watch_end(end: Callable[[], None]) -> None:
    """The window is shown until it is closed, here."""


def prefers_dark() -> bool:
    return bool(QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark)


def harden(window: Any, lock: PageLock) -> None:
    """See engine.Engine. Objects that Qt does not own are kept alive on the native window."""
    native = window.native
    page = native.webview.page()
    page.nav_handler = _NoPopup(page.profile(), page)
    page.setWebChannel(None)
    page.setBackgroundColor(QColor(window.background_color))
    _lock_navigation(page, lock)
    native.request_interceptor = _Interceptor(lock)
    page.profile().setUrlRequestInterceptor(native.request_interceptor)
    page.profile().downloadRequested.connect(_cancel_download)
    page.featurePermissionRequested.disconnect(page.onFeaturePermissionRequested)
    page.permissionRequested.connect(_deny)
    for attribute in FORBIDDEN:
        page.settings().setAttribute(attribute, False)
    page.settings().setAttribute(QWebEngineSettings.WebAttribute.WebRTCPublicInterfacesOnly, True)
    _offer_edit_menu(native.webview)
    _recover(window, lock)
    native.deskside_calls = _WindowThread()
    native.deskside_zoom = 1.0
    page.loadFinished.connect(lambda _: native.webview.setZoomFactor(native.deskside_zoom))


def _lock_navigation(page: QWebEnginePage, lock: PageLock) -> None:
    def decide(request: Any) -> None:
        url = request.url().toString()
        if not lock.may_show(url):
            request.reject()
            logger.info("blocked a navigation to {}", describe(url))

    page.navigationRequested.connect(decide)


class _NoPopup(QWebEnginePage):
    """What a page gets for a window it asks for: one that has no view and goes nowhere.

    pywebview's own would open the system's browser, with any scheme. Answering with no window at all
    hangs the page while a debugger is attached to it (PySide6 6.11).
    """

    def acceptNavigationRequest(self, url: QUrl | str, kind: Any, is_main_frame: bool, /) -> bool:
        logger.info("blocked a window for {}", describe(QUrl(url).toString()))
        return False


class _Interceptor(QWebEngineUrlRequestInterceptor):
    """Under the page's CSP, a second net: no request leaves for anywhere but our own server."""

    def __init__(self, lock: PageLock) -> None:
        super().__init__()
        self._lock = lock

    def interceptRequest(self, info: Any) -> None:
        url = info.requestUrl().toString()
        if not self._lock.may_request(url):
            info.block(True)
            logger.info("blocked a request to {}", describe(url))


def _cancel_download(download: Any) -> None:
    download.cancel()
    logger.info("blocked a download from {}", describe(download.url().toString()))


def _deny(permission: QWebEnginePermission) -> None:
    permission.deny()
    logger.info("denied {}", permission.permissionType())


def _offer_edit_menu(view: Any) -> None:
    """pywebview takes the whole context menu away; writing needs Cut, Copy and Paste."""

    def show(point: Any) -> None:
        menu = QMenu(view)
        actions = [view.page().action(action) for action in MENU_ACTIONS]
        menu.addActions([action for action in actions if action.isEnabled()])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if not menu.isEmpty():
            menu.popup(view.mapToGlobal(point))

    view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    view.customContextMenuRequested.connect(show)


def _recover(window: Any, lock: PageLock) -> None:
    """Load the page again when its process died; its state comes back from the store."""
    view = window.native.webview
    recovery = Recovery()

    def load() -> None:
        view.setUrl(QUrl(lock.fresh_url(view.url().toString())))

    def reload_anew() -> None:
        recovery.forget()
        load()

    def died(status: Any, code: int) -> None:
        wait_s = recovery.next_wait_s(time.monotonic())
        logger.bind(source="renderer").error("the page's process died ({}, {})", status.name, code)
        if wait_s is None:
            logger.info("the user is asked whether to load the page again")
            QTimer.singleShot(0, lambda: ask_to_reload(window, reload_anew))
        else:
            logger.info("the page is loaded again in {} s", wait_s)
            QTimer.singleShot(round(wait_s * 1000), load)

    view.page().renderProcessTerminated.connect(died)


def ask_to_reload(window: Any, reload: Callable[[], None]) -> None:
    box = QMessageBox(window.native)
    box.setIcon(QMessageBox.Icon.Critical)
    box.setText("Deskside's page stopped working several times in a row.")
    box.setInformativeText("Your conversations are safe. Load the page again, or close Deskside?")
    box.addButton("Load again", QMessageBox.ButtonRole.AcceptRole)
    close = box.addButton("Close", QMessageBox.ButtonRole.RejectRole)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    # For good: from the tray there would be nothing to bring back.
    box.finished.connect(lambda _: window.deskside_end() if box.clickedButton() is close else reload())
    box.open()


def confirm(window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]) -> None:
    """See engine.Engine. The button that says yes wakes up late, so that no click and no key that was meant
    for the page hits it."""

    def ask() -> None:
        dialog = QDialog(window.native)
        dialog.setObjectName("confirm")
        dialog.setWindowTitle(title)
        dialog.setModal(True)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        reading = QPlainTextEdit(text, dialog)  # plain: nothing in it is markup
        reading.setReadOnly(True)
        reading.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        reading.setAccessibleName(title)
        buttons = QDialogButtonBox(dialog)
        accept, cancel = QPushButton(accept_label, dialog), QPushButton("Cancel", dialog)
        buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(cancel, QDialogButtonBox.ButtonRole.RejectRole)
        accept.setAutoDefault(False)
        accept.setEnabled(False)
        cancel.setDefault(True)
        QTimer.singleShot(ACCEPT_AFTER_MS, accept, lambda: accept.setEnabled(True))
        buttons.accepted.connect(dialog.accept)
        buttons.rejected.connect(dialog.reject)
        heading = QLabel(title, dialog)
        heading.setTextFormat(Qt.TextFormat.PlainText)
        heading.setStyleSheet("font-weight: bold")
        layout = QVBoxLayout(dialog)
        layout.addWidget(heading)
        layout.addWidget(reading)
        layout.addWidget(buttons)
        dialog.resize(640, 420)
        dialog.finished.connect(lambda result: answered(result == QDialog.DialogCode.Accepted.value))
        dialog.open()
        cancel.setFocus()

    window.native.deskside_calls.run.emit(ask)


def read_state(window: Any, before: WindowState) -> WindowState:
    """`pos()` counts the frame as `move()` does; pywebview's x and y do not, and a window that uses
    them wanders by its title bar at each start."""
    native = window.native
    if native.isMaximized():
        return WindowState(before.width, before.height, before.x, before.y, True, before.theme)
    position = native.pos()
    return WindowState(native.width(), native.height(), position.x(), position.y(), False, before.theme)


class _WindowThread(QObject):
    """Runs what other threads emit on the window's thread."""

    run = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.run.connect(self._call)

    def _call(self, function: Callable[[], None]) -> None:
        function()


def bring_forward(window: Any) -> None:
    def raise_it() -> None:
        native = window.native
        native.setWindowState(native.windowState() & ~Qt.WindowState.WindowMinimized)
        native.show()
        native.raise_()
        native.activateWindow()

    window.native.deskside_calls.run.emit(raise_it)


def hide(window: Any) -> None:
    window.native.deskside_tray.hide_window()


def make_tray(window: Any, wishes: TrayWishes) -> QtTray:
    tray = QtTray(window, wishes)
    window.native.deskside_tray = tray
    return tray


def watch_front(window: Any, tell: Callable[[bool], None]) -> None:
    def changed(state: Qt.ApplicationState) -> None:
        tell(state == Qt.ApplicationState.ApplicationActive)

    application = QGuiApplication.instance()
    application.applicationStateChanged.connect(changed)
    changed(application.applicationState())


def zoom(window: Any, percent: int) -> None:
    """Chromium forgets it with another origin, which each start has: `harden` sets it after each load."""

    def set_it() -> None:
        window.native.deskside_zoom = percent / 100
        window.native.webview.setZoomFactor(window.native.deskside_zoom)

    window.native.deskside_calls.run.emit(set_it)


def drag_file(window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
    """See engine.Engine."""

    def drag_it() -> None:
        if not QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            ended(False)
            return
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        if text:
            data.setText(text)
        if html:
            data.setHtml(html)
        drag = QDrag(window.native)
        drag.setMimeData(data)
        drag.setPixmap(QFileIconProvider().icon(QFileInfo(str(path))).pixmap(DRAG_ICON_PX))
        action = drag.exec(Qt.DropAction.CopyAction)
        ended(action == Qt.DropAction.CopyAction)

    window.native.deskside_calls.run.emit(drag_it)
