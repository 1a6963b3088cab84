"""What tests of the way to the web share: a resolver, a way to a server of the test, and sites."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from deskside.backend.tools.web import Limits, Web
from deskside.backend.tools.web_address import is_public
from provider_server import ProviderServer, Reply
from small_internet import Authority

ANY_PORT = frozenset(range(65536))
LOOPBACK = ip_address("127.0.0.1")


class Names:
    """A resolver of a test: what each name leads to, each time it is asked. Keeps what it was asked for."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def near(
    names: Names | None = None, *, trust: ssl.SSLContext | None = None, limits: Limits = Limits()
) -> Web:
    """A way to the web that also leads to a server of the test."""
    return Web(
        resolve=names or Names(["127.0.0.1"]),
        may_reach=lambda number: number == LOOPBACK or is_public(number),
        ports=ANY_PORT,
        trust=trust,
        limits=limits,
    )


def html(text: str, **changes: object) -> Reply:
    return Reply(text.encode(), content_type="text/html; charset=utf-8", **changes)  # type: ignore[arg-type]


def redirect(location: str, status: int = 302) -> Reply:
    return Reply(b"", status, "text/html", {"location": location})


def at(site: ProviderServer, path: str, host: str = "site.example") -> str:
    return f"http://{host}:{site.port}{path}"


@asynccontextmanager
async def tls_site(folder: Path, name: str) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A site with a certificate for `name`: its port, and a context that trusts it."""
    authority = Authority(folder)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nsafe")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=authority.context([name]))
    async with server:
        yield server.sockets[0].getsockname()[1], ssl.create_default_context(cafile=str(authority.file))
