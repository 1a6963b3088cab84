"""A key's way from the page into the system's keychain, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

from provider_server import ProviderServer
from secret_service import secret_service

pytestmark = pytest.mark.window

SECRET = "sk-planted-in-the-window-0000000000007Qx9"


def found_in(folder: Path, secret: str) -> list[str]:
    """The files below a folder that hold a text, in any encoding that a careless program would use."""
    needles = [secret.encode(encoding) for encoding in ("utf-8", "utf-16-le")]
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file.name for file in files if any(needle in file.read_bytes() for needle in needles)]


def answered(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()
    reply = page.locator("[data-testid=message][data-role=assistant]").last
    expect(reply).to_have_attribute("data-status", "complete", timeout=30_000)


def test_a_pasted_key_is_tried_used_and_kept_in_the_keychain_alone(
    desk: Desk, provider: ProviderServer
) -> None:
    with secret_service() as bus:
        desk.environ |= {"DBUS_SESSION_BUS_ADDRESS": bus, "OPENAI_BASE_URL": provider.openai_url}
        page = desk.start()
        page.get_by_test_id("key-input-openai").fill(SECRET)
        page.get_by_test_id("key-save-openai").click()
        expect(page.get_by_text("accepted").or_(page.get_by_text("works")).first).to_be_visible()
        page.get_by_role("button", name="Start chatting").click()
        answered(page, "Is the key in use?")
        assert SECRET not in page.content()
        assert 0 == desk.close()

        page = desk.start()
        answered(page, "And after a restart?")
        page.get_by_test_id("settings-button").click()
        expect(page.get_by_text("7Qx9")).to_be_visible()
        assert 0 == desk.close()

    asked = [request for request in provider.requests if request.method == "POST"]
    assert {f"Bearer {SECRET}"} == {request.headers["authorization"] for request in asked}
    assert 2 == len(asked)
    assert [] == found_in(desk.data.parent, SECRET)


def test_without_a_keychain_the_user_may_choose_a_file_with_a_passphrase(
    desk: Desk, provider: ProviderServer
) -> None:
    desk.environ["OPENAI_BASE_URL"] = provider.openai_url
    page = desk.start()
    expect(page.get_by_text("No system keychain was found")).to_be_visible()
    page.get_by_label("New passphrase").fill("a long enough passphrase")
    page.get_by_role("button", name="Use an encrypted file").click()
    expect(page.get_by_text("encrypted with your passphrase")).to_be_visible()
    page.get_by_test_id("key-input-openai").fill(SECRET)
    page.get_by_test_id("key-save-openai").click()
    page.get_by_role("button", name="Start chatting").click()
    answered(page, "Is the key in use?")
    assert 0 == desk.close()

    page = desk.start()
    page.get_by_test_id("settings-button").click()
    page.get_by_label("Passphrase").fill("a wrong passphrase")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("does not open the file")).to_be_visible()
    page.get_by_label("Passphrase").fill("a long enough passphrase")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("encrypted with your passphrase")).to_be_visible()
    page.get_by_test_id("chat-button").first.click()
    answered(page, "And after a restart?")
    assert 0 == desk.close()

    assert [] == found_in(desk.data.parent, SECRET)
