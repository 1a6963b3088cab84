"""A person takes conversations out of Deskside and brings others in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_parts import ask, expect_complete, said
from desk import Desk
from playwright.sync_api import Locator, Page, expect

from provider_server import ProviderServer

pytestmark = pytest.mark.window

WAIT_MS = 30_000
CONVERSATIONS = 400
# An import may be over before anybody has looked: what its bar showed is noted as it changes.
NOTE_PROGRESS = """() => {
  window.progressSeen = [];
  const note = () => {
    const bar = document.querySelector(".transfer progress");
    if (!bar?.labels[0]?.textContent.startsWith("Importing")) return;
    window.progressSeen.push(bar.value / bar.max);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


def chatgpt_export(path: Path) -> Path:
    """As ChatGPT writes it: short conversations, and in each the voice that is left out."""

    def message(
        id: str, parent: str | None, child: str | None, role: str, parts: list[Any]
    ) -> dict[str, Any]:
        content = {"content_type": "multimodal_text", "parts": parts}
        said = {"id": id, "author": {"role": role}, "create_time": 1_700_000_000, "content": content}
        return {"id": id, "message": said, "parent": parent, "children": [child] if child else []}

    voice = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://1", "format": "wav"}
    conversations = [
        {
            "title": f"Plums {n}", "conversation_id": f"c{n}", "create_time": 1_700_000_000 + n,
            "update_time": 1_700_000_000 + n, "current_node": "a",
            "mapping": {
                "q": message("q", None, "a", "user", [f"Where are the plums of day {n}?"]),
                "a": message("a", "q", None, "assistant", [voice, f"In the icebox, number {n}."]),
            },
        }
        for n in range(CONVERSATIONS)
    ]  # fmt: skip
    path.write_text(json.dumps(conversations), "utf-8")
    return path


def open_data(page: Page) -> Locator:
    page.get_by_test_id("settings-button").click()
    page.get_by_role("button", name="Data", exact=True).click()
    return page.get_by_role("region", name="Export and import")


def export_as(page: Page, format: str) -> None:
    """All conversations, in one of the formats of the dialog."""
    page.get_by_role("button", name="Export all…").click()
    dialog = page.get_by_role("dialog", name="Export all conversations")
    dialog.get_by_role("radio", name=format).check()
    dialog.get_by_role("button", name="Choose where…").click()
    done = page.get_by_role("dialog", name="Export conversations")
    expect(done).to_contain_text("1 conversation exported", timeout=WAIT_MS)
    done.get_by_role("button", name="Close", exact=True).last.click()
    expect(done).to_have_count(0)


def test_what_is_exported_can_be_read_elsewhere_and_brings_nothing_new_back(
    desk: Desk, keyed: dict[str, str], provider: ProviderServer, tmp_path: Path
) -> None:
    targets = [tmp_path / name for name in ("plums.json", "plums.md.zip", "plums.html.zip")]
    desk.answer_dialogs(*targets, targets[0])
    desk.environ |= {**keyed, "DESKSIDE_MODEL": "anthropic/claude-test"}
    page = desk.start()
    provider.script(said("They are in the icebox."))
    ask(page, "Where are the plums?")
    expect_complete(page)

    open_data(page)
    for format in ("Everything (JSON)", "Markdown", "Web page (HTML)"):
        export_as(page, format)
    exported = json.loads(targets[0].read_text("utf-8"))
    assert "They are in the icebox." in json.dumps(exported)
    assert all(target.stat().st_size > 0 for target in targets)

    page.get_by_role("button", name="Import…").click()
    dialog = page.get_by_role("dialog", name="Import conversations")
    expect(dialog).to_contain_text("There is nothing new in “plums.json”.", timeout=WAIT_MS)
    expect(dialog).to_contain_text("1 conversation is here already")
    expect(dialog.get_by_role("button", name="Import")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_test_id("chat-button").click()
    expect(page.get_by_test_id("conversation-item")).to_have_count(1)
    assert 0 == desk.close()


def test_another_programs_conversations_come_after_a_look_and_come_only_once(
    desk: Desk, tmp_path: Path
) -> None:
    file = chatgpt_export(tmp_path / "conversations.json")
    desk.answer_dialogs(file, file)
    page = desk.start()

    open_data(page)
    page.get_by_role("button", name="Import…").click()
    dialog = page.get_by_role("dialog", name="Import conversations")
    expect(dialog).to_contain_text("is an export of ChatGPT. It would bring:", timeout=WAIT_MS)
    expect(dialog).to_contain_text(f"{CONVERSATIONS} conversations with {2 * CONVERSATIONS} messages")
    left_out = dialog.get_by_role("region", name="Would be left out")
    expect(left_out).to_contain_text("Sound and moving pictures are not imported.")
    expect(left_out).to_contain_text(f"{CONVERSATIONS} parts of messages")
    assert [] == desk.call("conversations.page", {})["conversations"]

    page.evaluate(NOTE_PROGRESS)
    dialog.get_by_role("button", name="Import", exact=True).click()
    expect(dialog).to_contain_text("Imported:", timeout=WAIT_MS)
    seen = page.evaluate("window.progressSeen")
    assert seen == sorted(seen)
    assert any(0 < share < 1 for share in seen)
    left_out = dialog.get_by_role("region", name="Left out")
    left_out.get_by_text("Sound and moving pictures").click()
    expect(left_out.get_by_role("listitem").first).to_contain_text("Plums")
    expect(left_out).to_contain_text(f"and {CONVERSATIONS - 50} more")
    dialog.get_by_role("button", name="Close", exact=True).last.click()

    page.get_by_role("button", name="Import…").click()
    expect(dialog).to_contain_text("There is nothing new in “conversations.json”.", timeout=WAIT_MS)
    expect(dialog).to_contain_text(f"{CONVERSATIONS} conversations are here already")
    dialog.get_by_role("button", name="Cancel").click()

    page.get_by_test_id("chat-button").click()
    page.get_by_test_id("conversation-item").filter(has_text="Plums 399").locator("button").first.click()
    expect(page.get_by_test_id("chat-response")).to_contain_text("In the icebox, number 399.")
    assert 0 == desk.close()
