"""The child process that loads a web engine and says which it is: `python -P engine_probe.py qt|gtk`.

A process of its own, because a system library that is missing can end it. Stands alone: imports nothing of
this program.
"""

from __future__ import annotations

import sys


def qt() -> str:
    import PySide6
    import PySide6.QtWebEngineWidgets

    return f"Qt WebEngine {PySide6.__version__}"


def gtk() -> str:
    import gi

    try:
        gi.require_version("WebKit2", "4.1")
    except ValueError:
        gi.require_version("WebKit2", "4.0")
    from gi.repository import WebKit2 as w

    return f"WebKitGTK {w.get_major_version()}.{w.get_minor_version()}"


if __name__ == "__main__":
    print({"qt": qt, "gtk": gtk}[sys.argv[1]]())
