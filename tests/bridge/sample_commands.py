"""Commands that only tests have: one of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, cast

import msgspec

from deskside.backend.app import App
from deskside.backend.errors import NotFound
from deskside.backend.log import request_id
from deskside.bridge.registry import Bridge, command

PLANTED = "sk-planted-secret-0123456789"


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    note: str = ""


@command
async def double(app: App, params: Number) -> Number:
    """Twice the number."""
    return Number(params.value * 2, params.note)


@command
async def count(app: App, params: Number) -> AsyncIterator[int]:
    """Count up to a number."""
    for value in range(params.value):
        yield value


@command
async def nothing(app: App) -> None:
    """Answer with nothing."""


@command
async def missing(app: App) -> None:
    """Fail as the application does."""
    raise NotFound("conversation 9 was deleted")


@command
async def broken(app: App) -> None:
    """Fail as a fault does."""
    raise RuntimeError(f"could not use {PLANTED}")


@command
async def lie(app: App) -> Number:
    """Answer with something else than promised."""
    return cast(Number, "a number")


@command
async def unspeakable(app: App) -> str:
    """Answer with half a character, as a file name can hold it."""
    return "\udcff"


@command
async def wait(bridge: Bridge) -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


@command
async def who(app: App) -> str:
    """The request id that everything of this call carries."""
    await asyncio.sleep(0)
    return request_id.get()
