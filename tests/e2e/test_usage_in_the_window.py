"""A person sees what an answer cost, gives a model a price, and takes the month's calls along."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from chat_parts import ask, expect_complete, last_reply
from desk import Desk
from playwright.sync_api import expect

from provider_server import ProviderServer, Reply, chat_stream

pytestmark = pytest.mark.window


def test_a_price_makes_the_next_answer_known_and_leaves_the_last_one_unknown(
    desk: Desk, provider: ProviderServer, tmp_path: Path
) -> None:
    target = tmp_path / "calls.csv"
    desk.answer_dialogs(target)
    desk.environ["DESKSIDE_MODEL"] = "local/house"
    page = desk.start()
    server = {"id": "local", "label": "My server", "base_url": provider.openai_url, "is_free": False}
    desk.call("settings.change", {"servers": [server], "has_chosen_start": True})
    page.reload()
    # 19 tokens are read and three said: at 2 and 4 dollars for a million, 50,000 nano-dollars.
    provider.script(*[Reply(b"".join(chat_stream(["Plums ", "are ", "sweet."])))] * 2)
    ask(page, "How are plums?")
    expect_complete(page)
    expect(page.get_by_test_id("usage-total")).to_contain_text("Cost unknown")

    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Usage", exact=True).click()
    expect(page.get_by_test_id("usage-month")).to_have_text("Cost unknown")
    page.get_by_role("button", name="Set a price").click()
    expect(page.get_by_label("Model", exact=True).and_(page.locator(".field"))).to_have_value("local/house")
    page.get_by_label("Input", exact=True).fill("2")
    page.get_by_label("Output", exact=True).fill("4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Your prices").get_by_text("$2", exact=True)).to_be_visible()

    page.get_by_test_id("chat-button").click()
    ask(page, "And again?")
    expect_complete(page)
    expect(last_reply(page)).to_contain_text("$0.00005")
    expect(page.get_by_test_id("usage-total")).to_contain_text("At least $0.00005")

    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Usage", exact=True).click()
    expect(page.get_by_test_id("usage-month")).to_have_text("At least $0.00005")
    expect(page.get_by_text("1 call whose cost is not known is not in this sum:")).to_be_visible()
    page.get_by_role("button", name="Export as CSV").click()
    expect(page.get_by_text("Saved as")).to_be_visible()
    with target.open(encoding="utf-8", newline="") as file:
        assert [("unknown", ""), ("estimated", "0.000050000")] == [
            (line["state"], line["cost_usd"]) for line in csv.DictReader(file)
        ]
