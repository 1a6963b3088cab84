"""Files that the user put to a question, as models get them.

A picture or a PDF goes as it is to a provider that takes it, inside its limits; of everything else, and
everywhere else, a model gets the text that was read out of the file, or a note that there is none.

Source: Anthropic's documentation of vision and PDF support (5 MB of base64 a picture, 32 MB a request, 100
pages a PDF, 8000 pixels a side), OpenAI's of images and file inputs (50 MB a request); both read the text of
each page and look at a picture of it. Compatible servers take pictures alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from deskside.backend.agent.events import FileContent, ModelRequest, UserFile
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.attachments.media import LONGEST_TEXT, Kind, kind_of

TAKEN: Mapping[str, frozenset[Kind]] = {
    "openai": frozenset({"image", "pdf"}),
    "anthropic": frozenset({"image", "pdf"}),
    "device": frozenset(),
}
TAKEN_BY_OTHERS: frozenset[Kind] = frozenset({"image"})

# Of all files in one request. In base64 that is 27 MB.
REQUEST_BYTES = 20_000_000
MOST_PAGES = 100

# What a picture of the size that providers scale to costs at most, and a page of a PDF beside its text.
PICTURE_TOKENS = 1_600

FENCE = re.compile("`{3,}")


class SentFile(NamedTuple):
    """A file that goes as it is."""

    name: str
    content: FileContent


def kinds_taken(model: str) -> frozenset[Kind]:
    """The kinds of files that a model (`provider/model`) is sent as they are."""
    return TAKEN.get(model.partition("/")[0], TAKEN_BY_OTHERS)


def sendable(request: ModelRequest, model: str) -> list[UserFile]:
    """The files of a history that go to a model as they are, each once: the newest, as many as fit."""
    kinds = kinds_taken(model)
    chosen: dict[str, UserFile] = {}
    room = REQUEST_BYTES
    for item in reversed(request.history):
        if type(item) is UserFile and item.sha256 not in chosen and _goes(item, kinds):
            room -= item.size_bytes
            if room < 0:
                break
            chosen[item.sha256] = item
    return list(chosen.values())


def tokens_of(file: UserFile, model: str) -> tuple[str, int]:
    """What a file costs in a request to a model: a text, and tokens beside it."""
    if not _goes(file, kinds_taken(model)):
        return as_text(file), 0
    if kind_of(file.media_type) == "image":
        return file.name, PICTURE_TOKENS
    return file.text or "", PICTURE_TOKENS * _pages(file)


def content_of(
    files: Iterable[UserFile], text: str, contents: Mapping[str, FileContent]
) -> list[str | SentFile]:
    """What the user says in one turn: files that go as they are, and between and behind them texts."""
    parts: list[str | SentFile] = []
    texts: list[str] = []
    for file in files:
        content = contents.get(file.sha256)
        if content is None or content.problem:
            texts.append(as_text(file, "" if content is None else content.problem))
            continue
        texts.append(f"Attached: {_name(file)}")
        parts += ["\n\n".join(texts), SentFile(file.name, content)]
        texts = []
    if text:
        texts.append(text)
    return [*parts, "\n\n".join(texts)] if texts else parts


def as_text(file: UserFile, problem: str = "") -> str:
    """A file for a model that cannot have the file itself."""
    if file.text:
        return _fenced(file)
    return f"Attached: {_name(file)} ({problem or _why_without_text(file)})"


def _goes(file: UserFile, kinds: frozenset[Kind]) -> bool:
    kind = kind_of(file.media_type)
    if kind not in kinds:
        return False
    # A PDF that our reader could not open, a protected one above all, no provider can read either.
    return kind != "pdf" or (file.text is not None and _pages(file) <= MOST_PAGES)


def _pages(file: UserFile) -> int:
    return 0 if file.text is None else max(1, file.text.count("[Page "))


def _why_without_text(file: UserFile) -> str:
    kind = kind_of(file.media_type)
    if kind == "image":
        return "a picture, which cannot be shown to you; tell the user so if it matters"
    if file.is_waiting:
        return "its text is still being read"
    if kind == "other":
        return f"{file.size_bytes:,} bytes that are no text and no document; they are not shown to you"
    if file.text == "":
        return "no text was found in it; a PDF may hold pictures of pages"
    return "its text could not be read: it is damaged, protected or too large; tell the user so"


# The same file is sent again with each step: its text is looked through once for as long as the history
# lasts.
_fenced_texts: WeakKeyDictionary[UserFile, str] = WeakKeyDictionary()


def _fenced(file: UserFile) -> str:
    text = _fenced_texts.get(file)
    if text is None:
        seen = without_invisible(file.text or "")
        fence = "`" * (1 + max((len(row) for row in FENCE.findall(seen)), default=2))
        cut = "\n(The rest was cut off.)" if len(file.text or "") >= LONGEST_TEXT else ""
        text = _fenced_texts[file] = f"Attached: {_name(file)}\n{fence}\n{seen.rstrip()}\n{fence}{cut}"
    return text


def _name(file: UserFile) -> str:
    return without_invisible(file.name)
