"""The rows that a new database begins with."""

from __future__ import annotations

import secrets

from deskside.backend.settings import Settings
from deskside.backend.store import settings
from deskside.backend.store.agents import DEFAULT, STEP_LIMIT
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms

# What ids of traces are derived from, so that those of two stores differ.
STORE_ID = "store_id"

INSTRUCTIONS = (
    "You are a helpful assistant. Answer clearly and to the point, in the language the user writes in. "
    "Say so when you do not know. Use Markdown where it helps the reader."
)


def make_rows(db: Db) -> None:
    """Make the local user, the default agent, and the store's own id where they are missing."""
    at_ms = now_ms()
    if db.User.select().first() is None:
        defaults = Settings()
        db.User(name="", theme=defaults.theme, language=defaults.language, created_ms=at_ms)
    if db.Agent.get(name=DEFAULT) is None:
        db.Agent(
            name=DEFAULT,
            label="Assistant",
            instructions=INSTRUCTIONS,
            step_limit=STEP_LIMIT,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
    if STORE_ID not in settings.load(db):
        settings.save(db, {STORE_ID: secrets.token_hex(16)})
