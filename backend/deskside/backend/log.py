"""The log: loguru, with the request id on every line, and nothing that a user typed or was told.

Two files, a JSON object a line: `combined.log` has everything from the level that was chosen, `error.log`
only what went wrong. No line holds a key (redaction.py), at any level. Unless the level is DEBUG none holds a
prompt or an answer: exceptions are written as type and place (file, line, function) without their message or
locals, which could hold either. Lines of other people's libraries are kept from WARNING on, as they stand in
their source: without the values that are put into them, and without what follows their first line. DEBUG adds
messages and values; never locals.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger

from deskside.backend import redaction

if TYPE_CHECKING:
    from loguru import Record

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

ROTATION_BYTES = 2_000_000
KEPT_FILES = 5
FRAMES = 6  # the innermost; the outer ones are the event loop's
LONGEST_FOREIGN_LINE = 200

COMBINED, ERRORS = "combined.log", "error.log"
HUMAN = (
    "{time:HH:mm:ss} <level>{level: <8}</level> {extra[human]} "
    "<dim>({name}:{line}, request {extra[request_id]})</dim>\n"
)

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the bridge call that everything now happening belongs to."""

command_name: ContextVar[str] = ContextVar("command_name", default="")
"""The bridge command of that call."""


_last_call = ""
on_call: Callable[[str], None] | None = None
"""Is told of each command too, while there is one."""


def last_call() -> str:
    """What the user was doing: the last command that the page or a terminal gave, and its request; "" where
    there was none."""
    return _last_call


def note_call(command: str) -> None:
    """Remember a command as what the user is doing now."""
    global _last_call
    _last_call = f"{command} ({request_id.get()})"
    if on_call is not None:
        on_call(_last_call)


def new_request_id() -> str:
    """12 hex digits: enough to be unique in a log, short enough to be read out."""
    return secrets.token_hex(6)


@contextmanager
def open_log(folder: Path, level: Level = "INFO", *, to_stderr: bool = False) -> Iterator[Path]:
    """Write the log to `folder` while the block runs, and give the path of combined.log; `to_stderr` shows
    warnings to people as well.

    Each file is written by a thread of its own, begins anew at 2 MB, and five old ones are kept. Leaving the
    block writes what is still on its way.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = _Lines(says_all=level == "DEBUG")
    logger.remove()
    logger.configure(patcher=_add_request_id)
    for name, lowest in ((COMBINED, level), (ERRORS, "ERROR")):
        logger.add(
            folder / name,
            level=lowest,
            format=lines.json,
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
        logger.add(sys.stderr, level="WARNING", format=lines.human, backtrace=False, diagnose=False)
    before = logging.root.handlers, logging.root.level
    logging.root.handlers, logging.root.level = [_Foreign(says_all=level == "DEBUG")], logging.WARNING
    try:
        yield folder / COMBINED
    finally:
        logging.root.handlers, logging.root.level = before
        logger.complete()
        logger.remove()


class _Lines:
    """Records as lines. `says_all` adds what exceptions say."""

    def __init__(self, *, says_all: bool) -> None:
        self._says_all = says_all

    def json(self, record: Record) -> str:
        """One JSON object, given to loguru as a template that holds nothing else."""
        redact = redaction.PROCESS.redact
        line: dict[str, Any] = {
            "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record["level"].name,
            "request_id": redact(record["extra"]["request_id"]),  # the caller may have chosen it
            "module": record["name"],
            "line": record["line"],
            "message": redact(record["message"]),
        }
        if (error := _error_of(record)) is not None:
            line["error"] = self._error(error)
        record["extra"]["json"] = json.dumps(line, ensure_ascii=False)
        return "{extra[json]}\n"

    def human(self, record: Record) -> str:
        error = _error_of(record)
        where = "" if error is None else f" | {self._error(error)}"
        # A line break in a message would look like a line of its own.
        message = f"{record['message']}{where}".replace("\r", " ").replace("\n", " ")
        record["extra"]["human"] = redaction.PROCESS.redact(message)
        return HUMAN

    def _error(self, error: BaseException) -> str:
        said = f" | {error}" if self._says_all else ""
        return redaction.PROCESS.redact(place(error) + said)


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
        f"{short_path(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return " < ".join(reversed(frames[-FRAMES:])) or "an unknown place"


def short_path(filename: str) -> str:
    """Without what comes before the package: a path can hold the user's name."""
    parts = Path(filename).parts
    for root in ("site-packages", "dist-packages"):
        if root in parts:
            return "/".join(parts[parts.index(root) + 1 :])
    return "/".join(parts[-3:])


def _add_request_id(record: Record) -> None:
    record["extra"].setdefault("request_id", request_id.get())


def _error_of(record: Record) -> BaseException | None:
    return None if record["exception"] is None else record["exception"].value


class _Foreign(logging.Handler):
    """Brings the standard library's log records into ours."""

    def __init__(self, *, says_all: bool) -> None:
        super().__init__()
        self._says_all = says_all

    def emit(self, record: logging.LogRecord) -> None:
        # `msg` without its arguments: asyncio, for one, puts an exception's text into them. What follows
        # the first line is a traceback or a value, too.
        said = record.getMessage() if self._says_all else str(record.msg)
        lines = said.splitlines() or [""]
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        text = lines[0][:LONGEST_FOREIGN_LINE]
        logger.bind(library=record.name).opt(exception=error).log(
            _level(record.levelno), "{}: {} ({}:{})", record.name, text, record.module, record.lineno
        )


def _level(number: int) -> str:
    return "ERROR" if number >= logging.ERROR else "WARNING"


def _open_private(path: str, flags: int) -> int:
    """Nobody but the user reads it."""
    return os.open(path, flags, 0o600)
