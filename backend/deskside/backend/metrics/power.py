"""Whether the machine saves power, so that what nobody waits for is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# What Linux is told, by power-profiles-daemon say, where the user saves power and the machine can.
PROFILE = Path("/sys/firmware/acpi/platform_profile")
LOW_PERCENT = 20


def saves_power(psutil: Any, profile: Path = PROFILE) -> bool:
    """On battery, and either low on it or set to save it. A machine without a battery never does.

    Takes well under a millisecond: it reads a few files of the system. Raises nothing.
    """
    read = getattr(psutil, "sensors_battery", None)
    try:
        battery = None if read is None else read()
    except (OSError, ValueError, RuntimeError, psutil.Error):  # as drivers answer
        return False
    if battery is None or battery.power_plugged is not False:
        return False
    return battery.percent <= LOW_PERCENT or _is_low_power(profile)


def _is_low_power(profile: Path) -> bool:
    try:
        return profile.read_text().strip() == "low-power"
    except (OSError, UnicodeDecodeError):  # no such thing here
        return False
