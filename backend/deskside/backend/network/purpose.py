"""Why a connection is made. It follows the work to the gate by a context variable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import msgspec

Kind = Literal[
    "model_call",
    "model_list",
    "server_search",
    "model_download",
    "device",
    "web_fetch",
    "web_search",
    "mcp",
    "mcp_sign_in",
    "error_report",
    "update_look",
    "other",
]
"""A model is asked; a provider's models are listed; servers are looked for on this machine; the small model
is downloaded; the on-device model's process is spoken to; a page is read; a search engine is asked; an MCP
server is spoken to; the user signs in there; a failure is reported; a newer Deskside is looked for; nobody
said."""


class Purpose(msgspec.Struct, frozen=True):
    """`subject` is whom it is about, as the user calls it: a model, a provider, an MCP server, a search
    engine. Empty where `kind` says it all. Never an address, a question or an answer."""

    kind: Kind
    subject: str = ""


UNKNOWN = Purpose("other")
current: ContextVar[Purpose] = ContextVar("network_purpose", default=UNKNOWN)


@contextmanager
def purpose(kind: Kind, subject: str = "") -> Iterator[None]:
    """What the block's connections are for. Not around a `yield` of a generator: its steps may run in
    different contexts."""
    token = current.set(Purpose(kind, subject))
    try:
        yield
    finally:
        current.reset(token)
