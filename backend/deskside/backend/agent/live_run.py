"""One run while it works: what it has, what it waits for, and what it has used.

Lowest of the modules that know runs: host.py acts for a run, runs.py owns its tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from deskside.backend.agent.budgets import WorkingRun
from deskside.backend.agent.events import (
    Finished,
    HistoryItem,
    Steered,
    ToolDecided,
)
from deskside.backend.agent.limits import Resource, Scope, Use
from deskside.backend.agent.reply import USAGE_FIELDS, Reply
from deskside.backend.agent.run_queue import Turn
from deskside.backend.store.agents import AgentRow
from deskside.backend.store.messages import ElicitationAnswer, MessageUsage, ToolCallPart
from deskside.backend.store.replies import Asked
from deskside.backend.store.text import now_ms
from deskside.backend.tools.declaration import Tool


@dataclass(eq=False)
class LiveRun:
    """One run. `interruption` is the status that a cancelled stream leaves behind.

    `parent` is the run that this one works for; `children` are those that work for it, by the position of
    the call that asked; `ended_below` is what those used that have ended. `inherited_outside` is where text
    from outside in the parent's history came from.
    """

    asked: Asked
    model_name: str
    reply: Reply
    is_continuation: bool
    parent: LiveRun | None = None
    task: str = ""
    inherited_outside: list[str] = field(default_factory=list)
    agent: AgentRow | None = None
    tools: dict[str, Tool] = field(default_factory=dict)
    history: list[HistoryItem] = field(default_factory=list)
    finished: Finished | None = None
    interruption: Literal["stopped", "interrupted"] = "stopped"
    children: dict[int, LiveRun] = field(default_factory=dict)
    ended_below: dict[int, tuple[Use, MessageUsage]] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    asked_ms: int = field(default_factory=now_ms)
    streaming: asyncio.Task[None] = field(init=False)
    following: asyncio.Task[None] = field(init=False)
    turn: Turn | None = None  # of a run that works for no other, once it has begun
    # What the user may still say
    steering: list[Steered] = field(default_factory=list)
    questions: dict[int, asyncio.Future[ToolDecided]] = field(default_factory=dict)
    pause: asyncio.Future[bool] | None = None
    elicitations: dict[int, asyncio.Future[ElicitationAnswer]] = field(default_factory=dict)
    # What they allowed for this run
    granted: set[str] = field(default_factory=set)
    lifted: set[tuple[Scope, Resource]] = field(default_factory=set)
    # What it used
    tool_calls: int = 0
    _started_s: float = field(default_factory=time.monotonic)
    _waited_s: float = 0.0
    _waiting: int = 0
    _waiting_since_s: float = 0.0

    @property
    def depth(self) -> int:
        """How many agents stand above it."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def is_waiting(self) -> bool:
        """Whether the user has to decide something, here or below."""
        return self.reply.is_waiting or any(child.is_waiting for child in self.children.values())

    @property
    def is_asked(self) -> bool:
        """Whether a server asks the user something, here or below."""
        return bool(self.elicitations) or any(child.is_asked for child in self.children.values())

    def waits_below(self) -> set[int]:
        """The positions of calls whose agents wait for the user: those that work for it, and those that an
        earlier run has left waiting and this one has not come to yet."""
        left = {
            stored.position
            for stored in self.asked.taken_up
            if isinstance(stored.part, ToolCallPart) and stored.part.is_agent
        }
        return (left - self.children.keys() - self.ended_below.keys()) | {
            position for position, child in self.children.items() if child.is_waiting
        }

    def let_go(self, position: int) -> None:
        """The run that answered the call at this position has reported: what it read and said needs no room
        any more."""
        child = self.children[position]
        if not child.is_waiting:
            self.ended_below[position] = (child.used(), child.usage())
            del self.children[position]

    def cancel(self, interruption: Literal["stopped", "interrupted"]) -> None:
        for child in self.children.values():
            child.cancel(interruption)
        if not self.streaming.done():
            if not self.streaming.cancelling():  # what came first says what it was
                self.interruption = interruption
            self.streaming.cancel()

    @contextmanager
    def waiting_for_user(self) -> Iterator[None]:
        """The time that passes inside counts for no limit, in this run and those it works for, and keeps no
        other run from its turn."""
        run: LiveRun | None = self
        waiting: list[LiveRun] = []
        while run is not None:
            waiting.append(run)
            run = run.parent
        for each in waiting:
            each._begin_waiting()
        try:
            yield
        finally:
            for each in waiting:
                each._end_waiting()

    def _begin_waiting(self) -> None:
        if self._waiting == 0:
            self._waiting_since_s = time.monotonic()
            if self.turn is not None:
                self.turn.rest()
        self._waiting += 1

    def _end_waiting(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._waited_s += time.monotonic() - self._waiting_since_s
            if self.turn is not None:
                self.turn.go_on()

    def used(self) -> Use:
        """What it and all that work for it have used so far."""
        below = [child.used() for child in self.children.values()]
        below += [used for used, _ in self.ended_below.values()]
        calls = self.reply.calls()
        return Use(
            cost_nano_usd=sum(call.cost.nano_usd or 0 for call in calls)
            + sum(use.cost_nano_usd for use in below),
            tokens=sum(call.usage.total_tokens for call in calls) + sum(use.tokens for use in below),
            seconds=time.monotonic() - self._started_s - self._waited_s,
            tool_calls=self.tool_calls + sum(use.tool_calls for use in below),
        )

    def usage(self) -> MessageUsage:
        """The tokens of its model calls, and of all that work for it."""
        used = [self.reply.usage(), *(child.usage() for child in self.children.values())]
        used += [usage for _, usage in self.ended_below.values()]
        return MessageUsage(*(sum(getattr(each, name) for each in used) for name in USAGE_FIELDS))

    def working_runs(self) -> list[WorkingRun]:
        """This run and those it works for, the nearest first."""
        runs: list[WorkingRun] = []
        run: LiveRun | None = self
        while run is not None and run.agent is not None:
            runs.append(WorkingRun(run.asked.run_id, run.agent, run.used()))
            run = run.parent
        return runs
