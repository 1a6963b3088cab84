"""Diagnostics in the window: what is drawn follows what happens."""

from __future__ import annotations

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

from provider_server import ProviderServer, Reply, responses_stream

pytestmark = pytest.mark.window


def drawn(page: Page, chart: str) -> int:
    """Of how many points a chart's first line is made."""
    path = page.get_by_role("figure", name=chart).locator(".chart-line").first.get_attribute("d") or ""
    return len(path.replace("M", " M").replace("L", " ").split())


def test_a_person_sees_what_deskside_uses_and_what_was_slow(
    desk: Desk, provider: ProviderServer, keyed: dict[str, str]
) -> None:
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "openai/gpt-5.2"}
    provider.script(Reply(b"".join(responses_stream(["There ", "is ", "nothing ", "slow."]))))
    page = desk.start()
    page.get_by_test_id("chat-input").fill("What is slow?")
    page.get_by_test_id("chat-input").press("Enter")
    answer = page.locator("[data-testid=message][data-role=assistant]").last
    expect(answer).to_have_attribute("data-status", "complete")
    page.get_by_test_id("diagnostics-button").click()

    memory = page.get_by_role("figure", name="Memory")
    expect(memory).to_contain_text("Deskside")
    expect(memory).to_contain_text("MB")
    page.wait_for_function(
        "() => (document.querySelector('.chart-line')?.getAttribute('d') ?? '').split(' ').length >= 3"
    )
    assert drawn(page, "Memory") >= 3  # one a second: it is looked at
    providers = page.get_by_role("region", name="Providers", exact=True)
    expect(providers.get_by_role("rowheader")).to_have_text("openai")
    commands = page.get_by_role("region", name="Commands", exact=True)
    commands.get_by_role("button", name="Show all").click()  # which are the slowest is the machine's to say
    expect(commands.get_by_role("rowheader").filter(has_text="runs.start")).to_be_visible()
    store = page.get_by_role("region", name="Store", exact=True)
    store.get_by_role("button", name="Calls").click()
    expect(store.get_by_role("columnheader", name="Calls")).to_have_attribute("aria-sort", "descending")

    desk.resize(page, 800, 600)
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    assert 0 == desk.close()

    # The minutes that were open are in the history of the next start.
    page = desk.start()
    page.get_by_test_id("diagnostics-button").click()
    page.get_by_role("radio", name="Day", exact=True).check()
    expect(page.get_by_role("figure", name="Memory")).to_contain_text("highest")
