"""The head of a GGUF file: enough to know that it is a model, and how long a conversation it takes.

Layout (little-endian): magic `GGUF`, u32 version, u64 number of tensors, u64 number of pairs, then the
pairs: string key, u32 type, value. A string is a u64 length and UTF-8; an array is a u32 type, a u64 count
and the values. Source: docs/gguf.md of the ggml project, versions 2 and 3.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deskside.backend.errors import DeviceModelError

VERSIONS = (2, 3)
# What we look for comes before the vocabulary, which is megabytes of strings.
MOST_PAIRS = 200
LONGEST_STRING = 1 << 16
LONGEST_ARRAY = 1 << 40  # past the end of any file, and small enough to seek to
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}


@dataclass(frozen=True)
class GgufHead:
    """`context_tokens` is the length the model was trained for; None where the file does not say."""

    name: str
    architecture: str
    context_tokens: int | None


def read_head(path: Path) -> GgufHead:
    """Read up to the vocabulary; under a millisecond. Raises DeviceModelError with a sentence for a file
    that is not there, cannot be read, or is not a GGUF model."""
    try:
        # Looked at first: opening a pipe waits for somebody who writes into it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _not_a_model(path)
        with path.open("rb") as file:
            return _read(file, path)
    except FileNotFoundError:
        raise DeviceModelError(f"There is no file at {path}.", hint="Choose the file again.") from None
    except (struct.error, ValueError, OverflowError, KeyError) as error:
        # ValueError: a path with a NUL in it, or text that is not UTF-8.
        raise _not_a_model(path) from error
    except OSError as error:
        raise DeviceModelError(
            f"{path} cannot be read: {error.strerror}.", hint="Give your user the right to read it."
        ) from error


def _read(file: BinaryIO, path: Path) -> GgufHead:
    if file.read(4) != b"GGUF":
        raise _not_a_model(path)
    (version,) = _unpack(file, "<I")
    if version not in VERSIONS:
        raise DeviceModelError(
            f"{path.name} is a GGUF file of a version that Deskside does not know.",
            hint="Convert the model again with a current version of llama.cpp, or choose another file.",
        )
    tensors, pairs = _unpack(file, "<QQ")
    if tensors == 0:
        raise _not_a_model(path)
    found = _pairs(file, min(pairs, MOST_PAIRS))
    architecture = str(found.get("general.architecture", ""))
    context = found.get(f"{architecture}.context_length")
    return GgufHead(
        name=str(found.get("general.name", "")),
        architecture=architecture,
        context_tokens=context if isinstance(context, int) and context > 0 else None,
    )


def _pairs(file: BinaryIO, count: int) -> dict[str, str | int | float]:
    """The pairs up to the vocabulary."""
    found: dict[str, str | int | float] = {}
    for _ in range(count):
        key = _string(file)
        (kind,) = _unpack(file, "<I")
        if kind == _ARRAY:
            if key.startswith("tokenizer."):
                break
            _skip_array(file)
        elif kind == _STRING:
            found[key] = _string(file)
        else:
            (found[key],) = _unpack(file, _NUMBERS[kind])
    return found


def _skip_array(file: BinaryIO) -> None:
    kind, count = _unpack(file, "<IQ")
    if kind == _STRING:
        for _ in range(min(count, LONGEST_STRING)):
            _string(file)
    else:
        file.seek(struct.calcsize(_NUMBERS[kind]) * min(count, LONGEST_ARRAY), 1)


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "<Q")
    if length > LONGEST_STRING:
        raise struct.error("a string too long to be one")
    text = file.read(length)
    if len(text) < length:
        raise struct.error("the file ends inside a string")
    return text.decode()


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _not_a_model(path: Path) -> DeviceModelError:
    return DeviceModelError(
        f"{path.name} is not a GGUF model file, or is damaged.", hint="Choose a file that ends in .gguf."
    )
