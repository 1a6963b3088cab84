"""The gate: every connection of this process passes it, and is told to the ledger.

A `Line` is one connection, a `Use` one stretch of work on it: a line that is kept open serves many. Who makes
a connection asks the gate for a line, dials through it, and adds the bytes that pass to its use. Libraries
that make sockets of their own get theirs from here (http.py, relay.py); `build/lints.py` keeps everybody else
from making one, and a test in which the interpreter reports every connect shows that it holds.

Invariants
  - While the gate is closed only this machine is reached, no name is looked up, and no proxy is asked for
    what is elsewhere: whom a line is for counts, and the address that it is dialled at as well.
  - When it closes, every line to elsewhere is cut at once, also one that is being dialled.
  - Each attempt is told, also one that the closed gate refused or nobody answered.

All of it belongs to the loop's thread. Per piece of an answer it costs an addition.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

from deskside.backend.errors import Offline, WentOffline
from deskside.backend.log import request_id
from deskside.backend.network import dialing, purpose
from deskside.backend.network.dialing import Address, SocketOptions, close_late, dial, is_loopback, look_up

Outcome = Literal["done", "stopped", "failed", "cut", "refused", "lost"]
"""Everything came; we gave up on it; it was not reached, or broke off; going offline cut it; offline, it was
not made; Deskside ended first."""


class Target(NamedTuple):
    """Whom a connection is for. `via` is the proxy's host where one stands before it."""

    host: str
    port: int
    via: str = ""


# A library dials a number, or a proxy, for a name that only its caller knows.
_target: ContextVar[Target | None] = ContextVar("network_target", default=None)


@contextmanager
def bound_for(host: str, port: int, via: str = "") -> Iterator[None]:
    """Whom the block's connections are for, whatever address is dialled."""
    token = _target.set(Target(host, port, via))
    try:
        yield
    finally:
        _target.reset(token)


class Use:
    """What passed over a line for one purpose. `sent` and `received` are bytes of what was said, without what
    TLS puts around it."""

    __slots__ = (
        "began_ms",
        "duration_ms",
        "id",
        "outcome",
        "purpose",
        "received",
        "request_id",
        "sent",
        "started_s",
        "target",
    )

    def __init__(self, target: Target) -> None:
        self.id: int | None = None  # its row's, once it has one
        self.target = target
        self.purpose = purpose.current.get()
        self.request_id = request_id.get()
        self.began_ms = time.time_ns() // 1_000_000
        self.started_s = time.monotonic()
        self.sent = 0
        self.received = 0
        self.duration_ms: int | None = None  # None while it goes on
        self.outcome: Outcome | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the one who asks is the one who makes this use."""
        return self.purpose is purpose.current.get() and self.request_id == request_id.get()


class Line:
    """One connection. Made by `Gate.line`; `close` it in any case."""

    def __init__(self, gate: Gate, target: Target) -> None:
        self.target = target
        self.is_loopback = is_loopback(target.host)
        self.is_cut = False
        self.cut: Callable[[], object] = lambda: None
        """Ends the connection from outside; whoever holds it says how."""
        self._gate = gate
        self._socket: socket.socket | None = None
        self.use = gate.begin(target)

    async def dial(self, host: str, port: int) -> socket.socket:
        """Connect to an address that leads to the target. Raises OSError, Offline, and UnicodeError for what
        can be no name."""
        dialling = asyncio.create_task(dial(host, port, self._gate.may_reach))
        self.cut = dialling.cancel
        try:
            connected = await dialling
        except asyncio.CancelledError:
            dialling.add_done_callback(close_late)  # it may have connected at this very moment
            self.check()
            raise
        self._socket = connected
        self.cut = lambda: _shut_down(connected)
        if self.is_cut:
            connected.close()
            self.check()
        return connected

    def next_use(self) -> Use:
        """The use that whoever asks now makes of the line."""
        if self.use.outcome is not None or (self.use.sent and not self.use.is_ours):
            self.end_use("done")
            self.use = self._gate.begin(self.target)
        return self.use

    def end_use(self, outcome: Outcome) -> None:
        """The line stays open, and its present use is over."""
        self._gate.end(self.use, outcome)

    def close(self, outcome: Outcome) -> None:
        """The connection is closed, or did not come about. A second time changes nothing."""
        self.end_use(outcome)
        self._gate.forget(self)

    def keep_alive(self, options: SocketOptions) -> bool:
        """How its silence is looked into from now on. False where there is no connection."""
        if self._socket is None:
            return False
        try:
            for option in options:
                self._socket.setsockopt(*option)
        except OSError:  # closed meanwhile
            return False
        return True

    def cut_off(self) -> None:
        self.is_cut = True
        self.close("cut")
        self.cut()

    def check(self) -> None:
        """Raises Offline where the line was cut: that is why it broke."""
        if self.is_cut:
            raise went_offline(self.target.host)


class Gate:
    """Open, or closed to everything but this machine. `tell` is called with each use when it begins and when
    it ends."""

    def __init__(self, *, is_closed: bool = False, tell: Callable[[Use], None] = lambda use: None) -> None:
        self.is_closed = is_closed
        self._tell = tell
        self._lines: set[Line] = set()

    def check(self, host: str) -> None:
        """Raises Offline where `host` must not be reached now; that is recorded."""
        if self.is_closed and not is_loopback(host):
            target = _target.get()
            self.end(self.begin(target if target and target.host == host else Target(host, 0)), "refused")
            raise offline(host)

    def may_reach(self, number: str) -> bool:
        return not self.is_closed or is_loopback(number)

    def line(self, host: str, port: int) -> Line:
        """A line to a host, or to whom the block is `bound_for`. Raises Offline."""
        target = _target.get() or Target(host, port)
        self.check(target.host)
        if not is_loopback(target.host) or is_loopback(host):
            line = Line(self, target)
            self._lines.add(line)
            return line
        # Something elsewhere that only calls itself this machine.
        self.check(host)
        line = Line(self, Target(host, port))
        self._lines.add(line)
        return line

    async def look_up(self, host: str, port: int) -> list[Address]:
        """The addresses of a name. A question for a name leaves this machine, too: raises Offline, and
        OSError."""
        self.check(host)
        return await look_up(host, port)

    def close(self) -> None:
        """Let nothing through but what stays on this machine, and cut what is on its way."""
        self.is_closed = True
        for line in list(self._lines):
            if not line.is_loopback:
                line.cut_off()

    def open(self) -> None:
        self.is_closed = False

    def doubt(self) -> int:
        """Find out soon which lines to elsewhere have nobody at the other end any more: those break, all
        others go on. Returns how many are looked into, until `trust`."""
        return sum(line.keep_alive(dialing.DOUBTFUL) for line in self._lines if not line.is_loopback)

    def trust(self) -> None:
        """Look into silence as seldom as usual again."""
        for line in self._lines:
            line.keep_alive(dialing.USUAL)

    def begin(self, target: Target) -> Use:
        use = Use(target)
        self._tell(use)
        return use

    def end(self, use: Use, outcome: Outcome) -> None:
        if use.outcome is None:
            use.outcome = outcome
            use.duration_ms = round(1000 * (time.monotonic() - use.started_s))
            self._tell(use)

    def forget(self, line: Line) -> None:
        self._lines.discard(line)


def offline(host: str) -> Offline:
    return Offline(f"Deskside is offline, so {host} was not reached.")


def went_offline(host: str) -> WentOffline:
    return WentOffline(f"Deskside went offline, which ended the connection to {host}.")


def _shut_down(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed meanwhile, which is what was wanted
