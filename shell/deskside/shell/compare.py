"""`deskside trace RUN --compare OTHER`: two runs side by side, as text or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.paths import Paths
from deskside.backend.recordings.durations import in_seconds
from deskside.backend.recordings.recordings import is_run_id
from deskside.backend.recordings.side_by_side import ComparedRuns, ComparedStep, RunTotals, StepPair
from deskside.backend.recordings.steps import Aspect
from deskside.shell.running import session
from deskside.shell.trace import KINDS, SIGNS

PAIR_SIGNS = {"same": "=", "changed": "~", "only_left": "<", "only_right": ">"}
WORDS: dict[Aspect, str] = {
    "model": "Model",
    "outcome": "How it ended",
    "instructions": "Instructions",
    "settings": "Settings",
    "tools": "Tools that it was offered",
    "conversation": "Conversation before",
    "thinking": "Thinking",
    "answer": "Answer",
    "calls": "Tools that it asked for",
    "arguments": "Arguments",
    "decision": "Your decision",
    "result": "Result",
}
UNKNOWN = "?"
NAME_WIDTH = 36


def compare(paths: Paths, level: str, arguments: argparse.Namespace) -> None:
    """Print two runs side by side. Raises InvalidRequest, and Refused with the backend's words."""
    if arguments.otlp:
        raise InvalidRequest("--compare cannot be printed for OpenTelemetry.", hint="Use --json.")
    if not is_run_id(arguments.id):
        raise InvalidRequest(
            f"{arguments.id!r} is not the number of a run.",
            hint="deskside trace says which runs a request asked for; --compare takes their numbers.",
        )
    with session(paths, level) as client:
        params = {"left_run": int(arguments.id), "right_run": arguments.compare}
        found = client.call("recordings.compare", params)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), flush=True)
        return
    for line in _lines(msgspec.convert(found, ComparedRuns)):
        print(line, flush=True)


def _lines(found: ComparedRuns) -> Iterator[str]:
    for name, values in _table(found.left, found.right):
        yield f"{name:<16}{''.join(f'{value:<{NAME_WIDTH}}' for value in values)}".rstrip()
    counts = {kind: sum(pair.kind == kind for pair in found.pairs) for kind in PAIR_SIGNS}
    yield ""
    yield (
        f"{counts['same']} same (=), {counts['changed']} changed (~), {counts['only_left']} only in run "
        f"{found.left.run_id} (<), {counts['only_right']} only in run {found.right.run_id} (>)"
    )
    for pair in found.pairs:
        yield from _of_pair(pair)


def _table(left: RunTotals, right: RunTotals) -> Iterator[tuple[str, list[str]]]:
    both = left, right
    yield "", [f"run {each.run_id}" for each in both]
    yield "agent", [each.agent for each in both]
    yield "model", [each.model for each in both]
    yield "ended", [each.status for each in both]
    yield "time", _with_delta(left.took_ms, right.took_ms, in_seconds)
    yield "first word", _with_delta(left.first_ms, right.first_ms, in_seconds)
    yield "model calls", _with_delta(left.model_calls, right.model_calls)
    yield "tool calls", _with_delta(left.tool_calls, right.tool_calls)
    for name, field in (
        ("input", "input_tokens"),
        ("cache read", "cache_read_tokens"),
        ("cache write", "cache_write_tokens"),
        ("output", "output_tokens"),
        ("reasoning", "reasoning_tokens"),
    ):
        yield name, _with_delta(getattr(left.usage, field), getattr(right.usage, field))
    if any(each.unknown_calls or each.partial_calls for each in both):
        yield "cost", [_cost(each) for each in both]
    else:
        yield "cost", _with_delta(left.cost_nano_usd, right.cost_nano_usd, _dollars)


def _cost(totals: RunTotals) -> str:
    """A sum that never looks whole where it is not."""
    if totals.used_calls and totals.unknown_calls == totals.used_calls:
        return UNKNOWN
    known = _dollars(totals.cost_nano_usd)
    return f"at least {known}" if totals.unknown_calls or totals.partial_calls else known


def _dollars(nano_usd: int) -> str:
    return f"${nano_usd / 1e9:.6f}"


def _with_delta(left: int | None, right: int | None, shown: Callable[[int], str] = str) -> list[str]:
    texts = [UNKNOWN if each is None else shown(each) for each in (left, right)]
    if left is None or right is None or left == right:
        return texts
    sign = "+" if right > left else "-"
    return [texts[0], f"{texts[1]} ({sign}{shown(abs(right - left))})"]


def _of_pair(pair: StepPair) -> Iterator[str]:
    indent = "  " * pair.depth
    left, right = _step(pair.left), _step(pair.right)
    yield f"{PAIR_SIGNS[pair.kind]} {indent}{left:<{2 * NAME_WIDTH - len(indent)}} {right}".rstrip()
    for each in pair.differences:
        yield f"    {indent}{WORDS[each.aspect]}{': as above' if each.is_repeated else ''}"
        for line in each.diff.splitlines():
            yield f"      {indent}{line}"


def _step(step: ComparedStep | None) -> str:
    if step is None:
        return ""
    took = UNKNOWN if step.took_ms is None else in_seconds(step.took_ms)
    return f"{SIGNS[step.status]} {KINDS[step.kind]} {step.name} ({took})"
