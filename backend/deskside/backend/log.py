"""The log: loguru, with the request id on every line, and nothing that a user typed or was told.

At the default level no line holds a key, a prompt or an answer. Exceptions are written as type and
place (file, line, function) without their message or locals, which could hold any of the three.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the bridge call that everything now happening belongs to."""


def new_request_id() -> str:
    """12 hex digits: enough to be unique in a log, short enough to be read out."""
    return secrets.token_hex(6)
