"""The process that runs a model: `python -m deskside.backend.agent.device_server`.

It reads one `Order` as a line of JSON from its input, loads the model, writes one `Answer` as a line of
JSON to its output, and serves the OpenAI-compatible API until its input ends. That happens when Deskside
stops it, and also when Deskside is killed, on every platform: the system closes the pipe.

It is a process of its own because the engine is native code: it takes all cores while it answers, holds
the interpreter while it loads, and a broken model file must not take the window along.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import msgspec

LOOPBACK = "127.0.0.1"
# Memory for the beginnings of earlier conversations, so that going on with one is quick. The engine's own
# default is 8 GiB.
PROMPT_CACHE_MIB = 256


class Order(msgspec.Struct, frozen=True):
    """What to run. `api_key` is asked for on every call, so that no other program on this machine can use
    the model; it comes through the pipe, because a command line is visible to everybody."""

    path: str
    name: str
    api_key: str
    context_tokens: int
    threads: int


class Answer(msgspec.Struct, frozen=True):
    """Where it listens, or the engine's own words for why it does not."""

    url: str = ""
    error: str = ""


def main() -> int:
    _die_with_parent()
    # Ctrl+C in a terminal reaches the whole group; Deskside ends us in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    output = os.dup(1)
    # The engine may write to standard output, which is ours to answer on.
    os.dup2(2, 1)
    try:
        server = _serve(order)
    except RuntimeError as error:
        os.write(output, msgspec.json.encode(Answer(error=str(error))) + b"\n")
        return 1
    os.write(output, msgspec.json.encode(Answer(url=server.listening_address)) + b"\n")
    while sys.stdin.buffer.read(1):
        pass
    # Without the engine's own clean-up, which waits for the replies that are still being written.
    os._exit(0)


def _serve(order: Order) -> Any:
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = order.path
    params.model_alias = {order.name}
    params.hostnames = [LOOPBACK]
    params.port = 0
    params.api_keys = [order.api_key]
    params.cors_origins = ""
    params.n_ctx = order.context_tokens
    params.n_parallel = 1
    params.cpuparams.n_threads = order.threads
    params.cpuparams_batch.n_threads = order.threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.offline = True
    params.ui = False
    # Errors only: above that it writes prompts.
    params.verbosity = 1
    return Server(params)


def _die_with_parent() -> None:
    """On Linux ask the kernel to end us with Deskside: while the engine loads, nobody reads the input.

    The signal comes when the thread that started us ends, which is the backend's and lives as long.
    """
    if sys.platform == "linux":
        import ctypes

        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
