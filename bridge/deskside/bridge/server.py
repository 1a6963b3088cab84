"""The one loopback server: the page's files, its WebSocket, and the same commands over HTTP."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, asgi, get, post
from litestar.exceptions import ClientException
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from deskside.backend.app import App
from deskside.backend.errors import InvalidRequest
from deskside.backend.log import request_id
from deskside.backend.settings import Theme
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import Desktop
from deskside.bridge.guard import Guard
from deskside.bridge.registry import Bridge, Failure, Registry
from deskside.bridge.socket import FRAME_LIMIT_BYTES, PageSocket, read_request_id
from deskside.bridge.timings import Timings

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


class Reply(msgspec.Struct, frozen=True):
    """What `POST /rpc/<command>` answers when it worked."""

    data: msgspec.Raw
    requestId: str
    ok: bool = True


class FailedReply(msgspec.Struct, frozen=True):
    error: Failure
    ok: bool = False


class _AnyText(WebSocketsSansIOProtocol):
    """Hands text on as the bytes it came in: uvicorn would close the socket where they are not UTF-8, and
    our decoder says so and goes on (and reads bytes faster)."""

    def handle_text(self, event: Frame) -> None:
        self.handle_bytes(event)


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


class PlainLitestar(Litestar):
    """Litestar without the plugins it adds by itself: pydantic's alone take 60 ms of the window's start, and
    our handlers take a request and return bytes. Where a newer Litestar asks elsewhere, that time is all
    that is lost."""

    @staticmethod
    def _get_default_plugins(plugins: list[Any]) -> list[Any]:
        return plugins


class Server:
    """Serves one application on 127.0.0.1, on `port` or one the system chooses."""

    def __init__(
        self,
        app: App,
        desktop: Desktop,
        web: Path,
        port: int = 0,
        commands: Iterable[ModuleType] = COMMANDS,
    ) -> None:
        assets = load_assets(web)
        self._socket = _listen(port)
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._guard = Guard(self.host)
        self.origin = self._guard.origin
        self.boot_url = self._guard.boot_url
        self.timings = Timings()
        self._bridge = Bridge(app, Registry(commands), desktop, self.timings)
        self._uvicorn = uvicorn.Server(self._config(assets))
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
        self._uvicorn.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()

    def _config(self, assets: Mapping[str, Asset]) -> uvicorn.Config:
        return uvicorn.Config(
            self._guard.wrap(_routes(self._bridge, assets)),
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


def _routes(bridge: Bridge, assets: Mapping[str, Asset]) -> Litestar:
    @asgi("/bridge", copy_scope=False)
    async def page_socket(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await PageSocket(bridge, scope, receive, send).serve()
        else:
            await send(
                {"type": "http.response.start", "status": 426, "headers": [(b"upgrade", b"websocket")]}
            )
            await send({"type": "http.response.body", "body": b""})

    @post("/rpc/{command:str}", status_code=200)
    async def rpc(request: Request[Any, Any, Any]) -> Response[bytes]:
        command = request.path_params["command"]
        request_id.set(read_request_id(request.headers.get("x-request-id")))
        try:
            body = await request.body()
        except ClientException:
            result: msgspec.Raw | Failure = Failure.of(
                InvalidRequest("The message is too large.", hint="Send it in parts.")
            )
        else:
            result = await bridge.registry.dispatch(bridge, command, body)
        reply = FailedReply(result) if isinstance(result, Failure) else Reply(result, request_id.get())
        return Response(
            msgspec.json.encode(reply), media_type="application/json", headers={"cache-control": "no-store"}
        )

    @get(["/", "/{path:path}"])
    async def asset(request: Request[Any, Any, Any]) -> Response[bytes]:
        path = request.scope["path"]
        found = assets.get("/index.html" if path == "/" else path)
        if path == "/" and found is not None:
            found = _with_theme(found, bridge.app.settings.current.theme)
        if found is None:
            return Response(b"not found", status_code=404, media_type="text/plain")
        headers = {"cache-control": found.cache_control}
        return Response(found.content, media_type=found.media_type, headers=headers)

    return PlainLitestar(
        [page_socket, rpc, asset],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=FRAME_LIMIT_BYTES,
    )
