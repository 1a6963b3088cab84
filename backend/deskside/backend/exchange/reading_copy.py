"""Conversations to be read by people: Markdown, and one HTML page. Both show the path that is shown in the
window; other versions, and all that a program would want, are in the JSON document (conversation_file.py).

Everything in a conversation may be hostile. The page holds no script and no address that loads anything, its
Markdown is rendered without HTML by markdown-it-py, links lead to http, https and mail only, and a policy in
the page forbids the rest.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from deskside.backend.exchange.conversation_file import (
    FileAttachment,
    FileConversation,
    FileMessage,
    FilePart,
    FilePause,
    FileToolCall,
)
from deskside.backend.store.messages import NotePart, ReasoningPart, TextPart, UserPart
from deskside.backend.visible import made_visible

Content = Callable[[FileAttachment], bytes | None]
"""The content of a file; None where it is gone."""

LINKS = frozenset({"http", "https", "mailto"})
DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|avif|bmp);base64,[A-Za-z0-9+/]+=*", re.IGNORECASE)
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"})
# A page is read in a browser: pictures in it are shown up to this size, the others named.
LARGEST_PICTURE_BYTES = 20_000_000
STATUS = {"interrupted": "interrupted", "stopped": "stopped", "failed": "failed"}


class Shown:
    """The messages of the shown path, with the versions of each and what agents below have said."""

    def __init__(self, conversation: FileConversation) -> None:
        by_id = {message.id: message for message in conversation.messages}
        self.path: list[FileMessage] = []
        at = conversation.shown
        while at is not None:
            self.path.append(by_id[at])
            at = by_id[at].parent
        self.path.reverse()
        self.versions: dict[int | None, list[int]] = {}
        self.below: dict[tuple[int, int | None], list[FileMessage]] = {}
        for message in conversation.messages:
            if message.delegator is None:
                self.versions.setdefault(message.parent, []).append(message.id)
            else:
                self.below.setdefault((message.delegator, message.call_position), []).append(message)

    def version(self, message: FileMessage) -> str:
        """`version 2 of 3`; empty where there is one."""
        versions = self.versions[message.parent]
        return f"version {versions.index(message.id) + 1} of {len(versions)}" if len(versions) > 1 else ""


# -- Markdown -----------------------------------------------------------------------------------


def markdown(conversation: FileConversation) -> str:
    """A conversation as Markdown. Attachments are named."""
    shown = Shown(conversation)
    lines = [f"# {_one_line(conversation.title)}", "", *(f"- {line}" for line in _about(conversation)), ""]
    for message in shown.path:
        lines += [f"## {_heading(message, shown)}", "", *_markdown_body(message, shown)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_body(message: FileMessage, shown: Shown) -> Iterator[str]:
    for part in message.parts:
        yield from _markdown_part(message, part, shown)
    for attached in message.attachments:
        yield from (f"*Attached: {_escaped(attached.name)} ({_size(attached.size_bytes)})*", "")
    if message.error is not None:
        yield from (f"*It failed: {_escaped(message.error.message)}*", "")


def _markdown_part(message: FileMessage, part: FilePart, shown: Shown) -> Iterator[str]:
    match part.content:
        case TextPart(text=text):
            yield from (text, "")
        case UserPart(text=text):
            yield from ("**You, meanwhile:**", "", text, "")
        case ReasoningPart(text=text):
            yield from ("*Thought:*", "", *(f"> {line}".rstrip() for line in text.split("\n")), "")
        case FileToolCall() as call:
            yield from (f"**Tool: {_escaped(call.name)}**{_decided(call)}", "")
            yield from (fenced(call.arguments, "json" if call.arguments.startswith("{") else ""), "")
            for below in shown.below.get((message.id, part.position), []):
                for line in _markdown_body(below, shown):
                    yield from (f"> {each}".rstrip() for each in line.split("\n"))
            yield from ("Result:" if call.status == "finished" else "Failed:", "", fenced(call.output), "")
        case NotePart(text=text, detail=detail):
            yield from (f"*{_escaped(text)}*", "", *([fenced(detail), ""] if detail else []))
        case FilePause(text=text, status=status):
            yield from (f"*{_escaped(text)} You {'went on' if status == 'went_on' else 'stopped'}.*", "")


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code, which nothing in it can end."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _escaped(text: str) -> str:
    """A text that is no Markdown, on one line."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


# -- what both say ------------------------------------------------------------------------------


def _about(conversation: FileConversation) -> Iterator[str]:
    yield f"Begun: {_time(conversation.created_ms)}"
    yield f"Last used: {_time(conversation.updated_ms)}"
    if conversation.folder is not None:
        yield f"Folder: {_one_line(conversation.folder)}"
    if conversation.tags:
        yield f"Tags: {', '.join(map(_one_line, conversation.tags))}"


def _heading(message: FileMessage, shown: Shown) -> str:
    who = "You" if message.role == "user" else (message.agent or "assistant").capitalize()
    facts = [
        message.model or "",
        _time(message.created_ms),
        shown.version(message),
        STATUS.get(message.status, ""),
    ]
    return " · ".join([who, *(_one_line(fact) for fact in facts if fact)])


def _decided(call: FileToolCall) -> str:
    decision = "" if call.approval is None else call.approval.decision
    return {"approved": " (you allowed it)", "denied": " (you denied it)"}.get(decision, "")


def _time(at_ms: int) -> str:
    """In UTC: who reads it may be somewhere else."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown"


def _size(size_bytes: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes = round(size_bytes / 1000)
    return f"{size_bytes} GB"


# -- HTML ---------------------------------------------------------------------------------------


def page(conversation: FileConversation, content: Content) -> str:
    """A conversation as one HTML page that needs nothing else."""
    shown = Shown(conversation)
    title = html.escape(_one_line(conversation.title))
    about = "".join(f"<li>{html.escape(line)}</li>" for line in _about(conversation))
    said = "\n".join(_message_html(message, shown, content) for message in shown.path)
    return PAGE.format(title=title, policy=POLICY, style=STYLE, about=about, messages=said)


def _message_html(message: FileMessage, shown: Shown, content: Content) -> str:
    body = "".join(_body_html(message, shown, content))
    heading = html.escape(_heading(message, shown))
    return f'<article class="{message.role}">\n<h2>{heading}</h2>\n{body}</article>'


def _body_html(message: FileMessage, shown: Shown, content: Content) -> Iterator[str]:
    for part in message.parts:
        yield _part_html(message, part, shown, content)
    for attached in message.attachments:
        yield _attached_html(attached, content)
    if message.error is not None:
        yield f'<p class="failed">{html.escape(message.error.message)}</p>\n'


def _part_html(message: FileMessage, part: FilePart, shown: Shown, content: Content) -> str:
    match part.content:
        case TextPart(text=text):
            return f'<div class="text" dir="auto">{rendered(text)}</div>\n'
        case UserPart(text=text):
            return f'<div class="text meanwhile" dir="auto"><p>You, meanwhile:</p>{rendered(text)}</div>\n'
        case ReasoningPart(text=text):
            return f'<details><summary>Thought</summary><div dir="auto">{rendered(text)}</div></details>\n'
        case FileToolCall() as call:
            below = "".join(
                "".join(_body_html(each, shown, content))
                for each in shown.below.get((message.id, part.position), [])
            )
            name, state = (
                html.escape(made_visible(call.name)),
                "" if call.status == "finished" else " (failed)",
            )
            return (
                f"<details><summary>Tool: {name}{_decided(call)}{state}</summary>"
                f"{_code(call.arguments)}{below}{_code(call.output)}</details>\n"
            )
        case NotePart(text=text, detail=detail):
            more = _code(detail) if detail else ""
            return f'<div class="note"><p>{html.escape(text)}</p>{more}</div>\n'
        case FilePause(text=text, status=status):
            did = "went on" if status == "went_on" else "stopped"
            return f'<p class="note">{html.escape(text)} You {did}.</p>\n'


def _code(text: str) -> str:
    return f"<pre><code>{html.escape(text)}</code></pre>"


def _attached_html(attached: FileAttachment, content: Content) -> str:
    name = html.escape(made_visible(attached.name))
    label = f"{name} ({_size(attached.size_bytes)})"
    if attached.media_type in PICTURES and attached.size_bytes <= LARGEST_PICTURE_BYTES:
        picture = content(attached)
        if picture is not None:
            data = base64.b64encode(picture).decode()
            source = f"data:{attached.media_type};base64,{data}"
            return f'<figure><img src="{source}" alt="{name}"><figcaption>{label}</figcaption></figure>\n'
    return f'<p class="file">Attached: {label}</p>\n'


class _Renderer(RendererHTML):
    """Pictures that stand in the text are shown; any other becomes a link, so that nothing is fetched."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        source = str(token.attrGet("src") or "")
        alt = html.escape(self.renderInlineAsText(token.children, options, env))
        if DATA_IMAGE.fullmatch(source):
            return f'<img src="{html.escape(source)}" alt="{alt}">'
        if _leads_outside(source):
            address = html.escape(source)
            return f'<a href="{address}" rel="noopener noreferrer">{alt or address}</a>'
        return f"<span>{alt}</span>"

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        # The parser lets pass a link without an address, which would lead to the page itself, and pictures
        # as addresses.
        address = str(tokens[idx].attrGet("href") or "")
        return self.renderToken(tokens, idx, options, env) if _leads_outside(address) else "<a>"


def _leads_outside(address: str) -> bool:
    try:
        return urlsplit(address).scheme.lower() in LINKS
    except ValueError:
        return False


def _is_allowed(address: str) -> bool:
    return _leads_outside(address) or DATA_IMAGE.fullmatch(address) is not None


def _new_renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 60}, renderer_cls=_Renderer)
    markdown.enable(["table", "strikethrough"])
    markdown.validateLink = _is_allowed  # type: ignore[method-assign,assignment]
    return markdown


_markdown = _new_renderer()


def rendered(text: str) -> str:
    """Markdown as HTML that does nothing."""
    return str(_markdown.render(text))


# Also where the file is opened from a disk: no script, no request, no form, no frame.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1 dir="auto">{title}</h1>
<ul>{about}</ul>
</header>
<main>
{messages}
</main>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --text: #20201e; --muted: #65645e; --border: #e7e6e1; --raised: #f4f4f1;
  --surface: #fff; --accent: #4054c0; --danger: #ae2a20; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececea; --muted: #a5a49e; --border: #323236; --raised: #28282b; --surface: #1d1d1f;
    --accent: #a3b1ff; --danger: #ff9f96; }
}
body { margin: 0 auto; max-width: 46rem; padding: 2.5rem 1.5rem 4rem; background: var(--surface); color:
var(--text);
  font: 16px/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25; }
header ul { margin: 0 0 2.5rem; padding: 0; list-style: none; color: var(--muted); font-size: .875rem; }
article { margin: 0 0 2rem; }
article > h2 { margin: 0 0 .5rem; color: var(--muted); font-size: .8125rem; font-weight: 600; }
.user > .text { padding: .75rem 1rem; border-radius: 12px; background: var(--raised); }
.text :is(p, li, h1, h2, h3, h4, td, th) { unicode-bidi: plaintext; text-align: start; }
.text > :first-child { margin-top: 0; }
.text > :last-child { margin-bottom: 0; }
.meanwhile { padding: .75rem 1rem; border-radius: 12px; background: var(--raised); }
.text h1, .text h2, .text h3, .text h4 { margin: 1.5rem 0 .5rem; font-size: 1.1rem; line-height: 1.3; }
a { color: var(--accent); }
pre { padding: .75rem 1rem; overflow-x: auto; border: 1px solid var(--border); border-radius: 8px;
  background: var(--raised); font-size: .8125rem; line-height: 1.5; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875em; }
pre code { font-size: inherit; }
table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto; }
th, td { padding: .35rem .75rem; border: 1px solid var(--border); text-align: start; vertical-align: top; }
blockquote { margin: 1rem 0; padding-inline-start: 1rem; border-inline-start: 3px solid var(--border);
  color: var(--muted); }
details { margin: .75rem 0; padding: .5rem 1rem; border: 1px solid var(--border); border-radius: 8px; }
summary { color: var(--muted); cursor: pointer; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; }
figcaption, .file, .note { color: var(--muted); font-size: .875rem; }
.failed { color: var(--danger); }
@media print {
  :root { --text: #000; --muted: #444; --border: #bbb; --raised: #f4f4f1; --surface: #fff; --accent: #000; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  pre { white-space: pre-wrap; }
  article > h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; }
  pre, figure, table { break-inside: avoid; }
}
"""
