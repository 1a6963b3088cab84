"""Replays: the same loop against the recording, and what is other when something was changed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asked_runs import Desk, Open, call
from asked_runs import opened as opened_desk
from test_delegation import give_helper
from test_runs import ended
from test_stories import eventful

from deskside.backend.agent.events import ReasoningDelta, ToolRequested, Usage, UsageReported
from deskside.backend.agent.scripted_model import Hang
from deskside.backend.errors import BadKey, ContextTooLong, InvalidRequest, NotFound, Overloaded
from deskside.backend.recordings import run_file
from deskside.backend.recordings.replaying import Replayed
from deskside.backend.store import agents
from deskside.backend.tools.declaration import tool
from stores import rows

EVERYTHING = (
    "select 'message', count(*), max(id) from message union all select 'run', count(*), max(id) from run "
    "union all select 'event', count(*), max(n) from run_event "
    "union all select 'usage', count(*), max(id) from usage_record"
)


@pytest.fixture
def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.01)
    return lambda *steps: opened_desk(tmp_path / "data", *steps, monkeypatch=monkeypatch)


async def replayed(desk: Desk, message_id: int) -> Replayed:
    row = await ended(desk.app, message_id)
    assert row.run_id is not None
    return await desk.app.recordings.replay(row.run_id)


def identical(found: Replayed) -> bool:
    assert [] == found.differences
    return found.is_identical


async def test_an_eventful_run_replays_as_it_was(open_desk: Open) -> None:
    async with open_desk() as desk:
        told = await eventful(desk)
        before = rows(desk.app.paths.database, EVERYTHING), list(desk.ran), len(desk.model.requests)
        found = await desk.app.recordings.replay(told.story.run_id)
        after = rows(desk.app.paths.database, EVERYTHING), list(desk.ran), len(desk.model.requests)

    assert identical(found)
    assert 2 == found.runs
    assert found.requests >= 5
    assert before == after, "nothing is stored, done or asked"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([["Hi"]], id="one word"),
        pytest.param([[ReasoningDelta("Hm."), "So"]], id="thinking"),
        pytest.param([[*call("no_such_tool")], "Sorry"], id="unknown tool"),
        pytest.param(
            [[*call("work_out", "a"), *call("note", "b"), *call("read_web", "c")], "Done"], id="tools"
        ),
        pytest.param([[ToolRequested("x", "work_out", "{")], "Oh"], id="bad arguments"),
        pytest.param([["Half", Overloaded("busy")], "Whole"], id="tried again"),
        pytest.param([[BadKey("no")]], id="failed"),
        pytest.param([[*call("work_out"), UsageReported(Usage(5))], [BadKey("no")]], id="failed later"),
        pytest.param([[ContextTooLong("too long")]], id="too long for the model"),
    ],
)
async def test_a_run_replays_as_it_was(open_desk: Open, steps: list[Any]) -> None:
    async with open_desk(*steps) as desk:
        assert identical(await replayed(desk, await desk.ask()))


async def test_what_the_user_decided_is_decided_again(open_desk: Open) -> None:
    async with open_desk([*call("write", "a"), *call("send", "b")], "Done") as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id, 0)
        await desk.decide(message_id, 0, arguments='{"to": "here"}')
        await desk.waiting(message_id, 1)
        await desk.decide(message_id, 1, "denied", reason="Not now")
        assert identical(await replayed(desk, message_id))

        assert ["write here"] == desk.ran


async def test_a_call_that_could_not_be_done_fails_again(open_desk: Open) -> None:
    async with open_desk(call("write", arguments='{"to": "nowhere"}'), "Done") as desk:
        assert identical(await replayed(desk, await desk.ask()))


async def test_an_answer_that_was_stopped_when_all_of_it_was_saved_replays_as_it_was(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk([UsageReported(Usage(19, 0, 0, 1)), "Almost ", hang]) as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        while not rows(desk.app.paths.database, "select 1 from message_chunk"):
            await asyncio.sleep(0.01)
        await desk.app.runs.stop(message_id)
        row = await ended(desk.app, message_id)
        told = await desk.app.recordings.story(row.run_id or 0)
        assert identical(await replayed(desk, message_id))

    assert [("run", "stopped"), ("model", "stopped")] == [
        (span.kind, span.status) for span in told.story.spans if span.kind in ("run", "model")
    ]
    assert all(span.end_ms is not None for span in told.story.spans)


async def test_a_run_that_was_stopped_before_its_first_step_replays_as_it_was(
    open_desk: Open, tmp_path: Path
) -> None:
    saved = tmp_path / "case.json"
    hang = Hang()
    async with open_desk([hang]) as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        await desk.app.runs.stop(message_id)
        row = await ended(desk.app, message_id)
        recorded = json.loads(await desk.app.recordings.text(row.run_id or 0, "json"))
        [run] = recorded["runs"]
        # As it is where the user was faster.
        run["facts"] = [
            each for each in run["facts"] if each["fact"]["type"] in ("run_asked", "run_began", "run_ended")
        ]
        saved.write_text(json.dumps(recorded), "utf-8")
        assert identical(await desk.app.recordings.replay_file(saved))


async def test_what_the_user_said_meanwhile_is_said_again(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk([hang, *call("work_out")], "Bonjour", "Encore") as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        await desk.app.runs.steer(message_id, "in French")
        hang.release()
        assert identical(await replayed(desk, message_id))


async def test_a_fall_back_to_a_model_that_is_there_falls_back_again(open_desk: Open) -> None:
    async with open_desk("Hello") as desk:
        assistant = await desk.app.store.read(agents.default)
        fallbacks = {"fallback_models": ["scripted/model"], "model": None}
        await desk.app.store.write(agents.change, assistant.id, fallbacks)
        started = await desk.app.runs.start(None, "go", "openai/gpt-x")
        found = await replayed(desk, started.reply.id)

        assert identical(found)
        assert 1 == found.requests


# -- what was changed -------------------------------------------------------------------------------


async def test_other_instructions_are_told_once_as_a_diff(open_desk: Open) -> None:
    async with open_desk(call("work_out"), call("work_out", "again"), "4") as desk:
        message_id = await desk.ask()
        await ended(desk.app, message_id)
        assistant = await desk.app.store.read(agents.default)
        changed = f"{assistant.instructions}\nAnswer in verse."
        await desk.app.store.write(agents.change, assistant.id, {"instructions": changed})
        found = await replayed(desk, message_id)

    (difference,) = found.differences
    assert ("changed", "The model is asked with other instructions.") == (difference.kind, difference.what)
    assert "+Answer in verse." in difference.diff.splitlines()


async def test_a_tool_that_is_declared_otherwise_is_told_by_its_name(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with open_desk(call("work_out"), "4") as desk:
        message_id = await desk.ask()
        await ended(desk.app, message_id)

    @tool(approval="never")
    async def work_out(closely: bool = False) -> str:
        """Work something out, closely."""
        return "five"

    monkeypatch.setattr("asked_runs.tools", lambda ran: [work_out])
    async with opened_desk(tmp_path / "data", monkeypatch=monkeypatch) as desk:
        row = await desk.stored(message_id)
        found = await desk.app.recordings.replay(row.run_id or 0)

    said = [difference.what for difference in found.differences]
    assert "The model is asked with other tool 'work_out'." in said
    assert "The tool 'write' is not offered any more." in said
    assert not any("result" in what for what in said), "its result is the recorded one"


async def test_a_repeatable_tool_runs_again_as_it_is_today(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def declared(result: str) -> Any:
        @tool(approval="never", is_repeatable=True)
        async def work_out() -> str:
            """Work something out."""
            return result

        return lambda ran: [work_out]

    monkeypatch.setattr("asked_runs.tools", declared("four"))
    async with open_desk(call("work_out"), "4") as desk:
        message_id = await desk.ask()
        assert identical(await replayed(desk, message_id))
    monkeypatch.setattr("asked_runs.tools", declared("five"))
    async with opened_desk(tmp_path / "data", monkeypatch=monkeypatch) as desk:
        row = await desk.stored(message_id)
        found = await desk.app.recordings.replay(row.run_id or 0)

    result, history = found.differences
    assert "The result of a tool is another one." == result.what
    lines = [line.replace(" ", "") for line in result.diff.splitlines()]
    assert {'-"output":"four",', '+"output":"five",'} <= set(lines)
    assert "The model is asked with other history." == history.what


async def test_a_saved_run_replays_in_another_store(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved = tmp_path / "case.json"
    async with open_desk(call("work_out"), "4") as desk:
        await give_helper(desk, "unused")
        row = await ended(desk.app, await desk.ask())
        saved.write_text(await desk.app.recordings.text(row.run_id or 0, "json"), "utf-8")
    async with opened_desk(tmp_path / "other", monkeypatch=monkeypatch) as desk:
        found = await desk.app.recordings.replay_file(saved)

    assert ["The tool 'ask_helper' is not offered any more."] == [each.what for each in found.differences]


async def test_an_agent_that_is_not_there_is_named(open_desk: Open, tmp_path: Path) -> None:
    saved = tmp_path / "case.json"
    async with open_desk("Hi") as desk:
        row = await ended(desk.app, await desk.ask())
        text = await desk.app.recordings.text(row.run_id or 0, "json")
        saved.write_text(text.replace('"agent": "assistant"', '"agent": "critic"'), "utf-8")
        with pytest.raises(NotFound, match="'critic'"):
            await desk.app.recordings.replay_file(saved)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "missing required field"),
        ("nonsense", "malformed"),
        ('{"format": "deskside-run", "version": 2}', "Invalid enum value 2"),
    ],
)
async def test_a_file_that_is_no_recording_is_refused(
    open_desk: Open, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "case.json"
    path.write_text(text)
    async with open_desk() as desk:
        with pytest.raises(InvalidRequest, match=said):
            await desk.app.recordings.replay_file(path)
        with pytest.raises(InvalidRequest, match="cannot be read"):
            await desk.app.recordings.replay_file(tmp_path / "none.json")


async def test_a_file_that_names_items_it_does_not_have_is_refused(open_desk: Open, tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    async with open_desk("Hi") as desk:
        row = await ended(desk.app, await desk.ask())
        file = await desk.app.recordings.file(row.run_id or 0)
        path.write_text(run_file.text_of(msgspec.structs.replace(file, items=[])), "utf-8")
        with pytest.raises(InvalidRequest, match="names an item"):
            await desk.app.recordings.replay_file(path)
