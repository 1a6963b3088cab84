"""What the on-device tests share: settings in memory, a list for the events, and small GGUF files."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from deskside.backend.agent.device_models import SMOLLM2
from deskside.backend.events import AppEvent, DeviceChanged
from deskside.backend.settings import Settings


class SettingsInMemory:
    """Takes the place of the settings' store."""

    def __init__(self) -> None:
        self.current = Settings()

    async def change(self, changes: Mapping[str, Any]) -> Settings:
        self.current = msgspec.structs.replace(self.current, **changes)
        return self.current


class Published(list[AppEvent]):
    """Takes the place of the event buffer: what was published, in order."""

    publish = list.append

    @property
    def processes(self) -> list[str]:
        """What was said of the process, without repeats."""
        states = [event.status.process for event in self if isinstance(event, DeviceChanged)]
        return [state for state, before in zip(states, [None, *states], strict=False) if state != before]


def bundled_model() -> Path:
    """The real small model of this checkout."""
    folder = os.environ.get("DESKSIDE_BUNDLED_MODELS")
    assert folder, (
        "DESKSIDE_BUNDLED_MODELS is not set: run the tests with build/dev.py test, or build/check.py"
    )
    path = Path(folder) / SMOLLM2.file_name
    assert path.exists(), f"{path} is missing: build/model.py fetches it"
    return path


def gguf(context: int | None = 4096, *, version: int = 3, tensors: int = 1) -> bytes:
    """The head of a GGUF file, as the format's documentation says, and no weights."""
    pairs = [
        _text("general.architecture", "llama"),
        _text("general.name", "Tiny"),
        _numbers("llama.ropes", [1, 2]),
    ]
    if context is not None:
        pairs.append(_string("llama.context_length") + struct.pack("<II", 4, context))
    pairs.append(_texts("tokenizer.ggml.tokens", ["a", "b"]))
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _text(key: str, value: str) -> bytes:
    return _string(key) + struct.pack("<I", 8) + _string(value)


def _texts(key: str, values: list[str]) -> bytes:
    return _string(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(_string, values))


def _numbers(key: str, values: list[int]) -> bytes:
    return _string(key) + struct.pack("<IIQ", 9, 4, len(values)) + struct.pack(f"<{len(values)}I", *values)
