"""One running model: the child process that serves it, seen from our side."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from loguru import logger

from deskside.backend import redaction
from deskside.backend.agent.device_server import LOOPBACK, Answer, Order
from deskside.backend.child_text import how_it_ended
from deskside.backend.errors import DeviceModelError
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.python_children import DEVICE_SERVER, Child, python_child, start_child

COMMAND = tuple(python_child(DEVICE_SERVER))

# The small model takes a second; one of 30 GB from a hard disk takes minutes.
START_S = 300.0
# It answers in 2 ms, also while it writes a reply: other threads do that.
HEALTH_S = 5.0
STOP_S = 3.0
_HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

_DAMAGED_HINT = (
    "The file may be damaged, or need more memory than this machine has free. "
    "Choose another GGUF file in Models."
)


@dataclass(frozen=True)
class Endpoint:
    """Where a running model is spoken to, as an OpenAI-compatible server. The key is made at each start."""

    base_url: str
    api_key: str = field(repr=False)


class DeviceProcess:
    """A child that has answered. Make it with `start`; `exited` is done when it is gone."""

    def __init__(self, child: Child, endpoint: Endpoint, tail: _Tail, gate: Gate) -> None:
        self.endpoint = endpoint
        self.pid = child.process.pid
        self._child = child
        self._tail = tail
        self._gate = gate
        self._is_stopping = False
        self.exited = asyncio.create_task(self._wait())

    @classmethod
    async def start(
        cls,
        path: Path,
        name: str,
        *,
        context_tokens: int,
        command: Sequence[str] = COMMAND,
        timeout_s: float = START_S,
        gate: Gate,
    ) -> DeviceProcess:
        """Start a child and wait until the model is loaded. Raises DeviceModelError; a child that did not
        make it is gone then, also when the caller is cancelled."""
        order = Order(str(path), name, secrets.token_urlsafe(32), context_tokens, _threads())
        redaction.PROCESS.learn(order.api_key, "the on-device model's own key")
        try:
            child = await start_child(command, _environment(), keeps_complaints=True)
        except OSError as error:
            raise DeviceModelError(f"The on-device model could not be started: {error.strerror}.") from error
        tail = _Tail(child)
        async with AsyncExitStack() as unless_it_answers:
            unless_it_answers.push_async_callback(_end, child)
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await _answer(child, order)
            except TimeoutError:
                raise DeviceModelError(
                    f"{path.name} was not ready after {timeout_s:g} s.",
                    hint="Choose a smaller model in Models.",
                ) from None
            if answer.url:
                unless_it_answers.pop_all()
                return cls(child, Endpoint(f"{answer.url}/v1", order.api_key), tail, gate)
        await tail.log(f"{path.name}: {answer.error}")
        raise DeviceModelError(f"{path.name} could not be loaded.", hint=_DAMAGED_HINT)

    @property
    def is_running(self) -> bool:
        return not self.exited.done()

    async def is_healthy(self) -> bool:
        """True when it answers a request. A child that hangs is alive to the system, but of no use."""
        if not self.is_running:
            return False
        port = urlsplit(self.endpoint.base_url).port
        assert port is not None
        with purpose("device"):
            line = self._gate.line(LOOPBACK, port)
        try:
            async with asyncio.timeout(HEALTH_S):
                reader, writer = await asyncio.open_connection(sock=await line.dial(LOOPBACK, port))
                try:
                    writer.write(_HEALTH)
                    line.use.sent = len(_HEALTH)
                    said = await reader.readline()
                    line.use.received = len(said)
                    return b" 200 " in said
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        finally:
            line.close("done" if line.use.received else "failed")

    async def stop(self) -> None:
        """End it, and wait until it is gone. A reply that is being written breaks off."""
        self._is_stopping = True
        await _end(self._child)
        await self.exited

    async def _wait(self) -> None:
        code = await self._child.process.wait()
        if not self._is_stopping:
            await self._tail.log(f"device server {self.pid}, exit code {code}")
            logger.bind(source="child").error(
                "the on-device model's program ended by itself ({})", how_it_ended(code)
            )


class _Tail:
    """Reads what the child complains about, so that its pipe never fills, and keeps the last lines."""

    def __init__(self, child: Child) -> None:
        self._lines: deque[bytes] = deque(maxlen=10)
        assert child.complaints is not None
        self._task = asyncio.create_task(self._read(child.complaints))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(4096):
            self._lines.extend(chunk.splitlines())

    async def log(self, what: str) -> None:
        await self._task
        logger.warning("{}: {}", what, b" | ".join(self._lines).decode(errors="replace"))


async def _answer(child: Child, order: Order) -> Answer:
    try:
        child.input.write(msgspec.json.encode(order) + b"\n")
        await child.input.drain()
        line = await child.answers.readline()
    except ConnectionError:
        return Answer(error="it ended before it was told what to run")
    if not line:
        return Answer(error="it ended while it started")
    return msgspec.json.decode(line, type=Answer)


async def _end(child: Child) -> None:
    """Close its input, which it ends at; after `STOP_S` do not ask any more."""
    child.input.close()
    try:
        async with asyncio.timeout(STOP_S):
            await child.process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):  # it ended at this very moment
            child.process.kill()
        await child.process.wait()


def _threads() -> int:
    """One physical core less than there are, so that the window stays quick."""
    import psutil

    return max(1, (psutil.cpu_count(logical=False) or 1) - 1)


def _environment() -> dict[str, str]:
    """Ours, without secrets (the engine reads files from anywhere), and with the way to our modules, which
    an installed program does not have in a variable."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))
    }
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
