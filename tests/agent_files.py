"""An agent as its file holds it."""

from __future__ import annotations

from typing import Any

PIRATE: dict[str, Any] = {
    "format": "deskside-agent",
    "version": 1,
    "name": "pirate",
    "instructions": "Talk like a pirate.",
    "tools": [],
}
