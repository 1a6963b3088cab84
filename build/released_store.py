#!/usr/bin/env python3
"""Make the database that a release leaves behind, for all later ones to be tested with.

    python build/released_store.py VERSION

Writes tests/released_stores/VERSION.db.xz, a small database in which every table has rows, made by this
checkout's own store functions, and VERSION.json, what was said in it. Once VERSION is released neither is
ever made again: every later Deskside has to open what that one wrote (tests/test_released_stores.py). The
same checkout gives the same bytes: clock and ids are fixed.
"""

from __future__ import annotations

import asyncio
import lzma
import re
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
FOLDER = ROOT / "tests" / "released_stores"

import msgspec  # noqa: E402

from deskside.backend.agent.events import (  # noqa: E402
    AssistantText,
    Finished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolSpec,
    Usage,
    UserText,
)
from deskside.backend.agent.recorder import Item, Items, Noted, WithItems  # noqa: E402
from deskside.backend.agent.recording import (  # noqa: E402
    ModelAsked,
    ModelSaid,
    RunAsked,
    RunBegan,
    RunEnded,
    SaidTogether,
)
from deskside.backend.mcp.rows import KeptSignIn, KeptVariable, ToolDefinition  # noqa: E402
from deskside.backend.metrics.samples import Bucket, Range  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store import (  # noqa: E402
    agents,
    api_keys,
    attachments,
    conversations,
    errors,
    file_versions,
    folders,
    forks,
    mcp_servers,
    memories,
    messages,
    metric_buckets,
    network,
    prices,
    replies,
    runs,
    settings,
    tool_grants,
    tools,
    usage,
)
from deskside.backend.store.agents import Agent  # noqa: E402
from deskside.backend.store.conversations import ConversationChanges  # noqa: E402
from deskside.backend.store.database import Store, open_store  # noqa: E402
from deskside.backend.store.errors import Failure  # noqa: E402
from deskside.backend.store.file_versions import NewVersion  # noqa: E402
from deskside.backend.store.mcp_servers import StoredServer  # noqa: E402
from deskside.backend.store.messages import (  # noqa: E402
    MessagePart,
    MessageUsage,
    NotePart,
    PausePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    UserPart,
)
from deskside.backend.store.network import NetworkRow  # noqa: E402
from deskside.backend.store.replies import Asked, Chunk, FinishedReply, StoredPart  # noqa: E402
from deskside.backend.store.tools import NewTool  # noqa: E402
from deskside.backend.store.usage import Cost, UsageRecord  # noqa: E402
from deskside.backend.tools import TOOLS  # noqa: E402

BEGIN_MS = 1_796_000_000_000
MODEL = "openai/gpt-5"
SHA256 = "8f" * 32


class NotMade(Exception):
    """Why, for whoever makes a release."""


def main() -> int:
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
        print("usage: python build/released_store.py VERSION", file=sys.stderr)
        return 2
    version = sys.argv[1]
    try:
        database, said = make(version)
    except NotMade as error:
        print(error, file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{version}.db.xz").write_bytes(lzma.compress(database, preset=9))
    (FOLDER / f"{version}.json").write_bytes(said)
    return 0


def make(version: str) -> tuple[bytes, bytes]:
    """The database, and what was said in it as JSON."""
    with tempfile.TemporaryDirectory() as name, _fixed():
        paths = Paths(Path(name), Path(name) / "logs", Path(name) / "cache")
        said = asyncio.run(_fill(paths, version))
        with closing(sqlite3.connect(paths.database)) as connection:
            connection.execute("update migration set at_ms = ?", (BEGIN_MS,))
            connection.commit()
            counts = rows_of(connection)
            connection.execute("pragma journal_mode = delete")
            connection.execute("vacuum")
            # As the program leaves it.
            connection.execute("pragma journal_mode = wal")
        empty = [table for table, count in counts.items() if count == 0]
        if empty:
            raise NotMade(f"No row in {', '.join(empty)}: fill it in build/released_store.py.")
        made = {"version": version, "rows": counts, "conversations": said}
        return paths.database.read_bytes(), msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


def rows_of(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has, but those of which the search index is made."""
    names = connection.execute(
        "select name from pragma_table_list where schema = 'main' and type = 'table' "
        "and name not like 'sqlite_%' order by name"
    ).fetchall()
    return {
        name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]
        for (name,) in names
        if "_search" not in name
    }


async def said_in(store: Store) -> list[dict[str, Any]]:
    """Every conversation as it is read back, by its title."""
    page = await store.read(conversations.page, None, 100)
    rows = sorted([*page.conversations, *await store.read(conversations.pinned)], key=lambda row: row.title)
    return [
        {
            "title": row.title,
            "agent": row.agent,
            "is_pinned": row.is_pinned,
            "tags": list(row.tags),
            "messages": [
                {
                    "role": message.role,
                    "status": message.status,
                    "parts": [[part.kind, part.text] for part in map(_plain, message.parts)],
                    "attachments": [attachment.name for attachment in message.attachments],
                    "versions": len(message.versions),
                }
                for message in (await store.read(messages.page, row.id, None, 100)).messages
            ],
        }
        for row in rows
    ]


class _Part(msgspec.Struct):
    kind: str
    text: str


def _plain(part: MessagePart) -> _Part:
    kind = str(part.__struct_config__.tag)
    if isinstance(part, ToolCallPart):
        return _Part(kind, f"{part.name}({part.arguments}): {part.output}")
    return _Part(kind, part.text)


@contextmanager
def _fixed() -> Iterator[None]:
    """A clock that goes on by a second each time it is looked at, and ids that are no secret."""
    now_ns, token = time.time_ns, secrets.token_hex
    at_ns = BEGIN_MS * 1_000_000

    def next_ns() -> int:
        nonlocal at_ns
        at_ns += 1_000_000_000
        return at_ns

    def same_hex(nbytes: int | None = None) -> str:
        return "5e" * (nbytes or 16)

    time.time_ns, secrets.token_hex = next_ns, same_hex
    try:
        yield
    finally:
        time.time_ns, secrets.token_hex = now_ns, token


# -- what is in it ----------------------------------------------------------------------------------


async def _fill(paths: Paths, version: str) -> list[dict[str, Any]]:
    async with open_store(paths) as store:
        await store.write(tools.sync_built_in, TOOLS)
        writer = await store.write(
            agents.create,
            Agent(name="writer", label="Writer", instructions="Write plainly.", model=MODEL, temperature=0.5),
        )
        plums = await _fill_conversations(store, writer.id, version)
        await _fill_settings(store, writer.id)
        await _fill_tools(store)
        await _fill_what_happened(store, plums, version)
        await store.write(_fill_by_hand)
    # What was cut off when that one ended is put right by the start of the next.
    async with open_store(paths) as store:
        said = await said_in(store)
        await _leave_a_reply_unfinished(store)
    return said


async def _fill_conversations(store: Store, writer: int, version: str) -> Asked:
    plums = await store.write(replies.ask, None, "Who has eaten the plums?", MODEL)
    await _finish(store, plums, ReasoningPart("They were in the icebox."), TextPart("I have. *Forgive me.*"))
    again = await store.write(replies.answer_again, plums.reply.id, None)
    call = ToolCallPart(
        "call_1", "calculate", '{"expression": "6 * 7"}', "finished", output="42", duration_ms=3
    )
    asking = ToolCallPart(
        "call_2", "agent_writer", '{"task": "A line, please."}', "finished", output="So sweet."
    )
    await _finish(
        store,
        again,
        call,
        UserPart("Be brief."),
        NotePart("fell_back", "Another model answered.", detail="It was busy."),
        asking,
        PausePart("The run would pass its limit.", limit="run.tokens", status="went_on", asked_ms=BEGIN_MS),
        TextPart("42 plums, 李子, Größe."),
    )
    delegated = await store.write(replies.delegate, again.reply.id, 3, writer, MODEL, again.run_id)
    await _finish(store, delegated, TextPart("So sweet."))
    await _record(store, again, version)
    file = await store.write(attachments.put_file, SHA256, 12, "text/plain", "waiting")
    await store.write(attachments.set_text, file.id, "hello plums\n")
    letter = await store.write(attachments.attach_to_draft, None, "letter.txt", file.id)
    files = await store.write(
        replies.ask, None, "What does the letter say?", MODEL, writer, attachment_ids=[letter.id]
    )
    await _finish(store, files, TextPart("It says hello."), status="stopped")
    fork = await store.write(forks.fork, plums.reply.id)
    await store.write(conversations.rename, fork.id, "Plums, forked")
    folder = await store.write(folders.add, "Kitchen")
    ids = [plums.conversation.id]
    changes = ConversationChanges(is_pinned=True, folder_id=folder.id, add_tags=["fruit", "home"])
    await store.write(conversations.change, ids, changes)
    gone = await store.write(replies.ask, None, "Forget this.", MODEL)
    await _finish(store, gone, TextPart("Gladly."))
    await store.write(conversations.delete, gone.conversation.id)
    return again


async def _finish(store: Store, asked: Asked, *parts: MessagePart, status: Any = "complete") -> None:
    stored = [
        StoredPart(asked.next_position + n, asked.next_step, part, model=MODEL)
        for n, part in enumerate(parts)
    ]
    used = MessageUsage(input_tokens=1200, output_tokens=34)
    finished = FinishedReply(asked.reply.id, asked.run_id, status, stored, None, used, "answered")
    await store.write(replies.finish, finished)
    record = UsageRecord(
        f"call-{asked.run_id}",
        asked.run_id,
        MODEL,
        Usage(input_tokens=1200, output_tokens=34),
        BEGIN_MS,
        Cost("estimated", 1_840_000, {"model": MODEL, "source": "genai-prices"}),
        reported="all",
        conversation_id=asked.conversation.id,
    )
    await store.write(usage.record, record)


async def _record(store: Store, asked: Asked, version: str) -> None:
    history: list[Item] = [UserText("Who has eaten the plums?"), AssistantText("I have. " * 200)]
    spec = ToolSpec("calculate", "Calculate.", {"type": "object", "properties": {}})
    call = f"call-{asked.run_id}"
    asked_with: list[Item] = ["Be helpful.", [spec], *history]
    facts: list[Any] = [
        RunAsked("messages.retry", "feedfacecafe", version, MODEL),
        WithItems(RunBegan(5, "assistant", [MODEL], ["calculate"], 0, 20, 8), Items(history, None)),
        StepStarted(0, call, MODEL),
        WithItems(ModelAsked(call, MODEL), Items(asked_with, None)),
        ModelSaid(call, [SaidTogether(20, [TextDelta("42 plums, 李子, Größe. " * 40)])], BEGIN_MS + 5),
        StepFinished("answered"),
        Finished("answered"),
        RunEnded("complete", "answered", 4),
    ]
    noted: list[Noted] = [(n, BEGIN_MS + n, fact) for n, fact in enumerate(facts)]
    await store.write(runs.record_events, asked.run_id, noted)


async def _fill_settings(store: Store, writer: int) -> None:
    chosen = {
        "theme": "dark",
        "user_name": "Ada",
        "servers": [{"id": "local", "label": "Mine", "base_url": "http://127.0.0.1:8080/v1"}],
        "folders": [{"path": "/home/ada/kitchen", "can_write": True}],
        "fields": [{"name": "city", "value": "Paris"}],
        "limits": {"day": {"cost_nano_usd": 5_000_000_000}, "month": {}},
        "looks_for_updates": False,
    }
    await store.write(settings.save, chosen)
    await store.write(api_keys.save, "openai", "OpenAI", "9f2c", "keychain", BEGIN_MS, None)
    await store.write(
        prices.add, "local/mine", "2026-11-01", input="0.5", cache_read=None, cache_write=None, output="1.5"
    )
    await store.write(tool_grants.add, writer, "calculate")


async def _fill_tools(store: Store) -> None:
    own = NewTool(
        "double", "Double it.", {"type": "object"}, "def double(): return 2", "sums", [], "ask", True
    )
    await store.write(tools.create, own, "execute")
    server = StoredServer(
        0,
        "files",
        "stdio",
        "npx",
        ["-y", "files"],
        "",
        [KeptVariable("ROOT", "/home/ada"), KeptVariable("TOKEN", None, "keychain")],
        [],
        True,
        "5e5e",
        KeptSignIn("keychain", 1),
    )
    stored = await store.write(mcp_servers.save, server)
    read = ToolDefinition("read", "Read", "Read a file.", {"type": "object"})
    await store.write(mcp_servers.offer, stored.id, [read])
    [tool] = await store.read(tools.listed, "mcp")
    await store.write(mcp_servers.accept, stored.id, {tool.name: read.sha256})


async def _fill_what_happened(store: Store, asked: Asked, version: str) -> None:
    chat, reply = asked.conversation.id, asked.reply.id
    await store.write(
        memories.add, "Ada is fond of plums.", conversation_id=chat, run_id=asked.run_id, agent_id=None,
        is_tainted=False,
    )  # fmt: skip
    new = NewVersion(
        "/home/ada/kitchen/list.txt", "/home/ada/kitchen", chat, reply, "call_3", b"plums", 6, SHA256
    )
    await store.write(file_versions.keep, new)
    await store.write(metric_buckets.add, Bucket(BEGIN_MS, {"cpu_percent": Range(1.0, 2.0, 3.0, 60)}))
    use = NetworkRow(
        None, BEGIN_MS, 900, "api.openai.com", 443, False, "", "model_call", MODEL, "feedfacecafe", 1200, 300,
        "done",
    )  # fmt: skip
    await store.write(network.keep, [use])
    failure = Failure("window", "internal", "it broke", "Chat", "at Chat", "feedfacecafe", version=version)
    await store.write(errors.record_untold, [failure])


def _fill_by_hand(db: Any) -> None:
    """What no function of the store writes."""
    db.sql.execute(
        "insert into prompt (name, text, created_ms, updated_ms) values ('plums', 'Sing of plums.', ?1, ?1)",
        (BEGIN_MS,),
    )


async def _leave_a_reply_unfinished(store: Store) -> None:
    """As a power cut does. Whoever opens it next puts it right, so this comes last."""
    cut = await store.write(replies.ask, None, "Tell me a long story.", MODEL)
    await store.write_soon(replies.append_chunks, [Chunk(cut.reply.id, 0, "text", 0, "Once upon a time")])
    await store.write(replies.steer, cut.reply.id, "A shorter one, please.")


if __name__ == "__main__":
    sys.exit(main())
