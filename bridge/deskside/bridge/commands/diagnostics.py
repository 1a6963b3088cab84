"""How the program is doing, and what the page has to report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Literal

import msgspec
from loguru import logger

from deskside.backend.agent.provider_calls import ProviderTiming
from deskside.backend.app import App
from deskside.backend.diagnosis import diagnosis, report_of
from deskside.backend.errors import StoreDamaged
from deskside.backend.events import Notice
from deskside.backend.leaks import SelfCheck
from deskside.backend.log import last_call, request_id
from deskside.backend.metrics.samples import Bucket, Sample
from deskside.backend.metrics.timings import Timing
from deskside.backend.store import errors, metric_buckets
from deskside.backend.store.errors import ErrorRow, Failure
from deskside.backend.store.text import now_ms
from deskside.bridge.registry import Bridge, command

MOST_BUCKETS = 288

Short = Annotated[str, msgspec.Meta(max_length=500)]


WAL_MISSING = Notice(
    "error",
    "wal_missing",
    "The file with the latest changes (deskside.db-wal) is gone, and those changes with it.",
    "If something is missing, restore a backup. When you copy the data folder, close Deskside first.",
)


class ReportWindowError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault in the page: `where` names the part of the window, `component` the components around it,
    `build` the page's build id."""

    where: Short
    message: Short
    stack: Annotated[str, msgspec.Meta(max_length=8000)] = ""
    component: Short = ""
    build: Short = ""


class PageErrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class ErrorId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int


class Report(msgspec.Struct, frozen=True):
    text: str


class SentReport(msgspec.Struct, frozen=True):
    """The number under which Sentry shows it."""

    event_id: str


class Echo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(max_length=1_000_000)] = ""


class MetricsHistory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hours: Annotated[int, msgspec.Meta(ge=1, le=720)] = 24


class StoreTiming(msgspec.Struct, frozen=True):
    """`run` is the function alone; `queue` what it waited for its turn."""

    run: Timing
    queue: Timing


class AllTimings(msgspec.Struct, frozen=True):
    """How long everything took since the program started, in each list the most total time first."""

    commands: list[Timing]
    providers: list[ProviderTiming]
    tools: list[Timing]
    store: list[StoreTiming]


class MetricsUpdate(msgspec.Struct, frozen=True):
    """`samples` are new; `timings` replace those that were sent before."""

    samples: list[Sample]
    timings: AllTimings


@command
async def timings(bridge: Bridge) -> AllTimings:
    """How long commands, calls of providers, tools and store functions took."""
    return _timings(bridge)


@command
async def metrics(bridge: Bridge) -> AsyncIterator[MetricsUpdate]:
    """The samples of the last minutes, then one every second for as long as somebody reads, each time with
    the timings."""
    async with aclosing(bridge.app.metrics.watch()) as news:
        async for samples in news:
            yield MetricsUpdate(samples, _timings(bridge))


@command
async def history(app: App, params: MetricsHistory) -> list[Bucket]:
    """What the program used of the machine in the last hours, oldest first, without the last minutes."""
    since_ms = now_ms() - params.hours * 3_600_000
    return await app.store.read(metric_buckets.since, since_ms, MOST_BUCKETS)


def _timings(bridge: Bridge) -> AllTimings:
    metrics = bridge.app.metrics
    queued = {row.name: row for row in metrics.queueing.report()}
    return AllTimings(
        bridge.timings.report(),
        metrics.providers.report(),
        metrics.tools.report(),
        [StoreTiming(row, queued[row.name]) for row in metrics.functions.report()],
    )


@command
async def recent_errors(bridge: Bridge, params: PageErrors) -> list[ErrorRow]:
    """The last failures of answers, commands and the page, newest first."""
    return await bridge.app.store.read(errors.recent, params.limit)


@command
async def report_window_error(bridge: Bridge, params: ReportWindowError) -> None:
    """Keep a fault of the page with our own errors."""
    detail = f"{params.stack}\n\nComponents: {params.component}\nBuild: {params.build}"
    bridge.app.faults.add(
        Failure("window", "window_error", params.message, params.where, detail, request_id.get(), last_call())
    )


@command
async def self_check(bridge: Bridge) -> SelfCheck:
    """Look for live keys in all files that Deskside has written."""
    return await bridge.app.self_checks.run()


@command
async def bundle(bridge: Bridge) -> Report:
    """What helps to find a fault, as text to pass on: the system, the settings without names and addresses,
    the last failures, the timings and the end of the log. No key, prompt or answer is in it."""
    return Report(await diagnosis(bridge.app, bridge.timings.report()))


@command
async def error_report(bridge: Bridge, params: ErrorId) -> Report:
    """One failure as text to pass on."""
    return Report(report_of(await bridge.app.store.read(errors.get, params.id)))


@command
async def send_test_report(bridge: Bridge) -> SentReport:
    """Send a report of nothing to the Sentry server that is set, and return once it has taken it."""
    return SentReport(await bridge.app.error_reports.send_test())


@command
async def mark_errors_shown(bridge: Bridge) -> None:
    """The user was told of the failures that nobody was told of."""
    await bridge.app.store.write_soon(errors.mark_shown)


@command
async def clear_errors(bridge: Bridge) -> None:
    """Forget all failures."""
    await bridge.app.store.write(errors.clear)


@command
async def page_ready(bridge: Bridge) -> None:
    """The page can be used: note it in the log, say what the user must know, and prepare what the first
    question will need."""
    logger.info("the page is ready")
    if bridge.app.store.is_wal_missing:
        bridge.app.events.publish(WAL_MISSING)
    applied = bridge.app.store.take_applied()
    if applied is not None:
        level: Literal["info", "error"] = "info" if applied.outcome == "restored" else "error"
        bridge.app.events.publish(Notice(level, f"backup_{applied.outcome}", applied.message, ""))
    with suppress(StoreDamaged):
        await bridge.app.faults.tell_untold()
    # Not before: the SDKs' imports take seconds of processor time that the first paint would miss.
    await bridge.app.models.warm_up()
    if bridge.app.store.trouble is None:
        await bridge.app.mcp.wake()


@command
async def echo(bridge: Bridge, params: Echo) -> Echo:
    """Send back what was sent: for measuring the bridge alone."""
    return params
