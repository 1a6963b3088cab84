"""Sentry's formats: the address that a project has (its DSN), and a failure as an event in an envelope.

Of a failure goes out what Deskside itself says of it: the type of the exception and the frames of its stack
(file, line and function of the program), where it was, the command, version and system. Its message only
where the words are ours: a provider quotes the question, a script of the page what it could not read, so of
their failures the code alone is sent. Each text is redacted, and without the names of user, home and machine.

Formats: develop.sentry.dev, "Envelopes", "Event Payloads" and "Authentication". Other servers that speak it
are GlitchTip and Bugsink.
"""

from __future__ import annotations

import platform
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from deskside.backend import redaction
from deskside.backend.errors import BadSetting
from deskside.backend.network.dialing import is_loopback
from deskside.backend.store.errors import ErrorRow
from deskside.backend.version import VERSION

CLIENT = f"deskside/{VERSION}"
LONGEST_TEXT = 500
MOST_FRAMES = 50

_DSN = re.compile(
    r"(?P<scheme>https?)://(?P<key>[\w-]+)@(?P<host>[\w.-]+|\[[0-9a-f:.]+\])(?P<port>:\d{1,5})?"
    r"(?P<path>(?:/[\w.~-]+)*)/(?P<project>[\w-]+)/?",
    re.ASCII | re.IGNORECASE,
)
_HAS_SECRET = re.compile(r"https?://[^/\s:@]+:[^/\s@]+@", re.IGNORECASE)

# Messages with these codes are written by Deskside itself.
_OUR_WORDS = ("internal", "crash", "test")
# asyncio puts the arguments of what it called behind its name.
_BEGIN_OF_VALUES = re.compile(r"[(<\[{'\"]")
_TYPE = re.compile(r"[\w.<>]{1,200}")
# "backend/app.py:12 open_app", as log.place and crashes.py write it.
_FRAME = re.compile(r"(?P<file>\S[^:\n]*):(?P<line>\d+) (?P<name>[\w.<>]+)")
# Frames of our own page alone: what comes before them repeats the message.
_PAGE_FRAME = re.compile(
    r"^\s*(?:at )?(?:async |new )?(?P<name>[\w.$<>]*)[ @(]*https?://[^/\s]+/(?P<file>(?:assets|src)/[\w./-]+):(?P<line>\d+)",
    re.MULTILINE | re.ASCII,
)
_PAGE_ERROR = re.compile(r"(?:Type|Reference|Range|Syntax|URI|Eval|Aggregate|Bridge)Error|DOMException|Error")


@dataclass(frozen=True)
class Dsn:
    """Where a project's reports go. `key` is public: it lets anybody report, and nobody read."""

    endpoint: str
    host: str
    key: str


def read_dsn(text: str) -> Dsn:
    """Raises BadSetting for what is no DSN, for one with a secret and for one without encryption."""
    if _HAS_SECRET.match(text):
        raise BadSetting(
            "This DSN holds a secret key, too.",
            hint="Sentry does not need it: leave out what stands between the colon and the @.",
        )
    found = _DSN.fullmatch(text)
    if found is None or int((found["port"] or ":0")[1:]) > 65535:
        raise BadSetting(
            "This is not the DSN of a Sentry project.",
            hint="It reads https://KEY@HOST/NUMBER. Copy it from the project in Sentry, under Client Keys.",
        )
    scheme, host = found["scheme"].lower(), found["host"].lower()
    if scheme == "http" and not is_loopback(host):
        raise BadSetting(
            f"Reports would go to {host} unencrypted.",
            hint="Use https. With http only a server on this computer is reached.",
        )
    address = f"{scheme}://{host}{found['port'] or ''}{found['path']}/api/{found['project']}/envelope/"
    return Dsn(address, host, found["key"])


def headers(dsn: Dsn) -> dict[str, str]:
    """What goes before an envelope."""
    return {
        "Content-Type": "application/x-sentry-envelope",
        "User-Agent": CLIENT,
        "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={dsn.key}",
    }


def envelope(event: dict[str, Any]) -> bytes:
    """The body of one report."""
    payload = msgspec.json.encode(event)
    sent_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    head = msgspec.json.encode({"event_id": event["event_id"], "sent_at": sent_at})
    item = msgspec.json.encode({"type": "event", "length": len(payload)})
    return b"\n".join((head, item, payload, b""))


def event_of(row: ErrorRow) -> dict[str, Any]:
    """A failure as Sentry's event."""
    is_ours = row.code in _OUR_WORDS
    message = row.message
    if row.source == "task":  # a line of asyncio
        message = _BEGIN_OF_VALUES.split(message, maxsplit=1)[0].strip()
    message = _clean(message) if is_ours else f"{row.source}: {row.code}"
    exceptions = _exceptions(row)
    if exceptions:
        exceptions[-1]["value"] = message
    tags = {"source": row.source, "code": row.code, "request_id": _clean(row.request_id)[:200]}
    if is_ours and row.place:
        tags["place"] = _clean(row.place)[:200]
    more: dict[str, Any] = {"exception": {"values": exceptions}} if exceptions else {}
    if row.doing:
        more["transaction"] = row.doing.partition(" ")[0]
    return {
        "event_id": secrets.token_hex(16),
        "timestamp": row.at_ms / 1000,
        # Not "javascript" for the page: then a server keeps the address that the report came from.
        "platform": "other" if row.source in ("window", "renderer") else "python",
        "level": {"crash": "fatal", "test": "info"}.get(row.code, "error"),
        "release": f"deskside@{row.version or VERSION}",
        "fingerprint": [row.fingerprint],
        "logentry": {"formatted": message},
        "tags": tags,
        "contexts": {
            "os": {"name": platform.system(), "version": platform.release()},
            "runtime": {"name": platform.python_implementation(), "version": platform.python_version()},
        },
        "sdk": {"name": "deskside", "version": VERSION, "settings": {"infer_ip": "never"}},
        **more,
    }


def _exceptions(row: ErrorRow) -> list[dict[str, Any]]:
    """What was raised, last of all what nobody caught, as Sentry wants them."""
    if row.source == "window":
        found = _PAGE_ERROR.match(row.detail)
        stack = row.detail.replace(row.message.removeprefix("Uncaught "), "", 1)  # it begins with the message
        return [_exception(found[0] if found else "Error", list(_PAGE_FRAME.finditer(stack)))]
    if row.code == "crash":
        current = row.detail.partition("Current thread")[2] or row.detail
        return [_exception("Crash", list(_FRAME.finditer(current.partition("\n\n")[0])))]
    parts = [part.partition(" at ") for part in reversed(row.detail.split(" <- "))]
    return [
        _exception(kind, [found for frame in frames.split(" < ") if (found := _FRAME.fullmatch(frame))])
        for kind, _, frames in parts
        if frames and _TYPE.fullmatch(kind)
    ]


def _exception(kind: str, frames: Sequence[re.Match[str]]) -> dict[str, Any]:
    """`frames` begin with the innermost, Sentry's with the outermost."""
    stack = [
        {"filename": _clean(found["file"]), "function": found["name"], "lineno": int(found["line"])}
        for found in frames[:MOST_FRAMES]
    ]
    stacktrace = {"stacktrace": {"frames": stack[::-1]}} if stack else {}
    return {"type": _clean(kind), "value": "", **stacktrace}


def _clean(text: str) -> str:
    return redaction.without_names(redaction.PROCESS.redact(text))[:LONGEST_TEXT]
