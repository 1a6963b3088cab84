"""The one loopback server: the page's files, its WebSocket, and the same commands over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import mimetypes
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from deskside.backend.app import App
from deskside.backend.metrics.timings import Timings
from deskside.backend.theme import Theme
from deskside.bridge import attachment_files, prometheus
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import Desktop
from deskside.bridge.guard import Guard
from deskside.bridge.registry import Bridge, Registry
from deskside.bridge.socket import FRAME_LIMIT_BYTES, PageSocket

# Above our own limit, so that a frame that is too large is answered instead of closing the socket.
WIRE_LIMIT_BYTES = 4 * FRAME_LIMIT_BYTES

# Asked of the system these differ by machine; a badly behaved program can even have changed them.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


class _AnyText(WebSocketsSansIOProtocol):
    """Hands text on as the bytes it came in: uvicorn would close the socket where they are not UTF-8, and
    our decoder says so and goes on (and reads bytes faster)."""

    def handle_text(self, event: Frame) -> None:
        self.handle_bytes(event)


class _Uvicorn(uvicorn.Server):
    """Waits to be ended. uvicorn itself looks ten times a second whether it is to end, which was three
    quarters of what the program took of the processor at rest; and signals are for who runs the program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers that each answer gets; ours have no date to keep right
        await self._ending.wait()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator there
        return nullcontext()


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    cache_control: str


def load_assets(folder: Path) -> dict[str, Asset]:
    """All files of the built page by their URL path. They are few, and held in memory no path from a
    request ever reaches the file system."""
    assets = {}
    for file in folder.rglob("*"):
        if file.is_file():
            kind = MEDIA_TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
            is_hashed = file.parent.name == "assets"  # Vite puts the content's hash in these names
            assets["/" + file.relative_to(folder).as_posix()] = Asset(
                file.read_bytes(),
                kind or "application/octet-stream",
                "public, max-age=31536000, immutable" if is_hashed else "no-cache",
            )
    if "/index.html" not in assets:
        raise FileNotFoundError(f"the page is not built: there is no {folder / 'index.html'}")
    return assets


def _with_theme(page: Asset, theme: Theme) -> Asset:
    """The page with the chosen theme in its first bytes: a script would set it after a white flash."""
    if theme == "system":
        return page  # the style sheet asks the system by itself
    marked = page.content.replace(b"<html ", f'<html data-theme="{theme}" '.encode(), 1)
    return replace(page, content=marked)


class Server:
    """Serves one application on 127.0.0.1, on `port` or one the system chooses. With a `metrics_token` also
    `GET /metrics`, to who sends it."""

    def __init__(
        self,
        app: App,
        desktop: Desktop,
        web: Path,
        port: int = 0,
        commands: Iterable[ModuleType] = COMMANDS,
        metrics_token: str | None = None,
    ) -> None:
        assets = load_assets(web)
        self._socket = _listen(port)
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._guard = Guard(self.host, metrics_token)
        self.origin = self._guard.origin
        self.boot_url = self._guard.boot_url
        self.timings = Timings()
        self._bridge = Bridge(app, Registry(commands), desktop, self.timings)
        self._has_metrics = metrics_token is not None
        self._uvicorn = _Uvicorn(self._config(assets))
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once requests are answered."""
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
        while not self._uvicorn.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Close every socket, and return when all are closed."""
        self._uvicorn.end()
        if self._serving is not None:
            await self._serving
        self._socket.close()

    def _config(self, assets: Mapping[str, Asset]) -> uvicorn.Config:
        return uvicorn.Config(
            self._guard.wrap(_Routes(self._bridge, assets, has_metrics=self._has_metrics)),
            http="httptools",
            ws=_AnyText,
            ws_max_size=WIRE_LIMIT_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )


def _listen(port: int) -> socket.socket:
    # With proto=0 asyncio leaves Nagle's algorithm on and every POST takes 40 ms longer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        # So that a fixed port can be used again at once. (On Windows it would let others take the port.)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


class _Routes:
    """What is behind the guard, as ASGI: the page's files, its socket, and commands over HTTP."""

    def __init__(self, bridge: Bridge, assets: Mapping[str, Asset], *, has_metrics: bool) -> None:
        self._bridge = bridge
        self._has_metrics = has_metrics
        self._assets = assets
        self._commands: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/bridge":
            if scope["type"] == "websocket":
                await PageSocket(self._bridge, scope, receive, send).serve()
            else:
                await _answer(send, 426, [(b"upgrade", b"websocket")])
        elif scope["type"] == "http" and scope["path"].startswith(attachment_files.PATH):
            await attachment_files.serve(self._bridge.app, scope, receive, send)
        elif self._has_metrics and scope["path"] == prometheus.PATH and scope["method"] == "GET":
            await prometheus.serve(self._bridge.app.metrics, self._bridge.timings, send)
        elif scope["type"] == "http" and scope["method"] == "GET":
            await self._send_asset(scope["path"], send)
        else:
            commands = self._commands or await self._load_commands()
            await commands(scope, receive, send)

    async def _send_asset(self, path: str, send: Any) -> None:
        found = self._assets.get("/index.html" if path == "/" else path)
        if found is None:
            await _answer(send, 404, [(b"content-type", b"text/plain")], b"not found")
            return
        if path == "/":
            found = _with_theme(found, self._bridge.app.settings.current.theme)
        headers = [
            (b"content-type", found.media_type.encode()),
            (b"cache-control", found.cache_control.encode()),
        ]
        await _answer(send, 200, headers, found.content)

    async def _load_commands(self) -> Any:
        # The window's page never asks this way (its commands go over the socket), and Litestar takes
        # 120 ms and 20 MB to import. In a thread: replies that stream go on meanwhile.
        module = await asyncio.to_thread(importlib.import_module, "deskside.bridge.http_commands")
        if self._commands is None:  # else another request was faster
            self._commands = module.http_commands(self._bridge)
        return self._commands


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
