"""The files that are dragged out of the window: copies in a folder that goes when the program ends.

Whoever took one reads it when it likes, so it stays until then; one that nobody took goes at once.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from loguru import logger

from deskside.backend.errors import AppError

# Who drags has moved the mouse a hand's breadth by then, and expects to see what they drag.
SOON_S = 0.3


class DraggedFiles:
    """Used on the backend's loop, except for `close`."""

    def __init__(self) -> None:
        self._root: str | None = None
        self._late: set[asyncio.Future[Path]] = set()

    async def make(self, write: Callable[[Path], Awaitable[Path]]) -> Path | None:
        """What `write` makes in a folder of its own, which only this user may read; None where that takes
        too long, and then nothing of it stays. Raises what `write` raises."""
        folder = Path(await asyncio.to_thread(self._new_folder))
        writing = asyncio.ensure_future(write(folder))
        await asyncio.wait({writing}, timeout=SOON_S)
        if writing.done() and writing.exception() is None:
            return writing.result()
        if writing.done():
            await asyncio.to_thread(_remove, folder)
            return writing.result()
        # A thread that writes cannot be stopped: what it makes goes once it is there.
        logger.info("a file that was to be dragged took too long")
        self._late.add(writing)
        writing.add_done_callback(lambda _: self._drop(writing, folder))
        return None

    async def forget(self, path: Path) -> None:
        """Remove what `make` made."""
        await asyncio.to_thread(_remove, path.parent)

    def close(self) -> None:
        """Once nothing is dragged any more."""
        if self._root is not None:
            _remove(Path(self._root))

    def _new_folder(self) -> str:
        if self._root is None:
            self._root = tempfile.mkdtemp(prefix="deskside-")  # mode 0700
        return tempfile.mkdtemp(dir=self._root)

    def _drop(self, writing: asyncio.Future[Path], folder: Path) -> None:
        self._late.discard(writing)
        if not writing.cancelled() and isinstance(error := writing.exception(), AppError):
            logger.info("a file that was to be dragged could not be made: {}", error.code)
        _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
