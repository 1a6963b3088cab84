"""The figures as Prometheus reads them: text format 0.0.4.

Names and units follow Prometheus' rules: seconds and bytes, counters that end in `_total`. A gauge that could
not be read is left out, as they say. What a scrape sees of the machine is the last sample, at most 30 s old.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deskside.backend.durable import write_durably
from deskside.backend.metrics.metrics import Metrics
from deskside.backend.metrics.timings import BOUNDS_S, Timings
from deskside.backend.version import VERSION

PATH = "/metrics"
TOKEN_CHARACTERS = 43  # 32 bytes in base64
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Row = tuple[str, Mapping[str, str], float]  # what follows the family's name, labels, value

GAUGES = (
    ("process_resident_memory_bytes", "memory_bytes", "Resident memory of all processes of Deskside."),
    (
        "process_open_files",
        "open_files",
        "Open file descriptors (on Windows handles) of all processes of Deskside.",
    ),
    ("process_threads", "threads", "Threads of all processes of Deskside."),
    ("processes", "processes", "Processes of Deskside."),
    ("machine_memory_used_bytes", "machine_memory_bytes", "Memory of the machine that is not available."),
    ("data_folder_free_bytes", "disk_free_bytes", "Free space on the disk of the data folder."),
)
PERCENTAGES = (
    ("process_cpu_ratio", "cpu_percent", "Part of all processors that Deskside used."),
    ("machine_cpu_ratio", "machine_cpu_percent", "Part of all processors that were busy."),
)


def kept_token(file: Path) -> str:
    """The token in a file that only the user can read, made where there is none: a scraper's configuration
    names the file, so it stays the same from start to start. Raises OSError."""
    found = file.read_text("ascii", "replace").strip() if file.exists() else ""
    if len(found) >= TOKEN_CHARACTERS:
        return found
    token = secrets.token_urlsafe(32)
    write_durably(file, token.encode())
    return token


def is_scraper(headers: Iterable[tuple[bytes, bytes]], token: str) -> bool:
    """Whether a request carries the token, in the way that Prometheus' `authorization` sends it."""
    given = [value for name, value in headers if name == b"authorization"]
    wanted = f"Bearer {token}".encode()
    return len(given) == 1 and hmac.compare_digest(given[0], wanted)


def exposition(metrics: Metrics, commands: Timings) -> bytes:
    """Everything, as one text."""
    providers = metrics.providers
    lines = [
        *_family("build_info", "gauge", "Which Deskside this is.", [("", {"version": VERSION}, 1)]),
        *_machine(metrics),
        *_timed("command", "command", "A command of the bridge", commands),
        *_failed("command", "command", commands),
        *_timed("provider_head", "provider", "From a request to the head of its answer", providers.head),
        *_timed("provider_first_word", "provider", "From a request to its first word", providers.first),
        *_timed("provider_answer", "provider", "From a request to the end of its answer", providers.whole),
        *_timed("provider_call", "provider", "A request for an answer, however it ended", providers.all),
        *_failed("provider_call", "provider", providers.all),
        *_spoken(providers.spoken),
        *_timed("tool", "tool", "A call of a tool", metrics.tools),
        *_failed("tool", "tool", metrics.tools),
        *_timed("store_function", "function", "A function of the store, run", metrics.functions),
        *_timed(
            "store_queue", "function", "What a function of the store waited for its turn", metrics.queueing
        ),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _machine(metrics: Metrics) -> Iterator[str]:
    totals, last = metrics.totals, metrics.last
    for name, total, says in (
        ("process_cpu_seconds", totals.cpu_s, "Processor time of all processes of Deskside."),
        ("process_read_bytes", totals.read_bytes, "Bytes that all processes of Deskside read from disks."),
        (
            "process_written_bytes",
            totals.written_bytes,
            "Bytes that all processes of Deskside wrote to disks.",
        ),
        ("sampler_cpu_seconds", totals.sampler_s, "Processor time that taking samples took."),
    ):
        yield from _family(f"{name}_total", "counter", says, [("", {}, total)])
    if last is None:
        return
    for name, field, says in GAUGES:
        yield from _gauge(name, getattr(last, field), says)
    for name, field, says in PERCENTAGES:
        percent = getattr(last, field)
        yield from _gauge(name, None if percent is None else percent / 100, says)
    yield from _gauge("sample_timestamp_seconds", last.at_ms / 1000, "When the last sample was taken.")


def _gauge(name: str, value: float | None, says: str) -> Iterator[str]:
    if value is not None:
        yield from _family(name, "gauge", says, [("", {}, value)])


def _spoken(spoken: Mapping[str, tuple[int, float]]) -> Iterator[str]:
    for name, place, says in (
        ("provider_output_tokens_total", 0, "Tokens that answers had after their first word."),
        ("provider_output_seconds_total", 1, "Time from the first word of answers to their end."),
    ):
        rows: list[Row] = [("", {"provider": each}, figures[place]) for each, figures in spoken.items()]
        yield from _family(name, "counter", says, rows)


def _timed(name: str, label: str, says: str, timings: Timings) -> Iterator[str]:
    rows: list[Row] = []
    for each, histogram in timings.histograms():
        labels, below = {label: each}, 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), histogram.counts, strict=True):
            below += count
            rows.append(("_bucket", {**labels, "le": str(bound)}, below))
        rows += [("_sum", labels, histogram.total_s), ("_count", labels, below)]
    return _family(f"{name}_seconds", "histogram", f"{says}, in seconds.", rows)


def _failed(name: str, label: str, timings: Timings) -> Iterator[str]:
    rows: list[Row] = [("", {label: each, "code": code}, count) for each, code, count in timings.failures()]
    return _family(f"{name}_failures_total", "counter", f"Failures of {label}s, by error code.", rows)


def _family(name: str, kind: str, says: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f"# HELP deskside_{name} {_escaped(says)}"
    yield f"# TYPE deskside_{name} {kind}"
    for suffix, labels, value in rows:
        yield f"deskside_{name}{suffix}{_labels(labels)} {value!r}"


def _labels(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}" if labels else ""


def _escaped(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quote else escaped


async def serve(metrics: Metrics, commands: Timings, send: Any) -> None:
    """Answer one request (ASGI)."""
    body = exposition(metrics, commands)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
