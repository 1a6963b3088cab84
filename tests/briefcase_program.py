"""What a program that Briefcase makes is to the Python in it.

    python -I briefcase_program.py SYSTEM PROGRAM ARGUMENT…

As the main.m and Main.cpp of Briefcase's templates do it: Python's options are not read, `sys.executable` is
the program, and its one module is `deskside`, whatever is asked for. "macOS" takes what is printed into a
log, as the logger of Python 3.14 does; "Windows" puts a log in place of the standard output, which a program
without a console gets, and there are no other streams unless it was given pipes; their numbers are taken all
the same. The log and each start's arguments lie beside PROGRAM.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

opened = os.open


def opened_as_on_windows(*arguments: Any, **named: Any) -> int:
    """Microsoft's C library never gives one of the first three numbers away (ioinit.cpp marks them open)."""
    number = opened(*arguments, **named)
    if number > 2:
        return number
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(number)
    return moved


system, program = sys.argv[1:3]
beside = Path(program).parent
with (beside / "starts").open("a", encoding="utf-8") as starts:
    starts.write(json.dumps(sys.argv[3:]) + "\n")
log = (beside / "log").open("a", encoding="utf-8", buffering=1)
if system == "Windows":
    os.dup2(log.fileno(), 1)
    if "--role" not in sys.argv:  # nobody gave it streams: the menu started it
        os.close(0)
        os.close(2)
        sys.stdin = sys.stderr = None  # type: ignore[assignment]
        os.open = opened_as_on_windows
else:
    sys.stdout = sys.stderr = log
# What both systems have by default: whatever multiprocessing starts is then another of this program.
multiprocessing.set_start_method("spawn")
sys.executable = program
sys.argv = [program, *sys.argv[3:]]
sys.orig_argv = list(sys.argv)
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
runpy._run_module_as_main("deskside", False)  # type: ignore[attr-defined]
