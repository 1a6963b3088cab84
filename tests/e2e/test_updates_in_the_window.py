"""A newer Deskside, as its user hears of it in the real window."""

from __future__ import annotations

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

from release_server import NEWER, ReleaseServer

pytestmark = pytest.mark.window

NOTES = (
    "- **Faster** than [before](https://deskside.example).\n- <img src=x onerror=\"document.title='owned'\">"
)
RELEASES = [{"version": NEWER, "date": "2026-12-01", "notes": NOTES}]


def open_about(page: Page) -> None:
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="About", exact=True).click()


def test_a_newer_version_is_found_read_about_skipped_and_stays_so(desk: Desk, keyed: dict[str, str]) -> None:
    with ReleaseServer() as server:
        server.say(NEWER, releases=RELEASES)
        desk.environ |= keyed | server.environ
        page = desk.start()
        open_about(page)
        expect(page.get_by_test_id("update-state")).to_contain_text("has not looked yet")
        page.get_by_role("button", name="Look now").click()

        bar = page.get_by_test_id("update-bar")
        expect(bar).to_contain_text(f"Deskside {NEWER} is available.")
        bar.get_by_role("button", name="What is new").click()
        dialog = page.get_by_test_id("update-dialog")
        expect(dialog.locator("strong")).to_have_text("Faster")
        expect(dialog.locator("img")).to_have_count(0)
        expect(dialog).to_contain_text("<img src=x")
        page.get_by_role("button", name="Skip this version").click()
        expect(bar).to_have_count(0)
        page.get_by_role("switch", name="Look for newer versions each day").click()
        expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
        assert 0 == desk.close()

        page = desk.start()
        open_about(page)
        expect(page.get_by_test_id("update-state")).to_contain_text("You chose to skip it.")
        expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
        expect(page.get_by_test_id("update-bar")).to_have_count(0)
        assert 1 == len(server.requests)


def test_without_a_network_the_look_says_so_and_nothing_else_changes(
    desk: Desk, keyed: dict[str, str]
) -> None:
    with ReleaseServer() as server:
        server.say(NEWER)
        desk.environ |= (
            keyed | server.environ | {"DESKSIDE_UPDATE_URL": "https://releases.example/latest.json"}
        )
        page = desk.start("--offline")
        open_about(page)
        page.get_by_role("button", name="Look now").click()

        expect(page.get_by_role("alert")).to_contain_text("Deskside is offline")
        expect(page.get_by_test_id("update-bar")).to_have_count(0)
