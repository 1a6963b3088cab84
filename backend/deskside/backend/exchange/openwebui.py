"""Open WebUI's JSON export of chats: an array of rows, each with a `chat`, whose `history` is a tree.

`history.messages` holds messages by id with `parentId`, `currentId` is the end of the path that was shown.
Older chats have only the list `messages`. What the model thought and the calls of tools stand in the text of
an answer as `<details type="reasoning">` and `<details type="tool_calls">`; newer versions also keep them as
`output`, which comes first here. Pictures are data: URLs, or stay on the server; of other files the text that
was read out of them is there.

Sources: open-webui/open-webui, src/lib/utils/chatImport.ts and index.ts; the sample in danny-avila/LibreChat,
api/server/utils/import/__data__/openwebui-export.json.
"""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec

from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import FileContent, FileToolCall
from deskside.backend.exchange.foreign import (
    NOT_IN_ZIP,
    About,
    Imported,
    Node,
    conversation_of,
    decoded,
    file_in_url,
    json_text,
    milliseconds,
    reattached,
    source_of,
    text_file,
    text_of,
    tool_call,
)
from deskside.backend.exchange.report import Report
from deskside.backend.store.messages import MessageError, ReasoningPart, TextPart

PROGRAM = "openwebui"
DETAILS = re.compile(
    r'<details type="(reasoning|tool_calls|code_interpreter)"([^>]*)>(.*?)</details>\s*', re.DOTALL
)
SUMMARY = re.compile(r"\s*<summary>.*?</summary>\s*", re.DOTALL)
ATTRIBUTE = re.compile(r'([a-z_]+)="([^"]*)"')
QUOTED = re.compile(r"^(?:>|&gt;) ?", re.MULTILINE)


class Message(msgspec.Struct):
    role: str = ""
    content: Any = None
    id: Any = None
    parentId: Any = None
    timestamp: Any = None
    model: Any = None
    done: Any = None
    files: Any = None
    output: Any = None
    error: Any = None


class History(msgspec.Struct):
    messages: dict[str, msgspec.Raw] = {}
    currentId: Any = None


class Chat(msgspec.Struct):
    title: Any = None
    history: History | None = None
    messages: list[msgspec.Raw] | None = None
    tags: Any = None
    timestamp: Any = None


class Meta(msgspec.Struct):
    tags: Any = None


class Row(msgspec.Struct):
    chat: Chat
    id: Any = None
    title: Any = None
    created_at: Any = None
    updated_at: Any = None
    archived: Any = None
    pinned: Any = None
    meta: Meta | None = None
    folder_id: Any = None


_read = msgspec.json.Decoder(Row).decode
_read_message = msgspec.json.Decoder(Message).decode


def read(raw: bytes, archive: Archive, now_ms: int, report: Report) -> Imported | None:
    """One conversation; None, which is told, where nothing can be made of it. Raises msgspec.ValidationError
    where it is none at all."""
    row = _read(raw)
    title = text_of(row.title) or text_of(row.chat.title)
    report.of(title)
    messages, parents, shown = _messages(row.chat, report)
    about = About(
        title=title,
        created_ms=milliseconds(row.created_at) or milliseconds(row.chat.timestamp),
        updated_ms=milliseconds(row.updated_at),
        tags=_tags(row.meta.tags if row.meta is not None else row.chat.tags),
        is_pinned=row.pinned is True,
        is_archived=row.archived is True,
    )
    if text_of(row.folder_id):
        report.skip("note", title, "It was in a folder, whose name the export does not say.")
    source = source_of(PROGRAM, about, (shown, parents, messages), text_of(row.id))
    said = {key: _node(key, message, report) for key, message in messages.items()}
    for key in parents:
        said.setdefault(key, None)
    kept, stands_for = reattached(parents, said)
    made = conversation_of(about, kept, stands_for.get(shown), now_ms, report)
    return None if made is None else Imported(made[0], source, made[1])


def _messages(chat: Chat, report: Report) -> tuple[dict[str, Message], dict[str, str | None], str]:
    """The messages by key, the key above each, and where the shown path ends."""
    messages: dict[str, Message] = {}
    parents: dict[str, str | None] = {}
    if chat.history is not None and chat.history.messages:
        for key, piece in chat.history.messages.items():
            message = decoded(piece, _read_message, report, f"message {key}")
            parents[key] = None if message is None else text_of(message.parentId) or None
            if message is not None:
                messages[key] = message
        return messages, parents, text_of(chat.history.currentId)
    before: str | None = None
    for place, piece in enumerate(chat.messages or [], 1):
        message = decoded(piece, _read_message, report, f"message {place}")
        if message is not None:
            key = f"{place}"
            messages[key], parents[key], before = message, before, key
    return messages, parents, before or ""


def _tags(tags: Any) -> list[str]:
    found = tags if isinstance(tags, list) else []
    return [text_of(tag.get("name")) if isinstance(tag, dict) else text_of(tag) for tag in found]


def _node(key: str, message: Message, report: Report) -> Node | None:
    text = _text(message.content)
    if message.role not in ("user", "assistant"):
        reason = "It is a message of the system." if message.role == "system" else "Its role is not known."
        report.skip("message", text or message.role, reason)
        return None
    is_user = message.role == "user"
    model = text_of(message.model)
    error = None if is_user else _error(message.error)
    node = Node(
        key,
        None,
        "user" if is_user else "assistant",
        created_ms=milliseconds(message.timestamp),
        model=None if is_user or not model else f"local/{model[:200]}",
        status="failed" if error is not None else "interrupted" if message.done is False else "complete",
        error=error,
    )
    if is_user:
        node.contents += [TextPart(text)] if text.strip() else []
    else:
        node.contents += _outputs(key, message.output, report) or _told_in_text(key, text)
    _add_files(node, message, report)
    if not node.contents and not node.files and node.error is None:
        report.skip("message", message.role, "It is empty.")
        return None
    return node


def _text(content: Any) -> str:
    if not isinstance(content, list):
        return text_of(content)
    texts = [text_of(each.get("text")) for each in content if isinstance(each, dict)]
    return "\n".join(text for text in texts if text)


def _error(error: Any) -> MessageError | None:
    if not error:
        return None
    said = text_of(error.get("content")) if isinstance(error, dict) else text_of(error)
    return MessageError("provider_error", said or "The answer failed.", "", retryable=False)


def _outputs(key: str, outputs: Any, report: Report) -> list[FileContent]:
    """The parts of an answer as newer versions keep them."""
    contents: list[FileContent] = []
    calls: dict[str, int] = {}
    for place, each in enumerate(outputs if isinstance(outputs, list) else []):
        kind = text_of(each.get("type")) if isinstance(each, dict) else type(each).__name__
        if kind in ("message", "reasoning"):
            text = _text(each.get("content"))
            if text.strip():
                contents.append(TextPart(text) if kind == "message" else ReasoningPart(text))
        elif kind == "function_call":
            call_id = text_of(each.get("call_id")) or f"{key}-{place}"
            calls[call_id] = len(contents)
            contents.append(
                tool_call(call_id, text_of(each.get("name")), text_of(each.get("arguments")), None)
            )
        elif kind == "function_call_output":
            at = calls.get(text_of(each.get("call_id")))
            if at is None:
                report.skip("part", kind, "The call that it is the result of is not in the export.")
                continue
            call = contents[at]
            assert isinstance(call, FileToolCall)
            output = _text(each.get("output"))
            contents[at] = msgspec.structs.replace(call, status="finished", output=output)
        else:
            report.skip("part", kind, f"A part of the kind “{kind[:40]}” is not known.")
    return contents


def _told_in_text(key: str, text: str) -> list[FileContent]:
    """The parts of an answer whose thoughts and calls stand in its text."""
    contents: list[FileContent] = []
    end = 0

    def add_text(piece: str) -> None:
        if piece.strip():
            contents.append(TextPart(piece.strip()))

    for place, found in enumerate(DETAILS.finditer(text)):
        add_text(text[end : found.start()])
        end = found.end()
        kind, inside = found[1], SUMMARY.sub("", found[3], count=1)
        attributes = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(found[2])}
        if kind == "reasoning":
            thought = html.unescape(QUOTED.sub("", inside)).strip()
            if thought:
                contents.append(ReasoningPart(thought))
            continue
        result = attributes.get("result") or attributes.get("output") or html.unescape(inside).strip()
        contents.append(
            tool_call(
                attributes.get("id") or f"{key}-{place}",
                attributes.get("name") or kind,
                attributes.get("arguments") or "{}",
                _unquoted(result) if attributes.get("done") != "false" else None,
            )
        )
    add_text(text[end:])
    return contents


def _unquoted(result: str) -> str:
    """A result is often a JSON text of a text."""
    try:
        return json_text(msgspec.json.decode(result.encode())) if result.startswith('"') else result
    except (msgspec.DecodeError, UnicodeEncodeError):
        return result


def _add_files(node: Node, message: Message, report: Report) -> None:
    for each in message.content if isinstance(message.content, list) else []:
        picture = each.get("image_url") if isinstance(each, dict) else None
        if isinstance(picture, dict):
            found = file_in_url(text_of(picture.get("url")), "")
            if found is None:
                report.skip("file", "a picture", NOT_IN_ZIP)
            else:
                node.files.append(found)
    for each in message.files if isinstance(message.files, list) else []:
        if not isinstance(each, dict):
            continue
        inner = each.get("file") if isinstance(each.get("file"), dict) else {}
        assert isinstance(inner, dict)
        name = text_of(each.get("name")) or text_of(inner.get("filename"))
        found = file_in_url(text_of(each.get("url")), name)
        data = inner.get("data")
        text = text_of(data.get("content")) if isinstance(data, dict) else ""
        if found is not None:
            node.files.append(found)
        elif text:
            node.files.append(text_file(name or "file.txt", text))
        else:
            report.skip("file", name or text_of(each.get("type")) or "a file", NOT_IN_ZIP)
