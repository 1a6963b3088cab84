"""Inspecting a run in the window: what happened, what was in it, running it again, going on from a step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chat_parts import ask, called, expect_complete, last_reply, said
from desk import Desk
from playwright.sync_api import Locator, Page, Playwright, expect

from mcp_parts import NO_KEYCHAIN
from provider_server import ProviderServer, error_reply
from window_engines import WindowEngine

pytestmark = pytest.mark.window


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture(scope="module")
def desk(
    playwright: Playwright,
    engine: WindowEngine,
    provider: ProviderServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    """The program with an agent that asks another one, and a tool that asks first."""
    desk = Desk(playwright, tmp_path_factory.mktemp("desk") / "data", engine)
    desk.environ = {
        **NO_KEYCHAIN,
        "ANTHROPIC_API_KEY": "sk-ant-test-00000000000000005678",
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
        "DESKSIDE_MODEL": "anthropic/claude-test",
    }
    try:
        desk.start()
        desk.call("tools.change", {"name": "calculate", "approval": "ask"})
        desk.call("agents.create", {"name": "writer", "label": "Writer", "instructions": "You write."})
        desk.call("agents.change", {"id": 1, "subagents": ["writer"]})
        yield desk
    finally:
        if desk.process is not None and desk.process.poll() is None:
            desk.kill()


@pytest.fixture
def page(desk: Desk) -> Page:
    page = desk.attach()
    page.get_by_test_id("new-chat").click()
    return page


def eventful(page: Page, provider: ProviderServer) -> None:
    """An answer with a retry, a decision of the user's, and another agent."""
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Too busy."}}
    provider.script(
        error_reply(529, busy),
        called("calculate", {"expression": "6*7"}),
        called("ask_writer", {"task": "Write a line about 42."}),
        said("Forty-two is a number."),
        said("Here is the line."),
    )
    ask(page, "Calculate and write.")
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)


def inspect(page: Page) -> Locator:
    last_reply(page).hover()
    last_reply(page).get_by_role("button", name="Inspect run").click()
    run = page.get_by_test_id("run-page")
    expect(run.get_by_test_id("span").first).to_be_visible()
    return run


def test_a_run_is_shown_as_it_nested_and_each_node_opens(page: Page, provider: ProviderServer) -> None:
    eventful(page, provider)
    run = inspect(page)

    names = [" ".join(text.split()) for text in run.locator(".span-name").all_inner_texts()]
    for expected in ("Agent assistant", "Retry Waiting to try again", "Tool calculate", "Agent writer"):
        assert expected in names
    assert "You Your decision" in names
    assert any(name.startswith("Model anthropic/claude-test failed") for name in names)
    expect(run.get_by_text("most of it")).to_be_visible()

    run.get_by_test_id("span").filter(has_text="calculate").click()
    node = page.get_by_test_id("node-panel")
    expect(node.get_by_role("group", name="Arguments")).to_contain_text("6*7")
    expect(node.get_by_role("group", name="Result")).to_contain_text("42")

    run.get_by_role("button", name="Problems").click()
    expect(run.get_by_test_id("span").filter(has_text="calculate")).to_have_count(0)
    expect(run.get_by_test_id("span").filter(has_text="failed")).to_have_count(1)
    run.get_by_role("button", name="Everything").click()
    run.get_by_label("Search names and errors").fill("writer")
    expect(run.get_by_test_id("span").filter(has_text="writer").first).to_be_visible()
    expect(run.get_by_test_id("span").filter(has_text="calculate")).to_have_count(0)

    page.get_by_role("button", name="To the conversation").click()
    expect(last_reply(page)).to_contain_text("Here is the line.")


def test_how_long_the_window_took_is_part_of_the_story(page: Page, provider: ProviderServer) -> None:
    text = "\n\n".join(f"## Part {n}\n\n| a | b |\n|---|---|\n| {n} | `x{n}` |" for n in range(60))
    provider.script(said(text))
    ask(page, "Write sixty tables.")
    expect_complete(page)
    run = inspect(page)

    run.get_by_role("button", name="Refresh").click()
    shown = run.get_by_test_id("span").filter(has_text="Showing the answer")
    expect(shown).to_have_count(1)
    run.get_by_role("button", name="Waits").click()
    shown.click()
    facts = page.get_by_test_id("node-panel").locator(".node-facts")
    expect(facts).to_contain_text("of work in all")
    expect(run.locator(".run-legend")).to_contain_text("Showing the answer")


def test_a_replay_says_what_is_different_after_a_change(
    desk: Desk, page: Page, provider: ProviderServer
) -> None:
    eventful(page, provider)
    asked = len(provider.requests)
    run = inspect(page)

    run.get_by_role("button", name="Replay").click()
    expect(run.get_by_text("Replayed: nothing is different")).to_be_visible()
    desk.call("agents.change", {"id": 1, "instructions": "Answer in verse."})
    run.get_by_role("button", name="Replay", exact=True).click()
    result = run.get_by_role("status", name="Replay")
    expect(result.get_by_text("Replayed: 1 difference")).to_be_visible()
    expect(result).to_contain_text("The model is asked with other instructions.")
    expect(result).to_contain_text("Answer in verse.")
    assert asked == len(provider.requests), "no model is asked"


def test_an_answer_goes_on_from_a_step_with_another_result(page: Page, provider: ProviderServer) -> None:
    provider.script(called("calculate", {"expression": "6*7"}), said("It is 42."))
    ask(page, "What is it?")
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)
    run = inspect(page)

    run.get_by_test_id("span").filter(has_text="calculate").click()
    page.get_by_role("button", name="Fork from here").click()
    page.get_by_label("What the tool gave").fill("43")
    provider.script(said("It is 43."))
    page.get_by_role("button", name="Start").click()

    expect(last_reply(page)).to_contain_text("It is 43.")
    expect_complete(page)
    assert "43" in str(provider.requests[-1].json["messages"][-1])


def test_two_versions_of_an_answer_stand_side_by_side(page: Page, provider: ProviderServer) -> None:
    provider.script(called("calculate", {"expression": "6*7"}), said("It is 42."))
    ask(page, "What is six times seven?")
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)
    provider.script(
        error_reply(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Too busy."}}),
        called("calculate", {"expression": "6*8"}),
        said("It is 48."),
    )
    last_reply(page).hover()
    last_reply(page).get_by_role("button", name="Answer again").click()
    page.get_by_test_id("tool-approve").click()
    expect(last_reply(page)).to_contain_text("It is 48.")
    expect_complete(page)

    run = inspect(page)
    run.get_by_role("button", name="Compare with").press("Enter")
    versions = page.get_by_role("region", name="Versions of this answer")
    page.get_by_label("Search questions, models and agents").fill("six times")
    versions.get_by_role("button").press("Enter")

    both = page.get_by_test_id("compare-page")
    rows = both.get_by_test_id("pair")
    expect(rows).to_have_count(4)
    assert ["only_left", "same", "changed", "changed"] == [
        row.get_attribute("data-kind") for row in rows.all()
    ]
    tool = rows.filter(has_text="calculate").last
    expect(tool.get_by_role("group", name="Arguments")).to_contain_text('+ "expression": "6*7"')
    expect(tool.get_by_role("group", name="Result")).to_contain_text("-48")
    tool.get_by_role("button", name="Show everything in this step").click()
    expect(tool.get_by_role("group", name="Result")).to_have_count(3)

    both.get_by_role("button", name="Only differences").press("Enter")
    expect(rows).to_have_count(3)
    both.get_by_role("button", name="Swap sides").click()
    expect(rows.first).to_have_attribute("data-kind", "only_right")
    page.reload()
    expect(rows).to_have_count(4)
    both.get_by_role("button", name="To the conversation").click()
    expect(last_reply(page)).to_contain_text("It is 48.")
