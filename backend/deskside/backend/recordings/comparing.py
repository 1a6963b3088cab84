"""Two sequences of what happened in a run, compared: what a model was asked, and each event of the loop.

Both are first brought to a form in which what differs from time to time is not seen: ids of calls, times,
how long a retry waited, the order in which tools that ran side by side were done.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    Finished,
    HistoryItem,
    ModelFellBack,
    ModelRequest,
    RunEvent,
    SideCallStarted,
    StepRetried,
    StepStarted,
    Summary,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
    UserFile,
    UserText,
)

TOOL_EVENTS = ToolWaiting | ToolDecided | ToolStarted | ToolFinished
# Of an event, what says nothing about how a run went.
PASSING = frozenset({"delay_s", "duration_ms", "asked_ms", "decided_ms", "id"})
CONTEXT_LINES = 3
LONGEST_DIFF = 20_000


class RunDifference(msgspec.Struct, frozen=True):
    """One difference. `n` is the fact of the first run that it is about, None for what only the second has;
    `what` says it in a sentence, `diff` line by line."""

    run_id: int
    n: int | None
    kind: Literal["changed", "missing", "added"]
    what: str
    diff: str = ""


@dataclass(frozen=True)
class Happened:
    """One thing that happened, as it is compared. Of a request, `sections` are compared one by one, and the
    `key` says only that there was one."""

    n: int | None
    name: str
    key: str
    sections: tuple[tuple[str, str], ...] = ()


def of_request(n: int | None, request: ModelRequest) -> Happened:
    """What a model was asked. Files are seen by their names and texts."""
    sections = [("instructions", request.instructions), ("settings", settings_text(request))]
    sections += [(f"tool {tool.name!r}", lines_of(msgspec.to_builtins(tool))) for tool in request.tools]
    sections += [("history", history_text(request.history))]
    return Happened(n, "request to the model", "request", tuple(sections))


def of_event(n: int | None, event: RunEvent) -> Happened:
    """One event of the loop."""
    plain = _without_passing(msgspec.to_builtins(event))
    if isinstance(event, StepStarted | StepRetried | ModelFellBack | SideCallStarted):
        plain.pop("call_id")
    kind = str(plain.pop("type"))
    return Happened(n, _name(event, kind), f"{kind}\n{lines_of(plain)}")


def in_order(
    events: Iterable[tuple[int | None, RunEvent]], left_open: Sequence[ToolRequested]
) -> Iterator[tuple[int | None, RunEvent]]:
    """Events of tools that ran side by side, those of each call together, in the order of the requests.
    `left_open` are those of an earlier run."""
    places = {request.call_id: place for place, request in enumerate(left_open)}
    together: list[tuple[int | None, RunEvent]] = []

    def sorted_together() -> list[tuple[int | None, RunEvent]]:
        done = sorted(together, key=lambda each: places.get(getattr(each[1], "call_id", ""), 0))
        together.clear()
        return done

    for n, event in events:
        if isinstance(event, ToolRequested):
            places[event.call_id] = len(places)
        if isinstance(event, TOOL_EVENTS):
            together.append((n, event))
            continue
        yield from sorted_together()
        yield n, event
    yield from sorted_together()


def differences(run_id: int, before: Sequence[Happened], after: Sequence[Happened]) -> list[RunDifference]:
    """What is other in the second sequence. A section of a request that has changed is told once, not again
    for each request that repeats it."""
    found: list[RunDifference] = []
    told: set[tuple[str, str]] = set()
    matcher = difflib.SequenceMatcher(
        None, [each.key for each in before], [each.key for each in after], autojunk=False
    )
    for tag, first, end, other_first, other_end in matcher.get_opcodes():
        ours, others = before[first:end], after[other_first:other_end]
        if tag == "equal":
            for one, other in zip(ours, others, strict=True):
                found += _in_sections(run_id, one, other, told)
            continue
        paired = 0
        while paired < min(len(ours), len(others)) and ours[paired].name == others[paired].name:
            one, other = ours[paired], others[paired]
            what = f"The {one.name} is another one."
            found.append(RunDifference(run_id, one.n, "changed", what, line_diff(one.key, other.key)))
            paired += 1
        for one in ours[paired:]:
            found.append(
                RunDifference(run_id, one.n, "missing", f"The {one.name} is missing.", line_diff(one.key, ""))
            )
        for other in others[paired:]:
            found.append(
                RunDifference(
                    run_id, None, "added", f"There is a {other.name} more.", line_diff("", other.key)
                )
            )
    return found


def _in_sections(
    run_id: int, one: Happened, other: Happened, told: set[tuple[str, str]]
) -> Iterator[RunDifference]:
    before, after = dict(one.sections), dict(other.sections)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) == after.get(name):
            continue
        if name not in after or name not in before:
            kind: Literal["missing", "added"] = "missing" if name not in after else "added"
            what = f"The {name} is not offered any more." if kind == "missing" else f"The {name} is new."
        diff = line_diff(before.get(name, ""), after.get(name, ""))
        if (name, diff) in told:
            continue
        told.add((name, diff))
        if name in before and name in after:
            yield RunDifference(run_id, one.n, "changed", f"The model is asked with other {name}.", diff)
        else:
            yield RunDifference(run_id, one.n, kind, what, diff)


def line_diff(before: str, after: str, before_name: str = "recorded", after_name: str = "now") -> str:
    """A unified diff, cut where it is very long."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), before_name, after_name, n=CONTEXT_LINES, lineterm=""
    )
    text = "\n".join(lines)
    return text if len(text) <= LONGEST_DIFF else f"{text[:LONGEST_DIFF]}\n… and more"


def settings_text(request: ModelRequest) -> str:
    """How a model was asked, beside what is said to it; one setting a line."""
    return lines_of(
        {
            "max_output_tokens": request.max_output_tokens,
            "temperature": request.temperature,
            "reasoning_effort": request.reasoning_effort,
            "output_schema": request.output_schema,
            "may_use_tools": request.may_use_tools,
        }
    )


def history_text(items: Iterable[HistoryItem]) -> str:
    """What was said before, without ids. Files are seen by their names and texts."""
    return "\n\n".join(map(_item, items))


def lines_of(value: Any) -> str:
    """One value a line, long texts with their own lines."""
    text = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1).decode()
    return text.replace("\\n", "\n")


def _item(item: HistoryItem) -> str:
    match item:
        case UserText(text=text):
            return f"user:\n{text}"
        case UserFile(name=name, sha256=sha256, text=text):
            return f"file {name} ({sha256[:12]}):\n{text or ''}"
        case Summary(text=text):
            return f"summary:\n{text}"
        case AssistantText(text=text):
            return f"assistant:\n{text}"
        case AssistantReasoning(text=text):
            return f"assistant, thinking:\n{text}"
        case ToolRequested(name=name, arguments=arguments):
            return f"call of {name}:\n{arguments}"
        case ToolFinished(output=output, failed=failed):
            return f"{'failure' if failed else 'result'}:\n{output}"


def _name(event: RunEvent, kind: str) -> str:
    match event:
        case ToolRequested(name=name):
            return f"call of the tool {name!r}"
        case ToolFinished():
            return "result of a tool"
        case Finished():
            return "end of the run"
        case _:
            return f"event {kind.replace('_', ' ')!r}"


def _without_passing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_passing(each) for key, each in value.items() if key not in PASSING}
    return [_without_passing(each) for each in value] if isinstance(value, list) else value
