"""Which addresses may leave the program for the user's browser or mail program."""

from __future__ import annotations

import pytest

from deskside.backend.errors import InvalidRequest
from deskside.bridge.desktop import check_link


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b={c}|d#e",
        "HTTP://EXAMPLE.ORG",
        "http://127.0.0.1:11434/v1",
        "https://пример.рф/путь",
        "mailto:ada@example.org",
        "mailto:ada@example.org?subject=Hello%20there&body=A%0AB&CC=x@example.org",
    ],
)
def test_web_and_mail_addresses_may(url: str) -> None:
    check_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-x",
        "--help",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "smb://server/share",
        "https:",
        "https://",
        "http:/etc/passwd",
        "https://[",
        "https://example.org/a b",
        "https://example.org/\n--x",
        "https://example.org/\u202egpj.exe",
        'https://example.org/" --renderer-cmd-prefix="calc',
        "https://example.org\\@evil.example",
        "mailto:a@example.org?attach=/home/ada/.ssh/id_ed25519",
        "mailto:a@example.org?subject=x&ATTACHMENT=/etc/passwd",
        "mailto:a@example.org?%61ttach=/etc/passwd",
    ],
)
def test_what_could_run_or_send_something_may_not(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_link(url)
