"""The files of a history on their way to a model: read, encoded, and left out where a model does not take
them.

A conversation must go on whatever becomes of its files. So one that is gone, or that a provider refuses,
costs the model a sentence and the user a notice, never the answer.
"""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec
from loguru import logger

from deskside.backend.agent.events import FileContent, Model, ModelEvent, ModelRequest, UserFile
from deskside.backend.agent.user_files import sendable
from deskside.backend.attachments.content import Contents
from deskside.backend.attachments.documents import smaller_picture
from deskside.backend.attachments.media import kind_of
from deskside.backend.child_text import ChildFailed
from deskside.backend.errors import Overloaded, ProviderError, RequestRefused

# Anthropic takes 5 MiB of base64, and 8000 pixels a side.
PICTURE_BYTES = 3_700_000
PICTURE_SIDE = 8_000
KEPT_CHARACTERS = 64_000_000

GONE = "it is not on this computer any more; tell the user so"
TOO_LARGE = "a picture too large to be sent, or damaged; tell the user so"
NOT_TAKEN = "you were not given it, because it was refused on its way to you; tell the user so"

# How servers without eyes say so, some of them with a status that means a passing fault.
ABOUT_FILES = re.compile(
    r"\b(images?|image_url|vision|multi-?modal|mmproj|pdfs?|documents?)\b", re.IGNORECASE
)

Tell = Callable[[str, str], None]
"""Shows the user a message and a hint."""


class FileContents:
    """Files as they are sent. Each is encoded once, on a thread, and kept as long as there is room. Used on
    the backend's loop only."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._kept: OrderedDict[str, FileContent] = OrderedDict()
        self._encoding = asyncio.Lock()
        # By model and hash: what it takes is known from its answers.
        self.taken: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()

    async def of(self, file: UserFile) -> FileContent:
        """A file in base64, a large picture made smaller; with a `problem` where that cannot be."""
        async with self._encoding:
            content = self._kept.get(file.sha256)
            if content is None:
                content = await self._encoded(file)
                if not content.problem:
                    self._keep(file.sha256, content)
            else:
                self._kept.move_to_end(file.sha256)
        return content

    async def _encoded(self, file: UserFile) -> FileContent:
        try:
            content = await asyncio.to_thread(self._contents.path_of(file.sha256).read_bytes)
        except OSError:
            return FileContent(file.media_type, problem=GONE)
        if kind_of(file.media_type) == "image" and _is_too_large(content):
            try:
                return FileContent("image/jpeg", await smaller_picture(file.media_type, content))
            except ChildFailed:
                return FileContent(file.media_type, problem=TOO_LARGE)
        data = await asyncio.to_thread(base64.b64encode, content)
        return FileContent(file.media_type, data.decode("ascii"))

    def _keep(self, sha256: str, content: FileContent) -> None:
        self._kept[sha256] = content
        while len(self._kept) > 1 and sum(len(each.data) for each in self._kept.values()) > KEPT_CHARACTERS:
            self._kept.popitem(last=False)


def _is_too_large(content: bytes) -> bool:
    if len(content) > PICTURE_BYTES:
        return True
    # A screenshot of a whole page is a small file, and long.
    is_png = content.startswith(b"\x89PNG") and len(content) >= 24
    return is_png and max(struct.unpack(">II", content[16:24])) > PICTURE_SIDE


@dataclass(frozen=True)
class ModelWithFiles:
    """A model that is sent the files of a history. What goes wrong with them, the user is told once."""

    model: Model
    files: FileContents
    tell: Tell
    _told: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.model.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Model.stream`. A request that is refused with files is made again without those that the model
        has never taken."""
        files = sendable(request, self.name)
        contents = {file.sha256: await self._content(file) for file in files}
        sent = [sha256 for sha256, content in contents.items() if not content.problem]
        taken = [sha256 for sha256 in sent if (self.name, sha256) in self.files.taken]
        tries = [sent, *([taken] if taken and taken != sent else []), []] if sent else [[]]
        refusal: ProviderError | None = None
        for each in tries:
            left_out = {sha256: FileContent("", problem=NOT_TAKEN) for sha256 in sent if sha256 not in each}
            is_silent = True
            try:
                asked = msgspec.structs.replace(request, files=contents | left_out)
                async with aclosing(self.model.stream(asked)) as events:
                    async for event in events:
                        if is_silent:
                            is_silent = False
                            self._note(files, each, left_out)
                        yield event
                return
            except ProviderError as error:
                refusal = refusal or error
                if not is_silent or not _may_be_about_files(error):
                    break
        assert refusal is not None
        raise refusal

    async def _content(self, file: UserFile) -> FileContent:
        if (self.name, file.sha256) in self.files.refused:
            return FileContent(file.media_type, problem=NOT_TAKEN)
        content = await self.files.of(file)
        if content.problem == GONE:
            self._tell(file, "is not on this computer any more", "A backup may still have it.")
        elif content.problem:
            self._tell(file, "could not be made small enough to be sent", "Attach a smaller picture.")
        return content

    def _note(self, files: Sequence[UserFile], taken: Sequence[str], refused: dict[str, FileContent]) -> None:
        self.files.taken |= {(self.name, sha256) for sha256 in taken}
        self.files.refused |= {(self.name, sha256) for sha256 in refused}
        for file in files:
            if file.sha256 in refused:
                hint = "The answer is made without it. Choose another model, or attach it in another form."
                self._tell(file, f"was refused by {self.name}", hint)

    def _tell(self, file: UserFile, what: str, hint: str) -> None:
        if file.sha256 not in self._told:
            self._told.add(file.sha256)
            logger.info("a file {} of the question: {}", file.sha256[:8], what)
            self.tell(f"{file.name!r} {what}.", hint)


def _may_be_about_files(error: ProviderError) -> bool:
    if isinstance(error, Overloaded):
        return ABOUT_FILES.search(error.message) is not None
    return isinstance(error, RequestRefused)
