"""What the readers of other programs' files share: from their messages, in whatever order and shape, to a
tree of ours.

A reader makes one `Node` for each message that it keeps. `conversation_of` puts them in order: parents first,
and among those by time. What does not fit (a parent that is not there, a circle, a message that is there
twice) is mended and told; nothing is left out because of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import io
import mimetypes
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TypeVar

import msgspec

from deskside.backend.agent.events import Origin
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import (
    FileAttachment,
    FileContent,
    FileConversation,
    FileMessage,
    FilePart,
    FileToolCall,
)
from deskside.backend.exchange.report import Report
from deskside.backend.store.messages import MessageError, ReasoningPart, Role, TextPart, UserPart
from deskside.backend.store.text import NO_TITLE, plain_title, storable, title_of
from deskside.backend.store.transfer import Source

T = TypeVar("T")

# Before 2001 nobody talked to a program that exports such files; a larger number counts milliseconds.
SECONDS_END = 100_000_000_000
LATEST_MS = 253_402_300_799_000
NOT_IN_ZIP = "The export does not hold the file."
NO_ZIP = "The file by itself holds no attachments. Import the whole zip to bring them along."
NO_RESULT = "(The export holds no result.)"
DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
LONGEST_NAME = 200


@dataclass(frozen=True)
class FoundFile:
    """A file that belongs to a message. `sha256` is what it must be, where that is known; `text` what is in
    it; `as_was` all that our own export says of it."""

    name: str
    media_type: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    sha256: str | None = None
    text: str | None = None
    as_was: FileAttachment | None = None


@dataclass
class Node:
    """A message of another program. `key` is its own name for it, `parent` that of the one above."""

    key: str
    parent: str | None
    role: Role
    contents: list[FileContent] = field(default_factory=list)
    files: list[FoundFile] = field(default_factory=list)
    created_ms: int | None = None
    finished_ms: int | None = None
    model: str | None = None
    status: Literal["complete", "interrupted", "stopped", "failed"] = "complete"
    error: MessageError | None = None


@dataclass(frozen=True)
class Imported:
    """A conversation out of a file, and the files of its messages by the message's number."""

    conversation: FileConversation
    source: Source
    files: Mapping[int | None, Sequence[FoundFile]] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What another program says of a conversation itself."""

    title: str = ""
    created_ms: int | None = None
    updated_ms: int | None = None
    model: str | None = None
    folder: str | None = None
    tags: Sequence[str] = ()
    is_pinned: bool = False
    is_archived: bool = False


def conversation_of(
    about: About, nodes: Sequence[Node], shown: str | None, now_ms: int, report: Report
) -> tuple[FileConversation, dict[int | None, Sequence[FoundFile]]] | None:
    """The nodes as a conversation; None, which is told, where there are none. `shown` is the node that its
    path ends in."""
    by_key = _by_key(nodes, report)
    if not by_key:
        report.skip("conversation", about.title, "It holds no message that could be imported.")
        return None
    times = [node.created_ms for node in by_key.values() if node.created_ms is not None]
    created_ms = about.created_ms if about.created_ms is not None else min(times, default=now_ms)
    mend_links(by_key, report)
    ordered = _ordered(by_key, created_ms)
    numbers = {node.key: number for number, node in enumerate(ordered, 1)}
    written = {node.key: at_ms for node, at_ms in zip(ordered, _times(ordered, created_ms), strict=True)}
    if shown not in numbers:
        shown = _newest_leaf(ordered)
    _tell_hidden(ordered, report)
    last_ms = max(written.values())
    conversation = FileConversation(
        id=1,
        title=_title(about.title, ordered),
        titled_by="model" if about.title.strip() else "start",
        model=about.model,
        created_ms=created_ms,
        updated_ms=about.updated_ms if about.updated_ms is not None else last_ms,
        folder=None if not about.folder else plain_title(about.folder),
        tags=sorted({plain_title(tag) for tag in about.tags if tag.strip()}),
        pinned_ms=last_ms if about.is_pinned else None,
        archived_ms=last_ms if about.is_archived else None,
        shown=numbers[shown],
        messages=[
            FileMessage(
                id=numbers[node.key],
                parent=None if node.parent is None else numbers[node.parent],
                role=node.role,
                status="complete" if node.role == "user" else node.status,
                model=node.model,
                error=node.error,
                created_ms=written[node.key],
                finished_ms=node.finished_ms if node.finished_ms is not None else written[node.key],
                parts=_parts(node.contents),
            )
            for node in ordered
        ],
    )
    return conversation, {numbers[node.key]: node.files for node in ordered if node.files}


def _by_key(nodes: Sequence[Node], report: Report) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        if node.key in found:
            report.skip("message", _begin(node), "A message of the same name is in the conversation already.")
        else:
            found[node.key] = node
    return found


def reattached(
    parents: Mapping[str, str | None], said: Mapping[str, Node | None]
) -> tuple[list[Node], dict[str, str | None]]:
    """The nodes that are kept, each below the next one above that is kept, too; and for every node the one
    that stands for it: itself, or that one."""
    above: dict[str, str | None] = {}
    for key in parents:
        path: list[str] = []
        seen: set[str] = set()
        at: str | None = key
        found: str | None = None
        while at is not None and at not in seen:
            if at in above:
                found = above[at]
                break
            path.append(at)
            seen.add(at)
            at = parents[at]
            if at is None or at not in parents or said[at] is not None:
                found = at
                break
        # Only what is left out passes on what is above it.
        for each in path:
            above[each] = found
    kept = []
    for key, node in said.items():
        if node is not None:
            node.parent = above[key]
            kept.append(node)
    stands_for = {key: key if said[key] is not None else above[key] for key in parents}
    return kept, stands_for


def mend_links(by_key: Mapping[str, Node], report: Report) -> None:
    """Let every way up end at a root."""
    for node in by_key.values():
        if node.parent is not None and node.parent not in by_key:
            report.skip(
                "link", _begin(node), "The message above it is not in the file; it begins a path of its own."
            )
            node.parent = None
    settled: set[str] = set()
    for node in by_key.values():
        path: dict[str, None] = {}
        at: str | None = node.key
        while at is not None and at not in settled:
            if at in path:
                report.skip(
                    "link", _begin(by_key[at]), "Its messages stand in a circle, which was opened here."
                )
                by_key[at].parent = None
                break
            path[at] = None
            at = by_key[at].parent
        settled.update(path)


def _ordered(by_key: Mapping[str, Node], created_ms: int) -> list[Node]:
    """Parents before children; what could come next in the order of time, then of the file."""
    places = {key: place for place, key in enumerate(by_key)}
    below: dict[str | None, list[Node]] = {}
    for node in by_key.values():
        below.setdefault(node.parent, []).append(node)
    waiting: list[tuple[int, int, str]] = []

    def add(parent: str | None, not_before: int) -> None:
        for node in below.get(parent, ()):
            at_ms = not_before if node.created_ms is None else max(node.created_ms, not_before)
            heapq.heappush(waiting, (at_ms, places[node.key], node.key))

    add(None, 0)
    ordered = []
    while waiting:
        at_ms, _, key = heapq.heappop(waiting)
        ordered.append(by_key[key])
        add(key, at_ms)
    return ordered


def _times(ordered: Sequence[Node], created_ms: int) -> list[int]:
    """When each was written: where that is not said, with the one above it."""
    times: dict[str | None, int] = {None: created_ms}
    for node in ordered:
        times[node.key] = times[node.parent] if node.created_ms is None else node.created_ms
    return [times[node.key] for node in ordered]


def _newest_leaf(ordered: Sequence[Node]) -> str:
    parents = {node.parent for node in ordered}
    return next(node.key for node in reversed(ordered) if node.key not in parents)


def _parts(contents: Sequence[FileContent]) -> list[FilePart]:
    """A model's next call begins behind the results of the one before."""
    parts: list[FilePart] = []
    step, has_result = 0, False
    for position, content in enumerate(contents):
        is_call = isinstance(content, FileToolCall)
        if has_result and not is_call:
            step += 1
        has_result = is_call
        parts.append(FilePart(position=position, step=step, content=content))
    return parts


def _title(given: str, ordered: Sequence[Node]) -> str:
    title = plain_title(given)
    if given.strip() and title != NO_TITLE:
        return title[:LONGEST_NAME]
    asked = next((node for node in ordered if node.role == "user"), ordered[0])
    return title_of("\n".join(part.text for part in asked.contents if isinstance(part, TextPart)))


def _tell_hidden(ordered: Sequence[Node], report: Report) -> None:
    for node in ordered:
        for part in node.contents:
            if isinstance(part, TextPart | UserPart | ReasoningPart):
                hidden = len(part.text) - len(without_invisible(part.text))
                if hidden:
                    report.skip("note", _begin(node), "It holds characters that cannot be seen.")
                    break


def _begin(node: Node) -> str:
    text = next((part.text for part in node.contents if isinstance(part, TextPart)), "")
    return text[:80] or f"a message without text ({node.role})"


# -- values of others ---------------------------------------------------------------------------


def milliseconds(value: Any) -> int | None:
    """A moment as others write it (seconds, milliseconds, ISO 8601) in Unix milliseconds; None for anything
    else."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e17:
        return None
    at_ms = int(value) if value >= SECONDS_END else round(value * 1000)
    return min(at_ms, LATEST_MS)


def text_of(value: Any) -> str:
    """A text, or nothing for whatever else is there."""
    return value if isinstance(value, str) else ""


def json_text(value: Any) -> str:
    """Plain data as JSON, as a model would have written it; a text as it is."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def tool_call(
    call_id: str,
    name: str,
    arguments: str,
    output: str | None,
    *,
    failed: bool = False,
    origin: Origin = "tool",
) -> FileToolCall:
    """A call of a tool that this program never had. One without a result has failed."""
    return FileToolCall(
        call_id=call_id,
        name=name or "tool",
        arguments=arguments,
        status="failed" if failed or output is None else "finished",
        output=NO_RESULT if output is None else output,
        origin=origin,
    )


def decoded(
    raw: msgspec.Raw | bytes, decode: Callable[[msgspec.Raw | bytes], T], report: Report, what: str
) -> T | None:
    """A message in the shape that its format has; None, which is told, for any other."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        report.skip("message", what, f"Its form is not known: {error}.")
    except RecursionError:
        report.skip("message", what, "It is nested too deeply.")
    return None


def file_in_url(url: str, name: str) -> FoundFile | None:
    """A file that stands in the text as a data: URL. None for any other address, or one that is broken."""
    match = DATA_URL.match(url)
    if match is None:
        return None
    try:
        content = base64.b64decode(url[match.end() :], validate=True)
    except binascii.Error:
        return None
    media_type = match[1].lower()
    ending = mimetypes.guess_extension(media_type) or ""
    return FoundFile(
        file_name(name) or f"file{ending}", media_type, len(content), lambda: io.BytesIO(content)
    )


def asset_file(archive: Archive, asset_id: str, name: str, report: Report) -> FoundFile | None:
    """A file that the export names; None, which is told, where it is not there."""
    what = name or asset_id or "a file"
    member = archive.asset(asset_id)
    if member is None:
        report.skip("file", what, NOT_IN_ZIP if archive.is_zip else NO_ZIP)
        return None
    own_name = file_name(name) or file_name(member.filename)
    media_type = mimetypes.guess_type(own_name)[0] or mimetypes.guess_type(member.filename)[0]
    return FoundFile(
        own_name,
        media_type or "application/octet-stream",
        member.file_size,
        lambda: archive.open(member),
    )


def text_file(name: str, text: str) -> FoundFile:
    """A text as a file."""
    content = storable(text).encode()
    media_type = mimetypes.guess_type(name)[0] or "text/plain"
    if not media_type.startswith("text/"):
        media_type = "text/plain"
    return FoundFile(
        file_name(name) or "text.txt", media_type, len(content), lambda: io.BytesIO(content), text=text
    )


def file_name(name: str) -> str:
    """The last part of a path, as one line of what can be seen."""
    plain = plain_title(re.split(r"[/\\]", name)[-1])
    return "" if plain == NO_TITLE else plain[-LONGEST_NAME:]


def source_of(program: str, about: About, read: Any, own_id: str) -> Source:
    """`read` is all that was read of the conversation: what the program says besides does not matter."""
    # When it was last used is no change of it: looking at it there can be a use.
    unused = replace(about, updated_ms=None)
    encoded = msgspec.json.encode((unused, read), order="deterministic")
    digest = hashlib.sha256(program.encode() + b"\0" + encoded).hexdigest()
    return Source(digest, f"{program}:{own_id[:LONGEST_NAME]}" if own_id else None)
