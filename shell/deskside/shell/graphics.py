"""Whether this machine has something to draw with besides its processor."""

from __future__ import annotations

import os
from pathlib import Path

# A Mesa driver's, NVIDIA's own, and that of Windows for the Linux inside it. Each may be one of several.
DEVICES = ("dri/renderD*", "nvidiactl", "dxg")


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Is there a graphics processor that our user may use? For Linux; `devices` is where it lists them."""
    return any(
        os.access(device, os.R_OK | os.W_OK) for pattern in DEVICES for device in devices.glob(pattern)
    )
