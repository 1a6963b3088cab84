"""What ends the program, kept in files for the next start: then there is no store to write to any more.

A file holds a line on the program and what the user was doing, and behind it what Python's faulthandler
writes when it is killed by a fault of a library (SIGSEGV, SIGABRT …): the stack of each thread, without
values. After a good end there is no file; one without a stack is of a program that was killed or lost its
power, which is nothing to report.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec
from loguru import logger

from deskside.backend import log
from deskside.backend.errors import AppError
from deskside.backend.log import place, short_path
from deskside.backend.store.errors import Failure
from deskside.backend.store.text import now_ms
from deskside.backend.version import VERSION

HEAD_BYTES = 400
LONGEST_REPORT = 200_000
is_heard = False
"""Whether faults that are logged reach the error log: while they do not, those that nobody caught are left
for the next start."""

_FRAME = re.compile(r'File "([^"]*)", line (\d+) in (.*)')


class _Head(msgspec.Struct, frozen=True):
    version: str
    doing: str


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Log what nobody catches, in any thread, while the block runs, and leave a report in `folder` of what
    ends the program. What raises through the block is reported and raised."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"python-{os.getpid()}.txt"
    with _private(path) as file:
        file.write(_head(""))
        file.flush()
        faulthandler.enable(file)
        log.on_call = lambda call: _note(file.fileno(), call)
        try:
            with _Hooks(folder):
                yield
        except Exception as error:
            if not isinstance(error, AppError):  # that is said to the user
                leave(folder, error)
            raise
        finally:
            log.on_call = None
            faulthandler.disable()
    path.unlink()


def leave(
    folder: Path, error: BaseException, source: str = "program", message: str = "Deskside ended with a fault."
) -> None:
    """Keep an exception that ends the program for the next start."""
    failure = Failure(source, "internal", message, detail=place(error), doing=log.last_call())
    with _private(folder / f"fault-{now_ms()}-{os.getpid()}.json") as file:
        file.write(msgspec.json.encode(failure))


def read_left(folder: Path) -> Iterator[tuple[Path, Failure | None]]:
    """The reports of programs that have ended, each with its file; None where nothing is to be told."""
    for path in sorted(folder.glob("*")):
        if path.name == f"python-{os.getpid()}.txt":
            continue
        content = path.read_bytes()[:LONGEST_REPORT]
        if path.suffix == ".json":
            yield path, _failure_in(content)
        elif path.suffix == ".txt":
            yield path, _crash_in(content, at_ms=round(path.stat().st_mtime * 1000))


def _failure_in(content: bytes) -> Failure | None:
    try:
        return msgspec.json.decode(content, type=Failure)
    except msgspec.DecodeError:  # the disk was full, or the power went
        return None


def _crash_in(content: bytes, at_ms: int) -> Failure | None:
    head, written = content[:HEAD_BYTES], content[HEAD_BYTES:].decode("utf-8", "replace").strip()
    if not written:
        return None
    try:
        started = msgspec.json.decode(head, type=_Head)
    except msgspec.DecodeError:
        started = _Head("", "")
    reason = written.splitlines()[0].removeprefix("Fatal Python error: ")
    stack = _FRAME.sub(lambda found: f"{short_path(found[1])}:{found[2]} {found[3]}", written)
    stack = "\n".join(line for line in stack.splitlines()[1:] if not line.startswith("Extension modules"))
    return Failure(
        "crash",
        "crash",
        f"Python itself crashed: {reason}.",
        _first_frame(stack),
        # Where threads are in memory differs each time.
        re.sub(r"0x[0-9a-f]+", "", stack).strip(),
        doing=started.doing,
        version=started.version,
        at_ms=at_ms,
    )


def _first_frame(stack: str) -> str:
    """The frame that crashed: the first one of the current thread."""
    current = stack.partition("Current thread")[2] or stack
    lines = [line.strip() for line in current.splitlines()[1:] if line.strip()]
    return lines[0] if lines else ""


def _head(doing: str) -> bytes:
    head = msgspec.json.encode(_Head(VERSION, doing[: HEAD_BYTES // 4]))
    return head.ljust(HEAD_BYTES - 1)[: HEAD_BYTES - 1] + b"\n"


def _note(file: int, call: str) -> None:
    if hasattr(os, "pwrite"):  # Windows has none, and says less
        os.pwrite(file, _head(call), 0)


class _Hooks:
    """Python's three hooks for what nobody caught."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = sys.excepthook, threading.excepthook, sys.unraisablehook

    def __enter__(self) -> None:
        sys.excepthook, threading.excepthook = self._uncaught, self._in_thread
        sys.unraisablehook = self._unraisable

    def __exit__(self, *_: object) -> None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._before

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            self._report(error, "program", "a fault that nobody caught")

    def _in_thread(self, found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None and found.exc_type is not SystemExit:
            name = "a thread" if found.thread is None else f"the thread {found.thread.name}"
            self._report(found.exc_value, "thread", f"{name} ended with a fault")

    def _unraisable(self, found: Any) -> None:
        """An exception where none can be raised, as in __del__. The object's repr could hold anything."""
        kind = type(found.object).__qualname__
        self._report(found.exc_value, "program", f"a fault while a {kind} was put away")

    def _report(self, error: BaseException | None, source: str, what: str) -> None:
        logger.bind(source=source).opt(exception=error).critical("{}", what)
        if error is not None and not is_heard:
            leave(self._folder, error, source, f"{what[0].upper()}{what[1:]}.")


def _private(path: Path) -> BinaryIO:
    """A new file that nobody but the user reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
