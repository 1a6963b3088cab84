"""Takes keys out of texts that are kept: recordings, logs, reports.

A key can come back from outside in other clothes than it left: in a URL, in JSON, in base64 (also in the
middle of something that was encoded as a whole). All of these are looked for.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REMOVED = "[key removed]"
# Shorter ones are no keys, and would be found in everything.
SHORTEST = 8


def forms_of(secret: str) -> set[str]:
    """How a secret can stand in a text."""
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    raw = secret.encode()
    for before in range(3):  # where in a group of three bytes it begins
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        # The first and the last characters also stand for bytes that are not the secret's.
        first = (0, 2, 3)[before]
        last = len(encoded) if (before + len(raw)) % 3 == 0 else len(encoded.rstrip("=")) - 1
        core = encoded[first:last]
        forms |= {core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")}
    forms |= {form.replace("/", "\\/") for form in forms}
    for _ in range(2):  # JSON, and JSON as a text in JSON
        forms |= {
            json.dumps(form, ensure_ascii=is_ascii)[1:-1] for form in forms for is_ascii in (True, False)
        }
    return {form for form in forms if len(form) >= SHORTEST}


def without(text: str, forms: Iterable[str]) -> str:
    """`text` without any of these forms."""
    for form in forms:
        if form in text:
            text = text.replace(form, REMOVED)
    return text


class Redactor:
    """Knows the live keys. Told on any thread, and asked on any."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def learn(self, secret: str) -> None:
        """From here on, this secret is taken out."""
        if secret in self._secrets or len(secret) < SHORTEST:
            return
        with self._lock:
            self._secrets.add(secret)
            found = {form for each in self._secrets for form in forms_of(each)}
            # The longest first: a short form can be a part of a long one.
            self._forms = tuple(sorted(found, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` without any key."""
        return without(text, self._forms)
