"""What can be dragged out of the real window, and dropped into it."""

from __future__ import annotations

from typing import Any

import pytest
from desk import Desk
from playwright.sync_api import Locator, Page, expect

from provider_server import ProviderServer, Reply, messages_stream

pytestmark = pytest.mark.window

ANSWER = "# Plums\n\nThey are **cold**.\n\n```python\nprint('plums' < 'pears')\n```\n"
# Another program sees what this field sees.
LOOK = """(field) => field.addEventListener("drop", ({ dataTransfer }) => {
  field.dataset.dropped = JSON.stringify(
    Object.fromEntries([...dataTransfer.types].map((type) => [type, dataTransfer.getData(type)])));
})"""


def dragged(page: Page, what: Locator) -> Any:
    """What is dragged into the field for a question, by type."""
    field = page.get_by_test_id("chat-input")
    field.fill("")
    what.hover()
    what.drag_to(field)
    return page.evaluate("JSON.parse(document.querySelector('[data-testid=chat-input]').dataset.dropped)")


def test_answers_code_and_conversations_are_dragged_as_text_that_other_programs_take(
    desk: Desk, keyed: dict[str, str], provider: ProviderServer
) -> None:
    desk.environ |= keyed | {"DESKSIDE_MODEL": "anthropic/claude-sonnet-5-5"}
    provider.script(Reply(b"".join(messages_stream([ANSWER]))))
    page = desk.start()
    field = page.get_by_test_id("chat-input")
    field.fill("Where are [the] plums?")
    field.press("Enter")
    answer = page.locator("[data-testid=message][data-role=assistant]")
    expect(answer).to_have_attribute("data-status", "complete")
    field.evaluate(LOOK)

    whole = dragged(page, answer.get_by_role("button", name="Copy", exact=True))
    expect(field).to_have_value(ANSWER)
    code = dragged(page, answer.locator("figcaption .md-language"))
    expect(field).to_have_value("print('plums' < 'pears')")
    question = dragged(page, page.locator("[data-role=user]").get_by_role("button", name="Copy", exact=True))
    link = dragged(page, page.locator(".conversation-link").first)

    assert ANSWER == whole["text/plain"]
    assert "<strong>cold</strong>" in whole["text/html"]
    assert "md-" not in whole["text/html"]
    assert "print('plums' < 'pears')" == code["text/plain"]
    assert "<pre><code>" in code["text/html"]
    assert {"text/plain": "Where are [the] plums?"} == question
    assert r"[Where are \[the\] plums?](deskside://conversation/1)" == link["text/plain"]
    assert "Where are [the] plums?</a>" in link["text/html"]
