"""Lets model calls through one after another, so that none passes a limit.

Invariants
  - A call that is admitted passes no limit, also when several runs ask at once: the most that a call could
    use counts as used from then until it is settled.
  - An agent that works for another stays inside the other's limits of a run, too.
  - Nothing is read from the store for limits that are not set.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from deskside.backend.agent.limits import (
    NO_LIMIT,
    Exceeded,
    Limit,
    NextCall,
    Resource,
    Scope,
    Use,
    call_exceeds,
    day_start_ms,
    month_start_ms,
    time_exceeded,
)
from deskside.backend.store import usage
from deskside.backend.store.agents import AgentRow

if TYPE_CHECKING:
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.database import Store


class WorkingRun(msgspec.Struct, frozen=True):
    """A run and what it has used so far, together with the runs that work for it."""

    run_id: int
    agent: AgentRow
    used: Use


class _UnderWay(msgspec.Struct, frozen=True):
    run_ids: frozenset[int]
    agent_id: int
    call: NextCall


class Budgets:
    """All limits of the program. Used on the backend's loop only."""

    def __init__(self, store: Store, settings: SettingsStore) -> None:
        self._store = store
        self._settings = settings
        self._under_way: dict[str, _UnderWay] = {}
        self._deciding = asyncio.Lock()

    async def admit(
        self,
        runs: Sequence[WorkingRun],
        call: NextCall,
        *,
        lifted: AbstractSet[tuple[Scope, Resource]] = frozenset(),
        now: datetime | None = None,
    ) -> Exceeded | None:
        """None when the call may be made; then `settle` it once what it used is in the store.

        `runs` are the one that calls and those it works for, the nearest first. `lifted` are limits (by their
        `Exceeded.key`) that the user has let this run pass. `now` is local time.
        """
        async with self._deciding:
            async for exceeded in self._passed(runs, call, now or datetime.now()):
                if exceeded.key not in lifted:
                    return exceeded
            run_ids = frozenset(run.run_id for run in runs)
            self._under_way[call.call_id] = _UnderWay(run_ids, runs[0].agent.id, call)
            return None

    def settle(self, call_id: str) -> None:
        """The call has ended. Nothing happens for one that was not admitted."""
        self._under_way.pop(call_id, None)

    async def _passed(
        self, runs: Sequence[WorkingRun], call: NextCall, now: datetime
    ) -> AsyncIterator[Exceeded]:
        for run in runs:
            label, of_run = run.agent.label, run.agent.limits.run
            calls = [each.call for each in self._under_way.values() if run.run_id in each.run_ids]
            for exceeded in time_exceeded(of_run, run.used, label):
                yield exceeded
            for exceeded in call_exceeds("run", of_run, _with(run.used, calls), call, label):
                yield exceeded
        agent, of_all = runs[0].agent, self._settings.current.limits
        kept: Sequence[tuple[Scope, Limit, int | None, int]] = (
            ("agent_day", agent.limits.day, agent.id, day_start_ms(now)),
            ("agent_month", agent.limits.month, agent.id, month_start_ms(now)),
            ("day", of_all.day, None, day_start_ms(now)),
            ("month", of_all.month, None, month_start_ms(now)),
        )
        for scope, limit, agent_id, since_ms in kept:
            if limit == NO_LIMIT:
                continue
            used = await self._used(agent_id, since_ms)
            for exceeded in call_exceeds(scope, limit, used, call, agent.label):
                yield exceeded

    async def _used(self, agent_id: int | None, since_ms: int) -> Use:
        spent = await self._store.read(usage.spent, agent_id, since_ms)
        calls = [each.call for each in self._under_way.values() if agent_id in (None, each.agent_id)]
        return _with(Use(spent.cost_nano_usd, spent.tokens), calls)


def _with(used: Use, calls: Sequence[NextCall]) -> Use:
    """With calls that are under way, at their worst. One whose price is not known was let through by the
    user."""
    return msgspec.structs.replace(
        used,
        cost_nano_usd=used.cost_nano_usd + sum(call.cost_nano_usd or 0 for call in calls),
        tokens=used.tokens + sum(call.tokens for call in calls),
    )
