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
from deskside.shell.desktop import WindowDesktop
from deskside.shell.engine import choose_engine
from deskside.shell.window import AppWindow, Opening

PAGE = b"""<!doctype html><title>Stand-in</title><meta charset="utf-8">
<h1>Stand-in page</h1>
<a id="outside" href="https://example.com/">outside</a>
<a id="blank" href="https://example.com/" target="_blank">outside, in a new window</a>
<a id="download" href="/file" download="file.bin">download</a>
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

    window = AppWindow(choose_engine(os.environ), Path(sys.argv[1]) / "window.json", WindowDesktop())
    with Opening(serve) as opening:
        window.show(opening.running)
