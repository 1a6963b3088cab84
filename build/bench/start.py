"""How long the program takes to be usable, and how much memory it holds, beside the least that could be.

    python build/bench/start.py [--rounds 5]

The least is a pywebview window on a Litestar server with one small page. Both are started in turn as
processes of their own with the same Qt. Usable: the page has loaded what it shows, drawn a frame, and
told Python so; the time is since the process was asked for, read off every 10 ms. Memory: 5 s later, of
the process and all its children, as PSS (shared pages divided among those who share them) and RSS (they
are counted each time). Runs without a screen. The on-device model is not started.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
SETTLED_S = 5.0
READY = "the page is ready"

BARE = r"""
import asyncio, socket, threading
import uvicorn, uvloop, webview
from litestar import Litestar, Response, get

@get("/")
async def page() -> Response[bytes]:
    body = b"<!doctype html><title>bare</title><button>bare</button><script src=/x.js></script>"
    return Response(body, media_type="text/html")

@get("/x.js")
async def script() -> Response[bytes]:
    return Response(b"requestAnimationFrame(() => fetch('/ready'))", media_type="text/javascript")

@get("/ready")
async def ready() -> None:
    print("the page is ready", flush=True)

sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
sock.bind(("127.0.0.1", 0)); sock.listen()
app = Litestar([page, script, ready], openapi_config=None, logging_config=None)
config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning", ws="none")
def run():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[sock]))
threading.Thread(target=run, daemon=True).start()
webview.create_window("bare", f"http://127.0.0.1:{sock.getsockname()[1]}/", width=1100, height=780)
webview.start(gui="qt")
"""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Cold start and memory beside a bare window.")
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    found: dict[str, list[tuple[float, float, float]]] = {"bare": [], "Deskside": []}
    for number in range(rounds + 1):
        for name in found:
            figures = once(name)
            if number:  # the first of each warms the disk's cache
                found[name].append(figures)
    for column, unit in enumerate(("ms to usable", "MB PSS", "MB RSS")):
        bare = [figures[column] for figures in found["bare"]]
        ours = [figures[column] for figures in found["Deskside"]]
        ratios = [own / other for own, other in zip(ours, bare, strict=True)]
        print(
            f"{unit:13} bare {statistics.median(bare):7.0f}   Deskside {statistics.median(ours):7.0f}   "
            f"ratio {min(ratios):.2f} {statistics.median(ratios):.2f} {max(ratios):.2f} (min, median, max)"
        )
    return 0


def once(name: str) -> tuple[float, float, float]:
    """Start one of the two and return milliseconds to usable, and its tree's PSS and RSS in MB."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        started_s = time.monotonic()
        with out.open("wb") as sink:
            process = subprocess.Popen(command(name, folder), env=environment(), stdout=sink, stderr=sink)
        try:
            ready_ms = wait_until_ready(process, Path(folder), started_s)
            time.sleep(SETTLED_S)
            pss, rss = memory_mb(process.pid)
        finally:
            process.terminate()
            process.wait(20)
    return ready_ms, pss, rss


def command(name: str, folder: str) -> list[str]:
    if name == "bare":
        return [sys.executable, "-c", BARE]
    return [sys.executable, "-m", "deskside", "--data-dir", f"{folder}/data"]


def environment() -> dict[str, str]:
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    return {
        **os.environ,
        "PYTHONPATH": roots,
        "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
    }


def wait_until_ready(process: subprocess.Popen[bytes], folder: Path, started_s: float) -> float:
    while time.monotonic() < started_s + 60 and process.poll() is None:
        for file in [folder / "out", *folder.rglob("*.log")]:
            if READY in file.read_text(errors="replace"):
                return 1000 * (time.monotonic() - started_s)
        time.sleep(0.01)
    raise SystemExit("it did not become usable: " + (folder / "out").read_text(errors="replace")[-2000:])


def memory_mb(pid: int) -> tuple[float, float]:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    infos = [member.memory_full_info() for member in family]
    return sum(info.pss for info in infos) / 1e6, sum(info.rss for info in infos) / 1e6


if __name__ == "__main__":
    sys.exit(main())
