"""Markdown and HTML to be read by people: all that was said is there, and nothing in it does anything."""

from __future__ import annotations

import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskside.backend.errors import InvalidRequest, NotFound
from deskside.backend.exchange import exporting, reading_copy
from deskside.backend.exchange.conversation_file import FileConversation
from deskside.backend.exchange.exporting import Export, file_name_of, name_of, suggested_name, target_of
from deskside.backend.store import conversations
from injections import INJECTIONS
from stores import rows, talk
from transfers import Home, opened, written

PNG = b"\x89PNG\r\n\x1a\n"
# Nothing else may be in a page: no script, frame, form, style in the text, or element that loads something.
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "article", "div", "p", "span",
    "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "details", "summary", "pre",
    "code", "a", "img", "figure", "figcaption", "strong", "em", "s", "blockquote", "table", "thead",
    "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "dir", "href", "src", "alt", "rel", "title",
    "start", "style",
}  # fmt: skip
# What Markdown and HTML are made of.
MARKS = [
    *"<>\"'&[])!`\n\\|x",
    "](",
    "javascript:",
    "https://a",
    "script",
    "onload=",
    "~~",
    "data:image/png;base64,",
    "<svg ",
]
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\nscript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x) [b](file:///etc/passwd) [c](//evil.example/x)",
    '[a](https://x.example/"onmouseover=alert(1))',
    "![x](https://evil.example/track.png) ![y](javascript:alert(1)) ![z](data:image/svg+xml;base64,PHN2Zz4=)",
    '![x](data:image/png;base64,AAAA"onerror="alert(1))',
    "<a href='javascript:alert(1)'>x</a> <javascript:alert(1)> <https://ok.example>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "</style></title></article><script>alert(1)</script>",
    "[x]: javascript:alert(1)\n\n[x]",
    "| a |\n|---|\n| <svg onload=alert(1)> |",
    "&#60;script&#62;alert(1)&#60;/script&#62; &lt;script&gt;",
    "> " * 200 + "deep",
    "[" * 3_000 + "](x)" * 3_000,
    "*" * 5_000,
    "\u202e<script>\u2066\0",
]


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def check(self) -> None:
        for tag, attributes in self.found:
            assert tag in TAGS, tag
            assert set(attributes) <= ATTRIBUTES, attributes
            assert re.match(r"(https?:|mailto:)", attributes.get("href", "https:"), re.IGNORECASE)
            assert attributes.get("src", "data:image/png;base64,").startswith("data:image/")
            assert "svg" not in attributes.get("src", "")


def conversation(*parts: dict[str, Any], **more: Any) -> FileConversation:
    """A question, and an answer of these parts."""
    return msgspec.convert(
        {
            "id": 1, "title": "A talk", "created_ms": 0, "updated_ms": 1_700_000_000_000, "shown": 2,
            "messages": [
                {
                    "id": 1, "role": "user", "created_ms": 0,
                    "parts": [{"position": 0, "step": 0, "content": {"kind": "text", "text": "Hi"}}],
                },
                {
                    "id": 2, "parent": 1, "role": "assistant", "created_ms": 0, "model": "openai/gpt-x",
                    "parts": [{"position": n, "step": n, "content": part} for n, part in enumerate(parts)],
                },
            ],
        } | more,
        FileConversation,
    )  # fmt: skip


def text(said: str) -> dict[str, str]:
    return {"kind": "text", "text": said}


def call(name: str, arguments: str, output: str) -> dict[str, Any]:
    return {
        "kind": "tool_call", "call_id": "t", "name": name, "arguments": arguments, "status": "finished",
        "output": output, "approval": {"reasons": [], "effect": "write", "decision": "approved"},
    }  # fmt: skip


ALL = conversation(
    {"kind": "reasoning", "text": "Hm.\nSo."},
    text("I **look**."),
    call("read_file", '{"path":"a"}', "```\nit\n```"),
    {"kind": "user", "text": "Faster!"},
    {"kind": "note", "what": "retried", "text": "It was tried again.", "detail": "half of"},
    {"kind": "pause", "text": "It would cost more than $1.", "status": "went_on"},
    text("Done."),
)


def no_content(_: Any) -> None:
    return None


def test_markdown_holds_all_that_was_said() -> None:
    assert """# A talk

- Begun: 1970-01-01 00:00 UTC
- Last used: 2023-11-14 22:13 UTC

## You · 1970-01-01 00:00 UTC

Hi

## Assistant · openai/gpt-x · 1970-01-01 00:00 UTC

*Thought:*

> Hm.
> So.

I **look**.

**Tool: read\\_file** (you allowed it)

```json
{"path":"a"}
```

Result:

````
```
it
```
````

**You, meanwhile:**

Faster!

*It was tried again.*

```
half of
```

*It would cost more than $1. You went on.*

Done.
""" == reading_copy.markdown(ALL)


def test_a_page_holds_all_that_was_said_and_needs_nothing_else() -> None:
    page = reading_copy.page(ALL, no_content)

    for said in (
        "Hm.", "<strong>look</strong>", "Tool: read_file (you allowed it)",
        "{&quot;path&quot;:&quot;a&quot;}",
        "Done.", "Faster!", "It was tried again.", "half of", "You went on.", "openai/gpt-x",
    ):  # fmt: skip
        assert said in page
    Page(page).check()
    policies = [found["content"] for tag, found in Page(page).found if "http-equiv" in found]
    assert [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ] == policies
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "url(" not in page


@pytest.mark.parametrize("said", [*HOSTILE, *(injection.text for injection in INJECTIONS)])
def test_nothing_hostile_becomes_live_in_a_page(said: str) -> None:
    found = conversation(
        text(said),
        {"kind": "reasoning", "text": said},
        call(said[:500] or "x", said, said),
        {"kind": "user", "text": said},
        {"kind": "note", "what": "retried", "text": said, "detail": said},
        {"kind": "pause", "text": said, "status": "stopped"},
        title=said[:500] or "x",
        folder=said[:500] or "x",
        tags=[said[:500] or "x"],
    )

    Page(reading_copy.page(found, no_content)).check()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MARKS), max_size=25))
@example(["[", "](", ")"])
@example(["<data:image/png;base64,script>"])
def test_no_mixture_of_marks_becomes_live_in_a_page(pieces: list[str]) -> None:
    Page(f"<p>{reading_copy.rendered(''.join(pieces))}").check()


def test_only_the_shown_path_is_in_it_and_versions_are_named() -> None:
    def message(id: int, parent: int | None, role: str, said: str) -> dict[str, Any]:
        part = {"position": 0, "step": 0, "content": text(said)}
        return {"id": id, "parent": parent, "role": role, "created_ms": 0, "parts": [part]}

    below = message(4, None, "assistant", "From below") | {"delegator": 3, "call_position": 0}
    shown = message(3, 1, "assistant", "")
    shown["parts"][0]["content"] = call("ask_critic", "{}", "From below") | {"is_agent": True}
    found = conversation(
        messages=[message(1, None, "user", "Hi"), message(2, 1, "assistant", "Old"), shown, below], shown=3
    )

    markdown, page = reading_copy.markdown(found), reading_copy.page(found, no_content)
    assert "Old" not in markdown + page
    assert "version 2 of 2" in markdown
    assert "version 2 of 2" in page
    assert "> From below" in markdown
    assert 2 == page.count("From below")


# -- files --------------------------------------------------------------------------------------


async def with_picture(home: Home, tmp_path: Path) -> None:
    """A conversation with two attachments."""
    source = tmp_path / "source.json"
    claude = {
        "uuid": "1", "name": "Cats / dogs: a <talk>?", "created_at": "2025-03-01T12:00:00Z",
        "chat_messages": [
            {"uuid": "a", "sender": "human", "text": "Look",
             "attachments": [{"file_name": "n.txt", "extracted_content": "note"}]},
            {"uuid": "b", "sender": "assistant", "text": "I see"},
        ],
    }  # fmt: skip
    url = "data:image/png;base64,iVBORw0KGgo="
    webui = {
        "id": "2", "title": "Pictures", "chat": {"messages": [
            {"role": "user", "content": "Look", "files": [{"type": "image", "url": url, "name": "cat.png"}]},
        ]},
    }  # fmt: skip
    for document in (claude, webui):
        await home.bring(written(source, [document]))


async def test_pictures_are_inside_a_page_and_other_files_are_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await with_picture(home, tmp_path)
        await home.carry_out(tmp_path / "a.html", "html", [2])
        await home.carry_out(tmp_path / "b.html", "html", [1])
        await home.carry_out(tmp_path / "c.md", "markdown", [1])

    page = (tmp_path / "a.html").read_text("utf-8")
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in page
    Page(page).check()
    assert "Attached: n.txt (4 bytes)" in (tmp_path / "b.html").read_text("utf-8")
    assert "*Attached: n.txt (4 bytes)*" in (tmp_path / "c.md").read_text("utf-8")


@pytest.mark.parametrize("ending", ["json", "zip"])
async def test_attachments_come_back_with_their_conversation(tmp_path: Path, ending: str) -> None:
    async with opened(tmp_path / "a") as home:
        await with_picture(home, tmp_path)
        await home.carry_out(tmp_path / f"one.{ending}")
    async with opened(tmp_path / "b") as home:
        brought = await home.bring(tmp_path / f"one.{ending}")
        await home.carry_out(tmp_path / f"two.{ending}")
        found = rows(home.paths.database, "select name, sha256, size_bytes from attachment join stored_file "
                     "on stored_file.id = file order by attachment.id")  # fmt: skip
        contents = [(home.paths.files / sha[:2] / sha).read_bytes() for _, sha, _ in found]

    assert (2, []) == (brought.counts.files, brought.skipped)
    assert [("n.txt", 4), ("cat.png", 8)] == [(name, size) for name, _, size in found]
    assert [b"note", PNG] == contents
    assert document(tmp_path / f"one.{ending}") == document(tmp_path / f"two.{ending}")


def document(path: Path) -> bytes:
    if path.suffix == ".json":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert ["conversations.json"] == [
            name for name in archive.namelist() if not name.startswith("files/")
        ]
        return archive.read("conversations.json") + b"".join(map(archive.read, sorted(archive.namelist())))


async def test_several_pages_are_a_zip_with_names_for_any_system(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await with_picture(home, tmp_path)
        work = Export(home.store, home.contents, tmp_path / "all.zip", "html", None)
        done = [each async for each in work.run()]

    assert [(1, 2), (2, 2)] == done
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert ["1 Cats - dogs- a -talk.html", "2 Pictures.html"] == archive.namelist()


async def test_an_attachment_that_is_gone_leaves_the_rest(tmp_path: Path) -> None:
    async with opened(tmp_path / "a") as home:
        await with_picture(home, tmp_path)
        for path in home.paths.files.rglob("*"):
            if path.is_file():
                path.unlink()
        for name, format in (("a.json", "json"), ("b.zip", "json"), ("c.zip", "html")):
            await home.carry_out(tmp_path / name, format)  # type: ignore[arg-type]
    async with opened(tmp_path / "b") as home:
        brought = await home.bring(tmp_path / "a.json")

    assert (2, 0) == (brought.counts.conversations, brought.counts.files)
    assert ["The export does not hold the file."] * 2 == brought.reasons


async def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LARGEST_INSIDE_BYTES", 3)
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.json").write_text("old")
    async with opened(tmp_path) as home:
        with pytest.raises(InvalidRequest, match="There is no conversation to export"):
            await home.carry_out(out / "a.json")
        await with_picture(home, tmp_path)
        with pytest.raises(NotFound, match="conversation 99 was deleted"):
            await home.carry_out(out / "a.json", "json", [1, 99])
        with pytest.raises(InvalidRequest, match="more than 0 MB of attachments"):
            await home.carry_out(out / "old.json")
        with pytest.raises(InvalidRequest, match="could not be written"):
            await home.carry_out(tmp_path / "no" / "a.json")
        work = Export(home.store, home.contents, out / "b.json", "markdown", [1])
        work.stop()
        stopped = [each async for each in work.run()]

    assert [] == stopped
    assert ["old.json"] == [path.name for path in out.iterdir()]
    assert "old" == (out / "old.json").read_text()


async def test_the_trash_stays_here(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        kept, deleted = await talk(home.store, ("Kept", "Yes")), await talk(home.store, ("Gone", "No"))
        await home.store.write(conversations.delete, deleted)
        await home.carry_out(tmp_path / "a.json")

    assert 1 == kept
    assert b"Gone" not in (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Plans", "Plans"),
        ('a/b\\c:d*e?f"g<h>i|j', "a-b-c-d-e-f-g-h-i-j"),
        ("..", "_"),
        (" . ", "_"),
        ("CON", "_CON"),
        ("com1.txt", "_com1.txt"),
        ("x" * 300, "x" * 80),
        ("🍑" * 80, "🍑" * 50),
        ("مرحبا\u202e", "مرحبا"),
        ("line\nbreak\0", "line break"),
    ],
)
def test_a_title_is_a_files_name_on_any_system(title: str, name: str) -> None:
    assert name == name_of(title)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plums.txt", "plums.txt"),
        ("two.dots.tar.gz", "two.dots.tar.gz"),
        ("no ending", "no ending"),
        (".bashrc", "bashrc"),
        ("..", "_"),
        ("../../etc/passwd", "etc-passwd"),
        ("/etc/.profile", "etc.profile"),
        ("con.txt", "_con.txt"),
        ("plums.", "plums"),
        ("plums.t:x/t", "plums.t-x-t"),
        ("x" * 300 + ".pdf", "x" * 80 + ".pdf"),
        ("🍑" * 200 + ".png", "🍑" * 50 + ".png"),
        ("x." + "y" * 300, "x." + "y" * 78),
        ("plums\u202egpj.exe", "plumsgpj.exe"),
    ],
)
def test_a_files_name_is_one_on_any_system_with_its_ending(file: str, name: str) -> None:
    assert name == file_name_of(file)


def test_a_suggested_name_says_what_it_is() -> None:
    today = "2026-11-25"
    names = [
        suggested_name("json", "Plans", has_files=False, today=today),
        suggested_name("json", "Plans", has_files=True, today=today),
        suggested_name("html", "Plans", has_files=True, today=today),
        suggested_name("markdown", None, has_files=False, today=today),
        suggested_name("json", None, has_files=False, today=today),
    ]

    assert [
        "Plans.deskside", "Plans.zip", "Plans.html", f"deskside-conversations-{today}.zip",
        f"deskside-conversations-{today}.deskside",
    ] == names  # fmt: skip
    assert Path("/a/b.html.zip") == target_of(Path("/a/b.html"), "html", 2)
    assert Path("/a/b.html") == target_of(Path("/a/b.html"), "html", 1)
    assert Path("/a/b.json") == target_of(Path("/a/b.json"), "json", 0)
