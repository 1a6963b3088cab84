"""The tray of the GTK engine: a StatusNotifierItem by libayatana-appindicator, which desktops that still show
GTK programs' icons expect. GTK 3's own icons are not shown by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deskside.shell.tray import Activity, TrayWishes

WATCHER, WATCHER_PATH = "org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher"
ANSWER_LIMIT_MS = 1_000


class GtkTray:
    """Fits `tray.Tray`. ImportError where the library is not installed."""

    def __init__(self, window: Any, wishes: TrayWishes) -> None:
        import gi

        try:
            gi.require_version("AyatanaAppIndicator3", "0.1")
        except ValueError as error:
            raise ImportError(str(error)) from error
        from gi.repository import AyatanaAppIndicator3

        self._library = AyatanaAppIndicator3
        self._native = window.native
        self._wishes = wishes
        self._activity = Activity()
        self._indicator: Any = None

    def is_there(self) -> bool:
        from gi.repository import Gio, GLib

        question = GLib.Variant("(ss)", (WATCHER, "IsStatusNotifierHostRegistered"))
        try:
            (answer,) = Gio.bus_get_sync(Gio.BusType.SESSION, None).call_sync(
                WATCHER,
                WATCHER_PATH,
                "org.freedesktop.DBus.Properties",
                "Get",
                question,
                GLib.VariantType("(v)"),
                Gio.DBusCallFlags.NO_AUTO_START,
                ANSWER_LIMIT_MS,
                None,
            )
        except GLib.Error:  # no bus, or nobody there
            return False
        return answer is True

    def when_known(self, tell: Callable[[bool], None]) -> None:
        self._soon(lambda: tell(self.is_there()))

    def set_shown(self, is_shown: bool) -> None:
        self._soon(lambda: self._set_shown(is_shown))

    def show_activity(self, activity: Activity) -> None:
        self._soon(lambda: self._show_activity(activity))

    def hide_window(self) -> None:
        self._native.hide()

    def _set_shown(self, is_shown: bool) -> None:
        if is_shown and self._indicator is None:
            self._indicator = self._make()
        if self._indicator is not None:
            status = self._library.IndicatorStatus
            self._indicator.set_status(status.ACTIVE if is_shown else status.PASSIVE)
            if not is_shown:
                self._show_if_hidden()

    def _make(self) -> Any:
        from gi.repository import Gio, Gtk

        indicator = self._library.Indicator.new(
            "deskside", "deskside", self._library.IndicatorCategory.APPLICATION_STATUS
        )
        indicator.set_title("Deskside")
        menu = Gtk.Menu()
        self._state = Gtk.MenuItem(label=str(self._activity), sensitive=False)
        menu.append(self._state)
        menu.append(Gtk.SeparatorMenuItem())
        # One line that fits both: a desktop may show the menu as it was when it asked last.
        for label, wish in (
            ("Show or hide Deskside", self._show_or_hide),
            ("New chat", self._wishes.new_chat),
            ("Quit", self._wishes.quit),
        ):
            item = Gtk.MenuItem(label=label)
            item.connect("activate", lambda _, wish=wish: wish())
            menu.append(item)
        menu.show_all()
        indicator.set_menu(menu)
        Gio.bus_watch_name(
            Gio.BusType.SESSION,
            WATCHER,
            Gio.BusNameWatcherFlags.NONE,
            None,
            lambda *_: self._show_if_hidden(),
        )
        return indicator

    def _show_activity(self, activity: Activity) -> None:
        self._activity = activity
        if self._indicator is not None:
            self._state.set_label(str(activity))

    def _show_or_hide(self) -> None:
        if self._native.get_visible():
            self.hide_window()
        else:
            self._wishes.show()

    def _show_if_hidden(self) -> None:
        if not self._native.get_visible():
            self._wishes.show()

    def _soon(self, call: Callable[[], None]) -> None:
        """On the window's thread."""
        from gi.repository import GLib

        def once() -> bool:
            call()
            return False

        GLib.idle_add(once)
