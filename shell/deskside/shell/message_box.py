"""Saying that Deskside cannot start, to someone who does not look at a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deskside.backend.python_children import python_child

DIALOG = Path(__file__).with_name("error_dialog.py")
TITLE = "Deskside cannot start"
# The dialog is not the program: nobody may be there to close it.
OPEN_LIMIT_S = 600


def show_error(message: str, hint: str) -> None:
    """Show a native dialog and wait until it is closed. Nothing happens without a screen, when the user
    sees stderr anyway, or when a program drives the window (DESKSIDE_ALLOW_DEBUGGING); where no toolkit
    works the sentence on stderr has to do."""
    if os.environ.get("DESKSIDE_ALLOW_DEBUGGING") == "1" or (sys.stderr and sys.stderr.isatty()):
        return
    text = f"{message}\n\n{hint}".strip()
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.MessageBoxW(None, text, TITLE, 0x10)  # MB_ICONERROR
    elif sys.platform == "darwin":
        # As arguments, not as part of the script: the text could hold anything.
        script = "on run argv\ndisplay alert (item 1 of argv) message (item 2 of argv) as critical\nend run"
        _run(["/usr/bin/osascript", "-e", script, TITLE, text])
    elif _has_screen():
        _show_on_linux(text)


def _has_screen() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")) and (
        os.environ.get("QT_QPA_PLATFORM") not in ("offscreen", "minimal")
    )


def _show_on_linux(text: str) -> None:
    """Each toolkit in a process of its own: one that cannot reach the screen ends its process."""
    for arguments in (
        python_child(DIALOG, "qt", TITLE, text),
        python_child(DIALOG, "gtk", TITLE, text),
        ["zenity", "--error", "--no-markup", f"--title={TITLE}", f"--text={text}"],
        ["kdialog", "--title", TITLE, "--error", text],
        ["xmessage", "-center", f"{TITLE}\n\n{text}"],
    ):
        if shutil.which(arguments[0]) and _run(arguments):
            return


def _run(arguments: list[str]) -> bool:
    try:
        ended = subprocess.run(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=OPEN_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0
