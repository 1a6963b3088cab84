"""The backend thread: one asyncio loop that everything but the window lives on."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deskside.backend.agent.events import Model
from deskside.backend.app import App, open_app
from deskside.backend.paths import Paths
from deskside.bridge.desktop import Desktop
from deskside.bridge.server import Server

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A backend that answers. All of it may be used from any thread but the backend's own."""

    origin: str
    host: str
    boot_url: Callable[[], str]
    app: App
    loop: asyncio.AbstractEventLoop

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the backend's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)


@contextmanager
def run_backend(
    paths: Paths,
    desktop: Desktop,
    web: Path,
    port: int = 0,
    models: Mapping[str, Model] | None = None,
    metrics_token: str | None = None,
    *,
    or_read: bool = False,
    is_offline: bool = False,
) -> Iterator[Running]:
    """Open the application and serve it from a thread of its own; close both on the way out. With a
    `metrics_token` also `GET /metrics`. `or_read`: a store that cannot be opened for writing is shown as far
    as it can be read.

    Raises what opening raised: an `AppError` when the store cannot be opened, OSError when the port is
    taken, FileNotFoundError when the page was not built.
    """
    opened: Future[Running] = Future()
    closing = asyncio.Event()

    async def serve() -> None:
        async with open_app(paths, models, or_read=or_read, is_offline=is_offline) as app:
            server = Server(app, desktop, web, port, metrics_token=metrics_token)
            await server.start()
            try:
                loop = asyncio.get_running_loop()
                opened.set_result(Running(server.origin, server.host, server.boot_url, app, loop))
                await closing.wait()
            finally:
                await server.stop()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(serve())
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
                return
            raise  # nobody waits for this thread's outcome: it is reported as what nobody caught (crashes.py)

    def end(opened: Future[Running]) -> None:
        if opened.exception() is None:
            with suppress(RuntimeError):  # its loop is closed: it ended by itself, with a fault
                opened.result().loop.call_soon_threadsafe(closing.set)

    thread = threading.Thread(target=run, name="backend")
    try:
        thread.start()
        yield opened.result()
    finally:
        # Wherever Ctrl-C struck, what is open, or opens all the same, must end, or it would run for ever.
        opened.add_done_callback(end)
        if thread.is_alive():
            thread.join()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
