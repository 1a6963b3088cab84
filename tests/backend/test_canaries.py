"""Keys planted wherever one could go: afterwards none is in any file that the program wrote, and the
self-check finds them all where the redaction is switched off."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from loguru import logger

from deskside.backend import leaks, redaction
from deskside.backend.agent.events import ToolRequested
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.crashes import reporting
from deskside.backend.errors import InvalidRequest
from deskside.backend.leaks import SelfCheck
from deskside.backend.log import open_log
from deskside.backend.mcp.proposal import Variable
from deskside.backend.paths import Paths
from deskside.backend.redaction import Redactor
from deskside.backend.store import messages
from deskside.backend.store.messages import MessageRow
from mcp_parts import NO_KEYCHAIN, WAIT_S, program, say_yes
from provider_server import ProviderServer, error_reply

# In use at OpenAI; kept in the file of keys; from the environment; a variable of an MCP server.
OPENAI, LOCAL = "sk-canary-openai/+0123456789", 'canary"local\\with=signs&more'
ANTHROPIC, SERVER = "canary-of-anthropic-0123456789abcdef", "canary-of-a-server-0123456789abcdef"
QUOTED = f"{ANTHROPIC}, {quote(LOCAL, safe='')}, {base64.b64encode(LOCAL.encode()).decode()}"
ALL = (OPENAI, LOCAL, ANTHROPIC, SERVER)


def written(key: str) -> list[bytes]:
    """The forms of a key, made without the program's help."""
    plain = key.encode()
    after = [base64.b64encode(before + plain)[4:-4] for before in (b"abc", b"abcd", b"abcde")]
    in_json = json.dumps(key)[1:-1]
    shown = [
        plain,
        quote(key, safe="").encode(),
        in_json.encode(),
        json.dumps(in_json)[1:-1].encode(),
        *after,
    ]
    return [*shown, key.encode("utf-16-le")]


def found_by_grep(folder: Path) -> set[tuple[str, str]]:
    """Each key and the file that holds it."""
    return {
        (key, path.name)
        for path in folder.rglob("*")
        if path.is_file()
        for key in ALL
        if any(form in path.read_bytes() for form in written(key))
    }


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    refused = {"error": {"message": QUOTED, "type": "invalid_request_error"}}
    with ProviderServer() as server:
        server.script(error_reply(400, refused))
        yield server


@asynccontextmanager
async def planted(
    folder: Path, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch, redactor: Redactor
) -> AsyncIterator[App]:
    """The program, with keys everywhere."""
    monkeypatch.setattr(redaction, "PROCESS", redactor)
    for name, value in NO_KEYCHAIN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ANTHROPIC_API_KEY", ANTHROPIC)
    monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
    paths = Paths(folder / "data", folder / "logs", folder / "cache")
    # At DEBUG the log holds what exceptions say.
    with open_log(paths.logs, "DEBUG"), reporting(paths.crashes):
        note = folder.parent / "notes" / "note.txt"
        note.parent.mkdir()
        note.write_text(f"{ANTHROPIC} {LOCAL}")
        read = ToolRequested("call-1", "read_file", json.dumps({"path": str(note)}))
        async with open_app(paths, {"scripted/m": ScriptedModel([[read], ["done"]])}) as app:
            await app.keys.use_file("correct horse battery")
            await app.keys.save("openai", OPENAI)
            await app.keys.save("local", LOCAL)
            await app.folders.grant(str(note.parent), False)
            yield app


async def ended(app: App, message_id: int) -> MessageRow:
    async with asyncio.timeout(WAIT_S):
        while (row := await app.store.read(messages.get, message_id)).status == "streaming":
            await app.events.wait_beyond(app.events.last)
    return row


async def plant(app: App) -> None:
    """A provider's error, a tool's output, a URL, tracebacks, an MCP server's standard error."""
    telling = "import os, sys; print(os.environ['TOKEN'], file=sys.stderr); sys.exit(1)"
    token = Variable("TOKEN", SERVER, is_secret=True)
    proposal = program("leaky", [sys.executable, "-c", telling], environment=[token])
    row = await app.mcp.propose(proposal, say_yes, "a test")
    assert row is not None
    async with asyncio.timeout(WAIT_S):
        while not any(line.source == "program" for line in await app.mcp.logs(row.id)):
            await asyncio.sleep(0.01)

    failed = await ended(app, (await app.runs.start(None, "hi", "openai/gpt-test")).reply.id)
    assert failed.status == "failed"

    called = await ended(app, (await app.runs.start(None, "hi", "scripted/m")).reply.id)
    assert called.status == "complete"

    logger.warning("GET http://host/v1?key={}", quote(OPENAI, safe=""))
    thread = threading.Thread(target=_fail, name="errand")
    thread.start()
    thread.join()
    task = asyncio.create_task(asyncio.to_thread(_fail))
    await asyncio.wait([task])
    del task


def _fail() -> None:
    raise ValueError(f"could not send {OPENAI} {json.dumps(LOCAL)} {SERVER}")


async def test_planted_keys_are_in_no_file_that_was_written(
    tmp_path: Path, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planted(tmp_path / "program", provider, monkeypatch, Redactor()) as app:
        await plant(app)
        for setting in ({"user_name": OPENAI}, {"openai_base_url": f"http://h/v1?key={quote(OPENAI)}"}):
            with pytest.raises(InvalidRequest, match="one of your keys"):
                await app.settings.change(setting)
        (server,) = await app.mcp.servers()
        lines = [line.text for line in await app.mcp.logs(server.id)]
        checked = await app.self_checks.run()
        await app.faults.finish()

    assert "[key removed]" in lines
    assert (checked.leaks, checked.is_complete, checked.unread) == ([], True, 0)
    assert checked.keys >= len(ALL)
    assert checked.files > 3
    assert set() == found_by_grep(tmp_path / "program")
    assert b"[key removed]" in (tmp_path / "program" / "logs" / "combined.log").read_bytes()


async def test_without_redaction_the_self_check_finds_each_of_them(
    tmp_path: Path, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planted(tmp_path / "program", provider, monkeypatch, Redactor(is_on=False)) as app:
        await plant(app)
        await app.settings.change({"user_name": OPENAI})
        (server,) = await app.mcp.servers()
        assert SERVER in [line.text for line in await app.mcp.logs(server.id)]
        await app.faults.finish()
        logger.complete()
        checked = await app.self_checks.run()
        by_grep = found_by_grep(tmp_path / "program")

    found = by_key(checked)
    names = {OPENAI: "OpenAI", ANTHROPIC: "Anthropic", LOCAL: "local", SERVER: "a secret of an MCP server"}
    assert {(names[key], name) for key, name in by_grep} <= found
    assert {("OpenAI", "combined.log"), ("OpenAI", "error.log"), ("OpenAI", "deskside.db")} <= found
    assert {("local", "combined.log"), ("local", "error.log")} <= found
    assert ("a secret of an MCP server", "combined.log") in found
    assert ("Anthropic", "deskside.db") in found
    assert {"plain", "json", "url", "base64"} == {leak.form for leak in checked.leaks}
    assert {"message", "message_part"} <= {leak.table for leak in checked.leaks}
    said = " ".join(leaks.summary(leak) + leaks.advice(leak) for leak in checked.leaks)
    assert not any(form.decode("latin-1") in said for key in ALL for form in written(key))


def by_key(checked: SelfCheck) -> set[tuple[str, str]]:
    return {(leak.key, Path(leak.path).name) for leak in checked.leaks}


BLOCK = leaks.BLOCK_BYTES


@pytest.mark.parametrize("before", [0, 100, BLOCK - 10, BLOCK, 2 * BLOCK - 1])
def test_a_key_is_found_where_it_stands_also_between_two_blocks(tmp_path: Path, before: int) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    paths.logs.mkdir()
    (paths.logs / "old.log").write_bytes(b"x" * before + OPENAI.encode() + b"x" * 100)

    checked = leaks.self_check(paths, {OPENAI: "OpenAI"}, limit_s=60)

    (leak,) = checked.leaks
    assert (before, 1, "plain") == (leak.offset, leak.count, leak.form)
    assert f"byte {before:,}" in leaks.summary(leak)


def test_a_check_whose_time_is_up_says_so(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    paths.logs.mkdir()
    (paths.logs / "old.log").write_bytes(OPENAI.encode())

    assert not leaks.self_check(paths, {OPENAI: "OpenAI"}, limit_s=0).is_complete
