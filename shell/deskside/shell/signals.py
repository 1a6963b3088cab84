"""Ctrl-C and SIGTERM while a toolkit's own loop runs.

Python runs a signal's handler on the main thread, between two of its own instructions; in a window
that thread is inside the toolkit, and may stay there until the user moves the mouse. Python's C code
does write the signal's number to a socket at once, on any platform, and a thread waits for that.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# A terminal, a shell and a wrapper such as timeout(1) may each pass the same Ctrl-C on.
REPEATED_S = 2.0


@contextmanager
def closing_on_signals(close: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """The first signal calls `close`, on another thread; a later one ends the process there and then.

    Yields a function that takes the signals again from a toolkit that took them for itself. Must be used on
    the main thread, and so must that function: on another, such as that of a window on Windows, it does
    nothing, because Python lets nobody take signals there.
    """
    read, write = socket.socketpair()
    write.setblocking(False)
    before = {number: signal.getsignal(number) for number in NUMBERS}

    def take() -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in NUMBERS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        with read:
            if not read.recv(1):
                return
            first_s = time.monotonic()
            close()
            while read.recv(1):
                if time.monotonic() - first_s > REPEATED_S:
                    os._exit(1)

    threading.Thread(target=listen, name="signals", daemon=True).start()
    take()
    try:
        yield take
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        write.close()  # ends `listen`, unless it is closing a window that does not answer
