"""Programs of ours in Python that run as children, and how each is started wherever Deskside is.

Usually a child is this Python again, with one of our files. Briefcase's programs for macOS, Windows and
Flatpak have no such Python: they embed one, `sys.executable` is Deskside itself, and it takes none of
Python's options (beeware/briefcase-macOS-Xcode-template#20). There `-m` would open a second Deskside; a child
is Deskside in a role instead, `deskside --role NAME ARGUMENT…`, which `deskside/__main__.py` plays before it
imports anything else.

A role is one of the files that `__main__` knows, never any file: the system trusts a signed program with the
user's keychain and folders, and nobody may have it run their code in its name.

Imports nothing but the standard library, and little of that: each child waits for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    import subprocess

ROLE = "--role"
NO_SUCH_ROLE = 2
_HERE = Path(__file__).parent

DEVICE_SERVER = _HERE / "agent" / "device_server.py"
EXTRACT_WORKER = _HERE / "attachments" / "extract_worker.py"
LIFELINE = _HERE / "mcp" / "lifeline.py"
READABLE_WORKER = _HERE / "tools" / "readable_worker.py"
FILES = (DEVICE_SERVER, EXTRACT_WORKER, LIFELINE, READABLE_WORKER)

# The option of Briefcase's programs that names another module. It is given its usual value: on Windows any
# value keeps them from taking a child's pipes away for the console they were started from.
_BRIEFCASE = {"BRIEFCASE_MAIN_MODULE": "deskside"}


def is_embedded(main: ModuleType, orig_argv: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether Python is a part of this program. A Python of its own was told what to run by arguments that it
    took away; one that is embedded had nothing to take."""
    spec = getattr(main, "__spec__", None)
    return spec is not None and spec.name == "deskside.__main__" and len(orig_argv) == len(argv)


IS_EMBEDDED = is_embedded(sys.modules["__main__"], sys.orig_argv, sys.argv)


def python_child(file: Path, *arguments: str, options: Sequence[str] = ("-P",)) -> list[str]:
    """The command line that runs a file of ours which stands alone. `options` are Python's, where it takes
    any: an embedded one is isolated by itself. `-P`: the folder of the file holds our modules, which are not
    to be imported as if they were libraries."""
    if IS_EMBEDDED:
        return [sys.executable, ROLE, file.stem, *arguments]
    return [sys.executable, *options, str(file), *arguments]


def play_role(name: str, arguments: Sequence[str], files: Iterable[Path]) -> None:
    """Be one of these files, as if Python had been started with it. SystemExit as the file says, or 2."""
    import runpy

    found = {file.stem: file for file in files}.get(name)
    if found is None:
        sys.exit(NO_SUCH_ROLE)
    # The lifeline's are those of the program that it starts.
    take_streams(swapped=found != LIFELINE)
    sys.argv = [str(found), *arguments]
    runpy.run_path(str(found), run_name="__main__")


class Child(NamedTuple):
    """A child that was started. `complaints` is None where they are thrown away."""

    process: asyncio.subprocess.Process
    input: asyncio.StreamWriter
    answers: asyncio.StreamReader
    complaints: asyncio.StreamReader | None


async def start_child(
    command: Sequence[str], environment: Mapping[str, str], *, keeps_complaints: bool
) -> Child:
    """Start one of `python_child`, to be told and to answer. OSError where it cannot be started."""
    import asyncio
    import subprocess

    answers, complaints = subprocess.PIPE, subprocess.PIPE if keeps_complaints else subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE,
        stdout=complaints if IS_EMBEDDED else answers,
        stderr=answers if IS_EMBEDDED else complaints,
        env={**environment, **_more_environment()},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    streams = [process.stdout, process.stderr]
    if IS_EMBEDDED:
        streams.reverse()
    assert process.stdin is not None
    assert streams[0] is not None
    return Child(process, process.stdin, streams[0], streams[1])


def run_child(command: Sequence[str], *, time_limit_s: float) -> subprocess.CompletedProcess[str]:
    """Run one of `python_child` that is told nothing: `stdout` is what it answered, `stderr` its complaints.
    OSError where it cannot be started, subprocess.TimeoutExpired where it takes longer."""
    import subprocess

    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=time_limit_s,
        env={**os.environ, **_more_environment()},
        check=False,
    )
    if IS_EMBEDDED:
        done.stdout, done.stderr = done.stderr, done.stdout
    return done


def _more_environment() -> dict[str, str]:
    return _BRIEFCASE if IS_EMBEDDED else {}


def take_streams(*, swapped: bool = False) -> None:
    """Read and write the streams that this process was given. Briefcase's program for macOS has put the
    system's log in place of `sys.stdout`.

    `swapped` answers on standard error and complains on standard output: in place of the latter the program
    for Windows has put a log file. Started from the menu there, it has no other streams: those that are not
    there hold nothing and take everything, so that nobody has to ask. Started from a console, it has that
    one's.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            instead = _open_instead(number)
            # Windows counts these numbers as taken even where there is nothing behind them.
            if instead != number:
                os.dup2(instead, number)
                os.close(instead)
    if swapped:
        kept = os.dup(1)
        os.dup2(2, 1)
        os.dup2(kept, 2)
        os.close(kept)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _open_instead(number: int) -> int:
    """What takes the place of a standard stream that is not there."""
    if sys.platform == "win32":
        try:
            return os.open("CONOUT$" if number else "CONIN$", os.O_RDWR)
        except OSError:
            pass  # the program has no console
    return os.open(os.devnull, os.O_RDWR)
