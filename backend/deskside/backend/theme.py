"""The looks there are. On its own because the window is painted before the settings can be read."""

from __future__ import annotations

from typing import Literal

Theme = Literal["system", "light", "dark"]
