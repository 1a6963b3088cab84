"""The rows that a new database begins with."""

from __future__ import annotations

from deskside.backend.settings import Settings
from deskside.backend.store.agents import DEFAULT, STEP_LIMIT
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms

INSTRUCTIONS = (
    "You are a helpful assistant. Answer clearly and to the point, in the language the user writes in. "
    "Say so when you do not know. Use Markdown where it helps the reader."
)


def make_rows(db: Db) -> None:
    """Make the local user and the default agent where they are missing."""
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
