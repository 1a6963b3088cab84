"""What is recorded of a run, how it is kept small, and when it goes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_runs import ADD, MODEL, answer, opened

from deskside.backend.agent.events import ReasoningDelta, StepFinished, TextDelta, ToolFinished
from deskside.backend.agent.recording import (
    CallFailed,
    ModelAsked,
    ModelSaid,
    RunAsked,
    RunBegan,
    RunEnded,
    as_ranges,
    ids_of,
)
from deskside.backend.agent.scripted_model import Pause, in_chunks
from deskside.backend.app import App
from deskside.backend.errors import BadKey, Overloaded
from deskside.backend.log import command_name, request_id
from deskside.backend.recordings.retention import clear_expired
from deskside.backend.redaction import REMOVED, Redactor
from deskside.backend.store import agents, conversations, runs
from deskside.backend.store.connection import Db
from deskside.backend.store.text import now_ms
from deskside.backend.version import VERSION
from stores import rows

DAY_MS = 24 * 3600 * 1000
KEY = 'sk-canary/4+2="\\x'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def facts(app: App, run_id: int | None) -> list[object]:
    assert run_id is not None
    return [fact for _, _, fact in await app.store.read(runs.events, run_id)]


async def test_every_request_can_be_read_back_as_the_model_got_it(data: Path) -> None:
    async with opened(data, ["Let me see. ", ADD], "4", "5") as (app, model):
        assistant = await app.store.read(agents.default)
        await app.store.write(agents.change, assistant.id, {"instructions": "Be brief. " * 100})
        first = await answer(app, "2 + 2?")
        second = await answer(app, "And 2 + 3?", first.conversation_id)

        def requests(db: Db) -> list[object]:
            return [
                runs.request(db, fact)
                for run_id in (first.run_id, second.run_id)
                for _, _, fact in runs.events(db, run_id or 0)
                if isinstance(fact, ModelAsked)
            ]

        asked = [msgspec.structs.replace(request, files={}) for request in model.requests]
        assert msgspec.to_builtins(asked) == msgspec.to_builtins(await app.store.read(requests))
        assert len(asked) == 3


async def test_what_calls_of_a_conversation_share_is_kept_once(data: Path) -> None:
    async with opened(data, [ADD], "4", "5", "6") as (app, model):
        reply = await answer(app, "first")
        for question in ("second", "third"):
            await answer(app, question, reply.conversation_id)

        kept = rows(app.paths.database, "select count(*), count(distinct sha256) from recorded_item")
        different = {
            msgspec.json.encode(value)
            for request in model.requests
            for value in (request.instructions, request.tools, *request.history)
        }
        assert kept == [(len(different), len(different))]


async def test_a_run_knows_who_asked_for_it_and_how_it_ended(data: Path) -> None:
    async with opened(data, [BadKey("Who are you?")]) as (app, _):
        tokens = request_id.set("feedfacecafe"), command_name.set("runs.start")
        reply = await answer(app)
        request_id.reset(tokens[0])
        command_name.reset(tokens[1])
        asked, began, *_, failed, ended = await facts(app, reply.run_id)

        assert RunAsked("runs.start", "feedfacecafe", VERSION, MODEL) == asked
        assert isinstance(began, RunBegan)
        assert ("assistant", [MODEL]) == (began.agent, began.models)
        assert isinstance(failed, CallFailed)
        assert ("bad_key", "Who are you?") == (failed.code, failed.message)
        assert isinstance(ended, RunEnded)
        assert ("failed", "failed", "bad_key", "Who are you?") == (
            ended.status,
            ended.reason,
            ended.code,
            ended.message,
        )


async def test_a_call_that_is_made_again_is_recorded_with_its_failure(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    async with opened(data, ["Half", Overloaded("busy")], "whole") as (app, _):
        reply = await answer(app)
        recorded = await facts(app, reply.run_id)

        asked = [fact.call_id for fact in recorded if isinstance(fact, ModelAsked)]
        said = {fact.call_id: fact.groups for fact in recorded if isinstance(fact, ModelSaid)}
        assert len(set(asked)) == 2
        assert [CallFailed(asked[0], "overloaded", "busy")] == [
            fact for fact in recorded if isinstance(fact, CallFailed)
        ]
        assert [TextDelta("Half")] == said[asked[0]][0].events
        assert [TextDelta("whole"), StepFinished("answered")] == [
            event for group in said[asked[1]] for event in group.events
        ]


async def test_an_answer_is_recorded_in_groups_with_their_time(data: Path) -> None:
    thinking = [ReasoningDelta(piece) for piece in in_chunks("So it is four.")]
    async with opened(data, [*thinking, *in_chunks("It is "), Pause(0.5), *in_chunks("four.")]) as (app, _):
        reply = await answer(app)
        (said,) = [fact for fact in await facts(app, reply.run_id) if isinstance(fact, ModelSaid)]

        first, last = said.groups[0], said.groups[-1]
        assert [ReasoningDelta("So it is four."), TextDelta("It is ")] == first.events
        assert [TextDelta("four."), StepFinished("answered")] == last.events
        assert 0 <= first.until_ms < last.until_ms


async def test_a_long_answer_does_not_wait_for_its_end(data: Path) -> None:
    long = [piece for _ in range(4) for piece in ("x" * 20_000, Pause(0.3))]
    async with opened(data, long) as (app, _):
        reply = await answer(app)
        said = [fact for fact in await facts(app, reply.run_id) if isinstance(fact, ModelSaid)]

        assert len(said) >= 2
        text = "".join(
            event.text
            for fact in said
            for group in fact.groups
            for event in group.events
            if isinstance(event, TextDelta)
        )
        assert "x" * 80_000 == text


async def test_nothing_is_recorded_when_that_is_switched_off(data: Path) -> None:
    async with opened(data, [ADD], "4") as (app, _):
        await app.settings.change({"records_runs": False})
        reply = await answer(app)

        assert [] == await facts(app, reply.run_id)
        assert [(0,)] == rows(app.paths.database, "select count(*) from recorded_item")
        assert ["4"] == [part.text for part in reply.parts[-1:]]  # type: ignore[union-attr]


# -- keys ---------------------------------------------------------------------------------------


def dressed(key: str) -> list[str]:
    """How a key can come back."""
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    return [key, quote(key), quote(key, safe=""), json.dumps(key), json.dumps({"k": key}), f"Basic {basic}"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=12), st.integers(0, 3))
def test_a_key_is_found_wherever_it_stands_in_base64(key: str, before: int) -> None:
    redactor = Redactor()
    redactor.learn(key, "a provider")

    encoded = base64.b64encode(b"a" * before + key.encode() + b"rest").decode()

    assert REMOVED in redactor.without_keys(encoded)


async def test_no_recording_holds_a_live_key(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = " | ".join(dressed(KEY))
    async with opened(data, [said, BadKey(said)]) as (app, _):
        assert KEY == await app.keys.secret("openai")
        reply = await answer(app, said)
        recorded = str(await facts(app, reply.run_id))
        kept = [bytes(data) for (data,) in rows(app.paths.database, "select data from recorded_item")]

        for form in dressed(KEY):
            assert form not in recorded
        assert REMOVED in recorded
        assert any(REMOVED.encode() in data for data in kept)


# -- how long it is kept ------------------------------------------------------------------------


async def test_what_is_too_old_goes_and_what_others_need_stays(data: Path) -> None:
    async with opened(data, "1", "2", "3") as (app, model):
        old = await answer(app, "old")
        new = await answer(app, "new")
        together = await answer(app, "more", new.conversation_id)
        await app.store.write(
            lambda db: (
                db.sql.execute(
                    "update run set finished_ms = finished_ms - ? where id = ?", (91 * DAY_MS, old.run_id)
                ).rowcount
            )
        )
        await clear_expired(app.store, app.settings.current, now_ms())

        assert [] == await facts(app, old.run_id)
        items = [bytes(data) for (data,) in rows(app.paths.database, "select data from recorded_item")]
        assert not any(b'"old"' in item for item in items)
        (asked,) = [fact for fact in await facts(app, together.run_id) if isinstance(fact, ModelAsked)]
        request = await app.store.read(runs.request, asked)
        assert list(model.requests[-1].history) == request.history


async def test_the_oldest_recordings_go_when_there_is_too_much(data: Path) -> None:
    async with opened(data, "1", "2", "3") as (app, _):
        replies = [await answer(app, f"{n} " + "x" * n) for n in range(3)]
        settings = msgspec.structs.replace(app.settings.current, recordings_mb=0)
        await clear_expired(app.store, settings, now_ms())

        assert [[], [], []] == [await facts(app, reply.run_id) for reply in replies]
        assert [(0,)] == rows(app.paths.database, "select count(*) from recorded_item")
        assert [(3,)] == rows(app.paths.database, "select count(*) from usage_record")


async def test_with_a_conversation_goes_what_was_recorded_of_it(data: Path) -> None:
    from deskside.backend.recordings.retention import remove_unreferred

    async with opened(data, [ADD], "4", "5") as (app, _):
        gone = await answer(app, "secret")
        kept = await answer(app, "kept")
        await app.store.write(conversations.delete, gone.conversation_id)
        await app.store.write(conversations.purge, gone.conversation_id)
        await remove_unreferred(app.store)

        assert [] == await facts(app, gone.run_id)
        items = [bytes(data) for (data,) in rows(app.paths.database, "select data from recorded_item")]
        assert not any(b"secret" in item for item in items)
        assert any(isinstance(fact, ModelAsked) for fact in await facts(app, kept.run_id))
        assert not any(isinstance(fact, ToolFinished) for fact in await facts(app, kept.run_id))


@given(st.lists(st.integers(1, 30)))
def test_ids_come_back_from_their_ranges(ids: list[int]) -> None:
    assert ids == ids_of(as_ranges(ids))
