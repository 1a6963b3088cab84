"""What leaves this machine, and the switch that keeps everything here."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.network.purpose import Kind
from deskside.backend.settings import Settings
from deskside.backend.store import network
from deskside.backend.store.network import HostTotal, NetworkRow
from deskside.bridge.registry import command


class PageUses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest before the id `before`. An empty `host` stands for all, as does a `purpose` of None.
    `with_loopback` also gives what stays on this machine."""

    before: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    host: Annotated[str, msgspec.Meta(max_length=300)] = ""
    purpose: Kind | None = None
    with_loopback: bool = False


class TotalUses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since `since_ms`, in Unix milliseconds."""

    since_ms: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    with_loopback: bool = False


class TurnSwitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_offline: bool


@command
async def page(app: App, params: PageUses) -> list[NetworkRow]:
    """What passed the gate, newest first. What still goes on has its bytes as they are now."""
    rows = await app.store.read(
        network.page,
        params.before,
        params.limit,
        params.host,
        params.purpose or "",
        params.with_loopback,
    )
    return app.ledger.live(rows)


@command
async def totals(app: App, params: TotalUses) -> list[HostTotal]:
    """What each host got and gave, whoever got most first."""
    return await app.store.read(network.totals, params.since_ms, params.with_loopback)


@command
async def switch(app: App, params: TurnSwitch) -> Settings:
    """Go offline, or online again. Offline nothing leaves this machine: answers from elsewhere end where they
    are, and what they said is kept."""
    return await app.network.turn(params.is_offline)
