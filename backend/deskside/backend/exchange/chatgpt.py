"""ChatGPT's official export: `conversations.json`, by itself or in the zip that the user is sent.

Each conversation has a `mapping` of nodes, each with a message (or none), its parent and its children;
`current_node` is the end of the path that was shown. A question is one node, an answer often several:
thoughts, code for a tool, the tool's output, a text. Nodes that follow each other without a branch become one
reply here.

Left out and told: hidden messages (custom instructions, what the system said), nodes of kinds that hold
nothing to read, pictures that the zip does not have.

Sources: the sample and the importer in danny-avila/LibreChat, api/server/utils/import
(__data__/chatgpt-modern-export.json, importers.js); mitkury/chatgpt-export-parser,
docs/chatgpt-data-export-format.md. OpenAI publishes no schema.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from deskside.backend.agent.events import Origin
from deskside.backend.exchange.archive import Archive
from deskside.backend.exchange.conversation_file import FileContent, FileToolCall
from deskside.backend.exchange.foreign import (
    NO_RESULT,
    About,
    Imported,
    Node,
    asset_file,
    conversation_of,
    decoded,
    mend_links,
    milliseconds,
    reattached,
    source_of,
    text_of,
    tool_call,
)
from deskside.backend.exchange.report import Report
from deskside.backend.store.messages import ReasoningPart, TextPart

PROGRAM = "chatgpt"
MODELS = "openai"
# States of a node that was never finished.
UNFINISHED = ("in_progress", "finished_partial_completion")
# Kinds that may well be empty.
KNOWN = ("text", "multimodal_text", "code", "execution_output", "tether_browsing_display", "tether_quote")
# Tools that read pages.
WEB = ("browser", "web", "bing", "search", "myfiles_browser", "file_search")


class Author(msgspec.Struct):
    role: str = ""
    name: Any = None


class Content(msgspec.Struct):
    """All that any kind of content has."""

    content_type: str = ""
    parts: Any = None
    text: Any = None
    language: Any = None
    result: Any = None
    summary: Any = None
    thoughts: Any = None
    content: Any = None
    title: Any = None
    url: Any = None
    name: Any = None
    user_profile: Any = None
    user_instructions: Any = None
    model_set_context: Any = None
    assets: Any = None


class Attached(msgspec.Struct):
    id: Any = None
    name: Any = None
    mime_type: Any = None


class Metadata(msgspec.Struct):
    model_slug: Any = None
    is_visually_hidden_from_conversation: Any = None
    is_user_system_message: Any = None
    attachments: Any = None


class Message(msgspec.Struct):
    author: Author
    content: Content
    create_time: Any = None
    update_time: Any = None
    status: Any = None
    recipient: Any = None
    metadata: Metadata | None = None


class MappingNode(msgspec.Struct):
    message: Message | None = None
    parent: str | None = None


class Conversation(msgspec.Struct):
    mapping: dict[str, msgspec.Raw]
    title: Any = None
    create_time: Any = None
    update_time: Any = None
    current_node: Any = None
    default_model_slug: Any = None
    is_archived: Any = None
    is_starred: Any = None
    conversation_id: Any = None
    id: Any = None


_read = msgspec.json.Decoder(Conversation).decode
_read_node = msgspec.json.Decoder(MappingNode).decode


class _OnlyParent(msgspec.Struct):
    parent: str | None = None


_read_parent = msgspec.json.Decoder(_OnlyParent).decode


def read(raw: bytes, archive: Archive, now_ms: int, report: Report) -> Imported | None:
    """One conversation; None, which is told, where nothing can be made of it. Raises msgspec.ValidationError
    where it is none at all."""
    found = _read(raw)
    title = text_of(found.title)
    report.of(title)
    nodes: dict[str, MappingNode] = {}
    for key, piece in found.mapping.items():
        node = decoded(piece, _read_node, report, f"message {key}")
        nodes[key] = MappingNode(parent=_parent(piece)) if node is None else node
    about = About(
        title=title,
        created_ms=milliseconds(found.create_time),
        updated_ms=milliseconds(found.update_time),
        model=_model(found.default_model_slug),
        is_pinned=found.is_starred is True,
        is_archived=found.is_archived is True,
    )
    shown = text_of(found.current_node)
    source = source_of(PROGRAM, about, (shown, nodes), text_of(found.conversation_id) or text_of(found.id))
    said = {
        key: None if node.message is None else _node(key, node.message, archive, report)
        for key, node in nodes.items()
    }
    kept, stands_for = reattached({key: node.parent for key, node in nodes.items()}, said)
    replies, joined = _joined(kept, report)
    end = stands_for.get(shown)
    made = conversation_of(about, replies, None if end is None else joined.get(end, end), now_ms, report)
    return None if made is None else Imported(made[0], source, made[1])


# -- from nodes to replies ----------------------------------------------------------------------


def _joined(kept: Sequence[Node], report: Report) -> tuple[list[Node], dict[str, str]]:
    """One message for all nodes of an answer, and for each that went into another the key of that one."""
    by_key = {node.key: node for node in kept}
    mend_links(by_key, report)
    below: dict[str | None, list[Node]] = {}
    for node in kept:
        below.setdefault(node.parent, []).append(node)
    replies: list[Node] = []
    joined: dict[str, str] = {}
    waiting = list(reversed(below.get(None, [])))
    while waiting:
        node = waiting.pop()
        waiting += reversed(below.get(node.key, []))
        above = None if node.parent is None else by_key[joined.get(node.parent, node.parent)]
        if above is not None and above.role == "assistant" == node.role and len(below[node.parent]) == 1:
            joined[node.key] = above.key
            _put_behind(above, node)
            continue
        node.parent = None if above is None else above.key
        replies.append(node)
    return replies, joined


def _put_behind(reply: Node, node: Node) -> None:
    """What a tool gave becomes the result of the last call that has none."""
    for content in node.contents:
        last = reply.contents[-1] if reply.contents else None
        if _is_result(content) and isinstance(last, FileToolCall) and last.output == NO_RESULT:
            assert isinstance(content, FileToolCall)
            reply.contents[-1] = msgspec.structs.replace(
                last, status=content.status, output=content.output, origin=content.origin
            )
        else:
            reply.contents.append(content)
    reply.files += node.files
    reply.model = node.model or reply.model
    reply.finished_ms = node.finished_ms or node.created_ms or reply.finished_ms
    reply.status = node.status


def _is_result(content: FileContent) -> bool:
    return isinstance(content, FileToolCall) and content.arguments == "" and content.output != NO_RESULT


# -- one node -----------------------------------------------------------------------------------


def _node(key: str, message: Message, archive: Archive, report: Report) -> Node | None:
    role, kind = message.author.role, message.content.content_type
    metadata = message.metadata or Metadata()
    hidden = _why_hidden(message, metadata)
    if hidden:
        report.skip("message", _text(message.content) or f"{role}, {kind}", hidden)
        return None
    node = Node(
        key,
        None,
        "user" if role == "user" else "assistant",
        created_ms=milliseconds(message.create_time),
        finished_ms=milliseconds(message.update_time),
        model=None if role == "user" else _model(metadata.model_slug),
        status="interrupted" if message.status in UNFINISHED else "complete",
    )
    assets: dict[str, str] = {}
    node.contents += _contents(key, message, assets, report)
    for attached in _attached(metadata):
        assets[text_of(attached.id)] = text_of(attached.name)
    for asset_id, name in assets.items():
        found = asset_file(archive, asset_id, name, report)
        if found is not None:
            node.files.append(found)
    if not node.contents and not node.files:
        if not assets:
            report.skip("message", f"{role}, {kind}", "It is empty.")
        return None
    return node


def _why_hidden(message: Message, metadata: Metadata) -> str:
    """Why the conversation did not show a message; empty where it did."""
    kind = message.content.content_type
    if kind in ("user_editable_context", "model_editable_context") or metadata.is_user_system_message:
        return "It holds custom instructions, which the conversation does not show."
    if message.author.role == "system":
        return "It is a message of the system, which the conversation does not show."
    if metadata.is_visually_hidden_from_conversation:
        return "The conversation does not show it."
    if message.author.role not in ("user", "assistant", "tool"):
        return f"Its author, “{message.author.role}”, is not known."
    return ""


def _contents(key: str, message: Message, assets: dict[str, str], report: Report) -> list[FileContent]:
    """What is to be read in a node. The pictures in it are put into `assets`."""
    content, recipient = message.content, text_of(message.recipient) or "all"
    kind = content.content_type
    if kind == "thoughts":
        return [ReasoningPart(text)] if (text := _thoughts(content)) else []
    if kind == "reasoning_recap":
        report.skip("part", text_of(content.content), "How long a model thought is not kept.")
        return []
    text = _parts(content, assets, report) if isinstance(content.parts, list) else _text(content)
    if not text and kind not in KNOWN:
        report.skip("part", kind, f"Content of the kind “{kind}” is not known.")
    if message.author.role == "tool":
        name = text_of(message.author.name)
        failed = kind == "system_error"
        if not text and not assets:
            return []
        return [tool_call(key, name, "", text, failed=failed, origin=_origin(name, kind))]
    if not text.strip():
        return []
    if message.author.role == "assistant" and recipient != "all":
        return [tool_call(key, recipient, text, None)]
    if kind == "code":
        return [TextPart(_fenced(text, text_of(content.language)))]
    return [TextPart(text)]


def _parts(content: Content, assets: dict[str, str], report: Report) -> str:
    texts = []
    for part in content.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = text_of(part.get("content_type")) if isinstance(part, dict) else type(part).__name__
        if kind == "image_asset_pointer":
            assets.setdefault(_asset_id(text_of(part.get("asset_pointer"))), "")
        elif kind == "audio_transcription":
            texts.append(text_of(part.get("text")))
        elif "audio" in kind or "video" in kind:
            report.skip("part", kind, "Sound and moving pictures are not imported.")
        elif part is not None:
            report.skip("part", kind, f"A part of the kind “{kind[:40]}” is not known.")
    return "\n".join(text for text in texts if text)


def _text(content: Content) -> str:
    """The text of content that is not made of parts, such as code, an output or a page that was read."""
    if isinstance(content.parts, list):
        return "\n".join(part for part in content.parts if isinstance(part, str))
    texts = [text_of(getattr(content, name)) for name in ("title", "url", "result", "text")]
    if not any(texts):
        texts = [text_of(getattr(content, name)) for name in ("summary", "content", "name")]
    return "\n".join(text for text in texts if text)


def _thoughts(content: Content) -> str:
    thoughts = content.thoughts if isinstance(content.thoughts, list) else []
    texts = []
    for thought in thoughts:
        if isinstance(thought, dict):
            summary, said = text_of(thought.get("summary")), text_of(thought.get("content"))
            texts.append(f"**{summary}**\n\n{said}" if summary and said else summary or said)
    return "\n\n".join(text for text in texts if text)


def _attached(metadata: Metadata) -> list[Attached]:
    if not isinstance(metadata.attachments, list):
        return []
    return [
        Attached(each.get("id"), each.get("name"), each.get("mime_type"))
        for each in metadata.attachments
        if isinstance(each, dict)
    ]


def _asset_id(pointer: str) -> str:
    """`file-service://file-AbC`, `sediment://file_0000?shared=1`."""
    return re.split(r"[?#]", pointer.rpartition("://")[2])[0]


def _parent(piece: msgspec.Raw) -> str | None:
    """The parent of a node whose message cannot be read."""
    try:
        return _read_parent(piece).parent
    except (msgspec.ValidationError, RecursionError):
        return None


def _model(slug: Any) -> str | None:
    name = text_of(slug)
    return f"{MODELS}/{name[:200]}" if re.fullmatch(r"[\w.:-]+", name) else None


def _origin(name: str, kind: str) -> Origin:
    return "web" if name.startswith(WEB) or kind.startswith("tether") else "tool"


def _fenced(code: str, language: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code)), default=0))
    return f"{fence}{language if re.fullmatch(r'[a-z0-9+#-]{1,20}', language) else ''}\n{code}\n{fence}"
