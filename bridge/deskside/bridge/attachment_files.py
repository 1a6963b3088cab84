"""The content of attachments over HTTP, behind the guard: `POST /attachments/?name=…&conversation=…` takes a
file in, `GET /attachments/ID` gives one back, `GET /attachments/ID/pages/N` page N of a PDF as a picture.

Not over the socket: its frames are JSON, and a file of 100 MB would hold everything else up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from deskside.backend.app import App
from deskside.backend.attachments.attachments import gone
from deskside.backend.errors import AppError, InvalidRequest, NotFound
from deskside.backend.store import attachments

PATH = "/attachments/"
PIECE_BYTES = 1 << 18
# What the window may show by itself. Everything else is a download.
SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}
LARGEST_ID = 2**53 - 1
# Beside the picture of a page: how many there are.
PAGES_HEADER = b"deskside-pages"
# The address of a content has its hash (kinds.ts).
FOR_EVER = (b"cache-control", b"private, max-age=31536000, immutable")


class _Disconnected(Exception):
    """The page went away while it sent a file."""


async def serve(app: App, scope: Any, receive: Any, send: Any) -> None:
    """Answer one request below PATH."""
    try:
        if scope["method"] == "POST" and scope["path"] == PATH:
            await _take_in(app, scope, receive, send)
        elif scope["method"] == "GET":
            name, is_page, number = scope["path"].removeprefix(PATH).partition("/pages/")
            await (_give_page(app, name, number, send) if is_page else _give(app, name, send))
        else:
            raise InvalidRequest(f"{scope['method']} is not possible here")
    except AppError as error:
        status = 404 if isinstance(error, NotFound) else 400
        body = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
        }
        await _respond(send, status, "application/json", msgspec.json.encode({"error": body}))
    except _Disconnected:
        return


async def _take_in(app: App, scope: Any, receive: Any, send: Any) -> None:
    query = parse_qs(scope["query_string"].decode("ascii", "replace"))
    (name,) = query.get("name", [""])[:1]
    (conversation,) = query.get("conversation", [""])[:1]
    conversation_id = None if conversation == "" else _id(conversation)
    row = await app.attachments.receive(conversation_id, name, _body(receive))
    await _respond(send, 200, "application/json", msgspec.json.encode(row))


async def _body(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _give(app: App, name: str, send: Any) -> None:
    attachment = await app.store.read(attachments.get, _id(name))
    path = app.attachments.path_of(attachment)
    if not await asyncio.to_thread(path.is_file):
        raise gone(attachment)
    is_shown = attachment.media_type in SHOWN
    headers = [
        (b"content-type", (attachment.media_type if is_shown else "application/octet-stream").encode()),
        (b"content-length", str(attachment.size_bytes).encode()),
        FOR_EVER,
        (b"content-disposition", b"inline" if is_shown else b"attachment"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _send_file(path, send)


async def _give_page(app: App, name: str, number: str, send: Any) -> None:
    attachment = await app.store.read(attachments.get, _id(name))
    page = await app.attachments.page(attachment, _id(number))
    headers = [FOR_EVER, (PAGES_HEADER, b"%d" % page.pages)]
    await _respond(send, 200, "image/png", page.png, *headers)


async def _send_file(path: Path, send: Any) -> None:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= LARGEST_ID):
        raise NotFound(f"there is no {text[:40]!r}")
    return int(text)


async def _respond(
    send: Any, status: int, media_type: str, body: bytes, *others: tuple[bytes, bytes]
) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body)), *others]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
