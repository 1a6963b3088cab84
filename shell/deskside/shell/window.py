"""The window: a web engine, hardened, that shows the page the backend serves.

Once the engine is loaded, the window and the backend start side by side: the window is on the screen,
in the page's colour, while the backend is still being imported. The page is loaded when both are ready.

Invariants
  - Nothing is loaded before the engine is locked down. If that fails, the window closes and the
    reason is raised.
  - The page is the only thing the window ever shows, and pywebview's own bridge into Python is off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from deskside.shell.desktop import WindowDesktop
from deskside.shell.engine import Engine
from deskside.shell.menus import make_menus
from deskside.shell.page_lock import PageLock
from deskside.shell.tray import Activity, TrayWishes
from deskside.shell.window_state import (
    MIN_HEIGHT,
    MIN_WIDTH,
    Area,
    WindowState,
    background,
    fit_to_screens,
    load_state,
    save_state,
)

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.events import MenuChoice
    from deskside.backend.settings import Settings
    from deskside.bridge.thread import Running

TITLE = "Deskside"
QUIT_TEXT = (
    "Answers are still being written. If you quit, they stop. What they have said until then is kept, and "
    "you can continue them when you start Deskside again."
)


class Opening:
    """The backend while it is opened on a thread of its own, and until it is closed.

    `open_backend` is called on that thread, so that its imports run beside the window's.
    """

    def __init__(self, open_backend: Callable[[], AbstractContextManager[Running]]) -> None:
        self.running: Future[Running] = Future()
        self._open_backend = open_backend
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="opening")

    def __enter__(self) -> Opening:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Returns once the backend has closed: running replies are stored by then. Any thread, any number of
        times."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._open_backend() as running:
                self.running.set_result(running)
                self._closing.wait()
        except BaseException as error:
            if self.running.done():
                raise
            self.running.set_exception(error)


class AppWindow:
    """The one window of this process. `show` must be called on the main thread."""

    def __init__(
        self,
        engine: Engine,
        state_file: Path,
        desktop: WindowDesktop,
        attend: Callable[[Running, AppWindow], None] = lambda *_: None,
    ) -> None:
        """`attend` is called once the backend is there and the window can be used, on another thread."""
        self._engine = engine
        self._attend = attend
        self._state_file = state_file
        self._desktop = desktop
        desktop.engine = engine
        self._lock = PageLock()
        self._hardened = threading.Event()
        self._failure: BaseException | None = None
        self._take_signals: Callable[[], None]
        self._backend: Running | None = None
        self._activity = Activity()
        self._is_quitting = False
        self.is_in_front = True

    def show(self, running: Future[Running], take_signals: Callable[[], None]) -> None:
        """Show the window until it is closed. Raises what kept it, or the backend, from starting.

        `take_signals` is called once the toolkit has installed its own handlers.
        """
        self._take_signals = take_signals
        try:
            self._run(running)
        finally:
            self._hardened.set()  # whoever waits to close the window need not wait any longer
            self._desktop.dragged_files.close()
        if self._failure is not None:
            raise self._failure

    def bring_forward(self) -> None:
        """Raise the window and give it the keyboard. Any thread; nothing happens before it is shown."""
        window = self._desktop.window
        if window is not None and self._hardened.is_set():
            self._engine.bring_forward(window)

    def close(self) -> None:
        """Close the window for good, once it is there. Any thread."""
        self._is_quitting = True
        self._hardened.wait()
        if self._desktop.window is not None:
            self._desktop.window.destroy()

    def follow_settings(self, settings: Settings) -> None:
        """Any thread, once the window can be used."""
        self._engine.zoom(self._desktop.window, settings.zoom_percent)
        if self._desktop.tray is not None:
            self._desktop.tray.set_shown(settings.closes_to_tray)

    def show_activity(self, activity: Activity) -> None:
        """Any thread, once the window can be used."""
        self._activity = activity
        if self._desktop.tray is not None:
            self._desktop.tray.show_activity(activity)

    def _run(self, running: Future[Running]) -> None:
        import webview

        window = self._create(running)
        loading = threading.Thread(target=self._load, args=(window, running), name="page", daemon=True)
        loading.start()
        webview.start(gui=self._engine.GUI, private_mode=True)

    def _create(self, running: Future[Running]) -> Any:
        import webview

        screens = [Area(screen.x, screen.y, screen.width, screen.height) for screen in webview.screens]
        state = fit_to_screens(load_state(self._state_file), screens)
        window = webview.create_window(
            TITLE,
            html="<!doctype html><title>Deskside</title>",
            width=state.width,
            height=state.height,
            # pywebview counts from the primary screen's corner.
            x=None if state.x is None else state.x - screens[0].x,
            y=None if state.y is None else state.y - screens[0].y,
            min_size=(MIN_WIDTH, MIN_HEIGHT),
            maximized=state.is_maximized,
            background_color=background(state, self._engine.prefers_dark()),
            menu=make_menus(self._choose) if self._engine.HAS_MENU_BAR else [],
            text_select=True,  # without it pywebview injects an inline <style>, which the CSP refuses
        )
        window.deskside_end = self.close  # for what an engine asks by itself
        window.events.initialized += lambda renderer: self._check(renderer)
        window.events.before_show += lambda: self._harden(window)
        window.events.closing += lambda: self._closing(window, state, running)
        return window

    def _check(self, renderer: str) -> bool:
        """pywebview takes another engine when ours does not load; that one would not be locked down."""
        if renderer != self._engine.RENDERER:
            self._failure = RuntimeError(f"the web engine is {renderer}, not {self._engine.RENDERER}")
            return False
        return True

    def _harden(self, window: Any) -> None:
        # pywebview swallows what its event handlers raise, so the failure is carried by hand.
        try:
            self._engine.harden(window, self._lock)
            self._engine.watch_front(window, self._set_front)
            wishes = TrayWishes(self.bring_forward, self._new_chat, self._ask_to_quit)
            self._desktop.tray = self._engine.make_tray(window, wishes)
            self._take_signals()
        except BaseException as error:
            self._failure = error
        self._desktop.window = window
        self._hardened.set()

    def _load(self, window: Any, running: Future[Running]) -> None:
        """On a thread of its own: load the page when there is one, or close the window if that failed."""
        try:
            backend = running.result()
        except BaseException as error:
            self._failure = error
        self._hardened.wait()
        if self._failure is not None:
            self.close()
            return
        self._backend = backend
        self._attend(backend, self)
        self._lock.unlock(backend.origin, backend.boot_url)
        window.load_url(self._lock.fresh_url())
        logger.info("the window shows {}", backend.origin)

    def _closing(self, window: Any, before: WindowState, running: Future[Running]) -> bool:
        """Whether it may close; where the user chose that it goes to the tray instead, it goes there."""
        if self._goes_to_tray():
            self._engine.hide(window)
            return False
        self._remember(window, before, running)
        return True

    def _goes_to_tray(self) -> bool:
        if self._is_quitting or self._desktop.wants_restart or self._backend is None:
            return False
        tray = self._desktop.tray
        return self._backend.app.settings.current.closes_to_tray and tray is not None and tray.is_there()

    def _set_front(self, is_in_front: bool) -> None:
        self.is_in_front = is_in_front

    def _new_chat(self) -> None:
        self.bring_forward()
        if self._backend is not None:
            self._backend.call(self._backend.app.proposals.new_chat())

    def _choose(self, choice: MenuChoice) -> None:
        from deskside.backend.events import MenuChosen

        async def tell(events: EventBuffer) -> None:
            events.publish(MenuChosen(choice))

        self.bring_forward()
        if self._backend is not None:
            self._backend.call(tell(self._backend.app.events))

    def _ask_to_quit(self) -> None:
        if self._activity.running == 0:
            self.close()
            return
        self.bring_forward()
        self._engine.confirm(self._desktop.window, "Quit Deskside?", QUIT_TEXT, "Quit", self._quit)

    def _quit(self, is_wanted: bool) -> None:
        if is_wanted:
            self.close()

    def _remember(self, window: Any, before: WindowState, running: Future[Running]) -> None:
        state = self._engine.read_state(window, before)
        if running.done() and running.exception() is None:
            state = msgspec.structs.replace(state, theme=running.result().app.settings.current.theme)
        save_state(self._state_file, state)
