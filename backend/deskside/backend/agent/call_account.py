"""What one model call costs, from its beginning to the last that the provider says of it.

Invariants
  - The price is the one that holds when the call begins; nothing changes it afterwards.
  - What is not known is None, never 0. It is 0 where no token costs anything, and where the call was refused
    before it was worked on.
  - What the provider says of money counts before what tokens and a price make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from deskside.backend import prices
from deskside.backend.agent.events import Usage, UsageReported
from deskside.backend.prices import Price
from deskside.backend.store.usage import UNKNOWN, Cost, Reported, UsageRecord

NOTHING = Usage()
# Codes of errors (errors.py) where nothing reached the provider, or it answered with a 4xx in place of
# working: nobody bills for that. A server error, a time-out and a connection that ended are not among them.
REFUSED = frozenset(
    {
        "bad_key",
        "unknown_model",
        "rate_limited",
        "context_too_long",
        "request_refused",
        "no_network",
        "offline",
    }
)
REFUSED_PRICE = msgspec.structs.replace(prices.FREE, source="the call was refused before it used anything")


@dataclass(eq=False)
class CallAccount:
    """The account of one call. `record` is what the ledger says of it now."""

    record: UsageRecord
    price: Price | None

    @classmethod
    def opened(cls, record: UsageRecord, price: Price | None) -> CallAccount:
        """The model is asked now, and has reported nothing."""
        account = cls(record, price)
        account._set(NOTHING, "nothing", _estimated(NOTHING, price if price and price.is_free else None))
        return account

    def take(self, event: UsageReported) -> UsageRecord:
        """The provider reports what the call has used so far. Zeros of every class say nothing."""
        reported: Reported = "all" if event.is_final else "part"
        if event.cost_nano_usd is not None:
            self._set(event.usage, reported, Cost("billed", event.cost_nano_usd))
        elif event.usage != NOTHING:
            self._set(event.usage, reported, _estimated(event.usage, self.price))
        return self.record

    def refuse(self, code: str) -> UsageRecord | None:
        """The call failed with this error before it said anything. Returns the record where that changes it:
        one that was refused cost nothing."""
        if code not in REFUSED or self.record.reported != "nothing":
            return None
        self._set(NOTHING, "all", _estimated(NOTHING, REFUSED_PRICE))
        return self.record

    def _set(self, usage: Usage, reported: Reported, cost: Cost) -> None:
        self.record = msgspec.structs.replace(self.record, usage=usage, reported=reported, cost=cost)


def _estimated(usage: Usage, price: Price | None) -> Cost:
    if price is None:
        return UNKNOWN
    return Cost("estimated", prices.cost(usage, price), msgspec.to_builtins(price))
