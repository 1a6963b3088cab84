"""What the system or the user gave the program to open, as the window's process understands it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import url2pathname

from deskside.backend.errors import InvalidRequest
from deskside.backend.proposal import LONGEST_LINK, is_link

OUR_OWN_HOST = frozenset({"", "localhost"})


def target_of(text: str) -> str:
    """A link as it is, or the whole path of a file, which may be given as a `file:` address. Raises
    InvalidRequest for a file elsewhere, and for a name that is not UTF-8.

    What a link says is judged where it is shown: whoever clicks on one looks at the window.
    """
    if is_link(text) and not os.path.exists(text):
        if text.lower().startswith("file:"):
            return _path_of(text)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[: LONGEST_LINK + 1]
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "The file's name is not UTF-8.", hint="Rename it, then open it again."
        ) from error
    return os.path.abspath(os.path.expanduser(text))


def _path_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InvalidRequest("This address of a file cannot be read.", hint="Give its path.") from error
    if parts.netloc not in OUR_OWN_HOST:
        raise InvalidRequest("This file is on another computer.", hint="Copy it here, then open it.")
    return os.path.abspath(url2pathname(parts.path))
