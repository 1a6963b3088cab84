"""A folder where the system keeps what is needed for a while, for a copy of what the user wrote.

It goes when the program ends. One that was killed cannot see to that, so the next start does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = "deskside-readable-"


def make() -> TemporaryDirectory[str]:
    """A folder that nobody else may read. Its name says whose it is."""
    return TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


def remove_left() -> None:
    """Take away those of programs that do not run any more. Another user's stay: they cannot be removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isascii() and pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    import psutil  # takes 30 ms, and there is seldom anything to look at

    return bool(psutil.pid_exists(pid))
