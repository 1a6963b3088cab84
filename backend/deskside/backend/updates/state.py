"""What is known of newer versions, as the page shows it."""

from __future__ import annotations

import msgspec


class NewerRelease(msgspec.Struct, frozen=True):
    """`notes` are Markdown: those of every release that came after this program's. `download` is a page for
    the user's system, None where there is none. `is_skipped`: the user does not want to hear of it."""

    version: str
    date: str
    notes: str
    download: str | None
    is_skipped: bool


class UpdateState(msgspec.Struct, frozen=True):
    """`why_not` says why this Deskside does not look at all; empty where it does. `looked_ms`: when a look
    last succeeded, in Unix milliseconds. `problem` is why the last one did not. `newer` is None where this is
    the newest, or nobody has looked yet; `is_supported`: whether this version still gets fixes."""

    version: str
    why_not: str
    looked_ms: int | None
    problem: str
    newer: NewerRelease | None
    is_supported: bool
