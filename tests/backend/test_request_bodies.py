"""Any text reaches a provider as the same text: as valid UTF-8 in valid JSON, in each wire format."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskside.backend.agent.anthropic_messages import messages_body
from deskside.backend.agent.events import (
    AssistantText,
    ModelRequest,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.invisible import without_invisible, without_tags
from deskside.backend.agent.openai_chat import chat_body
from deskside.backend.agent.openai_responses import responses_body

TEXTS = st.text(st.characters(exclude_categories=[]))  # half characters, too
WHOLE_TEXTS = st.text()

Texts = tuple[str, str, dict[str, str], str]
"""What the user, the assistant, its call and the tool said."""


def in_chat(request: ModelRequest) -> Texts:
    body = json.loads(msgspec.json.encode(chat_body("m", request, set())))
    user, assistant, tool = body["messages"]
    arguments = json.loads(assistant["tool_calls"][0]["function"]["arguments"])
    return (user["content"], assistant["content"], arguments, tool["content"])


def in_responses(request: ModelRequest) -> Texts:
    body = json.loads(msgspec.json.encode(responses_body("openai/m", request, set())))
    user, assistant, call, tool = body["input"]
    arguments = json.loads(call["arguments"])
    return (user["content"], assistant["content"][0]["text"], arguments, tool["output"])


def in_messages(request: ModelRequest) -> Texts:
    body = json.loads(msgspec.json.encode(messages_body("anthropic/m", request, set())))
    user, assistant, tool = (each["content"] for each in body["messages"])
    return (user[0]["text"], assistant[0]["text"], assistant[1]["input"], tool[0]["content"])


def whole(text: str) -> str:
    return text.encode(errors="replace").decode()


@pytest.mark.parametrize("sent", [in_chat, in_responses, in_messages])
@given(user=TEXTS, assistant=WHOLE_TEXTS, argument=WHOLE_TEXTS, output=TEXTS)
@example(
    user="\u2764\ufe0f", assistant="\U0001f600", argument="\U0001f3f4", output="1\ufe0f\u20e3 \u2764\ufe0f"
)
@example(user="\ud83d", assistant="\x00", argument="\x1f\x7f", output='\ude00 \x00"\\\u2028')
@example(user="\U000e0041", assistant="\u200b", argument="\u200b", output="\u200b\ud800\ufe0f")
def test_any_text_arrives_as_it_is_read(
    sent: Callable[[ModelRequest], Texts], user: str, assistant: str, argument: str, output: str
) -> None:
    # A mark in each, because blank texts are left out.
    arguments = json.dumps({"text": argument}, ensure_ascii=False)
    history = [
        UserText(f"u{user}"),
        AssistantText(f"a{assistant}"),
        ToolRequested("1", "look", arguments),
        ToolFinished("1", f"t{output}"),
    ]

    texts = sent(ModelRequest(history))

    read = whole(without_tags(f"u{user}")), f"a{assistant}", {"text": argument}
    assert (*read, whole(without_invisible(f"t{output}"))) == texts
