"""Talking to a backend as the page does: a boot URL for the session, HTTP for calls, and the
WebSocket for events. The terminal commands use it for a running Deskside and for their own alike."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deskside.backend.errors import AppError, Internal, StoreBusy

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

# A call can wait for a provider's answer (a key test, a list of models).
CALL_LIMIT_S = 120.0
CONNECT_LIMIT_S = 10.0
FRAME_LIMIT_BYTES = 64 * 2**20


class Refused(AppError):
    """The backend answered a call with an error: its message and hint."""


class Client:
    """A session with the backend that made `boot_url`. `is_of_another` says that it is another process's."""

    is_of_another = False

    def __init__(self, boot_url: str) -> None:
        address = urlsplit(boot_url)
        self.host = address.netloc
        self.origin = f"{address.scheme}://{address.netloc}"
        self._http = http.client.HTTPConnection(address.netloc, timeout=CALL_LIMIT_S)
        reply = self._send("GET", address.path, None, {})
        cookie = reply.headers.get("set-cookie")
        if cookie is None:
            raise StoreBusy("The running Deskside did not let this command in.", hint="Try again.")
        self._cookie = cookie.split(";")[0]

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def envelope(self, command: str, params: Any = None) -> dict[str, Any]:
        """The whole reply of one command, `ok` or not."""
        headers = {"Cookie": self._cookie, "Origin": self.origin, "Content-Type": "application/json"}
        reply = self._send("POST", f"/rpc/{command}", json.dumps(params).encode(), headers)
        if reply.status != 200:
            raise Internal(
                f"Deskside answered {command} with status {reply.status}.", hint="The log says why."
            )
        envelope: dict[str, Any] = json.loads(reply.body)
        return envelope

    def call(self, command: str, params: Any = None) -> Any:
        """The data of one command's reply. Raises Refused where it failed."""
        return unwrap(self.envelope(command, params))

    @contextmanager
    def socket(self) -> Iterator[ClientConnection]:
        """The WebSocket, greeted: every event from here on arrives on it."""
        from websockets.sync.client import connect
        from websockets.typing import Origin

        with connect(
            f"ws://{self.host}/bridge",
            origin=Origin(self.origin),
            additional_headers={"Cookie": self._cookie},
            open_timeout=CONNECT_LIMIT_S,
            compression=None,
            proxy=None,
            max_size=FRAME_LIMIT_BYTES,
        ) as connection:
            connection.recv(timeout=CONNECT_LIMIT_S)  # hello
            yield connection

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> _Reply:
        try:
            self._http.request(method, path, body, headers)
            response = self._http.getresponse()
            return _Reply(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise StoreBusy("The running Deskside was closed.", hint="Start it again.") from error
        finally:
            # The server closes a connection that is silent for 5 s, and an answer can take minutes. The
            # next request opens a new one.
            self._http.close()


class _Reply:
    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def unwrap(envelope: dict[str, Any]) -> Any:
    """The data of an envelope. Raises Refused with what it says."""
    if envelope["ok"]:
        return envelope["data"]
    error = envelope["error"]
    raise Refused(error["message"], hint=error["hint"])
