"""Runs through the whole backend: a real database file, the scripted model, the events the page gets."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.agent.events import (
    AssistantText,
    Finished,
    ReasoningDelta,
    ReasoningFinished,
    StepFinished,
    StepRetried,
    StepStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.recording import (
    ContextKnown,
    ModelAsked,
    ModelSaid,
    RunAsked,
    RunBegan,
    RunEnded,
)
from deskside.backend.agent.scripted_model import Hang, ScriptedModel, Step, in_chunks
from deskside.backend.app import App, open_app
from deskside.backend.errors import BadKey, Conflict, NotFound, Overloaded, StoreFull, StreamDropped
from deskside.backend.events import (
    AppEvent,
    ConversationChanged,
    MessageChanged,
    Notice,
    PartChanged,
    ReplyRetried,
    TextAppended,
)
from deskside.backend.log import request_id
from deskside.backend.paths import Paths
from deskside.backend.store import conversations, errors, messages, replies, runs
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import (
    MessageRow,
    MessageUsage,
    NotePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from deskside.backend.tools import TOOLS

MODEL = "scripted/model"
ADD = ToolRequested("call-1", "calculate", '{"expression": "2 + 2"}')


@asynccontextmanager
async def opened(data: Path, *steps: Step) -> AsyncIterator[tuple[App, ScriptedModel]]:
    model = ScriptedModel(steps)
    async with open_app(Paths(data, data / "logs", data / "cache"), {MODEL: model}) as app:
        yield app, model


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def until(app: App, is_true: Callable[[AppEvent], bool], after: int = 0) -> AppEvent:
    """The first event for which this holds."""
    async with asyncio.timeout(10):
        while True:
            for event in app.events.since(after, 10_000) or []:
                after += 1
                if is_true(event):
                    return event
            await app.events.wait_beyond(after)


async def ended(app: App, message_id: int) -> MessageRow:
    """The reply once it is no longer written, as the store has it."""
    await until(
        app,
        lambda event: (
            isinstance(event, MessageChanged)
            and event.message.id == message_id
            and event.message.status != "streaming"
        ),
        after=max(0, app.events.last - 5000),
    )
    return await app.store.read(messages.get, message_id)


async def answer(app: App, text: str = "hi", conversation_id: int | None = None) -> MessageRow:
    started = await app.runs.start(conversation_id, text, MODEL)
    return await ended(app, started.reply.id)


def all_events(app: App) -> list[AppEvent]:
    return app.events.since(0, 100_000) or []


def page_text(app: App, message_id: int, position: int = 0) -> str:
    """What a page that applies each event to what it has ends with."""
    text = ""
    for event in all_events(app):
        if isinstance(event, TextAppended) and (event.message_id, event.position) == (message_id, position):
            units = text.encode("utf-16-le")
            assert 2 * event.offset <= len(units), "a gap"
            text = (units[: 2 * event.offset] + event.text.encode("utf-16-le")).decode("utf-16-le")
    return text


class Broken:
    """Makes a store function fail until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, error: Exception) -> None:
        self.error: Exception | None = error
        self.calls = 0
        working = getattr(module, name)

        def function(*args: Any) -> Any:
            self.calls += 1
            if self.error is not None:
                raise self.error
            return working(*args)

        monkeypatch.setattr(module, name, function)


# -- answering -----------------------------------------------------------------------------------


async def test_an_answer_is_shown_while_it_is_written_and_stored_when_it_is_done(data: Path) -> None:
    said = [*in_chunks("Grüße 🌍 und ein Satz. ", 3) * 50, UsageReported(Usage(7, output_tokens=9))]
    async with opened(data, said) as (app, model):
        started = await app.runs.start(None, "Say hello", MODEL)
        assert app.runs.is_running(started.conversation.id)
        reply = await ended(app, started.reply.id)

        expected = "Grüße 🌍 und ein Satz. " * 50
        assert reply.parts == [TextPart(expected)]
        assert reply.status == "complete"
        assert reply.usage == MessageUsage(7, output_tokens=9)
        assert page_text(app, reply.id) == expected
        assert not app.runs.is_running(started.conversation.id)
        assert model.requests[0].history == [UserText("Say hello")]
        assert "helpful" in model.requests[0].instructions
        assert [tool.name for tool in model.requests[0].tools] == [tool.name for tool in TOOLS]


async def test_the_question_and_the_empty_reply_are_on_the_disk_when_start_returns(data: Path) -> None:
    hang = Hang()
    async with opened(data, [hang]) as (app, _):
        started = await app.runs.start(None, "Do not lose me", MODEL)
        page = await app.store.read(messages.page, started.conversation.id, None, 50)

        assert [message.parts for message in page.messages] == [[TextPart("Do not lose me")], []]
        assert page.messages[1].status == "streaming"
        assert started.question == page.messages[0]


async def test_a_page_that_looks_while_a_reply_streams_sees_all_that_was_said(data: Path) -> None:
    hang = Hang()
    async with opened(data, ["so ", "far", hang, " good"]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        row = app.runs.with_live_parts(await app.store.read(messages.get, started.reply.id))

        assert row.parts == [TextPart("so far")]
        assert row.status == "streaming"
        hang.release()
        assert (await ended(app, started.reply.id)).parts == [TextPart("so far good")]


async def test_a_tool_loop_keeps_every_step_and_shows_every_state(data: Path) -> None:
    first = [ReasoningDelta("hm"), ReasoningFinished('{"s":1}'), "Let me see. ", ADD]
    async with opened(data, first, ["It is ", "4."]) as (app, model):
        reply = await answer(app)

        call = reply.parts[2]
        assert isinstance(call, ToolCallPart)
        assert (call.status, call.output, call.arguments) == ("finished", "4", ADD.arguments)
        assert reply.parts == [ReasoningPart("hm"), TextPart("Let me see. "), call, TextPart("It is 4.")]
        states = [event.part for event in all_events(app) if isinstance(event, PartChanged)]
        assert [part.status for part in states if isinstance(part, ToolCallPart)] == [
            "writing", "requested", "running", "finished",
        ]  # fmt: skip
        assert page_text(app, reply.id, 2) == ADD.arguments
        # What the store gives back for the next question is what the model was told in this run.
        history = await app.store.read(messages.history, reply.id)
        assert history[: len(model.requests[1].history)] == list(model.requests[1].history)
        assert history[-1] == AssistantText("It is 4.")


async def test_a_run_can_be_read_back_event_by_event(data: Path) -> None:
    async with opened(data, [ADD, UsageReported(Usage(1))], "4") as (app, _):
        reply = await answer(app)
        assert reply.run_id is not None
        recorded = await app.store.read(runs.events, reply.run_id)

        assert [n for n, _, _ in recorded] == list(range(len(recorded)))
        assert [type(event) for _, _, event in recorded] == [
            RunAsked, RunBegan, StepStarted, ContextKnown,
            ModelAsked, ToolCallStarted, ToolRequested, UsageReported, StepFinished, ModelSaid,
            ToolStarted, ToolFinished, StepStarted,
            ModelAsked, StepFinished, ModelSaid,
            Finished, RunEnded,
        ]  # fmt: skip


async def test_what_a_run_does_is_stored_before_it_is_shown(data: Path) -> None:
    async with opened(data, [ADD], "4") as (app, _):
        seen: list[tuple[str, str]] = []
        publish = app.events.publish

        def look(event: AppEvent) -> None:
            if isinstance(event, PartChanged) and isinstance(event.part, ToolCallPart):
                import sqlite3

                with sqlite3.connect(app.paths.database) as db:
                    row = db.execute(
                        "select json_extract(data, '$.status') from message_part "
                        "where message = ? and position = ?",
                        (event.message_id, event.position),
                    ).fetchone()
                db.close()
                if event.part.status not in ("writing", "requested"):  # the model's words, as text is
                    seen.append((event.part.status, row[0]))
            publish(event)

        app.events.publish = look  # type: ignore[method-assign]
        app.runs._events = app.events
        await answer(app)

        assert seen == [(state, state) for state in ("running", "finished")]


async def test_usage_is_recorded_for_each_call_also_one_that_failed_half_way(data: Path) -> None:
    steps: list[Step] = [
        [ADD, UsageReported(Usage(10, output_tokens=1)), UsageReported(Usage(10, output_tokens=5))],
        ["half", UsageReported(Usage(20, 3)), BadKey("gone")],
    ]
    async with opened(data, *steps) as (app, _):
        token = request_id.set("feedfacecafe")
        reply = await answer(app)
        request_id.reset(token)

        def used(db: Db) -> list[tuple[Any, ...]]:
            return db.sql.execute(
                "select input_tokens, cache_read_tokens, output_tokens, model, run, request_id, "
                "length(call_id) from usage_record order by id"
            ).fetchall()

        rows = [(*tokens, MODEL, reply.run_id, "feedfacecafe", 32) for tokens in [(10, 0, 5), (20, 3, 0)]]
        assert rows == [tuple(row) for row in await app.store.read(used)]
        assert reply.usage == MessageUsage(30, 3, 0, 5)


async def test_a_retried_call_tells_the_page_and_stays_one_reply(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    async with opened(data, [Overloaded("busy")], "here") as (app, _):
        reply = await answer(app)

        assert reply.parts == [TextPart("here")]
        assert [event.message for event in all_events(app) if isinstance(event, ReplyRetried)] == ["busy"]
        assert reply.run_id is not None
        recorded = await app.store.read(runs.events, reply.run_id)
        assert [event.code for _, _, event in recorded if isinstance(event, StepRetried)] == ["overloaded"]


# -- how it can end ------------------------------------------------------------------------------


async def test_stop_keeps_what_was_said_and_answers_the_open_tool_call(data: Path) -> None:
    hang = Hang()
    async with opened(data, ["Wait, ", ADD, hang]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        await app.runs.stop(started.reply.id)
        reply = await app.store.read(messages.get, started.reply.id)

        assert reply.status == "stopped"
        assert reply.error is None
        assert reply.parts[0] == TextPart("Wait, ")
        assert isinstance(reply.parts[1], ToolCallPart)
        assert reply.parts[1].status == "failed"
        assert "stopped" in (reply.parts[1].output or "")
        assert hang.was_cancelled
        assert not app.runs.is_running(started.conversation.id)


async def test_stop_while_a_call_is_being_written_leaves_no_call_open(data: Path) -> None:
    hang = Hang()
    half = [ToolCallStarted("call-1", "calculate"), ToolArgumentsDelta("call-1", '{"expr'), hang]
    async with opened(data, half, "fine") as (app, model):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        await app.runs.stop(started.reply.id)
        reply = await app.store.read(messages.get, started.reply.id)
        await answer(app, "And now?", started.conversation.id)

        (call,) = reply.parts
        assert isinstance(call, ToolCallPart)
        assert (call.status, call.arguments) == ("failed", '{"expr')
        asked = model.requests[1].history
        assert [type(item) for item in asked] == [UserText, ToolRequested, ToolFinished, UserText]


async def test_stop_right_after_start_leaves_a_stopped_reply(data: Path) -> None:
    async with opened(data, "never said") as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await app.runs.stop(started.reply.id)
        await app.runs.stop(started.reply.id)

        assert (await app.store.read(messages.get, started.reply.id)).status == "stopped"


async def test_stopping_what_has_ended_or_never_was_does_nothing(data: Path) -> None:
    async with opened(data, "done") as (app, _):
        reply = await answer(app)
        await app.runs.stop(reply.id)
        await app.runs.stop(999)

        assert (await app.store.read(messages.get, reply.id)).status == "complete"


async def test_a_models_error_is_on_the_reply_with_what_was_said(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    steps = [[f"half {n} ", StreamDropped("The answer broke off.")] for n in range(4)]
    async with opened(data, *steps) as (app, _):
        reply = await answer(app)

        assert reply.status == "failed"
        notes = [part for part in reply.parts if isinstance(part, NotePart)]
        assert ["half 0 ", "half 1 ", "half 2 "] == [note.detail for note in notes]
        assert reply.parts == [*notes, TextPart("half 3 ")]
        assert reply.error is not None
        assert (reply.error.code, reply.error.retryable) == ("stream_dropped", True)
        assert "Continue or Retry" in reply.error.hint


async def test_a_run_that_fails_is_in_the_error_log_with_the_request_that_started_it(data: Path) -> None:
    async with opened(data, [TextDelta("As I "), BadKey("The key was refused.")]) as (app, _):
        request_id.set("abc-123")
        reply = await answer(app)
        (row,) = await app.store.read(errors.recent, 10)

    assert ("run", "bad_key", "The key was refused.") == (row.source, row.code, row.message)
    assert f"run {reply.run_id}" == row.place
    assert "BadKey at" in row.detail
    assert "abc-123" == row.request_id


async def test_a_stopped_run_is_no_error(data: Path) -> None:
    async with opened(data, [TextDelta("As I "), Hang()]) as (app, _):
        started = await app.runs.start(None, "hi", MODEL)
        await app.runs.stop(started.reply.id)

        assert [] == await app.store.read(errors.recent, 10)


async def test_a_bug_fails_the_reply_without_telling_what_was_in_it(data: Path) -> None:
    async with opened(data) as (app, model):

        async def broken(_request: Any) -> Any:
            yield TextDelta("so far")
            raise ZeroDivisionError("secret prompt")

        model.stream = broken  # type: ignore[method-assign, assignment]
        reply = await answer(app)

        assert reply.status == "failed"
        assert reply.parts == [TextPart("so far")]
        assert reply.error is not None
        assert reply.error.code == "internal"
        assert "secret" not in reply.error.message + reply.error.hint


@pytest.mark.parametrize(("reason", "code"), [("length", "answer_cut"), ("refused", "content_refused")])
async def test_an_answer_that_was_cut_short_says_so(data: Path, reason: Any, code: str) -> None:
    async with opened(data, ["so", StepFinished(reason)]) as (app, _):
        reply = await answer(app)

        assert reply.status == "failed"
        assert reply.error is not None
        assert reply.error.code == code


async def test_a_missing_model_name_is_a_failed_reply_with_the_way_out(data: Path) -> None:
    async with opened(data) as (app, _):
        started = await app.runs.start(None, "hi", "nowhere/model")
        reply = await ended(app, started.reply.id)

        assert reply.error is not None
        assert reply.error.code == "no_model"


async def test_closing_the_program_keeps_what_was_said(data: Path) -> None:
    hang = Hang()
    async with opened(data, ["said before the end", hang]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
    async with opened(data) as (app, _):
        reply = await app.store.read(messages.get, started.reply.id)

        assert reply.status == "interrupted"
        assert reply.parts == [TextPart("said before the end")]


async def test_after_a_crash_the_reply_has_all_up_to_the_last_flush(data: Path, tmp_path: Path) -> None:
    hang = Hang()
    async with opened(data, ["it was a dark ", ADD], ["and stormy night", hang]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()

        def flushed(db: Db) -> int:
            return int(db.sql.execute("select count(*) from message_chunk where position = 2").fetchone()[0])

        async with asyncio.timeout(5):
            while not await app.store.read(flushed):
                await asyncio.sleep(0.01)
        # What `kill -9` leaves: the files as they are now.
        shutil.copytree(data, tmp_path / "after")
    async with opened(tmp_path / "after") as (app, _):
        reply = await app.store.read(messages.get, started.reply.id)

        assert reply.status == "interrupted"
        assert [part.text for part in reply.parts if isinstance(part, TextPart)] == [
            "it was a dark ",
            "and stormy night",
        ]


STREAM_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from deskside.backend.agent.events import TextDelta
from deskside.backend.app import open_app
from deskside.backend.paths import Paths

class Talker:
    name = "scripted/model"

    async def stream(self, request):
        for number in range(100_000):
            yield TextDelta(f"{number:07} ")
            print(number, flush=True)
            await asyncio.sleep(0.001)

async def main():
    data = Path(sys.argv[1])
    async with open_app(Paths(data, data / "logs", data / "cache"), {"scripted/model": Talker()}) as app:
        await app.runs.start(None, "Count", "scripted/model")
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_kill_9_costs_a_moment_of_text_and_nothing_before_it(data: Path) -> None:
    roots = os.pathsep.join(str(Path(__file__).parents[2] / root) for root in ("shell", "bridge", "backend"))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STREAM_FOR_EVER, str(data),
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": roots},
    )  # fmt: skip
    assert child.stdout is not None
    said = 0
    while said < 2000:
        said = int(await child.stdout.readline())
    child.kill()
    await child.wait()
    async with opened(data) as (app, _):
        page = await app.store.read(messages.page, 1, None, 50)
        question, reply = page.messages
        (part,) = reply.parts

        assert question.parts == [TextPart("Count")]
        assert reply.status == "interrupted"
        assert isinstance(part, TextPart)
        assert part.text == "".join(f"{number:07} " for number in range(len(part.text) // 8))
        # 4 KB, and what came during the flush that was under way.
        assert len(part.text) >= 8 * said - 2 * 4096


# -- more than one -------------------------------------------------------------------------------


async def test_a_conversation_has_one_run_at_a_time(data: Path) -> None:
    hang = Hang()
    async with opened(data, [hang, "one"], "two") as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        with pytest.raises(Conflict, match="still being written"):
            await app.runs.start(started.conversation.id, "again", MODEL)
        with pytest.raises(Conflict, match="still being written"):
            await app.runs.retry(started.reply.id, None)
        hang.release()
        await ended(app, started.reply.id)

        assert (await answer(app, "again", started.conversation.id)).parts == [TextPart("two")]


async def test_two_starts_at_the_same_moment_are_one_run(data: Path) -> None:
    async with opened(data, "one", "two", "three") as (app, _):
        first = await answer(app)
        results = await asyncio.gather(
            *(app.runs.start(first.conversation_id, "again", MODEL) for _ in range(3)), return_exceptions=True
        )

        assert sorted(isinstance(result, Conflict) for result in results) == [False, True, True]


async def test_a_caller_that_gives_up_leaves_no_question_without_a_run(data: Path) -> None:
    async with opened(data, "answered all the same") as (app, _):
        asking = asyncio.create_task(app.runs.start(None, "go", MODEL))
        for _turn in range(3):  # the question is on its way to the disk
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        event = await until(
            app,
            lambda event: (
                isinstance(event, MessageChanged)
                and event.message.parts == [TextPart("answered all the same")]
            ),
        )

        assert isinstance(event, MessageChanged)
        assert event.message.status == "complete"


async def test_closing_while_a_question_is_being_stored_leaves_an_ended_reply(data: Path) -> None:
    async with opened(data, [Hang()]) as (app, _):
        asking = asyncio.create_task(app.runs.start(None, "go", MODEL))
        await asyncio.sleep(0)
        await app.runs.close()
        started = await asking

        assert (await app.store.read(messages.get, started.reply.id)).status == "interrupted"


async def test_deleting_a_conversation_that_is_just_being_asked_stops_its_run(data: Path) -> None:
    hang = Hang()
    async with opened(data, "first", [hang]) as (app, _):
        first = await answer(app)
        asking = asyncio.create_task(app.runs.start(first.conversation_id, "more", MODEL))
        await asyncio.sleep(0)
        await app.runs.stop_conversation(first.conversation_id)

        assert not app.runs.is_running(first.conversation_id)
        assert (await app.store.read(messages.get, (await asking).reply.id)).status == "stopped"


async def test_fifty_conversations_stream_at_once_and_none_loses_a_character(data: Path) -> None:
    steps: list[Step] = [in_chunks(f"answer number {n} " * 40, 7) for n in range(50)]
    async with opened(data, *steps) as (app, _):
        started = await asyncio.gather(*(app.runs.start(None, f"question {n}", MODEL) for n in range(50)))
        texts = [(await ended(app, each.reply.id)).parts[0] for each in started]

        expected = {f"answer number {n} " * 40 for n in range(50)}
        assert expected == {part.text for part in texts if isinstance(part, TextPart)}
        assert expected == {page_text(app, each.reply.id) for each in started}


async def test_a_deleted_conversation_has_no_run(data: Path) -> None:
    hang = Hang()
    async with opened(data, [hang]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        await app.runs.stop_conversation(started.conversation.id)

        assert hang.was_cancelled
        assert not app.runs.is_running(started.conversation.id)
        await app.store.write(conversations.delete, started.conversation.id)
        with pytest.raises(NotFound):
            await app.runs.start(started.conversation.id, "hello?", MODEL)


# -- again ---------------------------------------------------------------------------------------


async def test_retry_answers_again_and_keeps_the_old_version(data: Path) -> None:
    async with opened(data, "first", "second") as (app, model):
        old = await answer(app, "question")
        started = await app.runs.retry(old.id, None)
        reply = await ended(app, started.reply.id)

        assert reply.parts == [TextPart("second")]
        assert reply.versions == [old.id, reply.id]
        assert model.requests[1].history == [UserText("question")]
        assert (await app.store.read(messages.get, old.id)).parts == [TextPart("first")]


async def test_a_question_in_other_words_is_answered_from_what_came_before_it(data: Path) -> None:
    async with opened(data, "first", "second", "third") as (app, model):
        one = await answer(app, "One")
        started = await app.runs.start(one.conversation_id, "Two", None)
        assert started.question is not None
        await ended(app, started.reply.id)

        again = await app.runs.ask_instead(started.question.id, "Two, please", None)
        reply = await ended(app, again.reply.id)

        assert reply.parts == [TextPart("third")]
        assert again.question is not None
        assert again.question.versions == [started.question.id, again.question.id]
        assert model.requests[2].history == [
            UserText("One"), AssistantText("first"), UserText("Two, please")
        ]  # fmt: skip


async def test_continue_goes_on_in_the_same_sentence_of_the_same_message(data: Path) -> None:
    steps: list[Step] = [
        ["Once upon a 🌍", UsageReported(Usage(1, output_tokens=2)), BadKey("gone")],
        [" time, ", "there was", UsageReported(Usage(3, output_tokens=4))],
    ]
    async with opened(data, *steps) as (app, model):
        cut = await answer(app, "Tell me")
        last = app.events.last
        started = await app.runs.continue_reply(cut.id)
        assert started.reply.id == cut.id
        reply = await until_stored(app, cut.id, last)

        assert reply.parts == [TextPart("Once upon a 🌍 time, there was")]
        assert (reply.status, reply.error) == ("complete", None)
        assert reply.usage == MessageUsage(4, output_tokens=6)
        first = next(event for event in app.events.since(last, 1000) or [] if isinstance(event, TextAppended))
        assert (first.position, first.offset) == (0, 14)
        asked = model.requests[1].history
        assert asked[:2] == [UserText("Tell me"), AssistantText("Once upon a 🌍")]
        assert isinstance(asked[2], UserText)
        # The instruction is ours, not the user's: it is not stored.
        history = await app.store.read(messages.history, reply.id)
        assert history == [UserText("Tell me"), AssistantText("Once upon a 🌍 time, there was")]


async def test_a_continued_reply_that_crashes_keeps_both_halves(data: Path, tmp_path: Path) -> None:
    hang = Hang()
    async with opened(data, ["first half", BadKey("gone")], [", second half", hang]) as (app, _):
        cut = await answer(app)
        await app.runs.continue_reply(cut.id)
        await hang.reached.wait()

        def flushed(db: Db) -> int:
            return int(db.sql.execute("select count(*) from message_chunk").fetchone()[0])

        async with asyncio.timeout(5):
            while not await app.store.read(flushed):
                await asyncio.sleep(0.01)
        shutil.copytree(data, tmp_path / "after")
    async with opened(tmp_path / "after") as (app, _):
        reply = await app.store.read(messages.get, cut.id)

        assert reply.parts == [TextPart("first half, second half")]


async def test_continue_after_a_tool_result_just_goes_on(data: Path) -> None:
    async with opened(data, [ADD], [BadKey("no")], "It is 4.") as (app, model):
        cut = await answer(app)
        last = app.events.last
        await app.runs.continue_reply(cut.id)
        reply = await until_stored(app, cut.id, last)

        assert model.requests[2].history == model.requests[1].history
        assert reply.parts == [*cut.parts, TextPart("It is 4.")]


async def until_stored(app: App, message_id: int, after: int) -> MessageRow:
    await until(
        app,
        lambda event: (
            isinstance(event, MessageChanged)
            and event.message.id == message_id
            and event.message.status != "streaming"
        ),
        after,
    )
    return await app.store.read(messages.get, message_id)


# -- a store in trouble --------------------------------------------------------------------------


async def test_a_full_disk_while_streaming_is_told_once_and_costs_nothing_once_there_is_room(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang()
    async with opened(data, ["a" * 5000, ADD], ["b" * 5000, hang, "c"]) as (app, _):
        full = Broken(monkeypatch, replies, "append_chunks", StoreFull("The disk is full."))
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        await until(app, lambda event: isinstance(event, Notice))
        row = app.runs.with_live_parts(await app.store.read(messages.get, started.reply.id))
        assert [part.text for part in row.parts if isinstance(part, TextPart)] == ["a" * 5000, "b" * 5000]
        assert full.calls >= 2
        full.error = None
        hang.release()
        reply = await ended(app, started.reply.id)

        assert reply.status == "complete"
        texts = [part.text for part in reply.parts if isinstance(part, TextPart)]
        assert texts == ["a" * 5000, "b" * 5000 + "c"]
        assert [event.code for event in all_events(app) if isinstance(event, Notice)] == ["store_full"]
        assert reply.run_id is not None
        recorded = await app.store.read(runs.events, reply.run_id)
        assert [n for n, _, _ in recorded] == list(range(len(recorded)))


async def test_a_full_disk_is_not_tried_again_for_every_chunk(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [in_chunks("x" * 5000, 5000)[0]] * 200
    async with opened(data, said) as (app, _):
        full = Broken(monkeypatch, replies, "append_chunks", StoreFull("The disk is full."))
        started = await app.runs.start(None, "go", MODEL)
        await until(app, lambda event: isinstance(event, Notice))
        full.error = None
        reply = await ended(app, started.reply.id)

        assert full.calls <= 3
        assert reply.parts == [TextPart("x" * 1_000_000)]


async def test_a_bug_in_the_recorder_costs_no_answer(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.agent.runs.FIRST_STORE_RETRY_S", 0.01)
    async with opened(data, "precious") as (app, _):
        Broken(monkeypatch, runs, "record_events", RuntimeError("a bug"))
        started = await app.runs.start(None, "go", MODEL)
        await until(
            app,
            lambda event: (
                isinstance(event, MessageChanged)
                and event.message.id == started.reply.id
                and event.message.status == "complete"
            ),
        )

        assert (await app.store.read(messages.get, started.reply.id)).parts == [TextPart("precious")]


async def test_a_reply_that_cannot_be_stored_stays_visible_and_is_stored_when_it_can_be(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.runs.FIRST_STORE_RETRY_S", 0.01)
    async with opened(data, "precious", "next") as (app, _):
        full = Broken(monkeypatch, replies, "finish", StoreFull("The disk is full."))
        started = await app.runs.start(None, "go", MODEL)
        event = await until(
            app, lambda event: isinstance(event, MessageChanged) and event.message.status == "failed"
        )
        assert isinstance(event, MessageChanged)
        assert event.message.parts == [TextPart("precious")]
        assert event.message.error is not None
        assert event.message.error.code == "store_full"
        assert not app.runs.is_running(started.conversation.id)
        live = app.runs.with_live_parts(await app.store.read(messages.get, started.reply.id))
        assert live.parts == [TextPart("precious")]
        with pytest.raises(Conflict, match="could not be saved yet"):
            await app.runs.start(started.conversation.id, "more", MODEL)
        full.error = None
        await until(
            app,
            lambda event: (
                isinstance(event, MessageChanged)
                and event.message.finished_ms is not None
                and event.message.role == "assistant"
            ),
        )

        assert (await app.store.read(messages.get, started.reply.id)).parts == [TextPart("precious")]
        assert (await answer(app, "more", started.conversation.id)).parts == [TextPart("next")]


async def test_the_program_can_be_closed_while_a_reply_cannot_be_stored(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang()
    async with opened(data, ["said", hang]) as (app, _):
        started = await app.runs.start(None, "go", MODEL)
        await hang.reached.wait()
        Broken(monkeypatch, replies, "finish", RuntimeError("a bug"))
    monkeypatch.undo()
    async with opened(data) as (app, _):
        reply = await app.store.read(messages.get, started.reply.id)

        assert reply.status == "interrupted"


async def test_the_list_of_conversations_hears_of_the_start_and_the_end(data: Path) -> None:
    async with opened(data, "done") as (app, _):
        await answer(app)
        await until(
            app,
            lambda event: isinstance(event, ConversationChanged) and not event.conversation.is_running,
        )

        states = [
            event.conversation.is_running
            for event in all_events(app)
            if isinstance(event, ConversationChanged)
        ]
        assert states == [True, False]
