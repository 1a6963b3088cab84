"""What is left when something dies in the middle of an answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

from provider_server import ProviderServer

pytestmark = pytest.mark.window


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """A provider that needs about a minute for its answer."""
    with ProviderServer(chunks=6000, chunk_delay_s=0.01) as server:
        yield server


def streamed(page: Page, at_least: int) -> str:
    """The text of the reply that streams, once it has so many characters."""
    response = page.get_by_test_id("chat-response").last
    page.wait_for_function(
        """(least) => {
            const replies = document.querySelectorAll("[data-testid=chat-response]");
            return (replies[replies.length - 1]?.innerText.length ?? 0) > least;
        }""",
        arg=at_least,
        timeout=30_000,
    )
    return response.inner_text()


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def openai(desk: Desk, keyed: dict[str, str]) -> Desk:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-test"}
    return desk


def test_a_killed_program_shows_what_was_said_and_offers_to_go_on(openai: Desk) -> None:
    page = openai.start()
    ask(page, "Tell me a long story.")
    streamed(page, 100)
    # What has been on the screen for a moment has been stored.
    seen = streamed(page, 600)[:300]
    openai.kill()
    database = sqlite3.connect(openai.data / "deskside.db")
    assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
    database.close()

    page = openai.start()
    page.get_by_test_id("conversation-item").first.click()
    reply = page.locator("[data-testid=message][data-role=assistant]").last

    expect(reply).to_have_attribute("data-status", "interrupted")
    assert words(reply.get_by_test_id("chat-response").inner_text()).startswith(words(seen))
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(reply).to_have_attribute("data-status", "streaming")
    page.get_by_test_id("chat-stop").click()
    expect(reply).to_have_attribute("data-status", "stopped")
    assert words(reply.get_by_test_id("chat-response").inner_text()).startswith(words(seen))


def test_a_killed_renderer_comes_back_with_the_answer_still_growing(openai: Desk) -> None:
    page = openai.start()
    ask(page, "Tell me a long story.")
    seen = streamed(page, 300)
    renderers = openai.renderers()
    assert renderers
    for renderer in renderers:
        renderer.kill()

    page = openai.attach()
    before = streamed(page, len(seen))
    after = streamed(page, len(before) + 200)

    assert words(before).startswith(words(seen)[:200])
    assert words(after).startswith(words(before)[:200])
    reply = page.locator("[data-testid=message][data-role=assistant]").last
    expect(reply).to_have_attribute("data-status", "streaming")


def test_closing_the_window_in_the_middle_keeps_what_was_said(openai: Desk) -> None:
    page = openai.start()
    ask(page, "Tell me a long story.")
    seen = streamed(page, 300)
    assert 0 == openai.close()

    page = openai.start()
    page.get_by_test_id("conversation-item").first.click()
    reply = page.locator("[data-testid=message][data-role=assistant]").last

    assert words(reply.get_by_test_id("chat-response").inner_text()).startswith(words(seen))
    assert reply.get_attribute("data-status") in ("interrupted", "stopped")
