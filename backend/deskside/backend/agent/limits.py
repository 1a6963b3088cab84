"""What a run, an agent, a day and a month may cost, and whether the next model call would pass that.

A call is judged before it is made, by the most that it could use: all of its input at the dearest rate and
the longest answer it may give. What it then really used is what counts afterwards.

A limit in money cannot be kept with a model whose price is not known, and is said to be passed.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal

import msgspec

# JavaScript's whole numbers end at 2**53; in nano-dollars that is nine million dollars.
NanoUsd = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1, description="Money, in billionths of a dollar.")]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1, description="Tokens of all kinds together.")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1, description="Seconds of work.")]
ToolCalls = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1, description="Calls of tools.")]

NANO_USD = 1_000_000_000


# -- what may be used ---------------------------------------------------------------------------


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be used. None is no limit, 0 is nothing at all. Tokens of all classes count alike."""

    cost_nano_usd: NanoUsd | None = None
    tokens: Tokens | None = None


class RunLimit(Limit, frozen=True, forbid_unknown_fields=True):
    """The most that one run may use. `seconds` are those it works, not those it waits for the user."""

    seconds: Seconds | None = None
    tool_calls: ToolCalls | None = None


class AgentLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent's limits: of each of its runs, and of all of them together in a day and in a month."""

    run: RunLimit = RunLimit()
    day: Limit = Limit()
    month: Limit = Limit()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of all agents together. Days and months are those of the calendar on the wall."""

    day: Limit = Limit()
    month: Limit = Limit()


NO_LIMIT = Limit()

Scope = Literal["run", "agent_day", "agent_month", "day", "month"]
Resource = Literal["cost", "tokens", "seconds", "tool_calls"]


def key_of(name: str) -> tuple[Scope, Resource] | None:
    """`Exceeded.key` from its two words with a dot between; None for what is none."""
    scope, _, resource = name.partition(".")
    try:
        return msgspec.convert((scope, resource), tuple[Scope, Resource])
    except msgspec.ValidationError:
        return None


class Exceeded(msgspec.Struct, frozen=True):
    """What stands in the way of going on. `text` says so to the user; the others say which limit it is."""

    text: str
    scope: Scope
    resource: Resource

    @property
    def key(self) -> tuple[Scope, Resource]:
        return self.scope, self.resource


# -- what is used -------------------------------------------------------------------------------


class Use(msgspec.Struct, frozen=True):
    """What was used. `seconds` and `tool_calls` count for a run only."""

    cost_nano_usd: int = 0
    tokens: int = 0
    seconds: float = 0
    tool_calls: int = 0


class NextCall(msgspec.Struct, frozen=True):
    """The model call that is to be made, at its worst. `cost_nano_usd` None: its price is not known."""

    call_id: str
    model: str
    tokens: int
    cost_nano_usd: int | None


# -- judging ------------------------------------------------------------------------------------


def call_exceeds(scope: Scope, limit: Limit, used: Use, call: NextCall, agent: str) -> list[Exceeded]:
    """What of a limit the call would pass. `agent` is the label of the one whose limit it is."""
    cost = _cost_passed(scope, limit, used, call, agent)
    tokens = _tokens_passed(scope, limit, used, call, agent)
    return [Exceeded(cost, scope, "cost")] * bool(cost) + [Exceeded(tokens, scope, "tokens")] * bool(tokens)


def time_exceeded(limit: RunLimit, used: Use, agent: str) -> list[Exceeded]:
    """Whether the run has worked for as long as it may."""
    if limit.seconds is None or used.seconds < limit.seconds:
        return []
    worked, most = _duration(int(used.seconds)), _duration(limit.seconds)
    text = f"This run has worked for {worked}; the limit of “{agent}” is {most} for a run."
    return [Exceeded(text, "run", "seconds")]


def tools_exceeded(limit: RunLimit, used: Use, wanted: int, agent: str) -> list[Exceeded]:
    """Whether `wanted` more tool calls are more than the run may make. Ask before they are made."""
    total = used.tool_calls + wanted
    if limit.tool_calls is None or total <= limit.tool_calls:
        return []
    text = (
        f"The model asks for {wanted} more tool {'call' if wanted == 1 else 'calls'}, which would be {total} "
        f"in this run; the limit of “{agent}” is {limit.tool_calls} for a run."
    )
    return [Exceeded(text, "run", "tool_calls")]


def _cost_passed(scope: Scope, limit: Limit, used: Use, call: NextCall, agent: str) -> str:
    most = limit.cost_nano_usd
    if most is None:
        return ""
    what, whose, period = _words(scope, agent)
    if call.cost_nano_usd is None:
        return (
            f"The price of {call.model} is not known, so {whose} of {dollars(most)} {period} cannot be kept. "
            "A limit in tokens could be."
        )
    total = used.cost_nano_usd + call.cost_nano_usd
    if total <= most:
        return ""
    return (
        f"This call could cost up to {dollars(call.cost_nano_usd)} and bring {what} to "
        f"{_apart(total, most)}; {whose} is {dollars(most)} {period}."
    )


def _tokens_passed(scope: Scope, limit: Limit, used: Use, call: NextCall, agent: str) -> str:
    total = used.tokens + call.tokens
    if limit.tokens is None or total <= limit.tokens:
        return ""
    what, whose, period = _words(scope, agent)
    return (
        f"This call could use up to {call.tokens:,} tokens and bring {what} to {total:,}; "
        f"{whose} is {limit.tokens:,} tokens {period}."
    )


def _words(scope: Scope, agent: str) -> tuple[str, str, str]:
    """What the call adds to, whose limit it is, and for how long."""
    match scope:
        case "run":
            return "this run", f"the limit of “{agent}”", "for a run"
        case "agent_day":
            return f"“{agent}” today", f"the limit of “{agent}”", "for a day"
        case "agent_month":
            return f"“{agent}” this month", f"the limit of “{agent}”", "for a month"
        case "day":
            return "today", "your limit", "for a day"
        case "month":
            return "this month", "your limit", "for a month"


def dollars(nano_usd: int, digits: int = 2) -> str:
    """An amount as the user reads it. Less than a cent has the digits that it takes to say something."""
    amount = nano_usd / NANO_USD
    while 0 < amount < 10**-digits and digits < 9:
        digits += 1
    return f"${amount:,.{digits}f}"


def _apart(total: int, limit: int) -> str:
    """A total with as many digits as it takes to differ from the limit that it passes."""
    digits = 2
    while dollars(total, digits) == dollars(limit, digits) and digits < 9:
        digits += 1
    return dollars(total, digits)


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} minutes" + (f" {rest} seconds" if rest else "")


# -- the calendar -------------------------------------------------------------------------------


def day_start_ms(now: datetime) -> int:
    """Unix milliseconds of the last midnight, on the clock of this machine. `now` is local time."""
    return int(datetime.combine(now.date(), time.min).timestamp() * 1000)


def month_start_ms(now: datetime) -> int:
    """Unix milliseconds of the month's first midnight, on the clock of this machine."""
    return int(datetime.combine(now.date().replace(day=1), time.min).timestamp() * 1000)
