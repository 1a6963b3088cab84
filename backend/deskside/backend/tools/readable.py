"""The readable text of an HTML page, worked out in a child process (readable_worker.py)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

# `-P`: the folder of the script, which holds our tools, is no place to import from.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("readable_worker.py")))

TIME_LIMIT_S = 20.0
TEXT_LIMIT = 1_000_000  # characters; a page of 5 MB rarely holds more


class Unreadable(OSError):
    """The page is too large, or not made to be read. The text is for the model, and is ours."""


class Readable(msgspec.Struct, frozen=True):
    """A page's title (perhaps empty) and its text in Markdown (perhaps empty)."""

    title: str
    text: str


async def readable(page: str, url: str, *, time_limit_s: float = TIME_LIMIT_S) -> Readable:
    """Takes 0.3 s for a usual page, most of it for the start of the process. `url` is what its links are
    relative to. Raises Unreadable when the child needs too long or too much memory, or dies."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    order = msgspec.json.encode({"url": url, "longest": TEXT_LIMIT})
    try:
        async with asyncio.timeout(time_limit_s):
            text = await _exchange(process, order + b"\n" + page.encode("utf-8", "replace"))
            failed = await process.wait() != 0
    except (TimeoutError, ConnectionError):
        failed = True
    finally:
        await _end(process)
    if failed:
        raise Unreadable("The page is too large or too tangled to be read.")
    title, _, rest = text.partition("\n")
    return Readable(title, rest)


async def _exchange(process: asyncio.subprocess.Process, order: bytes) -> str:
    """Give the child all of its input, then take its output. Raises ConnectionError where that has no end."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order)
    await process.stdin.drain()
    process.stdin.close()
    output = bytearray()
    while piece := await process.stdout.read(1 << 16):
        output += piece
        if len(output) > 4 * TEXT_LIMIT:  # of bytes in UTF-8
            raise ConnectionAbortedError
    return output.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):  # it ended at this very moment
        process.kill()
    assert process.stdout is not None
    # asyncio sees the end of a process only when its output was read.
    await process.stdout.read()
    await process.wait()


def _environment() -> dict[str, str]:
    """Nothing but the way to the libraries, and what Windows needs to start a process."""
    kept = {
        name: value for name, value in os.environ.items() if name.upper() in ("SYSTEMROOT", "TEMP", "TMP")
    }
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
