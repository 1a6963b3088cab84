"""The lean HTTP client against servers that play bytes: good ones, sloppy ones, and hostile ones.

On both event loops: the program's (uvloop, where there is one) and Python's own.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import httpx2
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deskside.backend.agent import http1
from deskside.backend.agent.http1 import Head, Origin, Pool, Response, head_of
from deskside.backend.network import dialing
from deskside.backend.network.dialing import dial

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

REQUEST = b"POST /v1/ask HTTP/1.1\r\nhost: peer\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = CHUNKED + b"6\r\nHello \r\n5\r\nworld\r\n0\r\n\r\n"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run[Any]]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@dataclass
class Play:
    """How one request is answered: these pieces, each in a write of its own, and then."""

    pieces: Sequence[bytes]
    then: Literal["keep", "close", "reset", "hang"] = "keep"


@dataclass
class Peer:
    """`async with Peer(plays) as peer:` — answers each request with the next play, on whatever connection."""

    plays: list[Play]
    tls: ssl.SSLContext | None = None
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    sent_bytes: int = 0

    async def __aenter__(self) -> Self:
        self.gone = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.pool = Pool(context)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pool.close()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def head(self) -> Head:
        return Head(Origin(self.tls is not None, "127.0.0.1", self.port), REQUEST)

    async def ask(self, body: bytes = b"{}") -> Response:
        return await self.pool.send(self.head, body, 5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while self.plays:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                if not await self._answer(self.plays.pop(0), reader, writer):
                    return
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            self.gone.set()
            writer.close()

    async def _answer(self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for piece in play.pieces:
            writer.write(piece)
            await writer.drain()
            self.sent_bytes += len(piece)
            await asyncio.sleep(0)
        if play.then == "hang":
            await reader.read()
        if play.then == "reset":
            linger_not = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
            writer.transport.abort()
        return play.then == "keep"


async def whole(response: Response) -> bytes:
    return b"".join([piece async for piece in response.aiter_bytes()])


async def until_broken(response: Response) -> tuple[bytes, Exception]:
    """What came before an answer broke off, and how it did."""
    pieces = []
    try:
        async for piece in response.aiter_bytes():
            pieces.append(piece)
    except httpx2.RequestError as error:
        return b"".join(pieces), error
    pytest.fail("the answer came to its end")


def played(plays: list[Play], scenario: Callable[[Peer], Awaitable[T]]) -> Coroutine[Any, Any, T]:
    """A scenario with a peer around it."""

    async def play() -> T:
        async with Peer(plays) as peer, asyncio.timeout(20):
            return await scenario(peer)

    return play()


async def _read(peer: Peer) -> bytes:
    return await whole(await peer.ask())


# -- answers as they should be -------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        HELLO,
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello world",
        b"HTTP/1.1 200\r\ncontent-length: 11\r\n\r\nHello world",
        b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + HELLO,
        CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 99\r\n\r\n") + HELLO.removeprefix(CHUNKED),
        b"HTTP/1.1 200 OK\ncontent-length: 11\n\nHello world",
        CHUNKED + b"6;name=value\r\nHello \r\n5\r\nworld\r\n0\r\ntrailer: yes\r\n\r\n",
    ],
    ids=["chunks", "length", "no reason", "continue", "both lengths", "bare line feeds", "trailer"],
)
@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
def test_an_answer_reads_the_same_however_it_is_cut(run: Run[bytes], answer: bytes, piece_bytes: int) -> None:
    pieces = [answer[start : start + piece_bytes] for start in range(0, len(answer), piece_bytes)]

    said = run(played([Play(pieces, "hang")], _read))

    assert b"Hello world" == said


def test_an_answer_without_a_length_ends_with_its_connection(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> tuple[bytes, bytes, int]:
        return await _read(peer), await _read(peer), peer.connections

    old = Play([b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\n", b"Hello ", b"world"], "close")

    assert (b"Hello world", b"Hello world", 2) == run(played([old, old], scenario))


def test_what_is_asked_arrives_with_its_length(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> list[bytes]:
        await whole(await peer.ask(b"x" * 1_000_000))
        return peer.requests

    (request,) = run(played([Play([HELLO])], scenario))

    assert REQUEST + b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000 == request


def test_names_of_headers_are_in_small_letters_and_repeated_ones_are_joined(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> dict[str, str]:
        return (await peer.ask()).headers

    head = b"HTTP/1.1 429 No\r\nRetry-After: 3\r\nX: \xe9\r\nx: b\r\nContent-Length: 0\r\n\r\n"

    assert {"retry-after": "3", "x": "é, b", "content-length": "0"} == run(played([Play([head])], scenario))


def test_requests_one_after_the_other_share_a_connection(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        for _ in range(5):
            assert b"Hello world" == await _read(peer)
        return peer.connections

    assert 1 == run(played([Play([HELLO])] * 5, scenario))


def test_requests_at_once_have_a_connection_each(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> tuple[list[bytes], int]:
        return await asyncio.gather(*(_read(peer) for _ in range(30))), peer.connections

    said, connections = run(played([Play([HELLO])] * 30, scenario))

    assert [b"Hello world"] * 30 == said
    assert 30 == connections


def test_only_so_many_connections_are_kept(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        await asyncio.gather(*(_read(peer) for _ in range(30)))
        await asyncio.gather(*(_read(peer) for _ in range(30)))
        return peer.connections

    assert 60 - http1.KEPT_CONNECTIONS == run(played([Play([HELLO])] * 60, scenario))


def test_a_connection_is_not_kept_for_ever(run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "KEPT_FOR_S", 0.0)

    async def scenario(peer: Peer) -> int:
        await _read(peer)
        await _read(peer)
        return peer.connections

    assert 2 == run(played([Play([HELLO])] * 2, scenario))


# -- packed answers, which nobody asked for ------------------------------------------------------


def packed(packing: bytes, body: bytes) -> Play:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (packing, len(body))
    return Play([head, *(body[start : start + 100] for start in range(0, len(body), 100))])


@pytest.mark.parametrize(
    "play",
    [packed(b"gzip", gzip.compress(b"Hello " * 500)), packed(b"Deflate", zlib.compress(b"Hello " * 500))],
    ids=["gzip", "deflate"],
)
def test_a_packed_answer_is_unpacked(run: Run[bytes], play: Play) -> None:
    assert b"Hello " * 500 == run(played([play], _read))


def test_a_small_body_that_unpacks_to_very_much_comes_in_bounded_pieces(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> list[int]:
        return [len(piece) async for piece in (await peer.ask()).aiter_bytes()]

    sizes = run(played([packed(b"gzip", gzip.compress(bytes(50_000_000)))], scenario))

    assert 50_000_000 == sum(sizes)
    assert http1.UNPACKED_BYTES >= max(sizes)


@pytest.mark.parametrize("play", [packed(b"br", b"\x0b\x02"), packed(b"gzip", b"not gzip at all")])
def test_what_cannot_be_unpacked_is_said_so(run: Run[Any], play: Play) -> None:
    _, error = run(played([play], _broken))

    assert isinstance(error, httpx2.DecodingError)


async def _broken(peer: Peer) -> tuple[bytes, Exception]:
    return await until_broken(await peer.ask())


# -- answers that break off ----------------------------------------------------------------------


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"6\r\nHello \r\n",
        CHUNKED + b"6\r\nHello \r\n0\r\n",
        CHUNKED + b"6\r\nHello \r\n5\r\nwo",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nHello ",
    ],
    ids=["between chunks", "before the last line", "within a chunk", "before its length"],
)
def test_a_cut_answer_is_never_complete(
    run: Run[Any], answer: bytes, then: Literal["close", "reset"]
) -> None:
    said, error = run(played([Play([answer], then)], _broken))

    assert isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError)
    # A reset may overtake what was sent before it.
    assert said.startswith(b"Hello ") or then == "reset"


def test_a_reset_is_no_end_of_an_answer_without_a_length(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> Exception:
        try:
            return (await _broken(peer))[1]
        except httpx2.RequestError as error:  # the reset overtook the head
            return error

    error = run(played([Play([b"HTTP/1.1 200 OK\r\n\r\nHello"], "reset")], scenario))

    assert isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (http1.HEAD_LIMIT_BYTES + 70_000),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    ],
    ids=["ssh", "status", "upgrade", "two lengths", "name", "endless head", "endless continue"],
)
def test_what_is_no_answer_is_refused(run: Run[Any], answer: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            await peer.ask()
        await peer.gone.wait()

    run(played([Play([answer], "hang")], scenario))


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nHello\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"2\r\nHello\r\n"]
)
def test_chunks_that_are_none_are_refused(run: Run[Any], chunk: bytes) -> None:
    said, error = run(played([Play([CHUNKED + b"1\r\n.\r\n", chunk], "hang")], _broken))

    assert isinstance(error, httpx2.RemoteProtocolError)
    assert b"Hello" not in said


def test_a_large_head_is_read(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        return len((await peer.ask()).headers["x"])

    head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: " + b"y" * 90_000 + b"\r\n\r\n"

    assert 90_000 == run(played([Play([head])], scenario))


# -- connections that were kept ------------------------------------------------------------------


def test_a_kept_connection_that_closes_under_a_request_is_replaced(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> tuple[bytes, int, int]:
        await _read(peer)
        return await _read(peer), len(peer.requests), peer.connections

    plays = [Play([HELLO]), Play([], "reset"), Play([HELLO])]

    assert (b"Hello world", 3, 2) == run(played(plays, scenario))


def test_a_request_whose_answer_had_begun_is_not_sent_again(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        await _read(peer)
        with pytest.raises(httpx2.RemoteProtocolError):
            await peer.ask()
        return len(peer.requests)

    assert 2 == run(played([Play([HELLO]), Play([b"HTTP/1.1 2"], "close"), Play([HELLO])], scenario))


def test_a_new_connection_that_closes_is_not_tried_again(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        with pytest.raises(httpx2.RemoteProtocolError):
            await peer.ask()
        return peer.connections

    assert 1 == run(played([Play([], "close"), Play([HELLO])], scenario))


@pytest.mark.parametrize("extra", [b"!", b"HTTP/1.1 408 Too late\r\n", HELLO], ids=["byte", "head", "answer"])
@pytest.mark.parametrize("is_late", [False, True])
def test_what_nobody_asked_for_ends_the_connection(run: Run[Any], extra: bytes, is_late: bool) -> None:
    async def scenario(peer: Peer) -> tuple[bytes, bytes, int]:
        first = await _read(peer)
        await peer.gone.wait()
        return first, await _read(peer), peer.connections

    pieces = [HELLO, extra] if is_late else [HELLO + extra]

    assert (b"Hello world", b"Hello world", 2) == run(played([Play(pieces, "hang"), Play([HELLO])], scenario))


def test_a_server_that_says_close_is_believed(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        await _read(peer)
        await _read(peer)
        return peer.connections

    closing = HELLO.replace(b"chunked\r\n", b"chunked\r\nConnection: close\r\n")

    assert 2 == run(played([Play([closing]), Play([HELLO])], scenario))


# -- stopping ------------------------------------------------------------------------------------


def test_an_answer_that_is_given_up_closes_its_connection_at_once(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> None:
        response = await peer.ask()
        await anext(response.aiter_bytes())
        await response.aclose()
        await peer.gone.wait()

    run(played([Play([CHUNKED + b"1\r\nx\r\n"], "hang")], scenario))


def test_waiting_that_is_cancelled_closes_the_connection_at_once(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> None:
        asking = asyncio.create_task(peer.ask())
        while not peer.requests:
            await asyncio.sleep(0)
        asking.cancel()
        await peer.gone.wait()

    run(played([Play([], "hang")], scenario))


def test_closing_an_answer_that_was_read_keeps_its_connection(run: Run[Any]) -> None:
    async def scenario(peer: Peer) -> int:
        for _ in range(2):
            response = await peer.ask()
            await whole(response)
            await response.aclose()
        return peer.connections

    assert 1 == run(played([Play([HELLO])] * 2, scenario))


def test_an_answer_that_nobody_reads_does_not_fill_the_memory(run: Run[Any]) -> None:
    piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"

    async def scenario(peer: Peer) -> tuple[int, int]:
        response = await peer.ask()
        sent = -1
        while sent != peer.sent_bytes:  # until the peer cannot send more
            sent = peer.sent_bytes
            await asyncio.sleep(0.1)  # what it could send goes through the system's buffers
        return sent, len(await whole(response))

    sent, read = run(played([Play([CHUNKED, *[piece] * 64, b"0\r\n\r\n"])], scenario))

    assert 64 * 0x100000 == read
    assert sent < 32 * 0x100000


# -- connecting ----------------------------------------------------------------------------------


def test_nobody_there_is_a_connect_error(run: Run[Any]) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        pool = Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        with pytest.raises(httpx2.ConnectError):
            await pool.send(Head(Origin(False, "127.0.0.1", port), REQUEST), b"", 5)

    run(scenario())


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "not known"), UnicodeError("label too long")])
def test_a_name_that_cannot_be_looked_up_is_a_connect_error(
    run: Run[Any], failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async def getaddrinfo(*_: object, **__: object) -> object:
            raise failure

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        with pytest.raises(httpx2.ConnectError):
            await Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).send(
                Head(Origin(False, "nobody.test", 80), REQUEST), b"", 5
            )

    run(scenario())


def test_a_handshake_that_never_comes_is_a_time_out(run: Run[Any]) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            pool = Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            head = Head(Origin(True, "127.0.0.1", silent.getsockname()[1]), REQUEST)
            with pytest.raises(httpx2.ConnectTimeout):
                await pool.send(head, b"", 0.1)

    run(scenario())


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_next_address_is_tried(run: Run[Any], first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = dialing._connected

    async def connected(family: int, address: Sequence[object]) -> socket.socket:
        if address[0] == "::1":
            if first == "is silent":
                await asyncio.Event().wait()
            raise ConnectionRefusedError
        return await connect(family, address)

    async def scenario(peer: Peer) -> object:
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", peer.port, 0, 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", peer.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port)),
        ]

        look_up = asyncio.get_running_loop().getaddrinfo

        async def getaddrinfo(host: str, port: int, **options: Any) -> object:
            return found if host == "both.test" else await look_up(host, port, **options)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        with await dial("both.test", peer.port) as connected:
            return connected.getpeername()[0]

    monkeypatch.setattr(dialing, "_connected", connected)
    monkeypatch.setattr(dialing, "HEAD_START_S", 0.01)

    assert "127.0.0.1" == run(played([Play([HELLO])], scenario))


# -- TLS -----------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for `name` that signs itself, and the file to trust it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternative: x509.GeneralName = x509.DNSName(name)
    if name[0].isdigit():
        alternative = x509.IPAddress(ip_address(name))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, chain


def test_an_answer_comes_over_tls_and_its_connection_is_kept(run: Run[Any], tmp_path: Path) -> None:
    server, trusted = certificate(tmp_path, "127.0.0.1")

    async def scenario() -> tuple[bytes, bytes, int]:
        async with Peer([Play([HELLO]), Play([HELLO])], server) as peer, asyncio.timeout(20):
            peer.pool = Pool(ssl.create_default_context(cafile=trusted))
            return await _read(peer), await _read(peer), peer.connections

    assert (b"Hello world", b"Hello world", 1) == run(scenario())


def test_stopping_closes_a_tls_connection_at_once(run: Run[Any], tmp_path: Path) -> None:
    server, trusted = certificate(tmp_path, "127.0.0.1")

    async def scenario() -> None:
        async with Peer([Play([CHUNKED], "hang")], server) as peer, asyncio.timeout(20):
            peer.pool = Pool(ssl.create_default_context(cafile=trusted))
            await (await peer.ask()).aclose()
            await peer.gone.wait()

    run(scenario())


@pytest.mark.parametrize("is_trusted", [False, True])
def test_a_server_that_cannot_prove_its_name_is_not_sent_anything(
    run: Run[Any], tmp_path: Path, is_trusted: bool
) -> None:
    server, trusted = certificate(tmp_path, "somebody.else.test" if is_trusted else "127.0.0.1")

    async def scenario() -> list[bytes]:
        async with Peer([Play([HELLO])], server) as peer, asyncio.timeout(20):
            peer.pool = Pool(ssl.create_default_context(cafile=trusted if is_trusted else None))
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await peer.ask()
            return peer.requests

    assert [] == run(scenario())


# -- how a request begins ------------------------------------------------------------------------


def test_a_request_begins_as_httpx2_would_begin_it() -> None:
    request = httpx2.Request(
        "POST", "https://Müller.test:8443/v1/a?b=c d", headers={"X-Key": "s", "Accept-Encoding": "gzip"}
    )

    head = head_of(request)

    assert head is not None
    assert Origin(True, "xn--mller-kva.test", 8443) == head.origin
    assert head.lines.startswith(b"POST /v1/a?b=c%20d HTTP/1.1\r\n")
    assert b"X-Key: s\r\n" in head.lines
    assert b"Accept-Encoding: identity\r\n" in head.lines
    assert b"ength" not in head.lines


def test_what_a_head_holds_is_not_shown() -> None:
    head = head_of(httpx2.Request("POST", "http://peer.test/", headers={"Authorization": "Bearer sk-1"}))

    assert "sk-1" not in repr(head)


@pytest.mark.parametrize(
    "request_",
    [
        httpx2.Request("POST", "http+unix://peer.test/"),
        httpx2.Request("POST", "http://peer.test/", headers={"x": "a\r\nhost: evil.test"}),
        httpx2.Request("POST", "http://peer.test/", headers={"x": "a\nb"}),
    ],
    ids=["scheme", "header", "line feed"],
)
def test_what_is_unusual_is_left_to_httpx2(request_: httpx2.Request) -> None:
    assert head_of(request_) is None


def test_an_address_of_ipv6_loses_its_brackets() -> None:
    head = head_of(httpx2.Request("POST", "http://[::1]:8080/"))

    assert head is not None
    assert Origin(False, "::1", 8080) == head.origin
