"""A window on a small server of our own: what the window promises must hold for any page.

Run as a program with a data folder; test_window.py drives it from outside. With `attack` as second
argument the page itself tries what it must not be able to do, for engines that cannot be driven.
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
from urllib.parse import unquote

from deskside.backend.settings import Settings
from deskside.shell.desktop import WindowDesktop
from deskside.shell.engine import load_engine
from deskside.shell.signals import closing_on_signals
from deskside.shell.window import AppWindow, Opening

PAGE = b"""<!doctype html><title>Stand-in</title><meta charset="utf-8">
<h1>Stand-in page</h1>
<a id="outside" href="https://example.com/">outside</a>
<a id="blank" href="https://example.com/" target="_blank">outside, in a new window</a>
<a id="download" href="/file" download="file.bin">download</a>
"""

# Each attempt is given time to fail before the next one; the last line tells that the page still lives.
ATTACK = b"""<!doctype html><title>Attack</title><script type="module">
const pause = () => new Promise((done) => setTimeout(done, 150));
for (const url of ["https://example.com/a", "http://127.0.0.1:65000/", "file:///etc/passwd"]) {
  location.href = url;
  await pause();
}
window.open("https://example.org/");
await pause();
const link = document.createElement("a");
link.href = "https://example.net/";
link.target = "_blank";
link.click();
await pause();
const frame = document.createElement("iframe");
frame.src = "https://example.edu/";
document.body.append(frame);
await pause();
link.removeAttribute("target");
link.href = "/file";
link.click();
await pause();
const answers = {
  media: await (navigator.mediaDevices?.getUserMedia({ audio: true }) ?? Promise.reject(new Error("absent")))
    .then(() => "granted", (error) => error.name),
  notification: globalThis.Notification ? await Notification.requestPermission() : "denied",
  pywebview: typeof window.pywebview,
  bridge: typeof window.webkit?.messageHandlers?.jsBridge,
  styles: document.querySelectorAll("style, [style]").length,
  place: location.pathname,
};
await fetch(`/report?${encodeURIComponent(JSON.stringify(answers))}`);
</script>"""


class Site(BaseHTTPRequestHandler):
    """One-time boot URLs, a page, and a file that wants to be downloaded."""

    tokens: set[str] = set()
    start = "/"

    def do_GET(self) -> None:
        if self.path.startswith("/__boot/"):
            token = self.path.removeprefix("/__boot/")
            known = token in self.tokens
            self.tokens.discard(token)
            self._answer(303 if known else 403, b"", {"Location": self.start})
        elif self.path == "/file":
            self._answer(200, b"bytes", {"Content-Disposition": "attachment; filename=file.bin"})
        elif self.path == "/attack":
            self._answer(200, ATTACK, {"Content-Type": "text/html; charset=utf-8"})
        elif self.path.startswith("/report?"):
            print(unquote(self.path.removeprefix("/report?")), flush=True)
            self._answer(200, b"", {})
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

    Site.start = f"/{sys.argv[2]}" if len(sys.argv) > 2 else "/"
    window = AppWindow(load_engine(os.environ), Path(sys.argv[1]) / "window.json", WindowDesktop())
    with closing_on_signals(window.close) as take_signals, Opening(serve) as opening:
        window.show(opening.running, take_signals)
