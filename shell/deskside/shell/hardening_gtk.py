"""The system's WebKitGTK, locked down: what pywebview leaves open on GTK, closed.

Used by the installed Debian package, which sees the system's python3-gi; a virtual environment does not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from loguru import logger

from deskside.shell import file_dialogs_gtk
from deskside.shell.dragging_gtk import begin_drag
from deskside.shell.graphics import has_gpu
from deskside.shell.page_lock import PageLock, describe
from deskside.shell.recovery import Recovery
from deskside.shell.request_filter_gtk import RequestFilter
from deskside.shell.tray import TrayWishes
from deskside.shell.tray_gtk import GtkTray
from deskside.shell.window_state import WindowState

APP_ID = "org.deskside.deskside"
GUI = "gtk"
RENDERER = "gtkwebkit2"
HAS_MENU_BAR = False
DRAGS_FILES = True

FORBIDDEN = (
    "allow_file_access_from_file_urls",
    "allow_universal_access_from_file_urls",
    "allow_top_navigation_to_data_urls",
    "enable_back_forward_navigation_gestures",
    "enable_media_stream",
    "enable_page_cache",
    "enable_webrtc",
    "javascript_can_access_clipboard",
    "javascript_can_open_windows_automatically",
)
# A caret that blinks draws for as long as it is shown: WebKit does not end it when nobody types, as GTK does.
# GTK's way of turning it off makes WebKit draw 60 times a second (2.50), so it blinks once in 24 days.
CARET_CYCLE_MS = 2**31 - 1
# The standard menu also offers Back, Reload and Save: none of them is for a program.
MENU_ACTIONS = ("CUT", "COPY", "PASTE", "DELETE", "SELECT_ALL")
# A person needs longer than this to read what they are asked.
ACCEPT_AFTER_MS = 700
INSPECTOR = ("WEBKIT_INSPECTOR_SERVER", "WEBKIT_INSPECTOR_HTTP_SERVER")
SCRUBBED = (*INSPECTOR, "WEBKIT_DISABLE_SANDBOX")


def prepare(environ: MutableMapping[str, str]) -> None:
    """Load GTK and WebKit. ImportError where they are missing."""
    if environ.get("DESKSIDE_ALLOW_DEBUGGING") == "1":
        logger.warning("DESKSIDE_ALLOW_DEBUGGING=1: the window can be controlled from outside")
    else:
        for name in SCRUBBED:
            environ.pop(name, None)
    from gi.repository import GLib

    # Before GTK, which tells the desktop: by it the window gets the icon and the name of its entry in menus.
    GLib.set_prgname(APP_ID)
    GLib.set_application_name("Deskside")
    import webview
    import webview.platforms.gtk as platform
    from gi.repository import Gdk, Gtk

    Gdk.set_program_class(APP_ID)
    Gtk.Window.set_default_icon_name(APP_ID)
    preferences = Gtk.Settings.get_default()
    if preferences is not None:
        preferences.props.gtk_cursor_blink = True
        preferences.props.gtk_cursor_blink_time = CARET_CYCLE_MS
    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["ALLOW_DOWNLOADS"] = False
    webview.settings["OPEN_EXTERNAL_LINKS_IN_BROWSER"] = False
    # Its own decision opens any scheme in the browser and saves what WebKit cannot show.
    platform.BrowserView.on_navigation = lambda *_: False
    # Its script needs `unsafe-eval` and hands the page a way into Python; we use neither.
    platform.inject_pywebview = lambda *_: None
    platform.BrowserView.create_file_dialog = file_dialogs_gtk.choose


def watch_opened(opened: Callable[[str], None]) -> None:
    """Nothing is handed to a program that runs: each is opened by a start, with it as an argument."""


def watch_end(end: Callable[[], None]) -> None:
    """The window is shown until it is closed, here."""


def prefers_dark() -> bool:
    from gi.repository import Gtk

    settings = Gtk.Settings.get_default()
    if settings is None:
        return False
    theme = settings.get_property("gtk-theme-name") or ""
    return bool(settings.get_property("gtk-application-prefer-dark-theme")) or theme.lower().endswith("-dark")


def harden(window: Any, lock: PageLock) -> None:
    """See engine.Engine."""
    from gi.repository import WebKit2

    view = _view(window)
    manager = view.get_user_content_manager()
    manager.unregister_script_message_handler("jsBridge")
    view.connect("decide-policy", _decider(lock, RequestFilter(manager)))
    view.connect("create", _refuse_window)
    view.connect("permission-request", _deny)
    view.connect("resource-load-started", _watcher(lock))
    view.get_context().connect("download-started", _cancel_download)
    settings = view.get_settings().props
    for name in FORBIDDEN:
        if hasattr(settings, name):  # they come and go with WebKit's versions
            setattr(settings, name, False)
    # Without them an inspector finds no page. `prepare` has left its address where it may look in.
    settings.enable_developer_extras = any(os.environ.get(name) for name in INSPECTOR)
    if not has_gpu():
        # WebKit would have the processor play one, and draw all of the window anew for each change in it.
        settings.hardware_acceleration_policy = WebKit2.HardwareAccelerationPolicy.NEVER
    _offer_undo(view)
    _offer_edit_menu(view)
    _recover(window, view, lock)


def _view(window: Any) -> Any:
    from webview.platforms.gtk import BrowserView

    return BrowserView.instances[window.uid].webview


def _decider(lock: PageLock, requests: RequestFilter) -> Callable[[Any, Any, Any], bool]:
    """Answers `decide-policy` for navigations, new windows and responses; True when it decided, or will. The
    first page waits until the filter of its requests is up."""
    from gi.repository import WebKit2

    kinds = WebKit2.PolicyDecisionType

    def decide(_: Any, decision: Any, kind: Any) -> bool:
        if kind == kinds.RESPONSE:
            # What WebKit cannot show it would download.
            if decision.is_mime_type_supported():
                return False
            decision.ignore()
            logger.info("blocked a download from {}", describe(decision.get_request().get_uri()))
            return True
        url = decision.get_navigation_action().get_request().get_uri()
        if kind == kinds.NAVIGATION_ACTION and lock.may_show(url):
            if requests.is_up:
                return False
            requests.put_up(url, decision.use)
            return True
        decision.ignore()
        what = "a window for" if kind == kinds.NEW_WINDOW_ACTION else "a navigation to"
        logger.info("blocked {} {}", what, describe(url))
        return True

    return decide


def _refuse_window(_: Any, action: Any) -> None:
    """For windows that a script opens; `decide-policy` is asked about those of links."""
    logger.info("blocked a window for {}", describe(action.get_request().get_uri()))


def _watcher(lock: PageLock) -> Callable[[Any, Any, Any], None]:
    """What the page's CSP and the filter stop does not come here; a line in the log says that both have a
    hole."""

    def started(_: Any, resource: Any, request: Any) -> None:
        if not lock.may_request(request.get_uri()):
            logger.error("a request to {} was not blocked", describe(request.get_uri()))

    return started


def _deny(_: Any, request: Any) -> bool:
    request.deny()
    logger.info("denied {}", type(request).__name__)
    return True


def _cancel_download(_: Any, download: Any) -> None:
    download.cancel()
    logger.info("blocked a download from {}", describe(download.get_request().get_uri()))


def _offer_undo(view: Any) -> None:
    """WebKitGTK keeps what was typed, but has no keys for taking it back: GTK's themes of keys name none."""
    from gi.repository import Gdk, Gtk

    control, shift = Gdk.ModifierType.CONTROL_MASK, Gdk.ModifierType.SHIFT_MASK
    commands = {
        (Gdk.KEY_z, control): "Undo",
        (Gdk.KEY_z, control | shift): "Redo",
        (Gdk.KEY_y, control): "Redo",
    }

    def pressed(_: Any, event: Any) -> bool:
        held = event.state & Gtk.accelerator_get_default_mod_mask()
        command = commands.get((Gdk.keyval_to_lower(event.keyval), held))
        if command is None:
            return False
        view.execute_editing_command(command)
        return True

    # After the page, which may have another use for the keys: what it leaves comes here a second time.
    view.connect_after("key-press-event", pressed)


def _offer_edit_menu(view: Any) -> None:
    """pywebview takes the whole context menu away; writing needs Cut, Copy and Paste."""
    from gi.repository import GObject, WebKit2

    actions = [getattr(WebKit2.ContextMenuAction, name) for name in MENU_ACTIONS]

    def show(_: Any, menu: Any, *__: Any) -> bool:
        for item in menu.get_items():
            if item.get_stock_action() not in actions or not item.get_gaction().get_enabled():
                menu.remove(item)
        return not menu.get_items()  # True shows none

    # Whoever comes first decides. GObject's call that disconnects by the signal finds nothing from Python.
    signal = GObject.signal_lookup("context-menu", view)
    while theirs := GObject.signal_handler_find(
        view, GObject.SignalMatchType.ID, signal, 0, None, None, None
    ):
        view.disconnect(theirs)
    view.connect("context-menu", show)


def _recover(window: Any, view: Any, lock: PageLock) -> None:
    """Load the page again when its process died; its state comes back from the store."""
    from gi.repository import GLib

    recovery = Recovery()
    shown = ""

    def moved(*_: Any) -> None:
        nonlocal shown
        # Empty once the process has died.
        shown = view.get_uri() or shown

    def load() -> bool:
        view.load_uri(lock.fresh_url(shown))
        return False  # once

    def reload_anew() -> None:
        recovery.forget()
        load()

    def died(_: Any, reason: Any) -> None:
        wait_s = recovery.next_wait_s(time.monotonic())
        logger.bind(source="renderer").error("the page's process died ({})", reason.value_nick)
        if wait_s is None:
            logger.info("the user is asked whether to load the page again")
            GLib.idle_add(lambda: ask_to_reload(window, reload_anew))
        else:
            logger.info("the page is loaded again in {} s", wait_s)
            GLib.timeout_add(round(wait_s * 1000), load)

    view.connect("notify::uri", moved)
    view.connect("web-process-terminated", died)


def ask_to_reload(window: Any, reload: Callable[[], None]) -> None:
    from gi.repository import Gtk

    dialog = Gtk.MessageDialog(
        transient_for=window.native,
        modal=True,
        message_type=Gtk.MessageType.ERROR,
        text="Deskside's page stopped working several times in a row.",
        secondary_text="Your conversations are safe. Load the page again, or close Deskside?",
    )
    dialog.add_button("Close", Gtk.ResponseType.CLOSE)
    dialog.add_button("Load again", Gtk.ResponseType.ACCEPT)

    def answered(_: Any, answer: int) -> None:
        dialog.destroy()
        if answer == Gtk.ResponseType.ACCEPT:
            reload()
        else:
            window.deskside_end()  # for good: from the tray there would be nothing to bring back

    dialog.connect("response", answered)
    dialog.show()


def confirm(window: Any, title: str, text: str, accept_label: str, answered: Callable[[bool], None]) -> None:
    """See engine.Engine. The button that says yes wakes up late, so that no click and no key that was meant
    for the page hits it."""
    from gi.repository import GLib, Gtk

    def ask() -> bool:
        dialog = Gtk.Dialog(title=title, transient_for=window.native, modal=True)
        dialog.set_default_size(640, 420)
        dialog.add_button("Cancel", Gtk.ResponseType.CANCEL)
        dialog.add_button(accept_label, Gtk.ResponseType.ACCEPT)
        dialog.set_default_response(Gtk.ResponseType.CANCEL)
        dialog.set_response_sensitive(Gtk.ResponseType.ACCEPT, False)
        reading = Gtk.TextView(editable=False, cursor_visible=False, monospace=True)
        reading.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        reading.get_buffer().set_text(text)
        frame = Gtk.ScrolledWindow(vexpand=True, hexpand=True, margin=12)
        frame.add(reading)
        heading = Gtk.Label(label=title, xalign=0, wrap=True, margin=12, margin_bottom=0)  # no markup
        dialog.get_content_area().add(heading)
        dialog.get_content_area().add(frame)
        is_over: list[bool] = []

        def wake() -> bool:
            if not is_over:
                dialog.set_response_sensitive(Gtk.ResponseType.ACCEPT, True)
            return False  # once

        def respond(_: Any, answer: int) -> None:
            button = dialog.get_widget_for_response(Gtk.ResponseType.ACCEPT)
            if answer == Gtk.ResponseType.ACCEPT and not button.get_sensitive():
                return
            is_over.append(True)
            dialog.destroy()
            answered(answer == Gtk.ResponseType.ACCEPT)

        dialog.connect("response", respond)
        dialog.show_all()
        dialog.get_widget_for_response(Gtk.ResponseType.CANCEL).grab_focus()
        GLib.timeout_add(ACCEPT_AFTER_MS, wake)
        return False  # once

    GLib.idle_add(ask)


def read_state(window: Any, before: WindowState) -> WindowState:
    """From GTK itself: pywebview's `width` and `x` wait for this very thread, for ever."""
    native = window.native
    if native.is_maximized():
        return WindowState(before.width, before.height, before.x, before.y, True, before.theme)
    (width, height), (x, y) = native.get_size(), native.get_position()
    return WindowState(width, height, x, y, False, before.theme)


def bring_forward(window: Any) -> None:
    from gi.repository import GLib

    def raise_it() -> bool:
        window.native.deiconify()
        window.native.present()
        return False  # once

    GLib.idle_add(raise_it)


def watch_front(window: Any, tell: Callable[[bool], None]) -> None:
    native = window.native
    native.connect("notify::is-active", lambda *_: tell(native.is_active()))
    tell(native.is_active())


def make_tray(window: Any, wishes: TrayWishes) -> GtkTray | None:
    try:
        return GtkTray(window, wishes)
    except ImportError as error:
        logger.info("no tray: {}", error)
        return None


def hide(window: Any) -> None:
    window.native.hide()


def zoom(window: Any, percent: int) -> None:
    from gi.repository import GLib

    def set_it() -> bool:
        _view(window).set_zoom_level(percent / 100)
        return False  # once

    GLib.idle_add(set_it)


def drag_file(window: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]) -> None:
    """See engine.Engine."""
    # Not out of the view: it has drags of its own.
    begin_drag(window.native, _view(window), path, text, html, ended)
