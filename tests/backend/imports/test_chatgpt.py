"""Exports of ChatGPT, made by hand from the documented shapes with what is odd in real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stores import rows
from transfers import Part, Sample, call, check, opened, said, written, zipped

UNSHOWN = "which the conversation does not show"


def node(
    role: str, content: Any, parent: str | None, *, time: float | None = 1_700_000_000.5, **more: Any
) -> dict[str, Any]:
    """A node of the tree. A text stands for content of the kind `text`."""
    if isinstance(content, str):
        content = {"content_type": "text", "parts": [content]}
    author = {"role": role, "name": more.pop("name", None), "metadata": {}}
    message = {"author": author, "content": content, "create_time": time, "status": "finished_successfully"}
    return {"id": "ignored", "message": message | more, "parent": parent, "children": []}


def user(text: Any, parent: str | None = "root", **more: Any) -> dict[str, Any]:
    return node("user", text, parent, **more)


def model(text: Any, parent: str, **more: Any) -> dict[str, Any]:
    return node("assistant", text, parent, metadata={"model_slug": "gpt-4o"}, **more)


def talk(current: str | None = None, /, **nodes: Any) -> dict[str, Any]:
    """A conversation with a root that holds no message, as each has."""
    mapping = {"root": {"id": "root", "message": None, "parent": None, "children": []}, **nodes}
    return {
        "title": "A talk",
        "create_time": 1_700_000_000.123,
        "update_time": 1_700_000_100,
        "mapping": mapping,
        "current_node": current or list(mapping)[-1],
        "conversation_id": "c-1",
        "safe_urls": [],
        "default_model_slug": "gpt-4o",
    }


def pair(question: str = "Hi", answer: str = "Hello", **more: Any) -> dict[str, Any]:
    return talk(a=user(question), b=model(answer, "a")) | more


HI: list[tuple[str, list[Part]]] = [("user", ["Hi"]), ("assistant", ["Hello"])]
PYTHON = {"content_type": "code", "language": "python", "text": "1/0"}
PICTURE = {
    "content_type": "image_asset_pointer",
    "asset_pointer": "file-service://file-AbC123xyz",
    "size_bytes": 4,
}

SAMPLES = {
    "a question and its answer": Sample([pair()], HI, title="A talk", counts=(1, 2)),
    "one conversation that is no list": Sample(pair(), HI),
    "the answer of a regeneration that was shown": Sample(
        [talk("c", a=user("Hi"), b=model("Hello", "a"), c=model("Good day", "a"))],
        [("user", ["Hi"]), ("assistant", ["Good day"])],
        counts=(1, 3),
    ),
    "an older branch that was shown": Sample(
        [
            talk(
                "b",
                a=user("Hi"),
                b=model("Hello", "a"),
                c=user("Hey", time=1_800_000_000),
                d=model("Yo", "c"),
            )
        ],
        HI,
        counts=(1, 4),
    ),
    "code, its output and a text are one answer": Sample(
        [
            talk(
                a=user("Divide"),
                b=model(PYTHON, "a", recipient="python"),
                c=node(
                    "tool",
                    {"content_type": "execution_output", "text": "ZeroDivisionError"},
                    "b",
                    name="python",
                ),
                d=model("It cannot be.", "c"),
            )
        ],
        [("user", ["Divide"]), ("assistant", [call("python", "1/0", "ZeroDivisionError"), "It cannot be."])],
        counts=(1, 2),
    ),
    "code without an output": Sample(
        [talk(a=user("Divide"), b=model(PYTHON, "a", recipient="python"))],
        [
            ("user", ["Divide"]),
            ("assistant", [call("python", "1/0", "(The export holds no result.)", status="failed")]),
        ],
    ),
    "code that is for the reader": Sample(
        [talk(a=user("Code?"), b=model(PYTHON, "a", recipient="all"))],
        [("user", ["Code?"]), ("assistant", ["```python\n1/0\n```"])],
    ),
    "pages that were read": Sample(
        [
            talk(
                a=user("News?"),
                b=model({"content_type": "code", "text": "search('news')"}, "a", recipient="browser"),
                c=node(
                    "tool",
                    {"content_type": "tether_browsing_display", "result": "1. A page", "summary": None},
                    "b",
                    name="browser",
                ),
                d=node(
                    "tool",
                    {
                        "content_type": "tether_quote",
                        "url": "https://example.org",
                        "domain": "example.org",
                        "text": "All is well",
                        "title": "News",
                    },
                    "c",
                    name="browser",
                ),
                e=model("All is well.", "d"),
            )
        ],
        [
            ("user", ["News?"]),
            (
                "assistant",
                [
                    call("browser", "search('news')", "1. A page", origin="web"),
                    call("browser", "", "News\nhttps://example.org\nAll is well", origin="web"),
                    "All is well.",
                ],
            ),
        ],
    ),
    "thoughts": Sample(
        [
            talk(
                a=user("Why?"),
                b=model(
                    {
                        "content_type": "thoughts",
                        "thoughts": [{"summary": "Looking", "content": "Hm."}, {"content": "Aha."}, None],
                    },
                    "a",
                ),
                c=model({"content_type": "reasoning_recap", "content": "Thought for 3s"}, "b"),
                d=model("Because.", "c"),
            )
        ],
        [("user", ["Why?"]), ("assistant", [("thought", "**Looking**\n\nHm.\n\nAha."), "Because."])],
        [("part", "How long a model thought"), ("message", "It is empty.")],
    ),
    "what was hidden": Sample(
        [
            talk(
                s=node("system", "", "root"),
                i=user({"content_type": "user_editable_context", "user_profile": "Ada"}, "s", time=None),
                h=node("user", "secret", "i", metadata={"is_visually_hidden_from_conversation": True}),
                a=user("Hi", "h"),
                b=model("Hello", "a"),
            )
        ],
        HI,
        [
            ("message", f"It is a message of the system, {UNSHOWN}"),
            ("message", f"It holds custom instructions, {UNSHOWN}"),
            ("message", "The conversation does not show it."),
        ],
    ),
    "a picture without its file": Sample(
        [
            talk(
                a=user({"content_type": "multimodal_text", "parts": [PICTURE, "What is it?"]}),
                b=model("A cat.", "a"),
            )
        ],
        [("user", ["What is it?"]), ("assistant", ["A cat."])],
        [("file", "The file by itself holds no attachments.")],
    ),
    "speech": Sample(
        [
            talk(
                a=user(
                    {
                        "content_type": "multimodal_text",
                        "parts": [
                            {"content_type": "audio_transcription", "text": "Hi", "direction": "in"},
                            {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_1"},
                        ],
                    }
                ),
                b=model("Hello", "a"),
            )
        ],
        HI,
        [("part", "Sound and moving pictures")],
    ),
    "kinds that nobody knows": Sample(
        [
            talk(
                a=user({"content_type": "hologram"}),
                b=user({"content_type": "multimodal_text", "parts": [{"content_type": "smell"}, "Hi"]}, "a"),
                c=model({"content_type": "new_text", "text": "Hello"}, "b"),
            )
        ],
        HI,
        [
            ("part", "Content of the kind “hologram”"),
            ("message", "It is empty."),
            ("part", "A part of the kind “smell”"),
        ],
    ),
    "empty parts and null": Sample(
        [
            talk(
                a=user({"content_type": "text", "parts": []}),
                b=user({"content_type": "text", "parts": [None, "", "Hi"]}, "a"),
                c=model({"content_type": "text", "parts": None}, "b"),
                d=model("Hello", "c"),
            )
        ],
        HI,
        [("message", "It is empty.")] * 2,
    ),
    "no dates at all": Sample(
        [
            talk(a=user("Hi", time=None), b=model("Hello", "a", time=None))
            | {"create_time": None, "update_time": None}
        ],
        HI,
    ),
    "a parent that is not there": Sample(
        [talk("b", a=user("Hi", "gone"), b=model("Hello", "a"))],
        HI,
        [("link", "The message above it is not in the file")],
    ),
    "a circle": Sample(
        [talk("b", a=user("Hi", "b"), b=model("Hello", "a"))],
        None,
        [("link", "Its messages stand in a circle")],
        counts=(1, 2),
    ),
    "a message that is its own parent": Sample(
        [talk("b", a=user("Hi", "a"), b=model("Hello", "a"))],
        HI,
        [("link", "Its messages stand in a circle")],
    ),
    "several roots": Sample(
        [talk("d", a=user("Hi", None), b=model("Hello", "a"), c=user("Other", None), d=model("Yes", "c"))],
        [("user", ["Other"]), ("assistant", ["Yes"])],
        counts=(1, 4),
    ),
    "an end of the path that is not there": Sample([pair(current_node="gone")], HI),
    "an end of the path that was left out": Sample(
        [talk("s", a=user("Hi"), b=model("Hello", "a"), s=node("system", "", "b"))],
        HI,
        [("message", "It is a message of the system")],
    ),
    "entries that are broken": Sample(
        [
            {"title": "Corrupted", "conversation_id": "c-0"},
            pair(),
            None,
            7,
            {"title": "Wrong", "mapping": []},
            {"title": "Empty", "mapping": {}},
        ],
        HI,
        [
            ("conversation", "Its form is not known: Object missing required field `mapping`"),
            ("conversation", "Its form is not known: Expected `object`, got `null`"),
            ("conversation", "Its form is not known: Expected `object`, got `int`"),
            ("conversation", "Its form is not known: Expected `object`, got `array` - at `$.mapping`"),
            ("conversation", "It holds no message"),
        ],
    ),
    "a node that is broken": Sample(
        [
            talk(
                "b",
                x={"message": {"author": "me", "content": 7}, "parent": "root"},
                a=user("Hi", "x"),
                b=model("Hello", "a"),
            )
        ],
        HI,
        [("message", "Its form is not known: Expected `object`, got `str` - at `$.message.author`")],
    ),
    "half a character in a title and a text": Sample(
        json.dumps([pair("Hi", "Hello") | {"title": "Cut"}])
        .replace("Cut", "Cut \\ud83d")
        .replace("Hello", "\\\\ud83d \\ud83d\\ude00"),
        [("user", ["Hi"]), ("assistant", ["\\ud83d 😀"])],
        title="Cut \ufffd",
    ),
    "right to left, emoji and control characters": Sample(
        [pair("مرحبا 👩‍👩‍👧 \u202eabc", "e\u0301\x00") | {"title": "شكرا\u202e"}],
        [("user", ["مرحبا 👩‍👩‍👧 \u202eabc"]), ("assistant", ["e\u0301\x00"])],
        [("note", "It holds characters that cannot be seen.")],
        title="شكرا",
    ),
    "no title": Sample([pair("What is a monad?") | {"title": None}], title="What is a monad?"),
    "a title of spaces and no question": Sample(
        [talk(b=model("Hello", "root")) | {"title": " \n "}], [("assistant", ["Hello"])], title="Hello"
    ),
    "a huge text": Sample([pair("x" * 3_000_000)], [("user", ["x" * 3_000_000]), ("assistant", ["Hello"])]),
    "an answer that was never finished": Sample(
        [talk(a=user("Hi"), b=model("Hello", "a", status="in_progress"))], HI
    ),
    "somebody whom nobody knows": Sample(
        [talk(a=user("Hi"), b=model("Hello", "a"), c=node("critic", "No.", "b"))],
        HI,
        [("message", "Its author, “critic”, is not known.")],
    ),
    "a call of a tool that is written as text": Sample(
        [
            talk(
                a=user("Draw"),
                b=model('{"prompt": "a cat"}', "a", recipient="dalle.text2im"),
                c=node("tool", "Here is 1 picture", "b", name="dalle.text2im"),
            )
        ],
        [
            ("user", ["Draw"]),
            ("assistant", [call("dalle.text2im", '{"prompt": "a cat"}', "Here is 1 picture")]),
        ],
    ),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_file_of_chatgpt_comes_in(tmp_path: Path, sample: Sample) -> None:
    await check(tmp_path, sample)


async def test_what_else_chatgpt_says_of_a_conversation_comes_too(tmp_path: Path) -> None:
    export = [pair(is_archived=True, is_starred=True)]
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", export))

    assert [("openai/gpt-4o", 1_700_000_000_123, 1_700_000_100_000, "model", 1, 1, "chatgpt:c-1", 2)] == rows(
        home.paths.database,
        "select model, created_ms, updated_ms, titled_by, pinned_ms is not null, archived_ms is not null, "
        "source_id, source_messages from conversation",
    )
    assert [(None, 1_700_000_000_500, "complete"), ("openai/gpt-4o", 1_700_000_000_500, "complete")] == rows(
        home.paths.database, "select model, created_ms, status from message order by id"
    )


async def test_pictures_come_out_of_the_zip(tmp_path: Path) -> None:
    picture = b"\x89PNG\r\n\x1a\n and so on"
    attached = {"id": "file-Notes99", "name": "notes.txt", "mime_type": "text/plain"}
    export = zipped(
        tmp_path / "export.zip",
        chat__html="<script>alert(1)</script>",
        user__json={"id": "u"},
        conversations__json=[
            talk(
                a=user(
                    {"content_type": "multimodal_text", "parts": [PICTURE, "What is it?"]},
                    metadata={"attachments": [{"id": "file-AbC123xyz", "name": "cat.png"}, attached]},
                ),
                b=node(
                    "tool",
                    {
                        "content_type": "multimodal_text",
                        "parts": [{**PICTURE, "asset_pointer": "sediment://file_00aa?shared=1"}],
                    },
                    "a",
                    name="dalle",
                ),
                c=model(
                    {
                        "content_type": "multimodal_text",
                        "parts": [{**PICTURE, "asset_pointer": "../../etc/passwd"}],
                    },
                    "b",
                ),
            )
        ],
        **{
            "file-AbC123xyz-cat__png": picture,
            "file-Notes99-notes__txt": "note",
            "dalle_in_file_00aa-1__webp": b"RIFF\0\0\0\0WEBP",
        },
    )
    async with opened(tmp_path) as home:
        trial = await home.bring(export, is_trial=True)
        brought = await home.bring(export)

    assert 3 == trial.counts.files == brought.counts.files
    assert [("file", "The export does not hold the file.")] == [
        (item.kind, item.reason) for item in brought.items if item.kind == "file"
    ]
    found = rows(
        home.paths.database,
        "select message.role, name, media_type, size_bytes, sha256, text_status from attachment "
        "join stored_file on stored_file.id = file join message on message.id = message "
        "order by attachment.id",
    )
    assert [
        ("user", "cat.png", "image/png", len(picture), "none"),
        ("user", "notes.txt", "text/plain", 4, "waiting"),
        ("assistant", "file_00aa-1.webp", "image/webp", 12, "none"),
    ] == [(*each[:4], each[5]) for each in found]
    assert picture == (home.paths.files / found[0][4][:2] / found[0][4]).read_bytes()


async def test_an_export_in_several_pieces_is_read_as_a_whole(tmp_path: Path) -> None:
    export = zipped(
        tmp_path / "export.zip",
        **{
            "data_in_conversations-000__json": [pair(title="One", conversation_id="1")],
            "data_in_conversations-001__json": [
                pair(title="Two", conversation_id="2", update_time=1_800_000_000)
            ],
        },
    )
    async with opened(tmp_path) as home:
        await home.bring(export)
        titles = await home.titles()

    assert ["Two", "One"] == titles


async def test_other_answers_of_a_regeneration_are_versions(tmp_path: Path) -> None:
    export = [talk("c", a=user("Hi"), b=model("Hello", "a"), c=model("Good day", "a"))]
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", export))
        shown = await home.shown()

    assert [[1], [2, 3]] == [row.versions for row in shown]
    assert HI[:1] == said(shown)[:1]
