"""What time it is, here or anywhere else."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated

import msgspec

from deskside.backend.tools.declaration import tool

# IANA's longest name has 32 characters. A name is looked up as a file: nothing but these gets that far.
Zone = Annotated[str, msgspec.Meta(max_length=64, pattern="^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$")]


@tool(approval="never", time_limit_s=5)
def current_time(zone: Zone = "") -> str:
    """Say the current date, time, weekday and UTC offset.

    Without a zone it is the user's local time. `zone` is an IANA name such as "Europe/Berlin" or "UTC".
    """
    now = datetime.now().astimezone() if not zone else datetime.now(_zone(zone))
    offset = now.strftime("%z")
    name = zone or now.tzname() or "local time"
    return f"{now:%A}, {now:%Y-%m-%d %H:%M:%S}, UTC{offset[:3]}:{offset[3:5]} ({name})"


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise LookupError(f"there is no time zone {name!r}; use a name such as 'Europe/Berlin'") from error
