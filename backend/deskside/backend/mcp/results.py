"""What a server answers, as text: a model, and the message box, read nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    ReadResourceResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

NOTHING = "(The tool answered without any content.)"


def tool_text(result: CallToolResult) -> str:
    """The content blocks one after the other, and the structured result where no block repeats it."""
    texts = [_block(block) for block in result.content]
    if result.structured_content is not None and not _is_said(result.structured_content, result.content):
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n\n".join(texts) or NOTHING


def resource_text(result: ReadResourceResult) -> str:
    """A resource's parts, with a line in place of each that is no text."""
    return "\n\n".join(_resource(part) for part in result.contents)


def prompt_text(result: GetPromptResult) -> str:
    """A prompt's messages; whose they are is said where there are several voices."""
    roles = {message.role for message in result.messages}
    texts = []
    for message in result.messages:
        text = _block(message.content)
        texts.append(text if len(roles) == 1 else f"{message.role.capitalize()}: {text}")
    return "\n\n".join(texts)


def _block(block: Any) -> str:
    match block:
        case TextContent(text=text):
            return text
        case ImageContent(mime_type=kind, data=data):
            return f"[An image ({kind}, {_size(data)}), which is not shown.]"
        case AudioContent(mime_type=kind, data=data):
            return f"[A sound ({kind}, {_size(data)}), which is not played.]"
        case ResourceLink(uri=uri, name=name, description=description):
            about = f": {description}" if description else ""
            return f"[A resource of the server, {name!r} at {uri}{about}]"
        case EmbeddedResource(resource=resource):
            return _resource(resource)
        case _:
            return f"[Content of the kind {getattr(block, 'type', '?')!r}, which is not understood.]"


def _resource(contents: TextResourceContents | BlobResourceContents) -> str:
    if isinstance(contents, TextResourceContents):
        return contents.text
    kind = contents.mime_type or "data"
    return f"[A file ({kind}, {_size(contents.blob)}) at {contents.uri}, which is no text.]"


def _size(base64: str) -> str:
    return f"{max(1, len(base64) * 3 // 4 // 1024):,} KB"


def _is_said(structured: dict[str, Any], blocks: Sequence[Any]) -> bool:
    """Servers repeat the structured result as a block of JSON, as the protocol asks them to; the official SDK
    wraps one that is no object, and repeats what is inside."""
    alone = structured.get("result") if len(structured) == 1 else None
    for block in blocks:
        if isinstance(block, TextContent) and alone is not None and block.text == str(alone):
            return True
        if isinstance(block, TextContent) and block.text[:1] in ("{", "["):
            try:
                if json.loads(block.text) == structured:
                    return True
            except (ValueError, RecursionError):
                continue
    return False
