"""What can be dragged out of the real window, and dropped into it."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from mouse import Mouse, mouse_on
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from provider_server import ProviderServer, Reply, messages_stream
from screen import screen
from window_engines import WindowEngine

pytestmark = pytest.mark.window

ANSWER = "# Plums\n\nThey are **cold**.\n\n```python\nprint('plums' < 'pears')\n```\n"
# Another program sees what this field sees.
LOOK = """(field) => field.addEventListener("drop", ({ dataTransfer }) => {
  field.dataset.dropped = JSON.stringify(
    Object.fromEntries([...dataTransfer.types].map((type) => [type, dataTransfer.getData(type)])));
})"""


@pytest.fixture
def mouse(
    engine: WindowEngine, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mouse]:
    """On the display that the program is started on, with a folder of its own for temporary files."""
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    if shutil.which("xdotool") is None or shutil.which("Xvfb") is None:
        pytest.skip("the mouse needs a screen: apt install xvfb xdotool")
    (tmp_path / "temporary").mkdir()
    desk.environ["TMPDIR"] = str(tmp_path / "temporary")
    if engine.display is not None:
        with mouse_on(engine.display) as mouse:
            yield mouse
        return
    with screen() as display, mouse_on(display) as mouse:
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        desk.environ["DISPLAY"] = display
        yield mouse


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 48), "purple").save(content, "PNG")
    return content.getvalue()


def dragged(page: Page, what: Locator) -> Any:
    """What is dragged into the field for a question, by type."""
    field = page.get_by_test_id("chat-input")
    field.fill("")
    what.hover()
    what.drag_to(field)
    return page.evaluate("JSON.parse(document.querySelector('[data-testid=chat-input]').dataset.dropped)")


def test_answers_and_code_are_dragged_as_text_that_other_programs_take(
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

    assert ANSWER == whole["text/plain"]
    assert "<strong>cold</strong>" in whole["text/html"]
    assert "md-" not in whole["text/html"]
    assert "print('plums' < 'pears')" == code["text/plain"]
    assert "<pre><code>" in code["text/html"]
    assert {"text/plain": "Where are [the] plums?"} == question


@pytest.mark.both_engines
def test_files_and_conversations_are_dragged_into_other_programs_as_files(
    desk: Desk, keyed: dict[str, str], provider: ProviderServer, mouse: Mouse
) -> None:
    desk.environ |= keyed | {"DESKSIDE_MODEL": "anthropic/claude-sonnet-5-5"}
    provider.script(Reply(b"".join(messages_stream([ANSWER]))))
    page = desk.start()
    page.get_by_test_id("file-chooser").set_input_files(
        [
            {"name": "plums <1>: “cold”?.txt", "mimeType": "", "buffer": b"plums"},
            {"name": "picture.png", "mimeType": "", "buffer": picture()},
        ]
    )
    files = page.get_by_test_id("attachment")
    expect(page.locator("[data-testid=attachment][data-status=ready]")).to_have_count(1)
    expect(page.locator(".file-picture")).to_have_js_property("naturalWidth", 64)
    mouse.place_window(page)

    attached = mouse.drag_out(page.get_by_role("button", name="plums <1>").first)
    mouse.drag_over_target(files.first)
    mouse.give_up()
    # Another one: a second press at the same place would be a double click's, which drags nothing.
    mouse.drag_within(page, files.last, page.get_by_test_id("chat-input"))
    address = page.url
    page.get_by_test_id("chat-input").fill("Where are [the] plums?")
    page.get_by_test_id("chat-input").press("Enter")
    answer = page.locator("[data-testid=message][data-role=assistant]")
    expect(answer).to_have_attribute("data-status", "complete")
    expect(files).to_have_count(2)
    sent = mouse.drag_out(page.locator(".message .file-picture"))
    conversation = mouse.drag_out(page.locator(".conversation-link").first)

    (path,) = attached["files"]
    assert ("plums -1- “cold”.txt", b"plums".hex()) == (Path(path).name, attached["files"][path])
    assert 0o700 == Path(path).parent.stat().st_mode & 0o777
    assert not attached["can_move"]
    assert {"picture.png": picture().hex()} == {Path(path).name: each for path, each in sent["files"].items()}
    ((path, content),) = conversation["files"].items()
    assert "Where are [the] plums.zip" == Path(path).name
    with zipfile.ZipFile(io.BytesIO(bytes.fromhex(content))) as exported:
        assert b"Where are [the] plums?" in exported.read("conversations.json")
    assert r"[Where are \[the\] plums?](deskside://conversation/1)" == conversation["text"]
    assert "Where are [the] plums?</a>" in conversation["html"]
    assert not page.evaluate("getSelection().toString()")
    assert address.split("#")[0] == page.url.split("#")[0]

    mouse.click(page.locator(".message .file-picture"))
    expect(page.get_by_test_id("file-preview")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("file-preview")).to_have_count(0)
    stored = next(
        each for each in (desk.data / "files").rglob("*") if each.is_file() and each.read_bytes() == b"plums"
    )
    stored.unlink()
    mouse.pull_a_little(page.locator(".message").get_by_role("button", name="plums <1>"))
    expect(page.get_by_text("is not there any more")).to_be_visible()
    expect(page.get_by_test_id("file-preview")).to_have_count(0)
    assert 0 == desk.close()
    assert [] == list(Path(desk.environ["TMPDIR"]).glob("deskside-*"))
