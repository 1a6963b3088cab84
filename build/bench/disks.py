"""What the user sees on a disk that is full, read-only or not fit for a database. Linux, as root.

    sudo .venv/bin/python build/bench/disks.py [--pictures FOLDER] [CASE ...]

Each case mounts a small disk of its own, starts the real window on it and prints what it says; with a folder,
takes a picture. Exits 1 where a case does not end as it must. Tests cannot mount on every machine, and a test
that skips proves nothing; so this is a command.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("shell", "bridge", "backend", "tests", "tests/e2e")]

from desk import Desk  # noqa: E402
from playwright.sync_api import Error, Page, expect, sync_playwright  # noqa: E402

from damage import make_database  # noqa: E402
from deskside.backend.store.migrate import migrate  # noqa: E402
from deskside.backend.store.schema import read_migrations  # noqa: E402
from provider_server import ProviderServer  # noqa: E402

SIZE = "12m"
LIMIT_MS = 30_000


def fill(folder: Path) -> Path:
    """Leave no byte free. Returns the file to remove for there to be room again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(piece)) == piece:
                    pass
            except OSError:
                continue
    return ballast


def trouble(page: Page) -> str:
    shown = page.get_by_test_id("trouble")
    expect(shown).to_be_visible(timeout=LIMIT_MS)
    return shown.inner_text()


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("chat-input").fill(question)
    page.get_by_test_id("chat-send").click()


def integrity(desk: Desk) -> str:
    # Closed, it is one file; and on a disk that is read-only SQLite can make no other beside it.
    is_closed = not (desk.data / "deskside.db-wal").exists()
    how = "mode=ro&immutable=1" if is_closed else "mode=ro"
    with closing(sqlite3.connect(f"file:{desk.data}/deskside.db?{how}", uri=True)) as database:
        return str(database.execute("pragma integrity_check").fetchone()[0])


Shown = Callable[[Page, str], None]


def full_at_the_start(desk: Desk, show: Shown) -> None:
    """A disk without a byte left: the conversations can be read, and it goes on when there is room."""
    make_database(desk.data / "deskside.db", conversations=20)
    ballast = fill(desk.data)
    page = desk.start()
    trouble(page)
    page.get_by_test_id("conversation-item").first.get_by_role("button").first.click()
    expect(page.get_by_test_id("message").last).to_be_visible()
    show(page, "full-at-the-start")
    ballast.unlink()
    with page.expect_event("close"):
        page.get_by_role("button", name="Try again").click()
    page = desk.attach()
    page.get_by_test_id("new-chat").click()
    ask(page, "Is there room?")
    expect(page.get_by_test_id("chat-stop")).to_be_visible(timeout=LIMIT_MS)
    expect(page.get_by_test_id("trouble")).to_have_count(0)


def full_while_an_answer_streams(desk: Desk, show: Shown) -> None:
    """What was said stays on the screen and is stored once there is room."""
    page = desk.start()
    ask(page, "Tell me a story.")
    expect(page.get_by_test_id("chat-response")).to_contain_text("word5", timeout=LIMIT_MS)
    ballast = fill(desk.data)
    toast = page.locator(".toast")
    expect(toast).to_contain_text("disk", timeout=LIMIT_MS)
    show(page, "full-while-streaming")
    page.get_by_test_id("chat-stop").click()
    expect(page.get_by_test_id("message").last.get_by_role("alert")).to_contain_text("disk", timeout=LIMIT_MS)
    show(page, "full-while-streaming-stopped")
    said = page.get_by_test_id("chat-response").last.inner_text()
    ballast.unlink()
    expect(page.get_by_test_id("message").last).to_have_attribute("data-status", "stopped", timeout=LIMIT_MS)
    assert said == page.get_by_test_id("chat-response").last.inner_text()


def full_while_a_file_comes_in(desk: Desk, show: Shown) -> None:
    """The file is refused with a sentence, and nothing of it stays."""
    page = desk.start()
    expect(page.get_by_test_id("chat-input")).to_be_visible()
    large = "line of text\n" * 1_500_000
    answered = page.evaluate(
        """async (text) => {
            const answer = await fetch("/attachments/?name=large.txt", { method: "POST", body: text });
            return [answer.status, await answer.json()];
        }""",
        large,
    )
    print("   ", answered)
    assert 400 == answered[0]
    assert "store_full" == answered[1]["error"]["code"]
    assert [] == list((desk.data / "files" / "incoming").iterdir())
    ask(page, "Does this still work?")
    expect(page.get_by_test_id("chat-stop")).to_be_visible(timeout=LIMIT_MS)
    show(page, "full-while-a-file-comes-in")


def full_during_a_migration(desk: Desk, show: Shown) -> None:
    """The old schema stays, whole; what is there can be read."""
    migrate(desk.data / "deskside.db", None, read_migrations()[:8])
    with closing(sqlite3.connect(desk.data / "deskside.db")) as database:
        database.execute("insert into user values (1, '', 'system', 'en', 1)")
        for n in range(1, 2000):
            database.execute(
                "insert into conversation (id, user, title, draft, created_ms, updated_ms) "
                "values (?, 1, ?, ?, 1, ?)",
                (n, f"Conversation {n}", "x" * 1500, n),
            )
        database.commit()
    fill(desk.data)
    page = desk.start()
    trouble(page)
    expect(page.get_by_test_id("conversation-item").first).to_be_visible()
    show(page, "full-during-a-migration")
    with closing(sqlite3.connect(f"file:{desk.data}/deskside.db?mode=ro", uri=True)) as database:
        assert (8,) == database.execute("pragma user_version").fetchone()
        assert (1999,) == database.execute("select count(*) from conversation").fetchone()


def read_only(desk: Desk, show: Shown) -> None:
    """The conversations can be read; nothing is kept in the folder."""
    make_database(desk.data / "deskside.db", conversations=20)
    subprocess.run(["mount", "-o", "remount,ro", str(desk.data)], check=True)
    page = desk.start()
    trouble(page)
    page.get_by_test_id("conversation-item").first.get_by_role("button").first.click()
    expect(page.get_by_test_id("message").last).to_be_visible()
    ask(page, "Is this kept?")
    expect(page.get_by_role("alert").last).to_be_visible()
    show(page, "read-only")


def unmounted(desk: Desk, show: Shown) -> None:
    """The drive is pulled while the program runs: it says so, and writes nothing into the empty place."""
    page = desk.start()
    ask(page, "Tell me a story.")
    expect(page.get_by_test_id("chat-response")).to_contain_text("word5", timeout=LIMIT_MS)
    subprocess.run(["umount", "-l", str(desk.data)], check=True)
    trouble(page)
    page.get_by_test_id("chat-stop").click()
    page.get_by_test_id("new-chat").click()
    ask(page, "And now?")
    expect(page.get_by_test_id("chat-input")).to_have_value("And now?")
    show(page, "unmounted")
    assert [] == list(desk.data.iterdir()), list(desk.data.iterdir())
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(desk.data)], check=True
    )


CASES: dict[str, Callable[[Desk, Shown], None]] = {
    function.__name__: function
    for function in (
        full_at_the_start,
        full_while_an_answer_streams,
        full_while_a_file_comes_in,
        full_during_a_migration,
        read_only,
        unmounted,
    )
}


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def run(name: str, pictures: Path | None) -> bool:
    """Whether a case ended as it must."""

    def show(page: Page, picture: str) -> None:
        said = [each.inner_text() for each in page.get_by_role("alert").all()]
        for text in dict.fromkeys(said):
            print(f"    {' '.join(text.split())}")
        if pictures is not None:
            page.set_viewport_size({"width": 1280, "height": 800})
            page.screenshot(path=pictures / f"{picture}.png")

    print(name, flush=True)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        small_disk(Path(scratch) / "data"),
        sync_playwright() as playwright,
        ProviderServer(chunks=3000, chunk_delay_s=0.01) as provider,
    ):
        desk = Desk(playwright, Path(scratch) / "data")
        desk.environ |= {
            "OPENAI_API_KEY": "sk-test-0000000000000000",
            "OPENAI_BASE_URL": provider.openai_url,
            "DESKSIDE_MODEL": "openai/gpt-test",
        }
        try:
            CASES[name](desk, show)
            desk.close()
            if (desk.data / "deskside.db").exists():
                assert "ok" == integrity(desk)
        except (AssertionError, Error, OSError, subprocess.SubprocessError):
            traceback.print_exc()
            print(desk.output()[-2000:])
            return False
        finally:
            if desk.process is not None and desk.process.poll() is None:
                desk.kill()
    print("    as it must be", flush=True)
    return True


def main() -> int:
    arguments = argparse.ArgumentParser(description="Full, read-only and vanishing disks in the real window.")
    arguments.add_argument("--pictures", type=Path)
    arguments.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = arguments.parse_args()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        print("only root may mount a disk: run it with sudo, on Linux", file=sys.stderr)
        return 2
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    names = options.cases or list(CASES)
    if not CASES.keys() >= set(names):
        arguments.error(f"the cases are {', '.join(CASES)}")
    outcomes = [run(name, options.pictures) for name in names]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
