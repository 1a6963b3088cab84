"""The dialog that asks before something is run, and a hand that answers it: `python asked.py qt|gtk DEED
[PICTURE]`.

The deeds: `enter` and `escape` are keys, `close` closes the dialog, `hasty` presses the button that says yes
at once and then closes, `yes` presses it once it can be pressed. Prints the answer and what was seen, as
JSON.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

TITLE = "Add <b>it</b>?"
TEXT = 'Argument 1: "<i>x</i>"\n' + "\n".join(f"line {number}" for number in range(500))
ENGINE, DEED = sys.argv[1:3]
PICTURE = sys.argv[3] if len(sys.argv) > 3 else ""


def ask_on_qt() -> None:
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication, QDialogButtonBox, QMainWindow, QPlainTextEdit

    from deskside.shell import hardening_qt

    application = QApplication([])
    native: Any = QMainWindow()
    native.deskside_calls = hardening_qt._WindowThread()
    native.show()
    seen: dict[str, Any] = {}

    def act() -> None:
        dialog = application.activeModalWidget()
        if dialog is None:
            return
        box = dialog.findChild(QDialogButtonBox)
        accept, cancel = box.buttons()[0], box.buttons()[1]
        if box.buttonRole(accept) != QDialogButtonBox.ButtonRole.AcceptRole:
            accept, cancel = cancel, accept
        if not seen:
            shown = dialog.findChild(QPlainTextEdit)
            seen.update(text=shown.toPlainText(), default=cancel.isDefault(), label=accept.text())
        if PICTURE and accept.isEnabled():
            dialog.grab().save(PICTURE)
        match DEED:
            case "enter":
                QTest.keyClick(dialog, Qt.Key.Key_Return)
            case "escape":
                QTest.keyClick(dialog, Qt.Key.Key_Escape)
            case "close":
                dialog.close()
            case "hasty":
                accept.click()
                dialog.close()
            case "yes" if accept.isEnabled():
                accept.click()

    timer = QTimer()
    timer.timeout.connect(act)
    timer.start(20)

    def answered(is_accepted: bool) -> None:
        print(json.dumps({"answer": is_accepted, **seen}), flush=True)
        application.quit()

    hardening_qt.confirm(SimpleNamespace(native=native), TITLE, TEXT, "Run it", answered)
    application.exec()


def ask_on_gtk() -> None:
    import gi

    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, GLib, Gtk

    from deskside.shell import hardening_gtk

    native = Gtk.Window(title="Deskside")
    native.show_all()
    seen: dict[str, Any] = {}

    def text_of(widget: Any) -> str:
        if isinstance(widget, Gtk.TextView):
            buffer = widget.get_buffer()
            return str(buffer.get_text(*buffer.get_bounds(), True))
        children = widget.get_children() if isinstance(widget, Gtk.Container) else []
        return "".join(text_of(child) for child in children)

    def act() -> bool:
        dialogs = [each for each in Gtk.Window.list_toplevels() if isinstance(each, Gtk.Dialog)]
        if not dialogs:
            return True
        (dialog,) = dialogs
        accept = dialog.get_widget_for_response(Gtk.ResponseType.ACCEPT)
        cancel = dialog.get_widget_for_response(Gtk.ResponseType.CANCEL)
        if not seen:
            is_default = dialog.get_default_widget() is cancel
            seen.update(text=text_of(dialog), default=is_default, label=accept.get_label())
        if PICTURE and accept.get_sensitive():
            window = dialog.get_window()
            pixels = Gdk.pixbuf_get_from_window(window, 0, 0, window.get_width(), window.get_height())
            pixels.savev(PICTURE, "png", [], [])
        match DEED:
            case "enter":
                dialog.activate_default()
            case "escape":
                dialog.emit("close")
            case "close":
                dialog.close()
            case "hasty":
                accept.clicked()
                dialog.close()
            case "yes" if accept.get_sensitive():
                accept.clicked()
        return True

    GLib.timeout_add(20, act)

    def answered(is_accepted: bool) -> None:
        print(json.dumps({"answer": is_accepted, **seen}), flush=True)
        Gtk.main_quit()

    hardening_gtk.confirm(SimpleNamespace(native=native), TITLE, TEXT, "Run it", answered)
    Gtk.main()


if __name__ == "__main__":
    ask_on_qt() if ENGINE == "qt" else ask_on_gtk()
