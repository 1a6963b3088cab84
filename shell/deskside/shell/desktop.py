"""What only the window can do, as the bridge asks for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from deskside.backend.errors import Conflict, InvalidRequest, NeedsWindow
from deskside.bridge.desktop import Integration, TrayState
from deskside.shell.autostart import Autostart
from deskside.shell.dragged_files import DraggedFiles
from deskside.shell.engine import Engine
from deskside.shell.notifications import can_notify
from deskside.shell.open_link import open_outside
from deskside.shell.tray import Tray

T = TypeVar("T")


class WindowDesktop:
    """Fits `deskside.bridge.desktop.Desktop`; its coroutines run on the backend's loop."""

    def __init__(self, autostart: Autostart | None = None) -> None:
        self._autostart = autostart
        self.tray: Tray | None = None  # the window's, where its engine has one
        self.window: Any = None  # pywebview's, once there is one
        self.engine: Engine | None = None  # the window's
        self._is_asking = False
        self._is_dragging = False
        self.dragged_files = DraggedFiles()
        self.wants_restart = False

    async def open_link(self, url: str) -> None:
        await in_thread(lambda: open_outside(url))

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        """Raises Conflict while another dialog is open, as those below: pywebview would mix them up."""
        return await self._ask(lambda: _choose(self.window, title, endings))

    async def save_file(self, title: str, suggested_name: str, text: str) -> str | None:
        """Raises InvalidRequest where nothing can be written."""
        return await self._ask(lambda: _save(self.window, title, suggested_name, text))

    async def choose_target(self, title: str, suggested_name: str) -> str | None:
        return await self._ask(lambda: _choose_target(self.window, title, suggested_name))

    async def choose_folder(self, title: str) -> str | None:
        return await self._ask(lambda: _choose_folder(self.window, title))

    async def restart(self) -> None:
        """Closes the window; whoever has shown it starts the program again."""
        if self.window is None:
            raise NeedsWindow("The window is not there yet.", hint="Try again in a moment.")
        self.wants_restart = True
        await in_thread(self.window.destroy)

    def drags_files(self) -> bool:
        return self.engine is not None and self.engine.DRAGS_FILES

    async def drag_file(self, write: Callable[[Path], Awaitable[Path]], text: str, html: str) -> bool:
        engine = self.engine
        if self.window is None or engine is None or not engine.DRAGS_FILES:
            raise NeedsWindow("No file can be dragged out of this window.", hint="Export it instead.")
        if self._is_dragging:
            raise Conflict("Another file is being dragged.", hint="Finish with that one first.")
        self._is_dragging = True
        try:
            path = await self.dragged_files.make(write)
            if path is None:
                return False
            is_taken = await self._drag(engine, path, text, html)
            if not is_taken:
                await self.dragged_files.forget(path)
            return is_taken
        finally:
            self._is_dragging = False

    async def _drag(self, engine: Engine, path: Path, text: str, html: str) -> bool:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[bool] = loop.create_future()

        def ended(is_taken: bool) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, over, is_taken)

        engine.drag_file(self.window, path, text, html, ended)
        return await over

    async def integration(self) -> Integration:
        return Integration(
            tray=await self._tray_state(),
            notifies=can_notify(),
            starts_at_login=None if self._autostart is None else await in_thread(self._autostart.is_on),
        )

    async def set_start_at_login(self, is_on: bool) -> None:
        autostart = self._autostart
        if autostart is None:
            raise NeedsWindow(
                "Deskside cannot start itself at login here.", hint="Have your system's settings start it."
            )
        await in_thread(lambda: autostart.switch(is_on))

    async def _tray_state(self) -> TrayState:
        if self.window is None:
            raise NeedsWindow("The window is not there yet.", hint="Try again in a moment.")
        if self.tray is None:
            return "unsupported"
        loop = asyncio.get_running_loop()
        known: asyncio.Future[bool] = loop.create_future()

        def told(is_there: bool) -> None:
            loop.call_soon_threadsafe(_settle, known, is_there)

        self.tray.when_known(told)
        return "there" if await known else "none"

    async def _ask(self, dialog: Callable[[], T]) -> T:
        if self.window is None:
            raise NeedsWindow("The window is not there yet.", hint="Try again in a moment.")
        if self._is_asking:
            raise Conflict("Another dialog is open.", hint="Finish with that one first.")
        self._is_asking = True
        try:
            return await in_thread(dialog)
        finally:
            self._is_asking = False

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        """Raises Conflict while another question is open: whoever asks twice hopes for a slip."""
        if self.window is None or self.engine is None:
            raise NeedsWindow("The window is not there yet.", hint="Try again in a moment.")
        if self._is_asking:
            raise Conflict("Another question is open.", hint="Answer that one first.")
        self._is_asking = True
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()

        def settle(is_accepted: bool) -> None:
            if not answer.done():
                answer.set_result(is_accepted)

        def answered(is_accepted: bool) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, is_accepted)

        try:
            self.engine.confirm(self.window, title, text, accept_label, answered)
            return await answer
        finally:
            self._is_asking = False


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _choose(window: Any, title: str, endings: Sequence[str]) -> str | None:
    """Blocks until the dialog is closed, so it must not run on the window's thread nor on the loop."""
    import webview

    window.localization["linux.openFile"] = title
    patterns = ";".join(f"*.{ending}" for ending in endings)
    chosen = window.create_file_dialog(
        webview.FileDialog.OPEN, file_types=(f"Files ({patterns})",) if patterns else ()
    )
    return str(chosen[0]) if chosen else None


def _save(window: Any, title: str, suggested_name: str, text: str) -> str | None:
    """Blocks until the dialog is closed, as `_choose` does."""
    chosen = _choose_target(window, title, suggested_name)
    if chosen is None:
        return None
    try:
        Path(chosen).write_text(text, "utf-8")
    except OSError as error:
        raise InvalidRequest(
            f"The file could not be written: {error.strerror}.", hint="Choose another folder."
        ) from error
    return chosen


def _choose_target(window: Any, title: str, suggested_name: str) -> str | None:
    """Blocks, as `_choose`."""
    import webview

    window.localization["global.saveFile"] = title
    chosen = window.create_file_dialog(webview.FileDialog.SAVE, save_filename=suggested_name)
    if not chosen:
        return None
    return chosen if isinstance(chosen, str) else str(chosen[0])


def _choose_folder(window: Any, title: str) -> str | None:
    """Blocks, as `_choose`."""
    import webview

    window.localization["linux.openFolder"] = title
    chosen = window.create_file_dialog(webview.FileDialog.FOLDER)
    return str(chosen[0]) if chosen else None


async def in_thread(function: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, on a daemon thread: a file dialog that is still open when the program
    is told to end must not keep it from ending."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def report(value: T | None, error: BaseException | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    def run() -> None:
        try:
            value = function()
        except BaseException as error:
            report(None, error)
        else:
            report(value, None)

    threading.Thread(target=run, name="desktop", daemon=True).start()
    return await result
