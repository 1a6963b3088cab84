"""What a chat is made of: what the user does in the window, and what the provider streams."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

from provider_server import Reply, ToolCall, messages_stream


def said(text: str, **changes: Any) -> Reply:
    """Words, as Anthropic streams them."""
    return Reply(b"".join(messages_stream([f"{word} " for word in text.split()])), **changes)


def called(name: str, arguments: dict[str, Any]) -> Reply:
    """One call of a tool, as Anthropic streams it."""
    return Reply(b"".join(messages_stream([], ToolCall("toolu_1", name, json.dumps(arguments)))))


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-input").press("Enter")


def last_reply(page: Page) -> Locator:
    return page.locator("[data-testid=message][data-role=assistant]").last


def expect_complete(page: Page) -> None:
    expect(last_reply(page)).to_have_attribute("data-status", "complete", timeout=30_000)
