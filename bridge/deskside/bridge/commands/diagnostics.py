"""How the program is doing, and what the page has to report."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

import msgspec
from loguru import logger

from deskside.backend.diagnosis import diagnosis, report_of
from deskside.backend.errors import StoreDamaged
from deskside.backend.events import Notice
from deskside.backend.leaks import SelfCheck
from deskside.backend.log import last_call, request_id
from deskside.backend.store import errors
from deskside.backend.store.errors import ErrorRow, Failure
from deskside.bridge.registry import Bridge, command
from deskside.bridge.timings import CommandTiming

Short = Annotated[str, msgspec.Meta(max_length=500)]


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


class Echo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(max_length=1_000_000)] = ""


@command
async def timings(bridge: Bridge) -> list[CommandTiming]:
    """How long each command took, the most expensive first."""
    return bridge.timings.report()


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
    damage = bridge.app.store.damage
    if damage is not None:
        bridge.app.events.publish(Notice("error", damage.code, damage.message, damage.hint))
    applied = bridge.app.store.take_applied()
    if applied is not None:
        level: Literal["info", "error"] = "info" if applied.outcome == "restored" else "error"
        bridge.app.events.publish(Notice(level, f"backup_{applied.outcome}", applied.message, ""))
    with suppress(StoreDamaged):
        await bridge.app.faults.tell_untold()
    # Not before: the SDKs' imports take seconds of processor time that the first paint would miss.
    await bridge.app.models.warm_up()
    if damage is None:
        await bridge.app.mcp.wake()


@command
async def echo(bridge: Bridge, params: Echo) -> Echo:
    """Send back what was sent: for measuring the bridge alone."""
    return params
