"""A server that is a program on this machine: its process, and messages as lines of JSON on its pipes.

Not the SDK's own transport: that one reads a line of any length into memory, hands the program variables that
we do not choose, and leaves what it started behind when we are killed.

Invariants
  - No message is longer than MESSAGE_LIMIT bytes, and no more than RATE bytes a second are read: a program
    that writes without end waits for us.
  - When the transport is left, also by cancelling, the program and its group are gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import anyio
from anyio.abc import ByteReceiveStream, Process
from loguru import logger
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from deskside.backend.mcp import lifeline
from deskside.backend.python_children import LIFELINE, python_child

MESSAGE_LIMIT = 16 * 2**20
RATE = 32 * 2**20
LOG_RATE = 2**18
LOG_LINE_LIMIT = 2_000
# How long a program may take to end by itself once its input is closed.
LEAVE_S = 2.0
POLL_S = 0.02
# Those that no program ends itself with: `exit(-1)` looks like signal 1.
CRASHES = {
    getattr(signal, name, -1) for name in ("SIGSEGV", "SIGABRT", "SIGKILL", "SIGBUS", "SIGILL", "SIGFPE")
}
GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)

PROBE_S = 10.0

Log = Callable[[str], None]


class MessageTooLong(Exception):
    """The server wrote a line that is too long to be kept."""


async def can_confine() -> bool:
    """Whether this system lets us start a program in a network of its own. It is tried: distributions and
    containers forbid it in several ways. Takes 50 ms."""
    if sys.platform != "linux":
        return False
    try:
        with anyio.fail_after(PROBE_S):
            tried = await anyio.run_process(_lifeline(lifeline.PROBE), stdin=subprocess.DEVNULL, check=False)
    except TimeoutError:
        return False
    return tried.returncode == 0


@asynccontextmanager
async def run_program(
    command: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    on_line: Log,
    on_end: Callable[[str], None],
    is_confined: bool = False,
) -> AsyncIterator[tuple[Any, Any]]:
    """Run a program and give its streams of messages. One that `is_confined` reaches no network; ask
    `can_confine` first.

    `on_line` gets each line of its standard error, and of what it writes to its output that is no message.
    `on_end` is told once, with a sentence, when it ends or breaks the rules. Raises OSError where it cannot
    be started.
    """
    is_leaving = False

    def ended(why: str, killed_by: str) -> None:
        if is_leaving:
            return
        if killed_by:
            logger.bind(source="child").error("the program of an MCP server was ended by {}", killed_by)
        on_end(why)

    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with (
        _process(command, arguments, environment, folder, is_confined) as process,
        anyio.create_task_group() as tasks,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        tasks.start_soon(_read, process, to_session, on_line, ended)
        tasks.start_soon(_write, process, from_session)
        tasks.start_soon(_read_errors, process.stderr, on_line)
        try:
            yield from_server, to_server
        finally:
            is_leaving = True
            # Nobody reads any more: whoever waits to hand something over does not have to.
            for stream in (from_server, to_server):
                stream.close()
            with anyio.CancelScope(shield=True):
                await _end(process)
            for end in (to_session, from_session):
                end.close()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def _process(
    command: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    is_confined: bool,
) -> AsyncIterator[Process]:
    if sys.platform == "win32":
        assert not is_confined
        async with _process_in_a_job(command, arguments, environment, folder) as process:
            yield process
        return
    ours, theirs = os.pipe()[::-1]
    try:
        process = await anyio.open_process(
            _lifeline(*([lifeline.CONFINED] if is_confined else []), str(theirs), command, *arguments),
            env=environment,
            cwd=folder,
            start_new_session=True,
            pass_fds=(theirs,),
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield process
    finally:
        os.close(ours)
        with anyio.CancelScope(shield=True):
            await _is_gone_within(process, lifeline.GRACE_S + 1)
        # Whatever is left, also if the process in between was killed by somebody.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await _is_gone_within(process, 1)
        _close_pipes(process)


def _lifeline(*arguments: str) -> list[str]:
    return python_child(LIFELINE, *arguments, options=("-I", "-S"))


@asynccontextmanager
async def _process_in_a_job(
    command: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> AsyncIterator[Process]:
    """Windows: the SDK puts the program into a job object, which ends it and all that it started when the
    job's handle is closed: by us, or by the system when Deskside is killed."""
    from mcp.os.win32 import utilities

    # What is there for standard error goes to anyio as it is, and anyio takes subprocess.PIPE too.
    errors = cast("TextIO", subprocess.PIPE)
    program = utilities.get_windows_executable_command(command)
    process = await utilities.create_windows_process(
        program, list(arguments), dict(environment), errors, folder
    )
    # The other kind is for event loops that cannot run programs; ours is the proactor, which can.
    assert isinstance(process, Process)
    try:
        yield process
    finally:
        await utilities.terminate_windows_process_tree(process)


def _close_pipes(process: Process) -> None:
    """anyio has no way to: a grandchild that left the group may hold the other ends for ever."""
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()


async def _read(process: Process, to_session: Any, on_line: Log, on_end: Callable[[str, str], None]) -> None:
    """Messages, one a line, to the session. What is no message is noted and passed over."""
    assert process.stdout is not None
    why = killed_by = ""
    try:
        async for line in _lines(process.stdout, RATE):
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                on_line(f"(not a message) {_text(line)}")
                continue
            await to_session.send(SessionMessage(message))
    except MessageTooLong:
        why = f"It sent a message of more than {MESSAGE_LIMIT // 2**20} MB."
    except GONE:
        pass
    if not why:
        is_gone = await _is_gone_within(process, 1)
        code = process.returncode
        why = "Its program closed its output."
        if is_gone and code is not None:
            killed_by = _signal_of(code)
            why = f"Its program ended ({killed_by or f'exit code {code}'})."
    on_end(why, killed_by)
    to_session.close()


def _signal_of(code: int) -> str:
    """The name of the signal that ended the program, "" where it ended by itself. The process in between
    passes a signal on as an exit code (lifeline.py), as the lowest eight bits of its negative."""
    number = -code if code < 0 else 256 - code
    return signal.Signals(number).name if number in CRASHES else ""


async def _write(process: Process, from_session: Any) -> None:
    assert process.stdin is not None
    with suppress(*GONE):
        async for message in from_session:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send(line.encode() + b"\n")


async def _read_errors(stream: ByteReceiveStream, on_line: Log) -> None:
    with suppress(*GONE, MessageTooLong):
        pace = _Pace(LOG_RATE)
        rest = b""
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(_text(line))
            if len(rest) > LOG_LINE_LIMIT * 4:
                on_line(_text(rest))
                rest = b""
            await pace.take(len(chunk))
        if rest:
            on_line(_text(rest))


async def _lines(stream: ByteReceiveStream, rate: int) -> AsyncIterator[bytes]:
    """Each line that is not empty. Raises MessageTooLong."""
    pace = _Pace(rate)
    parts: list[bytes] = []
    size = 0
    async for chunk in stream:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        size += len(first)
        for other in others:
            if line := b"".join(parts).strip():
                yield line
            parts, size = [other], len(other)
        if size > MESSAGE_LIMIT:
            raise MessageTooLong
        await pace.take(len(chunk))


class _Pace:
    """At most `rate` bytes a second, counted in seconds of their own."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since = time.monotonic()
        self._taken = 0

    async def take(self, size: int) -> None:
        self._taken += size
        if self._taken < self._rate:
            return
        await anyio.sleep(max(0.0, self._since + 1 - time.monotonic()))
        self._since, self._taken = time.monotonic(), 0


async def _end(process: Process) -> None:
    """As the protocol wants it: close its input, and give it time to leave. Whoever made the process does the
    rest."""
    assert process.stdin is not None
    with suppress(*GONE):
        await process.stdin.aclose()
    await _is_gone_within(process, LEAVE_S)


async def _is_gone_within(process: Process, limit_s: float) -> bool:
    """Not `process.wait()`: that also waits for pipes that a grandchild may hold open."""
    give_up = time.monotonic() + limit_s
    while process.returncode is None:
        if time.monotonic() > give_up:
            return False
        await anyio.sleep(POLL_S)
    return True


def _text(line: bytes) -> str:
    return line[: LOG_LINE_LIMIT * 4].decode(errors="replace").rstrip()
