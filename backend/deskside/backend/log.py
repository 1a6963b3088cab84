"""The log: loguru, with the request id on every line, and nothing that a user typed or was told.

At the default level no line holds a key, a prompt or an answer. Exceptions are written as type and
place (file, line, function) without their message or locals, which could hold any of the three. Lines of
other people's libraries are kept from WARNING on, as they stand in their source: without the values that
are put into them, and without what follows their first line.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

ROTATION_BYTES = 2_000_000
KEPT_FILES = 5
FRAMES = 6  # the innermost; the outer ones are the event loop's
LONGEST_FOREIGN_LINE = 200

LINE = (
    "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {extra[request_id]} {name}:{line} "
    "{extra[line]}{extra[where]}\n"
)

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the bridge call that everything now happening belongs to."""

command_name: ContextVar[str] = ContextVar("command_name", default="")
"""The bridge command of that call."""


def new_request_id() -> str:
    """12 hex digits: enough to be unique in a log, short enough to be read out."""
    return secrets.token_hex(6)


@contextmanager
def open_log(folder: Path, level: Level = "INFO", *, to_stderr: bool = False) -> Iterator[Path]:
    """Write the log to `folder`/deskside.log while the block runs; `to_stderr` shows warnings as well.

    The file is written by a thread of its own, begins anew at 2 MB, and five old ones are kept. Leaving
    the block writes what is still on its way.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "deskside.log"
    logger.remove()
    logger.configure(patcher=_add_request_id)
    logger.add(
        path,
        level=level,
        format=_line,
        rotation=ROTATION_BYTES,
        retention=KEPT_FILES,
        enqueue=True,
        # Off: both would print the values of variables.
        backtrace=False,
        diagnose=False,
        # Only for its lock and its pipe; no process is made. The default of newer Pythons starts one.
        context=None if sys.platform == "win32" else "fork",
        encoding="utf-8",
        opener=_open_private,
    )
    if to_stderr:
        logger.add(sys.stderr, level="WARNING", format=_line, backtrace=False, diagnose=False)
    before = logging.root.handlers, logging.root.level
    logging.root.handlers, logging.root.level = [_Foreign()], logging.WARNING
    try:
        yield path
    finally:
        logging.root.handlers, logging.root.level = before
        logger.complete()
        logger.remove()


def lines_with(folder: Path, text: str, most: int) -> list[str]:
    """The lines of the log that hold this text, the oldest first; at most so many of the newest."""
    found: deque[str] = deque(maxlen=most)
    files = [path for path in folder.glob("*.log*") if path.is_file() and path.suffix != ".gz"]
    for path in sorted(files, key=lambda path: path.stat().st_mtime):
        with path.open(encoding="utf-8", errors="replace") as lines:
            found.extend(line.rstrip("\n") for line in lines if text in line)
    return list(found)


def place(error: BaseException) -> str:
    """An exception as type and place, innermost frame first, and what caused it. Nothing of its text."""
    seen: set[int] = set()
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = f"{type(current).__module__}.{type(current).__qualname__}".removeprefix("builtins.")
        parts.append(f"{kind} at {_frames(current.__traceback__)}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " <- ".join(parts)


def _frames(trace: TracebackType | None) -> str:
    frames = [
        f"{_short(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return " < ".join(reversed(frames[-FRAMES:])) or "an unknown place"


def _short(filename: str) -> str:
    """Without what comes before the package: a path can hold the user's name."""
    parts = Path(filename).parts
    for root in ("site-packages", "dist-packages"):
        if root in parts:
            return "/".join(parts[parts.index(root) + 1 :])
    return "/".join(parts[-3:])


def _add_request_id(record: Record) -> None:
    record["extra"].setdefault("request_id", request_id.get())


def _line(record: Record) -> str:
    """One line a record, as a template for loguru: its own would write the exception in full."""
    where = ""
    if record["exception"] is not None and record["exception"].value is not None:
        where = " | " + place(record["exception"].value)
    record["extra"]["where"] = where
    # A line break in a message would look like a line of its own.
    record["extra"]["line"] = record["message"].replace("\r", " ").replace("\n", " ")
    return LINE


class _Foreign(logging.Handler):
    """Brings the standard library's log records into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        # `msg` without its arguments: asyncio, for one, puts an exception's text into them. What follows
        # the first line is a traceback or a value, too.
        lines = str(record.msg).splitlines() or [""]
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        text = lines[0][:LONGEST_FOREIGN_LINE]
        logger.opt(exception=error).log(
            _level(record.levelno), "{}: {} ({}:{})", record.name, text, record.module, record.lineno
        )


def _level(number: int) -> str:
    return "ERROR" if number >= logging.ERROR else "WARNING"


def _open_private(path: str, flags: int) -> int:
    """Nobody but the user reads it."""
    return os.open(path, flags, 0o600)
