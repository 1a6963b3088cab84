"""Replays recorded runs: the same loop, today's agents, tools and program, and nobody but the recording to
answer. What is other than it was is the result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from deskside.backend.agent import loop
from deskside.backend.agent.events import (
    ModelRequest,
    ReasoningDelta,
    RunEvent,
    TextDelta,
    ToolArgumentsDelta,
    ToolRequested,
)
from deskside.backend.agent.plans import plan_for
from deskside.backend.errors import AppError, NotFound
from deskside.backend.recordings import comparing
from deskside.backend.recordings.comparing import Happened, RunDifference, differences
from deskside.backend.recordings.replay_host import RecordedTool, RecordingEnds, ReplayHost
from deskside.backend.recordings.run_file import FileRun, RunFile
from deskside.backend.recordings.script import ModelCall, Script, has_begun, script_of
from deskside.backend.store import agents

if TYPE_CHECKING:
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.agents import AgentRow
    from deskside.backend.store.database import Store
    from deskside.backend.tools.context import ToolServices
    from deskside.backend.tools.toolbox import Toolbox


class Replayed(msgspec.Struct, frozen=True):
    """What came of a replay. `requests` and `events` count what was compared in all runs of the recording."""

    run_id: int
    is_identical: bool
    runs: int
    requests: int
    events: int
    differences: list[RunDifference]


class Replays:
    """Replays with the agents and tools of this program. Used on the backend's loop only."""

    def __init__(
        self, store: Store, toolbox: Toolbox, settings: SettingsStore, services: ToolServices
    ) -> None:
        self._store = store
        self._toolbox = toolbox
        self._settings = settings
        self._services = services

    async def replay(self, file: RunFile) -> Replayed:
        """Run all runs of a recording again, each by itself. Raises NotFound where an agent is not there any
        more, InvalidRequest for a recording with nothing to replay."""
        found: list[RunDifference] = []
        requests = events = 0
        scripts = [script_of(file, run) for run in file.runs if run is file.root or has_begun(run)]
        for script in scripts:
            run = script.run
            before = _as_recorded(script)
            after = await self._again(file, run, script)
            found += differences(run.id, before, after)
            requests += sum(each.key == "request" for each in before)
            events += sum(each.key != "request" for each in before)
        return Replayed(file.root.id, not found, len(scripts), requests, events, found)

    async def _again(self, file: RunFile, run: FileRun, script: Script) -> list[Happened]:
        happened = _Happening(loop.unanswered(script.history))
        host = ReplayHost(script, self._services, happened.ask)
        if _ends_here(host, script):  # stopped before its first step
            return []
        agent = await self._agent(script.began.agent)
        offered = await self._toolbox.tools_for(agent, _depth(file, run))
        tools = [RecordedTool(tool, tool.approval, host) for tool in offered]
        at = datetime.fromtimestamp(run.started_ms / 1000)
        plan = plan_for(agent, run.model, tools, self._settings.current, at, script.began.first_step)
        try:
            async with aclosing(loop.run(host, plan, list(script.history), sleep=_no_wait)) as events:
                async for event in events:
                    if isinstance(event, TextDelta | ReasoningDelta | ToolArgumentsDelta):
                        continue
                    if host.take(event):
                        happened.take(event)
                    if _ends_here(host, script):
                        break
        except RecordingEnds:
            pass
        except AppError as error:
            happened.fail(error.code, error.message)
        return happened.all()

    async def _agent(self, name: str) -> AgentRow:
        try:
            return await self._store.read(agents.by_name, name)
        except NotFound as error:
            raise NotFound(
                f"The agent {name!r}, which answered, is not there.",
                hint="Import it, or make one of this name.",
            ) from error


class _Happening:
    """What happened in a run, as it is compared."""

    def __init__(self, left_open: Sequence[ToolRequested]) -> None:
        self._left_open = left_open
        self._events: list[tuple[int | None, RunEvent]] = []
        self._happened: list[Happened] = []
        self._failure: Happened | None = None

    def ask(self, call: ModelCall | None, request: ModelRequest) -> None:
        self._flush()
        self._happened.append(comparing.of_request(None if call is None else call.n, request))

    def take(self, event: RunEvent, n: int | None = None) -> None:
        self._events.append((n, event))

    def fail(self, code: str, message: str) -> None:
        self._failure = Happened(None, "failure of the run", f"failure\n{code}\n{message}")

    def all(self) -> list[Happened]:
        self._flush()
        return self._happened if self._failure is None else [*self._happened, self._failure]

    def _flush(self) -> None:
        ordered = comparing.in_order(self._events, self._left_open)
        self._happened += [comparing.of_event(n, event) for n, event in ordered]
        self._events.clear()


def _as_recorded(script: Script) -> list[Happened]:
    calls = list(script.model_calls)
    happened = _Happening(loop.unanswered(script.history))
    for n, event in script.events:
        while calls and calls[0].n < n:
            call = calls.pop(0)
            happened.ask(call, call.request)
        happened.take(event, n)
    for call in calls:
        happened.ask(call, call.request)
    ended = script.ended
    if ended is not None and ended.status == "failed" and ended.reason == "failed":
        happened.fail(ended.code, ended.message)
    return happened.all()


def _ends_here(host: ReplayHost, script: Script) -> bool:
    """Whether the run was cut short where the replay is now: the loop knows nothing of that."""
    return host.is_over and script.was_cut_short and not script.model_calls


def _depth(file: RunFile, run: FileRun) -> int:
    by_id = {each.id: each for each in file.runs}
    depth = 0
    while run.parent is not None and run.parent in by_id:
        run, depth = by_id[run.parent], depth + 1
    return depth


async def _no_wait(seconds: float) -> None:
    """Nobody waits in a replay."""
