"""What the user sees, and can do, when the disk, the database or the provider fails."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Locator, Page, expect

from provider_server import ProviderServer

pytestmark = pytest.mark.window

NOT_FOR_LONG_MS = 15_000  # the busy timeout is 5 s


@pytest.fixture
def openai(desk: Desk, keyed: dict[str, str]) -> Desk:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-test"}
    return desk


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()


def last_reply(page: Page) -> Locator:
    return page.locator("[data-testid=message][data-role=assistant]").last


def expect_growth(page: Page) -> None:
    """The last answer gets longer than it is now."""
    text = "() => [...document.querySelectorAll('[data-testid=chat-response]')].at(-1)?.innerText.length ?? 0"
    now = page.evaluate(text)
    page.wait_for_function(f"(now) => ({text})() > now", arg=now, timeout=NOT_FOR_LONG_MS)


@contextmanager
def full_disk(desk: Desk) -> Iterator[None]:
    """No file of the program can grow: to it that is a disk without space."""
    assert desk.process is not None
    hard = resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


def damage(database: Path, index: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        pages = connection.execute("select pageno from dbstat where name = ?", (index,)).fetchall()
        (size,) = connection.execute("pragma page_size").fetchone()
    with database.open("r+b") as file:
        for (number,) in pages:
            file.seek((number - 1) * size)
            file.write(b"\xa5" * size)


def test_a_store_that_fails_is_told_and_loses_nothing(openai: Desk) -> None:
    with ProviderServer(chunks=3000, chunk_delay_s=0.01) as slow:
        openai.environ["OPENAI_BASE_URL"] = slow.openai_url
        page = openai.start()
        ask(page, "Tell me a story.")
        expect_growth(page)

        with full_disk(openai):
            toast = page.locator(".toast")
            expect(toast).to_contain_text("disk", timeout=NOT_FOR_LONG_MS)
            expect(toast).to_contain_text("space")
            expect_growth(page)
            page.get_by_test_id("chat-stop").click()
            expect(last_reply(page)).to_have_attribute("data-status", "failed")
            said = last_reply(page).get_by_test_id("chat-response").inner_text()
            expect(last_reply(page).get_by_role("alert")).to_contain_text("disk")
            page.get_by_test_id("new-chat").click()
            ask(page, "Is this kept?")
            expect(page.get_by_role("alert")).to_contain_text("disk")
            expect(page.get_by_test_id("chat-input")).to_have_value("Is this kept?")
            page.get_by_test_id("conversation-item").first.click()
            expect(last_reply(page).get_by_test_id("chat-response")).to_have_text(said, use_inner_text=True)
        expect(last_reply(page)).to_have_attribute("data-status", "stopped", timeout=NOT_FOR_LONG_MS)

        with locked(openai.data / "deskside.db"):
            page.get_by_test_id("new-chat").click()
            page.get_by_test_id("chat-send").click()
            expect(page.get_by_role("alert")).to_contain_text(
                "Another program is using", timeout=NOT_FOR_LONG_MS
            )
            page.get_by_test_id("conversation-item").first.click()
            expect(last_reply(page).get_by_test_id("chat-response")).to_have_text(said, use_inner_text=True)
        page.get_by_test_id("new-chat").click()
        page.get_by_test_id("chat-send").click()
        expect_growth(page)
        assert 0 == openai.close()

    damage(openai.data / "deskside.db", "conversation_by_updated")
    page = openai.start()
    expect(page.locator(".toast")).to_contain_text("is damaged, so nothing more is written")
    expect(page.get_by_test_id("conversation-item")).to_have_count(2)
    page.get_by_test_id("conversation-item").filter(has_text="story").click()
    expect(last_reply(page).get_by_test_id("chat-response")).to_have_text(said, use_inner_text=True)
    ask(page, "And now?")
    expect(page.get_by_role("alert")).to_contain_text("damaged")
    expect(page.get_by_test_id("chat-input")).to_have_value("And now?")
    assert 0 == openai.close()
    assert [] == list(openai.data.glob("*readable*"))
