"""The terminal's side of the bridge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from deskside.shell.client import Client


class ClosesBehindItsBack(BaseHTTPRequestHandler):
    """Promises to keep the connection and closes it, as a server does after some seconds of silence."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(b'{"ok": true, "data": 1, "requestId": "a"}')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("set-cookie", "deskside_1=x; Path=/")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), ClosesBehindItsBack) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/__boot/x"
        finally:
            server.shutdown()
            thread.join()


def test_a_call_after_a_long_silence_still_arrives() -> None:
    with serving() as url, Client(url) as client:
        assert [1, 1] == [client.call("runs.start"), client.call("runs.stop")]
