"""Files of every way into the real window, over a restart, to a provider, and looked at."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from desk import Desk
from PIL import Image
from playwright.sync_api import FilePayload, expect

from provider_server import ProviderServer, Reply, messages_stream

pytestmark = pytest.mark.window

PASTE = """(lines) => {
  const field = document.querySelector("[data-testid=chat-input]");
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", "plum\\n".repeat(lines));
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""
DROP = """([step, name]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["dropped plums"], name));
  const event = new DragEvent(step, { dataTransfer, bubbles: true, cancelable: true });
  document.querySelector(".chat").dispatchEvent(event);
}"""


def file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": content}


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (400, 300), "purple").save(content, "PNG")
    return content.getvalue()


def pdf(pages: int) -> bytes:
    content = io.BytesIO()
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(612, 792)
    document.save(content)
    return content.getvalue()


def test_files_come_in_wait_over_a_restart_go_with_the_question_and_can_be_seen(
    desk: Desk, keyed: dict[str, str], provider: ProviderServer
) -> None:
    desk.environ |= keyed | {"DESKSIDE_MODEL": "anthropic/claude-sonnet-5-5"}
    page = desk.start()
    page.get_by_test_id("chat-input").wait_for()

    page.get_by_test_id("file-chooser").set_input_files(
        [file("plums.png", picture()), file("code.py", b"x = 42\n"), file("wrong.txt", b"not this one")]
    )
    page.evaluate(PASTE, 20_001)
    page.evaluate(DROP, ["dragenter", "dropped.txt"])
    expect(page.get_by_test_id("drop-target")).to_be_visible()
    page.evaluate(DROP, ["drop", "dropped.txt"])
    expect(page.get_by_test_id("drop-target")).to_have_count(0)
    expect(page.locator("[data-testid=attachment][data-status=ready]")).to_have_count(4)
    page.get_by_role("button", name="Remove wrong.txt").click()
    expect(page.get_by_test_id("chat-input")).to_have_value("")
    assert 0 == desk.close()

    page = desk.start()
    names = ["plums.png", "code.py", "Pasted text.txt", "dropped.txt"]
    expect(page.get_by_test_id("attachment").locator("bdi")).to_have_text(names)
    expect(page.get_by_test_id("chat-send")).to_be_enabled()
    provider.script(Reply(b"".join(messages_stream(["Plums."]))))
    page.get_by_test_id("chat-input").fill("What is in them?")
    page.get_by_test_id("chat-input").press("Enter")
    expect(page.get_by_test_id("chat-response")).to_have_text("Plums.")

    (request,) = [request for request in provider.requests if request.method == "POST"]
    sent = request.json["messages"][0]["content"]
    text = "".join(part.get("text", "") for part in sent)
    assert ["text", "image", "text"] == [part["type"] for part in sent]
    assert 20_001 == text.count("plum\n")
    assert all(words in text for words in ("x = 42", "dropped plums", "What is in them?"))
    assert "not this one" not in text
    expect(page.get_by_test_id("message").first.get_by_test_id("attachment")).to_have_count(4)
    expect(page.locator(".message .file-picture")).to_have_js_property("naturalWidth", 400)

    page.get_by_role("button", name="code.py").click()
    expect(page.locator("[data-testid=file-preview] .hljs-number")).to_have_text("42")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pasted text.txt").click()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("file-preview")).to_have_count(0)
    assert 0 == desk.close()


def test_a_pdf_is_looked_at_page_by_page(desk: Desk, keyed: dict[str, str]) -> None:
    desk.environ |= keyed
    page = desk.start()
    page.get_by_test_id("file-chooser").set_input_files(
        [file("plums.pdf", pdf(12)), file("torn.pdf", pdf(1)[:200])]
    )

    chips = page.get_by_test_id("attachment")
    expect(page.locator("[data-testid=attachment][data-status=ready]")).to_have_count(1, timeout=30_000)
    expect(page.locator("[data-testid=attachment][data-status=failed]")).to_have_count(1, timeout=30_000)
    chips.filter(has_text="plums.pdf").get_by_role("button").first.click()
    expect(page.get_by_text("Page 1 of 12")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Next page").click()
    shown = page.get_by_role("img", name="Page 2 of plums.pdf")
    expect(shown).to_have_js_property("naturalHeight", 1400)
    expect(page.get_by_text("Page 2 of 12")).to_be_visible()
    page.keyboard.press("Escape")

    chips.filter(has_text="torn.pdf").get_by_role("button").first.click()
    expect(page.get_by_test_id("file-preview")).to_contain_text("cannot be shown", timeout=30_000)
    assert 0 == desk.close()
