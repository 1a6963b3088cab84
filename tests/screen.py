"""A screen for tests, and a user who closes a window on it with its button."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CLIENT_MESSAGE, IS_VIEWABLE = 33, 2  # X.h
# Of XWindowAttributes on 64 bits, counted in ints: five and a pointer's room, then up to map_installed.
MAP_STATE = 23


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),  # an XEvent is that much longer
    ]


@contextmanager
def screen() -> Iterator[str]:
    """The name of an X display of its own."""
    assert shutil.which("Xvfb"), "Xvfb missing: apt install xvfb"
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield f":{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def is_on_screen(display_name: str, title: str) -> bool:
    """Is a window of this title shown?"""
    with _opened(display_name) as (x, display):
        return any(_is_mapped(x, display, each) for each in _named(x, display, title))


def press_close_button(display_name: str, title: str) -> None:
    """What a window manager does when somebody presses a window's close button."""
    with _opened(display_name) as (x, display):
        # The toolkit has windows of the same name that are never shown; they take no notice.
        windows = _named(x, display, title)
        assert windows, f"no window {title!r}"
        for window in windows:
            event = ClientMessage(
                type=CLIENT_MESSAGE,
                window=window,
                message_type=x.XInternAtom(display, b"WM_PROTOCOLS", 0),
                format=32,
            )
            event.data[0] = x.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
            x.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
        x.XSync(display, 0)


@contextmanager
def _opened(display_name: str) -> Iterator[tuple[Any, ctypes.c_void_p]]:
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.restype = x.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x.XOpenDisplay(display_name.encode()))
    assert display, f"no screen {display_name}"
    try:
        yield x, display
    finally:
        x.XCloseDisplay(display)


def _named(x: Any, display: ctypes.c_void_p, title: str) -> list[int]:
    return [each for each in _windows(x, display) if _title(x, display, each) == title]


def _is_mapped(x: Any, display: ctypes.c_void_p, window: int) -> bool:
    """`map_state` of XWindowAttributes, which no other structure here needs."""
    attributes = (ctypes.c_int * 64)()
    x.XGetWindowAttributes(display, ctypes.c_ulong(window), ctypes.byref(attributes))
    return attributes[MAP_STATE] == IS_VIEWABLE


def _windows(x: Any, display: ctypes.c_void_p) -> list[int]:
    """The top ones."""
    root = ctypes.c_ulong(x.XDefaultRootWindow(display))
    top, parent, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_uint()
    found = ctypes.POINTER(ctypes.c_ulong)()
    x.XQueryTree(
        display,
        root,
        ctypes.byref(top),
        ctypes.byref(parent),
        ctypes.byref(found),
        ctypes.byref(count),
    )
    return [found[n] for n in range(count.value)]


def _title(x: Any, display: ctypes.c_void_p, window: int) -> str:
    name = ctypes.c_char_p()
    x.XFetchName(display, ctypes.c_ulong(window), ctypes.byref(name))
    return (name.value or b"").decode(errors="replace")
