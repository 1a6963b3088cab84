"""The scripted model does what its script says, as a real one would."""

from __future__ import annotations

import asyncio

import pytest
from model_calls import HELLO, end_of, play, play_until, requested, text_of

from deskside.backend.agent.events import (
    StepFinished,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolRequested,
    Usage,
    UsageReported,
)
from deskside.backend.agent.scripted_model import Hang, Pause, ScriptedModel, ScriptItem, in_chunks
from deskside.backend.errors import Internal, RateLimited


async def test_each_call_plays_the_next_step_and_is_recorded() -> None:
    model = ScriptedModel(
        ["Hello!", [*in_chunks("How are you?", 5), UsageReported(Usage(3, output_tokens=4))]]
    )

    first, second = await play(model), await play(model)

    assert [TextDelta("Hello!"), StepFinished("answered")] == first
    assert "How are you?" == text_of(second)
    assert 5 == len(second)
    assert [HELLO, HELLO] == model.requests


async def test_a_tool_call_gets_what_every_provider_sends_before_it() -> None:
    model = ScriptedModel([[ToolRequested("1", "add", '{"a": 1}')]])

    assert [
        ToolCallStarted("1", "add"),
        ToolArgumentsDelta("1", '{"a": 1}'),
        ToolRequested("1", "add", '{"a": 1}'),
        StepFinished("tool_use"),
    ] == await play(model)


async def test_a_step_that_says_how_it_ends_is_played_as_it_is() -> None:
    request = ToolRequested("1", "add", "{}")
    calls: list[ScriptItem] = [ToolCallStarted("1", "add"), request, StepFinished("length", "cut")]

    events = await play(ScriptedModel([calls]))

    assert calls == events
    assert [("add", "{}")] == requested(events)


async def test_an_error_comes_after_what_was_said() -> None:
    model = ScriptedModel(
        [["one ", "two ", RateLimited("Slow down.", retry_after_s=1.0), "three"], "Better."]
    )

    said, _ = await play_until(RateLimited, model)

    assert "one two " == text_of(said)
    assert "Better." == text_of(await play(model))


async def test_a_model_that_hangs_goes_on_when_released() -> None:
    hang = Hang()
    task = asyncio.create_task(play(ScriptedModel([["before ", hang, Pause(0), "after"]])))
    await hang.reached.wait()

    assert not task.done()
    hang.release()

    assert "before after" == text_of(await task)
    assert not hang.was_cancelled


async def test_a_model_that_hangs_can_be_cancelled() -> None:
    hang = Hang()
    task = asyncio.create_task(play(ScriptedModel([["before ", hang]])))
    await hang.reached.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert hang.was_cancelled


async def test_a_script_can_be_continued_and_says_when_it_is_over() -> None:
    model = ScriptedModel(name="scripted/demo")
    model.enqueue("one")
    await play(model)

    with pytest.raises(Internal, match="scripted/demo has no step for call 2"):
        await play(model)

    assert "scripted/demo" == model.name


async def test_it_ends_as_a_real_answer_does() -> None:
    assert ("answered", "") == end_of(await play(ScriptedModel(["x"])))
