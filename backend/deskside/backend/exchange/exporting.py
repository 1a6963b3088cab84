"""Conversations out of the store and into one file.

JSON (conversation_file.py) is one document with attachments inside it, or, where the file is called .zip, the
document and the attachments under their hashes. Markdown and HTML are one file for one conversation, and a
zip with a file for each where there are several. The file appears under its name once it is whole.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Literal

import msgspec

from deskside.backend.attachments.content import Contents
from deskside.backend.errors import InvalidRequest
from deskside.backend.exchange import reading_copy
from deskside.backend.exchange.conversation_file import (
    FORMAT,
    VERSION,
    FileAttachment,
    FileConversation,
    FileFolder,
)
from deskside.backend.store import conversations, transfer
from deskside.backend.store.database import Store
from deskside.backend.store.text import plain_title

Format = Literal["json", "markdown", "html"]
# JSON of ours has an ending of its own: macOS and Windows look behind the last dot to know what opens a file.
ENDINGS: dict[Format, str] = {"json": ".deskside", "markdown": ".md", "html": ".html"}
# What a document may hold of the attachments of one conversation: it is read in pieces as large as that.
LARGEST_INSIDE_BYTES = 100_000_000
LONGEST_NAME = 80
LONGEST_ENDING_BYTES = 20
# What file systems allow, less room for an ending and a number.
LONGEST_NAME_BYTES = 200

_encode = msgspec.json.Encoder().encode
_not_in_a_name = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def suggested_name(format: Format, title: str | None, *, has_files: bool, today: str) -> str:
    """What to call the file: for one conversation its title, for several (None) the day."""
    if title is None:
        return f"deskside-conversations-{today}{'.zip' if format != 'json' or has_files else ENDINGS[format]}"
    return f"{name_of(title)}{'.zip' if format == 'json' and has_files else ENDINGS[format]}"


def name_of(title: str) -> str:
    """A title as the name of a file on any system."""
    name = _not_in_a_name.sub("-", plain_title(title))[:LONGEST_NAME]
    name = name.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore").strip(" .-")
    return f"_{name}" if not name or _reserved.fullmatch(name) else name


def file_name_of(name: str) -> str:
    """A file's name as one on any system, its ending kept."""
    whole = _not_in_a_name.sub("-", plain_title(name)).strip(" .-")
    stem, _, ending = whole.rpartition(".")
    if not stem or len(ending.encode()) > LONGEST_ENDING_BYTES:
        return name_of(whole) if whole else "_"
    return f"{name_of(stem)}.{ending}"


def target_of(path: Path, format: Format, count: int) -> Path:
    """Where it is written: what can only be a zip is called one."""
    needs_zip = format != "json" and count != 1
    return path.with_name(f"{path.name}.zip") if needs_zip and path.suffix.lower() != ".zip" else path


class Export:
    """One file in the making. `stop` ends it after the conversation that it is at; then nothing was
    written."""

    def __init__(
        self, store: Store, contents: Contents, target: Path, format: Format, chosen: Sequence[int] | None
    ) -> None:
        self.count = 0
        self.is_stopped = False
        self._store = store
        self._contents = contents
        self._target = target
        self._format = format
        self._chosen = chosen

    def stop(self) -> None:
        self.is_stopped = True

    async def run(self) -> AsyncIterator[tuple[int, int]]:
        """Write the file; yields how many conversations of how many are done. Raises NotFound for a
        conversation that is not there, InvalidRequest where it cannot be written."""
        ids = await self._store.read(transfer.ids, self._chosen)
        missing = set(self._chosen or ()) - set(ids)
        if missing:
            raise conversations.not_found(min(missing))
        if not ids:
            raise InvalidRequest("There is no conversation to export.", hint="Choose one that is there.")
        folders = await self._store.read(transfer.folders, None if self._chosen is None else ids)
        numbers = {id: number for number, id in enumerate(ids, 1)}
        draft = _draft(self._target)
        try:
            with await asyncio.to_thread(
                _Writer, draft, self._target, self._format, folders, self._contents
            ) as out:
                for id, number in numbers.items():
                    conversation = await self._store.read(transfer.take, id, number, numbers)
                    await asyncio.to_thread(out.add, conversation, len(ids))
                    self.count = number
                    if self.is_stopped:
                        return
                    yield number, len(ids)
                await asyncio.to_thread(out.finish)
            await asyncio.to_thread(os.replace, draft, self._target)
        except OSError as error:
            raise _unwritable(error) from error
        finally:
            draft.unlink(missing_ok=True)


def _draft(target: Path) -> Path:
    try:
        handle, draft = tempfile.mkstemp(prefix=".deskside-export-", dir=target.parent)
    except OSError as error:
        raise _unwritable(error) from error
    os.close(handle)
    return Path(draft)


def _unwritable(error: OSError) -> InvalidRequest:
    return InvalidRequest(
        f"The file could not be written: {error.strerror or error}.", hint="Choose another folder."
    )


class _Writer:
    """Writes one format into one file. Its methods block."""

    def __init__(
        self, draft: Path, target: Path, format: Format, folders: list[FileFolder], contents: Contents
    ) -> None:
        self._format = format
        self._contents = contents
        self._names: set[str] = set()
        self._zip: zipfile.ZipFile | None = None
        self._document: IO[bytes] | None = None
        self._file = draft.open("wb")
        self._is_alone = target.suffix.lower() != ".zip"
        if not self._is_alone:
            self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        if format == "json":
            # The members of a zip are written one after the other: attachments come behind the document.
            self._document = self._file
            if self._zip is not None:
                self._document = tempfile.TemporaryFile(dir=draft.parent)  # noqa: SIM115 - closed in __exit__
            head = f'{{"format":"{FORMAT}","version":{VERSION},"folders":'.encode()
            self._document.write(head + _encode(folders) + b',"conversations":[')
        self._is_first = True

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()
        if self._document is not None:
            self._document.close()
        self._file.close()

    def add(self, conversation: FileConversation, count: int) -> None:
        if self._document is not None:
            whole = (
                self._with_content(conversation) if self._zip is None else self._with_members(conversation)
            )
            self._document.write((b"\n" if self._is_first else b",\n") + _encode(whole))
            self._is_first = False
            return
        is_page = self._format == "html"
        text = (
            reading_copy.page(conversation, self._content) if is_page else reading_copy.markdown(conversation)
        )
        if self._zip is None:
            self._file.write(text.encode())
        else:
            width = len(str(count))
            name = f"{conversation.id:0{width}} {name_of(conversation.title)}{ENDINGS[self._format]}"
            self._zip.writestr(name, text)

    def finish(self) -> None:
        if self._document is not None:
            self._document.write(b"\n]}\n")
        if self._zip is not None:
            if self._document is not None:
                self._document.seek(0)
                with self._zip.open("conversations.json", "w", force_zip64=True) as member:
                    shutil.copyfileobj(self._document, member, 1 << 20)
            self._zip.close()
            self._zip = None
        self._file.flush()
        os.fsync(self._file.fileno())

    def _with_content(self, conversation: FileConversation) -> FileConversation:
        if sum(each.size_bytes for each in _attachments(conversation)) > LARGEST_INSIDE_BYTES:
            raise InvalidRequest(
                f"“{conversation.title}” has more than {LARGEST_INSIDE_BYTES // 10**6} MB of attachments.",
                hint="Export to a file whose name ends in .zip.",
            )
        return _replaced(conversation, lambda each: msgspec.structs.replace(each, data=self._content(each)))

    def _with_members(self, conversation: FileConversation) -> FileConversation:
        assert self._zip is not None
        for each in _attachments(conversation):
            name, path = f"files/{each.sha256}", self._path(each.sha256)
            if path is not None and name not in self._names:
                self._names.add(name)
                self._zip.write(path, name)
        return conversation

    def _path(self, sha256: str) -> Path | None:
        path = self._contents.path_of(sha256)
        return path if path.is_file() else None

    def _content(self, attachment: FileAttachment) -> bytes | None:
        path = self._path(attachment.sha256)
        return None if path is None else path.read_bytes()


def _attachments(conversation: FileConversation) -> list[FileAttachment]:
    of_messages = [each for message in conversation.messages for each in message.attachments]
    return [*conversation.draft_attachments, *of_messages]


def _replaced(conversation: FileConversation, change: object) -> FileConversation:
    assert callable(change)
    return msgspec.structs.replace(
        conversation,
        draft_attachments=[change(each) for each in conversation.draft_attachments],
        messages=[
            msgspec.structs.replace(message, attachments=[change(each) for each in message.attachments])
            if message.attachments
            else message
            for message in conversation.messages
        ],
    )
