"""What tests of imports and exports share: stores in the middle of nothing, and a file carried from one to
the other."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from deskside.backend.attachments.content import Contents
from deskside.backend.exchange.archive import open_archive
from deskside.backend.exchange.exporting import Export, Format
from deskside.backend.exchange.importing import Import, program_of
from deskside.backend.exchange.report import Skipped, TransferCounts
from deskside.backend.paths import Paths
from deskside.backend.store import conversations, messages
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.messages import MessagePart, MessageRow
from stores import connected, paths_in, rows


class Home:
    """A store, and where its files are."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self.store = store
        self.paths = paths
        self.contents = Contents(paths.files)

    async def bring(self, path: Path, *, is_trial: bool = False) -> Brought:
        """Import a file."""
        with open_archive(path) as archive:
            work = Import(
                self.store, self.contents, asyncio.Lock(), archive, program_of(archive), is_trial=is_trial
            )
            async for _ in work.run():
                pass
        return Brought(work.counts, work.report.items)

    async def carry_out(
        self, path: Path, format: Format = "json", chosen: Sequence[int] | None = None
    ) -> Path:
        """Export to a file."""
        async for _ in Export(self.store, self.contents, path, format, chosen).run():
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

    def __init__(self, counts: TransferCounts, items: list[Skipped]) -> None:
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


Part = str | tuple[Any, ...]


def call(
    name: str, arguments: str, output: str, *, origin: str = "tool", status: str = "finished"
) -> tuple[Any, ...]:
    """A tool's call as `said` shows it. What it gave is always from outside."""
    return ("call", name, arguments, status, output, origin, True)


def said(rows: Sequence[MessageRow]) -> list[tuple[str, list[Part]]]:
    """Role and parts of each message: texts as texts, thoughts and calls as tuples."""
    return [(row.role, [_part(part) for part in row.parts]) for row in rows]


def _part(part: MessagePart) -> Part:
    match part:
        case messages.TextPart(text=text):
            return text
        case messages.ToolCallPart() as made:
            return (
                "call", made.name, made.arguments, made.status, made.output, made.origin, made.is_outside,
            )  # fmt: skip
        case messages.ReasoningPart(text=text):
            return ("thought", text)
    return ("other", part)


@dataclass(frozen=True)
class Sample:
    """A file of another program, and what shall come of it: the shown path, and what is left out and why (the
    kind and the beginning of the reason)."""

    document: Any
    path: list[tuple[str, list[Part]]] | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    title: str | None = None
    counts: tuple[int, int] | None = None


async def check(tmp_path: Path, sample: Sample) -> None:
    """Import a sample into an empty store, and find what shall have come. Whatever came keeps the store's
    promises."""
    path = written(tmp_path / "export.json", sample.document)
    async with opened(tmp_path) as home:
        trial = await home.bring(path, is_trial=True)
        before = rows(home.paths.database, "select count(*) from message")
        brought = await home.bring(path)
        shown = [] if sample.path is None else await home.shown()
        titles = await home.titles()
        again = await home.bring(path)

    expected = [reason for _, reason in sample.skipped]
    assert sample.skipped == [
        (item.kind, item.reason[: len(begin or item.reason)])
        for item, begin in zip_longest(brought.items, expected[: len(brought.items)])
    ]
    if sample.path is not None:
        assert sample.path == said(shown)
    if sample.title is not None:
        assert [sample.title] == titles
    if sample.counts is not None:
        assert sample.counts == (brought.counts.conversations, brought.counts.messages)
    assert [(0,)] == before
    assert trial.counts == brought.counts
    assert (0, brought.counts.conversations) == (again.counts.conversations, again.counts.already_here)
    keeps_promises(home.paths.database)


def keeps_promises(database: Path) -> None:
    """What messages.py and search_index.py promise of every row."""
    with closing(connected(database)) as connection:

        def found(sql: str) -> list[Any]:
            return connection.execute(sql).fetchall()

        assert [] == found(
            "select message.id from message left join message above on above.id = message.parent "
            "where message.depth <> ifnull(above.depth + 1, 0) or above.id > message.id "
            "or above.conversation <> message.conversation"
        )
        shown = found("select id from message where is_shown = 1 order by id")
        path = found(
            "with recursive path (id) as (select head from conversation where head is not null union "
            "select parent from message join path using (id) where parent is not null) "
            "select id from path order by id"
        )
        assert path == shown
        assert [] == found("pragma foreign_key_check")
        connection.execute("insert into message_search (message_search, rank) values ('integrity-check', 1)")
