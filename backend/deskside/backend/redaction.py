"""Takes out of a text what nobody may read there: live keys, in each form they can have, and what looks like
a key.

A key is known here from the moment it is first read from where it is kept. It is found as it stands, with the
escapes of URLs and of JSON, and in base64, also as a part of something longer ("Basic dXNlcjpr…").
"""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

Form = Literal["plain", "url", "json", "base64"]

REMOVED = "[key removed]"

SHORTEST_SECRET = 12
"""Characters. Servers without keys want a word for one ("not-needed"); it would be found in any text."""

MOST_OF_ONE_NAME = 40
"""Of a server that renews its tokens each hour, those of some ten renewals: a program that runs for weeks
would look for thousands that ran out long ago."""

SHORTEST_NAME = 2
"""Characters. A single letter as a word of its own is rarely a name."""

# What cannot be a word: prefixes that providers give their keys, what a header of HTTP says whom it is from,
# and values that are named as secrets. The group, where there is one, is what stays. What can begin anew at
# each hyphen looks ahead only so far: a long text without spaces would take minutes.
_NAMED_VALUE = re.compile(
    r"""((?:api[_-]?key|access[_-]?token|auth[_-]?token|secret|password|passphrase)["']?\s*[=:]\s*["']?)
    [^\s"'&,;<>{}\[\]]{8,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LOOKS_LIKE_A_KEY = re.compile(
    r"""\b(?:
        (?:sk|pk|rk|xai|gsk|hf|r8|pplx|nvapi|tvly|jina|fw)[-_](?=[\w-]{0,200}\d)[\w-]{12,}
        | gh[opsur]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} | xox[a-z]-[\w-]{10,}
        | A(?:KIA|SIA)[0-9A-Z]{16}\b | AIza[\w-]{30,}
        | eyJ[\w-]{8,4000}+\.[\w-]{8,}+\.[\w-]*
        | ((?:bearer|basic)\s+)[\w.~+/=-]{12,}
    )
    | (://[^/\s:@]*:)[^/\s@]+(?=@)
    """,
    re.IGNORECASE | re.VERBOSE,
)


_NAMED_AS_SECRET = re.compile(r"token$|secret|password|verifier|^code$", re.IGNORECASE)


class Redactor:
    """The keys that are live now, and their way out of a text. Any thread may use it.

    `is_on` is for the test that looks whether the self-check finds what is taken out here.
    """

    def __init__(self, *, is_on: bool = True) -> None:
        self._is_on = is_on
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}  # name and forms by secret, as last learned
        # The longest first: of two that begin alike the shorter one would leave the rest.
        self._forms: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, str]:
        """Every secret that is known, and what the user calls it. Not for any output."""
        return {secret: name for secret, (name, _) in self._known.items()}

    def learn(self, secret: str, name: str) -> None:
        """Take this secret out of every text from now on; `name` is what the user calls it ("OpenAI"). One so
        short that it could be a word stays."""
        if len(secret) < SHORTEST_SECRET:
            return
        with self._lock:
            before = self._known
            known = {other: before[other] for other in before if other != secret}
            known[secret] = name, before[secret][1] if secret in before else tuple(forms(secret))
            of_name = [each for each, (called, _) in known.items() if called == name]
            for forgotten in of_name[:-MOST_OF_ONE_NAME]:
                del known[forgotten]
            self._known = known
            if known.keys() != before.keys():
                found = {form for _, found in known.values() for form in found}
                self._forms = tuple(sorted(found, key=len, reverse=True))

    def learn_json(self, text: str, name: str) -> None:
        """Learn what is named as a secret in a JSON object, at any depth."""
        try:
            waiting = [json.loads(text)]
        except ValueError:
            return
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value)
            elif isinstance(value, dict):
                waiting.extend(value.values())
                for key, inner in value.items():
                    if isinstance(inner, str) and _NAMED_AS_SECRET.search(key):
                        self.learn(inner, name)

    def redact(self, text: str) -> str:
        """The text without live keys and without what looks like one."""
        if not self._is_on:
            return text
        return without_patterns(self.without_keys(text))

    def without_keys(self, text: str) -> str:
        """The text without live keys alone: for texts of which nothing else may be changed."""
        if not self._is_on:
            return text
        for form in self._forms:
            if form in text:
                text = text.replace(form, REMOVED)
        return text

    def holds_key(self, text: str) -> bool:
        """Whether a live key is in the text."""
        return self.without_keys(text) != text


PROCESS = Redactor()
"""The one of this process, as there is one log. Used as `redaction.PROCESS`, so that a test can replace
it."""


def without_patterns(text: str) -> str:
    """The text without what looks like a key."""
    # The named first: a name may look like a key, and its value need not.
    text = _NAMED_VALUE.sub(rf"\1{REMOVED}", text)
    return _LOOKS_LIKE_A_KEY.sub(lambda match: f"{match[1] or match[2] or ''}{REMOVED}", text)


def without_names(text: str) -> str:
    """The text without the path of the home folder, the user's login name and the machine's name."""
    home = Path.home()
    if len(str(home)) > 1:
        text = text.replace(str(home), "~").replace(home.as_posix(), "~")
    users = {home.name, os.environ.get("LOGNAME"), os.environ.get("USER"), os.environ.get("USERNAME")}
    machine = platform.node()
    for name, stand_in in (
        *((user, "[user]") for user in users),
        (machine, "[machine]"),
        (machine.partition(".")[0], "[machine]"),
    ):
        if name and len(name) >= SHORTEST_NAME:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", stand_in, text, flags=re.IGNORECASE)
    return text


def forms(secret: str) -> dict[str, Form]:
    """Every text that gives the secret away, and which of its forms that is."""
    in_json = json.dumps(secret)[1:-1]
    twice = json.dumps(in_json)[1:-1]  # a log of JSON lines tells of a request's body
    found: dict[str, Form] = dict.fromkeys(_base64_forms(secret.encode()), "base64")
    found |= dict.fromkeys((twice, in_json, in_json.replace("/", "\\/")), "json")
    found |= dict.fromkeys((quote(secret, safe=""), quote(secret)), "url")
    found[secret] = "plain"
    return found


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Base64 writes three bytes as four characters, so a secret inside something longer begins at one of
    three places. Of each the characters that do not depend on what stands around it."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = (before + len(secret)) * 8 // 6
        inner = encoded[first:last]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
