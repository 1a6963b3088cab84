"""A window on a small server of our own: what the window promises must hold for any page.

Run as a program with a data folder; test_window.py drives it from outside.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deskside.backend.settings import Settings
from deskside.bridge.guard import CONTENT_SECURITY_POLICY
from deskside.shell.desktop import WindowDesktop
from deskside.shell.engine import load_engine
from deskside.shell.signals import closing_on_signals
from deskside.shell.window import AppWindow, Opening

PAGE = b"""<!doctype html><title>Stand-in</title><meta charset="utf-8">
<h1>Stand-in page</h1>
<a id="outside" href="https://example.com/">outside</a>
<a id="blank" href="https://example.com/" target="_blank">outside, in a new window</a>
<button id="window" onclick="window.open('/')">a window</button>
<button id="popup" onclick="window.opened = window.open('https://example.com/') !== null">outside</button>
<a id="download" href="/file" download="file.bin">download</a>
<a id="unknown" href="/file">a file that is no page</a>
"""

# Under the program's own policy for its page. The script is the page's; what it tries must come to nothing.
GUARDED = b"""<!doctype html><title>Guarded</title><meta charset="utf-8">
<script>window.ranInline = true</script>
<h1 style="color: rgb(1, 2, 3)">Guarded page</h1>
<output id="report"></output>
<script type="module" src="/attempts.js"></script>
"""
ATTEMPTS = b"""
const elsewhere = "https://example.com/x?secret";
const outcome = (attempt) =>
  new Promise((resolve) => attempt(() => resolve("done"), () => resolve("blocked")));
const attempts = {
  "inline script": (done, blocked) => (window.ranInline ? done() : blocked()),
  "script of text": (done, blocked) => (new Function("return 1")(), done()),
  "script from elsewhere": (done, blocked) => {
    const script = document.createElement("script");
    Object.assign(script, { onload: done, onerror: blocked }).src = elsewhere;
    document.body.append(script);
  },
  "inline style": (done, blocked) =>
    getComputedStyle(document.querySelector("h1")).color === "rgb(1, 2, 3)" ? done() : blocked(),
  "markup": (done) => { document.body.insertAdjacentHTML("beforeend", "<img>"); done(); },
  "fetch": (done, blocked) => fetch(elsewhere).then(done, blocked),
  "image": (done, blocked) => {
    Object.assign(new Image(), { onload: done, onerror: blocked }).src = elsewhere;
  },
  "socket": (done, blocked) => {
    Object.assign(new WebSocket("wss://example.com/"), { onopen: done, onerror: blocked });
  },
  "worker": (done, blocked) => {
    const url = URL.createObjectURL(new Blob(["postMessage(1)"]));
    Object.assign(new Worker(url), { onmessage: done, onerror: blocked });
  },
  "frame": (done, blocked) => {
    document.addEventListener("securitypolicyviolation", (event) => {
      if (event.effectiveDirective === "frame-src") blocked();
    });
    const frame = document.createElement("iframe");
    frame.src = "/";
    document.body.append(frame);
    frame.onload = () => frame.contentDocument?.querySelector("h1") && done();
  },
};
const report = {};
for (const [name, attempt] of Object.entries(attempts)) {
  report[name] = await outcome((done, blocked) => { try { attempt(done, blocked); } catch { blocked(); } });
}
document.querySelector("#report").textContent = JSON.stringify(report);
"""


class Site(BaseHTTPRequestHandler):
    """One-time boot URLs, a page, and a file that wants to be downloaded."""

    tokens: set[str] = set()

    def do_GET(self) -> None:
        if self.path.startswith("/__boot/"):
            token = self.path.removeprefix("/__boot/")
            known = token in self.tokens
            self.tokens.discard(token)
            self._answer(303 if known else 403, b"", {"Location": "/"})
        elif self.path == "/file":
            self._answer(200, b"bytes", {"Content-Disposition": "attachment; filename=file.bin"})
        elif self.path == "/guarded":
            policy = CONTENT_SECURITY_POLICY.format(host=self.headers["Host"])
            self._answer(
                200,
                GUARDED,
                {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy},
            )
        elif self.path == "/attempts.js":
            self._answer(200, ATTEMPTS, {"Content-Type": "text/javascript"})
        else:
            self._answer(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_address[1]}"

    def boot_url() -> str:
        token = secrets.token_urlsafe(16)
        Site.tokens.add(token)
        return f"{origin}/__boot/{token}"

    settings = SimpleNamespace(current=Settings(theme="dark"))
    print(json.dumps({"origin": origin}), flush=True)
    yield SimpleNamespace(origin=origin, boot_url=boot_url, app=SimpleNamespace(settings=settings))
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    import os

    window = AppWindow(load_engine(os.environ), Path(sys.argv[1]) / "window.json", WindowDesktop())
    with closing_on_signals(window.close) as take_signals, Opening(serve) as opening:
        window.show(opening.running, take_signals)
