"""Exports of LibreChat, made by hand from the documented shapes with what is odd in real ones."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.exchange.librechat import flat
from deskside.backend.store.messages import MessageError
from stores import rows
from transfers import Part, Sample, call, check, opened, said, written

NO_PARENT = "00000000-0000-0000-0000-000000000000"
GONE = "The export does not hold the file."


def message(id: str, parent: str | None, *, is_user: bool, text: Any = "", **more: Any) -> dict[str, Any]:
    return {
        "messageId": id,
        "parentMessageId": parent,
        "conversationId": "c-1",
        "isCreatedByUser": is_user,
        "sender": "User" if is_user else "GPT-4",
        "text": text,
        "model": None if is_user else "gpt-4o",
        "endpoint": "openAI",
        "error": False,
        "unfinished": False,
        "createdAt": "2024-05-01T16:35:11.530Z",
        "updatedAt": "2024-05-01T16:35:39.114Z",
        "tokenCount": 5,
    } | more


def user(text: Any, id: str = "a", parent: str | None = NO_PARENT, **more: Any) -> dict[str, Any]:
    return message(id, parent, is_user=True, text=text, **more)


def model(text: Any, id: str = "b", parent: str | None = "a", **more: Any) -> dict[str, Any]:
    return message(id, parent, is_user=False, text=text, **more)


def blocks(*content: Any) -> dict[str, Any]:
    return export(user("Hi"), model("", content=list(content)))


def export(*messages: Any, **more: Any) -> dict[str, Any]:
    return {
        "conversationId": "c-1",
        "endpoint": "openAI",
        "title": "A chat",
        "exportAt": "13:18:04 GMT-0400 (Eastern Daylight Time)",
        "branches": True,
        "recursive": False,
        "options": {"model": "gpt-4o", "endpoint": "openAI", "temperature": 1},
        "messages": list(messages),
    } | more


def nested(*messages: Any, **more: Any) -> dict[str, Any]:
    return export(*messages, recursive=True, **more)


HI: list[tuple[str, list[Part]]] = [("user", ["Hi"]), ("assistant", ["Hello"])]
DEEP = 3_000


def chain(length: int) -> str:
    """The JSON text of a conversation in which each message is inside the one before."""
    begin = "".join(
        f'{{"messageId": "m{n}", "text": "{n}", "isCreatedByUser": {str(n % 2 == 0).lower()}, "children": ['
        for n in range(length)
    )
    return (
        f'{{"conversationId": "c", "title": "Deep", "recursive": true, "messages": [{begin}{"]}" * length}]}}'
    )


SAMPLES = {
    "the flat form": Sample(export(user("Hi"), model("Hello")), HI, title="A chat", counts=(1, 2)),
    "the recursive form": Sample(nested(user("Hi") | {"children": [model("Hello") | {"children": []}]}), HI),
    "the recursive form under another name": Sample(
        {**nested(), "messagesTree": [user("Hi") | {"children": [model("Hello")]}], "messages": []}, HI
    ),
    "several in a list": Sample(
        [export(user("Hi"), model("Hello")), export(title="Empty", conversationId="c-2")],
        HI,
        [("conversation", "It holds no message")],
    ),
    "children before what else a message says": Sample(
        nested({"children": [model("Hello", parent=None)], **user("Hi")}), HI
    ),
    "branches, flat": Sample(
        export(user("Hi"), model("Hello"), model("Good day", "c"), user("Hey", "d"), model("Yo", "e", "d")),
        [("user", ["Hey"]), ("assistant", ["Yo"])],
        counts=(1, 5),
    ),
    "branches, recursive": Sample(
        nested(
            user("Hi")
            | {"children": [model("Good day", "c", createdAt="2024-04-01T00:00:00Z"), model("Hello")]}
        ),
        HI,
        counts=(1, 3),
    ),
    "a conversation as deep as it is long": Sample(chain(DEEP), counts=(1, DEEP), title="Deep"),
    "content in parts": Sample(
        blocks({"type": "think", "think": "Hm."}, {"type": "text", "text": {"value": "Hello"}}),
        [("user", ["Hi"]), ("assistant", [("thought", "Hm."), "Hello"])],
    ),
    "a call of a tool": Sample(
        blocks(
            {
                "type": "tool_call",
                "tool_call": {"id": "t", "name": "web", "args": '{"q":1}', "output": "ok", "progress": 1},
            },
            {"type": "text", "text": "Hello"},
        ),
        [("user", ["Hi"]), ("assistant", [call("web", '{"q":1}', "ok"), "Hello"])],
    ),
    "calls of OpenAI's assistants": Sample(
        blocks(
            {
                "type": "tool_call",
                "tool_call": {
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}", "output": "1"},
                },
            },
            {
                "type": "tool_call",
                "tool_call": {
                    "type": "code_interpreter",
                    "code_interpreter": {"input": "1+1", "outputs": [{"type": "logs", "logs": "2"}]},
                },
            },
        ),
        [
            ("user", ["Hi"]),
            (
                "assistant",
                [call("f", "{}", "1"), call("code_interpreter", "1+1", '[{"type":"logs","logs":"2"}]')],
            ),
        ],
    ),
    "a call without its result": Sample(
        blocks({"type": "tool_call", "tool_call": {"name": "web", "args": {"q": 1}}}),
        [
            ("user", ["Hi"]),
            ("assistant", [call("web", '{"q":1}', "(The export holds no result.)", status="failed")]),
        ],
    ),
    "parts that nobody knows": Sample(
        blocks({"type": "smell"}, None, 7, {"type": "tool_call"}, {"type": "text", "text": "Hello"}),
        HI,
        [
            ("part", "A part of the kind “smell”"),
            ("part", "A part of the kind “int”"),
            ("part", "A part of the kind “tool_call”"),
        ],
    ),
    "pictures that stayed on the server": Sample(
        export(
            user("Hi", files=[{"filename": "cat.png", "filepath": "/images/1.png"}]),
            model(
                "",
                content=[
                    {"type": "image_file", "image_file": {"file_id": "f"}},
                    {"type": "text", "text": "Hello"},
                ],
            ),
        ),
        HI,
        [("file", GONE)] * 2,
    ),
    "an error": Sample(export(user("Hi"), model("quota", error=True)), [("user", ["Hi"]), ("assistant", [])]),
    "empty messages": Sample(
        export(user("Hi"), model("Hello"), user("", "c", "b"), model(None, "d", "c", content=[])),
        HI,
        [("message", "It is empty.")] * 2,
    ),
    "no dates": Sample(
        export(user("Hi", createdAt=None, updatedAt=None), model("Hello", createdAt="", updatedAt=7)), HI
    ),
    "no names of messages": Sample(
        nested(
            {"text": "Hi", "isCreatedByUser": True, "children": [{"text": "Hello", "isCreatedByUser": False}]}
        ),
        HI,
    ),
    "a parent that was deleted": Sample(
        export(user("Hi", parent="gone"), model("Hello")),
        HI,
        [("link", "The message above it is not in the file")],
    ),
    "a circle": Sample(
        export(user("Hi", parent="b"), model("Hello")), None, [("link", "Its messages stand")], counts=(1, 2)
    ),
    "a message twice": Sample(
        export(user("Hi"), user("Hi again"), model("Hello")), HI, [("message", "A message of the same name")]
    ),
    "messages that are broken": Sample(
        export(user("Hi"), 7, model("Hello"), None, "text"), HI, [("message", "It is no object.")] * 3
    ),
    "a title that is none": Sample(export(user("Hi"), title=None), title="Hi"),
    "right to left, emoji and brackets in texts": Sample(
        nested(user('مرحبا "}]{[" 🙂') | {"children": [model('\\"]}')]}),
        [("user", ['مرحبا "}]{[" 🙂']), ("assistant", ['\\"]}'])],
    ),
    "a huge text": Sample(export(user("x" * 3_000_000), model("Hello")), counts=(1, 2)),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_file_of_librechat_comes_in(tmp_path: Path, sample: Sample) -> None:
    await check(tmp_path, sample)


def test_messages_are_cut_out_of_the_bytes() -> None:
    raw = (
        b'{"title":"T","messages":[{"a":[{"children":1}],"children":[{"b":1},{"c":{"children":[2]}}]},'
        b'{"d":1}],"z":1}'
    )

    assert (
        b'{"title":"T","messages":[],"z":1}',
        [
            (b'{"a":[{"children":1}],"children":[]}', None),
            (b'{"b":1}', 0),
            (b'{"c":{"children":[2]}}', 0),
            (b'{"d":1}', None),
        ],
        0,
    ) == flat(raw)


async def test_what_else_librechat_says_comes_too(tmp_path: Path) -> None:
    document = export(
        user("Hi"), model("Hello", endpoint="anthropic", model="claude-3"), tags=["work"], isArchived=True
    )
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", document))

    assert [("openai/gpt-4o", 1, "librechat:c-1", "work")] == rows(
        home.paths.database,
        "select model, archived_ms is not null, source_id, name from conversation "
        "join conversation_tag on conversation = conversation.id join tag on tag.id = tag",
    )
    assert [
        (None, 1_714_581_311_530, 1_714_581_339_114),
        ("anthropic/claude-3", 1_714_581_311_530, 1_714_581_339_114),
    ] == rows(home.paths.database, "select model, created_ms, finished_ms from message order by id")


async def test_an_answer_that_failed_or_was_not_finished_says_so(tmp_path: Path) -> None:
    document = export(
        user("Hi"),
        model("quota", error=True),
        user("Again", "c", "b"),
        model("Hel", "d", "c", unfinished=True),
        user("More", "e", "d"),
        model("", "f", "e", content=[{"type": "error", "error": "no"}]),
    )
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", document))
        shown = await home.shown()

    assert ["complete", "failed", "complete", "interrupted", "complete", "failed"] == [
        row.status for row in shown
    ]
    assert [MessageError("provider_error", text, "", retryable=False) for text in ("quota", "no")] == [
        row.error for row in shown if row.error is not None
    ]
    assert ("assistant", ["Hel"]) == said(shown)[3]


async def test_a_picture_in_the_export_comes_too(tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(b"png").decode()
    document = export(user("Hi"), model("", content=[{"type": "image_url", "image_url": {"url": url}}]))
    async with opened(tmp_path) as home:
        brought = await home.bring(written(tmp_path / "c.json", document))

    assert (1, []) == (brought.counts.files, brought.skipped)
