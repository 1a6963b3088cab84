"""What the user sees, and can do, when the database is damaged, cannot be written to, or is gone."""

from __future__ import annotations

from contextlib import suppress

import pytest
from chat_parts import ask, expect_complete
from desk import Desk
from playwright.sync_api import Error, Page, expect

from damage import PAGE, make_database, overwrite
from stores import rows

pytestmark = pytest.mark.window

NOT_FOR_LONG_MS = 15_000


@pytest.fixture
def openai(desk: Desk, keyed: dict[str, str]) -> Desk:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-test"}
    desk.data.mkdir(mode=0o700)
    return desk


def findings(page: Page) -> dict[str, list[str]]:
    lines = page.get_by_test_id("findings").locator("tbody tr").all()
    return {
        line.locator("th").inner_text(): [cell.inner_text() for cell in line.locator("td").all()]
        for line in lines
    }


def test_a_damaged_database_is_rescued_in_the_window(openai: Desk) -> None:
    database = openai.data / "deskside.db"
    make_database(database)
    messages = rows(database, "select count(*) from message")[0][0]
    leaves = rows(
        database, "select pageno from dbstat where name in ('conversation', 'message') and pagetype = 'leaf'"
    )
    overwrite(database, {page for (page,) in leaves}, bytes)
    page = openai.start()

    expect(page.get_by_test_id("damage")).to_be_visible(timeout=NOT_FOR_LONG_MS)
    page.get_by_role("button", name="Open for reading only").click()
    expect(page.get_by_test_id("conversation-item").first).to_be_visible()
    page.get_by_role("button", name="What can be done…").click()
    page.get_by_role("button", name="See what can be rescued").click()
    expect(page.get_by_test_id("findings")).to_be_visible(timeout=NOT_FOR_LONG_MS)
    found = findings(page)
    # The window may be gone before the press is.
    with page.expect_event("close"), suppress(Error):
        page.get_by_role("button", name="Use this and restart Deskside").click()
    page = openai.attach()
    expect(page.get_by_test_id("rescued")).to_contain_text(f"{openai.data}/damaged-")
    assert found == findings(page)
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(page.get_by_test_id("trouble")).to_have_count(0)
    page.get_by_test_id("new-chat").click()
    ask(page, "Is this kept?")
    expect_complete(page)
    assert 0 == openai.close()

    assert ["0", f"{messages:,}", "0"] == found["Messages"]
    assert [("ok",)] == rows(database, "pragma integrity_check")
    assert [(1,)] == rows(database, "select count(*) from message_part where text = 'Is this kept?'")
    (kept,) = openai.data.glob("damaged-*")
    assert (kept / "deskside.db").read_bytes().count(bytes(PAGE)) >= len(leaves)
    page = openai.start()
    expect(page.get_by_test_id("conversation-item").first).to_be_visible()
    expect(page.get_by_test_id("rescued")).to_have_count(0)


@pytest.mark.parametrize("what", ["first page", "a text"])
def test_a_database_that_does_not_open_is_no_dead_end(what: str, openai: Desk) -> None:
    database = openai.data / "deskside.db"
    if what == "a text":
        database.write_text("Dear diary\n" * 5000)
    else:
        make_database(database)
        overwrite(database, {1}, bytes)
    before = database.read_bytes()

    page = openai.start()

    expect(page.get_by_test_id("damage")).to_contain_text("is not a database")
    expect(page.get_by_test_id("damage")).to_contain_text("There is no backup")
    page.get_by_role("button", name="See what can be rescued").click()
    if what == "a text":
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
            "Nothing", timeout=NOT_FOR_LONG_MS
        )
        page.get_by_role("button", name="Open for reading only").click()
        expect(page.get_by_test_id("conversation-item")).to_have_count(0)
    else:
        expect(page.get_by_test_id("findings")).to_be_visible(timeout=NOT_FOR_LONG_MS)
        assert "54" == findings(page)["Conversations"][0]
    assert 0 == openai.close()
    assert before == database.read_bytes()


def test_a_wal_file_that_somebody_deleted_is_missed_and_the_rest_is_there(openai: Desk) -> None:
    page = openai.start()
    ask(page, "What is kept?")
    expect_complete(page)
    assert 0 == openai.close()
    page = openai.start()
    page.get_by_test_id("new-chat").click()
    ask(page, "What is lost?")
    expect_complete(page)
    openai.kill()
    (openai.data / "deskside.db-wal").unlink()

    page = openai.start()

    expect(page.locator(".toast")).to_contain_text("deskside.db-wal", timeout=NOT_FOR_LONG_MS)
    expect(page.get_by_test_id("conversation-item")).to_have_count(1)
    page.get_by_test_id("conversation-item").click()
    ask(page, "And from now on?")
    expect_complete(page)
    assert 0 == openai.close()
    page = openai.start()
    expect(page.get_by_test_id("conversation-item")).to_have_count(1)
    expect(page.locator(".toast")).to_have_count(0)
    assert [("ok",)] == rows(openai.data / "deskside.db", "pragma integrity_check")


def test_a_data_folder_that_is_moved_away_is_told_and_welcome_back(openai: Desk) -> None:
    page = openai.start()
    ask(page, "Where are you?")
    expect_complete(page)
    elsewhere = openai.data.with_name("elsewhere")

    openai.data.rename(elsewhere)
    expect(page.get_by_test_id("trouble")).to_contain_text(
        "moved, removed or replaced", timeout=NOT_FOR_LONG_MS
    )
    ask(page, "And now?")
    expect(page.get_by_role("button", name="Dismiss")).to_be_visible(timeout=NOT_FOR_LONG_MS)
    expect(page.get_by_test_id("chat-input")).to_have_value("And now?")
    assert not openai.data.exists()

    elsewhere.rename(openai.data)
    expect(page.get_by_test_id("trouble")).to_have_count(0, timeout=NOT_FOR_LONG_MS)
    page.get_by_test_id("chat-send").click()
    expect_complete(page)
    assert 0 == openai.close()
    assert [("Where are you?",), ("And now?",)] == rows(
        openai.data / "deskside.db", "select text from message_part where origin = 'user' order by id"
    )
