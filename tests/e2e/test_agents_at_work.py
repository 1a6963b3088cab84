"""Agents at work in one window: whom they ask, what stops them, and what the user says meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from chat_parts import ask, called, expect_complete, last_reply, said
from desk import Desk
from playwright.sync_api import Page, Playwright, expect

from mcp_parts import NO_KEYCHAIN, everything
from provider_server import ProviderServer
from window_engines import WindowEngine

pytestmark = pytest.mark.window

AGENTS: list[dict[str, Any]] = [
    {"name": "writer", "label": "Writer", "instructions": "You write.", "tools": ["calculate"]},
    {"name": "editor", "label": "Editor", "instructions": "You edit.", "tools": [], "subagents": ["writer"]},
    {"name": "thrifty", "label": "Thrifty", "tools": [], "limits": {"run": {"tokens": 100}}},
]


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
    """The program with agents and an MCP server, which ask before they calculate."""
    desk = Desk(playwright, tmp_path_factory.mktemp("desk") / "data", engine)
    desk.environ = {  # the session's, whichever test asks
        **os.environ,
        **NO_KEYCHAIN,
        "ANTHROPIC_API_KEY": "sk-ant-test-00000000000000005678",
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
        "DESKSIDE_MODEL": "anthropic/claude-test",
    }
    desk.run("mcp", "add", "everything", "--yes", "--", *everything())
    try:
        desk.start()
        desk.call("tools.change", {"name": "calculate", "approval": "ask"})
        for agent in AGENTS:
            desk.call("agents.create", agent)
        yield desk
    finally:
        if desk.process is not None and desk.process.poll() is None:
            desk.kill()


@pytest.fixture
def page(desk: Desk) -> Page:
    """The window, with a new chat."""
    page = desk.attach()
    page.get_by_test_id("new-chat").click()
    return page


def choose_agent(page: Page, label: str) -> None:
    page.get_by_test_id("agent-picker").click()
    page.get_by_role("menuitemradio", name=label).click()


def test_a_call_of_an_agent_below_is_allowed_inside_the_one_that_asked(
    page: Page, provider: ProviderServer
) -> None:
    provider.script(
        called("ask_writer", {"task": "Write a line of 42 words."}),
        called("calculate", {"expression": "6*7"}),
        said("A line of 42 words."),
        said("Here is the line."),
    )
    choose_agent(page, "Editor")
    ask(page, "Have a line written.")

    writer = page.get_by_test_id("tool-call").filter(has_text="Writer")
    expect(writer.get_by_text("Writer asks to use calculate")).to_be_visible()
    writer.get_by_test_id("tool-approve").click()
    expect_complete(page)

    expect(writer).to_contain_text("Allowed once by you")
    expect(writer).to_contain_text("A line of 42 words.")
    expect(page.get_by_test_id("chat-response").last).to_have_text("Here is the line.")
    asked_by_editor = json.dumps(provider.requests[-1].json["messages"])
    assert "A line of 42 words." in asked_by_editor
    assert "6*7" not in asked_by_editor


def test_who_asks_for_what_stays_in_view_beside_the_buttons_of_a_long_card(
    desk: Desk, page: Page, provider: ProviderServer
) -> None:
    provider.script(called("run_python", {"code": "print(1)\n" * 200}), said("Very well."))
    desk.resize(page, 800, 600)
    ask(page, "Count, please.")
    card = page.get_by_test_id("approval")
    tool = card.get_by_role("heading", name="asks to use run_python").locator("code")
    deny = card.get_by_test_id("tool-deny")

    deny.scroll_into_view_if_needed()

    expect(deny).to_be_in_viewport(ratio=1)
    expect(card).not_to_be_in_viewport(ratio=1)
    expect(tool).to_be_in_viewport(ratio=1)
    is_on_top = (
        "it => { const { x, y } = it.getBoundingClientRect(); return document.elementFromPoint(x, y) === it }"
    )
    assert tool.evaluate(is_on_top)
    deny.click()
    expect_complete(page)


def test_a_run_that_would_pass_its_limit_goes_on_when_the_user_says_so(
    page: Page, provider: ProviderServer
) -> None:
    choose_agent(page, "Thrifty")
    before = len(provider.requests)
    ask(page, "What do you cost?")

    expect(page.get_by_test_id("pause")).to_contain_text("the limit of “Thrifty” is 100 tokens for a run")
    asked_before = len(provider.requests) - before
    page.get_by_role("button", name="Go on", exact=True).click()
    expect_complete(page)

    assert 0 == asked_before
    expect(page.get_by_text("You let it go on.")).to_be_visible()
    expect(page.get_by_test_id("chat-response").last).to_contain_text("What do you cost?")


def test_what_is_said_during_an_answer_is_answered_in_it(page: Page, provider: ProviderServer) -> None:
    provider.script(said("Flats and shops and offices", hang_after=700), said("Flats, then."))
    ask(page, "What can I rent?")
    expect(page.get_by_test_id("chat-stop")).to_be_visible()

    ask(page, "Only flats, please.")
    expect(page.get_by_text("Will be read at the next step")).to_be_visible()
    provider.release()
    expect_complete(page)

    expect(last_reply(page)).to_contain_text("Flats and shops and offices")
    expect(last_reply(page)).to_contain_text("Flats, then.")
    expect(page.get_by_text("Will be read at the next step")).to_have_count(0)
    assert "Only flats, please." == provider.requests[-1].json["messages"][-1]["content"][-1]["text"]


def test_who_answered_is_kept_when_another_agent_takes_over(page: Page, provider: ProviderServer) -> None:
    ask(page, "Who are you?")
    expect_complete(page)
    choose_agent(page, "Writer")
    ask(page, "And now?")
    expect_complete(page)

    page.reload()

    expect(page.locator(".message-facts")).to_contain_text(["", "claude-test", "", "Writerclaude-test"])
    assert "You write." in json.dumps(provider.requests[-1].json["system"])


def test_a_new_name_of_an_agent_is_shown_without_a_reload(desk: Desk, page: Page) -> None:
    made = desk.call("agents.create", {"name": "scribe", "label": "Scribe", "instructions": "You write."})
    choose_agent(page, "Scribe")
    ask(page, "Who are you?")
    expect_complete(page)
    expect(page.locator(".message-facts").last).to_contain_text("Scribe")

    desk.call("agents.change", {"id": made["id"], "name": "clerk", "label": "Clerk"})

    expect(page.get_by_test_id("agent-picker")).to_have_text("Clerk")
    expect(page.locator(".message-facts").last).to_contain_text("Clerk")
    ask(page, "And now?")
    expect_complete(page)
    expect(last_reply(page)).to_contain_text("Clerk")


def test_a_server_is_accepted_used_and_asks_the_user(page: Page, provider: ProviderServer) -> None:
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Tools", exact=True).click()
    expect(page.get_by_role("region", name="From “everything”")).to_contain_text("Not accepted")
    page.get_by_role("button", name="MCP servers").click()
    page.get_by_role("button", name="Accept all").click()
    expect(page.get_by_text("15 tools")).to_be_visible()
    page.get_by_role("button", name="Back to chat").click()

    provider.script(called("everything__trigger-elicitation-request", {}), said("Thank you."))
    ask(page, "Let it ask me.")
    page.get_by_test_id("tool-approve").click()
    form = page.get_by_test_id("elicitation")
    expect(form).to_be_visible()
    expect(page.get_by_test_id("conversation-item").first).to_contain_text("Needs you")
    form.get_by_role("button", name="Cancel").scroll_into_view_if_needed()
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_label("String", exact=True)).to_be_focused()
    form.get_by_label("String", exact=True).fill("Ada Lovelace")
    form.get_by_role("button", name="Cancel").scroll_into_view_if_needed()
    form.get_by_role("button", name="Send").click()
    expect_complete(page)

    expect(page.get_by_test_id("chat-response").last).to_have_text("Thank you.")
    expect(page.get_by_test_id("conversation-item").first).not_to_contain_text("Needs you")
    assert "Ada Lovelace" in json.dumps(provider.requests[-1].json["messages"])
