"""A small internet on this machine: sites under their real names, with certificates of its own authority.

Programs reach it as they would from a company: through its proxy, which they find in HTTPS_PROXY, and by
trusting its authority, whose certificate SSL_CERT_FILE names. Nothing of the program is replaced.

Each site is a `ProviderServer`: routes, replies and what was asked are as there.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provider_server import ProviderServer

TLS_PORTS = (443, 8443)


class Authority:
    """Somebody who signs certificates. `file` is what to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of the tests")])
        builder = self._builder(self._name, self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        root = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def context(self, names: Iterable[str]) -> ssl.SSLContext:
        """What a server needs to be these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = list(names)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        chain = self._folder / f"{names[0]}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )


class SmallInternet:
    """`sites` by name. The proxy notes each request's head in `heads` and answers it with `status`: 200 is a
    tunnel to the site, whichever number was asked for; 0 hangs up; None says nothing."""

    def __init__(self, folder: Path, names: Iterable[str], *, has_tls_proxy: bool = False) -> None:
        self.authority = Authority(folder)
        self.sites = {name: ProviderServer() for name in names}
        self.heads: list[str] = []
        self.status: int | None = 200
        self._tls = self.authority.context([*self.sites, "localhost"])
        self._proxy_tls = self._tls if has_tls_proxy else None
        self._ready = threading.Event()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._proxy_port = 0

    def proxy_url(self, login: str = "") -> str:
        at = f"{login}@" if login else ""
        if self._proxy_tls:
            return f"https://{at}localhost:{self._proxy_port}"
        return f"http://{at}127.0.0.1:{self._proxy_port}"

    @property
    def targets(self) -> list[str]:
        """What the proxy was asked for: "93.184.216.34:443"."""
        return [head.split(" ")[1] for head in self.heads]

    def listen(self, address: str) -> None:
        """Be all sites on an address of this machine, too, without a proxy."""
        asyncio.run_coroutine_threadsafe(self._listen(address), self._loop).result(10)

    def __enter__(self) -> Self:
        for site in self.sites.values():
            site.__enter__()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        for site in self.sites.values():
            site.__exit__(kind, error, trace)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._proxied, "127.0.0.1", 0, ssl=self._proxy_tls)
        self._proxy_port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(self._open)

    async def _listen(self, address: str) -> None:
        await asyncio.start_server(self._visited, address, 80)
        await asyncio.start_server(self._visited, address, 443, ssl=self._tls)

    async def _proxied(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._kept(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            if self.status is None:
                await reader.read()
            elif self.status == 200 and head.startswith("CONNECT "):
                writer.write(b"HTTP/1.1 200 Go ahead\r\n\r\n")
                if int(head.split(" ")[1].rpartition(":")[2]) in TLS_PORTS:
                    await writer.start_tls(self._tls)
                await self._hand_over(reader, writer)
            elif self.status:
                writer.write(
                    f"HTTP/1.1 {self.status} Obey me\r\nproxy-authenticate: Basic realm=obey\r\n"
                    "content-length: 7\r\n\r\nObey me".encode()
                )

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._kept(writer):
            await self._hand_over(reader, writer)

    @asynccontextmanager
    async def _kept(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """A connection for as long as it goes well."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                yield
        finally:
            del self._open[task]
            writer.close()

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand a connection over to the site that its first request names."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        host = next(line[6:] for line in lines if line.lower().startswith("host: "))
        site_reader, site_writer = await asyncio.open_connection("127.0.0.1", self.sites[host].port)
        site_writer.write(head)
        await asyncio.gather(_hand_on(reader, site_writer), _hand_on(site_reader, writer))


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
