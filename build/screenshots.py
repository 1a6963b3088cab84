#!/usr/bin/env python3
"""Take the pictures of the window that the README shows, from the real program.

    .venv/bin/python build/screenshots.py [folder]     default: build/screenshots

Everything in them was streamed by the provider's peer that the tests use; there is no network. Each
picture is taken at 1280 × 800 and at 800 × 600. Look at them after every change to the page.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/e2e")]

from desk import Desk  # noqa: E402

from provider_server import ProviderServer, Reply, error_reply, responses_stream  # noqa: E402

SIZES = {"1280x800": (1280, 800), "800x600": (800, 600)}

QUESTIONS = [
    ("Plan a week of simple dinners for two", "Here is a week that shares its ingredients."),
    ("What changed in the tenancy law this year?", "Three things changed for tenants."),
    ("Rewrite this letter so that it sounds friendlier", "Dear Mrs Lindqvist, thank you for your patience."),
    ("Explain recursion to a ten-year-old", "Imagine a box that holds a smaller box."),
]

QUESTION = "How long until my savings double at 4 % interest? Show the formula and a small program."
ANSWER = """\
At 4 % a year, savings double in **about 17.7 years**.

With compound interest the amount after $n$ years is

$$A = P\\,(1 + r)^n, \\qquad n = \\frac{\\ln 2}{\\ln(1 + r)}$$

A rule of thumb gives nearly the same: divide 72 by the rate in percent.

| Rate | Exact | Rule of 72 |
| ---: | ----: | ---------: |
| 2 % | 35.0 years | 36 years |
| 4 % | 17.7 years | 18 years |
| 8 % | 9.0 years | 9 years |

```python
from math import log

def years_to_double(rate: float) -> float:
    \"\"\"Years until money doubles at `rate` (0.04 is 4 %).\"\"\"
    return log(2) / log(1 + rate)

print(f"{years_to_double(0.04):.1f} years")
```

Fees and taxes lengthen this: at 1 % of costs a year, count with 3 %.
"""
UNKNOWN_KEY = {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}}


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        sync_playwright() as playwright,
        ProviderServer() as provider,
    ):
        desk = Desk(playwright, Path(scratch) / "data")
        desk.environ["DESKSIDE_BUNDLED_MODELS"] = os.environ.get(
            "DESKSIDE_BUNDLED_MODELS", str(ROOT / ".build" / "models")
        )
        try:
            page = desk.start()
            page.get_by_role("button", name="Use the on-device model").click()
            take(page, folder, "first-run", "light")
            desk.close()
            desk.environ |= {
                "OPENAI_API_KEY": "sk-example-00000000000000009f2c",
                "OPENAI_BASE_URL": provider.openai_url,
                "DESKSIDE_MODEL": "openai/gpt-5.2",
            }
            take_chats(desk.start(), provider, folder)
        finally:
            if desk.process is not None and desk.process.poll() is None:
                desk.close()
    return 0


def take_chats(page: Page, provider: ProviderServer, folder: Path) -> None:
    take(page, folder, "empty", "light")
    for question, answer in QUESTIONS:
        provider.script(streamed(answer))
        ask(page, question)
        page.get_by_test_id("new-chat").click()
    provider.script(streamed(ANSWER))
    ask(page, QUESTION)
    for scheme in ("light", "dark"):
        take(page, folder, "chat", scheme)
    page.get_by_test_id("model-picker").click()
    take(page, folder, "models", "light")
    page.keyboard.press("Escape")
    provider.script(error_reply(401, UNKNOWN_KEY))
    page.get_by_test_id("new-chat").click()
    ask(page, "Is the key still good?", status="failed")
    take(page, folder, "error", "light")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_test_id("settings-button").click()
    for scheme in ("light", "dark"):
        take(page, folder, "settings", scheme)
    take_tools(page, folder)


def take_tools(page: Page, folder: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("button", name="Tools", exact=True).click()
    page.get_by_test_id("new-tool").click()
    page.get_by_label("Category").fill("Text")
    page.locator(".bench-field textarea").fill("The quick brown fox jumps over the lazy dog")
    page.get_by_test_id("tool-run").click()
    expect(page.get_by_test_id("tool-result")).to_be_visible()
    page.get_by_test_id("tool-save").scroll_into_view_if_needed()
    take(page, folder, "tool-bench", "light")
    page.get_by_test_id("tool-save").click()
    expect(page.get_by_test_id("tool-row").first).to_be_visible()
    for scheme in ("light", "dark"):
        take(page, folder, "tools", scheme)


def streamed(text: str) -> Reply:
    """The text as OpenAI's Responses API streams it."""
    words = [f"{word} " for word in text.split(" ")]
    return Reply(b"".join(responses_stream(words)))


def ask(page: Page, question: str, status: str = "complete") -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()
    reply = page.locator("[data-testid=message][data-role=assistant]").last
    expect(reply).to_have_attribute("data-status", status, timeout=30_000)


def take(page: Any, folder: Path, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("() => document.fonts.ready")
        page.wait_for_timeout(400)  # transitions and lazy chunks end unannounced
        page.screenshot(path=folder / f"{name}-{scheme}-{size}.png")


if __name__ == "__main__":
    sys.exit(main())
