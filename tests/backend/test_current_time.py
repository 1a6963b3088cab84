"""`current_time`: the time here and elsewhere, and nothing read from disk but time zones."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import pytest
from tool_calls import called

from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.current_time import current_time
from deskside.backend.tools.declaration import BadArguments

NO_CONTEXT = cast(ToolContext, None)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def told(**arguments: Any) -> str:
    return (await called(current_time, NO_CONTEXT, **arguments)).text


@pytest.mark.usefixtures("in_berlin")
async def test_it_is_the_users_local_time_with_weekday_and_offset() -> None:
    told_now = await told()

    found = re.fullmatch(r"(\w+), (\S+ \S+), UTC(\+0[12]:00) \(CES?T\)", told_now)
    assert found is not None, told_now
    moment = datetime.strptime(f"{found[2]}{found[3]}", "%Y-%m-%d %H:%M:%S%z")
    assert abs(moment.timestamp() - time.time()) < 5
    assert moment.strftime("%A") == found[1]


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Asia/Kolkata", "UTC+05:30"),
        ("UTC", "UTC+00:00"),
        ("America/Argentina/Buenos_Aires", "UTC-03:00"),
        ("Etc/GMT+8", "UTC-08:00"),
    ],
)
async def test_another_zone_can_be_asked_for(zone: str, offset: str) -> None:
    assert f"{offset} ({zone})" in await told(zone=zone)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "x" * 64])
async def test_an_unknown_zone_is_said_to_be_none(zone: str) -> None:
    with pytest.raises(LookupError, match="there is no time zone"):
        await told(zone=zone)


@pytest.mark.parametrize(
    "zone",
    [
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../../passwd",
        "a\x00b",
        "x" * 65,
        "~root",
        "C:\\x",
        " UTC",
    ],
)
async def test_a_name_that_is_a_path_is_not_looked_up(zone: str) -> None:
    with pytest.raises(BadArguments):
        await told(zone=zone)
