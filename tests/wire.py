"""A network of one's own, with a line that leads nowhere and a look at everything that is put on it (Linux).

`python tests/wire.py COMMAND ARGUMENT…` runs a command where the only way out is that line: both protocols of
the internet have an address and a default route, and names are asked for at an address behind it. Whatever
any process there sends, in whatever language it is written, leaves as a packet; `Wire` counts these.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

HERE, BEHIND = "203.0.113.2", "203.0.113.1"
_LINES = [
    ["ip", "link", "set", "lo", "up"],
    ["ip", "link", "add", "out", "type", "veth", "peer", "name", "in"],
    # Nobody answers who has which address.
    ["ip", "link", "set", "out", "arp", "off", "up"],
    ["ip", "link", "set", "in", "arp", "off", "up"],
    ["ip", "address", "add", f"{HERE}/24", "dev", "out"],
    ["ip", "route", "add", "default", "via", BEHIND],
    ["ip", "-6", "address", "add", "2001:db8::2/64", "dev", "out", "nodad"],
    ["ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "out"],
]
_TCP, _UDP, _ICMP = 6, 17, 1


def enter(*command: str) -> list[str]:
    """The command that runs another one there."""
    own = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    return [*own, sys.executable, __file__, *command]


class Wire:
    """`with Wire() as wire:` — `sent` is what left since, each as protocol and whom it was for. (What the
    kernel says about itself in IPv6 and to groups is not counted.)"""

    def __enter__(self) -> Self:
        self.sent: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.bind(("out", 3))
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing a socket wakes nobody who reads from it; this packet does.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (BEHIND, 9))
        self._thread.join(10)
        self._socket.close()

    def _look(self) -> None:
        while True:
            packet, (_, protocol, kind, *_) = self._socket.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                continue
            seen = _told(packet, protocol)
            if seen == f"17 {BEHIND} 9":
                return
            if seen:
                self.sent.append(seen)


def _told(packet: bytes, protocol: int) -> str:
    """Protocol, address and port of a packet; empty for what no program sent."""
    if protocol == 0x0800:
        kind, address, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
        if kind not in (_TCP, _UDP, _ICMP):
            return ""
        whom = socket.inet_ntop(socket.AF_INET, address)
    elif protocol == 0x86DD:
        kind, address, rest = packet[6], packet[24:40], packet[40:]
        if kind not in (_TCP, _UDP):
            return ""
        whom = socket.inet_ntop(socket.AF_INET6, address)
    else:
        return ""
    return f"{kind} {whom} {int.from_bytes(rest[2:4], 'big')}"


def main() -> int:
    """Inside of `unshare`: lay the line, then become the command."""
    for line in _LINES:
        subprocess.run(line, check=True)
    resolver = Path(tempfile.mkdtemp()) / "resolv.conf"
    resolver.write_text(f"nameserver {BEHIND}\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(resolver), os.path.realpath("/etc/resolv.conf")], check=True)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
