"""What the page may ask for on WebKitGTK: under its CSP a second net, made of WebKit's content filters.

WebKitGTK shows the program each request but lets it stop none; a filter, compiled beforehand, does.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from loguru import logger

# The patterns of filters know no "|".
BARRED = ("https?", "wss?", "ftp", "file")
OWN = ("http", "ws")


class RequestFilter:
    """Lets requests through to one host only, once it is up. On the window's thread alone."""

    def __init__(self, manager: Any) -> None:
        """`manager` is the view's WebKit2.UserContentManager."""
        self._manager = manager
        self.is_up = False

    def put_up(self, page: str, then: Callable[[], None]) -> None:
        """Bar what does not go to the host that serves `page`, a URL, and call `then`: after milliseconds, on
        this thread, and also where it failed, which the log says. The page's CSP is all there is then."""
        from gi.repository import GLib, WebKit2

        folder = tempfile.mkdtemp(prefix="deskside-filter-")

        def saved(store: Any, result: Any) -> None:
            try:
                self._manager.add_filter(store.save_finish(result))
                self.is_up = True
            except GLib.Error as error:
                logger.error("requests are barred by the page's own policy alone: {}", error.message)
            shutil.rmtree(folder, ignore_errors=True)  # WebKit has mapped what it needs
            then()

        rules = GLib.Bytes.new(json.dumps(filter_rules(urlsplit(page).netloc)).encode())
        WebKit2.UserContentFilterStore.new(folder).save("own", rules, None, saved)


def filter_rules(host: str) -> list[dict[str, Any]]:
    """WebKit's content filter that blocks every host but `host` ("127.0.0.1:4321")."""
    barred = [{"trigger": {"url-filter": f"^{scheme}:"}, "action": {"type": "block"}} for scheme in BARRED]
    own = [
        {
            "trigger": {"url-filter": f"^{scheme}://{re.escape(host)}/"},
            "action": {"type": "ignore-previous-rules"},
        }
        for scheme in OWN
    ]
    return barred + own
