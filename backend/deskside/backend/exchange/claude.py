"""Claude's official export: `conversations.json`, by itself or in the zip that the user is sent.

A conversation has `chat_messages`, each with `content` blocks (text, thinking, tool_use, tool_result), the
text of what was attached (`attachments[].extracted_content`) and the names of files whose content is not in
the export. Newer exports say of each message which one it follows (`parent_message_uuid`); in older ones they
follow each other.

Sources: Sinity/polylogue, docs/providers/claude-ai.md; type definitions and tests of public viewers that name
`chat_messages`, `parent_message_uuid`, `current_leaf_message_uuid` and `extracted_content`. Anthropic
publishes no schema.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import FileContent, FileToolCall
from deskside.backend.exchange.foreign import (
    NO_RESULT,
    NOT_IN_ZIP,
    About,
    Imported,
    Node,
    conversation_of,
    decoded,
    json_text,
    milliseconds,
    reattached,
    source_of,
    text_file,
    text_of,
    tool_call,
)
from deskside.backend.exchange.report import Report
from deskside.backend.store.messages import ReasoningPart, TextPart

PROGRAM = "claude"
# What the first message names as the one above it.
NO_PARENT = re.compile(r"0{8}-0{4}-[04]000-[08]000-0{12}")
# Blocks that hold nothing to read.
SILENT = ("token_budget", "flag")
WEB = ("web_search", "web_fetch")


class Message(msgspec.Struct):
    uuid: str
    sender: str = ""
    text: Any = None
    content: Any = None
    created_at: Any = None
    updated_at: Any = None
    attachments: Any = None
    files: Any = None
    parent_message_uuid: Any = msgspec.UNSET
    stop_reason: Any = None


class Conversation(msgspec.Struct):
    chat_messages: list[msgspec.Raw]
    uuid: Any = None
    name: Any = None
    created_at: Any = None
    updated_at: Any = None
    model: Any = None
    current_leaf_message_uuid: Any = None
    is_starred: Any = None


_read = msgspec.json.Decoder(Conversation).decode
_read_message = msgspec.json.Decoder(Message).decode


def read(raw: bytes, archive: Archive, now_ms: int, report: Report) -> Imported | None:
    """One conversation; None, which is told, where nothing can be made of it. Raises msgspec.ValidationError
    where it is none at all."""
    found = _read(raw)
    title = text_of(found.name)
    report.of(title)
    messages = [
        message
        for place, piece in enumerate(found.chat_messages, 1)
        if (message := decoded(piece, _read_message, report, f"message {place}")) is not None
    ]
    model = text_of(found.model)
    about = About(
        title=title,
        created_ms=milliseconds(found.created_at),
        updated_ms=milliseconds(found.updated_at),
        model=f"anthropic/{model}" if re.fullmatch(r"[\w.:-]{1,200}", model) else None,
        is_pinned=found.is_starred is True,
    )
    shown = text_of(found.current_leaf_message_uuid)
    source = source_of(PROGRAM, about, (shown, messages), text_of(found.uuid))
    said: dict[str, Node | None] = {}
    parents: dict[str, str | None] = {}
    before: str | None = None
    for message in messages:
        if message.uuid in parents:
            report.skip(
                "message", text_of(message.text), "A message of the same name is in the conversation already."
            )
            continue
        said[message.uuid] = _node(message, about.model, report)
        parents[message.uuid] = _parent(message, before)
        before = message.uuid
    kept, stands_for = reattached(parents, said)
    made = conversation_of(about, kept, stands_for.get(shown or before or ""), now_ms, report)
    return None if made is None else Imported(made[0], source, made[1])


def _parent(message: Message, before: str | None) -> str | None:
    if message.parent_message_uuid is msgspec.UNSET:
        return before
    parent = text_of(message.parent_message_uuid)
    return None if not parent or NO_PARENT.fullmatch(parent) else parent


def _node(message: Message, model: str | None, report: Report) -> Node | None:
    if message.sender not in ("human", "user", "assistant"):
        report.skip("message", text_of(message.text), f"Its sender, “{message.sender[:40]}”, is not known.")
        return None
    is_user = message.sender != "assistant"
    node = Node(
        message.uuid,
        None,
        "user" if is_user else "assistant",
        created_ms=milliseconds(message.created_at),
        finished_ms=milliseconds(message.updated_at),
        model=None if is_user else model,
        status="interrupted" if message.stop_reason == "user_canceled" else "complete",
    )
    blocks = message.content if isinstance(message.content, list) else []
    _add_blocks(node, blocks, report)
    if not blocks and text_of(message.text).strip():  # exports before 2025
        node.contents.append(TextPart(text_of(message.text)))
    _add_files(node, message, report)
    if not node.contents and not node.files:
        report.skip("message", f"a message of {node.created_ms or 'no'} time", "It is empty.")
        return None
    return node


def _add_blocks(node: Node, blocks: list[Any], report: Report) -> None:
    calls: dict[str, int] = {}
    for place, block in enumerate(blocks):
        kind = text_of(block.get("type")) if isinstance(block, dict) else type(block).__name__
        if kind == "text":
            if text_of(block.get("text")).strip():
                node.contents.append(TextPart(text_of(block.get("text"))))
        elif kind in ("thinking", "redacted_thinking"):
            if text_of(block.get("thinking")).strip():
                node.contents.append(ReasoningPart(text_of(block.get("thinking"))))
            else:
                report.skip("part", kind, "What the model thought is not in the export.")
        elif kind == "tool_use":
            call_id = text_of(block.get("id")) or f"{node.key}-{place}"
            calls[call_id] = len(node.contents)
            arguments = json_text(block.get("input") if block.get("input") is not None else {})
            node.contents.append(tool_call(call_id, text_of(block.get("name")), arguments, None))
        elif kind == "tool_result":
            _add_result(node, block, calls, f"{node.key}-{place}", report)
        elif kind not in SILENT:
            report.skip("part", kind, f"A block of the kind “{kind[:40]}” is not known.")


def _add_result(
    node: Node, block: dict[str, Any], calls: dict[str, int], own_id: str, report: Report
) -> None:
    """The result of the call that it names; where it names none, of the last one that has none."""
    name = text_of(block.get("name"))
    result = tool_call(
        text_of(block.get("tool_use_id")) or own_id,
        name,
        "",
        _result_text(block.get("content"), report),
        failed=block.get("is_error") is True,
        origin="web" if name in WEB else "tool",
    )
    open_call = calls.get(text_of(block.get("tool_use_id")))
    last: FileContent | None = node.contents[-1] if node.contents else None
    if open_call is None and isinstance(last, FileToolCall) and last.output == NO_RESULT:
        open_call = len(node.contents) - 1
    if open_call is None:
        node.contents.append(result)
        return
    call = node.contents[open_call]
    assert isinstance(call, FileToolCall)
    node.contents[open_call] = msgspec.structs.replace(
        call, status=result.status, output=result.output, origin=result.origin
    )


def _result_text(content: Any, report: Report) -> str:
    if not isinstance(content, list):
        return "" if content is None else json_text(content)
    texts = []
    for each in content:
        kind = text_of(each.get("type")) if isinstance(each, dict) else type(each).__name__
        if kind == "text":
            texts.append(text_of(each.get("text")))
        elif kind == "knowledge":
            texts += [text_of(each.get(name)) for name in ("title", "url", "text")]
        else:
            report.skip("part", kind, f"A tool's result of the kind “{kind[:40]}” is not imported.")
    return "\n".join(text for text in texts if text)


def _add_files(node: Node, message: Message, report: Report) -> None:
    attachments = message.attachments if isinstance(message.attachments, list) else []
    for each in attachments:
        if not isinstance(each, dict):
            continue
        name, text = text_of(each.get("file_name")), text_of(each.get("extracted_content"))
        if text:
            node.files.append(text_file(name or "pasted.txt", text))
        else:
            report.skip("file", name or "a file", NOT_IN_ZIP)
    names = {file.name for file in node.files}
    files = message.files if isinstance(message.files, list) else []
    for each in files:
        name = text_of(each.get("file_name")) if isinstance(each, dict) else ""
        if name not in names:
            report.skip("file", name or "a file", NOT_IN_ZIP)
