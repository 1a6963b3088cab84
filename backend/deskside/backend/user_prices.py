"""The prices that the user entered, in memory, and their way to the disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.prices import NANO_USD_A_TOKEN, Price, Rates
from deskside.backend.store import prices as rows
from deskside.backend.store.prices import PriceRow

if TYPE_CHECKING:
    from deskside.backend.store.database import Store

Dollars = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,6}(\\.[0-9]{1,9})?(?!\\n)$")]


class TokenPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exact decimal dollars for a million tokens of each class ("3", "0.075"). None for the cache: input like
    any other."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None


class UserPrices:
    """Used on the backend's loop only."""

    def __init__(self, store: Store, versions: Sequence[PriceRow]) -> None:
        self._store = store
        self._take(versions)

    def _take(self, versions: Sequence[PriceRow]) -> None:
        self._versions = list(versions)
        self._by_model: dict[str, list[tuple[PriceRow, Price | None]]] = {}
        for version in versions:
            self._by_model.setdefault(version.model, []).append((version, _price(version)))

    @property
    def versions(self) -> list[PriceRow]:
        """All there are, those of a model together, the one that begins last first."""
        return self._versions

    def price_of(self, model: str, at_ms: int) -> Price | None:
        """What the user says that a model costs at a time (Unix milliseconds). None: they say nothing."""
        versions = self._by_model.get(model)
        if versions is None:
            return None
        day = datetime.fromtimestamp(at_ms / 1000).date().isoformat()
        return next((price for version, price in versions if version.valid_from <= day), None)

    async def change(self, model: str, valid_from: str, prices: TokenPrices | None) -> list[PriceRow]:
        """Set what a model costs from a day on, or with None, that the program's list holds again from then.
        Calls that were made keep what they cost. Returns all versions.

        Raises InvalidRequest for a day that is none.
        """
        try:
            day = date.fromisoformat(valid_from).isoformat()
        except ValueError as error:
            raise InvalidRequest(
                f"{valid_from!r} is no day.", hint="Write it as year-month-day, such as 2026-11-25."
            ) from error
        amounts: dict[str, str | None] = dict.fromkeys(("input", "cache_read", "cache_write", "output"))
        if prices is not None:
            amounts = msgspec.structs.asdict(prices)
        await self._store.write(rows.add, model, day, **amounts)
        self._take(await self._store.read(rows.every))
        return self._versions


async def open_user_prices(store: Store) -> UserPrices:
    """Read what the user entered."""
    return UserPrices(store, await store.read(rows.every))


def _price(version: PriceRow) -> Price | None:
    if version.input is None or version.output is None:
        return None
    plain = Decimal(version.input)
    rates = Rates(
        0,
        plain * NANO_USD_A_TOKEN,
        (plain if version.cache_read is None else Decimal(version.cache_read)) * NANO_USD_A_TOKEN,
        (plain if version.cache_write is None else Decimal(version.cache_write)) * NANO_USD_A_TOKEN,
        Decimal(version.output) * NANO_USD_A_TOKEN,
    )
    return Price(version.model, (rates,), f"your price from {version.valid_from}")
