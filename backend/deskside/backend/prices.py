"""What a model call costs, from the price list that genai-prices ships.

The list is the one in the installed package: nothing is fetched, and no thread of it runs. It is imported on
first use, which takes 30 ms and 4 MB where an SDK was used before (150 ms and 22 MB otherwise: most of it is
pydantic), so the first call belongs on a thread (`load`).

Money is exact until the end: prices are Decimals of nano-dollars a token, a cost is rounded once.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import msgspec

from deskside.backend.agent.events import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

# Prices are in dollars for a million tokens.
NANO_USD_A_TOKEN = Decimal(1000)
NANO_USD = 10**9
# More than a call can cost, and less than what no longer fits the page's whole numbers.
MOST_DOLLARS = 1_000_000
# Of a call that neither the agent nor the provider's adapter limits: longer than nearly every answer.
ASSUMED_OUTPUT_TOKENS = 8192


class Rates(msgspec.Struct, frozen=True):
    """Nano-dollars a token, for a call whose whole input is more than `above_input_tokens`."""

    above_input_tokens: int
    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal


class Price(msgspec.Struct, frozen=True):
    """What a model's tokens cost. `rates` has one for each size of input, the smallest first; the one that
    holds for a call holds for all of its tokens. `source` says where the price is from, for the user."""

    model: str
    rates: tuple[Rates, ...]
    source: str

    @property
    def is_free(self) -> bool:
        """Whether no token costs anything."""
        return not any(
            each.input or each.cache_read or each.cache_write or each.output for each in self.rates
        )


FREE = Price("", (Rates(0, Decimal(0), Decimal(0), Decimal(0), Decimal(0)),), "runs on this machine")
FREE_BY_USER = msgspec.structs.replace(FREE, source="the user says that the server is free")


async def load() -> None:
    """Import the price list on a thread, so that the first `price_of` does not hold the loop up."""
    if "genai_prices.data_snapshot" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "genai_prices.data_snapshot")


def price_of(model_name: str, at_ms: int, address: str | None = None) -> Price | None:
    """The price of `provider/model` at a time (Unix milliseconds). `address` is the base URL of a server of
    the user's; it tells which provider's prices hold there.

    None where the price is not known: a model that is not in the list, or one on a server that is not. Models
    on this machine are free.
    """
    provider_id, _, model = model_name.partition("/")
    if provider_id == "device":
        return FREE
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    if provider_id not in ("openai", "anthropic"):
        known = (each.id for each in snapshot.providers if address and re.match(each.api_pattern, address))
        provider_id = next(known, "")
    try:
        _, found = snapshot.find_provider_model(model, None, provider_id, None)
    except LookupError:
        return None
    listed = found.get_prices(datetime.fromtimestamp(at_ms / 1000, UTC))
    rates = _rates(listed)
    return None if rates is None else Price(found.id, rates, f"genai-prices {_version()}")


def cost(usage: Usage, price: Price) -> int:
    """Nano-dollars of one call, rounded to the nearest once."""
    rates = _rates_for(price, usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens)
    exact = (
        usage.input_tokens * rates.input
        + usage.cache_read_tokens * rates.cache_read
        + usage.cache_write_tokens * rates.cache_write
        + usage.output_tokens * rates.output
    )
    return int(exact.to_integral_value(ROUND_HALF_UP))


def exact_nano_usd(dollars: object) -> int | None:
    """What a provider says that a call costs, as whole nano-dollars. None for anything but an amount."""
    if (
        isinstance(dollars, bool)
        or not isinstance(dollars, int | Decimal)
        or not 0 <= dollars <= MOST_DOLLARS
    ):
        return None
    return int((Decimal(dollars) * NANO_USD).to_integral_value(ROUND_HALF_UP))


def worst_case(price: Price, input_tokens: int, max_output_tokens: int) -> int:
    """Nano-dollars that a call costs at most: all input at its dearest (a provider may write it to its
    cache), and the longest answer. Rounded up."""
    rates = _rates_for(price, input_tokens)
    dearest = max(rates.input, rates.cache_read, rates.cache_write)
    exact = input_tokens * dearest + max_output_tokens * rates.output
    return int(exact.to_integral_value(ROUND_CEILING))


def _rates_for(price: Price, input_tokens: int) -> Rates:
    first, *higher = price.rates
    holding = first
    for rates in higher:
        if input_tokens > rates.above_input_tokens:
            holding = rates
    return holding


def _rates(listed: ModelPrice) -> tuple[Rates, ...] | None:
    """None for a model that is not paid by the token (pictures, sound, searches)."""
    if listed.input_mtok is None or listed.output_mtok is None:
        return None
    starts = {0}
    for name in ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok"):
        starts.update(tier.start for tier in getattr(getattr(listed, name), "tiers", ()))
    return tuple(_rates_above(listed, start) for start in sorted(starts))


def _rates_above(listed: ModelPrice, start: int) -> Rates:
    def rate(name: str) -> Decimal | None:
        value = getattr(listed, name)
        if value is None or isinstance(value, Decimal):
            return value
        reached: list[Decimal] = [
            value.base,
            *(tier.price for tier in value.tiers if 0 < tier.start <= start),
        ]
        return reached[-1]

    plain = rate("input_mtok")
    read, write, output = (rate(name) for name in ("cache_read_mtok", "cache_write_mtok", "output_mtok"))
    assert plain is not None
    assert output is not None
    # Where the list has no price for cached input, it is input like any other.
    return Rates(
        start,
        plain * NANO_USD_A_TOKEN,
        (plain if read is None else read) * NANO_USD_A_TOKEN,
        (plain if write is None else write) * NANO_USD_A_TOKEN,
        output * NANO_USD_A_TOKEN,
    )


def _version() -> str:
    import genai_prices

    return genai_prices.__version__
