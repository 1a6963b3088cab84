"""What tests of imports and exports share: stores in the middle of nothing, and a file carried from one to
the other."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deskside.backend.exchange.archive import open_archive
from deskside.backend.exchange.exporting import Export, Format
from deskside.backend.exchange.importing import Import, program_of
from deskside.backend.exchange.report import Counts, Skipped
from deskside.backend.paths import Paths
from deskside.backend.store import conversations, messages
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.messages import MessageRow
from stores import paths_in


class Home:
    """A store, and where its files are."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self.store = store
        self.paths = paths

    async def bring(self, path: Path, *, is_trial: bool = False) -> Brought:
        """Import a file."""
        with open_archive(path) as archive:
            work = Import(self.store, self.paths.files, archive, program_of(archive), is_trial=is_trial)
            async for _ in work.run():
                pass
        return Brought(work.counts, work.report.items)

    async def carry_out(
        self, path: Path, format: Format = "json", chosen: Sequence[int] | None = None
    ) -> Path:
        """Export to a file."""
        async for _ in Export(self.store, self.paths.files, path, format, chosen).run():
            pass
        return path

    async def titles(self) -> list[str]:
        """Of all conversations, the last used first."""
        page = await self.store.read(conversations.page, None, 200)
        return [row.title for row in page.conversations]

    async def shown(self, title: str | None = None) -> list[MessageRow]:
        """The shown path of the conversation of this title, or of the only one."""
        rows = (await self.store.read(conversations.page, None, 200)).conversations
        (row,) = [row for row in rows if title in (None, row.title)]
        return (await self.store.read(messages.page, row.id, None, 200)).messages


class Brought:
    """What an import brought."""

    def __init__(self, counts: Counts, items: list[Skipped]) -> None:
        self.counts = counts
        self.items = items

    @property
    def skipped(self) -> list[tuple[str, str, str]]:
        return [(item.kind, item.what, item.reason) for item in self.items]

    @property
    def reasons(self) -> list[str]:
        return [item.reason for item in self.items]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Home]:
    """A store in a folder."""
    paths = paths_in(folder)
    async with open_store(paths) as store:
        yield Home(store, paths)


def written(path: Path, document: Any) -> Path:
    """A document as a file: bytes and text as they are, anything else as JSON."""
    if isinstance(document, bytes):
        path.write_bytes(document)
    else:
        path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def zipped(path: Path, **members: Any) -> Path:
    """A zip of these members; `__` in a name is a dot, `_in_` a slash."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            data = content if isinstance(content, bytes | str) else json.dumps(content)
            archive.writestr(name.replace("_in_", "/").replace("__", "."), data)
    return path


def run(coroutine: Any) -> Any:
    """For tests that hypothesis calls, which wait for nothing."""
    return asyncio.run(coroutine)


def said(rows: Sequence[MessageRow]) -> list[tuple[str, list[Any]]]:
    """Role and parts of each message, texts as texts."""
    return [
        (row.role, [part.text if isinstance(part, messages.TextPart) else part for part in row.parts])
        for row in rows
    ]
