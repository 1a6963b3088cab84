"""Which addresses the window may show and ask for: our own page's, and nothing else.

Invariants
  - Until the backend has said where the page is, nothing at all may be loaded.
  - A blocked navigation never opens anything outside. Engines report a script's navigation as a
    click on a link, so the browser is opened by the bridge's `desktop.open_link` command alone.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

# Made by the page itself, without a request: images and workers from bytes it already has.
OWN_SCHEMES = frozenset({"data", "blob"})


class PageLock:
    """The page's origin once it is known, and fresh addresses to load it from.

    Written once by the thread that opens the backend, read by the window's thread.
    """

    def __init__(self) -> None:
        self._host = ""
        self._boot_url: Callable[[], str] | None = None

    def unlock(self, origin: str, boot_url: Callable[[], str]) -> None:
        """From now on `origin` ("http://127.0.0.1:4321") may be shown; `boot_url` mints one-time URLs."""
        self._host = urlsplit(origin).netloc
        self._boot_url = boot_url

    def fresh_url(self, shown: str = "") -> str:
        """A new one-time address of the page. RuntimeError before `unlock`.

        `shown` is the address that was shown before: its fragment says which conversation was open.
        """
        if self._boot_url is None:
            raise RuntimeError("the page has no address yet")
        place = _split(shown).fragment
        return f"{self._boot_url()}#{place}" if place else self._boot_url()

    def may_show(self, url: str) -> bool:
        """True if a frame may navigate to `url`."""
        return self._is_own(url, {"http"})

    def may_request(self, url: str) -> bool:
        """True if the page may load `url` as a part of itself."""
        return _split(url).scheme in OWN_SCHEMES or self._is_own(url, {"http", "ws"})

    def _is_own(self, url: str, schemes: set[str]) -> bool:
        parts = _split(url)
        return self._host != "" and parts.scheme in schemes and parts.netloc == self._host


def describe(url: str) -> str:
    """What a log line may say of a blocked address: never its path or query, which can hold anything."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else f"{parts.scheme}:"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # such as "http://["; it is no address of ours, so the lock must say no
        return SplitResult("", "", "", "", "")
