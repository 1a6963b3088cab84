"""The application as a whole: opens, closes, imports little, and logs nothing that was said."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from deskside.backend.agent.events import TextDelta, ToolRequested
from deskside.backend.agent.scripted_model import Hang, ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.errors import StoreRefused
from deskside.backend.events import MessageChanged
from deskside.backend.log import open_log
from deskside.backend.paths import Paths
from deskside.backend.store import messages
from deskside.backend.store.messages import MessageRow

# Each costs a tenth of a second to a second, and most starts need none of them at once.
HEAVY = [
    "openai",
    "anthropic",
    "pydantic_monty",
    "jsonschema",
    "httpx2",
    "keyring",
    "cryptography",
    "pyrage",
    "xllamacpp",
    "litestar",
    "webview",
    "mcp",
    "mcp_types",
]

KEY = "sk-planted-0123456789abcdef"
PROMPT = "my planted prompt about the divorce"
ANSWER = "my planted answer about the lawyer"


def paths(folder: Path) -> Paths:
    return Paths(folder / "data", folder / "logs", folder / "cache")


async def ended(app: App, message_id: int) -> MessageRow:
    seen = 0
    async with asyncio.timeout(10):
        while True:
            for event in app.events.since(seen, 10_000) or []:
                seen += 1
                if (
                    isinstance(event, MessageChanged)
                    and event.message.id == message_id
                    and event.message.status != "streaming"
                ):
                    return event.message
            await app.events.wait_beyond(seen)


def test_a_start_imports_no_provider_no_keychain_and_no_engine() -> None:
    roots = [str(Path(__file__).parents[2] / root) for root in ("shell", "bridge", "backend")]
    program = (
        f"import sys; sys.path[:0] = {roots!r}; import deskside.backend.app; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]", done.stderr


async def test_the_data_folder_is_made_and_only_for_its_user(tmp_path: Path) -> None:
    async with open_app(paths(tmp_path)) as app:
        assert app.paths.database.is_file()

    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


async def test_a_database_of_a_newer_program_is_refused_and_nothing_is_left_running(tmp_path: Path) -> None:
    import sqlite3

    async with open_app(paths(tmp_path)) as app:
        database = app.paths.database
    with sqlite3.connect(database) as db:
        db.execute("pragma user_version = 9999")
    db.close()
    before = asyncio.all_tasks()

    with pytest.raises(StoreRefused):
        async with open_app(paths(tmp_path)):
            pass

    assert before == asyncio.all_tasks()


async def test_closing_leaves_no_task_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    hang = Hang()
    async with open_app(paths(tmp_path), {"scripted/m": ScriptedModel([[hang]])}) as app:
        await app.runs.start(None, "go", "scripted/m")
        await hang.reached.wait()

    assert before == asyncio.all_tasks()


async def test_the_log_holds_no_key_no_prompt_and_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted where they could slip out: a key in the environment, a question, an answer, a tool that
    fails over its arguments, and a bug whose exception quotes all of it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    failing = ToolRequested("call-1", "calculate", f'{{"expression": "{PROMPT} {KEY}"}}')
    model = ScriptedModel([[ANSWER, failing], [ANSWER]])

    class Broken:
        name = "scripted/broken"

        async def stream(self, request: object) -> object:
            yield TextDelta(ANSWER)
            raise ValueError(f"{PROMPT} {KEY} {request!r}")

    with open_log(tmp_path / "logs") as log:
        async with open_app(paths(tmp_path), {"scripted/m": model, "scripted/broken": Broken()}) as app:  # type: ignore[dict-item]
            started = await app.runs.start(None, f"{PROMPT} {KEY}", "scripted/m")
            first = await ended(app, started.reply.id)
            started = await app.runs.start(started.conversation.id, PROMPT, "scripted/broken")
            second = await ended(app, started.reply.id)
            await app.store.read(messages.get, second.id)
            await app.models.test_key("anthropic")

    text = log.read_text()
    assert ["complete", "failed"] == [first.status, second.status]
    assert "run 1 ended: complete" in text
    assert '"run 2 failed", "error": "ValueError at tests/backend/test_app.py:' in text
    assert "tool calculate failed" in text
    for planted in (KEY, PROMPT, ANSWER, "divorce", "lawyer"):
        assert planted not in text
