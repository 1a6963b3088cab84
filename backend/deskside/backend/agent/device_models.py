"""Models that run on this machine: which there are, and how far their download is."""

from __future__ import annotations

from typing import Literal

import msgspec


class DeviceFile(msgspec.Struct, frozen=True):
    """A GGUF file that is there. `name` is the part after `device/` in a model's name."""

    name: str
    label: str
    path: str
    size_bytes: int
    is_bundled: bool


class Download(msgspec.Struct, frozen=True):
    """The download of the bundled small model. `message` says why it failed and what to do."""

    state: Literal["none", "running", "paused", "checking", "failed", "done"]
    received_bytes: int
    total_bytes: int
    message: str = ""


class DeviceStatus(msgspec.Struct, frozen=True):
    """`can_run` is False where the platform lacks the engine; `reason` says so in a sentence."""

    can_run: bool
    reason: str
    files: list[DeviceFile]
    download: Download
    process: Literal["stopped", "starting", "running"]
