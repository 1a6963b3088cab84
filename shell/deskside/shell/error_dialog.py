"""The child process that shows a native dialog on Linux: `python -P error_dialog.py qt|gtk TITLE TEXT`.

Stands alone: imports nothing of this program, which may be what is broken.
"""

from __future__ import annotations

import sys


def show_qt(title: str, text: str) -> None:
    from PySide6.QtWidgets import QApplication, QMessageBox

    application = QApplication(sys.argv[:1])
    QMessageBox.critical(None, title, text)
    del application  # it had to live until here


def show_gtk(title: str, text: str) -> None:
    import gi

    gi.require_version("Gtk", "3.0")
    from gi.repository import Gtk

    dialog = Gtk.MessageDialog(message_type=Gtk.MessageType.ERROR, buttons=Gtk.ButtonsType.CLOSE, text=title)
    dialog.format_secondary_text(text)
    dialog.run()


if __name__ == "__main__":
    {"qt": show_qt, "gtk": show_gtk}[sys.argv[1]](*sys.argv[2:])
