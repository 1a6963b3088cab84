"""Files dragged out of the window on WebKitGTK, by a drag of GTK's own (decision 0037)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def begin_drag(
    source: Any, view: Any, path: Path, text: str, html: str, ended: Callable[[bool], None]
) -> None:
    """See `drag_file` in engine.Engine. `source` is what the drag comes out of, `view` shows the page."""
    from gi.repository import Gdk, GLib, Gtk

    rich = Gdk.Atom.intern("text/html", False)

    def begin() -> bool:
        pointer = source.get_display().get_default_seat().get_pointer()
        _, x, y, held = source.get_window().get_device_position(pointer)
        if not held & Gdk.ModifierType.BUTTON1_MASK:
            ended(False)
            return False  # once
        targets = Gtk.TargetList.new([])
        targets.add_uri_targets(0)
        if text:
            targets.add_text_targets(0)
        if html:
            targets.add(rich, 0, 0)
        is_taken = True

        def hand_over(_: Any, __: Any, data: Any, ___: int, ____: int) -> None:
            wanted = data.get_target().name()
            if wanted == "text/uri-list":
                data.set_uris([path.as_uri()])
            elif wanted == "text/html":
                data.set(rich, 8, html.encode())
            else:
                data.set_text(text, -1)

        def failed(*_: Any) -> bool:
            nonlocal is_taken
            is_taken = False
            return True  # without the icon's flight back, until whose end the page would not be told

        def end(*_: Any) -> None:
            for handler in handlers:
                source.disconnect(handler)
            _release_button(view, pointer)
            ended(is_taken)

        handlers = [
            source.connect("drag-data-get", hand_over),
            source.connect("drag-failed", failed),
            source.connect("drag-end", end),
        ]
        context = source.drag_begin_with_coordinates(targets, Gdk.DragAction.COPY, 1, None, x, y)
        Gtk.drag_set_icon_gicon(context, _icon_of(path), 0, 0)
        return False  # once

    GLib.idle_add(begin)


def _icon_of(path: Path) -> Any:
    from gi.repository import Gio

    kind, _ = Gio.content_type_guess(path.name, None)
    return Gio.content_type_get_icon(kind)


def _release_button(view: Any, pointer: Any) -> None:
    from gi.repository import Gdk

    _, x, y, held = view.get_window().get_device_position(pointer)
    release = Gdk.Event.new(Gdk.EventType.BUTTON_RELEASE)
    release.window = view.get_window()
    release.send_event = True
    release.x, release.y = x, y
    _, release.x_root, release.y_root = pointer.get_position()
    release.state = held | Gdk.ModifierType.BUTTON1_MASK
    release.button.button = 1
    release.set_device(pointer)
    view.event(release)
