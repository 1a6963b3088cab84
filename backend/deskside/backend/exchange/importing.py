"""Conversations out of a file and into the store, one after the other.

Each conversation is one transaction: whatever ends an import (the user, a full disk, a crash), those that
came stay whole, and importing the file again adds the rest. What was imported before is known by the hash of
what was read; of a conversation that has grown at its source since then, the new state takes the place of the
old one, which goes to the trash. Where the user went on with the old one here, it stays, and the new state
comes beside it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any, Literal, NamedTuple

import msgspec

from deskside.backend.attachments.content import Content, Contents
from deskside.backend.attachments.media import media_type_of, text_status_at_first
from deskside.backend.errors import InvalidRequest, StoreFull
from deskside.backend.exchange import chatgpt, claude, deskside, librechat, openwebui
from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import (
    FileAttachment,
    FileConversation,
    FileFolder,
    content_sha256,
)
from deskside.backend.exchange.foreign import FoundFile, Imported
from deskside.backend.exchange.json_items import Item, items, top_keys
from deskside.backend.exchange.report import Report, TransferCounts
from deskside.backend.store import transfer
from deskside.backend.store.connection import Db
from deskside.backend.store.database import Store
from deskside.backend.store.text import now_ms

Program = Literal["deskside", "chatgpt", "claude", "openwebui", "librechat"]
Reader = Callable[[bytes, Archive, int, Report], Imported | None]

READERS: Mapping[Program, Reader] = {
    "deskside": deskside.read,
    "chatgpt": chatgpt.read,
    "claude": claude.read,
    "openwebui": openwebui.read,
    "librechat": librechat.read,
}
# What tells the programs' conversations apart: a name that each has, and no other.
MARKS: Mapping[str, Program] = {
    "format": "deskside",
    "mapping": "chatgpt",
    "chat_messages": "claude",
    "chat": "openwebui",
    "messagesTree": "librechat",
    "conversationId": "librechat",
}
LARGEST_ATTACHMENT_BYTES = 200_000_000  # as those that are attached here
PIECE_BYTES = 1 << 20
UNKNOWN = "This is not an export of Deskside, ChatGPT, Claude, Open WebUI or LibreChat."
# Halves of UTF-16 pairs, which some programs write where a text was cut; a whole pair; anything else that is
# escaped.
_escape = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_half = re.compile(rb"\\u[dD][89a-fA-F]")


class Found(NamedTuple):
    """What came out of the next piece of a file. `done` bytes of it were read so far."""

    done: int
    imported: Imported | None = None
    folder: FileFolder | None = None


class Progress(NamedTuple):
    """How far an import is: bytes, and what came. `replaced` is a conversation that has just gone to the
    trash."""

    done: int
    total: int
    counts: TransferCounts
    replaced: int | None = None


def program_of(archive: Archive) -> Program:
    """Whose export it is. Raises InvalidRequest where it is none that can be read."""
    with archive.document(archive.documents[0]) as file, closing(items(file)) as pieces:
        for item in pieces:
            if item.key:
                return "deskside"
            if item.raw is None:
                continue
            keys = top_keys(item.raw)
            for mark, program in MARKS.items():
                if mark in keys:
                    return program
            # ChatGPT's export can hold entries that are broken.
            if "conversation_id" in keys:
                return "chatgpt"
            raise InvalidRequest(UNKNOWN, hint="Choose the file or the zip as you got it.")
    raise InvalidRequest("The file holds no conversation.", hint="Choose another one.")


def total_bytes(archive: Archive) -> int:
    """Of all documents."""
    return sum(archive.size(name) for name in archive.documents)


def found_in(archive: Archive, program: Program, report: Report) -> Generator[Found, None, None]:
    """The conversations of a file. Raises InvalidRequest where it cannot be read further."""
    reader, read_before, started_ms = READERS[program], 0, now_ms()
    for name in archive.documents:
        with archive.document(name) as file:
            for item in items(file):
                if program == "deskside" and item.key != "conversations":
                    yield from _other_member(item, read_before)
                    continue
                yield Found(read_before + item.end, _read(item, reader, archive, started_ms, report))
        read_before += archive.size(name)


def _other_member(item: Item, read_before: int) -> Iterator[Found]:
    if item.raw is None or not item.key:
        raise InvalidRequest("This is not a file of Deskside's conversations.", hint="Choose another one.")
    deskside.check_member(item.key, item.raw)
    if item.key == "folders":
        try:
            folder = deskside.read_folder(item.raw)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"A folder in the file cannot be read: {error}.") from error
        yield Found(read_before + item.end, folder=folder)


def _read(item: Item, reader: Reader, archive: Archive, started_ms: int, report: Report) -> Imported | None:
    report.begin()
    if item.raw is None:
        report.skip("conversation", "a conversation", item.problem)
        return None
    try:
        return reader(_mended(item.raw, report), archive, started_ms, report)
    except msgspec.DecodeError as error:
        is_known = isinstance(error, msgspec.ValidationError)
        reason = f"Its form is not known: {error}." if is_known else "It is not JSON."
        report.skip("conversation", _title_of(item.raw), reason)
    except RecursionError:
        report.skip("conversation", _title_of(item.raw), "It is nested too deeply.")
    return None


class _Titled(msgspec.Struct):
    title: Any = None
    name: Any = None


_read_title = msgspec.json.Decoder(_Titled).decode


def _title_of(raw: bytes) -> str:
    """What to call a conversation that cannot be read."""
    with suppress(msgspec.DecodeError, RecursionError):
        titled = _read_title(raw)
        for title in (titled.title, titled.name):
            if isinstance(title, str) and title.strip():
                return title
    return f"a conversation of {len(raw):,} bytes"


def _mended(raw: bytes, report: Report) -> bytes:
    """JSON that msgspec reads: what is no text in it becomes U+FFFD."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        report.skip("note", "a conversation", "Some of its bytes are no text, and were replaced.")
        raw = raw.decode("utf-8", "replace").encode()
    if _half.search(raw) is None:
        return raw
    return _escape.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw)


class Import:
    """One file on its way into the store. `is_trial` only counts. `stop` ends it after the conversation that
    it is at."""

    def __init__(
        self,
        store: Store,
        contents: Contents,
        placing: asyncio.Lock,
        archive: Archive,
        program: Program,
        *,
        is_trial: bool,
    ) -> None:
        self.counts = TransferCounts()
        self.report = Report()
        self.is_stopped = False
        self._store = store
        self._contents = contents
        self._placing = placing
        self._archive = archive
        self._program = program
        self._is_trial = is_trial
        self._seen: set[str] = set()
        # Of our own document: the conversations of the store by the numbers that they have there.
        self._numbers: dict[int, int] = {}
        self._native: dict[int, list[int]] = {}

    def stop(self) -> None:
        self.is_stopped = True

    async def run(self) -> AsyncIterator[Progress]:
        """Go through the file. Raises InvalidRequest where it cannot be read on, and what the store
        raises."""
        total = await asyncio.to_thread(total_bytes, self._archive)
        if self._program == "deskside":
            self._native = await self._store.read(transfer.created_at)
        with closing(found_in(self._archive, self._program, self.report)) as pieces:
            while not self.is_stopped:
                found = await asyncio.to_thread(next, pieces, None)
                if found is None:
                    break
                replaced = None
                if found.folder is not None and not self._is_trial:
                    await self._store.write_soon(transfer.put_folders, [found.folder])
                if found.imported is not None:
                    replaced = await self._take(found.imported)
                yield Progress(found.done, total, self.counts, replaced)
        # What came is on the disk for good once this has returned.
        if not self._is_trial:
            await self._store.write(transfer.put_folders, [])

    async def _take(self, imported: Imported) -> int | None:
        """Import one conversation, or find that it is here. Returns the one that went to the trash for it."""
        conversation, source = imported.conversation, imported.source
        known = await self._store.read(transfer.known, source)
        native = None if known is not None else await self._native_copy(conversation, source.sha256)
        if native is not None or source.sha256 in self._seen or (known is not None and known.is_same):
            self._skip_known(conversation, native, known)
            return None
        replaces = None
        if known is not None:
            replaces = None if known.was_changed else known.conversation_id
        elif source.id is not None and source.id in self._seen:
            self.report.skip("note", conversation.title, "The file holds two states of it.")
        if not self._is_trial:
            made = await self._put(imported, replaces)
            if made is None:
                return None
            self._numbers[conversation.id] = made
        self._seen.update({source.sha256, source.id or source.sha256})
        self._count(imported, grown=replaces is not None, beside=known is not None and replaces is None)
        return None if self._is_trial else replaces

    async def _put(self, imported: Imported, replaces: int | None) -> int | None:
        try:
            async with self._placing:  # nobody takes a file for one that belongs to nothing
                conversation = await asyncio.to_thread(self._with_files, imported)
                fork = conversation.forked_from
                return await self._store.write_soon(
                    transfer.put,
                    conversation,
                    imported.source,
                    replaces=replaces,
                    forked_conversation=None if fork is None else self._numbers.get(fork.conversation),
                )
        except InvalidRequest as error:
            self.report.skip("conversation", conversation.title, error.message)
            return None

    def _add(self, **more: int) -> None:
        summed = {name: getattr(self.counts, name) + count for name, count in more.items()}
        self.counts = msgspec.structs.replace(self.counts, **summed)

    def _skip_known(
        self, conversation: FileConversation, native: int | None, known: transfer.Known | None
    ) -> None:
        self._add(already_here=1)
        self.report.forget()
        here = native if known is None else known.conversation_id
        if here is not None:
            self._numbers[conversation.id] = here
        if known is not None and known.is_deleted:
            self.report.skip(
                "conversation", conversation.title, "It was imported before, and is in the trash."
            )
        else:
            self.report.skip("conversation", conversation.title, "It is here already.")

    def _count(self, imported: Imported, *, grown: bool, beside: bool) -> None:
        self._add(
            conversations=1,
            messages=len(imported.conversation.messages),
            files=sum(map(len, imported.files.values())) if self._is_trial else 0,
            grown=int(grown),
            beside=int(beside),
        )
        if beside:
            title = imported.conversation.title
            self.report.skip(
                "note", title, "You went on with an earlier import of it: the new state comes beside it."
            )

    async def _native_copy(self, conversation: FileConversation, sha256: str) -> int | None:
        """The conversation itself, where this store is the one that it was exported from."""
        for candidate in self._native.get(conversation.created_ms, []):
            if await self._store.read(_says_the_same, candidate, sha256):
                return candidate
        return None

    def _with_files(self, imported: Imported) -> FileConversation:
        """Put its files on the disk, and name them in its messages. On a thread."""
        if not imported.files:
            return _without_attachments(imported.conversation)
        self.report.of(imported.conversation.title)
        kept = {
            number: [
                attachment
                for place, found in enumerate(each)
                if (attachment := self._kept_file(found, place, imported.conversation.updated_ms)) is not None
            ]
            for number, each in imported.files.items()
        }
        bare = _without_attachments(imported.conversation)
        return msgspec.structs.replace(
            bare,
            draft_attachments=kept.get(None, []),
            messages=[
                msgspec.structs.replace(message, attachments=kept[message.id])
                if message.id in kept
                else message
                for message in bare.messages
            ],
        )

    def _kept_file(self, found: FoundFile, place: int, at_ms: int) -> FileAttachment | None:
        try:
            content = self._kept_content(found)
        except _TooLarge:
            reason = f"It is larger than {LARGEST_ATTACHMENT_BYTES // 10**6} MB."
        except InvalidRequest as error:
            reason = error.message
        except OSError as error:
            raise StoreFull(f"A file could not be written: {error.strerror or error}.") from error
        else:
            if found.sha256 in (None, content.sha256):
                self._add(files=1)
                return self._attachment(found, content, place, at_ms)
            reason = "Its content is not the one that the export names."
        self.report.skip("file", found.name, reason)
        return None

    def _kept_content(self, found: FoundFile) -> Content:
        with found.open() as content, self._contents.receive() as incoming:
            while piece := content.read(PIECE_BYTES):
                incoming.write(piece)
                if incoming.size_bytes > LARGEST_ATTACHMENT_BYTES:
                    raise _TooLarge
            return incoming.keep()

    def _attachment(self, found: FoundFile, content: Content, place: int, at_ms: int) -> FileAttachment:
        if found.as_was is not None:
            return msgspec.structs.replace(found.as_was, size_bytes=content.size_bytes)
        media_type = media_type_of(self._contents.path_of(content.sha256))
        return FileAttachment(
            position=place,
            name=found.name,
            media_type=media_type,
            sha256=content.sha256,
            size_bytes=content.size_bytes,
            text=found.text,
            text_status="ready" if found.text is not None else text_status_at_first(media_type),
            kept_ms=at_ms,
            attached_ms=at_ms,
        )


class _TooLarge(Exception):
    pass


def _without_attachments(conversation: FileConversation) -> FileConversation:
    return msgspec.structs.replace(
        conversation,
        draft_attachments=[],
        messages=[
            msgspec.structs.replace(message, attachments=[]) if message.attachments else message
            for message in conversation.messages
        ],
    )


def _says_the_same(db: Db, conversation_id: int, sha256: str) -> bool:
    return content_sha256(transfer.take(db, conversation_id, 1, {})) == sha256
