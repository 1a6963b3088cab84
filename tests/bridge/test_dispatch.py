"""Commands: what a signature makes of them, and what a call gets back."""

from __future__ import annotations

import types
from typing import Any

import msgspec
import pytest
from page_client import Page, reply
from sample_commands import PLANTED

from deskside.backend.store import errors
from deskside.bridge.registry import read_command


async def test_a_call_returns_what_the_command_returns(page: Page) -> None:
    answer = await page.rpc("sample_commands.double", '{"value": 21}')

    assert answer["ok"] is True
    assert {"value": 42, "note": ""} == answer["data"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"value": "x"}', "Expected `int`, got `str` - at `$.value`"),
        ('{"value": -1}', "Expected `int` >= 0 - at `$.value`"),
        ('{"value": 1, "colour": "red"}', "unknown field `colour`"),
        ("{}", "missing required field `value`"),
        ("not json", "the parameters are not JSON"),
        (b'{"value": 1, "note": "\xff"}', "the parameters are not JSON"),
        ("[" * 10_000, "Expected `object`, got `array`"),
    ],
)
async def test_parameters_that_cannot_be_read_are_named(page: Page, body: Any, said: str) -> None:
    answer = await page.rpc("sample_commands.double", body)

    assert "invalid_request" == answer["error"]["code"]
    assert said in answer["error"]["message"]


async def test_only_what_cannot_be_read_is_said_to_be_malformed(page: Page) -> None:
    malformed = await page.rpc("sample_commands.double", "{}")
    refused = await page.rpc("sample_commands.missing")

    assert malformed["error"]["isMalformed"] is True
    assert "isMalformed" not in refused["error"]


async def test_a_command_without_parameters_refuses_some(page: Page) -> None:
    answer = await page.rpc("sample_commands.nothing", '{"value": 1}')

    assert "invalid_request" == answer["error"]["code"]


async def test_an_unknown_command_is_not_found(page: Page) -> None:
    answer = await page.rpc("sample_commands.explode")

    assert "not_found" == answer["error"]["code"]
    assert "sample_commands.explode" in answer["error"]["message"]


async def test_an_error_of_the_application_says_what_happened_and_what_to_do(page: Page) -> None:
    error = (await page.rpc("sample_commands.missing"))["error"]

    assert "conversation 9 was deleted" == error["message"]
    assert error["hint"]
    assert error["retryable"] is False


async def test_a_fault_in_a_command_says_nothing_but_its_name(page: Page) -> None:
    error = (await page.rpc("sample_commands.broken"))["error"]

    assert "internal" == error["code"]
    assert "sample_commands.broken" in error["message"]
    assert PLANTED not in str(error)
    assert "Traceback" not in str(error)


async def test_a_fault_in_a_command_is_kept_with_its_request_and_without_its_text(page: Page) -> None:
    answer = await page.rpc("sample_commands.broken", **{"x-request-id": "abc-123"})

    (row,) = await page.store.read(errors.recent, 10)
    assert ("command", "internal", "sample_commands.broken") == (row.source, row.code, row.place)
    assert "abc-123" == row.request_id == answer["error"]["requestId"]
    assert "RuntimeError at" in row.detail
    assert PLANTED not in str(row)


async def test_an_error_of_the_application_is_not_kept(page: Page) -> None:
    await page.rpc("sample_commands.missing")

    assert [] == await page.store.read(errors.recent, 10)


async def test_a_fault_that_cannot_be_kept_is_answered_all_the_same(page: Page) -> None:
    await page.store.close()

    assert "internal" == (await page.rpc("sample_commands.broken"))["error"]["code"]


async def test_a_result_that_is_not_what_was_promised_fails_in_tests(page: Page) -> None:
    assert "internal" == (await page.rpc("sample_commands.lie"))["error"]["code"]


async def test_a_result_that_cannot_be_written_down_is_answered_with_an_error(page: Page) -> None:
    over_http = await page.rpc("sample_commands.unspeakable")
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.unspeakable"}')
        over_socket = await reply(socket, 1)

    assert "internal" == over_http["error"]["code"] == over_socket["error"]["code"]


async def test_no_parameters_are_all_defaults(page: Page) -> None:
    answer = await page.rpc("sample_commands.double", "null")

    assert "missing required field `value`" in answer["error"]["message"]


async def test_a_request_id_goes_through_everything_and_comes_back(page: Page) -> None:
    answer = await page.rpc("sample_commands.who", **{"x-request-id": "abc-123"})

    assert (answer["data"], answer["requestId"]) == ("abc-123", "abc-123")


async def test_a_request_id_is_made_where_it_is_missing_or_unfit(page: Page) -> None:
    made = await page.rpc("sample_commands.who")
    replaced = await page.rpc("sample_commands.who", **{"x-request-id": "<script>"})

    assert made["data"] == made["requestId"] != "-"
    assert 12 == len(replaced["requestId"])


async def test_a_stream_yields_its_items_and_ends(page: Page) -> None:
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.count","params":{"value":3}}')
        frames = [await reply(socket, 1) for _ in range(4)]

    assert [frame["data"] for frame in frames[:3]] == [0, 1, 2]
    assert "done" == frames[3]["t"]


async def test_a_stream_over_http_says_to_use_the_socket(page: Page) -> None:
    answer = await page.rpc("sample_commands.count", '{"value": 3}')

    assert "WebSocket" in answer["error"]["message"]


async def test_every_call_is_timed(page: Page) -> None:
    for _ in range(3):
        await page.rpc("sample_commands.nothing")
    await page.rpc("sample_commands.no_such")

    rows = {row.name: row for row in page.server.timings.report()}
    assert 3 == rows["sample_commands.nothing"].count
    assert 0 < rows["sample_commands.nothing"].p50_ms <= rows["sample_commands.nothing"].max_ms
    assert {"not_found": 1} == rows["(unknown)"].failures


async def test_a_failed_call_is_counted_under_its_code_and_a_stream_not_at_all(page: Page) -> None:
    await page.rpc("sample_commands.missing")
    await page.rpc("sample_commands.broken")
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"sample_commands.count","params":{"value":0}}')
        assert "done" == (await reply(socket, 1))["t"]

    rows = {row.name: row.failures for row in page.server.timings.report()}
    assert {"sample_commands.missing": {"not_found": 1}, "sample_commands.broken": {"internal": 1}} == rows


class Loose(msgspec.Struct):
    value: int


def no_first(value: int) -> None:
    """A function that takes no App."""


@pytest.mark.parametrize("function", [no_first, test_every_call_is_timed, lambda app: None])
def test_a_function_that_cannot_be_a_command_is_refused_at_start(function: types.FunctionType) -> None:
    with pytest.raises(TypeError):
        read_command(function)
