"""A recorded run as the steps of which it is made, each with the texts by which two of them are compared:
calls of models and of tools, and inside a tool that is another agent, that agent's steps.

Of what a model was asked, only what no step before has shown is a text of its step. A request repeats the
whole conversation, so one other result of a tool would make every later call another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    HistoryItem,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolRequested,
)
from deskside.backend.recordings.comparing import history_text, lines_of, settings_text
from deskside.backend.recordings.run_file import RunFile
from deskside.backend.recordings.script import ModelCall, Script, ToolCall, has_begun, script_of
from deskside.backend.recordings.story import Span, Story

Aspect = Literal[
    "model",
    "outcome",
    "instructions",
    "settings",
    "tools",
    "conversation",
    "thinking",
    "answer",
    "calls",
    "arguments",
    "decision",
    "result",
]
"""What of a step can be other. `tools` are those that a model is offered, `calls` the names of those that it
asks for."""

SHOWN_BY_STEPS = AssistantText | AssistantReasoning | ToolRequested | ToolFinished


@dataclass(frozen=True, eq=False)
class Step:
    """One call. An aspect that it does not have is not among its texts. `was_tried_again`: a model call that
    another one took the place of. `history` is all that a model read; of a run's first call, its text is the
    aspect `conversation`."""

    span: Span
    texts: dict[Aspect, str]
    inside: list[Step]
    was_tried_again: bool = False
    history: Sequence[HistoryItem] = ()
    is_first: bool = False


def steps_of(file: RunFile, story: Story) -> list[Step]:
    """The steps of the run that was asked for, in order."""
    inside: dict[str | None, list[Span]] = {}
    last: dict[tuple[int, int | None], int] = {}  # model call by run and step
    for span in story.spans:
        inside.setdefault(span.parent_id, []).append(span)
        if span.kind == "model":
            last[span.run_id, span.step] = span.n
    scripts = {run.id: script_of(file, run) for run in file.runs if has_begun(run)}
    calls = {id: _calls_of(script) for id, script in scripts.items()}

    def below(span_id: str) -> list[Step]:
        found: list[Step] = []
        for span in inside.get(span_id, []):
            if span.kind == "run":
                found += below(span.id)
            elif span.kind in ("model", "side_call", "tool"):
                was_tried_again = span.kind == "model" and span.n != last[span.run_id, span.step]
                called = calls[span.run_id][span.n]
                found.append(_step(span, called, below(span.id), was_tried_again=was_tried_again))
        return found

    return below(story.spans[0].id)


@dataclass(frozen=True)
class _Asked:
    """A call of a model, and what of its history no step before it has shown."""

    call: ModelCall
    news: Sequence[HistoryItem]
    is_first: bool


def _calls_of(script: Script) -> dict[int, _Asked | ToolCall]:
    found: dict[int, _Asked | ToolCall] = {}
    before: Sequence[HistoryItem] | None = None
    for call in script.model_calls:
        history = call.request.history
        if call.asked.call_id in script.side_calls:
            found[call.n] = _Asked(call, history, is_first=False)
            continue
        found[call.n] = _Asked(call, _new_in(before, history), before is None)
        if call.failure is None:  # one that is made again is asked the same
            before = history
    of_tools = (call for calls in script.tool_calls.values() for call in calls)
    return found | {call.n: call for call in of_tools if call.n is not None}


def _step(span: Span, called: _Asked | ToolCall, inside: list[Step], *, was_tried_again: bool) -> Step:
    if isinstance(called, ToolCall):
        return Step(span, _said(_of_tool(called, span)), inside)
    texts = _said(_of_model(called.call, span, called.news))
    return Step(span, texts, inside, was_tried_again, called.call.request.history, called.is_first)


def _new_in(before: Sequence[HistoryItem] | None, history: Sequence[HistoryItem]) -> Sequence[HistoryItem]:
    """What the steps so far have not shown. Of a history that was made shorter that is all of it."""
    if before is None or history[: len(before)] != before:
        return history
    return [item for item in history[len(before) :] if not isinstance(item, SHOWN_BY_STEPS)]


def _of_model(call: ModelCall, span: Span, news: Iterable[HistoryItem]) -> dict[Aspect, str]:
    request = call.request
    return {
        "model": span.name,
        "outcome": "\n".join(text for text in (span.status, span.code, span.message) if text),
        "instructions": request.instructions,
        "settings": settings_text(request),
        "tools": "\n".join(lines_of(msgspec.to_builtins(tool)) for tool in request.tools),
        "conversation": history_text(news),
        "thinking": "".join(each.text for each in call.events if isinstance(each, ReasoningDelta)),
        "answer": "".join(each.text for each in call.events if isinstance(each, TextDelta)),
        "calls": "\n".join(each.name for each in call.events if isinstance(each, ToolRequested)),
    }


def _of_tool(call: ToolCall, span: Span) -> dict[Aspect, str]:
    arguments = call.request.arguments if call.decided is None else call.decided.arguments
    return {
        "outcome": span.status,
        "arguments": _formatted(arguments),
        "decision": span.decided,
        "result": "" if call.result is None else call.result.output,
    }


def _said(texts: dict[Aspect, str]) -> dict[Aspect, str]:
    return {aspect: text for aspect, text in texts.items() if text}


def _formatted(arguments: str) -> str:
    """JSON that a model wrote, in one form; perhaps it is none."""
    try:
        return lines_of(msgspec.json.decode(arguments))
    except (msgspec.DecodeError, UnicodeEncodeError):
        return arguments
