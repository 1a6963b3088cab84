"""A page's side of the bridge, for tests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import websockets

from deskside.backend.event_buffer import EventBuffer
from deskside.backend.store.database import Store
from deskside.bridge.server import Server


@dataclass
class Page:
    """What a page does: one HTTP client with the session's cookie, and sockets."""

    server: Server
    http: httpx2.AsyncClient
    events: EventBuffer
    store: Store
    app: Any

    async def rpc(self, command: str, body: bytes | str = b"", **headers: str) -> dict[str, Any]:
        content = body.encode() if isinstance(body, str) else body
        answer = await self.http.post(
            f"/rpc/{command}", content=content, headers={"origin": self.server.origin, **headers}
        )
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    def socket(self, query: str = "", **headers: str) -> Any:
        return websockets.connect(
            f"ws://{self.server.host}/bridge{query}",
            origin=cast(Any, headers.pop("origin", self.server.origin)),
            additional_headers={"cookie": self.cookie(), **headers},
            max_size=2**26,
            compression=None,
            proxy=None,
        )


async def reply(socket: Any, call_id: int | None) -> dict[str, Any]:
    """The next frame that answers this call; events and the greeting are passed over."""
    async with asyncio.timeout(30):
        while True:
            frame = json.loads(await socket.recv())
            if frame["t"] in ("ok", "err", "next", "done") and frame.get("id") == call_id:
                return cast(dict[str, Any], frame)
