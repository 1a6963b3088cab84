"""Each kind of fault, provoked for real, is told in the window once, and listed with what helps to find
it."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from desk import ROOT, Desk
from playwright.sync_api import Locator, Page, expect

from mcp_parts import HOSTILE
from provider_server import ProviderServer, error_reply

pytestmark = pytest.mark.window

SOON_MS = 20_000
PLANTED = "sk-planted-0123456789"

# Python runs a module of this name at each start: it waits at a pipe for what shall go wrong.
SABOTAGE = f"""
import asyncio, os, sys, threading
loops = []
run = asyncio.Runner.run
def note_loop(runner, main):
    loops.append(runner.get_loop())
    return run(runner, main)
def fail():
    raise ValueError("with {PLANTED}")
async def fail_later():
    fail()
def start(what):
    if what == "thread":
        threading.Thread(target=fail, name="errand").start()
    else:
        loops[0].call_soon_threadsafe(lambda: loops[0].create_task(fail_later()) and None)
def wait():
    while True:
        with open(os.environ["SABOTAGE"]) as pipe:
            for line in pipe:
                start(line.strip())
if "deskside" in sys.orig_argv and "--data-dir" in sys.orig_argv:
    asyncio.Runner.run = note_loop
    threading.Thread(target=wait, daemon=True).start()
"""


@pytest.fixture
def sabotage(desk: Desk, keyed: dict[str, str], tmp_path: Path) -> Callable[[str], None]:
    """Makes something fail inside the program."""
    folder = tmp_path / "sabotage"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SABOTAGE)
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    roots = [str(folder), *(str(ROOT / root) for root in ("shell", "bridge", "backend"))]
    desk.environ |= {
        **keyed,
        "DESKSIDE_MODEL": "openai/gpt-test",
        "PYTHONPATH": os.pathsep.join(roots),
        "SABOTAGE": str(pipe),
    }

    def do(what: str) -> None:
        with pipe.open("w") as writing:
            writing.write(f"{what}\n")

    return do


def toast(page: Page, words: str) -> Locator:
    return page.locator(".toast", has_text=words)


def row(page: Page, source: str) -> Locator:
    return page.locator(f"[data-testid=error-list] [data-source={source}]")


def program_of(desk: Desk, script: Path) -> psutil.Process:
    """The process that runs the script, once the program has started it."""
    assert desk.process is not None
    until = time.monotonic() + SOON_MS / 1000
    while time.monotonic() < until:
        for child in psutil.Process(desk.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it ended while we looked
                if child.cmdline()[1:2] == [str(script)]:
                    return child
        time.sleep(0.1)
    raise AssertionError(f"nobody has started {script}")


def test_every_fault_is_told_once_and_listed(
    desk: Desk, provider: ProviderServer, sabotage: Callable[[str], None]
) -> None:
    desk.run("mcp", "add", "hostile", "--yes", "--", sys.executable, str(HOSTILE), "plain")
    page = desk.start()
    expect(page.get_by_test_id("chat-input")).to_be_visible()

    sabotage("thread")
    told = toast(page, "Something that ran in the background failed")
    expect(told).to_contain_text("the thread errand ended with a fault", timeout=SOON_MS)
    told.get_by_role("button", name="Details").click()
    expect(row(page, "thread")).to_contain_text("the thread errand ended with a fault")
    expect(row(page, "thread")).to_contain_text("ValueError at")
    sabotage("thread")
    expect(row(page, "thread")).to_contain_text("2 times since", timeout=SOON_MS)
    expect(page.locator(".toast")).to_have_count(0)

    sabotage("task")
    expect(row(page, "task")).to_contain_text("Task exception was never retrieved", timeout=SOON_MS)
    dismiss(page)

    page.evaluate("() => void setTimeout(() => { throw new Error('a fault of the page'); })")
    expect(row(page, "window")).to_contain_text("a fault of the page", timeout=SOON_MS)
    dismiss(page)

    program_of(desk, HOSTILE).kill()
    expect(row(page, "child")).to_contain_text("ended by SIGKILL", timeout=SOON_MS)
    dismiss(page)

    (renderer,) = desk.renderers()
    renderer.kill()
    page = desk.attach()
    expect(toast(page, "The window stopped working")).to_be_visible(timeout=SOON_MS)
    expect(row(page, "renderer")).to_contain_text("the page's process died")

    page.get_by_role("button", name="Back to chat").click()
    provider.script(error_reply(401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    page.get_by_test_id("chat-input").fill("Hello?")
    page.get_by_test_id("chat-send").click()
    alert = page.locator("[data-testid=message][data-role=assistant]").last.get_by_role("alert")
    expect(alert.locator(".request-id code")).to_have_text(re.compile(r"^[0-9a-f]{12}$"), timeout=SOON_MS)

    assert desk.process is not None
    desk.process.send_signal(signal.SIGSEGV)
    assert -signal.SIGSEGV == desk.process.wait(20)
    page = desk.start()
    told = toast(page, "Deskside crashed the last time")
    expect(told).to_contain_text("Segmentation fault", timeout=SOON_MS)
    told.get_by_role("button", name="Details").click()
    expect(row(page, "crash")).to_contain_text("after runs.start")
    expect(row(page, "crash").get_by_role("button", name="Copy report")).to_be_visible()
    assert 0 == desk.close()
    for path in desk.data.rglob("*"):
        assert not path.is_file() or PLANTED.encode() not in path.read_bytes(), path


def dismiss(page: Page) -> None:
    told = page.locator(".toast")
    expect(told).to_have_count(1)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
