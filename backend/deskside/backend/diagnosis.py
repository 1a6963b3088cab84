"""What a user can pass on to whoever looks for a fault: text, without keys, prompts, answers and names."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deskside.backend import redaction
from deskside.backend.log import COMBINED
from deskside.backend.store import errors
from deskside.backend.store.errors import ErrorRow
from deskside.backend.version import VERSION

if TYPE_CHECKING:
    from deskside.backend.app import App

ERRORS = 50
LOG_BYTES = 100_000
# Settings that are a choice among few, or a number; others are the user's own words, folders and addresses.
TOLD_SETTINGS = ("theme", "language", "default_model", "max_runs", "limits", "names_conversations")


async def diagnosis(app: App, timings: Sequence[msgspec.Struct]) -> str:
    """Everything about the program as it is now, redacted."""
    rows = await app.store.read(errors.recent, ERRORS)
    log = await asyncio.to_thread(_end_of, app.paths.logs / COMBINED)
    settings = msgspec.to_builtins(app.settings.current)
    parts = [
        ("Deskside", _system()),
        ("Settings", "\n".join(f"{name}: {settings[name]}" for name in TOLD_SETTINGS)),
        ("Errors", "\n\n".join(report_of(row) for row in rows) or "none"),
        ("Commands", "\n".join(msgspec.json.encode(timing).decode() for timing in timings)),
        ("Log", log),
    ]
    text = "\n\n".join(f"== {title} ==\n{content}" for title, content in parts)
    return redaction.without_names(redaction.PROCESS.redact(text))


def report_of(row: ErrorRow) -> str:
    """One failure, redacted."""
    lines = [
        row.message,
        f"source: {row.source} ({row.code}) {row.place}".rstrip(),
        f"version: {row.version or VERSION}, {platform.platform()}, Python {platform.python_version()}",
        f"times: {row.count}, first {_moment(row.first_ms)}, last {_moment(row.at_ms)}",
        f"request: {row.request_id}",
        *(f"before: {each.request_id}, {_moment(each.at_ms)}" for each in row.earlier),
        f"doing: {row.doing or '-'}",
        f"fingerprint: {row.fingerprint}",
        row.detail,
    ]
    return redaction.without_names(redaction.PROCESS.redact("\n".join(line for line in lines if line)))


def _system() -> str:
    return f"{VERSION}\n{platform.platform()}\nPython {platform.python_version()}"


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return "There is none."


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
