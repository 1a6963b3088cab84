"""What was recorded of runs: looked at, and written to files."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.agent.recording import ReplyShown
from deskside.backend.agent.runs import StartedRun
from deskside.backend.app import App
from deskside.backend.recordings.content import NodeContent
from deskside.backend.recordings.recordings import ExportFormat, RunStory, Trace
from deskside.backend.recordings.replaying import Replayed
from deskside.backend.recordings.side_by_side import ComparedRuns
from deskside.backend.store.agents import AgentName
from deskside.backend.store.forks import OtherResult
from deskside.backend.store.run_choices import RunChoice
from deskside.bridge.commands.conversations import ModelName, RowId
from deskside.bridge.commands.transfers import Ticket
from deskside.bridge.registry import Bridge, command


class RunId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run_id: RowId


class FindNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fact `n` of a run, as the nodes of its story name it."""

    run_id: RowId
    n: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class ExportRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`json` holds all that was recorded, `otlp` what happened when, without what was said."""

    run_id: RowId
    format: ExportFormat


class ReplayOffered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that a terminal has offered under this word."""

    ticket: Ticket


class CompareRuns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a run that worked for another one, it is that other one that is compared."""

    left_run: RowId
    right_run: RowId


class ForkFromStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reply `message_id` as it was before its step `step`, which is made again: by `model` and `agent`,
    None for those it had, and after tools have given other `results`."""

    message_id: RowId
    step: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    model: ModelName | None = None
    agent: AgentName | None = None
    results: Annotated[list[OtherResult], msgspec.Meta(max_length=100)] = []


Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class ReportShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of the reply of a run was on the screen `after_ms` after the window heard of its end. Since the run
    began, `drawings` of it kept the window busy for `drawing_ms`, the longest of them for `longest_ms`."""

    run_id: RowId
    after_ms: Milliseconds
    drawings: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    drawing_ms: Milliseconds
    longest_ms: Milliseconds


class FindTrace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request id, as errors show it, or the number of a run."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


@command
async def story(app: App, params: RunId) -> RunStory:
    """How a run went: all that took time, inside what, and why it took that long."""
    return await app.recordings.story(params.run_id)


@command
async def content(app: App, params: FindNode) -> NodeContent:
    """What was in one node of a run: request and answer, arguments and result."""
    return await app.recordings.content(params.run_id, params.n)


@command
async def shown(app: App, params: ReportShown) -> bool:
    """Note how long the window took to show a reply that came while it was open. False where that is known
    already, or the run was not recorded."""
    shown = ReplyShown(params.after_ms, params.drawings, params.drawing_ms, params.longest_ms)
    return await app.recordings.note_shown(params.run_id, shown)


@command
async def text(app: App, params: ExportRun) -> str:
    """A recording as a file would hold it."""
    return await app.recordings.text(params.run_id, params.format)


@command
async def export(bridge: Bridge, params: ExportRun) -> str | None:
    """Let the user choose where a recording is written. Returns the path; None when they cancelled."""
    content = await bridge.app.recordings.text(params.run_id, params.format)
    ending = ".otlp.json" if params.format == "otlp" else ".json"
    return await bridge.desktop.save_file("Export a run", f"run-{params.run_id}{ending}", content)


@command
async def trace(app: App, params: FindTrace) -> Trace:
    """All that one request led to: runs, errors, and lines of the log."""
    return await app.recordings.trace(params.id)


@command
async def replay(app: App, params: RunId) -> Replayed:
    """Run a recorded run again, with today's agents and tools, against what was recorded: without the
    network, without cost, and without storing anything. Returns what is other."""
    return await app.recordings.replay(params.run_id)


@command
async def replay_file(app: App, params: ReplayOffered) -> Replayed:
    """As `replay`, of a file that a terminal has offered. NotFound without such an offer."""
    return await app.recordings.replay_file(app.transfers.take_offer(params.ticket))


@command
async def others(app: App, params: RunId) -> list[RunChoice]:
    """The recorded runs that a run may be compared with: those of its conversation and of its forks first."""
    return await app.recordings.others(params.run_id)


@command
async def compare(app: App, params: CompareRuns) -> ComparedRuns:
    """Two runs beside each other, step by step: which are the same, and what is other in the rest."""
    return await app.recordings.compare(params.left_run, params.right_run)


@command
async def fork(app: App, params: ForkFromStep) -> StartedRun:
    """Begin a new conversation with a copy of all up to a step of a reply; the reply goes on from there."""
    return await app.runs.fork_from_step(
        params.message_id, params.step, params.results, params.model, params.agent
    )
