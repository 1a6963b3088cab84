"""Connecting: names looked up, addresses tried in turn."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

# How long the first of several addresses is tried alone (RFC 8305 calls it the connection attempt delay).
HEAD_START_S = 0.25

SocketOptions = list[tuple[int, int, int]]


def keep_alive(idle_s: int, every_s: int) -> SocketOptions:
    """After so much silence ask the other side's system whether it is there, give up after three times
    without an answer. The program at the other side sees nothing of it."""
    options = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", idle_s),
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", idle_s),  # macOS' name of TCP_KEEPIDLE
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", every_s),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    ]
    return [(level, getattr(socket, name), value) for level, name, value in options if hasattr(socket, name)]


# A line that died is found within a minute.
USUAL = keep_alive(30, 10)
# While it is in doubt: within a quarter of one, which a wireless network may need to come back.
DOUBTFUL = keep_alive(1, 5)

Address = tuple[int, Sequence[object]]


def is_loopback(host: str) -> bool:
    """Whether a name or an address is of this machine by its spelling. Nothing is looked up."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return (getattr(number, "ipv4_mapped", None) or number).is_loopback


async def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name, best first, as the system's resolver has them. Raises OSError, and
    UnicodeError for what can be no name."""
    found: Sequence[Any] = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(entry[0], entry[4]) for entry in found]


async def dial(host: str, port: int, may_reach: Callable[[str], bool] = lambda number: True) -> socket.socket:
    """A connected socket. Of several addresses the next is tried when one fails or is slow: a network whose
    IPv6 leads nowhere costs a moment, not the whole time-out. `may_reach` is asked for each address's number.
    Raises OSError, and UnicodeError for what can be no name."""
    found = [address for address in await look_up(host, port) if may_reach(str(address[1][0]))]
    addresses = _families_in_turn(found)
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError(f"{host} has no address")
    try:
        while addresses or attempts:
            if addresses:
                attempts.add(asyncio.create_task(_connected(*addresses.popleft())))
            wait_s = HEAD_START_S if addresses else None
            done, attempts = await asyncio.wait(attempts, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            winners = [task for task in done if task.exception() is None]
            for late in winners[1:]:
                late.result().close()
            if winners:
                return winners[0].result()
            for task in done:
                failure = task.exception() or failure
        raise failure
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(close_late)


def _families_in_turn(found: list[Address]) -> deque[Address]:
    """IPv6 and IPv4 in turn, beginning with the system's own choice."""
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    mixed: deque[Address] = deque()
    while first or others:
        mixed += [*first[:1], *others[:1]]
        del first[:1], others[:1]
    return mixed


async def _connected(family: int, address: Sequence[object]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in USUAL:
            made.setsockopt(*option)
        await asyncio.get_running_loop().sock_connect(made, tuple(address))
    except BaseException:
        made.close()
        raise
    return made


def close_late(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt has connected that nobody waits for any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
