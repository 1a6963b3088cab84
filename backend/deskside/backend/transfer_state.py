"""How far an import or export is, as the page is told."""

from __future__ import annotations

from typing import Literal

import msgspec

from deskside.backend.exchange.report import TransferCounts


class Transfer(msgspec.Struct, frozen=True):
    """An import or export. An import is looked at first (`looking`, then `looked`: `counts` is what would
    come), and brings something only once it is `working`. `done` of `total` are bytes of the file for an
    import, conversations for an export. `skipped` counts what is left out. `name` is the file's, `program`
    whose export it is, `path` where an export goes. A terminal that
    began it also shows it. `message` and `hint` say why it failed."""

    id: int
    kind: Literal["import", "export"]
    state: Literal["looking", "looked", "working", "done", "cancelled", "failed"]
    name: str
    program: str = ""
    path: str = ""
    done: int = 0
    total: int = 0
    counts: TransferCounts = TransferCounts()
    skipped: int = 0
    message: str = ""
    hint: str = ""
    is_from_terminal: bool = False
