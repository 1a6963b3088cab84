"""The ledger: what model calls used and cost, the user's own prices, and what limits were."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from deskside.backend.agent.limits import month_start_ms
from deskside.backend.app import App
from deskside.backend.store import ledger, limit_history
from deskside.backend.store.ledger import ConversationUsage, Month
from deskside.backend.store.limit_history import LimitChange
from deskside.backend.store.prices import PriceRow
from deskside.backend.user_prices import TokenPrices
from deskside.bridge.commands.agents import SavedFile
from deskside.bridge.commands.conversations import ModelName, RowId
from deskside.bridge.registry import Bridge, command

LIMIT_CHANGES = 200


class OfMonth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A month of the calendar on the wall, such as 2026-11."""

    month: Annotated[str, msgspec.Meta(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])(?!\\n)$")]


class OfConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    conversation_id: RowId


class ChangePrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prices` None: the program's own list holds from that day on. `valid_from` is a local date."""

    model: ModelName
    valid_from: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\\n)$")]
    prices: TokenPrices | None


@command
async def month(app: App, params: OfMonth) -> Month:
    """What was used in a month, by day, model, agent and conversation."""
    return await app.store.read(ledger.month, *_span(params.month))


@command
async def of_conversation(app: App, params: OfConversation) -> ConversationUsage:
    """What a conversation and each of its replies cost so far."""
    return await app.store.read(ledger.of_conversation, params.conversation_id)


@command
async def export(bridge: Bridge, params: OfMonth) -> SavedFile:
    """Let the user choose where to write a month's calls as CSV, one line each. NeedsWindow without a
    window."""
    text = await bridge.app.store.read(ledger.as_csv, *_span(params.month))
    name = f"deskside-usage-{params.month}.csv"
    return SavedFile(await bridge.desktop.save_file("Export the month's calls", name, text))


@command
async def prices(app: App) -> list[PriceRow]:
    """All versions of the prices that the user entered: by model, the one that begins last first."""
    return app.user_prices.versions


@command
async def change_price(app: App, params: ChangePrice) -> list[PriceRow]:
    """Set what a model costs from a day on; calls that were made keep what they cost. Returns all
    versions."""
    return await app.user_prices.change(params.model, params.valid_from, params.prices)


@command
async def limit_changes(app: App) -> list[LimitChange]:
    """What limits were, and when they were set, the last first."""
    return await app.store.read(limit_history.recent, LIMIT_CHANGES)


def _span(month: str) -> tuple[int, int]:
    """When a month begins and the next one does, on the clock of this machine."""
    first = datetime.strptime(month, "%Y-%m")
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return month_start_ms(first), month_start_ms(following)
