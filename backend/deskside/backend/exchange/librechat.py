"""LibreChat's JSON export of a conversation: one object, with its messages in a list or inside each other.

In the flat form `messages` is a list (of the shown path, or of all branches) with `parentMessageId`; in the
recursive form each message has its answers in `children`, and the outermost list is called `messages` or
`messagesTree`. A long conversation is nested as deep as it is long, so the messages are cut out of the bytes
before they are read.

Sources: danny-avila/LibreChat, client/src/hooks/Conversations/useExportConversation.ts and
api/server/utils/import (importers.js, __data__/librechat-*.json).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import FileContent
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
    text_of,
    tool_call,
)
from deskside.backend.exchange.report import Report
from deskside.backend.store.messages import MessageError, ReasoningPart, TextPart

PROGRAM = "librechat"
NO_PARENT = "00000000-0000-0000-0000-000000000000"
# Their names for who answers, and ours. What else there is speaks OpenAI's language.
PROVIDERS = {"openAI": "openai", "anthropic": "anthropic"}

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}:,]', re.DOTALL)
_LISTS = (b'"messages"', b'"messagesTree"')


class Options(msgspec.Struct):
    model: Any = None
    endpoint: Any = None


class Conversation(msgspec.Struct):
    conversationId: Any = None
    title: Any = None
    endpoint: Any = None
    options: Options | None = None
    createdAt: Any = None
    updatedAt: Any = None
    tags: Any = None
    isArchived: Any = None


class Message(msgspec.Struct):
    messageId: Any = None
    parentMessageId: Any = None
    isCreatedByUser: Any = None
    sender: Any = None
    text: Any = None
    content: Any = None
    model: Any = None
    endpoint: Any = None
    error: Any = None
    unfinished: Any = None
    createdAt: Any = None
    updatedAt: Any = None
    files: Any = None
    attachments: Any = None


_read = msgspec.json.Decoder(Conversation).decode
_read_message = msgspec.json.Decoder(Message).decode


def read(raw: bytes, archive: Archive, now_ms: int, report: Report) -> Imported | None:
    """One conversation; None, which is told, where nothing can be made of it. Raises msgspec.ValidationError
    where it is none at all."""
    header, pieces, others = flat(raw)
    found = _read(header)
    title = text_of(found.title)
    report.of(title)
    for _ in range(others):
        report.skip("message", "a message", "It is no object.")
    options = found.options or Options()
    provider = _provider(text_of(found.endpoint) or text_of(options.endpoint))
    messages: dict[str, Message] = {}
    parents: dict[str, str | None] = {}
    keys: list[str] = []
    for place, (piece, above) in enumerate(pieces):
        message = decoded(piece, _read_message, report, f"message {place + 1}")
        key = text_of(message.messageId) if message is not None else ""
        keys.append(key or f"message {place + 1}")
        if keys[-1] in parents:
            report.skip(
                "message",
                text_of(message.text) if message is not None else keys[-1],
                "A message of the same name is in the conversation already.",
            )
            continue
        named = None if message is None else text_of(message.parentMessageId)
        parents[keys[-1]] = (
            keys[above] if above is not None else named if named not in ("", NO_PARENT) else None
        )
        if message is not None:
            messages[keys[-1]] = message
    about = About(
        title=title,
        created_ms=milliseconds(found.createdAt),
        updated_ms=milliseconds(found.updatedAt),
        model=_model(provider, options.model),
        tags=[text_of(tag) for tag in found.tags] if isinstance(found.tags, list) else (),
        is_archived=found.isArchived is True,
    )
    source = source_of(PROGRAM, about, (parents, messages), text_of(found.conversationId))
    said: dict[str, Node | None] = dict.fromkeys(parents)
    for key, message in messages.items():
        said[key] = _node(key, message, provider, report)
    kept, _ = reattached(parents, said)
    # The export does not say which path was shown: the newest, as LibreChat opens it.
    made = conversation_of(about, kept, None, now_ms, report)
    return None if made is None else Imported(made[0], source, made[1])


def flat(raw: bytes) -> tuple[bytes, list[tuple[bytes, int | None]], int]:
    """The conversation's bytes without its messages, and each message's without those below it, in their
    order, with the place of the one around it; and how many are no objects."""
    found: list[tuple[bytes, int | None]] = []
    # What is in a list of messages and is none.
    others = 0
    # Of what is cut out: its place, its bytes so far, and where the next of them begin. The header is the
    # first.
    cut: list[tuple[int, list[bytes]]] = []
    starts: list[int] = []
    # Of each bracket that is open: what is in it ("object", "message", "list", "messages"), and its last key.
    opened: list[tuple[str, bytes]] = []
    is_key, between = True, 0
    for token in _TOKEN.finditer(raw):
        mark = token[0]
        kind, key = opened[-1] if opened else ("", b"")
        if mark.startswith(b'"'):
            if is_key and kind in ("object", "message"):
                opened[-1] = (kind, mark)
        elif mark == b":":
            is_key = False
        elif mark == b",":
            is_key = True
            if kind == "messages":
                others += _is_something(raw[between : token.start()])
                between = token.end()
        elif mark == b"{":
            is_message = kind in ("", "messages")
            opened.append(("message" if is_message else "object", b""))
            if is_message:
                if cut:
                    found.append((b"", cut[-1][0] if cut[-1][0] >= 0 else None))
                cut.append((len(found) - 1, []))
                starts.append(token.start())
            is_key = True
        elif mark == b"[":
            holds = kind == "message" and (key == b'"children"' if len(cut) > 1 else key in _LISTS)
            opened.append(("messages" if holds else "list", b""))
            if holds:
                cut[-1][1].append(raw[starts[-1] : token.end()])
                between = token.end()
        else:
            if not opened:
                break
            opened.pop()
            if kind == "messages":
                others += _is_something(raw[between : token.start()])
                starts[-1] = token.start()
            elif kind == "message":
                place, pieces = cut.pop()
                whole = b"".join([*pieces, raw[starts.pop() : token.end()]])
                if place < 0:
                    return whole, found, others
                found[place] = (whole, found[place][1])
                between = token.end()
            is_key = False
    return raw, [], others


def _is_something(between: bytes) -> bool:
    return between.strip() != b""


def _node(key: str, message: Message, provider: str, report: Report) -> Node | None:
    is_user = message.isCreatedByUser is True
    text = text_of(message.text)
    has_failed = message.error is True and not is_user
    node = Node(
        key,
        None,
        "user" if is_user else "assistant",
        created_ms=milliseconds(message.createdAt),
        finished_ms=milliseconds(message.updatedAt),
        model=None if is_user else _model(_provider(text_of(message.endpoint)) or provider, message.model),
        status="failed" if has_failed else "interrupted" if message.unfinished is True else "complete",
    )
    if has_failed:
        node.error = MessageError("provider_error", text or "The answer failed.", "", retryable=False)
    blocks = message.content if isinstance(message.content, list) else []
    for place, block in enumerate(blocks):
        _add_block(node, block, f"{key}-{place}", report)
    if not blocks and text.strip() and not has_failed:
        node.contents.append(TextPart(text))
    for each in [*_list(message.files), *_list(message.attachments)]:
        _add_file(node, each, report)
    if not node.contents and not node.files and node.error is None:
        report.skip("message", text_of(message.sender) or key, "It is empty.")
        return None
    return node


def _add_block(node: Node, block: Any, own_id: str, report: Report) -> None:
    if block is None:
        return
    kind = text_of(block.get("type")) if isinstance(block, dict) else type(block).__name__
    content: FileContent | None = None
    if kind == "text":
        content = TextPart(_value(block.get("text")))
    elif kind == "think":
        content = ReasoningPart(_value(block.get("think")))
    elif kind == "error":
        said = _value(block.get("error")) or _value(block.get("text"))
        node.status = "failed"
        node.error = MessageError("provider_error", said or "The answer failed.", "", retryable=False)
        return
    elif kind == "tool_call" and isinstance(block.get("tool_call"), dict):
        node.contents.append(_call(block["tool_call"], own_id))
        return
    elif kind in ("image_url", "image_file"):
        _add_file(node, block.get(kind), report)
        return
    else:
        report.skip("part", kind, f"A part of the kind “{kind[:40]}” is not known.")
        return
    if content.text.strip():
        node.contents.append(content)


def _call(call: dict[str, Any], own_id: str) -> FileContent:
    """A call as agents make it, or as OpenAI's assistants did (a function, or code that was run)."""
    function = call.get("function") if isinstance(call.get("function"), dict) else {}
    code = call.get("code_interpreter") if isinstance(call.get("code_interpreter"), dict) else {}
    assert isinstance(function, dict)
    assert isinstance(code, dict)
    name = text_of(call.get("name")) or text_of(function.get("name")) or text_of(call.get("type"))
    arguments = call.get("args") or function.get("arguments") or code.get("input") or "{}"
    output = call.get("output") if call.get("output") is not None else function.get("output")
    if output is None:
        output = code.get("outputs")
    return tool_call(
        text_of(call.get("id")) or own_id,
        name,
        json_text(arguments),
        None if output is None else json_text(output),
    )


def _add_file(node: Node, each: Any, report: Report) -> None:
    fields = each if isinstance(each, dict) else {}
    url = text_of(each) or text_of(fields.get("url")) or text_of(fields.get("filepath"))
    name = text_of(fields.get("filename"))
    found = file_in_url(url, name)
    if found is None:
        report.skip("file", name or "a picture", NOT_IN_ZIP)
    else:
        node.files.append(found)


def _value(text: Any) -> str:
    return text_of(text.get("value")) if isinstance(text, dict) else text_of(text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _provider(endpoint: str) -> str:
    return PROVIDERS.get(endpoint, "local" if endpoint else "")


def _model(provider: str, name: Any) -> str | None:
    model = text_of(name)
    return f"{provider or 'local'}/{model[:200]}" if re.fullmatch(r"[\w.:/@ -]+", model) else None
