"""One Deskside for each data folder, and how a second one talks to the first.

The lock is the truth: the operating system releases it when its holder dies, however it dies. Beside
it the holder keeps `instance.json` (readable by the user alone) with the port and token of a small
control socket on loopback. What a killed process left there names a port nobody answers on, or one
that does not know the token; whoever gets the lock overwrites it.

One line of JSON in ({"token": …, "action": …}), one line out. `boot-url` is a lease as well: its
sender keeps the connection open for as long as it uses the backend, so that a `deskside ask` that
ends first does not take the store away from another that still listens.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock, Timeout
from loguru import logger

from deskside.backend.errors import AppError, NeedsWindow, StoreBusy, StoreReadOnly
from deskside.backend.paths import Paths
from deskside.backend.store.sqlite_errors import NO_LOCKS, unsuitable

Action = Literal["show", "open", "boot-url", "folder", "file"]

LINE_LIMIT_BYTES = 128 * 1024  # the longest link, each character escaped
CONVERSATION_LIMIT_S = 5.0
MOST_CONNECTIONS = 64
# As long as another instance may take to open its store (a migration) or to close.
PATIENCE_S = 30.0
RETRY_S = 0.05


class AlreadyRunning(Exception):
    """Another process holds the data folder."""


class InstanceFile(msgspec.Struct, frozen=True):
    pid: int
    port: int
    token: str


class FolderChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a terminal asks for: a folder granted, or taken back. Not a command of the bridge: no page may."""

    path: str
    can_write: bool = False
    is_removed: bool = False


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folder` and `file` go with the actions of these names. `file` is a path that a terminal wants to
    import or to export to: the backend answers with a word that stands for it in commands, which take no
    paths. `target` goes with `open`: a link, or a file, to be looked at in the window."""

    token: str
    action: Action
    folder: FolderChange | None = None
    file: str | None = None
    target: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """`url` for `boot-url`. `ok` False comes with `message` and `hint`, `folder` with what is so now, `file`
    with the word for it."""

    ok: bool
    pid: int
    url: str = ""
    message: str = ""
    hint: str = ""


class Remote:
    """Another process that holds the folder, and what it answered."""

    def __init__(self, answer: Answer, connection: socket.socket) -> None:
        self.answer = answer
        self._connection = connection

    def when_gone(self, tell: Callable[[], None]) -> None:
        """Call `tell` from another thread when that process closes."""

        def wait() -> None:
            self._connection.settimeout(None)
            with suppress(OSError):
                self._connection.recv(1)
            tell()

        threading.Thread(target=wait, name="remote", daemon=True).start()


class Instance:
    """This process, as the one that holds a data folder. Made by `claim`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "instance.json"
        self._token = secrets.token_urlsafe(32)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._leases = 0
        self._is_closing = False
        self.on_show: Callable[[], None] | None = None
        self.boot_url: Callable[[], str] | None = None
        self.on_folder: Callable[[FolderChange], str] | None = None
        self.on_file: Callable[[str], str] | None = None
        self.on_open: Callable[[str], None] | None = None
        threading.Thread(target=self._accept, name="instance", daemon=True).start()
        port = self._socket.getsockname()[1]
        _write_private(self._file, msgspec.json.encode(InstanceFile(os.getpid(), port, self._token)))

    def wait_for_leases(self) -> None:
        """Return when no other process uses this one's backend; new ones are told to wait."""
        with self._changed:
            self._is_closing = True
            self._changed.wait_for(lambda: self._leases == 0)

    def close(self) -> None:
        """Stop answering. The lock is released after this."""
        with self._changed:
            self._is_closing = True
        self._file.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
        self._socket.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            if len(self._connections) >= MOST_CONNECTIONS:
                connection.close()
                continue
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="control", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._converse(connection)
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                logger.debug("a control connection failed: {}", type(error).__name__)
            finally:
                self._connections.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        request = msgspec.json.decode(_read_line(connection), type=Request)
        if not hmac.compare_digest(request.token.encode(), self._token.encode()):
            return  # whoever has no token learns nothing, not even that
        leased = request.action == "boot-url" and self._take_lease()
        try:
            try:
                answer = self._act(request, leased)
            except AppError as error:
                answer = Answer(False, os.getpid(), message=error.message, hint=error.hint)
            connection.sendall(msgspec.json.encode(answer) + b"\n")
            if leased and answer.ok:
                connection.settimeout(None)
                connection.recv(1)  # nothing is ever sent: this returns when the other side is gone
        finally:
            if leased:
                self._return_lease()

    def _act(self, request: Request, leased: bool) -> Answer:
        if request.action == "folder" and request.folder is not None and self.on_folder is not None:
            return Answer(True, os.getpid(), message=self.on_folder(request.folder))
        if request.action == "file" and request.file is not None and self.on_file is not None:
            return Answer(True, os.getpid(), message=self.on_file(request.file))
        if request.action in ("show", "open"):
            if self.on_show is None:
                raise NeedsWindow(
                    f"Deskside is running already, without a window (process {os.getpid()}).",
                    hint="End that one first, then start Deskside again.",
                )
            self.on_show()
            if request.target is not None and self.on_open is not None:
                self.on_open(request.target)
            return Answer(True, os.getpid())
        if not leased or self.boot_url is None:
            raise StoreBusy("Deskside is just starting or closing.", hint="Try again in a moment.")
        return Answer(True, os.getpid(), url=self.boot_url())

    def _take_lease(self) -> bool:
        with self._changed:
            if self._is_closing or self.boot_url is None:
                return False
            self._leases += 1
            return True

    def _return_lease(self) -> None:
        with self._changed:
            self._leases -= 1
            self._changed.notify_all()


@contextmanager
def claim(paths: Paths) -> Iterator[Instance]:
    """Hold the data folder. AlreadyRunning if another process does, StoreReadOnly if it cannot be used."""
    with ExitStack() as stack:
        try:
            paths.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(FileLock(paths.data / "instance.lock", mode=0o600, timeout=0))
            instance = stack.enter_context(closing(Instance(paths.data)))
        except Timeout as error:
            raise AlreadyRunning from error
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise unsuitable(paths.data, errno.errorcode[error.errno]) from error
            raise StoreReadOnly(
                f"The data folder {paths.data} cannot be used: {error.strerror or error}.",
                hint="Let your user write there, free some space, or choose another with --data-dir.",
            ) from error
        yield instance


@contextmanager
def send(
    paths: Paths,
    action: Action,
    folder: FolderChange | None = None,
    file: str | None = None,
    target: str | None = None,
) -> Iterator[Remote]:
    """Ask the instance that holds the folder. A `boot-url` is good while the context is open.

    Raises AlreadyRunning when it cannot be reached (now: it is starting, closing or stuck).
    """
    try:
        found = msgspec.json.decode((paths.data / "instance.json").read_bytes(), type=InstanceFile)
        connection = socket.create_connection(("127.0.0.1", found.port), CONVERSATION_LIMIT_S)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AlreadyRunning from error
    if action in ("show", "open"):
        _let_come_forward(found.pid)
    with connection:
        try:
            connection.sendall(
                msgspec.json.encode(Request(found.token, action, folder, file, target)) + b"\n"
            )
            answer = msgspec.json.decode(_read_line(connection), type=Answer)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AlreadyRunning from error
        yield Remote(answer, connection)


@contextmanager
def claim_or_send(
    paths: Paths,
    action: Action,
    patience_s: float = PATIENCE_S,
    folder: FolderChange | None = None,
    target: str | None = None,
) -> Iterator[Instance | Remote]:
    """Hold the data folder, or have the instance that holds it do `action`, whichever is possible
    first. Raises StoreBusy after `patience_s` of neither."""
    limit = time.monotonic() + patience_s
    while True:
        with suppress(AlreadyRunning), claim(paths) as instance:
            yield instance
            return
        with suppress(AlreadyRunning), send(paths, action, folder, target=target) as remote:
            if remote.answer.ok or action != "boot-url":
                yield remote
                return
        if time.monotonic() > limit:
            raise StoreBusy(f"Another Deskside uses {paths.data}, and it does not answer.")
        time.sleep(RETRY_S)  # the other one is starting or closing; a lock cannot tell us when


def _let_come_forward(pid: int) -> None:
    """Windows lets a process raise its window only if the one allows it that the user has just started."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.AllowSetForegroundWindow(pid)


def _read_line(connection: socket.socket) -> bytes:
    """One line without its end. OSError past LINE_LIMIT_BYTES or CONVERSATION_LIMIT_S."""
    limit = time.monotonic() + CONVERSATION_LIMIT_S
    line = b""
    while not line.endswith(b"\n"):
        remaining_s = limit - time.monotonic()
        if remaining_s <= 0 or len(line) > LINE_LIMIT_BYTES:
            raise OSError("too long or too slow")
        connection.settimeout(remaining_s)
        piece = connection.recv(LINE_LIMIT_BYTES)
        if not piece:
            raise OSError("closed")
        line += piece
    return line


def _write_private(file: Path, content: bytes) -> None:
    """Replace `file`, readable by this user alone from its first byte on."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)
    os.replace(draft, file)
