"""Where the browser comes back to after signing in: an address on this machine, for one answer.

RFC 8252, section 7.3: a port that is free, on 127.0.0.1 alone, open for as long as the sign-in takes. Any
page in any browser can ask for it, so what does not carry the `state` of this sign-in is turned away and
changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qsl, urlsplit

PATH = "/signed-in"
LONGEST_REQUEST = 16_384  # bytes
READ_S = 10.0

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Deskside</title>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-store\r\n"
    "Connection: close\r\n"
)


class Redirect:
    """The address, and the answer that arrives there: the query of the redirect, by name."""

    def __init__(self, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}{PATH}"
        self.answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._state = b""

    def expect(self, state: str) -> None:
        """Only an answer with this `state` is one."""
        self._state = state.encode()

    def take(self, target: str) -> tuple[str, str, str]:
        """What a request for `target` is answered with: the status, and a page's title and text."""
        try:
            parts = urlsplit(target)
        except ValueError:
            parts = urlsplit("")
        if parts.path != PATH:
            return "404 Not Found", "There is nothing here", "This address is for signing in alone."
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        is_ours = self._state and secrets.compare_digest(query.get("state", "").encode(), self._state)
        if not is_ours or self.answer.done():
            return "400 Bad Request", "Not taken", "Deskside does not wait for this answer."
        self.answer.set_result(query)
        if "error" in query:
            return "200 OK", "You are not signed in", "You can close this page. Deskside says what happened."
        return "200 OK", "Go back to Deskside", "You can close this page. Deskside does the rest."


@asynccontextmanager
async def listen_for_redirect() -> AsyncIterator[Redirect]:
    """Listen until the block ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
                async with asyncio.timeout(READ_S):
                    head = await _head(reader)
                    method, target, _ = head.split("\r\n", 1)[0].split(" ")
                    status, title, text = redirect.take(target if method == "GET" else "")
                    page = _PAGE.format(title=title, text=text).encode()
                    length = f"Content-Length: {len(page)}\r\n"
                    writer.write(f"HTTP/1.1 {status}\r\n{_HEADERS}{length}\r\n".encode() + page)
                    await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LONGEST_REQUEST)
    redirect = Redirect(server.sockets[0].getsockname()[1])
    try:
        yield redirect
    finally:
        server.close()


async def _head(reader: asyncio.StreamReader) -> str:
    """A request's first lines. Raises ValueError for one that is too long or not ASCII."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.LimitOverrunError as error:
        raise ValueError("too long") from error
