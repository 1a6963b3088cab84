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

from provider_server import ProviderServer, Reply, error_reply, recording, responses_stream

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


@pytest.fixture
def page(openai: Desk) -> Iterator[Page]:
    """The window, in which an answer grows for half a minute."""
    with ProviderServer(chunks=3000, chunk_delay_s=0.01) as slow:
        openai.environ["OPENAI_BASE_URL"] = slow.openai_url
        page = openai.start()
        ask(page, "Tell me a story.")
        expect_growth(page)
        yield page


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


@pytest.mark.only_on("qt", reason="the limit on files would limit the memory that WebKit's processes share")
def test_a_full_disk_is_told_and_loses_nothing(openai: Desk, page: Page) -> None:
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
    page.get_by_test_id("new-chat").click()
    page.get_by_test_id("chat-send").click()
    expect_growth(page)
    assert 0 == openai.close()


def test_a_store_that_is_locked_or_damaged_is_told_and_loses_nothing(openai: Desk, page: Page) -> None:
    page.get_by_test_id("chat-stop").click()
    expect(last_reply(page)).to_have_attribute("data-status", "stopped")
    said = last_reply(page).get_by_test_id("chat-response").inner_text()

    with locked(openai.data / "deskside.db"):
        page.get_by_test_id("new-chat").click()
        ask(page, "Is this kept?")
        expect(page.get_by_role("alert")).to_contain_text("Another program is using", timeout=NOT_FOR_LONG_MS)
        page.get_by_test_id("conversation-item").first.click()
        expect(last_reply(page).get_by_test_id("chat-response")).to_have_text(said, use_inner_text=True)
    page.get_by_test_id("new-chat").click()
    page.get_by_test_id("chat-send").click()
    expect_growth(page)
    assert 0 == openai.close()

    damage(openai.data / "deskside.db", "conversation_listed")
    page = openai.start()
    expect(page.get_by_test_id("trouble")).to_contain_text("is damaged, so nothing more is written")
    page.get_by_role("button", name="Open for reading only").click()
    expect(page.get_by_test_id("conversation-item")).to_have_count(2)
    page.get_by_test_id("conversation-item").filter(has_text="story").click()
    expect(last_reply(page).get_by_test_id("chat-response")).to_have_text(said, use_inner_text=True)
    ask(page, "And now?")
    expect(page.locator(".problem")).to_contain_text("damaged")
    expect(page.get_by_test_id("chat-input")).to_have_value("And now?")
    assert 0 == openai.close()
    assert [] == list(openai.data.glob("*readable*"))


KEY_REFUSED = error_reply(401, {"error": {"message": "no", "type": "x", "code": "invalid_api_key"}})
NO_CREDIT = error_reply(429, {"error": {"message": "no", "type": "x", "code": "insufficient_quota"}})
IN_AN_HOUR = error_reply(
    429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, retry_after="3600"
)
WEB_PAGE = Reply(b"<!doctype html><title>Welcome</title>", content_type="text/html")
EVENTS = recording("responses_text").body.split(b"\n\n")
GARBAGE = Reply(b"\n\n".join([*EVENTS[:8], b"data: \xff\xfe", *EVENTS[8:]]))
HALF = recording("responses_text", cut_after=2500)


# What the provider does, a part of what is said of it, and the ways on that are offered.
FAULTS: list[tuple[list[Reply], str, list[str]]] = [
    ([KEY_REFUSED], "OpenAI refused the key.", ["Open keys", "Retry"]),
    ([NO_CREDIT], "no credit left", ["Retry"]),
    ([IN_AN_HOUR], "It asks to wait 60 min.", ["Retry"]),
    ([WEB_PAGE] * 4, "OpenAI answered with a web page.", ["Retry"]),
    ([GARBAGE] * 4, "bytes that are not text", ["Continue", "Retry"]),
    ([HALF] * 4, "The connection to OpenAI broke off.", ["Continue", "Retry"]),
    ([recording("responses_length")], "length limit", ["Continue", "Retry"]),
]


def expect_buttons(problem: Locator, ways_on: list[str]) -> None:
    """These, and before them the one that copies the request's number, which shows a picture only."""
    number = problem.locator(".request-id code").inner_text()
    buttons = problem.get_by_role("button")
    expect(buttons).to_have_count(1 + len(ways_on))
    for place, name in enumerate([f"Copy the request's number, {number}", *ways_on]):
        expect(buttons.nth(place)).to_have_accessible_name(name)
    copy = buttons.first
    expect(copy).to_have_attribute("title", "Copy")
    copy.click()
    expect(copy).to_have_accessible_name("Copied")


def test_what_a_provider_does_wrong_is_a_sentence_with_a_way_on(
    openai: Desk, provider: ProviderServer
) -> None:
    page = openai.start()
    for replies, sentence, ways_on in FAULTS:
        page.get_by_test_id("new-chat").click()
        provider.script(*replies)
        ask(page, "Say something.")
        problem = last_reply(page).get_by_role("alert")
        expect(problem).to_contain_text(sentence, timeout=NOT_FOR_LONG_MS)
        response = last_reply(page).get_by_test_id("chat-response")
        expect_buttons(problem, ways_on)
        if "Continue" in ways_on:
            expect(response).not_to_be_empty()
            said = response.inner_text()
            problem.get_by_role("button", name="Continue").click()
            expect(last_reply(page)).to_have_attribute("data-status", "complete")
            expect(response).to_contain_text(said)
        else:
            expect(response).to_be_empty()
            problem.get_by_role("button", name="Retry").click()
            expect(last_reply(page)).to_have_attribute("data-status", "complete")

    page.get_by_test_id("new-chat").click()
    provider.script(HALF)
    ask(page, "Say something.")
    expect(last_reply(page)).to_have_attribute("data-status", "complete", timeout=NOT_FOR_LONG_MS)
    expect(last_reply(page)).to_contain_text("broke off. This step was run again.")

    hostile = (
        "<script>window.taken = 1</script> [x](javascript:window.taken=1) <img src=x onerror=window.taken=1>"
    )
    provider.script(Reply(b"".join(responses_stream([hostile, "\n\n", "x" * 50_000]))))
    ask(page, "Be hostile.")
    expect(last_reply(page)).to_have_attribute("data-status", "complete")
    assert page.evaluate("() => window.taken ?? null") is None
    assert 0 == last_reply(page).locator("script, img, a[href^=javascript]").count()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert_nothing_private_in_the_log(openai)
    assert 0 == openai.close()


def assert_nothing_private_in_the_log(desk: Desk) -> None:
    log = "".join(file.read_text() for file in (desk.data / "logs").iterdir()) + desk.output()
    for private in ("sk-test-openai", "Say something", "Be hostile", "capital of France"):
        assert private not in log
    keys = [
        file for file in desk.data.rglob("*") if file.is_file() and b"sk-test-openai" in file.read_bytes()
    ]
    assert [] == keys


def test_a_hasty_user_breaks_nothing(openai: Desk) -> None:
    with ProviderServer(chunks=3000, chunk_delay_s=0.01) as slow:
        openai.environ["OPENAI_BASE_URL"] = slow.openai_url
        page = openai.start()

        page.get_by_test_id("chat-input").fill("Twice?")
        page.get_by_test_id("chat-send").evaluate("button => { button.click(); button.click(); }")
        page.get_by_test_id("chat-stop").click()
        expect(last_reply(page)).to_have_attribute("data-status", "stopped")
        # None where the stop was there before the question was sent.
        assert len([request for request in slow.requests if request.method == "POST"]) <= 1
        assert 1 == page.locator("[data-testid=message][data-role=user]").count()

        for name in ("first", "second", "third"):
            page.get_by_test_id("new-chat").click()
            ask(page, f"The {name} of three.")
            expect_growth(page)
        for name in ("first", "third", "second"):
            page.get_by_test_id("conversation-item").filter(has_text=name).click()
            expect(page.locator("[data-testid=message][data-role=user]")).to_contain_text(name)
            expect_growth(page)
        page.reload()
        expect(page.locator("[data-testid=message][data-role=user]")).to_contain_text("second")
        expect_growth(page)

        item = page.get_by_test_id("conversation-item").filter(has_text="second")
        item.get_by_role("button").first.focus()
        page.keyboard.press("Delete")
        expect(page.locator(".toast")).to_contain_text("is in the trash")
        page.get_by_role("button", name="Undo").click()
        item.click()
        expect(last_reply(page)).to_have_attribute("data-status", "stopped")
        expect(last_reply(page).get_by_test_id("chat-response")).to_contain_text("word0")
        assert 0 == openai.close()


@pytest.mark.only_on("qt", reason="WebKit lays two million letters out for seconds at each step of a press")
def test_a_question_without_end_is_refused_and_can_be_shortened(openai: Desk) -> None:
    with ProviderServer(chunks=3000, chunk_delay_s=0.01) as slow:
        openai.environ["OPENAI_BASE_URL"] = slow.openai_url
        page = openai.start()
        page.get_by_test_id("chat-input").evaluate(
            "field => { field.value = 'x'.repeat(2_000_001);"
            " field.dispatchEvent(new Event('input', { bubbles: true })); }"
        )
        page.get_by_test_id("chat-send").click()
        expect(page.get_by_role("alert")).to_contain_text("2,000,001 characters")
        page.keyboard.press("Backspace")
        page.get_by_test_id("chat-send").click()
        expect_growth(page)
        page.get_by_test_id("chat-stop").click()
        expect(last_reply(page)).to_have_attribute("data-status", "stopped")
        assert 0 == openai.close()
