"""A child process of ours that makes text of what anybody wrote: bounded in time, memory and output."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from loguru import logger

from deskside.backend.python_children import Child, python_child, start_child


class ChildFailed(Exception):
    """It needed too long or too much memory, said too much, or died."""


async def text_from(worker: Path, order: bytes, *, time_limit_s: float, longest: int) -> str:
    """Give a Python file that stands alone its input, and return what it writes: at most `longest`
    characters. Raises ChildFailed. A caller that is cancelled takes the child with it."""
    child = await start_child(python_child(worker), _environment(), keeps_complaints=False)
    try:
        async with asyncio.timeout(time_limit_s):
            text = await _exchange(child, order, longest)
            code = await child.process.wait()
    except (TimeoutError, ConnectionError) as error:
        raise ChildFailed from error
    finally:
        await _end(child)
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


async def _exchange(child: Child, order: bytes, longest: int) -> str:
    """Give the child all of its input, then take its output. Raises ConnectionError where that has no end."""
    child.input.write(order)
    await child.input.drain()
    child.input.close()
    output = bytearray()
    while piece := await child.answers.read(1 << 16):
        output += piece
        if len(output) > 4 * longest:  # of bytes in UTF-8
            raise ConnectionAbortedError
    return output.decode("utf-8", "replace")


async def _end(child: Child) -> None:
    if child.process.returncode is not None:
        return
    with suppress(ProcessLookupError):  # it ended at this very moment
        child.process.kill()
    # asyncio sees the end of a process only when its output was read.
    await child.answers.read()
    await child.process.wait()


def _environment() -> dict[str, str]:
    """Nothing but the way to the libraries, and what Windows needs to start a process."""
    kept = {
        name: value for name, value in os.environ.items() if name.upper() in ("SYSTEMROOT", "TEMP", "TMP")
    }
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
