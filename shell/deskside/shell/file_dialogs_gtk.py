"""Dialogs for files on GTK, as the desktop shows them: in a Flatpak it is the desktop that reaches the user's
files, and hands over the chosen one alone. pywebview's own show what is in the Flatpak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def choose(
    view: Any, kind: Any, folder: str, is_many: bool, name: str, types: Sequence[str]
) -> Sequence[str] | None:
    """In place of `webview.platforms.gtk.BrowserView.create_file_dialog`. Blocks, on the window's thread."""
    import webview
    from gi.repository import Gtk

    titles = {
        webview.FileDialog.OPEN: ("linux.openFile", Gtk.FileChooserAction.OPEN),
        webview.FileDialog.FOLDER: ("linux.openFolder", Gtk.FileChooserAction.SELECT_FOLDER),
        webview.FileDialog.SAVE: ("global.saveFile", Gtk.FileChooserAction.SAVE),
    }
    title, action = titles[kind]
    dialog = Gtk.FileChooserNative.new(view.localization[title], view.window, action, None, None)
    dialog.set_select_multiple(is_many)
    dialog.set_do_overwrite_confirmation(True)
    if folder:
        dialog.set_current_folder(folder)
    view._add_file_filters(dialog, types)
    if kind == webview.FileDialog.SAVE:
        dialog.set_current_name(name)
    # A program that is told to end does not wait for its user.
    window, handler = view.window, view.window.connect("destroy", lambda *_: dialog.hide())
    try:
        return dialog.get_filenames() if dialog.run() == Gtk.ResponseType.ACCEPT else None
    finally:
        window.handler_disconnect(handler)
        dialog.destroy()
