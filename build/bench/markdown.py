"""What an update of a streaming answer costs the page's main thread, in a real Chromium or in Qt's.

    python build/bench/markdown.py [--window] [--json]

A 24 KB answer arrives in 20-character pieces. Per update: script, style and layout, from applying the
piece to after a forced layout; then the same text rendered whole at each piece, as baseline. The page runs
under the product's Content-Security-Policy, and the hostile corpus of the unit tests runs in it too: any
script that runs, any request that leaves, any violation is listed and makes the exit code 1.

With `--window` all of it happens in a pywebview window of Qt, as in the product, without a screen if need be.
Printed besides is the first pass, in which the engine has compiled nothing yet.

Needs Node, `npm ci` in frontend/, Playwright for Python and a Chromium (`--chromium PATH`) or Qt; says so
where one is missing. None of them is needed by the product, but Qt.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, Page, Playwright, Request

HERE = Path(__file__).resolve().parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; frame-src 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default dompurify"
)
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Markdown bench</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/bench.css">
<script type="module" src="/bench.js"></script></head><body></body></html>"""
MEAN_LIMIT_MS = 2.0
MAX_LIMIT_MS = 50.0
SLOW_SIZE_CHARS = 20_000
WINDOW_WITHIN_S = 30
WINDOW = """
import sys, webview
# Without text_select pywebview writes a style of its own into the page, which the policy refuses.
webview.create_window("bench", sys.argv[1], width=900, height=800, text_select=True)
webview.start(gui="qt")
"""


class _Files(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the hostile texts ask for many files that do not exist."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback under the product's policy; yields the origin."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Files, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def in_chromium(executable: str, address: str) -> Iterator[Page]:
    """An empty page of a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 800})
        page.goto(address)
        yield page
        browser.close()


@contextmanager
def in_window(address: str) -> Iterator[Page]:
    """The page of a pywebview window, through its debugging port."""
    from playwright.sync_api import sync_playwright

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        "QTWEBENGINE_REMOTE_DEBUGGING": f"127.0.0.1:{port}",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu",
    }
    command = [sys.executable, "-c", WINDOW, address]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as window:
        try:
            with sync_playwright() as playwright:
                yield _attach(playwright, port, address)
        finally:
            window.terminate()


def _attach(playwright: Playwright, port: int, address: str) -> Page:
    from playwright.sync_api import Error

    until = time.monotonic() + WINDOW_WITHIN_S
    while True:
        try:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", no_defaults=True)
            return next(page for page in browser.contexts[0].pages if page.url == address)
        except (Error, StopIteration):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)  # there is no event for "the debugging port is open"


def measure(page: Page, origin: str) -> dict[str, Any]:
    """Run every measurement of the page."""
    alarms = _listen(page, origin)
    page.goto(f"{origin}/index.html", wait_until="networkidle")
    page.evaluate("bench.warmUp()")
    page.wait_for_timeout(500)  # The lazy chunks come over HTTP; nothing on the page says that they did.
    # The second pass counts: the first also compiles the script.
    results = {"first": page.evaluate("bench.stream()")}
    for name in ("stream", "naive", "longList", "longCode", "formulas"):
        results[name] = page.evaluate(f"bench.{name}()")
    results["slowest"] = page.evaluate(f"bench.slowest({SLOW_SIZE_CHARS})")
    results["dangers"] = page.evaluate("bench.hostile()")
    page.wait_for_timeout(500)  # Time for what must not happen: a late error handler, a request.
    results["alarms"] = alarms
    return results


def _listen(page: Page, origin: str) -> list[str]:
    """Collect what must not happen on the page: script that runs, violations, requests to elsewhere."""
    alarms: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        alarms.append(f"script ran: {dialog.message}")
        dialog.dismiss()

    def on_console(line: ConsoleMessage) -> None:
        # Chromium words violations in two ways; a missing file is none, and hostile images are missing files.
        if "Security Policy" in line.text or "requires 'Trusted" in line.text:
            alarms.append(line.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((origin, "data:")):
            alarms.append(f"asked for {request.url}")

    page.on("dialog", on_dialog)
    page.on("pageerror", lambda error: alarms.append(f"error: {error}"))
    page.on("console", on_console)
    page.on("request", on_request)
    return alarms


def report(results: dict[str, Any]) -> None:
    """Print the figures for a person."""
    ratio = results["naive"]["mean_ms"] / results["stream"]["mean_ms"]
    for name, label in (
        ("first", "24 KB answer, ours, first pass"),
        ("stream", "24 KB answer, ours"),
        ("naive", "24 KB answer, whole text each time"),
        ("longList", "one list of 200 items"),
        ("longCode", "one open code block of 200 lines"),
    ):
        row = results[name]
        print(
            f"{label:<36} {row['updates']:>5} updates   mean {row['mean_ms']:>7.3f} ms   "
            f"p95 {row['p95_ms']:>7.3f} ms   max {row['max_ms']:>7.3f} ms"
        )
    print(f"ratio to whole-text rendering: {ratio:.0f} times less")
    print(f"slowest of the texts made to be slow ({SLOW_SIZE_CHARS:,} characters):")
    for row in results["slowest"]:
        print(f"  {row['ms']:>5} ms  {row['name']}")
    print(f"formulas: {results['formulas']}")
    for danger in [*results["dangers"], *results["alarms"]]:
        print(f"DANGER: {danger}")


def has_passed(results: dict[str, Any]) -> bool:
    """Within the limits, with both formulas as MathML, and nothing hostile got through?"""
    ours = results["stream"]
    fast = ours["mean_ms"] <= MEAN_LIMIT_MS and ours["max_ms"] <= MAX_LIMIT_MS
    are_mathml = [line.startswith("http://www.w3.org/1998/Math/MathML") for line in results["formulas"]]
    return fast and are_mathml == [True, True] and not results["dangers"] and not results["alarms"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Cost of an update of a streaming answer, in a real Chromium."
    )
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--window", action="store_true", help="in a pywebview window of Qt")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if (options.chromium is None and not options.window) or shutil.which("node") is None:
        print(
            "This needs Node and a Chromium: install both, or give --chromium PATH or --window.",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", HERE / "markdown.mjs", folder], check=True, timeout=120)
        Path(folder, "index.html").write_text(PAGE, encoding="utf-8")
        Path(folder, "empty.html").write_text("<!doctype html><title>bench</title>", encoding="utf-8")
        with served(Path(folder)) as origin:
            address = f"{origin}/empty.html"
            where = in_window(address) if options.window else in_chromium(options.chromium, address)
            with where as page:
                results = measure(page, origin)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        report(results)
    return 0 if has_passed(results) else 1


if __name__ == "__main__":
    sys.exit(main())
