"""What the user chose, as names and values; backend/settings.py knows what they mean.

Theme and language are on the local user's row, so that they are there before anything else is read. All
others are rows of `setting`, their value as JSON text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deskside.backend.agent.limits import Limits
from deskside.backend.store import limit_history
from deskside.backend.store.connection import Db
from deskside.backend.store.text import as_json, now_ms

OF_THE_USER = ("theme", "language")


def load(db: Db) -> dict[str, Any]:
    """All that are stored, by name. Theme and language always are."""
    user = db.User.select().first()
    stored = {setting.name: msgspec.json.decode(setting.value) for setting in db.Setting.select()}
    return stored | {name: getattr(user, name) for name in OF_THE_USER}


def save(db: Db, changes: Mapping[str, Any]) -> None:
    """Store some; the others stay as they are."""
    at_ms = now_ms()
    for name, value in changes.items():
        if name in OF_THE_USER:
            db.User.select().first().set(**{name: value})
        else:
            _save_row(db, name, as_json(value), at_ms)
        if name == "limits":
            limit_history.note(db, None, msgspec.convert(value, Limits))


def _save_row(db: Db, name: str, value: str, at_ms: int) -> None:
    row = db.Setting.get(name=name)
    if row is None:
        db.Setting(name=name, value=value, changed_ms=at_ms)
    else:
        row.set(value=value, changed_ms=at_ms)
