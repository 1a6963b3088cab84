"""How a run is told: as a tree of what took time, in words, and to OpenTelemetry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asked_runs import MODEL, Desk, Open, call
from asked_runs import opened as opened_desk
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_delegation import asks, give_helper
from test_runs import ended

from deskside.backend.agent.events import Usage, UsageReported
from deskside.backend.agent.recording import ReplyShown
from deskside.backend.agent.scripted_model import Hang, Pause
from deskside.backend.errors import NotFound, Overloaded
from deskside.backend.log import request_id
from deskside.backend.recordings import run_file
from deskside.backend.recordings.recordings import RunStory
from deskside.backend.recordings.run_file import FORMAT, VERSION, RunFile
from deskside.backend.recordings.story import Span
from deskside.backend.store import messages, runs

SCHEMA = Path(__file__).parents[2] / "build" / "schemas" / "run-1.json"


@pytest.fixture
def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.01)
    return lambda *steps: opened_desk(tmp_path / "data", *steps, monkeypatch=monkeypatch)


async def eventful(desk: Desk) -> RunStory:
    """A run with a retry, an approval, another agent with a tool of its own, and a stop at the end."""
    hang = Hang()
    desk.model.enqueue(
        [Overloaded("busy")],
        ["I ask. ", UsageReported(Usage(100, 20, 0, 7)), *call("write"), asks("helper")],
        ["Almost ", hang],
    )
    await give_helper(desk, call("work_out"), [Pause(0.05), "Forty-two."])
    token = request_id.set("feedfacecafe")
    message_id = await desk.ask("What is it?")
    request_id.reset(token)
    await desk.waiting(message_id, 1)
    await desk.decide(message_id, 1)
    await hang.reached.wait()
    await desk.app.runs.stop(message_id)
    row = await desk.app.store.read(messages.get, message_id)
    assert row.run_id is not None
    return await desk.app.recordings.story(row.run_id)


def tree(spans: list[Span], parent_id: str | None = None) -> list[Any]:
    """Kind, name and status, each with what is inside."""
    return [
        (span.kind, span.name, span.status, *tree(spans, span.id))
        for span in spans
        if span.parent_id == parent_id and span.kind not in ("queue", "store")
    ]


async def test_a_run_is_told_as_it_nested(open_desk: Open) -> None:
    async with open_desk() as desk:
        told = await eventful(desk)

    helper = (
        "run", "helper", "ok",
        ("model", "scripted/helper", "ok"),
        ("tool", "work_out", "ok"),
        ("model", "scripted/helper", "ok"),
    )  # fmt: skip
    assert [
        (
            "run", "assistant", "stopped",
            ("model", MODEL, "failed"),
            ("retry", "Waiting to try again", "ok"),
            ("model", MODEL, "ok"),
            ("tool", "write", "ok", ("decision", "Your decision", "ok")),
            ("tool", "ask_helper", "ok", helper),
            ("model", MODEL, "stopped"),
        )
    ] == tree(told.story.spans)  # fmt: skip
    assert told.is_recorded
    assert "feedfacecafe" == told.story.request_id
    failed, answered = [
        span for span in told.story.spans if span.kind == "model" and span.run_id == told.story.run_id
    ][:2]
    assert ("overloaded", "busy", None) == (failed.code, failed.message, failed.usage)
    assert Usage(100, 20, 0, 7) == answered.usage
    decided = next(span for span in told.story.spans if span.kind == "decision")
    assert "approved, for this call" == decided.decided


async def test_a_span_lies_inside_the_one_it_is_part_of(open_desk: Open) -> None:
    async with open_desk() as desk:
        story = (await eventful(desk)).story

    by_id = {span.id: span for span in story.spans}
    assert len(by_id) == len(story.spans)
    seen: set[str] = set()
    for span in story.spans:
        assert span.parent_id is None or span.parent_id in seen, "after the one it is in"
        seen.add(span.id)
        assert span.end_ms is not None
        assert span.start_ms <= (span.first_ms or span.start_ms) <= span.end_ms
        if span.parent_id is not None:
            above = by_id[span.parent_id]
            assert above.start_ms <= span.start_ms
            assert above.end_ms is not None
            assert span.end_ms <= above.end_ms


async def test_each_moment_counts_once(open_desk: Open) -> None:
    async with open_desk() as desk:
        told = await eventful(desk)

    why = told.why_slow
    assert why.total_ms == sum(share.ms for share in why.shares)
    assert [share.ms for share in why.shares] == sorted((share.ms for share in why.shares), reverse=True)
    assert {"agents", "retry"} <= {share.cause for share in why.shares}
    assert why.shares[0].words in why.summary


async def test_what_the_model_took_is_told_apart_from_its_first_word(open_desk: Open) -> None:
    async with open_desk([Pause(0.3), "Slow ", Pause(0.1), "answer"]) as desk:
        reply = await ended(desk.app, await desk.ask())
        told = await desk.app.recordings.story(reply.run_id or 0)

    shares = {share.cause: share.ms for share in told.why_slow.shares}
    assert "first_byte" == told.why_slow.shares[0].cause
    assert shares["first_byte"] > shares["generation"] > 0
    assert "most of it waiting for the model's first word" in told.why_slow.summary


async def test_what_the_window_took_is_told_once_the_answer_is_there(open_desk: Open) -> None:
    shown = ReplyShown(after_ms=700, drawings=212, drawing_ms=340, longest_ms=24)
    async with open_desk([Pause(0.05), "An answer"]) as desk:
        reply = await ended(desk.app, await desk.ask())
        run_id = reply.run_id or 0
        before = await desk.app.recordings.story(run_id)
        assert await desk.app.recordings.note_shown(run_id, shown)
        assert not await desk.app.recordings.note_shown(run_id, shown), "it is known already"
        assert not await desk.app.recordings.note_shown(4711, shown)
        told = await desk.app.recordings.story(run_id)
        replayed = await desk.app.recordings.replay(run_id)
        exported = await desk.app.recordings.text(run_id, "json")

    window = told.story.spans[-1]
    root = told.story.spans[0]
    assert ("render", "ok", root.id, 700) == (
        window.kind,
        window.status,
        window.parent_id,
        (window.end_ms or 0) - window.start_ms,
    )
    assert root.end_ms == window.start_ms, "it begins where the run ends"
    assert "Drawn 212 times, 340 ms of work in all, at most 24 ms at once." == window.message
    assert before.why_slow.total_ms + 700 == told.why_slow.total_ms
    assert told.why_slow.total_ms == sum(share.ms for share in told.why_slow.shares)
    assert ("render", 700, "showing the answer") == msgspec.structs.astuple(told.why_slow.shares[0])
    assert told.why_slow.summary.endswith("Meanwhile the window was drawing for 340 ms.")
    assert "render" not in {share.cause for share in before.why_slow.shares}
    assert replayed.is_identical, "how it was shown is not part of what happened"
    assert 212 == json.loads(exported)["runs"][0]["facts"][-1]["fact"]["drawings"]


async def test_nothing_is_noted_of_a_run_that_goes_on_or_was_not_recorded(open_desk: Open) -> None:
    shown = ReplyShown(after_ms=1, drawings=1, drawing_ms=1, longest_ms=1)
    hang = Hang()
    async with open_desk(["Almost ", hang], "Quick") as desk:
        message_id = await desk.ask()
        await hang.reached.wait()
        running = await desk.stored(message_id)
        assert not await desk.app.recordings.note_shown(running.run_id or 0, shown)
        await desk.app.runs.stop(message_id)
        assert await desk.app.recordings.note_shown(running.run_id or 0, shown)

        await desk.app.settings.change({"records_runs": False})
        unrecorded = await ended(desk.app, await desk.ask())
        assert not await desk.app.recordings.note_shown(unrecorded.run_id or 0, shown)
        assert not (await desk.app.recordings.story(unrecorded.run_id or 0)).is_recorded


async def test_a_node_opens_to_what_was_in_it(open_desk: Open) -> None:
    async with open_desk() as desk:
        story = (await eventful(desk)).story
        texts: dict[str, dict[str, str]] = {}
        for span in story.spans:
            content = await desk.app.recordings.content(span.run_id, span.n)
            texts.setdefault(span.name, {section.title: section.text for section in content.sections})
        answered = [span for span in story.spans if span.kind == "model"][1]
        content = await desk.app.recordings.content(answered.run_id, answered.n)
        with pytest.raises(NotFound):
            await desk.app.recordings.content(story.run_id, 4711)

    assert ["Arguments", "What you were asked", "Your decision", "Result"] == list(texts["write"])
    assert ("{}", "written") == (texts["write"]["Arguments"], texts["write"]["Result"])
    assert "Forty-two." == texts["ask_helper"]["Result"]
    sections = {section.title: section.text for section in content.sections}
    assert "I ask. " == sections["Answer"]
    assert "What is it?" == json.loads(sections["Request: history"])[0]["text"]
    assert "ask_helper" in sections["Request: tools"]
    assert {"overloaded"} == {json.loads(texts[MODEL]["Failure"])["code"]}


async def test_opentelemetry_reads_our_export(open_desk: Open) -> None:
    async with open_desk() as desk:
        story = (await eventful(desk)).story
        text = await desk.app.recordings.text(story.run_id, "otlp")

    # The JSON form has ids in hex, which protobuf's own reader takes for base64; nothing else differs.
    document = json.loads(text)
    (scope,) = document["resourceSpans"][0]["scopeSpans"]
    for span in scope["spans"]:
        assert (16, 8) == (len(bytes.fromhex(span["traceId"])), len(bytes.fromhex(span["spanId"])))
    request = Parse(text, ExportTraceServiceRequest())
    spans = request.resource_spans[0].scope_spans[0].spans
    by_name = {span.name: span for span in spans}
    answered = [span for span in spans if span.name == f"chat {MODEL}"][1]
    facts = {each.key: each.value for each in answered.attributes}
    assert len(story.spans) == len(spans)
    assert {"invoke_agent assistant", "invoke_agent helper", "execute_tool write"} <= by_name.keys()
    assert 120 == facts["gen_ai.usage.input_tokens"].int_value
    assert "model" == facts["gen_ai.request.model"].string_value
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert "What is it?" not in text, "what was said is not in a trace"


async def test_the_exported_run_is_whole_and_fits_its_schema(open_desk: Open) -> None:
    import jsonschema

    async with open_desk() as desk:
        story = (await eventful(desk)).story
        text = await desk.app.recordings.text(story.run_id, "json")
        file = await desk.app.store.read(runs.recording, story.run_id)

    assert run_file.read(text.encode()) == file
    assert (FORMAT, VERSION) == (file.format, file.version)
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text("utf-8")))
    assert msgspec.json.decode(text, type=RunFile).runs[0].status == "stopped"


async def test_a_request_leads_to_its_runs_and_errors(open_desk: Open) -> None:
    async with open_desk() as desk:
        told = await eventful(desk)
        by_request = await desk.app.recordings.trace("feedfacecafe")
        by_run = await desk.app.recordings.trace(str(told.story.run_id))
        with pytest.raises(NotFound, match="Nothing is known"):
            await desk.app.recordings.trace("000000000000")

    assert [told.story.run_id] == [each.story.run_id for each in by_request.runs]
    assert by_request == by_run


async def test_a_run_whose_recording_was_cleared_away_says_so(open_desk: Open) -> None:
    async with open_desk("Hi") as desk:
        reply = await ended(desk.app, await desk.ask())
        await desk.app.store.write(lambda db: db.sql.execute("delete from run_event").rowcount)
        told = await desk.app.recordings.story(reply.run_id or 0)
        with pytest.raises(NotFound, match="not recorded"):
            await desk.app.recordings.file(reply.run_id or 0)

    assert not told.is_recorded
    assert ["complete", "ok"] == [told.story.status, told.story.spans[0].status]
