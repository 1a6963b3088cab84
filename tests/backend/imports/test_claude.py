"""Exports of Claude, made by hand from the documented shapes with what is odd in real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores import rows
from transfers import Part, Sample, call, check, opened, written, zipped

ROOT = "00000000-0000-4000-8000-000000000000"
GONE = "The export does not hold the file."


def message(uuid: str, sender: str, content: Any, **more: Any) -> dict[str, Any]:
    """A message. A text stands for one block of text."""
    blocks = [{"type": "text", "text": content, "citations": []}] if isinstance(content, str) else content
    return {
        "uuid": uuid,
        "sender": sender,
        "text": content if isinstance(content, str) else "",
        "content": blocks,
        "created_at": "2025-03-01T12:00:00.123456Z",
        "updated_at": "2025-03-01T12:00:05.000000+00:00",
        "attachments": [],
        "files": [],
    } | more


def human(text: Any, uuid: str = "a", **more: Any) -> dict[str, Any]:
    return message(uuid, "human", text, **more)


def claude(content: Any, uuid: str = "b", **more: Any) -> dict[str, Any]:
    return message(uuid, "assistant", content, **more)


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {
        "uuid": "c-1",
        "name": "A chat",
        "summary": "",
        "created_at": "2025-03-01T11:59:59Z",
        "updated_at": "2025-03-02T00:00:00Z",
        "account": {"uuid": "u-1"},
        "chat_messages": list(messages),
    } | more


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said, "start_timestamp": "2025-03-01T12:00:00Z", "citations": []}


def below(parent: str) -> dict[str, str]:
    return {"parent_message_uuid": parent}


HI: list[tuple[str, list[Part]]] = [("user", ["Hi"]), ("assistant", ["Hello"])]

SAMPLES = {
    "a question and its answer": Sample(
        [chat(human("Hi"), claude("Hello"))], HI, title="A chat", counts=(1, 2)
    ),
    "one conversation that is no list": Sample(chat(human("Hi"), claude("Hello")), HI),
    "an old export without blocks": Sample(
        [chat(human("Hi") | {"content": None}, claude("Hello") | {"content": []})],
        HI,
    ),
    "an older export without parents goes on in its order": Sample(
        [chat(human("Hi"), claude("Hello"), human("More", "c"), claude("Yes", "d"))],
        [*HI, ("user", ["More"]), ("assistant", ["Yes"])],
    ),
    "branches": Sample(
        [
            chat(
                human("Hi", **below(ROOT)),
                claude("Hello", **below("a")),
                human("Hey", "c", **below(ROOT)),
                claude("Yo", "d", **below("c")),
            )
        ],
        [("user", ["Hey"]), ("assistant", ["Yo"])],
        counts=(1, 4),
    ),
    "an older branch that was shown": Sample(
        [
            chat(
                human("Hi", **below(ROOT)),
                claude("Hello", **below("a")),
                claude("Good day", "c", **below("a")),
                current_leaf_message_uuid="b",
            )
        ],
        HI,
        counts=(1, 3),
    ),
    "thoughts": Sample(
        [chat(human("Why?"), claude([{"type": "thinking", "thinking": "Hm."}, text("Because.")]))],
        [("user", ["Why?"]), ("assistant", [("thought", "Hm."), "Because."])],
    ),
    "thoughts that are not there": Sample(
        [chat(human("Why?"), claude([{"type": "redacted_thinking", "data": "…"}, text("Because.")]))],
        [("user", ["Why?"]), ("assistant", ["Because."])],
        [("part", "What the model thought is not in the export.")],
    ),
    "a tool with its result by id": Sample(
        [
            chat(
                human("News?"),
                claude(
                    [
                        text("I look."),
                        {"type": "tool_use", "id": "t1", "name": "web_search", "input": {"query": "news"}},
                        {"type": "tool_use", "id": "t2", "name": "repl", "input": {"code": "1"}},
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "name": "web_search",
                            "content": [
                                {"type": "knowledge", "title": "N", "url": "https://n", "text": "Well"}
                            ],
                        },
                        {"type": "tool_result", "tool_use_id": "t2", "name": "repl", "content": "1"},
                        text("All is well."),
                    ]
                ),
            )
        ],
        [
            ("user", ["News?"]),
            (
                "assistant",
                [
                    "I look.",
                    call("web_search", '{"query":"news"}', "N\nhttps://n\nWell", origin="web"),
                    call("repl", '{"code":"1"}', "1"),
                    "All is well.",
                ],
            ),
        ],
    ),
    "a tool and a result without ids": Sample(
        [
            chat(
                human("Go"),
                claude(
                    [
                        {"type": "tool_use", "name": "artifacts", "input": None},
                        {
                            "type": "tool_result",
                            "name": "artifacts",
                            "content": [{"type": "text", "text": "OK"}],
                        },
                    ]
                ),
            )
        ],
        [("user", ["Go"]), ("assistant", [call("artifacts", "{}", "OK")])],
    ),
    "a tool that failed": Sample(
        [
            chat(
                human("Go"),
                claude(
                    [
                        {"type": "tool_use", "id": "t", "name": "run", "input": {}},
                        {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True},
                    ]
                ),
            )
        ],
        [("user", ["Go"]), ("assistant", [call("run", "{}", "no", status="failed")])],
    ),
    "a result without a call": Sample(
        [
            chat(
                human("Go"),
                claude([{"type": "tool_result", "tool_use_id": "t", "name": "run", "content": "1"}]),
            )
        ],
        [("user", ["Go"]), ("assistant", [call("run", "", "1")])],
    ),
    "a result with a picture": Sample(
        [
            chat(
                human("Go"),
                claude(
                    [
                        {"type": "tool_use", "id": "t", "name": "shot", "input": {}},
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "image", "source": {}}, {"type": "text", "text": "done"}],
                        },
                    ]
                ),
            )
        ],
        [("user", ["Go"]), ("assistant", [call("shot", "{}", "done")])],
        [("part", "A tool's result of the kind “image”")],
    ),
    "files that are not in the export": Sample(
        [
            chat(
                human("Look", files=[{"file_uuid": "f", "file_name": "cat.png"}, {"file_name": ""}, None]),
                claude("Hello"),
            )
        ],
        [("user", ["Look"]), ("assistant", ["Hello"])],
        [("file", GONE)] * 3,
    ),
    "blocks that nobody knows": Sample(
        [chat(human([{"type": "smell"}, text("Hi"), 7]), claude([{"type": "token_budget"}, text("Hello")]))],
        HI,
        [("part", "A block of the kind “smell”"), ("part", "A block of the kind “int”")],
    ),
    "messages without anything": Sample(
        [chat(human([]), human("Hi", "x"), claude([text("  ")], "y"), claude("Hello", "z"))],
        HI,
        [("message", "It is empty.")] * 2,
    ),
    "no dates": Sample(
        [
            chat(
                human("Hi", created_at=None, updated_at=""),
                claude("Hello", created_at="yesterday", updated_at=None),
                created_at=None,
                updated_at=None,
            )
        ],
        HI,
    ),
    "a parent that was deleted": Sample(
        [chat(human("Hi", **below("gone")), claude("Hello", **below("a")))],
        HI,
        [("link", "The message above it is not in the file")],
    ),
    "a circle": Sample(
        [chat(human("Hi", **below("b")), claude("Hello", **below("a")))],
        None,
        [("link", "Its messages stand in a circle")],
        counts=(1, 2),
    ),
    "a message twice": Sample(
        [chat(human("Hi"), human("Hi"), claude("Hello"))],
        HI,
        [("message", "A message of the same name")],
    ),
    "a message that is broken": Sample(
        [chat({"sender": "human"}, "text", human("Hi"), claude("Hello"))],
        HI,
        [
            ("message", "Its form is not known: Object missing required field `uuid`"),
            ("message", "Its form is not known: Expected `object`, got `str`"),
        ],
    ),
    "a conversation without messages": Sample(
        [chat(name="Empty"), chat(human("Hi"), claude("Hello"), uuid="c-2")],
        HI,
        [("conversation", "It holds no message")],
    ),
    "somebody whom nobody knows": Sample(
        [chat(human("Hi"), message("s", "system", "Be kind."), claude("Hello"))],
        HI,
        [("message", "Its sender, “system”, is not known.")],
    ),
    "no name": Sample([chat(human("What is a monad?"), name="")], title="What is a monad?"),
    "right to left, emoji and what cannot be seen": Sample(
        [chat(human("مرحبا 👨‍👩‍👧"), claude("a\U000e0041b\u200b"), name="שלום")],
        [("user", ["مرحبا 👨‍👩‍👧"]), ("assistant", ["a\U000e0041b\u200b"])],
        [("note", "It holds characters that cannot be seen.")],
        title="שלום",
    ),
    "a huge text": Sample([chat(human("x" * 3_000_000), claude("Hello"))], counts=(1, 2)),
    "an answer that the user stopped": Sample(
        [chat(human("Hi"), claude("Hello", stop_reason="user_canceled"))], HI
    ),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_file_of_claude_comes_in(tmp_path: Path, sample: Sample) -> None:
    await check(tmp_path, sample)


async def test_what_was_attached_comes_as_a_file_with_its_text(tmp_path: Path) -> None:
    attached = {
        "file_name": "../paste.txt",
        "file_size": 9,
        "file_type": "txt",
        "extracted_content": "gr\u00fc\u00dfe!",
    }
    page = {"file_name": "p.pdf", "file_type": "pdf", "extracted_content": "All\u200b of it\U000e0041"}
    export = zipped(
        tmp_path / "export.zip",
        users__json=[],
        projects__json=[],
        conversations__json=[
            chat(
                human([], attachments=[attached, page, {"file_name": "e.txt"}, 7]),
                claude("Hello"),
            )
        ],
    )
    async with opened(tmp_path) as home:
        brought = await home.bring(export)

    assert [("file", "e.txt", GONE)] == brought.skipped
    assert 2 == brought.counts.files
    assert [
        ("paste.txt", "text/plain", 8, "grüße!", "ready", 0),
        ("p.pdf", "text/plain", 16, "All\u200b of it\U000e0041", "ready", 2),
    ] == rows(
        home.paths.database,
        "select name, media_type, size_bytes, text, text_status, hidden_characters from attachment "
        "join stored_file on stored_file.id = file order by position",
    )


async def test_what_else_claude_says_of_a_conversation_comes_too(tmp_path: Path) -> None:
    export = [chat(human("Hi"), claude("Hello"), model="claude-sonnet-4", is_starred=True)]
    async with opened(tmp_path) as home:
        await home.bring(written(tmp_path / "c.json", export))

    assert [("anthropic/claude-sonnet-4", 1_740_830_399_000, 1_740_873_600_000, 1, "claude:c-1")] == rows(
        home.paths.database,
        "select model, created_ms, updated_ms, pinned_ms is not null, source_id from conversation",
    )
    assert [
        (None, 1_740_830_400_123, 1_740_830_405_000),
        ("anthropic/claude-sonnet-4", 1_740_830_400_123, 1_740_830_405_000),
    ] == rows(home.paths.database, "select model, created_ms, finished_ms from message order by id")
