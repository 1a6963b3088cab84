"""What a run, an agent, a day and a month may cost: how it is written down."""

from __future__ import annotations

from typing import Annotated

import msgspec

# JavaScript's whole numbers end at 2**53; in nano-dollars that is nine million dollars.
NanoUsd = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1, description="Whole nano-dollars.")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be used. None is no limit, 0 is nothing at all. Tokens of all classes count alike."""

    cost_nano_usd: NanoUsd | None = None
    tokens: Count | None = None


class RunLimit(Limit, frozen=True, forbid_unknown_fields=True):
    """The most that one run may use. `seconds` are those it works, not those it waits for the user."""

    seconds: Count | None = None
    tool_calls: Count | None = None


class AgentLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent's limits: of each of its runs, and of all of them together in a day and in a month."""

    run: RunLimit = RunLimit()
    day: Limit = Limit()
    month: Limit = Limit()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of all agents together. Days and months are those of the calendar on the wall."""

    day: Limit = Limit()
    month: Limit = Limit()
