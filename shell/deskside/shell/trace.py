"""`deskside trace ID`: all that one request led to, as text, as JSON, or for OpenTelemetry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime

import msgspec

from deskside.backend.paths import Paths
from deskside.backend.recordings.durations import in_seconds
from deskside.backend.recordings.recordings import RunStory, Trace
from deskside.backend.recordings.story import Mark, Span, Story
from deskside.shell.running import session

SIGNS = {"ok": " ", "failed": "!", "denied": "-", "stopped": "x", "open": "?"}
KINDS = {
    "run": "agent",
    "queue": "wait",
    "model": "model",
    "side_call": "summary",
    "tool": "tool",
    "decision": "you",
    "pause": "you",
    "retry": "retry",
    "store": "store",
    "render": "window",
}


def trace(paths: Paths, level: str, arguments: argparse.Namespace) -> None:
    """Print what is known of a request or a run. Raises Refused with the backend's words."""
    with session(paths, level) as client:
        found = client.call("recordings.trace", {"id": arguments.id})
        if arguments.otlp:
            for each in found["runs"]:
                params = {"run_id": each["story"]["run_id"], "format": "otlp"}
                print(client.call("recordings.text", params), end="", flush=True)
            return
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), flush=True)
        return
    for line in _lines(msgspec.convert(found, Trace)):
        print(line, flush=True)


def _lines(found: Trace) -> Iterator[str]:
    yield f"Request {found.id}"
    for each in found.runs:
        yield ""
        yield from _of_run(each)
    if found.errors:
        yield ""
        yield "Errors"
        for error in found.errors:
            yield f"  {_clock(error.at_ms)}  {error.source} {error.code}: {error.message} ({error.place})"
    if found.log_lines:
        yield ""
        yield "Log"
        for line in found.log_lines:
            yield f"  {_in_short(line)}"


class _LogEntry(msgspec.Struct):
    """What a person reads of a line of the log; see backend/log.py."""

    time: datetime
    level: str
    module: str
    line: int
    message: str


_read_entry = msgspec.json.Decoder(_LogEntry).decode


def _in_short(line: str) -> str:
    """A line of the log; one of another form as it is."""
    try:
        entry = _read_entry(line)
    except msgspec.DecodeError:
        return line
    at = _clock(1000 * entry.time.timestamp())
    return f"{at}  {entry.level:<7} {entry.message}  ({entry.module}:{entry.line})"


def _of_run(told: RunStory) -> Iterator[str]:
    story = told.story
    command = f", asked for by {story.command}" if story.command else ""
    yield f"Run {story.run_id}: {story.status}, {story.model}{command}, Deskside {story.program}"
    yield f"  trace {story.trace_id}, conversation {story.conversation_id}, message {story.message_id}"
    if not told.is_recorded:
        yield "  How it went was not recorded, or was cleared away."
        return
    yield f"  {told.why_slow.summary}"
    depths: dict[str, int] = {}
    marks = list(story.marks)
    for span in story.spans:
        while marks and marks[0].at_ms < span.start_ms:
            yield _mark_line(story, marks.pop(0))
        depths[span.id] = 0 if span.parent_id is None else depths.get(span.parent_id, 0) + 1
        yield _span_line(story, span, depths[span.id])
    for mark in marks:
        yield _mark_line(story, mark)


def _span_line(story: Story, span: Span, depth: int) -> str:
    took = "?" if span.end_ms is None else in_seconds(span.end_ms - span.start_ms)
    head = f"{_since(story, span.start_ms)} {took:>9} {SIGNS[span.status]} {'  ' * depth}"
    return f"{head}{KINDS[span.kind]:<7} {span.name}{_details(span)}"


def _details(span: Span) -> str:
    parts: list[str] = []
    if span.kind in ("model", "side_call") and span.first_ms is not None:
        parts.append(f"first word after {in_seconds(span.first_ms - span.start_ms)}")
    if span.usage is not None:
        used = span.usage
        cached = f" ({used.cache_read_tokens} from the cache)" if used.cache_read_tokens else ""
        read = used.input_tokens + used.cache_read_tokens + used.cache_write_tokens
        parts.append(f"{read} tokens in{cached}, {used.output_tokens} out")
        parts.append(_cost(span))
    parts += [text for text in (span.decided, span.code, span.message) if text]
    return f"  [{'; '.join(parts)}]" if parts else ""


def _cost(span: Span) -> str:
    if span.cost_nano_usd is None:
        return "cost unknown"
    return f"{'at least ' if span.is_partial_cost else ''}${span.cost_nano_usd / 1e9:.6f}"


def _mark_line(story: Story, mark: Mark) -> str:
    return f"{_since(story, mark.at_ms)} {'':>9} *   {mark.text}"


def _since(story: Story, at_ms: int) -> str:
    return f"  {(at_ms - story.start_ms) / 1000:>9.3f}"


def _clock(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000).strftime("%H:%M:%S")
