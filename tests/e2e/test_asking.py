"""What the user is asked in the window, and what becomes of it."""

from __future__ import annotations

import json

import pytest
from chat_parts import ask, called, expect_complete, said
from desk import Desk
from playwright.sync_api import expect

from provider_server import ProviderServer

pytestmark = [pytest.mark.window, pytest.mark.both_engines]

FIRST_LINE_Y = 16  # the middle of a menu's first line, in the window's pixels


@pytest.fixture
def anthropic(desk: Desk, keyed: dict[str, str]) -> Desk:
    """The program, which asks before it calculates."""
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "anthropic/claude-test"}
    desk.call("tools.change", {"name": "calculate", "approval": "ask"})
    return desk


def test_a_call_is_allowed_in_the_window_as_the_user_changed_it(
    anthropic: Desk, provider: ProviderServer
) -> None:
    provider.script(called("calculate", {"expression": "6*7"}), said("It is forty-eight."))
    page = anthropic.start()
    ask(page, "What is 6*7?")

    page.get_by_role("button", name="Edit arguments").click()
    page.get_by_label("Arguments", exact=True).fill('{"expression": "6*8"}')
    ask(page, "In words, please.")
    expect(page.get_by_text("Will be read at the next step")).to_be_visible()
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)

    expect(page.get_by_text("Allowed once by you")).to_be_visible()
    page.get_by_text("You changed the arguments").click()
    expect(page.get_by_role("group", name="What the model had written")).to_contain_text("6*7")
    sent = provider.requests[-1].json["messages"]
    assert "48" in json.dumps(sent)
    assert "In words, please." in json.dumps(sent)


def test_a_call_waits_for_the_user_when_the_program_is_killed(
    anthropic: Desk, provider: ProviderServer
) -> None:
    provider.script(called("calculate", {"expression": "2**10"}), said("It is 1024."))
    page = anthropic.start()
    ask(page, "What is 2**10?")
    expect(page.get_by_test_id("conversation-item").first).to_contain_text("Needs you")
    anthropic.kill()

    page = anthropic.start()
    page.get_by_test_id("conversation-item").first.click()
    expect(page.get_by_text("Deskside was closed while this waited for you.")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)

    expect(page.get_by_test_id("chat-response").last).to_contain_text("It is 1024.")
    expect(page.get_by_test_id("conversation-item").first).not_to_contain_text("Needs you")


def test_a_denial_reaches_the_model_with_its_reason(anthropic: Desk, provider: ProviderServer) -> None:
    provider.script(called("calculate", {"expression": "6*7"}), said("As you wish."))
    page = anthropic.start()
    ask(page, "What is 6*7?")

    page.get_by_role("button", name="Add a reason").click()
    page.get_by_label("Why not? The model reads this.").fill("Do it by hand")
    page.get_by_test_id("tool-deny").click()
    expect_complete(page)

    expect(page.get_by_text("Denied: Do it by hand")).to_be_visible()
    assert "Do it by hand" in json.dumps(provider.requests[-1].json["messages"])


def test_python_of_the_model_is_shown_and_runs_in_the_sandbox(
    anthropic: Desk, provider: ProviderServer
) -> None:
    code = "total = sum(n * n for n in range(1, 11))\nprint('adding up')\ntotal"
    provider.script(called("run_python", {"code": code}), said("It is 385."))
    page = anthropic.start()
    ask(page, "What are the first ten squares together?")

    expect(page.get_by_text("Runs 3 lines of Python in the sandbox.")).to_be_visible()
    expect(page.get_by_role("group", name="code, as it reads")).to_contain_text("total = sum(n * n")
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)

    assert "adding up\\n385" in json.dumps(provider.requests[-1].json["messages"])


def test_a_model_calls_what_the_user_wrote(anthropic: Desk, provider: ProviderServer) -> None:
    source = 'def share(total: int) -> float:\n    """Share a sum between two."""\n    return total / 2\n'
    parameters = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    tool = {"name": "share", "description": "Share a sum.", "source": source, "parameters": parameters}
    anthropic.call("tools.create", tool)
    provider.script(called("share", {"total": 84}), said("42 each."))
    page = anthropic.start()
    ask(page, "Share 84 between us.")

    expect(page.get_by_text("Runs your tool share in the sandbox.")).to_be_visible()
    page.get_by_test_id("tool-approve").click()
    expect_complete(page)

    offered = {tool["name"]: tool for tool in provider.requests[-1].json["tools"]}
    assert parameters == offered["share"]["input_schema"]
    assert "42.0" in json.dumps(provider.requests[-1].json["messages"])


@pytest.mark.only_on("gtk", reason="off screen nobody can press a line of Qt's own menu")
def test_the_right_button_offers_what_writing_needs_and_nothing_else(anthropic: Desk) -> None:
    page = anthropic.start()
    field = page.get_by_test_id("chat-input")
    field.fill("Some words")

    # Back, Reload and the like are for no program: where nothing is to be edited there is no menu.
    page.get_by_test_id("new-chat").click(button="right")
    field.press("Control+a")
    # The menu, which is no part of the page, begins where the button is pressed. Its first line cuts.
    field.click(button="right", position={"x": 20, "y": 10})
    box = field.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 60, box["y"] + 10 + FIRST_LINE_Y)

    expect(field).to_have_value("")
    field.press("Control+v")
    expect(field).to_have_value("Some words")
