"""The process between Deskside and a server's program: `python -I -S lifeline.py FD COMMAND ARGUMENT…`.

With CONFINED before the FD (Linux) the program gets a network of its own, in which there is nothing but it.
PROBE alone only tells, by its exit code, whether this system allows that.

It starts the program on its own input and output, waits for its end, and holds one end of a pipe whose other
end only Deskside has. When that closes, because Deskside ends the server or was killed itself, it ends the
whole process group: SIGTERM, two seconds, SIGKILL. A program alone would not do: many servers do not notice
that their input ended, and what is started as `npx …` is a chain of processes of which only the first would
be reached by a signal from the kernel.

Only the standard library, and little of it: it is started for every server. POSIX; see stdio.py for Windows.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

GRACE_S = 2.0
NOT_FOUND = 127
CONFINED, PROBE = "--confined", "--probe"
NOT_CONFINED = 126


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[0] in (CONFINED, PROBE):
        try:
            _enter_own_network()
        except OSError as error:
            os.write(2, f"This system gives no program a network of its own: {error.strerror}\n".encode())
            return NOT_CONFINED
        if arguments.pop(0) == PROBE:
            return 0
    lifeline, command = int(arguments[0]), arguments[1:]
    os.set_inheritable(lifeline, False)
    # Ours to send, to the group that we are in as well.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
        return NOT_FOUND
    # Whoever reads the program's output must see its end.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    is_ending = threading.Event()
    threading.Thread(target=_end_with_deskside, args=(lifeline, is_ending), daemon=True).start()
    _, status = os.waitpid(child, 0)
    if is_ending.is_set():
        # What the program started may still be there. The other thread ends us all.
        signal.pause()
    os.killpg(0, signal.SIGTERM)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _enter_own_network() -> None:
    """Move this process, and all that it starts, into a network that has only a loopback interface. Raises
    OSError where the system forbids that."""
    import ctypes
    import fcntl
    import socket
    import struct

    CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # The program stays who it is: its files are its user's.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _end_with_deskside(lifeline: int, is_ending: threading.Event) -> None:
    os.read(lifeline, 1)
    is_ending.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # Not `sys.exit`, which would wait for the thread.
    os._exit(main())
