"""Playwright on the system's WebKitGTK: its inspector, and a hand on the mouse and the keyboard.

Playwright drives a stock WebKit through the protocol of WebKit's own inspector, as a relay for phones offers
it: the pages as a list at `/json`, a WebSocket for each. WebKitGTK lists its pages in HTML, so `Relay` stands
between the two.

What that protocol lacks is input: Playwright makes up events in the page. The relay takes these calls out and
has real ones made on the X display instead, which go through the server, GTK and WebKit to the page as a
user's do. It answers Playwright when the page has got the event.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

TITLE = "Deskside"
ARRIVAL_S = 2  # for input that the page never gets, such as a key that GTK keeps
LOOK_S = 2  # a page that is being loaded may never say whether it is
ANSWER_S = 20  # a page that says nothing for so long has hung
OWN_IDS = 2**30  # Playwright counts from 1

# Named as in the page's events and in X's keysymdef.h, where these differ.
KEYS = {
    "Alt": "Alt_L",
    "ArrowDown": "Down",
    "ArrowLeft": "Left",
    "ArrowRight": "Right",
    "ArrowUp": "Up",
    "Backspace": "BackSpace",
    "Control": "Control_L",
    "Enter": "Return",
    "Meta": "Super_L",
    "PageDown": "Next",
    "PageUp": "Prior",
    "Shift": "Shift_L",
}
BUTTONS = {0: "1", 1: "2", 2: "3"}
INPUT_CALL = re.compile(
    r"\(p\) => globalThis\.__pwWebViewInput\.(mouseMove|mouseEvent|wheel|keydown|keyup)\("
)


class Hand:
    """The mouse and the keyboard of an X display, over the program's window."""

    def __init__(self, display: str) -> None:
        self._display = display
        self._window = ""
        self._place: tuple[int, int] | None = None

    def move(self, x: int, y: int) -> bool:
        """To a point of the window, in pixels. False where the pointer was there already."""
        if self._place == (x, y):
            return False
        # Somewhere else first: where the pointer does not move, the page gets no event.
        start = () if self._place else ("mousemove", "--window", self._find(), "0", "0")
        self._do(*start, "mousemove", "--window", self._find(), str(x), str(y))
        self._place = (x, y)
        return True

    def press(self, button: int) -> None:
        self._do("mousedown", BUTTONS[button])

    def release(self, button: int) -> None:
        self._do("mouseup", BUTTONS[button])

    def turn_wheel(self, is_down: bool) -> None:
        self._do("click", "5" if is_down else "4")

    def key_down(self, key: str) -> None:
        """`key` as in KeyboardEvent.key."""
        self._do("windowfocus", self._find(), "keydown", keysym(key))

    def key_up(self, key: str) -> None:
        self._do("keyup", keysym(key))

    def resize_window(self, width: int, height: int) -> None:
        self._do("windowsize", self._find(), str(width), str(height))

    def _find(self) -> str:
        if not self._window:
            self._window = self._do("search", "--onlyvisible", "--name", f"^{TITLE}$").split()[0]
        return self._window

    def _do(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env={"DISPLAY": self._display}, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 0, f"xdotool {' '.join(words)}: {done.stderr}"
        return done.stdout


def keysym(key: str) -> str:
    return f"U{ord(key):04X}" if len(key) == 1 else KEYS.get(key, key)


class Relay:
    """What Playwright connects to; `address` is for `playwright.webkit.connect_over_cdp`."""

    def __init__(self, inspector: str, display: str) -> None:
        """`inspector` is what WEBKIT_INSPECTOR_HTTP_SERVER says: "127.0.0.1:4321"."""
        self._inspector = inspector
        self._display = display
        self._server: Server = serve(
            self._relay, "127.0.0.1", 0, process_request=self._list_pages, max_size=None, compression=None
        )
        self._port = self._server.socket.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="relay")
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()

    def _list_pages(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/json":
            return None
        # While a page is loaded into another process, it has two targets, and Playwright loses its way.
        loaded = [path for path in self._pages() if self._is_loaded(path)]
        pages = [{"webSocketDebuggerUrl": f"ws://127.0.0.1:{self._port}{path}"} for path in loaded]
        return connection.respond(HTTPStatus.OK, json.dumps(pages))

    def _pages(self) -> list[str]:
        try:
            with urlopen(f"http://{self._inspector}/", timeout=ANSWER_S) as answer:
                return re.findall(r"/socket/\d+/\d+/WebPage", answer.read().decode())
        except (URLError, ConnectionError):  # the program is not there yet, or not any more
            return []

    def _is_loaded(self, path: str) -> bool:
        try:
            with self._connect(path) as inspector:
                target = json.loads(inspector.recv(LOOK_S))["params"]["targetInfo"]["targetId"]
                script = "document.readyState === 'complete' && location.protocol === 'http:'"
                inspector.send(_evaluation(target, OWN_IDS, script))
                while (answer := _answer(json.loads(inspector.recv(LOOK_S)))) is None:
                    continue
                return answer[1] is True
        except (ConnectionError, ConnectionClosed, InvalidHandshake, TimeoutError):
            return False

    def _connect(self, path: str) -> ClientConnection:
        # Compressed: WebKit hangs up on frames over 128 KiB, and Playwright's scripts are larger.
        return connect(f"ws://{self._inspector}{path}", max_size=None, compression="deflate")

    def _relay(self, playwright: ServerConnection) -> None:
        assert playwright.request is not None
        with self._connect(playwright.request.path) as inspector:
            _Page(playwright, inspector, Hand(self._display)).relay()


class _Page:
    """One page's two sockets."""

    def __init__(self, playwright: ServerConnection, inspector: ClientConnection, hand: Hand) -> None:
        self._playwright = playwright
        self._inspector = inspector
        self._hand = hand
        self._ids = itertools.count(OWN_IDS)
        self._asked: dict[int, Future[Any]] = {}

    def relay(self) -> None:
        """Until either side hangs up."""
        answers = threading.Thread(target=self._relay_answers, name="answers")
        answers.start()
        try:
            for frame in self._playwright:
                message = json.loads(frame)
                call = _input_call(message)
                if call is None:
                    self._inspector.send(frame)
                else:
                    self._do(message["params"]["targetId"], *call)
                    self._answer_call(message)
        except ConnectionClosed:
            pass
        finally:
            self._inspector.close()
            answers.join()

    def _relay_answers(self) -> None:
        try:
            for frame in self._inspector:
                if not self._take_own(json.loads(frame)):
                    self._playwright.send(frame)
        except ConnectionClosed:
            pass
        finally:
            for future in self._asked.values():
                if not future.done():
                    future.set_result(None)
            self._playwright.close()

    def _take_own(self, message: dict[str, Any]) -> bool:
        """Whether it answers a question of our own."""
        answer = _answer(message)
        if answer is None:
            return bool(message.get("id", 0) >= OWN_IDS)  # the question was passed on; its answer follows
        number, value = answer
        future = self._asked.get(number)
        if future is not None and not future.done():
            future.set_result(value)
        return True

    def _evaluate(self, target: str, expression: str) -> Any:
        """None also where the page is gone."""
        number = next(self._ids)
        self._asked[number] = Future()
        self._inspector.send(_evaluation(target, number, expression))
        try:
            return self._asked[number].result(ANSWER_S)
        finally:
            del self._asked[number]

    def _answer_call(self, call: dict[str, Any]) -> None:
        """As the inspector would, with what Playwright's functions of input return: undefined."""
        inner = json.loads(call["params"]["message"])["id"]
        result = {"result": {"type": "object", "value": {"v": "undefined"}}, "wasThrown": False}
        message = json.dumps({"id": inner, "result": result})
        params = {"targetId": call["params"]["targetId"], "message": message}
        self._playwright.send(json.dumps({"id": call["id"], "result": {}}))
        self._playwright.send(json.dumps({"method": "Target.dispatchMessageFromTarget", "params": params}))

    def _do(self, target: str, name: str, details: dict[str, Any]) -> None:
        if name == "mouseMove":
            with self._arrival(target, "pointermove") as scale:
                is_moved = self._hand.move(int(details["x"] * scale), int(details["y"] * scale))
                if not is_moved:
                    self._evaluate(target, "deskArrived = deskAwaited")
        elif name == "mouseEvent" and details["type"] == "mousedown":
            with self._arrival(target, "pointerdown"):
                self._hand.press(details["button"])
        elif name == "mouseEvent" and details["type"] == "mouseup":
            with self._arrival(target, "pointerup"):
                self._hand.release(details["button"])
        elif name == "wheel":
            with self._arrival(target, "wheel"):
                self._hand.turn_wheel(details["deltaY"] > 0)
        elif name == "keydown":
            with self._arrival(target, "keydown"):
                self._hand.key_down(details["key"])
        elif name == "keyup":
            with self._arrival(target, "keyup"):
                self._hand.key_up(details["key"])
        # Clicks and double clicks come by themselves.

    @contextmanager
    def _arrival(self, target: str, kind: str) -> Iterator[float]:
        """At the end, wait until the page has got an event of this kind. Gives how many of the window's
        pixels are one of the page's."""
        number = next(self._ids)
        scale = self._evaluate(
            target,
            f"deskAwaited = {number}, addEventListener('{kind}', () => {{ deskArrived = {number} }},"
            "{ capture: true, once: true }), outerWidth / innerWidth",
        )
        yield scale or 1.0
        until = time.monotonic() + ARRIVAL_S
        while time.monotonic() < until:
            # None: the event closed the page or loaded another one.
            if self._evaluate(target, f"globalThis.deskArrived === {number}") is not False:
                return
            time.sleep(0.002)  # a page cannot tell the relay by itself


def _evaluation(target: str, number: int, expression: str) -> str:
    params: dict[str, Any] = {"expression": expression, "returnByValue": True}
    inner = json.dumps({"id": number, "method": "Runtime.evaluate", "params": params})
    params = {"targetId": target, "message": inner}
    return json.dumps({"id": number, "method": "Target.sendMessageToTarget", "params": params})


def _answer(message: dict[str, Any]) -> tuple[int, Any] | None:
    """The number and the value, if it answers an evaluation of our own; the value is None where it failed."""
    if message.get("method") == "Target.dispatchMessageFromTarget":
        message = json.loads(message["params"]["message"])
    elif "error" not in message:
        return None
    number = message.get("id", 0)
    if number < OWN_IDS:
        return None
    return number, message.get("result", {}).get("result", {}).get("value")


def _input_call(message: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """What Playwright wants to make up in the page, and its details."""
    if message.get("method") != "Target.sendMessageToTarget" or "__pwWebViewInput" not in str(message):
        return None
    inner = json.loads(message["params"]["message"])
    if inner.get("method") != "Runtime.callFunctionOn":
        return None
    *_, source, _, details = [None, None, None, *(each.get("value") for each in inner["params"]["arguments"])]
    found = INPUT_CALL.match(str(source))
    return None if found is None else (found[1], _plain(details))


def _plain(value: Any) -> Any:
    """A value out of the form in which Playwright hands arguments to a page."""
    if isinstance(value, dict) and "o" in value:
        return {entry["k"]: _plain(entry["v"]) for entry in value["o"]}
    return None if isinstance(value, dict) else value
