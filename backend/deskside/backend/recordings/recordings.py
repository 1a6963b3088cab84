"""The recordings of this store, as commands ask for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import msgspec

from deskside.backend import log
from deskside.backend.agent.recording import ReplyShown
from deskside.backend.errors import InvalidRequest, NotFound
from deskside.backend.paths import Paths
from deskside.backend.recordings import run_file
from deskside.backend.recordings.content import NodeContent, content_of
from deskside.backend.recordings.otlp import otlp
from deskside.backend.recordings.replaying import Replayed, Replays
from deskside.backend.recordings.run_file import RunFile
from deskside.backend.recordings.side_by_side import ComparedRuns, compare
from deskside.backend.recordings.story import Story, tell
from deskside.backend.recordings.why_slow import WhySlow, why_slow
from deskside.backend.store import errors, run_choices, runs
from deskside.backend.store.connection import Db
from deskside.backend.store.database import Store
from deskside.backend.store.errors import ErrorRow
from deskside.backend.store.run_choices import RunChoice

MOST_LOG_LINES = 500

ExportFormat = Literal["json", "otlp"]


class RunStory(msgspec.Struct, frozen=True):
    """A run's story. `is_recorded` False: nothing but its row is there, because recording was off, or because
    the recording was old and was cleared away."""

    story: Story
    why_slow: WhySlow
    is_recorded: bool


class Trace(msgspec.Struct, frozen=True):
    """All that is known of one request: the runs that it asked for, its errors, and the log's lines."""

    id: str
    runs: list[RunStory]
    errors: list[ErrorRow]
    log_lines: list[str]


class Recordings:
    """Reads recordings, and replays them. Used on the backend's loop only."""

    def __init__(self, store: Store, paths: Paths, replays: Replays) -> None:
        self._store = store
        self._replays = replays
        self._logs = paths.logs

    async def story(self, run_id: int) -> RunStory:
        """How a run went, with all that it was part of. Raises NotFound."""
        file = await self._store.read(runs.recording, run_id, with_items=False)
        return await asyncio.to_thread(_told, file)

    async def content(self, run_id: int, n: int) -> NodeContent:
        """What was in one node of a run. Raises NotFound."""
        file = await self.file(run_id)
        return await asyncio.to_thread(content_of, file, run_id, n)

    async def file(self, run_id: int) -> RunFile:
        """The recording as a document. Raises NotFound where there is none."""
        file = await self._store.read(runs.recording, run_id)
        if not file.is_recorded:
            raise NotFound(
                f"Run {run_id} was not recorded, or its recording was cleared away.",
                hint="Recording is switched on in Settings, under Data.",
            )
        return file

    async def text(self, run_id: int, format: ExportFormat) -> str:
        """The recording as it is written to a file. Raises NotFound."""
        file = await self.file(run_id)
        return await asyncio.to_thread(_written, file, format)

    async def replay(self, run_id: int) -> Replayed:
        """Run a recorded run again with what the program is today. Raises NotFound, InvalidRequest."""
        return await self._replays.replay(await self.file(run_id))

    async def replay_file(self, path: Path) -> Replayed:
        """As `replay`, of a recording that was written to a file. Raises InvalidRequest."""

        def read() -> RunFile:
            try:
                return run_file.read(path.read_bytes())
            except OSError as error:
                raise InvalidRequest(
                    f"{path} cannot be read: {error.strerror or error}.", hint="Give another file."
                ) from error

        return await self._replays.replay(await asyncio.to_thread(read))

    async def note_shown(self, run_id: int, shown: ReplyShown) -> bool:
        """A window has shown the reply of a run. False where that is known already, or the run was not
        recorded."""
        return await self._store.write(runs.record_shown, run_id, shown)

    async def compare(self, left_run: int, right_run: int) -> ComparedRuns:
        """Two runs beside each other. Raises NotFound where one was not recorded, InvalidRequest for one and
        the same run."""
        left, right = await self.file(left_run), await self.file(right_run)
        return await asyncio.to_thread(compare, left, right)

    async def others(self, run_id: int) -> list[RunChoice]:
        """The recorded runs that this one may be compared with. Raises NotFound."""
        return await self._store.read(run_choices.others, run_id)

    async def trace(self, id: str) -> Trace:
        """What a request, or a run by its number, led to. Raises NotFound where there is nothing."""

        def read(db: Db) -> tuple[str, list[RunFile], list[ErrorRow]]:
            found, request_id = runs.of_request(db, id), id
            if not found and is_run_id(id):
                found = [int(id)]
                request_id = runs.recording(db, int(id), with_items=False).root.request_id
            files = [runs.recording(db, each, with_items=False) for each in found]
            return request_id, files, errors.of_request(db, request_id)

        request_id, files, failures = await self._store.read(read)
        lines = await asyncio.to_thread(log.lines_with, self._logs, request_id, MOST_LOG_LINES)
        if not (files or failures or lines):
            raise NotFound(
                f"Nothing is known of {id!r}.",
                hint="Give a request id, as an error shows it, or the number of a run.",
            )
        stories = [await asyncio.to_thread(_told, file) for file in files]
        return Trace(request_id, stories, failures, lines)


def is_run_id(id: str) -> bool:
    """Whether it can be a run's number. Request ids are longer."""
    return id.isascii() and id.isdigit() and len(id) < 12


def _told(file: RunFile) -> RunStory:
    story = tell(file)
    return RunStory(story, why_slow(file, story), file.is_recorded)


def _written(file: RunFile, format: ExportFormat) -> str:
    return otlp(tell(file)) if format == "otlp" else run_file.text_of(file)
