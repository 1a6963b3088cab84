"""The attachments of the program: received, read, shown, and gone when nothing refers to them any more.

Invariants
  - Whatever the store knows as a file is whole on the disk, unless somebody took it from there.
  - Between the moment a content gets its place and the moment the store refers to it, nothing removes it:
    both ways go through one lock.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loguru import logger

from deskside.backend.agent.file_contents import FileContents
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.attachments import documents
from deskside.backend.attachments.content import Content, Contents, Incoming
from deskside.backend.attachments.documents import DrawnPage
from deskside.backend.attachments.media import LONGEST_TEXT, kind_of, media_type_of, text_status_at_first
from deskside.backend.child_text import ChildFailed
from deskside.backend.errors import AppError, InvalidRequest, NotFound, StoreFull, StoreGone
from deskside.backend.events import AttachmentChanged
from deskside.backend.store import attachments, conversations
from deskside.backend.store.attachments import AttachmentRow, StoredFile
from deskside.backend.store.text import plain_title
from deskside.backend.text_files import NotText, read_text

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.connection import Db
    from deskside.backend.store.database import Store

T = TypeVar("T")

SIZE_LIMIT_BYTES = 200_000_000
# For a question to be asked: its files were read, or it goes without their text.
LONGEST_WAIT_S = 120.0
# At once: a child may take two gigabytes.
READERS = 2
LONGEST_NAME = 200
UNREADABLE = "No text could be read from this file: it is damaged, protected or too large."


class Attachments:
    """Used on the backend's loop only."""

    def __init__(self, store: Store, events: EventBuffer, contents: Contents) -> None:
        self._store = store
        self._events = events
        self._contents = contents
        self.contents_for_models = FileContents(contents)
        self._placing = asyncio.Lock()
        self._turn = asyncio.Semaphore(READERS)
        self._working: set[asyncio.Task[None]] = set()
        self._reading: dict[str, asyncio.Task[None]] = {}
        # One after the other: who turns the pages of a book quickly waits for the one they stop at.
        self._drawing = asyncio.Lock()
        self._keepers = 0

    def path_of(self, attachment: AttachmentRow) -> Path:
        """Where its content is. The file may have been taken away by somebody else."""
        return self._contents.path_of(attachment.sha256)

    async def receive(
        self, conversation_id: int | None, name: str, pieces: AsyncIterator[bytes]
    ) -> AttachmentRow:
        """Take in a file and put it to what is being typed in a conversation (None: in the one that does not
        exist yet). Its text is read afterwards; `AttachmentChanged` says when that is done.

        Raises NotFound, InvalidRequest for a file that is empty or too large, StoreFull where the disk does
        not take it.
        """
        name = _plain_name(name)
        if conversation_id is not None:
            await self._store.read(conversations.get, conversation_id)
        with await _on_disk(name, self._contents.receive) as incoming:
            await _take(incoming, name, pieces)
            async with self._placing:
                content = await _on_disk(name, incoming.keep)
                file, row = await self._attach(conversation_id, name, content)
        if file.text_status == "waiting":
            self._read_soon(file)
        return row

    async def copy(self, attachment: AttachmentRow, path: Path) -> None:
        """Write its content to a new file. NotFound where the content is gone, StoreFull where the disk does
        not take it."""
        content = self.path_of(attachment)
        if not await asyncio.to_thread(content.is_file):
            raise gone(attachment)
        await _on_disk(attachment.name, partial(shutil.copyfile, content, path))

    async def page(self, attachment: AttachmentRow, number: int) -> DrawnPage:
        """A page of a PDF, from 1 on, as a picture. InvalidRequest for what is no PDF and for a page that
        cannot be drawn; NotFound where the file is gone, or has no such page."""
        if kind_of(attachment.media_type) != "pdf":
            raise InvalidRequest(f"{attachment.name!r} has no pages to show.", hint="Only PDF files have.")
        async with self._drawing:
            try:
                content = await asyncio.to_thread(self.path_of(attachment).read_bytes)
                drawn = await documents.page_of(content, number)
            except OSError as error:
                raise gone(attachment) from error
            except ChildFailed as error:
                raise InvalidRequest(
                    f"Page {number} of {attachment.name!r} cannot be shown: the file is damaged, protected "
                    "or too large.",
                    hint="Its text may be readable all the same.",
                ) from error
        if drawn is None:
            raise NotFound(f"{attachment.name!r} has no page {number}.")
        return drawn

    async def wait_for_texts(self, hashes: Iterable[str]) -> None:
        """Return when these files were read, or could not be; after two minutes at the latest."""
        wanted = set(hashes)
        for file in await self._store.read(attachments.waiting_for_text):
            if file.sha256 in wanted:
                self._read_soon(file)
        reading = [task for sha256, task in self._reading.items() if sha256 in wanted]
        if reading:
            await asyncio.wait(reading, timeout=LONGEST_WAIT_S)

    async def detach(self, attachment_id: int) -> None:
        """Take a file off what is being typed. NotFound."""
        await self._store.write(attachments.detach, attachment_id)
        await self.collect()

    async def collect(self) -> None:
        """Remove the content of files that nothing refers to. Left to the next start where another process
        has the store open, too: it may be about to refer to one of them."""
        if not self._store.is_alone:
            return
        async with self._placing:
            if self._keepers:
                return  # collected when the last of them is done
            gone = await self._store.write(attachments.take_unreferenced)
            try:
                await asyncio.to_thread(self._remove, gone)
            except OSError as error:  # it is open somewhere, say: the next start removes it
                logger.warning("a file that nothing refers to stays for now: {}", error)

    def start(self) -> None:
        """Go on where the program was ended: read what was not read, remove what belongs to nothing."""
        if self._store.is_alone:
            self._spawn(self._take_up(), "attachments of before")

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Until the end no content is removed, also none that nothing refers to any more: a backup wants to
        find that of every row it has."""
        async with self._placing:  # not in the middle of removing
            self._keepers += 1
        try:
            yield
        finally:
            self._keepers -= 1
            self._spawn(self._collect_kept(), "attachments that were kept")

    async def _collect_kept(self) -> None:
        try:
            await self.collect()
        except AppError as error:  # a full disk, a damaged file: the user hears of it where they use it
            logger.warning("files that nothing refers to stay for now: {}", error.code)

    @property
    def placing(self) -> asyncio.Lock:
        """Held from the moment a content gets its place until the store refers to it."""
        return self._placing

    async def read_waiting(self) -> None:
        """Read the text of files that came without it, as those of an import."""
        for file in await self._store.read(attachments.waiting_for_text):
            self._read_soon(file)

    async def _take_up(self) -> None:
        try:
            await self.collect()
            async with self._placing:
                known = await self._store.read(attachments.known)
                # What can be read of a damaged database may be less than was known.
                if self._store.is_reading_only or self._keepers:
                    return
                await asyncio.to_thread(self._tidy, known)
            waiting = await self._store.read(attachments.waiting_for_text)
        except (AppError, OSError) as error:
            logger.warning("attachments of before were not looked at: {}", error)
            return
        for file in waiting:
            self._read_soon(file)

    async def close(self) -> None:
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.wait(self._working)

    def _tidy(self, known: set[str]) -> None:
        self._remove(sha256 for sha256 in list(self._contents.all()) if sha256 not in known)

    def _remove(self, hashes: Iterable[str]) -> None:
        for sha256 in hashes:
            self._contents.remove(sha256)

    async def _attach(
        self, conversation_id: int | None, name: str, content: Content
    ) -> tuple[StoredFile, AttachmentRow]:
        media_type = await asyncio.to_thread(media_type_of, self._contents.path_of(content.sha256))
        status = text_status_at_first(media_type)

        def put(db: Db) -> tuple[StoredFile, AttachmentRow]:
            file = attachments.put_file(db, content.sha256, content.size_bytes, media_type, status)
            return file, attachments.attach_to_draft(db, conversation_id, name, file.id)

        return await self._store.write(put)

    # -- reading -----------------------------------------------------------------------------------

    def _read_soon(self, file: StoredFile) -> None:
        if file.sha256 in self._reading:
            return
        task = self._reading[file.sha256] = self._spawn(self._read(file), f"text of file {file.id}")
        task.add_done_callback(lambda _: self._reading.pop(file.sha256))

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    async def _read(self, file: StoredFile) -> None:
        async with self._turn:
            try:
                text, hidden = await self._text(file)
                error = ""
            except (ChildFailed, NotText, OSError):
                text, hidden, error = None, 0, UNREADABLE
        try:
            await self._store.write(attachments.set_text, file.id, text, error, hidden)
        except AppError as fault:  # it is read again after the next start
            logger.warning("the text of file {} could not be kept: {}", file.id, fault.code)
            return
        for row in await self._store.read(attachments.of_file, file.id):
            self._events.publish(AttachmentChanged(row))

    async def _text(self, file: StoredFile) -> tuple[str, int]:
        """What is in a file, and how many characters of it nobody sees."""
        path = self._contents.path_of(file.sha256)
        content = await asyncio.to_thread(path.read_bytes)
        if kind_of(file.media_type) == "text":
            text = (await asyncio.to_thread(read_text, content)).text[:LONGEST_TEXT]
        else:
            text = await documents.text_of(file.media_type, content)
        return text, len(text) - len(await asyncio.to_thread(without_invisible, text))


def gone(attachment: AttachmentRow) -> NotFound:
    """The store knows a file that is not on the disk."""
    return NotFound(
        f"The file {attachment.name!r} is not there any more.",
        hint="It was removed from the data folder. A backup may still have it.",
    )


@asynccontextmanager
async def open_attachments(store: Store, events: EventBuffer, folder: Path) -> AsyncIterator[Attachments]:
    """The attachments whose content is below `folder`."""
    contents = Contents(folder)
    if store.is_alone:
        try:
            await asyncio.to_thread(contents.forget_incoming)
        except OSError as error:
            logger.warning("what a crash left half received stays: {}", error)
    opened = Attachments(store, events, contents)
    opened.start()
    try:
        yield opened
    finally:
        await opened.close()


async def _take(incoming: Incoming, name: str, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        await _on_disk(name, partial(incoming.write, piece))
        if incoming.size_bytes > SIZE_LIMIT_BYTES:
            limit = SIZE_LIMIT_BYTES // 1_000_000
            raise InvalidRequest(f"{name!r} is larger than {limit} MB.", hint="Attach a smaller part of it.")
    if incoming.size_bytes == 0:
        raise InvalidRequest(f"{name!r} is empty.", hint="Attach a file with content.")


async def _on_disk(name: str, work: Callable[[], T]) -> T:
    """Run on a thread what writes to the disk. Raises StoreFull where the disk does not take it, StoreGone
    where the data folder is not there any more."""
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError as error:
        raise StoreGone(f"{name!r} could not be saved: the data folder is not there any more.") from error
    except OSError as error:
        raise StoreFull(f"{name!r} could not be saved: {error.strerror or error}.") from error


def _plain_name(name: str) -> str:
    """The last part of a path, as one line of what can be shown."""
    return plain_title(name.replace("\\", "/").rsplit("/", 1)[-1])[:LONGEST_NAME]
