"""Looking for something in a long history, in the real window."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Locator, Page, expect
from pony.orm import db_session

from deskside.backend.store import first_start, messages, replies
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate
from provider_server import ProviderServer

pytestmark = pytest.mark.window

PAIRS = 150
WAIT_MS = 30_000
# Only what is at least partly inside the transcript.
IN_VIEW = """(message) => {
  const view = document.querySelector(".transcript").getBoundingClientRect();
  const { top, bottom } = message.getBoundingClientRect();
  return bottom > view.top && top < view.bottom;
}"""


def make_history(data: Path) -> None:
    """Before the program starts. Without a store: Playwright's event loop runs on this thread."""
    data.mkdir()
    migrate(data / "deskside.db", data)
    db = Db(data / "deskside.db", busy_timeout_s=5)
    with db_session:
        first_start.make_rows(db)
        _talk(db)
        db.commit()
    db.disconnect()


def _talk(db: Db) -> None:
    conversation = None
    for n in range(PAIRS):
        asked = replies.ask(db, conversation, f"Question {n}?", "openai/gpt-test")
        conversation = asked.conversation.id
        text = (
            "The plums are\n\nin the **icebox**, cold." if n == 60 else f"Answer {n}. " + "And so on. " * 40
        )
        part = replies.StoredPart(0, 0, messages.TextPart(text))
        usage = messages.MessageUsage()
        replies.finish(
            db,
            replies.FinishedReply(asked.reply.id, asked.run_id, "complete", [part], None, usage, "answered"),
        )


def look_for(page: Page, text: str) -> None:
    page.keyboard.press("Control+f")
    page.get_by_test_id("search-input").fill(text)


def message(page: Page, text: str) -> Locator:
    return page.get_by_test_id("message").filter(has_text=text)


def expect_in_view(page: Page, text: str) -> None:
    expect(message(page, text)).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function(IN_VIEW, arg=message(page, text).element_handle(), timeout=WAIT_MS)


def scroll_until(page: Page, text: str, *, down: bool) -> None:
    """As a reader who holds the key does."""
    to = "transcript.scrollHeight" if down else "0"
    page.wait_for_function(
        f"""(text) => {{
          const transcript = document.querySelector(".transcript");
          transcript.scrollTop = {to};
          const all = [...transcript.querySelectorAll(".message")];
          return all.some((message) => message.textContent.includes(text));
        }}""",
        arg=text,
        polling=100,
        timeout=WAIT_MS,
    )


def test_a_message_is_found_and_shown_in_its_place_and_both_ways_go_on_from_there(
    desk: Desk, keyed: dict[str, str]
) -> None:
    make_history(desk.data)
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-test"}
    with ProviderServer(chunks=3000, chunk_delay_s=0.1) as slow:
        desk.environ["OPENAI_BASE_URL"] = slow.openai_url
        page = desk.start()

        look_for(page, "plums iceb")
        result = page.get_by_test_id("search-result")
        expect(result).to_have_count(1, timeout=WAIT_MS)
        expect(result.locator("mark")).to_have_text(["plums", "icebox"])
        page.keyboard.press("Enter")
        expect_in_view(page, "in the icebox")
        expect(message(page, "in the icebox")).to_have_attribute("data-found", "true")
        expect(message(page, "Question 60?")).to_be_visible()
        expect(message(page, f"Question {PAIRS - 1}?")).to_have_count(0)

        scroll_until(page, f"Answer {PAIRS - 1}.", down=True)
        scroll_until(page, "Question 0?", down=False)

        # An answer is written at the end while the reader is in the middle.
        page.get_by_test_id("chat-input").fill("Tell me a story.")
        page.get_by_test_id("chat-input").press("Enter")
        expect_in_view(page, "Tell me a story.")
        look_for(page, "icebox")
        page.get_by_test_id("search-input").press("ArrowDown")
        page.keyboard.press("Enter")
        expect_in_view(page, "in the icebox")
        expect(message(page, "Tell me a story.")).to_have_count(0)
        page.get_by_test_id("chat-stop").click()
        expect(page.get_by_test_id("chat-stop")).to_have_count(0, timeout=WAIT_MS)
        expect(message(page, "in the icebox")).to_have_count(1)

        page.get_by_role("button", name="Jump to latest").click()
        expect_in_view(page, "Tell me a story.")
        expect(page.get_by_test_id("message").last).to_have_attribute("data-status", "stopped")

        page.get_by_test_id("search-input").focus()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("conversation-item")).to_have_count(1)
        assert 0 == desk.close()
