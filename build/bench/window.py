"""The whole program in its real window: how an answer streams, and how long conversations open.

    python build/bench/window.py [--json]

A data folder is filled with 10,000 conversations, one of 3,000 messages and one with an answer of 400 KB.
The program starts on it in Qt, with a provider's stand-in in another process, and is driven through the
window's debugging port. Printed are

  - the list of conversations: p50 of one page of 50, in the store and from the page over the bridge;
  - opening: from the click to the frame after the last words are in the document;
  - streaming a 24 KB answer in 20-character pieces, 5 ms apart: the main thread's time a piece and its
    longest tasks, into an empty conversation (twice: the first is the first answer since the start), into
    the one of 3,000 messages, and behind the 400 KB answer.

A task is what Chromium calls one: over 50 ms the browser's observer reports it. Runs without a screen.
Needs the built page and Playwright for Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / path) for path in ("shell", "bridge", "backend", "tests", "tests/e2e")]

import psutil  # noqa: E402
from desk import Desk  # noqa: E402
from loguru import logger  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store import conversations  # noqa: E402
from deskside.backend.store.connection import Db  # noqa: E402
from deskside.backend.store.database import open_store  # noqa: E402
from provider_server import chat_stream  # noqa: E402

CONVERSATIONS = 10_000
MESSAGES = 3_000
LARGE_ANSWER_CHARS = 400_000
ANSWER_CHARS = 24_000
PIECE_CHARS = 20
PIECE_EVERY_S = 0.005
LONG, LARGE = "The long conversation", "The large answer"
LARGE_END = "So ends the large answer."
WAIT_MS = 120_000

PART = """## Part {n}: what it is about

A paragraph with **bold words**, *emphasis*, `inline code` and [a link](https://example.org/page?id={n}), long
enough to wrap twice in any window. It costs $5 to $10, and inline $E_{n} = mc^2$ is a formula in it.

1. The first point, with some words
   - a nested point about `value_{n}`
2. The second point, **important**

| Name | Value | Note |
|:-----|------:|------|
| alpha | {n} | the first |
| beta | 31 | the second, with `code` |

```python
def part_{n}(values: list[int]) -> int:
    \"\"\"Sum what is there.\"\"\"
    return sum(value * {n} for value in values if value % 2)  # weighted
```

$$
\\sum_{{n=1}}^{{{n}}} \\frac{{1}}{{n^2}} = \\frac{{a}}{{b}}
$$

"""

WATCH = """() => {
    const seen = window.benchSeen = { tasks: [], gaps: [], isOn: true };
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.tasks.push(Math.round(entry.duration));
    }).observe({ entryTypes: ["longtask"] });
    let last = performance.now();
    const frame = (now) => {
        seen.gaps.push(now - last); last = now;
        if (seen.isOn) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""
SEEN = "() => { window.benchSeen.isOn = false; return window.benchSeen; }"

OPEN = """async ([title, words]) => {
    const until = performance.now() + 60_000;
    const item = [...document.querySelectorAll('[data-testid=conversation-item]')]
        .find((each) => each.textContent.includes(title));
    const startedMs = performance.now();
    item.querySelector("button").click();
    const replies = document.getElementsByClassName("message");
    while (![...replies].at(-1)?.textContent.includes(words)) {
        if (performance.now() > until) throw new Error(`${title} was not shown in a minute`);
        await new Promise((done) => requestAnimationFrame(done));
    }
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - startedMs;
}"""

LIST = """async (calls) => {
    const ws = new WebSocket(`ws://${location.host}/bridge`);
    await new Promise((open) => { ws.onopen = open; });
    const times = [];
    for (let id = 1; id <= calls; id++) {
        const startedMs = performance.now();
        await new Promise((done) => {
            ws.onmessage = ({ data }) => { if (JSON.parse(data).id === id) done(); };
            ws.send(JSON.stringify({ t: "call", id, cmd: "conversations.page", params: { limit: 50 } }));
        });
        times.push(performance.now() - startedMs);
    }
    ws.close();
    return times;
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Streaming and long conversations in the real window.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory() as folder, provider() as url:
        data = Path(folder) / "desk" / "data"
        figures: dict[str, Any] = {"list, in the store (p50 ms)": asyncio.run(filled(data))}
        figures |= measured(data, url)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<48}{value}")
    return 0


# -- what is in the data folder -----------------------------------------------------------------


async def filled(data: Path) -> float:
    """Fill a data folder, and return the median milliseconds of a page of its list."""
    async with open_store(Paths(data, data / "logs", data / "cache")) as store:
        await store.write(_fill)
        times = []
        for _ in range(200):
            started_s = time.perf_counter()
            await store.read(conversations.page, None, 50)
            times.append(1000 * (time.perf_counter() - started_s))
    return round(statistics.median(times), 3)


def _fill(db: Db) -> None:
    db.sql.executemany(
        "insert into conversation (user, agent, title, model, draft, created_ms, updated_ms) "
        "values ((select min(id) from user), (select min(id) from agent), ?, 'local/bench', '', ?, ?)",
        [(f"Conversation {n}", n, n) for n in range(CONVERSATIONS - 2)],
    )
    # The newest two, so that they are in the first page of the list.
    add_conversation(
        db, LONG, CONVERSATIONS, [f"Message {n}.\n\n{PART.format(n=n)[:600]}" for n in range(MESSAGES)]
    )
    add_conversation(
        db, LARGE, CONVERSATIONS + 1, ["A question", f"{answer(LARGE_ANSWER_CHARS)} {LARGE_END}"]
    )


def add_conversation(db: Db, title: str, at_ms: int, texts: list[str]) -> None:
    """A conversation of questions and answers in turn. What it says is not in the search index."""
    conversation = db.sql.execute(
        "insert into conversation (user, agent, title, model, draft, created_ms, updated_ms) "
        "values ((select min(id) from user), (select min(id) from agent), ?, 'local/bench', '', ?, ?)",
        (title, at_ms, at_ms),
    ).lastrowid
    parent = None
    for n, text in enumerate(texts):
        role, origin = ("assistant", "model") if n % 2 else ("user", "user")
        parent = db.sql.execute(
            "insert into message "
            "(conversation, parent, role, status, created_ms, finished_ms, depth, is_shown) "
            "values (?, ?, ?, 'complete', ?, ?, ?, 1)",
            (conversation, parent, role, n, n, n),
        ).lastrowid
        db.sql.execute(
            "insert into message_part (message, position, step, kind, text, origin) "
            "values (?, 0, 0, 'text', ?, ?)",
            (parent, text, origin),
        )
    db.sql.execute("update conversation set head = ? where id = ?", (parent, conversation))


def answer(chars: int) -> str:
    parts = [PART.format(n=n) for n in range(1, chars // len(PART.format(n=100)) + 1)]
    return f"{''.join(parts)}The last words."


# -- the provider -------------------------------------------------------------------------------


@contextmanager
def provider() -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests" / "provider_server.py"), "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["openai_url"]
        finally:
            server.terminate()


def prepare_answer(url: str, text: str) -> int:
    """Let the provider's next answer be this text; returns in how many pieces it comes."""
    pieces = [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]
    reply = {"body": b"".join(chat_stream(pieces)).decode(), "piece_bytes": 0, "delay_s": PIECE_EVERY_S}
    script = urllib.request.Request(f"{url.removesuffix('/v1')}/_script", json.dumps([reply]).encode())
    urllib.request.urlopen(script, timeout=10).close()
    return len(pieces)


# -- the window ---------------------------------------------------------------------------------


def measured(data: Path, url: str) -> dict[str, Any]:
    with opened(data, url) as (desk, page):
        return _in_the_page(page, desk, url)


@contextmanager
def opened(data: Path, url: str) -> Iterator[tuple[Desk, Page]]:
    """The program's window once its list is there; answers come from the provider at `url`."""
    with sync_playwright() as playwright:
        desk = Desk(playwright, data)
        server = {"id": "local", "label": "A server here", "base_url": url}
        desk.call("settings.change", {"servers": [server], "default_model": "local/bench"})
        page = desk.start()
        try:
            page.get_by_test_id("conversation-item").first.wait_for(timeout=WAIT_MS)
            yield desk, page
        finally:
            desk.close()


def _in_the_page(page: Page, desk: Desk, url: str) -> dict[str, Any]:
    page.wait_for_timeout(5000)  # the start is measured by start.py; here it is over
    figures: dict[str, Any] = {"memory after the start (MB PSS)": memory_mb(desk)}
    figures["list, from the page (p50 ms)"] = round(statistics.median(page.evaluate(LIST, 200)), 3)
    for name in ("first answer since the start", "second answer"):
        page.get_by_test_id("new-chat").first.click()
        figures[name] = streamed(page, url)
    for title, words in ((LONG, f"Message {MESSAGES - 1}."), (LARGE, LARGE_END)):
        page.evaluate(WATCH)
        opened_ms = round(page.evaluate(OPEN, [title, words]))
        figures[f"{title}: opened (ms)"] = opened_ms
        page.wait_for_timeout(1000)  # what is done after it is shown counts too
        figures[f"{title}: long tasks on opening (ms)"] = page.evaluate(SEEN)["tasks"]
        figures[f"{title}: memory (MB PSS)"] = memory_mb(desk)
        figures[f"{title}: answer streamed into it"] = streamed(page, url)
    return figures


def streamed(page: Page, url: str) -> dict[str, Any]:
    """Ask, and watch the page while the answer comes."""
    pieces = prepare_answer(url, answer(ANSWER_CHARS))
    replies = page.locator("[data-testid=message][data-role=assistant][data-status=complete]")
    expected = replies.count() + 1
    page.get_by_test_id("chat-input").fill("Tell me everything.")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.evaluate(WATCH)
    before = _metrics(session)
    # Not through a locator: looking for one takes Playwright a task of 50 ms in a page of 400 KB.
    page.evaluate("() => document.querySelector('[data-testid=chat-send]').click()")
    page.wait_for_function(
        "([selector, count]) => document.querySelectorAll(selector).length >= count",
        arg=["[data-testid=message][data-role=assistant][data-status=complete]", expected],
        timeout=WAIT_MS,
        polling=250,
    )
    spent = {name: value - before[name] for name, value in _metrics(session).items()}
    seen = page.evaluate(SEEN)
    session.detach()
    gaps = sorted(seen["gaps"])
    each_ms = {name: round(1000 * spent[name] / pieces, 2) for name in ("TaskDuration", "ScriptDuration")}
    return {
        "ms a piece": each_ms["TaskDuration"],
        "of it script": each_ms["ScriptDuration"],
        "frame p95 ms": round(gaps[int(len(gaps) * 0.95)]),
        "frame max ms": round(gaps[-1]),
        "long tasks ms": seen["tasks"],
    }


def _metrics(session: Any) -> dict[str, float]:
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


def memory_mb(desk: Desk) -> int:
    """PSS of the program and all its children."""
    assert desk.process is not None
    top = psutil.Process(desk.process.pid)
    pss = sum(each.memory_full_info().pss for each in [top, *top.children(recursive=True)])
    return int(pss / 1e6)


if __name__ == "__main__":
    sys.exit(main())
