"""WKWebView on macOS, locked down: what pywebview leaves open there, closed.

Written from Apple's documentation of `WKNavigationDelegate` and `WKUIDelegate` and from pywebview's
source. It has not been run on macOS yet: until it has, every promise here is to be checked there by hand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from loguru import logger

from deskside.shell.menus import lines
from deskside.shell.page_lock import PageLock, describe
from deskside.shell.recovery import Recovery
from deskside.shell.tray import TrayWishes
from deskside.shell.window_state import WindowState

GUI = "cocoa"
RENDERER = "wkwebview"
HAS_MENU_BAR = True
DRAGS_FILES = False

ALLOW, CANCEL = 1, 0  # WKNavigationActionPolicy and WKNavigationResponsePolicy
DENY = 2  # WKPermissionDecision

# Lines of every program: title, what whoever has the keyboard is told to do, and the key that is pressed with
# Command. A capital letter is one with Shift.
UNDOING: list[tuple[str, str, str] | None] = [("Undo", "undo:", "z"), ("Redo", "redo:", "Z"), None]
WINDOW: list[tuple[str, str, str] | None] = [
    ("Close", "performClose:", "w"),
    ("Minimize", "performMiniaturize:", "m"),
    ("Zoom", "performZoom:", ""),
    None,
    ("Bring All to Front", "arrangeInFront:", ""),
]


def prepare(environ: MutableMapping[str, str]) -> None:
    """Load Cocoa and WebKit."""
    import webview
    import webview.platforms.cocoa as platform

    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["ALLOW_DOWNLOADS"] = False
    webview.settings["OPEN_EXTERNAL_LINKS_IN_BROWSER"] = False
    platform.inject_pywebview = lambda *_: None
    make = platform.BrowserView._recreate_menus
    platform.BrowserView._recreate_menus = lambda *given: _complete(make(*given))


def _complete(bar: Any) -> Any:
    """The bar of menus with what pywebview has no way to say: our lines' shortcuts, undoing, and a Window
    menu."""
    from AppKit import NSApplication, NSMenu, NSMenuItem  # type: ignore[import-not-found, unused-ignore]

    keys = {line.title: line.key for line in lines()}
    for menu in bar.itemArray():
        for item in menu.submenu().itemArray():
            if item.title() in keys:
                item.setKeyEquivalent_(keys[item.title()])
        if menu.submenu().title() == "Edit":
            _insert(menu.submenu(), UNDOING)
    window = NSMenu.alloc().initWithTitle_("Window")
    _insert(window, WINDOW)
    item = NSMenuItem.alloc().init()
    item.setTitle_("Window")
    item.setSubmenu_(window)
    bar.insertItem_atIndex_(item, bar.numberOfItems() - 1)  # Help is the last one everywhere
    NSApplication.sharedApplication().setWindowsMenu_(window)
    return bar


def _insert(menu: Any, standard: list[tuple[str, str, str] | None]) -> None:
    """Put lines at the top of a menu."""
    from AppKit import NSMenuItem

    for place, line in enumerate(standard):
        if line is None:
            menu.insertItem_atIndex_(NSMenuItem.separatorItem(), place)
        else:
            menu.insertItemWithTitle_action_keyEquivalent_atIndex_(*line, place)


def watch_opened(opened: Callable[[str], None]) -> None:
    """See engine.Engine. AppKit has kept what came before the window, and hands it over while the application
    starts; it asks a delegate for what it answers when the delegate is set, so this one is taught before."""
    import objc
    from webview.platforms.cocoa import BrowserView

    def application_openURLs_(self: Any, application: Any, urls: Any) -> None:
        for url in urls:
            # Finder may name a file by its number on the disk.
            opened(str((url.filePathURL() or url).absoluteString()))

    objc.classAddMethods(BrowserView.AppDelegate, [application_openURLs_])


def watch_end(end: Callable[[], None]) -> None:
    """See engine.Engine. Quit, and the end of the session, make AppKit call exit() once the window agrees to
    close: `NSApplication.run` does not return then."""
    import objc
    from webview.platforms.cocoa import BrowserView

    def applicationWillTerminate_(self: Any, notification: Any) -> None:
        end()

    objc.classAddMethods(BrowserView.AppDelegate, [applicationWillTerminate_])


def prefers_dark() -> bool:
    from Foundation import NSUserDefaults  # type: ignore[import-not-found, unused-ignore]

    return bool(NSUserDefaults.standardUserDefaults().stringForKey_("AppleInterfaceStyle") == "Dark")


def harden(window: Any, lock: PageLock) -> None:
    """See engine.Engine. pywebview's delegate is replaced by a subclass that refuses."""
    from webview.platforms.cocoa import BrowserView

    browser = BrowserView.instances[window.uid]
    delegate = _delegate_class(BrowserView.BrowserDelegate).alloc().init()
    delegate.deskside_lock = lock
    delegate.deskside_recover = _recoverer(window, lock)
    browser._browserDelegate = delegate  # WKWebView holds its delegates weakly
    browser.webview.setNavigationDelegate_(delegate)
    browser.webview.setUIDelegate_(delegate)
    browser.webview.setAllowsBackForwardNavigationGestures_(False)
    configuration = browser.webview.configuration()
    configuration.preferences().setJavaScriptCanOpenWindowsAutomatically_(False)
    for name in ("jsBridge", "browserDelegate"):
        configuration.userContentController().removeScriptMessageHandlerForName_(name)


def _delegate_class(base: Any) -> Any:
    """A class of Objective-C's, made once: its runtime knows classes by name."""
    global _delegate
    if _delegate is None:

        class DesksideDelegate(base):  # type: ignore[misc]
            def webView_decidePolicyForNavigationAction_decisionHandler_(
                self, view: Any, action: Any, decide: Any
            ) -> None:
                url = str(action.request().URL().absoluteString())
                if self.deskside_lock.may_show(url) and not action.shouldPerformDownload():
                    decide(ALLOW)
                else:
                    decide(CANCEL)
                    logger.info("blocked a navigation to {}", describe(url))

            def webView_decidePolicyForNavigationResponse_decisionHandler_(
                self, view: Any, response: Any, decide: Any
            ) -> None:
                decide(ALLOW if response.canShowMIMEType() else CANCEL)

            def webView_createWebViewWithConfiguration_forNavigationAction_windowFeatures_(
                self, view: Any, configuration: Any, action: Any, features: Any
            ) -> None:
                logger.info("blocked a window for {}", describe(str(action.request().URL().absoluteString())))

            def webView_requestMediaCapturePermissionForOrigin_initiatedByFrame_type_decisionHandler_(
                self, view: Any, origin: Any, frame: Any, kind: Any, decide: Any
            ) -> None:
                decide(DENY)
                logger.info("denied camera or microphone")

            def webViewWebContentProcessDidTerminate_(self, view: Any) -> None:
                shown = view.URL()
                self.deskside_recover("" if shown is None else str(shown.absoluteString()))

        _delegate = DesksideDelegate
    return _delegate


_delegate: Any = None


def _recoverer(window: Any, lock: PageLock) -> Callable[[str], None]:
    """Load the page again when its process died; its state comes back from the store. Takes the address that
    was shown."""
    recovery = Recovery()

    def died(shown: str) -> None:
        def load() -> None:
            window.load_url(lock.fresh_url(shown))

        def reload_anew() -> None:
            recovery.forget()
            load()

        wait_s = recovery.next_wait_s(time.monotonic())
        logger.bind(source="renderer").error("the page's process died")
        if wait_s is None:
            logger.info("the user is asked whether to load the page again")
            ask_to_reload(window, reload_anew)
        else:
            logger.info("the page is loaded again in {} s", wait_s)
            threading.Timer(wait_s, load).start()

    return died


def ask_to_reload(window: Any, reload: Callable[[], None]) -> None:
    from AppKit import NSAlert, NSAlertFirstButtonReturn

    alert = NSAlert.alloc().init()
    alert.setMessageText_("Deskside's page stopped working several times in a row.")
    alert.setInformativeText_("Your conversations are safe. Load the page again, or close Deskside?")
    alert.addButtonWithTitle_("Load again")
    alert.addButtonWithTitle_("Close")
    then = reload if alert.runModal() == NSAlertFirstButtonReturn else window.destroy
    # Off the window's thread: pywebview's calls wait for it.
    threading.Thread(target=then, daemon=True).start()


def confirm(window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]) -> None:
    """See engine.Engine. The first button of an alert is its default: here it is Cancel."""
    from AppKit import NSAlert, NSAlertSecondButtonReturn, NSScrollView, NSTextView
    from PyObjCTools import AppHelper  # type: ignore[import-not-found, unused-ignore]

    def ask() -> None:
        alert = NSAlert.alloc().init()
        alert.setMessageText_(title)
        frame = ((0.0, 0.0), (560.0, 300.0))
        reading = NSTextView.alloc().initWithFrame_(frame)
        reading.setEditable_(False)
        reading.setString_(text)
        scroll = NSScrollView.alloc().initWithFrame_(frame)
        scroll.setHasVerticalScroller_(True)
        scroll.setDocumentView_(reading)
        alert.setAccessoryView_(scroll)
        alert.addButtonWithTitle_("Cancel")
        alert.addButtonWithTitle_(accept_label)
        answered(alert.runModal() == NSAlertSecondButtonReturn)

    AppHelper.callAfter(ask)


def read_state(window: Any, before: WindowState) -> WindowState:
    """From AppKit itself: pywebview's `width` and `x` may wait for this very thread. Cocoa counts from
    the bottom left, we from the top left."""
    native = window.native
    if native.isZoomed():
        return WindowState(before.width, before.height, before.x, before.y, True, before.theme)
    frame, screen = native.frame(), native.screen().frame()
    top = screen.size.height - frame.origin.y - frame.size.height
    size = frame.size
    return WindowState(int(size.width), int(size.height), int(frame.origin.x), int(top), False, before.theme)


def bring_forward(window: Any) -> None:
    window.restore()
    window.show()


def watch_front(window: Any, tell: Callable[[bool], None]) -> None:
    """See engine.Engine. A hidden application is not the active one; a window in the Dock is not visible."""
    import AppKit

    native, application = window.native, AppKit.NSApplication.sharedApplication()

    def changed(_: Any) -> None:
        tell(bool(application.isActive() and native.isVisible()))

    center = AppKit.NSNotificationCenter.defaultCenter()
    for name, source in (
        (AppKit.NSApplicationDidBecomeActiveNotification, application),
        (AppKit.NSApplicationDidResignActiveNotification, application),
        (AppKit.NSWindowDidBecomeKeyNotification, native),  # shown, or taken out of the Dock
        (AppKit.NSWindowDidMiniaturizeNotification, native),
    ):
        center.addObserverForName_object_queue_usingBlock_(name, source, None, changed)
    changed(None)


def make_tray(window: Any, wishes: TrayWishes) -> None:
    """Not on macOS: a program without a window stays in the Dock there."""


def hide(window: Any) -> None:
    window.hide()


def zoom(window: Any, percent: int) -> None:
    from PyObjCTools import AppHelper  # type: ignore[import-not-found, unused-ignore]
    from webview.platforms.cocoa import BrowserView

    AppHelper.callAfter(BrowserView.instances[window.uid].webview.setPageZoom_, percent / 100)


def drag_file(window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
    """Not asked for: `DRAGS_FILES` is False."""
    ended(False)
