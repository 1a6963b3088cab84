"""Running Deskside: with its window, without one, or for one command from the terminal.

Whichever comes first for a data folder opens it; all others use that one's backend.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn, cast

from loguru import logger

from deskside.backend.crashes import reporting
from deskside.backend.errors import AppError, Conflict, InvalidRequest, NeedsWindow, StoreReadOnly
from deskside.backend.log import Level, open_log
from deskside.backend.paths import Paths
from deskside.backend.python_children import IS_EMBEDDED
from deskside.shell.instance import Action, FolderChange, Instance, Remote, claim, claim_or_send, send
from deskside.shell.paths import web_folder

if TYPE_CHECKING:
    from deskside.bridge.desktop import Desktop
    from deskside.bridge.thread import Running
    from deskside.shell.client import Client
    from deskside.shell.window import AppWindow

OFFLINE = "DESKSIDE_OFFLINE"  # what --offline sets; for this start, and for those that it leads to
FOLDER_LIMIT_S = 4.0  # the other side of the control socket waits 5


def open_window(paths: Paths, level: str, target: str | None = None) -> int:
    """Show the window until it is closed, or raise the one that is there already. Where the user wants that,
    the program then starts again and this does not return. `target` is a link or a whole path that the window
    shows for a look (backend/proposals.py).

    Whoever starts a window may not look at a terminal, so what goes wrong is shown in a dialog too.
    """
    wants_restart = is_claimed = False
    try:
        try:
            action: Action = "show" if target is None else "open"
            with claim_or_send(paths, action, target=target) as found:
                if isinstance(found, Instance):
                    with _log(paths, level, to_stderr=True):
                        is_claimed = True
                        wants_restart = _show(found, paths, paths.data, target)
                elif not found.answer.ok:
                    raise NeedsWindow(found.answer.message, hint=found.answer.hint)
                elif _wants_offline():
                    raise _too_late()
        except StoreReadOnly as error:
            if is_claimed or not paths.database.exists():
                raise
            wants_restart = _show_for_reading(paths, level, error)
    except Exception as error:
        from deskside.shell.message_box import show_error

        if isinstance(error, AppError):
            show_error(error.message, error.hint)
        else:
            show_error(f"Deskside has a fault ({type(error).__name__}).", f"Details are in {paths.logs}.")
        raise
    if wants_restart:
        _start_again()
    return 0


def _start_again() -> NoReturn:
    """Become the same program with the same arguments, now that nothing of this one is open."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    if sys.platform == "win32":
        # Its `exec` starts another process too, and takes arguments with a blank apart (bpo-436259).
        subprocess.Popen(command)
        sys.exit()
    _leave_nothing_open()
    os.execv(sys.executable, command)


def _leave_nothing_open() -> None:
    """The web engine leaves sockets behind that a program which takes its place would inherit."""
    folder = Path("/dev/fd")
    for name in os.listdir(folder) if folder.exists() else []:
        with suppress(OSError):  # the one that listed them
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def _show_for_reading(paths: Paths, level: str, trouble: StoreReadOnly) -> bool:
    """The window on a data folder that takes neither our lock nor our log: both are elsewhere for as long as
    it is shown. Raises `trouble` where nothing can be kept anywhere."""
    try:
        scratch = TemporaryDirectory(prefix="deskside-", ignore_cleanup_errors=True)
    except OSError:
        raise trouble from None
    with scratch as name:
        elsewhere = Paths(Path(name) / "data", Path(name) / "logs", Path(name) / "cache")
        with claim(elsewhere) as instance, _log(elsewhere, level, to_stderr=True):
            return _show(instance, paths, elsewhere.data)


def _show(instance: Instance, paths: Paths, state: Path, target: str | None = None) -> bool:
    """Returns whether the program is to be started again. `state` is where the window's size is kept."""
    # Until the page can be loaded nothing becomes garbage; looking for it took 100 of 620 ms of importing.
    gc.disable()
    try:
        return _show_until_closed(instance, paths, state, target)
    finally:
        gc.enable()


def _show_until_closed(instance: Instance, paths: Paths, state: Path, target: str | None) -> bool:
    from deskside.shell.autostart import autostart, this_program
    from deskside.shell.desktop import WindowDesktop
    from deskside.shell.engine import load_engine
    from deskside.shell.presence import attend
    from deskside.shell.signals import closing_on_signals
    from deskside.shell.window import AppWindow, Opening

    data_dir = None if paths.pointer is not None else str(paths.data)
    command = this_program(sys.orig_argv, sys.executable, data_dir, is_embedded=IS_EMBEDDED)
    # A Flatpak has no way into the folder of what starts at login.
    can_start_at_login = "FLATPAK_ID" not in os.environ
    desktop = WindowDesktop(autostart(command, Path.home()) if can_start_at_login else None)

    def open_backend() -> AbstractContextManager[Running]:
        from deskside.bridge.thread import run_backend

        return run_backend(paths, desktop, web_folder(), or_read=True, is_offline=_wants_offline())

    def offer(running: Future[Running]) -> None:
        gc.freeze()  # what was imported stays: later collections, which hold up everything, leave it out
        gc.enable()
        if running.exception() is None:
            _offer(instance, running.result())

    # The engine first: it must not be loaded while the backend's thread imports.
    engine = load_engine(os.environ)
    window = AppWindow(engine, state / "window.json", desktop, attend)
    with closing_on_signals(window.close) as take_signals, Opening(open_backend) as opening:
        instance.on_show = window.bring_forward
        instance.on_open = partial(_propose, opening.running)
        opening.running.add_done_callback(offer)
        if target is not None:
            _propose(opening.running, target)
        engine.watch_opened(partial(_opened, window, opening.running))
        engine.watch_end(opening.close)
        window.show(opening.running, take_signals)
        instance.on_show = instance.on_open = None
        instance.boot_url = instance.on_folder = instance.on_file = None
    return desktop.wants_restart


def _opened(window: AppWindow, opening: Future[Running], address: str) -> None:
    """The system handed it to the running program. Any thread."""
    from deskside.shell.open_target import target_of  # stands on the backend, imported beside the window

    window.bring_forward()
    try:
        _propose(opening, target_of(address))
    except InvalidRequest as refusal:
        _with_backend(opening, partial(_refuse, refusal))


def _propose(opening: Future[Running], target: str) -> None:
    """Once there is a backend. Any thread."""
    _with_backend(opening, lambda running: running.call(running.app.proposals.open(target)))


def _refuse(refusal: AppError, running: Running) -> None:
    running.call(running.app.proposals.refuse(refusal))


def _with_backend(opening: Future[Running], use: Callable[[Running], object]) -> None:
    def opened(done: Future[Running]) -> None:
        if done.exception() is None:
            use(done.result())

    opening.add_done_callback(opened)


def serve(paths: Paths, level: str, port: int, *, with_metrics: bool = False) -> int:
    """Run without a window until SIGINT or SIGTERM. Prints {"url", "pid"} once it answers, `with_metrics`
    also {"metrics_url", "metrics_token_file"}, for Prometheus.

    Where another Deskside holds the data folder, the URL is that one's, and it is kept from closing
    behind our back only if it was started for one command.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with claim_or_send(paths, "boot-url") as found:
        if isinstance(found, Remote):
            if with_metrics:
                raise Conflict(
                    f"Deskside runs already (process {found.answer.pid}), so --metrics has no effect.",
                    hint="Close it and start this one again, or choose another folder with --data-dir.",
                )
            if _wants_offline():
                raise _too_late()
            _announce(found.answer.url, found.answer.pid)
            found.when_gone(stop.set)
            _wait(stop)
            return 0
        with _log(paths, level, to_stderr=True), _backend(paths, port, with_metrics=with_metrics) as running:
            _offer(found, running)
            more = {}
            if with_metrics:
                more["metrics_url"] = f"{running.origin}/metrics"
                more["metrics_token_file"] = str(paths.metrics_token)
            _announce(running.boot_url(), os.getpid(), **more)
            _wait(stop)
            found.boot_url = found.on_folder = found.on_file = None
    return 0


@contextmanager
def session(paths: Paths, level: str, desktop: Desktop | None = None) -> Iterator[Client]:
    """A client of the running Deskside, or of one that is opened here for as long as it is needed; that one
    asks its questions through `desktop`."""
    from deskside.shell.client import Client

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: in order
    with claim_or_send(paths, "boot-url") as found:
        if isinstance(found, Remote):
            with Client(found.answer.url) as client:
                client.is_of_another = True
                if _wants_offline() and not client.call("settings.get")["is_offline"]:
                    raise _too_late()
                yield client
            return
        with _log(paths, level), _backend(paths, desktop=desktop) as running:
            _offer(found, running)
            try:
                with Client(running.boot_url()) as client:
                    yield client
            finally:
                found.wait_for_leases()


def change_folder(paths: Paths, level: str, change: FolderChange) -> str:
    """Grant a folder or take it back, in the running Deskside or by ourselves. Returns what is so now.

    Raises what the change raises. It goes over the control socket, which no page can reach.
    """
    from deskside.shell.client import Refused

    with claim_or_send(paths, "folder", folder=change) as found:
        if isinstance(found, Remote):
            if not found.answer.ok:
                raise Refused(found.answer.message, hint=found.answer.hint)
            return found.answer.message
        with _log(paths, level), _backend(paths) as running:
            return _folder_changed(running, change)


def _folder_changed(running: Running, change: FolderChange) -> str:
    folders = running.app.folders
    if change.is_removed:
        running.call(folders.remove(change.path)).result(FOLDER_LIMIT_S)
        return f"The assistant may no longer use {change.path}."
    running.call(folders.grant(change.path, change.can_write)).result(FOLDER_LIMIT_S)
    return f"The assistant may {'read and change' if change.can_write else 'read'} files in {change.path}."


def offer_file(paths: Paths, path: Path) -> str:
    """Tell the backend of this session, ours or another's, of a file; returns the word for it."""
    from deskside.shell.client import Refused

    with send(paths, "file", file=str(path)) as remote:
        if not remote.answer.ok:
            raise Refused(remote.answer.message, hint=remote.answer.hint)
        return remote.answer.message


def _file_offered(running: Running, path: str) -> str:
    return running.app.transfers.offer(Path(path))


def _offer(instance: Instance, running: Running) -> None:
    """Let other processes of this user use the backend."""
    instance.boot_url = running.boot_url
    instance.on_folder = partial(_folder_changed, running)
    instance.on_file = partial(_file_offered, running)


@contextmanager
def _log(paths: Paths, level: str, *, to_stderr: bool = False) -> Iterator[None]:
    """The log, open, and what nobody catches in it; what ends the block unexpectedly is its last line, and
    told at the next start. StoreReadOnly if it cannot be."""
    with ExitStack() as stack:
        try:
            stack.enter_context(open_log(paths.logs, cast(Level, level), to_stderr=to_stderr))
        except OSError as error:
            raise StoreReadOnly(
                f"The log cannot be written to {paths.logs}: {error.strerror or error}.",
                hint="Let your user write there, free some space, or choose another folder with --data-dir.",
            ) from error
        try:
            with reporting(paths.crashes):
                yield
        except AppError:
            raise
        except Exception:
            logger.exception("ended with a fault")
            raise


@contextmanager
def _backend(
    paths: Paths, port: int = 0, desktop: Desktop | None = None, *, with_metrics: bool = False
) -> Iterator[Running]:
    from deskside.bridge.desktop import NoDesktop
    from deskside.bridge.thread import run_backend

    token = _metrics_token(paths) if with_metrics else None
    with ExitStack() as stack:
        try:
            opening = run_backend(
                paths,
                desktop or NoDesktop(),
                web_folder(),
                port,
                metrics_token=token,
                is_offline=_wants_offline(),
            )
            running = stack.enter_context(opening)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Conflict(
                f"Port {port} is in use by another program.", hint="Choose another, or leave --port out."
            ) from error
        yield running


def _metrics_token(paths: Paths) -> str:
    from deskside.bridge.prometheus import kept_token

    try:
        return kept_token(paths.metrics_token)
    except OSError as error:
        raise StoreReadOnly(
            f"The token of /metrics cannot be kept in {paths.metrics_token}: {error.strerror or error}.",
            hint="Let your user read and write that file, or start without --metrics.",
        ) from error


def _wants_offline() -> bool:
    return os.environ.get(OFFLINE, "") not in ("", "0")


def _too_late() -> Conflict:
    return Conflict(
        "Deskside is running already, and --offline holds for one that it starts.",
        hint="Go offline in its window, in Settings under Network.",
    )


def _announce(url: str, pid: int, **more: str) -> None:
    print(json.dumps({"url": url, "pid": pid, **more}), flush=True)


def _wait(stop: threading.Event) -> None:
    while not stop.wait(1.0):  # with a limit, so that Ctrl-C is seen on Windows too
        pass
