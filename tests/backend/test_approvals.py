"""Asking before a tool runs: when, what an answer holds for, and that it outlives the program."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asked_runs import Desk, Open, call
from test_runs import Broken, ended, until

from deskside.backend.agent.events import (
    ToolFinished,
    UserText,
)
from deskside.backend.agent.scripted_model import Hang
from deskside.backend.errors import Conflict, InvalidRequest, StoreFull
from deskside.backend.events import MessageChanged, PartChanged
from deskside.backend.store import agents, conversations, runs, tool_grants
from deskside.backend.store.agents import Agent
from deskside.backend.store.messages import MessageRow, TextPart, ToolCallPart
from deskside.backend.tools.declaration import ToolOutput, tool

# -- who is asked --------------------------------------------------------------------------------


async def test_a_call_that_needs_a_yes_waits_for_it_and_shows_what_it_would_do(open_desk: Open) -> None:
    async with open_desk(call("write", arguments='{"to": "plan.md"}'), "done") as desk:
        message_id = await desk.ask()
        part = await desk.waiting(message_id)
        assert part.approval is not None
        assert ("Writes to plan.md.", "+ a line", "write") == (
            part.approval.summary,
            part.approval.diff,
            part.approval.effect,
        )
        assert ["This changes something on your machine."] == part.approval.reasons
        assert [] == desk.ran
        assert (await desk.app.store.read(conversations.page, None, 10)).conversations[0].is_waiting

        await desk.decide(message_id)
        reply = await ended(desk.app, message_id)

        assert ["write plan.md"] == desk.ran
        assert isinstance(reply.parts[0], ToolCallPart)
        assert reply.parts[0].approval is not None
        assert "approved" == reply.parts[0].approval.decision
        assert TextPart("done") == reply.parts[1]
        assert not (await desk.app.store.read(conversations.page, None, 10)).conversations[0].is_waiting


async def test_a_denied_call_does_not_run_and_the_model_reads_why(open_desk: Open) -> None:
    async with open_desk(call("write"), "as you wish") as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)

        await desk.decide(message_id, decision="denied", reason="not this file")
        await ended(desk.app, message_id)

        assert [] == desk.ran
        result = desk.model.requests[1].history[-1]
        assert isinstance(result, ToolFinished)
        assert "The user did not allow this call. They say: not this file" == result.output


async def test_nobody_is_asked_about_a_call_that_would_fail(open_desk: Open) -> None:
    async with open_desk(call("write", arguments='{"to": "nowhere"}'), "I see") as desk:
        reply = await ended(desk.app, await desk.ask())

        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert ("failed", None) == (part.status, part.approval)
        assert "FileNotFoundError: there is no such place" == part.output
        assert [] == desk.ran


async def test_changed_arguments_are_what_runs_and_both_are_kept(open_desk: Open) -> None:
    async with open_desk(call("write", arguments='{"to": "a"}'), "done") as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)

        with pytest.raises(InvalidRequest, match="unknown field"):
            await desk.decide(message_id, arguments='{"too": "b"}')
        await desk.decide(message_id, arguments='{"to": "b"}')
        reply = await ended(desk.app, message_id)

        assert ["write b"] == desk.ran
        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert part.approval is not None
        assert ('{"to": "b"}', '{"to": "a"}') == (part.arguments, part.approval.arguments_before)


async def test_what_is_allowed_for_the_run_is_asked_again_in_the_next(open_desk: Open) -> None:
    steps = [call("write", "1"), call("write", "2"), "done", call("write", "3"), "done"]
    async with open_desk(*steps) as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)
        await desk.decide(message_id, scope="run")
        reply = await ended(desk.app, message_id)
        assert ["write", "write"] == desk.ran

        second = await desk.ask(conversation_id=reply.conversation_id)
        await desk.waiting(second)

        assert ["write", "write"] == desk.ran
        await desk.app.runs.stop(second)


async def test_what_is_allowed_an_agent_for_good_holds_for_it_alone(open_desk: Open) -> None:
    steps = [call("write", "1"), "done", call("write", "2"), "done", call("write", "3"), "done"]
    async with open_desk(*steps) as desk:
        await desk.app.store.write(agents.create, Agent(name="other"))
        message_id = await desk.ask()
        await desk.waiting(message_id)
        await desk.decide(message_id, scope="agent")
        await ended(desk.app, message_id)

        again = await desk.ask()
        await ended(desk.app, again)
        assert ["write", "write"] == desk.ran
        others = await desk.ask(agent="other")
        await desk.waiting(others)

        assert ["write", "write"] == desk.ran
        await desk.app.runs.stop(others)


@pytest.mark.parametrize("is_of_this_run", [True, False])
async def test_what_the_user_takes_back_counts_at_once(open_desk: Open, *, is_of_this_run: bool) -> None:
    hang = Hang()
    steps = [call("write", "1"), [hang, *call("write", "2")], "done"]
    async with open_desk(*steps) as desk:
        agent = await desk.app.store.read(agents.default)
        if not is_of_this_run:
            await desk.app.store.write(tool_grants.add, agent.id, "write")
        message_id = await desk.ask()
        if is_of_this_run:
            await desk.waiting(message_id)
            await desk.decide(message_id, scope="agent")
        await hang.reached.wait()
        assert ["write"] == desk.ran
        await desk.app.store.write(tool_grants.remove, agent.id, "write")
        hang.release()

        await desk.waiting(message_id, 1)

        assert ["write"] == desk.ran
        await desk.app.runs.stop(message_id)


async def test_an_answer_for_the_run_is_one_for_the_same_calls_that_wait(open_desk: Open) -> None:
    async with open_desk([*call("write", "1"), *call("write", "2"), *call("send", "3")], "done") as desk:
        message_id = await desk.ask()
        for position in range(3):
            await desk.waiting(message_id, position)

        await desk.decide(message_id, 0, scope="run")
        await until(
            desk.app,
            lambda event: isinstance(event, PartChanged) and event.position == 1
            and isinstance(event.part, ToolCallPart) and event.part.status == "finished",
        )  # fmt: skip

        assert ["write", "write"] == desk.ran
        await desk.decide(message_id, 2)
        await ended(desk.app, message_id)
        assert ["write", "write", "send"] == desk.ran


async def test_a_tool_that_always_asks_offers_nothing_wider(open_desk: Open) -> None:
    async with open_desk(call("send"), "done") as desk:
        message_id = await desk.ask()
        part = await desk.waiting(message_id)

        assert part.approval is not None
        assert [] == part.approval.scopes
        with pytest.raises(InvalidRequest, match="once only"):
            await desk.decide(message_id, scope="agent")
        await desk.app.runs.stop(message_id)
        assert [] == desk.ran


async def test_what_does_not_wait_cannot_be_decided(open_desk: Open) -> None:
    async with open_desk(call("write"), "done") as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)
        await desk.decide(message_id)
        await ended(desk.app, message_id)

        for position in (0, 1, 7):
            with pytest.raises(Conflict, match="does not wait"):
                await desk.decide(message_id, position)
        assert ["write"] == desk.ran


# -- text from outside ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["write", "note", "send"])
async def test_after_text_from_outside_nothing_that_was_allowed_counts(open_desk: Open, name: str) -> None:
    async with open_desk(call("read_web"), call(name), "done") as desk:
        agent = await desk.app.store.read(agents.default)
        await desk.app.store.write(tool_grants.add, agent.id, name)
        message_id = await desk.ask()
        part = await desk.waiting(message_id, 1)

        assert part.approval is not None
        assert ["https://example.org/"] == part.approval.outside
        assert [] == part.approval.scopes
        assert any("Text from outside" in reason for reason in part.approval.reasons)
        assert ["read_web"] == desk.ran
        with pytest.raises(InvalidRequest, match="once only"):
            await desk.decide(message_id, 1, scope="run")
        await desk.app.runs.stop(message_id)


async def test_text_from_outside_counts_in_every_later_run_of_the_conversation(open_desk: Open) -> None:
    async with open_desk(call("read_web"), "read", call("note"), "noted") as desk:
        reply = await ended(desk.app, await desk.ask())
        later = await desk.ask(conversation_id=reply.conversation_id)

        assert (await desk.waiting(later)).approval is not None

        await desk.app.runs.stop(later)
        assert ["read_web"] == desk.ran


async def test_what_this_program_worked_out_is_not_from_outside(open_desk: Open) -> None:
    async with open_desk(call("work_out"), call("note"), "done") as desk:
        await ended(desk.app, await desk.ask())

        assert ["work_out", "note"] == desk.ran


async def test_reading_goes_on_after_text_from_outside(open_desk: Open) -> None:
    async with open_desk(call("read_web", "1"), call("read_web", "2"), "done") as desk:
        await ended(desk.app, await desk.ask())

        assert ["read_web", "read_web"] == desk.ran


async def test_invisible_characters_from_outside_are_counted_for_the_user(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(call("hidden"), "done") as desk:

        @tool(approval="never")
        async def hidden() -> ToolOutput:
            """Read something."""
            return ToolOutput("plain\u200b\u202etext", "web", "https://example.org/")

        desk.app.runs.toolbox._built_in = [hidden]
        reply = await ended(desk.app, await desk.ask())

        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert (2, "web", True) == (part.hidden_characters, part.origin, part.is_outside)


# -- the program ends meanwhile ------------------------------------------------------------------


async def test_a_call_that_waits_outlives_the_program(open_desk: Open) -> None:
    async with open_desk([*call("work_out"), *call("write")]) as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id, 1)
    async with open_desk("done") as desk:
        left = await desk.stored(message_id)
        assert "interrupted" == left.status
        assert ["finished", "waiting"] == [getattr(part, "status", "") for part in left.parts]
        assert (await desk.app.store.read(conversations.page, None, 10)).conversations[0].is_waiting
        assert [] == desk.ran

        await desk.decide(message_id, 1)
        reply = await ended(desk.app, message_id)

        assert ["write"] == desk.ran
        assert "complete" == reply.status
        assert ["finished", "finished"] == [getattr(part, "status", "") for part in reply.parts[:2]]
        assert TextPart("done") == reply.parts[2]
        results = [item for item in desk.model.requests[0].history if isinstance(item, ToolFinished)]
        assert ["id-work_out", "id-write"] == [result.call_id for result in results]


async def test_a_call_that_waits_outlives_a_crash(open_desk: Open, tmp_path: Path) -> None:
    import shutil

    async with open_desk([*call("write", "1"), *call("write", "2")]) as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id, 0)
        await desk.waiting(message_id, 1)
        shutil.copytree(tmp_path / "data", tmp_path / "after")
        await desk.app.runs.stop(message_id)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "after").rename(tmp_path / "data")
    async with open_desk("done") as desk:
        await desk.decide(message_id, 1, "denied", reason="only the first")
        await desk.waiting(message_id, 0)
        await desk.decide(message_id, 0)
        reply = await ended(desk.app, message_id)

        assert ["write"] == desk.ran
        assert ["finished", "failed"] == [getattr(part, "status", "") for part in reply.parts[:2]]
        assert "complete" == reply.status


async def test_a_conversation_that_goes_on_leaves_no_call_open(open_desk: Open) -> None:
    async with open_desk(call("write")) as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)
    async with open_desk("something else") as desk:
        left = await desk.stored(message_id)
        reply = await ended(desk.app, await desk.ask("never mind", left.conversation_id))

        part = (await desk.stored(message_id)).parts[0]
        assert isinstance(part, ToolCallPart)
        assert ("failed", "The user went on without deciding about this call.") == (part.status, part.output)
        assert "complete" == reply.status
        with pytest.raises(Conflict):
            await desk.decide(message_id)
        assert [] == desk.ran


async def test_nothing_is_approved_by_waiting_or_by_stopping(open_desk: Open) -> None:
    async with open_desk(call("write"), "done") as desk:
        message_id = await desk.ask()
        await desk.waiting(message_id)
        await desk.app.runs.stop(message_id)

        reply = await desk.stored(message_id)
        assert [] == desk.ran
        assert "stopped" == reply.status
        part = reply.parts[0]
        assert isinstance(part, ToolCallPart)
        assert "failed" == part.status


async def test_what_cannot_be_recorded_has_no_effect(
    open_desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it could happen again after a crash."""
    monkeypatch.setattr("deskside.backend.agent.runs.FIRST_STORE_RETRY_S", 0.01)
    monkeypatch.setattr("deskside.backend.agent.flusher.RETRY_EVERY_S", 0.01)
    async with open_desk([*call("work_out"), *call("note")], "done") as desk:
        full = Broken(monkeypatch, runs, "record_events", StoreFull("The disk is full."))
        message_id = await desk.ask()
        await until(
            desk.app,
            lambda event: (
                isinstance(event, MessageChanged)
                and event.message.id == message_id
                and event.message.error is not None
            ),
        )
        full.error = None
        reply = await stored_at_last(desk, message_id)

        assert "note" not in desk.ran
        assert reply.error is not None
        assert "store_full" == reply.error.code
        part = reply.parts[1]
        assert isinstance(part, ToolCallPart)
        assert "failed" == part.status


async def stored_at_last(desk: Desk, message_id: int) -> MessageRow:
    """The reply, once the disk has taken it."""
    async with asyncio.timeout(10):
        while (reply := await desk.stored(message_id)).status == "streaming":
            await asyncio.sleep(0.01)  # nothing is told: the page has seen how it ended
    return reply


async def test_every_part_says_in_the_file_where_its_text_comes_from(open_desk: Open, tmp_path: Path) -> None:
    async with open_desk(call("read_web"), "done") as desk:
        await ended(desk.app, await desk.ask())
    with closing(sqlite3.connect(tmp_path / "data" / "deskside.db")) as file:
        found = file.execute("select kind, origin from message_part order by id").fetchall()

    assert [("text", "user"), ("tool_call", "web"), ("text", "model")] == found


# -- steering ------------------------------------------------------------------------------------


async def test_what_is_said_meanwhile_is_on_the_disk_at_once_and_read_at_the_next_step(
    open_desk: Open,
) -> None:
    hang = Hang()
    async with open_desk([hang, *call("work_out")], "in French") as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        row = await desk.app.runs.steer(message_id, "in French, please")
        assert ["in French, please"] == row.steering
        hang.release()
        reply = await ended(desk.app, message_id)

        assert UserText("in French, please") == desk.model.requests[1].history[-1]
        assert ["tool_call", "user", "text"] == [part.__struct_config__.tag for part in reply.parts]
        assert [] == reply.steering


async def test_what_no_model_got_to_read_is_where_the_user_types(open_desk: Open, tmp_path: Path) -> None:
    hang = Hang()
    async with open_desk([hang]) as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        await desk.app.runs.steer(message_id, "wait, not so")
        await desk.app.runs.steer(message_id, "do it so")
        await desk.app.runs.stop(message_id)

        (row,) = (await desk.app.store.read(conversations.page, None, 10)).conversations
        assert "wait, not so\n\ndo it so" == row.draft
        with pytest.raises(Conflict, match="has ended"):
            await desk.app.runs.steer(message_id, "too late")


# -- in line -------------------------------------------------------------------------------------


async def test_runs_beyond_the_most_wait_in_line_and_know_their_place(open_desk: Open) -> None:
    hangs = [Hang() for _ in range(2)]
    async with open_desk([hangs[0]], [hangs[1]], "third", "fourth") as desk:
        await desk.app.settings.change({"max_runs": 2})
        running = [await desk.ask() for _ in range(2)]
        for hang in hangs:
            await hang.reached.wait()
        waiting = [await desk.ask() for _ in range(2)]
        await until(desk.app, lambda event: placed(event, waiting[1]) == 2)
        assert [1, 2] == [
            desk.app.runs.with_live_parts(await desk.stored(message_id)).queue_place for message_id in waiting
        ]

        await desk.app.runs.stop(waiting[0])
        await until(desk.app, lambda event: placed(event, waiting[1]) == 1)
        hangs[0].release()
        reply = await ended(desk.app, waiting[1])

        assert "complete" == reply.status
        assert "stopped" == (await desk.stored(waiting[0])).status
        hangs[1].release()
        await ended(desk.app, running[1])


async def test_a_run_that_waits_for_the_user_keeps_nobody_from_their_turn(open_desk: Open) -> None:
    hang = Hang()
    async with open_desk(call("write"), "second", [hang, "third"], "done") as desk:
        await desk.app.settings.change({"max_runs": 1})
        first = await desk.ask()
        await desk.waiting(first)
        assert "complete" == (await ended(desk.app, await desk.ask())).status

        third = await desk.ask()
        await hang.reached.wait()
        await desk.decide(first)  # the user is there: it does not queue behind the third
        assert "complete" == (await ended(desk.app, first)).status
        fourth = await desk.ask()
        await until(desk.app, lambda event: placed(event, fourth) == 1)
        hang.release()
        desk.model.enqueue("fourth")

        assert "complete" == (await ended(desk.app, third)).status
        assert "complete" == (await ended(desk.app, fourth)).status


def placed(event: Any, message_id: int) -> int | None:
    is_it = isinstance(event, MessageChanged) and event.message.id == message_id
    return event.message.queue_place if is_it else None
