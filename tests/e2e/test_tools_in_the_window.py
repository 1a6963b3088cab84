"""A tool of the user's own, from the first key to the second start, in the real window."""

from __future__ import annotations

import re

import pytest
from desk import Desk
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.window


def open_tools(desk: Desk) -> Page:
    page = desk.start()
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Tools", exact=True).click()
    return page


def test_a_tool_is_typed_tried_mended_kept_and_deleted_and_comes_back(
    desk: Desk, keyed: dict[str, str]
) -> None:
    desk.environ |= keyed
    page = open_tools(desk)
    page.get_by_test_id("new-tool").click()
    code = page.get_by_role("textbox", name="Code")

    # As hands do it: Enter keeps the indentation, Tab adds a step, Undo takes it back.
    code.fill("")
    code.press_sequentially(
        'def share(total: int, people: int = 2) -> float:\n"""Share a sum."""\nif people:'
    )
    page.keyboard.press("Enter")
    code.press_sequentially("return total / nobody")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+z")
    expect(code).to_have_value(
        "def share(total: int, people: int = 2) -> float:\n"
        '    """Share a sum."""\n    if people:\n        return total / nobody'
    )
    page.keyboard.press("Control+Shift+z")
    expect(code).to_have_value(re.compile("nobody +$"))
    page.keyboard.press("Control+z")
    expect(page.get_by_label("Name")).to_have_value("share")
    expect(page.get_by_role("textbox", name="Description")).to_have_value("Share a sum.")

    page.get_by_label("total").fill("84")
    page.get_by_test_id("tool-run").click()
    outcome = page.get_by_test_id("tool-outcome")
    expect(outcome).to_contain_text("Line 4: NameError: name 'nobody' is not defined")

    code.fill(code.input_value().replace("nobody", "people"))
    page.get_by_test_id("tool-run").click()
    expect(page.get_by_test_id("tool-result")).to_have_text("42.0")
    expect(outcome).to_contain_text("share(total=84)")
    page.get_by_test_id("tool-save").click()
    row = page.get_by_test_id("tool-row").filter(has_text="share")
    expect(row).to_contain_text("Reads")

    page.get_by_label("When to ask before share runs").select_option("Always ask")
    page.get_by_role("button", name="Delete share").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_have_count(1)
    assert 0 == desk.close()

    page = open_tools(desk)
    expect(page.get_by_label("When to ask before share runs")).to_have_value("always_ask")
    page.get_by_role("button", name="Edit share").click()
    assert "total / people" in page.get_by_role("textbox", name="Code").input_value()
    assert 0 == desk.close()


def test_tab_leaves_the_code_after_escape(desk: Desk, keyed: dict[str, str]) -> None:
    desk.environ |= keyed
    page = open_tools(desk)
    page.get_by_test_id("new-tool").click()
    code = page.get_by_role("textbox", name="Code")
    code.focus()
    before = code.input_value()

    page.keyboard.press("Escape")
    page.keyboard.press("Tab")

    expect(code).not_to_be_focused()
    expect(code).to_have_value(before)
    assert 0 == desk.close()


def test_what_is_typed_lies_on_itself_in_colours_however_wide_it_is(
    desk: Desk, keyed: dict[str, str]
) -> None:
    desk.environ |= keyed
    page = open_tools(desk)
    page.get_by_test_id("new-tool").click()
    code, colours = page.get_by_role("textbox", name="Code"), page.locator(".code-colours").first
    code.fill(f'def words() -> str:\n    """Say."""\n    return "{"word " * 60}"')
    expect(colours.locator(".hljs-keyword").first).to_have_text("def")
    expect(colours.locator(".md-code-line").last).to_contain_text("word word")

    code.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("  # the end")

    expect(colours.locator(".hljs-comment")).to_have_text("# the end")
    places = "elements => elements.map(each => [each.scrollLeft, each.scrollTop])"
    field, below = page.locator(".code-text, .code-colours").evaluate_all(places)[:2]
    assert field[0] == below[0] > 300
    assert field[1] == below[1] == 0
    assert 0 == desk.close()


@pytest.mark.only_on("qt", reason="WebKit's inspector cannot compose text as an input method does")
def test_unfinished_text_of_an_input_method_is_shown_as_the_system_marks_it(
    desk: Desk, keyed: dict[str, str]
) -> None:
    desk.environ |= keyed
    page = open_tools(desk)
    page.get_by_test_id("new-tool").click()
    code, colours = page.get_by_role("textbox", name="Code"), page.locator(".code-colours").first
    code.fill("# ")
    code.focus()
    page.keyboard.press("Control+End")
    keyboard = page.context.new_cdp_session(page)

    keyboard.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    expect(colours).to_be_hidden()
    keyboard.send("Input.insertText", {"text": "日本"})

    expect(colours).to_be_visible()
    expect(colours).to_have_text("# 日本")
    expect(code).to_have_value("# 日本")
    page.keyboard.press("Control+z")
    expect(code).to_have_value("# ")
    assert 0 == desk.close()


def test_what_is_being_written_survives_the_page(desk: Desk, keyed: dict[str, str]) -> None:
    desk.environ |= keyed
    page = open_tools(desk)
    page.get_by_test_id("new-tool").click()
    page.get_by_role("textbox", name="Code").fill("def half_done(")

    page.reload()

    expect(page.get_by_role("textbox", name="Code")).to_have_value("def half_done(")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("new-tool")).to_be_visible()
    assert 0 == desk.close()
