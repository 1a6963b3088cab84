"""The models that run on this machine: which there are, the processes that run them, and the download.

A process starts when it is first asked for, is used again while it is healthy, and ends after `IDLE_S`
without a reply. One model runs at a time, unless a reply of another one is still being written.

Nothing here imports the engine: it is native code and lives in the child only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deskside.backend.agent.device_download import PYPI, ModelDownload
from deskside.backend.agent.device_models import (
    PLAIN_PROFILE,
    SMOLLM2,
    SMOLLM2_PROFILE,
    DeviceFile,
    DeviceModel,
    DeviceProfile,
    DeviceStatus,
)
from deskside.backend.agent.device_process import COMMAND, DeviceProcess, Endpoint
from deskside.backend.agent.gguf import read_head
from deskside.backend.errors import DeviceModelError
from deskside.backend.events import DeviceChanged, ModelsChanged
from deskside.backend.network.gate import Gate

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.paths import Paths
    from deskside.backend.settings import SettingsStore

# The small model holds 200 MB, a useful one several GB: too much to keep for somebody who went away.
IDLE_S = 300.0
# Memory for a conversation grows with its length: about 1 GB at this one for a model of 8 billion
# parameters. Many models allow 128,000, which no desktop has room for.
MOST_CONTEXT_TOKENS = 8_192

BUNDLED_FOLDER = "DESKSIDE_BUNDLED_MODELS"

_is_using: ContextVar[bool] = ContextVar("_is_using", default=False)


class Device:
    """All methods belong to the loop's thread. Close it with `close`.

    `environ` names the folder of a checkout's own model; `index_url` is where the download comes from. `gate`
    is the program's; without one, an open one of its own.
    """

    def __init__(
        self,
        paths: Paths,
        settings: SettingsStore,
        events: EventBuffer,
        *,
        environ: Mapping[str, str] = os.environ,
        model: DeviceModel = SMOLLM2,
        index_url: str = PYPI,
        idle_s: float = IDLE_S,
        command: Sequence[str] = COMMAND,
        gate: Gate | None = None,
    ) -> None:
        self._folders = [paths.models, *(Path(name) for name in [environ.get(BUNDLED_FOLDER)] if name)]
        self._settings = settings
        self._events = events
        self._model = model
        self._idle_s = idle_s
        self._command = command
        self._gate = gate or Gate()
        self._download = ModelDownload(
            paths.models, model, self._downloaded, index_url=index_url, gate=self._gate
        )
        self._running: dict[str, DeviceProcess] = {}
        self._starting: dict[str, asyncio.Task[Endpoint]] = {}
        self._users = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    # -- what there is --

    async def status(self) -> DeviceStatus:
        """What can run, and what does. Starts nothing, and costs a look at a few files."""
        return self._status()

    async def use_file(self, path: str | None) -> DeviceStatus:
        """Choose the GGUF file to run; None goes back to the small model. Raises DeviceModelError for what
        is no such file."""
        if path is not None:
            # Not resolved: a cache of models keeps its files under hashes, with links for their names.
            path = os.path.abspath(os.path.expanduser(path))
            await asyncio.to_thread(read_head, Path(path))
        await self._settings.change({"device_model": path})
        self._events.publish(ModelsChanged())
        self._changed()
        return self._status()

    def profile(self, name: str) -> DeviceProfile:
        """How a model wants to be asked."""
        return SMOLLM2_PROFILE if _stem(name) == self._model.name else PLAIN_PROFILE

    def _files(self) -> list[DeviceFile]:
        """The chosen file, the small model, and every other GGUF file in the folders of models. Of two with
        one name the first counts."""
        candidates = [Path(chosen)] if (chosen := self._settings.current.device_model) else []
        candidates += [folder / self._model.file_name for folder in self._folders]
        candidates += [path for folder in self._folders for path in sorted(folder.glob("*.gguf"))]
        found: dict[str, DeviceFile] = {}
        for path in candidates:
            file = self._file(path)
            if file is not None:
                found.setdefault(file.name, file)
        return list(found.values())

    def _file(self, path: Path) -> DeviceFile | None:
        """None when it is not there any more, which is not an error until somebody wants to run it, and
        for a name that is not text (bytes that are no UTF-8): it could not be shown, nor chosen."""
        try:
            str(path).encode()
            size = path.stat().st_size
        except (OSError, UnicodeEncodeError):
            return None
        if path.name == self._model.file_name and size == self._model.size_bytes:
            return DeviceFile(self._model.name, self._model.label, str(path), size, is_bundled=True)
        return DeviceFile(path.stem, f"{path.stem} (on this device)", str(path), size, is_bundled=False)

    def _status(self) -> DeviceStatus:
        can_run = find_spec("xllamacpp") is not None
        reason = "" if can_run else "The engine for on-device models does not exist for this system."
        files = self._files()
        has_small = any(file.is_bundled for file in files)
        return DeviceStatus(can_run, reason, files, self._download.state(has_small), self._process_state())

    def _process_state(self) -> Literal["stopped", "starting", "running"]:
        if self._starting:
            return "starting"
        return "running" if any(process.is_running for process in self._running.values()) else "stopped"

    # -- running it --

    async def endpoint(self, model_name: str) -> Endpoint:
        """Where `device/NAME` is spoken to, and with which key; starts its process if it must.

        Takes about a second for the small model. Raises DeviceModelError when there is no such model, or it
        cannot run.
        """
        file = self._wanted(model_name)
        process = self._running.get(file.path)
        if process is not None and await process.is_healthy():
            self._rest()
            return process.endpoint
        starting = self._starting.get(file.path)
        if starting is None:
            starting = asyncio.create_task(self._start(file))
            starting.add_done_callback(_look_at)
            self._starting[file.path] = starting
            self._changed()
        # Others may wait for the same start, so it goes on when this caller gives up.
        return await asyncio.shield(starting)

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Keep running models running inside the block, while a reply streams."""
        self._users += 1
        token = _is_using.set(True)
        self._rest()
        try:
            yield
        finally:
            _is_using.reset(token)
            self._users -= 1
            self._rest()

    async def start_download(self) -> DeviceStatus:
        """Start, or resume, the download of the small model. Progress arrives as DeviceChanged."""
        if not any(file.is_bundled for file in self._files()):
            await self._download.start()
        return self._status()

    async def pause_download(self) -> DeviceStatus:
        """Stop the download and keep what has arrived."""
        await self._download.pause()
        return self._status()

    async def close(self) -> None:
        """End the download and every process."""
        self._cancel_timer()
        await self._download.pause()
        for task in list(self._starting.values()):
            task.cancel()
        await asyncio.gather(*self._starting.values(), *self._stopping, return_exceptions=True)
        await self._stop_all()

    def _wanted(self, model_name: str) -> DeviceFile:
        name = _stem(model_name)
        file = next((file for file in self._files() if file.name == name), None)
        if file is None and name == self._model.name:
            raise DeviceModelError(
                "The small on-device model is not on this machine yet.", hint="Download it in Models."
            )
        if file is None:
            raise DeviceModelError(
                f"There is no on-device model called {name!r}.", hint="Choose its GGUF file in Models."
            )
        if find_spec("xllamacpp") is None:
            raise DeviceModelError(self._status().reason, hint="Choose another model.")
        return file

    async def _start(self, file: DeviceFile) -> Endpoint:
        try:
            if (broken := self._running.pop(file.path, None)) is not None:
                await broken.stop()
            # Memory for two is often not there. But a reply that is being written is not broken off.
            if self._users <= int(_is_using.get()):
                await self._stop_all()
            process = await self._start_process(file)
            self._running[file.path] = process
        finally:
            del self._starting[file.path]
            self._changed()
        process.exited.add_done_callback(lambda _: self._changed())
        self._rest()
        return process.endpoint

    async def _start_process(self, file: DeviceFile) -> DeviceProcess:
        path = Path(file.path)
        head = await asyncio.to_thread(read_head, path)
        tokens = self.profile(file.name).context_tokens or min(head.context_tokens or 0, MOST_CONTEXT_TOKENS)
        return await DeviceProcess.start(
            path, file.name, context_tokens=tokens, command=self._command, gate=self._gate
        )

    # -- ending it --

    def _rest(self) -> None:
        """Begin to wait for the end of `idle_s` anew, or not at all while somebody uses a model."""
        self._cancel_timer()
        if self._users == 0:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._stop_when_idle)

    def _cancel_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _stop_when_idle(self) -> None:
        task = asyncio.get_running_loop().create_task(self._stop_all())
        # The loop itself holds tasks weakly.
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop_all(self) -> None:
        processes = list(self._running.values())
        self._running.clear()
        await asyncio.gather(*(process.stop() for process in processes))

    def _downloaded(self) -> None:
        """There is news of the download."""
        self._changed()
        if self._status().download.state == "done":
            self._events.publish(ModelsChanged())

    def _changed(self) -> None:
        self._events.publish(DeviceChanged(self._status()))


def _stem(model_name: str) -> str:
    return model_name.removeprefix("device/")


def _look_at(starting: asyncio.Task[Endpoint]) -> None:
    """A failed start that nobody waits for any more is not a bug to be reported by asyncio."""
    if not starting.cancelled():
        starting.exception()
