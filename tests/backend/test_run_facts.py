"""What is kept of a run besides its words: who answered, and what it used. The same after a restart."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from test_runs import all_events, ended, until

from deskside.backend.agent.events import (
    AssistantReasoning,
    Model,
    ReasoningDelta,
    ReasoningFinished,
    ToolRequested,
    Usage,
    UsageReported,
)
from deskside.backend.agent.scripted_model import Hang, ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.errors import BadKey, Overloaded
from deskside.backend.events import MessageChanged, Notice, ReplyRetried
from deskside.backend.paths import Paths
from deskside.backend.store import agents, messages
from deskside.backend.store.agents import Agent
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessageUsage, NotePart, TextPart
from deskside.backend.store.threads import Writer
from stores import rows

FIRST, SECOND = "scripted/first", "scripted/second"
ADD = ToolRequested("call-1", "calculate", '{"expression": "2 + 2"}')
USED = UsageReported(Usage(10, output_tokens=2))
BROKEN = BadKey("The key is wrong.")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")


@asynccontextmanager
async def opened(paths: Paths, *models: ScriptedModel, fallbacks: list[str]) -> AsyncIterator[App]:
    by_name: Mapping[str, Model] = {model.name: model for model in models}
    async with open_app(paths, by_name) as app:
        assistant = await app.store.read(agents.default)
        await app.store.write(agents.change, assistant.id, {"fallback_models": fallbacks})
        yield app


# -- who answered --------------------------------------------------------------------------------


async def test_a_reply_names_the_model_that_answered_and_is_answered_again_by_the_one_that_was_asked(
    paths: Paths,
) -> None:
    first = ScriptedModel([[BROKEN]], name=FIRST)
    second = ScriptedModel([[USED, "Yes"]], name=SECOND)
    async with opened(paths, first, second, fallbacks=[SECOND]) as app:
        started = await app.runs.start(None, "Well?", FIRST)
        row = await ended(app, started.reply.id)
        shown = [event.message for event in all_events(app) if isinstance(event, MessageChanged)]
        while_it_answers = [each.model for each in shown if each.status == "streaming" and each.parts]
    first = ScriptedModel(["Yes, too"], name=FIRST)
    async with opened(paths, first, fallbacks=[SECOND]) as app:
        after = await app.store.read(messages.get, row.id)
        again = await app.runs.retry(row.id, None)
        version = await ended(app, again.reply.id)

    note = NotePart("fell_back", f"{FIRST} failed: The key is wrong. {SECOND} answers instead.")
    assert [note, TextPart("Yes")] == row.parts
    assert [SECOND] == while_it_answers
    assert SECOND == row.model
    assert row == after
    assert (FIRST, [TextPart("Yes, too")]) == (version.model, version.parts)
    assert [(SECOND, 10)] == rows(
        paths.database,
        "select model, input_tokens from usage_record where run = ? and output_tokens > 0",
        row.run_id,
    )


async def test_a_reply_that_goes_on_asks_the_same_model_as_before_and_names_who_answers_then(
    paths: Paths,
) -> None:
    hang = Hang()
    first = ScriptedModel([[BROKEN]], name=FIRST)
    async with opened(paths, first, ScriptedModel([["Half", hang]], name=SECOND), fallbacks=[SECOND]) as app:
        started = await app.runs.start(None, "Well?", FIRST)
        await hang.reached.wait()
        await app.runs.stop(started.reply.id)
        stopped = await app.store.read(messages.get, started.reply.id)
    async with opened(paths, ScriptedModel([" an answer"], name=FIRST), fallbacks=[SECOND]) as app:
        await app.runs.continue_reply(started.reply.id)
        whole = await ended(app, started.reply.id)

    assert (SECOND, "stopped") == (stopped.model, stopped.status)
    assert (FIRST, "complete") == (whole.model, whole.status)
    assert TextPart("Half an answer") == whole.parts[-1]


async def test_thoughts_are_those_of_the_model_that_had_them(paths: Paths) -> None:
    thinks = [ReasoningDelta("Hm"), ReasoningFinished('{"signed": "by first"}'), ADD]
    thinks_too = [ReasoningDelta("Ah"), ReasoningFinished('{"signed": "by second"}'), "4"]
    first = ScriptedModel([thinks, [BROKEN]], name=FIRST)
    async with opened(paths, first, ScriptedModel([thinks_too], name=SECOND), fallbacks=[SECOND]) as app:
        started = await app.runs.start(None, "Well?", FIRST)
        row = await ended(app, started.reply.id)
    third = ScriptedModel(["Yes"], name=SECOND)
    async with opened(paths, third, fallbacks=[]) as app:
        more = await app.runs.start(row.conversation_id, "Sure?", SECOND)
        await ended(app, more.reply.id)

    (request,) = third.requests
    assert [("Hm", FIRST), ("Ah", SECOND)] == [
        (item.text, item.model) for item in request.history if isinstance(item, AssistantReasoning)
    ]


# -- what it used --------------------------------------------------------------------------------


async def test_a_model_that_was_not_asked_has_used_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 600.0)
    monkeypatch.setattr("deskside.backend.agent.loop.LONGEST_WAIT_S", 3600.0)
    first = ScriptedModel([[USED, Overloaded("Busy.")]], name=FIRST)
    async with opened(paths, first, fallbacks=[]) as app:
        waits = await app.runs.start(None, "Well?", FIRST)
        await until(app, lambda event: isinstance(event, ReplyRetried))
        await app.runs.stop(waits.reply.id)
        keyless = await app.runs.start(None, "Well?", "nowhere/model")
        await ended(app, keyless.reply.id)

    assert [(waits.run_id, 10)] == rows(paths.database, "select run, input_tokens from usage_record")


async def test_a_model_that_is_asked_again_is_on_record_before_it_says_anything(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    hang = Hang()
    async with opened(paths, ScriptedModel([[Overloaded("Busy.")], [hang]], name=FIRST), fallbacks=[]) as app:
        await app.runs.start(None, "Well?", FIRST)
        await hang.reached.wait()
        async with asyncio.timeout(10):
            while len(rows(paths.database, "select 1 from usage_record")) < 2:
                await asyncio.sleep(0.01)


async def test_after_a_crash_a_reply_says_what_it_and_those_that_worked_for_it_used(
    paths: Paths, tmp_path: Path
) -> None:
    hang = Hang()
    ask = ToolRequested("call-2", "ask_helper", '{"task": "Look it up"}')
    first = ScriptedModel([[USED, ADD], [USED, ask], [USED, "It is", hang]], name=FIRST)
    helper = ScriptedModel([[UsageReported(Usage(100, 7, output_tokens=50)), "Found"]], name=SECOND)
    async with opened(paths, first, helper, fallbacks=[]) as app:
        await app.store.write(add_helper)
        started = await app.runs.start(None, "Well?", FIRST)
        await hang.reached.wait()
        async with asyncio.timeout(10):
            while (130,) not in rows(paths.database, "select sum(input_tokens) from usage_record"):
                await asyncio.sleep(0.01)
        shutil.copytree(paths.data, tmp_path / "after")  # what `kill -9` leaves
    after = Paths(tmp_path / "after", tmp_path / "after logs", tmp_path / "after cache")
    more = ScriptedModel([[USED, " 4"]], name=FIRST)
    async with opened(after, more, fallbacks=[]) as app:
        row = await app.store.read(messages.get, started.reply.id)
        (below,) = await app.store.read(messages.delegated, row.id)
        await app.runs.continue_reply(row.id)
        whole = await ended(app, row.id)

    assert "interrupted" == row.status
    assert MessageUsage(130, 7, 0, 56) == row.usage
    assert MessageUsage(100, 7, 0, 50) == below.usage
    assert MessageUsage(140, 7, 0, 58) == whole.usage
    assert [(140, 58)] == rows(
        after.database, "select sum(input_tokens), sum(output_tokens) from usage_record"
    )


def add_helper(db: Db) -> None:
    agents.create(db, Agent(name="helper", label="Helper", model=SECOND))
    agents.change(db, agents.default(db).id, {"subagents": ["helper"]})


# -- what it said --------------------------------------------------------------------------------


class FailingCommits:
    """While `are_failing`, each COMMIT is done and then reported as failed, as a disk may that loses its
    answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.are_failing = False
        run_group = Writer._run_group

        def run(writer: Writer, db: Db, connection: Any, *rest: Any, **named: Any) -> Any:
            return run_group(writer, db, cast(Any, Commits(connection, self)), *rest, **named)

        monkeypatch.setattr(Writer, "_run_group", run)


@dataclass
class Commits:
    """A connection as the writer uses it."""

    connection: sqlite3.Connection
    commits: FailingCommits

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, sql: str) -> None:
        self.connection.execute(sql)
        if self.commits.are_failing:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR_FSYNC"
            raise error


async def test_what_is_written_again_after_a_commit_that_seemed_to_fail_is_there_once(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.flusher.RETRY_EVERY_S", 0.05)
    hangs = [Hang(), Hang(), Hang()]
    commits = FailingCommits(monkeypatch)
    said = ["one ", hangs[0], "two ", hangs[1], "three ", hangs[2]]

    def stored() -> str:
        texts = rows(paths.database, "select text from message_chunk order by position, n")
        return "".join(text for (text,) in texts)

    async with opened(paths, ScriptedModel([said], name=FIRST), fallbacks=[]) as app:
        started = await app.runs.start(None, "Count", FIRST)
        await hangs[0].reached.wait()
        await shown(lambda: stored() == "one ")
        commits.are_failing = True
        hangs[0].release()
        await until(app, lambda event: isinstance(event, Notice))
        assert "one two " == stored()
        commits.are_failing = False
        hangs[1].release()
        await hangs[2].reached.wait()
        await shown(lambda: "three" in stored())
        row = await app.store.read(messages.get, started.reply.id)
        shutil.copytree(paths.data, tmp_path / "after")
    after = Paths(tmp_path / "after", tmp_path / "after logs", tmp_path / "after cache")
    async with opened(after, fallbacks=[]) as app:
        reopened = await app.store.read(messages.get, started.reply.id)

    assert [TextPart("one two three ")] == row.parts
    assert [TextPart("one two three ")] == reopened.parts


async def shown(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)
