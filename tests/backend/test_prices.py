"""Prices: the list's own, and what calls cost by hand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.agent.events import Usage
from deskside.backend.prices import FREE, Price, Rates, cost, price_of, worst_case
from stores import PYTHONPATH

AT_MS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1000)
SONNET = "anthropic/claude-sonnet-4-5"


def price(model: str, address: str | None = None) -> Price:
    found = price_of(model, AT_MS, address)
    assert found is not None
    return found


# Worked out by hand from the providers' pages: dollars a million tokens, twice that above the tier.
@pytest.mark.parametrize(
    ("model", "usage", "nano_usd"),
    [
        # 1,000 x $3 + 500 x $15
        (SONNET, Usage(1000, 0, 0, 500, 100), 10_500_000),
        # 10 x $3 + 100,000 x $0.30 + 2,000 x $3.75 + 1 x $15
        (SONNET, Usage(10, 100_000, 2000, 1), 37_545_000),
        # The whole input decides on the tier, cached or not, and the tier holds from the first token:
        # 1 x $6 + 200,000 x $0.60 + 10 x $22.50
        (SONNET, Usage(1, 200_000, 0, 10), 120_231_000),
        (SONNET, Usage(0, 200_000, 0, 10), 60_150_000),
        # 1,000,000 x $2.50 is above 272,000: $5, and $22.50 for the answer
        ("openai/gpt-5.4", Usage(1_000_000, 0, 0, 1000), 5_022_500_000),
        # Without a price of its own what is written to the cache is input: 1,000 x $2.50
        ("openai/gpt-5.4", Usage(0, 0, 1000, 0), 2_500_000),
        (SONNET, Usage(), 0),
        ("device/small", Usage(1_000_000, 5, 5, 1_000_000), 0),
    ],
)
def test_a_call_costs_what_the_providers_page_says(model: str, usage: Usage, nano_usd: int) -> None:
    assert nano_usd == cost(usage, price(model))


def test_a_fraction_of_a_nano_dollar_is_rounded_once_for_the_whole_call() -> None:
    rates = Rates(0, Decimal("0.4"), Decimal("0.4"), Decimal("0.4"), Decimal("0.4"))

    # 0.4 four times would be 0 if each were rounded.
    assert 2 == cost(Usage(1, 1, 1, 1), Price("m", (rates,), "test"))
    assert 1 == worst_case(Price("m", (rates,), "test"), 1, 0)


def test_a_model_is_found_by_its_dated_name() -> None:
    assert price(SONNET) == price(f"{SONNET}-20250929")
    assert "claude-sonnet-4-5" == price(SONNET).model


def test_a_price_says_where_it_is_from() -> None:
    assert price(SONNET).source.startswith("genai-prices 0.")
    assert "runs on this machine" == price("device/anything").source


@pytest.mark.parametrize(
    ("model", "address"),
    [
        ("openai/unheard-of", None),
        ("openai/whisper-1", None),
        ("anthropic/gpt-5.4", None),
        ("local/llama3", None),
        ("local/llama3", "http://localhost:11434/v1"),
        ("local/gpt-5.4", "http://localhost:4000/v1"),
        ("openrouter/nobody/nothing", "https://openrouter.ai/api/v1"),
    ],
)
def test_a_price_that_nobody_knows_is_none(model: str, address: str | None) -> None:
    assert None is price_of(model, AT_MS, address)


def test_a_server_of_a_known_provider_has_its_prices() -> None:
    found = price("mine/anthropic/claude-sonnet-4.5", "https://openrouter.ai/api/v1")

    assert "anthropic/claude-sonnet-4.5" == found.model
    assert 3000 == found.rates[0].input


def test_the_worst_case_takes_the_dearest_input_and_the_longest_answer() -> None:
    # 1,000 x $3.75 (written to the cache) + 4,000 x $15
    assert 63_750_000 == worst_case(price(SONNET), 1000, 4000)
    # 300,000 x $7.50 + 1 x $22.50
    assert 2_250_022_500 == worst_case(price(SONNET), 300_000, 1)
    assert 0 == worst_case(FREE, 10**9, 10**9)


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts)
def test_no_call_costs_more_than_its_worst_case(plain: int, read: int, write: int, output: int) -> None:
    used = Usage(plain, read, write, output)

    for model in (SONNET, "openai/gpt-5.4", "anthropic/claude-haiku-5-5"):
        assert cost(used, price(model)) <= worst_case(price(model), plain + read + write, output)


def test_the_list_is_not_read_before_it_is_needed() -> None:
    code = (
        "import sys; from deskside.backend import app, prices; prices.price_of('device/x', 0); "
        "sys.exit('genai_prices' in sys.modules or 'pydantic' in sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": PYTHONPATH}).returncode
