"""Round trips from the page to Python and back, in one real window.

    python build/bench/bridge.py [--rounds 5] [--calls 400]

Three ways in the same Qt window, taken in turn: a bare WebSocket echo (no framing, no dispatch), our
bridge's `diagnostics.echo` (guard, dispatch, decoding, timing), and pywebview's own `js_api`. Prints
milliseconds and, for each round, the ratio to the bare echo. Needs Qt; runs without a screen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

# Each way is a JavaScript function that makes one call and resolves when the answer is there.
WAYS = {
    "bare WebSocket": """async () => {
        const ws = new WebSocket(`ws://${location.host}/echo`);
        await new Promise((open) => { ws.onopen = open; });
        return () => new Promise((done) => {
            ws.onmessage = (event) => done(JSON.parse(event.data)); ws.send(JSON.stringify({ text: "x" }));
        });
    }""",
    "js_api": "async () => () => window.pywebview.api.echo({ text: 'x' })",
    "bridge": """async () => {
        const ws = new WebSocket(`ws://${location.host}/bridge`);
        await new Promise((open) => { ws.onopen = open; });
        const waiting = new Map(); let last = 0;
        ws.onmessage = (event) => {
            const frame = JSON.parse(event.data);
            if (frame.t === "ok") { waiting.get(frame.id)(frame.data); waiting.delete(frame.id); }
        };
        return () => new Promise((done) => {
            waiting.set(++last, done);
            const requestId = crypto.randomUUID().slice(0, 12);
            ws.send(JSON.stringify({
                t: "call", id: last, cmd: "diagnostics.echo", params: { text: "x" }, requestId,
            }));
        });
    }""",
}
MEASURE = """async (calls) => {
    const call = await (%s)();
    for (let warm = 0; warm < 50; warm++) await call();
    const times = [];
    for (let n = 0; n < calls; n++) {
        const start = performance.now(); await call(); times.push(performance.now() - start);
    }
    return times;
}"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--calls", type=int, default=400)
    arguments.add_argument("--window", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.window:
        return host_window()
    return measure(options.rounds, options.calls)


def measure(rounds: int, calls: int) -> int:
    from playwright.sync_api import sync_playwright

    port = free_port()
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        "QTWEBENGINE_REMOTE_DEBUGGING": f"127.0.0.1:{port}",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu",
    }
    window = subprocess.Popen(
        [sys.executable, __file__, "--window"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert window.stdout is not None
    try:
        urls = json.loads(window.stdout.readline())
        p50: dict[str, list[float]] = {way: [] for way in WAYS}
        every: dict[str, list[float]] = {way: [] for way in WAYS}
        with sync_playwright() as playwright:
            page = attach(playwright, port, urls["bare"])
            page.goto(urls["boot"])  # the session's cookie stays for the later rounds
            for _ in range(rounds):
                for way, script in WAYS.items():
                    page.goto(urls["ours"] if way == "bridge" else urls["bare"])
                    if way == "js_api":
                        page.wait_for_function("() => window.pywebview?.api?.echo")
                    times = page.evaluate(MEASURE % script, calls)
                    p50[way].append(statistics.median(times))
                    every[way] += times
    finally:
        window.terminate()
        window.wait(10)
    report(p50, every)
    return 0


def attach(playwright: Any, port: int, url: str) -> Any:
    """The window's page, once it is there."""
    from playwright.sync_api import Error

    until = time.monotonic() + 30
    while True:
        try:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", no_defaults=True)
            return next(page for page in browser.contexts[0].pages if page.url.startswith(url))
        except (Error, StopIteration):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def report(p50: dict[str, list[float]], every: dict[str, list[float]]) -> None:
    print(f"{'':16}{'p50 ms':>9}{'p95 ms':>9}   ratio of p50 to the bare WebSocket (min, median, max)")
    for way, times in every.items():
        ratios = [own / bare for own, bare in zip(p50[way], p50["bare WebSocket"], strict=True)]
        times.sort()
        print(
            f"{way:16}{statistics.median(times):9.3f}{times[int(len(times) * 0.95)]:9.3f}"
            f"   {min(ratios):.2f}  {statistics.median(ratios):.2f}  {max(ratios):.2f}"
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def bare_echo(scope: Any, receive: Any, send: Any) -> None:
    """The least an ASGI program can do: send back each text."""
    if scope["type"] == "http":
        # Isolated as our own page is: only then does the web engine's clock resolve microseconds.
        headers = [
            (b"content-type", b"text/html"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-embedder-policy", b"require-corp"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html><title>bare</title>"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": json.dumps(json.loads(message["text"]))})


class Api:
    def echo(self, params: Any) -> Any:
        return params


def host_window() -> int:
    """The window's process: both servers in one thread with one loop, and pywebview."""
    import uvicorn
    import uvloop
    import webview

    from deskside.backend.event_buffer import EventBuffer
    from deskside.bridge.desktop import NoDesktop
    from deskside.bridge.server import Server

    web = Path(tempfile.mkdtemp())
    (web / "index.html").write_text("<!doctype html><title>ours</title>")
    bare_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bare_socket.bind(("127.0.0.1", 0))
    bare = f"http://127.0.0.1:{bare_socket.getsockname()[1]}/"
    ready = threading.Event()
    ours: list[Server] = []

    async def serve() -> None:
        app: Any = SimpleNamespace(events=EventBuffer())
        ours.append(Server(app, NoDesktop(), web))
        await ours[0].start()
        config = uvicorn.Config(
            bare_echo,
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            access_log=False,
            log_level="warning",
            lifespan="off",
        )
        ready.set()
        await uvicorn.Server(config).serve(sockets=[bare_socket])

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    print(json.dumps({"bare": bare, "ours": ours[0].origin + "/", "boot": ours[0].boot_url()}), flush=True)
    webview.create_window("bench", bare, js_api=Api())  # the bench compares with it
    webview.start(gui="qt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
