"""Who may talk to us at all: an ASGI guard in front of everything else.

Loopback is no boundary: any web page the user visits can send requests to 127.0.0.1, and any program
of any user on the machine can connect. So every request needs the session cookie, which is given only
for a one-time URL that the window is opened with, and must look like it comes from our own page.

  - `Host` must be exactly ours: a page that rebinds its own DNS name to 127.0.0.1 sends its name.
  - `Origin`, where sent, must be ours; it must be sent with a WebSocket and with anything but GET.
  - `Sec-Fetch-Site`, where sent, must be `same-origin` or `none`.
  - The cookie is HttpOnly and SameSite=Strict. Cookies ignore ports, so its name holds ours, and those of
    other programs on this machine, which may be written in any way, come along.
  - `/metrics`, where it is switched on, is also given to who sends its token: Prometheus has no cookies.
  - None of these headers may come twice: two readers could each believe another one.

Whoever fails gets a bare 403. The log gets one line for each kind of failure, without detail: the
detail could be a token.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any

from loguru import logger

from deskside.bridge import prometheus

BOOT_PATH = "/__boot/"
# The window opens its URL at once; a minute covers a machine that is swapping.
BOOT_LIFETIME_S = 60.0

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self' ws://{host}; media-src 'self' blob:; worker-src 'self'; frame-src 'none'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default dompurify"
)
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "magnetometer",
        "microphone",
        "midi",
        "publickey-credentials-get",
        "serial",
        "xr-spatial-tracking",
    )
)

# ASGI gives the names of headers in lower case.
CHECKED = (b"host", b"origin", b"sec-fetch-site", b"cookie", b"authorization")

Scope = dict[str, Any]


class Guard:
    """The session of one run of the program, and the check that every request passes. `metrics_token` opens
    `GET /metrics` and nothing else."""

    def __init__(self, host: str, metrics_token: str | None = None) -> None:
        self._metrics_token = metrics_token
        self.host = host
        self.origin = f"http://{host}"
        self._cookie = f"deskside_{host.rsplit(':', 1)[-1]}"
        self._session = secrets.token_urlsafe(32)
        self._boot_tokens: dict[str, float] = {}
        self._refusals: set[str] = set()
        self._headers = [
            (b"content-security-policy", CONTENT_SECURITY_POLICY.format(host=host).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-embedder-policy", b"require-corp"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", PERMISSIONS_POLICY.encode()),
        ]

    def boot_url(self) -> str:
        """A URL that works once, for 60 s, and gives whoever opens it the session. Any thread."""
        self._drop_old_tokens()
        token = secrets.token_urlsafe(32)
        self._boot_tokens[token] = time.monotonic() + BOOT_LIFETIME_S
        return f"{self.origin}{BOOT_PATH}{token}"

    def wrap(self, app: Any) -> Any:
        """The ASGI application behind this guard."""

        async def guarded(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] not in ("http", "websocket"):
                await app(scope, receive, send)
                return
            token = self._boot_token(scope)
            refusal = self._refusal(scope, needs_cookie=token is None and not self._is_scraper(scope))
            if refusal is None and token is not None and not self._redeem(token):
                refusal = "a boot token that is wrong, old or used"
            if refusal is not None:
                self._log(refusal)
                await _refuse(scope, receive, send)
            elif token is not None:
                await self._open_session(send)
            else:
                await app(scope, receive, self._with_headers(send))

        return guarded

    def _boot_token(self, scope: Scope) -> str | None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(BOOT_PATH):
            return str(scope["path"][len(BOOT_PATH) :])
        return None

    def _is_scraper(self, scope: Scope) -> bool:
        token = self._metrics_token
        is_asked = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == prometheus.PATH
        return is_asked and token is not None and prometheus.is_scraper(scope["headers"], token)

    def _refusal(self, scope: Scope, *, needs_cookie: bool) -> str | None:
        checked = [(name, value) for name, value in scope["headers"] if name in CHECKED]
        headers = {name.decode(): value.decode("latin-1") for name, value in checked}
        origin = headers.get("origin")
        if len(headers) < len(checked):
            return "a header that came twice"
        if headers.get("host") != self.host:
            return "another Host"
        if origin is not None and origin != self.origin:
            return "another Origin"
        if origin is None and (scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")):
            return "no Origin"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "another site"
        if needs_cookie and not self._has_session(headers.get("cookie", "")):
            return "no session"
        return None

    def _has_session(self, header: str) -> bool:
        # Not http.cookies: at the first cookie that it finds odd it forgets all others.
        given = [pair.strip().partition("=") for pair in header.split(";")]
        return any(
            name == self._cookie and hmac.compare_digest(value.encode(), self._session.encode())
            for name, _, value in given
        )

    def _redeem(self, token: str) -> bool:
        self._drop_old_tokens()
        return self._boot_tokens.pop(token, None) is not None

    def _drop_old_tokens(self) -> None:
        now = time.monotonic()
        for token, until in list(self._boot_tokens.items()):
            if until < now:
                self._boot_tokens.pop(token, None)

    async def _open_session(self, send: Any) -> None:
        cookie = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        headers = [
            (b"location", b"/"),
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
            (b"content-length", b"0"),
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _with_headers(self, send: Any) -> Any:
        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        return send_with_headers

    def _log(self, refusal: str) -> None:
        level = "DEBUG" if refusal in self._refusals else "WARNING"
        self._refusals.add(refusal)
        logger.log(level, "refused a request: {}", refusal)


async def _refuse(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Closing before accepting is answered as HTTP 403.
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store"), (b"content-length", b"9")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"forbidden"})
