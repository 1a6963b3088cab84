"""A story as OpenTelemetry reads it: OTLP in its JSON form.

Names of attributes follow the semantic conventions for generative AI (gen_ai.*, 1.37). What was said is not
in it: those who read traces are often not those who may read conversations. It is in the run's own document.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deskside.backend.recordings.story import Mark, Span, Story

INTERNAL, CLIENT = 1, 3
OK, ERROR = 1, 2
OPERATIONS = {"run": "invoke_agent", "model": "chat", "side_call": "chat", "tool": "execute_tool"}
# As the conventions name those that have a name there.
PROVIDERS = {"openai": "openai", "anthropic": "anthropic"}


def otlp(story: Story) -> str:
    """The story as one `ExportTraceServiceRequest`."""
    marks: dict[str, list[Mark]] = {}
    for mark in story.marks:
        marks.setdefault(mark.span_id, []).append(mark)
    spans = [_span(story, span, marks.get(span.id, [])) for span in story.spans]
    resource = _attributes({"service.name": "deskside", "service.version": story.program})
    scope = {"name": "deskside.recorder", "version": story.program}
    document = {
        "resourceSpans": [
            {"resource": {"attributes": resource}, "scopeSpans": [{"scope": scope, "spans": spans}]}
        ]
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def _span(story: Story, span: Span, marks: list[Mark]) -> dict[str, Any]:
    end_ms = story.end_ms if span.end_ms is None else span.end_ms
    operation = OPERATIONS.get(span.kind)
    found: dict[str, Any] = {
        "traceId": story.trace_id,
        "spanId": span.id,
        "name": f"{operation} {span.name}" if operation else span.name,
        "kind": CLIENT if span.kind in ("model", "side_call") else INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start_ms),
        "endTimeUnixNano": _nanoseconds(max(end_ms, span.start_ms)),
        "attributes": _attributes(_facts(story, span)),
        "events": [_event(mark) for mark in marks] + _first_byte(span),
        "status": _status(span),
    }
    if span.parent_id is not None:
        found["parentSpanId"] = span.parent_id
    return found


def _facts(story: Story, span: Span) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "gen_ai.operation.name": OPERATIONS.get(span.kind),
        "deskside.span.kind": span.kind,
        "deskside.run.id": span.run_id,
        "deskside.request.id": story.request_id,
        "gen_ai.conversation.id": str(story.conversation_id),
        "error.type": span.code or ("failed" if span.status == "failed" else None),
        "deskside.decision": span.decided or None,
    }
    if span.kind == "run":
        facts["gen_ai.agent.name"] = span.name
    elif span.kind == "tool":
        facts |= {"gen_ai.tool.name": span.name, "gen_ai.tool.call.id": span.call_id}
    elif span.kind in ("model", "side_call"):
        provider, _, model = span.name.partition("/")
        facts |= {
            "gen_ai.provider.name": PROVIDERS.get(provider, provider),
            "gen_ai.request.model": model,
            "deskside.call.id": span.call_id,
            "deskside.step": span.step,
            "deskside.cost_nano_usd": span.cost_nano_usd,
            "deskside.cost_is_partial": span.is_partial_cost or None,
        }
        if span.usage is not None:
            used = span.usage
            facts |= {
                # The conventions count what the cache gave as input, too.
                "gen_ai.usage.input_tokens": used.input_tokens
                + used.cache_read_tokens
                + used.cache_write_tokens,
                "gen_ai.usage.output_tokens": used.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": used.cache_read_tokens,
                "gen_ai.usage.cache_creation.input_tokens": used.cache_write_tokens,
                "deskside.usage.reasoning_tokens": used.reasoning_tokens,
            }
    return facts


def _first_byte(span: Span) -> list[dict[str, Any]]:
    if span.first_ms is None or span.kind == "tool":
        return []
    return [{"timeUnixNano": _nanoseconds(span.first_ms), "name": "first byte", "attributes": []}]


def _event(mark: Mark) -> dict[str, Any]:
    return {"timeUnixNano": _nanoseconds(mark.at_ms), "name": mark.kind, "attributes": []}


def _status(span: Span) -> dict[str, Any]:
    if span.status in ("failed", "denied"):
        return {"code": ERROR, "message": span.code or span.status}
    return {"code": OK} if span.status == "ok" else {}


def _nanoseconds(ms: int) -> str:
    return str(ms * 1_000_000)


def _attributes(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Without those that are not known. Whole numbers are texts in OTLP's JSON."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in facts.items()
        if value is not None and value != ""
    ]
