"""What was in one node of a recorded run, as it was."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import TextDelta, ToolDecided, ToolFinished, ToolRequested, ToolWaiting
from deskside.backend.agent.recording import CallFailed, ModelAsked, ModelSaid
from deskside.backend.errors import NotFound
from deskside.backend.recordings.run_file import FileFact, FileRun, RunFile

LONGEST = 200_000  # characters of one section; the whole is in the export


class Section(msgspec.Struct, frozen=True):
    """One text. `size_bytes` is of the whole, `is_cut` says that not all of it is here."""

    title: str
    text: str
    language: Literal["text", "json"]
    size_bytes: int
    is_cut: bool = False


class NodeContent(msgspec.Struct, frozen=True):
    """All texts of one node, and when it was."""

    run_id: int
    n: int
    at_ms: int
    sections: list[Section]


def content_of(file: RunFile, run_id: int, n: int) -> NodeContent:
    """The raw content of the node at fact `n`: a model call with request and answer, a tool with arguments
    and result, or the fact alone. Raises NotFound."""
    run = next((run for run in file.runs if run.id == run_id), None)
    place = None if run is None else next((i for i, each in enumerate(run.facts) if each.n == n), None)
    if run is None or place is None:
        raise NotFound(f"Run {run_id} has no recorded fact {n}.", hint="Open the run again.")
    each = run.facts[place]
    match each.fact:
        case ModelAsked() as asked:
            sections = _of_model(file, run, place, asked)
        case ToolRequested() as request:
            sections = _of_tool(run, place, request)
        case _:
            sections = [_json("Recorded", each.fact)]
    return NodeContent(run_id, n, each.at_ms, sections)


def _of_model(file: RunFile, run: FileRun, place: int, asked: ModelAsked) -> list[Section]:
    request = file.request(asked)
    settings = {
        "model": asked.model,
        "max_output_tokens": asked.max_output_tokens,
        "temperature": asked.temperature,
        "reasoning_effort": asked.reasoning_effort,
        "output_schema": asked.output_schema,
        "may_use_tools": asked.may_use_tools,
    }
    said: list[Any] = []
    failures: list[CallFailed] = []
    for each in _until_next(run, place, ModelAsked):
        if isinstance(each.fact, ModelSaid) and each.fact.call_id == asked.call_id:
            said += each.fact.groups
        elif isinstance(each.fact, CallFailed) and each.fact.call_id == asked.call_id:
            failures.append(each.fact)
    events = [event for group in said for event in group.events]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    calls = [event for event in events if isinstance(event, ToolRequested)]
    sections = [_text("Answer", text)] if text else []
    sections += [_json("Tools that it asked for", calls)] if calls else []
    sections += [_json("Failure", failure) for failure in failures]
    sections += [
        _json("Request: history", request.history),
        _text("Request: instructions", request.instructions),
        _json("Request: tools", request.tools),
        _json("Request: settings", settings),
    ]
    if events:
        sections.append(_json("Everything the model said, with times", said))
    return [section for section in sections if section.text not in ("", "[]")]


def _of_tool(run: FileRun, place: int, request: ToolRequested) -> list[Section]:
    sections = [_json_text("Arguments", request.arguments)]
    for each in run.facts[place + 1 :]:
        fact = each.fact
        if getattr(fact, "call_id", None) != request.call_id:
            continue
        if isinstance(fact, ToolRequested):
            break
        if isinstance(fact, ToolFinished):
            sections.append(_text("Result" if not fact.failed else "Failure", fact.output))
            break
        if isinstance(fact, ToolWaiting | ToolDecided):
            title = "What you were asked" if isinstance(fact, ToolWaiting) else "Your decision"
            sections.append(_json(title, fact))
    return sections


def _until_next(run: FileRun, place: int, kind: type) -> list[FileFact]:
    found: list[FileFact] = []
    for each in run.facts[place + 1 :]:
        if isinstance(each.fact, kind):
            break
        found.append(each)
    return found


def _json(title: str, value: Any) -> Section:
    return _section(title, msgspec.json.format(msgspec.json.encode(value), indent=2).decode(), "json")


def _json_text(title: str, text: str) -> Section:
    """JSON that a model wrote; perhaps it is none."""
    try:
        return _section(title, msgspec.json.format(text, indent=2), "json")
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _text(title, text)


def _text(title: str, text: str) -> Section:
    return _section(title, text, "text")


def _section(title: str, text: str, language: Literal["text", "json"]) -> Section:
    is_cut = len(text) > LONGEST
    return Section(title, text[:LONGEST], language, len(text.encode("utf-8", "replace")), is_cut)
