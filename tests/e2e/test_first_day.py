"""What a new user does on the first day, in the real window."""

from __future__ import annotations

import os

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

from provider_server import ProviderServer

pytestmark = pytest.mark.window

ANSWER_MS = 90_000  # the on-device model on a loaded machine


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()


def last_reply(page: Page) -> str:
    reply = page.locator("[data-testid=message][data-role=assistant]").last
    expect(reply).to_have_attribute("data-status", "complete", timeout=ANSWER_MS)
    response = reply.get_by_test_id("chat-response")
    expect(response).not_to_be_empty()  # it is drawn a frame after the row is there
    return response.inner_text()


def test_from_the_first_start_to_an_answer_that_is_still_there_tomorrow(desk: Desk) -> None:
    desk.environ["DESKSIDE_BUNDLED_MODELS"] = os.environ["DESKSIDE_BUNDLED_MODELS"]
    page = desk.start()
    page.get_by_role("button", name="Use the on-device model").click()
    expect(page.get_by_text("small model").first).to_be_visible()
    page.get_by_role("button", name="Start chatting").click()
    ask(page, "What is the capital of France? Answer in one sentence.")
    said = last_reply(page)
    assert "Paris" in said
    assert 0 == desk.close()

    page = desk.start()
    page.get_by_test_id("conversation-item").first.click()

    expect(page.locator("[data-testid=message][data-role=user]")).to_contain_text("capital of France")
    assert said == last_reply(page)
    assert 0 == desk.close()


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("openai/gpt-test", "/v1/responses"),
        ("anthropic/claude-test", "/v1/messages"),
        ("local/llama-test", "/v1/chat/completions"),
    ],
)
def test_each_provider_answers_in_its_own_language_and_is_still_there_tomorrow(
    desk: Desk, provider: ProviderServer, keyed: dict[str, str], model: str, path: str
) -> None:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": model}
    if model.startswith("local/"):
        desk.call("settings.change", {"servers": [local_server(provider)]})
    page = desk.start()
    ask(page, "Say the words heliotrope and quince.")
    said = last_reply(page)
    assert "quince" in said
    assert path in [request.path for request in provider.requests]
    assert 0 == desk.close()

    page = desk.start()
    page.get_by_test_id("conversation-item").first.click()
    assert said == last_reply(page)
    assert 0 == desk.close()


def local_server(provider: ProviderServer) -> dict[str, str]:
    return {"id": "local", "label": "A server here", "base_url": provider.openai_url}
