"""A conversation of 50,000 messages in the real window: whether the page is ever held up, and what it keeps.

    python build/bench/long.py [--messages 50000] [--json]

Every 200th message is large, in turn 100 KB of markdown, of plain code, 49 KB of coloured code, of a table, a
list or a paragraph, and a question of 100 KB. The program starts in Qt on such a data folder, with a
provider's stand-in in another process, and is driven through the window's debugging port: the conversation is
opened, scrolled up and down over many pages, searched, jumped into at each kind of large message, and answers
are streamed into it. Another one, whose last page is full of large messages, is opened beside it.

Printed are for each activity how long it took, the main thread's tasks of 50 ms and more (as the browser's
own observer reports them), the messages in the page and the memory of its JavaScript. The aim: no task over
100 ms, and no more than 200 messages kept. A task's time is the clock's: on a busy machine it holds what
others took. Runs without a screen. Needs the built page and Playwright for Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / path) for path in ("shell", "bridge", "backend", "tests", "tests/e2e", "build")]

from loguru import logger  # noqa: E402 - a checkout that is not installed
from playwright.sync_api import Page, expect  # noqa: E402

from bench.window import OPEN, PART, add_conversation, answer, opened, prepare_answer, provider  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store import search_index  # noqa: E402
from deskside.backend.store.connection import Db  # noqa: E402
from deskside.backend.store.database import open_store  # noqa: E402

MESSAGES = 50_000
LARGE_EVERY = 200
LARGE_CHARS = 100_000
ANSWER_CHARS = 24_000
LONG, LAST = "The long conversation", "The large answers"
LAST_WORDS = "So it ends."
SCREENS_UP = 600
SCREENS_DOWN = 300
WAIT_MS = 120_000
AIM_MS = 100

WATCH = """() => {
    window.benchTasks = [];
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) window.benchTasks.push(Math.round(duration));
    }).observe({ entryTypes: ["longtask"] });
}"""
# The observer hears of a task some time after it; frames pass by without one.
SEEN = """async () => {
    await new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 500));
    const tasks = window.benchTasks.toSorted((a, b) => b - a);
    window.benchTasks = [];
    return { tasks, messages: document.getElementsByClassName("message").length };
}"""
SCROLL = """async ([screens, atOnce]) => {
    const transcript = document.querySelector(".transcript");
    for (let left = Math.abs(screens); left > 0; left -= atOnce) {
        transcript.scrollTop += Math.sign(screens) * atOnce * transcript.clientHeight;
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)));
    }
}"""
IN_VIEW = """(text) => {
    const found = document.querySelector("[data-found]");
    const view = document.querySelector(".transcript").getBoundingClientRect();
    if (!found?.textContent.includes(text)) return false;
    const { top, bottom } = found.getBoundingClientRect();
    return bottom > view.top && top < view.bottom;
}"""
AT_END = """() => {
    const { scrollTop, scrollHeight, clientHeight } = document.querySelector(".transcript");
    return !document.querySelector(".jump") && scrollHeight - scrollTop - clientHeight < 2;
}"""
ANSWERS = (
    "() => Math.max(0, ...[...document.querySelectorAll('.message')].map(({ id }) => +id.split('-')[1]))"
)
ANSWERED = """(newest) => {
    const last = [...document.querySelectorAll(".message")].at(-1);
    return +last.id.split("-")[1] > newest && last.matches(".assistant[data-status=complete]");
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description="A conversation of 50,000 messages in the real window.")
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory() as folder, provider() as url:
        data = Path(folder) / "desk" / "data"
        asyncio.run(fill(data, options.messages))
        figures = measured(data, url, options.messages)
    if options.json:
        print(json.dumps(figures, indent=2))
        return 0
    print(f"{'':<36}{'took':>8}  {'in page':>7}  {'heap':>6}  tasks of 50 ms and more")
    for name, each in figures.items():
        tasks = " ".join(map(str, each["tasks"][:8])) or "none"
        print(
            f"{name:<36}{each['took_ms']:>5} ms  {each['messages']:>7}  {each['heap_mb']:>3} MB  {tasks}",
        )
    longest = max((task for each in figures.values() for task in each["tasks"]), default=0)
    print(f"longest task: {longest} ms (aim: at most {AIM_MS})")
    return 0


# -- what is in the data folder -----------------------------------------------------------------


async def fill(data: Path, messages: int) -> None:
    async with open_store(Paths(data, data / "logs", data / "cache")) as store:
        await store.write(_fill, messages)


def _fill(db: Db, messages: int) -> None:
    kinds = list(LARGE)
    texts = [f"Message {n}.\n\n{PART.format(n=n)[: 80 + n * 97 % 900]}" for n in range(messages)]
    for at in range(0, messages - LARGE_EVERY, LARGE_EVERY):
        kind = kinds[at // LARGE_EVERY % len(kinds)]
        # Questions have even places, answers odd ones.
        place = at if kind == "question" else at + 1
        texts[place] = f"The {_needle(kind, at)}.\n\n{LARGE[kind]()}"
    add_conversation(db, LONG, 2, texts)
    last = [f"{LARGE[kind]()}\n\n{n}" for n in range(5) for kind in kinds]
    add_conversation(db, LAST, 1, [*last, LAST_WORDS])
    search_index.rebuild(db.sql)


def _needle(kind: str, at: int) -> str:
    return f"needle{kind.replace(' ', '')}{at:06}"


def _lines(line: str) -> Callable[[], str]:
    """`line` with its number as often as fits."""

    def text() -> str:
        count = LARGE_CHARS // len(line.format(n=1000))
        return "".join(line.format(n=n) for n in range(count))

    return text


_CODE = _lines("value_{n} = compute({n}, key='some text')  # what line {n} is for\n")
_TABLE = "| Name | Value | Note |\n|:-----|------:|------|\n"
_ROWS = _lines("| row {n} | {n} | a **note** |\n")
_POINTS = _lines("- point **{n}** with `code` and words\n")
_SENTENCES = _lines("Sentence {n} has **bold words** and goes on a bit. ")
# Past 50,000 characters a block is shown plain, which costs less.
LARGE: dict[str, Callable[[], str]] = {
    "markdown": lambda: answer(LARGE_CHARS),
    "code": lambda: f"```python\n{_CODE()}```\n",
    "coloured code": lambda: f"```python\n{_CODE()[:49_000]}\n```\n",
    "table": lambda: f"{_TABLE}{_ROWS()[:49_000]}",
    "list": lambda: _POINTS()[:49_000],
    "paragraph": lambda: _SENTENCES()[:49_000],
    "question": _lines("Line {n} of what was pasted: some words of a log\n"),
}


# -- the window ---------------------------------------------------------------------------------


def measured(data: Path, url: str, messages: int) -> dict[str, Any]:
    with opened(data, url) as (_, page):
        page.wait_for_timeout(5000)  # the start is measured by start.py; here it is over
        page.evaluate(WATCH)
        return _Reader(page, url).read(messages)


class _Reader:
    """Does in the window what a reader does, and notes what each thing cost."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url
        self._figures: dict[str, Any] = {}
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def read(self, messages: int) -> dict[str, Any]:
        self._do("opened", self._open, LONG, f"Message {messages - 1}.")
        self._do(f"scrolled up {SCREENS_UP} screens", self._scroll, -SCREENS_UP, 4)
        self._do(f"scrolled down {SCREENS_DOWN} screens", self._scroll, SCREENS_DOWN, 4)
        for at, kind in enumerate(LARGE, len(LARGE)):
            needle = _needle(kind, at * LARGE_EVERY)
            self._do(f"large {kind}: searched for", self._look_for, needle)
            self._do(f"large {kind}: jumped to", self._jump_to, needle)
            self._do(f"large {kind}: scrolled through", self._scroll, 20)
        self._do("jumped to the end", self._jump_to_end)
        for kind in ("markdown", "code", "table", "list"):
            self._do(f"large {kind}: streamed into it", self._stream, LARGE[kind]()[:ANSWER_CHARS])
        self._page.get_by_test_id("search-input").fill("")
        self._do("opened one of large messages", self._open, LAST, LAST_WORDS)
        self._do("scrolled it up 40 screens", self._scroll, -40)
        return self._figures

    def _do(self, name: str, act: Callable[..., None], *arguments: object) -> None:
        started_s = time.perf_counter()
        act(*arguments)
        took_ms = round(1000 * (time.perf_counter() - started_s))
        seen = self._page.evaluate(SEEN)
        self._figures[name] = {"took_ms": took_ms, "heap_mb": self._heap_mb(), **seen}

    def _heap_mb(self) -> int:
        """What JavaScript holds once what it dropped is collected."""
        self._session.send("HeapProfiler.collectGarbage")
        figures = self._session.send("Performance.getMetrics")["metrics"]
        return int(next(each["value"] for each in figures if each["name"] == "JSHeapUsedSize") / 1e6)

    def _open(self, title: str, words: str) -> None:
        self._page.evaluate(OPEN, [title, words])

    def _scroll(self, screens: int, at_once: int = 1) -> None:
        self._page.evaluate(SCROLL, [screens, at_once])

    def _look_for(self, text: str) -> None:
        field = self._page.get_by_test_id("search-input")
        field.fill("")
        field.press_sequentially(text)
        results = self._page.get_by_test_id("search-result")
        expect(results).to_have_count(1, timeout=WAIT_MS)
        expect(results.first).to_contain_text(text, timeout=WAIT_MS)

    def _jump_to(self, text: str) -> None:
        self._page.keyboard.press("Enter")
        self._page.wait_for_function(IN_VIEW, arg=text, timeout=WAIT_MS)

    def _jump_to_end(self) -> None:
        self._page.get_by_role("button", name="Jump to latest").click()
        self._page.wait_for_function(AT_END, timeout=WAIT_MS)

    def _stream(self, text: str) -> None:
        prepare_answer(self._url, text)
        self._page.get_by_test_id("chat-input").fill("Tell me everything.")
        count = self._page.evaluate(ANSWERS)
        # Not through a locator: looking for one takes Playwright a task of its own in a large page.
        self._page.evaluate("() => document.querySelector('[data-testid=chat-send]').click()")
        self._page.wait_for_function(ANSWERED, arg=count, timeout=WAIT_MS, polling=250)


if __name__ == "__main__":
    sys.exit(main())
