"""The model that runs on this machine."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.agent.device_models import DeviceStatus
from deskside.backend.app import App
from deskside.bridge.registry import command


class UseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GGUF file on this machine; None goes back to the bundled small model."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)] | None


@command
async def status(app: App) -> DeviceStatus:
    """What can run on this machine, and how far the download is."""
    return await app.device.status()


@command
async def download(app: App) -> DeviceStatus:
    """Start, or resume, the download of the small model. Progress arrives as events."""
    return await app.device.start_download()


@command
async def pause_download(app: App) -> DeviceStatus:
    """Stop the download; what has arrived is kept for resuming."""
    return await app.device.pause_download()


@command
async def use_file(app: App, params: UseFile) -> DeviceStatus:
    """Choose the GGUF file to run."""
    return await app.device.use_file(params.path)
