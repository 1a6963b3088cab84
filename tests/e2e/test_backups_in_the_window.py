"""A person makes a backup, looks at what it would change, and has it back after a restart."""

from __future__ import annotations

from contextlib import suppress

import pytest
from chat_parts import ask, expect_complete
from desk import Desk
from playwright.sync_api import Error, Page, expect

pytestmark = pytest.mark.window

PASSPHRASE = "correct horse battery staple"
SLOW_MS = 30_000  # a passphrase costs seconds by design


def open_data(page: Page) -> None:
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Data", exact=True).click()


def test_a_conversation_that_was_deleted_comes_back_from_an_encrypted_backup(
    desk: Desk, keyed: dict[str, str]
) -> None:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "anthropic/claude-test"}
    page = desk.start()
    ask(page, "Where are the plums?")
    expect_complete(page)

    open_data(page)
    page.get_by_role("switch", name="Encrypt backups").click()
    page.get_by_label("New passphrase").fill(PASSPHRASE)
    page.get_by_label("The same again").fill(PASSPHRASE)
    page.get_by_role("button", name="Encrypt from now on").click()
    expect(page.get_by_text("can only be opened with your passphrase")).to_be_visible(timeout=SLOW_MS)
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_test_id("backup-item")).to_contain_text("1 conversation · encrypted")

    page.get_by_test_id("chat-button").click()
    page.get_by_test_id("new-chat").click()
    ask(page, "And the icebox?")
    expect_complete(page)
    open_data(page)
    page.get_by_role("button", name="Restore the backup").click()
    dialog = page.get_by_test_id("restore-dialog")
    dialog.get_by_label("Passphrase of the backup").fill("not this one")
    dialog.get_by_role("button", name="Open").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not open", timeout=SLOW_MS)
    dialog.get_by_label("Passphrase of the backup").fill(PASSPHRASE)
    dialog.get_by_role("button", name="Open").click()
    expect(dialog).to_contain_text("Will be gone, only here now: 1 conversation", timeout=SLOW_MS)
    expect(dialog).to_contain_text("And the icebox?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)

    # The question is asked in a dialog of the system, which cannot be pressed here: the terminal's way.
    name = desk.run("backup", "--list").split()[0]
    desk.run("restore", name, "--yes", stdin=f"{PASSPHRASE}\n")
    page.reload()
    open_data(page)
    # The window may be gone before the press is.
    with page.expect_event("close", timeout=SLOW_MS), suppress(Error):
        page.get_by_role("button", name="Restart Deskside").click()
    page = desk.attach()
    expect(page.locator(".toast")).to_contain_text("was restored")
    expect(page.get_by_test_id("conversation-item")).to_have_count(1)
    open_data(page)
    expect(page.get_by_test_id("backup-item").first).to_contain_text("Before a restore · ")
    assert 0 == desk.close()
