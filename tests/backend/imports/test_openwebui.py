"""Exports of Open WebUI, made by hand from the documented shapes with what is odd in real ones."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.store.messages import MessageError
from stores import rows
from transfers import Part, Sample, call, check, opened, written

GONE = "The export does not hold the file."
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = "data:image/png;base64," + base64.b64encode(PNG).decode()


def message(role: str, content: Any, parent: str | None, **more: Any) -> dict[str, Any]:
    fields = {
        "role": role,
        "content": content,
        "parentId": parent,
        "childrenIds": [],
        "timestamp": 1_700_000_000,
    }
    return fields | more


def user(content: Any, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return message("user", content, parent, models=["llama3:8b"], **more)


def model(content: Any, parent: str | None = "a", **more: Any) -> dict[str, Any]:
    return message("assistant", content, parent, model="llama3:8b", done=True, **more)


def row(current: str | None = None, /, **messages: Any) -> dict[str, Any]:
    return {
        "id": "r-1",
        "user_id": "u",
        "title": "A chat",
        "chat": {
            "title": "A chat",
            "models": ["llama3:8b"],
            "history": {"messages": messages, "currentId": current or (list(messages) or [None])[-1]},
            "messages": [],
            "tags": [],
            "timestamp": 1_700_000_000_000,
        },
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_050,
        "share_id": None,
        "archived": False,
        "pinned": False,
        "meta": {},
        "folder_id": None,
    }


def pair(question: Any = "Hi", answer: Any = "Hello", **more: Any) -> dict[str, Any]:
    return row(a=user(question), b=model(answer)) | more


def outputs(*items: Any) -> dict[str, Any]:
    return row(a=user("Go"), b=model("told in text", output=list(items)))


def words(kind: str, said: str) -> dict[str, Any]:
    return {"type": kind, "status": "completed", "content": [{"type": "output_text", "text": said}]}


HI: list[tuple[str, list[Part]]] = [("user", ["Hi"]), ("assistant", ["Hello"])]
GO: tuple[str, list[Part]] = ("user", ["Go"])
THOUGHT = (
    '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
    "&gt; 2 &lt; 3\n> so\n</details>\n"
)
CALLED = (
    '<details type="tool_calls" done="true" id="t1" name="weather" '
    'arguments="{&quot;city&quot;: &quot;Oslo&quot;}" '
    'result="&quot;4 \\u00b0C&quot;" files="">\n<summary>Tool Executed</summary>\n</details>\n'
)

SAMPLES = {
    "a question and its answer": Sample([pair()], HI, title="A chat", counts=(1, 2)),
    "one chat that is no list": Sample(pair(), HI),
    "branches": Sample(
        [row("b", a=user("Hi"), b=model("Hello"), c=model("Good day", timestamp=1_700_000_009))],
        HI,
        counts=(1, 3),
    ),
    "two models side by side": Sample(
        [row("c", a=user("Hi"), b=model("Hello", modelIdx=0), c=model("Hei", modelIdx=1))],
        [("user", ["Hi"]), ("assistant", ["Hei"])],
        counts=(1, 3),
    ),
    "an old chat with a list alone": Sample(
        [
            {
                "id": "o",
                "title": "Old",
                "chat": {
                    "messages": [
                        {"role": "user", "content": "Hi", "timestamp": 1},
                        {"role": "assistant", "content": "Hello"},
                    ]
                },
            }
        ],
        HI,
        title="Old",
    ),
    "thoughts in the text": Sample(
        [pair(answer=THOUGHT + "Yes")], [("user", ["Hi"]), ("assistant", [("thought", "2 < 3\nso"), "Yes"])]
    ),
    "calls of tools in the text": Sample(
        [pair(answer="I look.\n" + CALLED + "It is cold.")],
        [
            ("user", ["Hi"]),
            ("assistant", ["I look.", call("weather", '{"city": "Oslo"}', "4 °C"), "It is cold."]),
        ],
    ),
    "a call that never ended": Sample(
        [pair(answer=CALLED.replace('done="true"', 'done="false"'))],
        [
            ("user", ["Hi"]),
            (
                "assistant",
                [call("weather", '{"city": "Oslo"}', "(The export holds no result.)", status="failed")],
            ),
        ],
    ),
    "a call whose result is inside": Sample(
        [pair(answer='<details type="tool_calls"><summary>Ran</summary>"18 C"</details>Mild.')],
        [("user", ["Hi"]), ("assistant", [call("tool_calls", "{}", "18 C"), "Mild."])],
    ),
    "details that are of the user": Sample(
        [pair(question=THOUGHT)], [("user", [THOUGHT]), ("assistant", ["Hello"])]
    ),
    "parts as newer versions keep them": Sample(
        [
            outputs(
                words("reasoning", "Hm."),
                {"type": "function_call", "call_id": "t", "name": "weather", "arguments": '{"a":1}'},
                {
                    "type": "function_call_output",
                    "call_id": "t",
                    "output": [{"type": "input_text", "text": "4"}],
                },
                words("message", "Cold."),
            )
        ],
        [GO, ("assistant", [("thought", "Hm."), call("weather", '{"a":1}', "4"), "Cold."])],
    ),
    "a result whose call is not there": Sample(
        [outputs({"type": "function_call_output", "call_id": "t", "output": []}, words("message", "Cold."))],
        [GO, ("assistant", ["Cold."])],
        [("part", "The call that it is the result of")],
    ),
    "parts that nobody knows": Sample(
        [outputs({"type": "smell"}, None, words("message", "Cold."))],
        [GO, ("assistant", ["Cold."])],
        [("part", "A part of the kind “smell”"), ("part", "A part of the kind “NoneType”")],
    ),
    "content in pieces": Sample(
        [pair(question=[{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {}}])],
        HI,
        [("file", GONE)],
    ),
    "an error": Sample(
        [row(a=user("Hi"), b=model("", error={"content": "model not found"}))],
        [("user", ["Hi"]), ("assistant", [])],
    ),
    "messages of the system": Sample(
        [row(s=message("system", "Be kind.", None), a=user("Hi", "s"), b=model("Hello"))],
        HI,
        [("message", "It is a message of the system.")],
    ),
    "a role that nobody knows": Sample(
        [row("b", a=user("Hi"), x=message("critic", "No", "a"), b=model("Hello", "x"))],
        HI,
        [("message", "Its role is not known.")],
    ),
    "empty messages": Sample(
        [row(a=user(""), c=user("Hi", "a"), b=model("Hello", "c"), d=model(None, "b"))],
        HI,
        [("message", "It is empty.")] * 2,
    ),
    "no dates": Sample(
        [
            {
                **row(a=user("Hi", timestamp=None), b=model("Hello", timestamp="?")),
                "created_at": None,
                "updated_at": None,
            }
        ],
        HI,
    ),
    "a parent that was deleted": Sample(
        [row(a=user("Hi", "gone"), b=model("Hello"))],
        HI,
        [("link", "The message above it is not in the file")],
    ),
    "a circle": Sample(
        [row(a=user("Hi", "b"), b=model("Hello", "a"))], None, [("link", "Its messages stand")], counts=(1, 2)
    ),
    "several roots": Sample(
        [row("b", a=user("Hi"), b=model("Hello"), c=user("Hey"), d=model("Yo", "c"))], HI, counts=(1, 4)
    ),
    "an end of the path that is not there": Sample([row("gone", a=user("Hi"), b=model("Hello"))], HI),
    "files that stayed on the server": Sample(
        [
            row(
                a=user(
                    "Hi",
                    files=[{"type": "image", "url": "/api/v1/files/1"}, {"type": "file", "name": "a.pdf"}, 7],
                ),
                b=model("Hello"),
            )
        ],
        HI,
        [("file", GONE)] * 2,
    ),
    "a picture that is broken": Sample(
        [row(a=user("Hi", files=[{"type": "image", "url": "data:image/png;base64,%%%"}]), b=model("Hello"))],
        HI,
        [("file", GONE)],
    ),
    "messages that are broken": Sample(
        [row("b", x=7, a=user("Hi", "x"), b=model("Hello"))],
        HI,
        [("message", "Its form is not known: Expected `object`, got `int`")],
    ),
    "chats that are broken": Sample(
        [{"chat": None}, {"id": "x"}, pair()],
        HI,
        [
            ("conversation", "Its form is not known: Expected `object`, got `null`"),
            ("conversation", "Its form"),
        ],
    ),
    "an empty chat": Sample(
        [{**row(), "title": "Empty"}, pair(id="r-2")], HI, [("conversation", "It holds no message")]
    ),
    "a folder": Sample([pair(folder_id="f-1")], HI, [("note", "It was in a folder")]),
    "right to left and emoji": Sample(
        [pair("שלום 🧑‍🚀", "ok", title="مرحبا")],
        [("user", ["שלום 🧑‍🚀"]), ("assistant", ["ok"])],
        title="مرحبا",
    ),
    "a huge text": Sample([pair("x" * 3_000_000)], counts=(1, 2)),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_file_of_open_webui_comes_in(tmp_path: Path, sample: Sample) -> None:
    await check(tmp_path, sample)


async def test_what_else_open_webui_says_of_a_chat_comes_too(tmp_path: Path) -> None:
    export = [pair(archived=True, pinned=True, meta={"tags": ["work", "الكل"]}), pair(id="r-2", title="Old")]
    export[1] |= {"meta": None}
    export[1]["chat"] = {**export[1]["chat"], "tags": [{"name": "old"}]}
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", export))

    assert [
        (1_700_000_000_000, 1_700_000_050_000, 1, 1, "openwebui:r-1", "work,الكل"),
        (
            1_700_000_000_000,
            1_700_000_050_000,
            0,
            0,
            "openwebui:r-2",
            "old",
        ),
    ] == rows(
        home.paths.database,
        "select created_ms, updated_ms, pinned_ms is not null, archived_ms is not null, source_id, "
        "(select group_concat(name) from (select name from conversation_tag join tag on tag.id = tag "
        "where conversation = conversation.id order by name)) from conversation order by id",
    )
    assert [(None,), ("local/llama3:8b",)] * 2 == rows(
        home.paths.database, "select model from message order by id"
    )


async def test_what_failed_says_why(tmp_path: Path) -> None:
    export = [row(a=user("Hi"), b=model("", error={"content": "model not found"}))]
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", export))
        shown = await home.shown()

    assert ("failed", MessageError("provider_error", "model not found", "", retryable=False)) == (
        shown[-1].status,
        shown[-1].error,
    )


async def test_pictures_and_texts_of_files_come_too(tmp_path: Path) -> None:
    document = {
        "type": "file",
        "name": "plan.pdf",
        "file": {"data": {"content": "the plan"}, "filename": "plan.pdf"},
    }
    export = [row(a=user("Hi", files=[{"type": "image", "url": PICTURE}, document]), b=model("Hello"))]
    async with opened(tmp_path) as home:
        brought = await home.bring(written(tmp_path / "c.json", export))

    assert (2, []) == (brought.counts.files, brought.skipped)
    assert [("file.png", "image/png", 8, None), ("plan.pdf", "text/plain", 8, "the plan")] == rows(
        home.paths.database,
        "select name, media_type, size_bytes, text from attachment join stored_file on stored_file.id = file "
        "order by position",
    )
