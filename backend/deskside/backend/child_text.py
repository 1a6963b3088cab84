"""A child process of ours that makes text of what anybody wrote: bounded in time, memory and output."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from loguru import logger


class ChildFailed(Exception):
    """It needed too long or too much memory, said too much, or died."""


async def text_from(worker: Path, order: bytes, *, time_limit_s: float, longest: int) -> str:
    """Give a Python file that stands alone its input, and return what it writes: at most `longest`
    characters. Raises ChildFailed. A caller that is cancelled takes the child with it."""
    process = await asyncio.create_subprocess_exec(
        # `-P`: the folder of the script, which holds our modules, is no place to import from.
        sys.executable,
        "-P",
        str(worker),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    try:
        async with asyncio.timeout(time_limit_s):
            text = await _exchange(process, order, longest)
            code = await process.wait()
    except (TimeoutError, ConnectionError) as error:
        raise ChildFailed from error
    finally:
        await _end(process)
    if code != 0:
        # One that the system's limits ended was none of ours to mend.
        if code < 0 and -code != getattr(signal, "SIGXCPU", None):
            logger.bind(source="child").error("the program that reads files ended by {}", how_it_ended(code))
        raise ChildFailed
    return text


def how_it_ended(code: int) -> str:
    """An exit code as a person says it: "SIGSEGV", or "exit code 1"."""
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:  # a signal without a name
        return f"signal {-code}"


async def _exchange(process: asyncio.subprocess.Process, order: bytes, longest: int) -> str:
    """Give the child all of its input, then take its output. Raises ConnectionError where that has no end."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order)
    await process.stdin.drain()
    process.stdin.close()
    output = bytearray()
    while piece := await process.stdout.read(1 << 16):
        output += piece
        if len(output) > 4 * longest:  # of bytes in UTF-8
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
