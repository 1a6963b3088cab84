"""How soon the program is usable, and what it takes of the machine at rest, beside the least that could be.

    python build/bench/start.py [--rounds 5] [--idle-s 60] [--engine gtk]
    /usr/lib/deskside/bin/deskside build/bench/start.py --installed

The least is a pywebview window on a Litestar server with one small page, with a button in it. Ours shows an
empty chat, its field ready for a question. Both are started in turn, each time the other one first, as
processes of their own with the same engine, Qt unless said otherwise: from the checkout or, with --installed,
by a Python in which Deskside is installed (the second line: that of the Debian package). A first round of
both warms the disk's cache; of the others the median is told, and the quartiles in brackets.

Usable: the page has loaded what it shows, drawn a frame, and told Python so; the time is since the process
was asked for, read off every 10 ms. Memory: 5 s later, of the process and all its children, as PSS (shared
pages divided among those who share them), USS (what only one of them has) and RSS (shared pages are counted
each time). Idle: processor time of them all in the --idle-s after that, as a part of one core, with the
window open and nothing running.

Qt runs without a screen where there is none; WebKitGTK wants one. A window that does not have the keyboard
shows no caret, so measure on a desktop, or run a window manager on Xvfb. The on-device model is not started.
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
UNITS = ("ms to usable", "MB PSS", "MB USS", "MB RSS", "% of a core")
READY = "the page is ready"

BARE = r"""
import asyncio, socket, sys, threading
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
webview.start(gui=sys.argv[1])
"""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Cold start, memory and idle CPU beside a bare window.")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--idle-s", type=float, default=10)
    arguments.add_argument("--engine", choices=["qt", "gtk"])
    arguments.add_argument("--installed", action="store_true", help="not the checkout's program")
    options = arguments.parse_args()
    # What the Debian package has is WebKitGTK.
    engine = options.engine or ("gtk" if options.installed else "qt")
    found: dict[str, list[list[float]]] = {"bare": [], "Deskside": []}
    for number in range(options.rounds + 1):
        for name in sorted(found, reverse=number % 2 == 1):
            figures = once(name, engine, options.installed, options.idle_s if number else 0)
            if number:
                found[name].append(figures)
    for column, unit in enumerate(UNITS):
        bare = [figures[column] for figures in found["bare"]]
        ours = [figures[column] for figures in found["Deskside"]]
        # A bare window at rest may take less than a tick of the clock.
        ratios = [own / other for own, other in zip(ours, bare, strict=True) if other]
        print(f"{unit:13} bare {spread(bare)}   Deskside {spread(ours)}   ratio {spread(ratios)}")
    return 0


def spread(figures: list[float]) -> str:
    """The median and the quartiles."""
    if len(figures) < 2:
        return f"{figures[0]:.2f}" if figures else "-"
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def once(name: str, engine: str, is_installed: bool, idle_s: float) -> list[float]:
    """Start one of the two and return its figures in the order of `UNITS`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        started_s = time.monotonic()
        with out.open("wb") as sink:
            process = subprocess.Popen(
                command(name, engine, is_installed, folder),
                env=environment(engine, is_installed),
                stdout=sink,
                stderr=sink,
            )
        try:
            ready_ms = wait_until_ready(process, Path(folder), started_s)
            time.sleep(SETTLED_S)
            memory = memory_mb(process.pid)
            idle_percent = processor_percent(process.pid, idle_s) if idle_s else 0.0
        finally:
            process.terminate()
            process.wait(20)
    return [ready_ms, *memory, idle_percent]


def command(name: str, engine: str, is_installed: bool, folder: str) -> list[str]:
    python = [sys.executable, *(["-I"] if is_installed else [])]
    if name == "bare":
        return [*python, "-c", BARE, engine]
    return [*python, "-m", "deskside", "--data-dir", f"{folder}/data"]


def environment(engine: str, is_installed: bool) -> dict[str, str]:
    environ = {**os.environ, "DESKSIDE_WINDOW": engine, "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    # With a model chosen it shows a chat; nothing is asked of it.
    environ["DESKSIDE_MODEL"] = "openai/gpt-5"
    if not is_installed:
        roots = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
        # Behind them what the caller has: python3-gi, say, which a virtual environment does not see.
        environ["PYTHONPATH"] = os.pathsep.join([*roots, *filter(None, [environ.get("PYTHONPATH")])])
    if engine == "qt" and "DISPLAY" not in environ:
        environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return environ


def wait_until_ready(process: subprocess.Popen[bytes], folder: Path, started_s: float) -> float:
    while time.monotonic() < started_s + 60 and process.poll() is None:
        for file in [folder / "out", *folder.rglob("*.log")]:
            if READY in file.read_text(errors="replace"):
                return 1000 * (time.monotonic() - started_s)
        time.sleep(0.01)
    raise SystemExit("it did not become usable: " + (folder / "out").read_text(errors="replace")[-2000:])


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def memory_mb(pid: int) -> tuple[float, float, float]:
    """PSS, USS and RSS."""
    infos = [member.memory_full_info() for member in family(pid)]
    return tuple(sum(getattr(info, kind) for info in infos) / 1e6 for kind in ("pss", "uss", "rss"))


def processor_percent(pid: int, seconds: float) -> float:
    # The time of a child that ends meanwhile moves to its parent, as one of its children's.
    before_s = sum(sum(member.cpu_times()[:4]) for member in family(pid))
    time.sleep(seconds)
    return 100 * (sum(sum(member.cpu_times()[:4]) for member in family(pid)) - before_s) / seconds


if __name__ == "__main__":
    sys.exit(main())
