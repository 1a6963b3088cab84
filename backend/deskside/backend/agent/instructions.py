"""An agent's instructions with their fields filled in: `{{date}}`, `{{user}}`, `{{os}}`, and the user's own.

Values are put in once and not read again, so that a value cannot bring in another field. A name that is not
known stays as it is, for the user to see.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskside.backend.settings import Settings

BUILT_IN = ("date", "user", "os")
SYSTEMS = {"Darwin": "macOS"}

_field = re.compile(r"\{\{ *([A-Za-z][A-Za-z0-9_]{0,63}) *\}\}")


def rendered(instructions: str, values: Mapping[str, str]) -> str:
    """The instructions as a model gets them."""
    return _field.sub(lambda field: values.get(field[1], field[0]), instructions)


def unknown_fields(instructions: str, values: Mapping[str, str]) -> list[str]:
    """Names in the instructions that stand for nothing, each once, in their order."""
    return list(dict.fromkeys(name for name in _field.findall(instructions) if name not in values))


def field_values(settings: Settings, now: datetime) -> dict[str, str]:
    """What the fields stand for. The date is the user's own: "Friday, 20 November 2026"."""
    built_in = {
        # Not with %-d, which Windows does not know.
        "date": f"{now:%A}, {now.day} {now:%B %Y}",
        "user": settings.user_name or "the user",
        "os": SYSTEMS.get(platform.system(), platform.system()),
    }
    return {field.name: field.value for field in settings.fields} | built_in
