"""Who knows the newest Deskside, on this machine: signs what it says with a key of its own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from update_manifest import public_key_of, signed

NEWER = "9.0.0"
NOW_MS = 1_796_000_000_000


class Request(NamedTuple):
    path: str
    headers: dict[str, str]


def manifest(*versions: str, **changes: Any) -> dict[str, Any]:
    """The newest first."""
    return {
        "signed_ms": NOW_MS,
        "releases": [
            {"version": version, "date": "2026-12-01", "notes": f"- What is new in {version}."}
            for version in versions
        ],
        "oldest_supported": "0.1.0",
        "downloads": {
            system: f"https://deskside.example/{system}" for system in ("linux", "darwin", "windows")
        },
        **changes,
    }


class ReleaseServer:
    """Answers every GET with `body`. `goes_on` is waited for before the body's last byte."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/latest.json"

    @property
    def environ(self) -> dict[str, str]:
        return {"DESKSIDE_UPDATE_URL": self.url, "DESKSIDE_UPDATE_KEY": public_key_of(self.key)}

    def say(self, *versions: str, **changes: Any) -> None:
        """These are the releases, the newest first."""
        self.body = signed(manifest(*versions, **changes), self.key)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                here.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}))
                self.send_response(here.status)
                for name, value in here.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(here.body)))
                self.end_headers()
                try:
                    self.wfile.write(here.body[:-1])
                    here.goes_on.wait()
                    self.wfile.write(here.body[-1:])
                except ConnectionError:
                    pass  # who asked has heard enough

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
