"""Signals that close the window, also where the toolkit's thread is not Python's main one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
# pywebview shows its window on a thread of its own on Windows, and calls us there.
PROGRAM = """
import os, signal, sys, threading
sys.path[:0] = sys.argv[1:]
from deskside.shell.signals import closing_on_signals

closed = threading.Event()
with closing_on_signals(closed.set) as take:
    toolkit = threading.Thread(target=take)
    toolkit.start()
    toolkit.join()
    print("took", flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("closed" if closed.wait(50) else "open")
"""


def test_a_toolkit_on_another_thread_takes_nothing_and_the_signal_still_closes() -> None:
    roots = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *roots], capture_output=True, text=True, timeout=LIMIT_S
    )

    assert "" == done.stderr
    assert ["took", "closed"] == done.stdout.split()
