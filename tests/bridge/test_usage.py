"""The ledger as the page sees it: what each provider's calls cost, to the nano-dollar, and its sums.

A case says what the provider sends and what the call then costs, worked out by hand beside it. Listed prices
are those of the providers' pages, in dollars for a million tokens (a dollar for a million tokens is 1,000
nano-dollars for one):

  gpt-5.4             input 2.50, from cache 0.25, output 15; all doubled but the answer's 22.50 above 272,000
  claude-sonnet-4-5   input 3, from cache 0.30, into it 3.75, output 15; 6, 0.60, 7.50, 22.50 above 200,000
"""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from deskside.backend.app import App, open_app
from deskside.backend.events import MessageChanged, TextAppended
from deskside.backend.metrics.timings import Timings
from deskside.backend.paths import Paths
from deskside.backend.settings import Server
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from provider_server import ProviderServer, Reply, ToolCall, chat_stream, error_reply
from stores import paths_in, rows

Call = Callable[..., Coroutine[Any, Any, Any]]
MONTH = date.today().strftime("%Y-%m")
GPT, SONNET, HOUSE, FREE = "openai/gpt-5.4", "anthropic/claude-sonnet-4-5", "local/house", "free/house"
HOUSE_PRICES = {"input": "0.15", "cache_read": "0.075", "cache_write": "0.3", "output": "0.6"}


def sent(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def chat(usage: Any, *, said: str = "Yes.") -> bytes:
    return (
        sent(
            {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        )
        + b"data: [DONE]\n\n"
    )


def billed(cost: str, **more: Any) -> bytes:
    """A server that says what the call costs, with the digits that it writes."""
    body = chat({"prompt_tokens": 10, "completion_tokens": 5, "cost": "COST", **more})
    return body.replace(b'"COST"', cost.encode())


def responses(usage: Any, *, kind: str = "response.completed", error: Any = None) -> bytes:
    return sent(
        {"type": "response.output_text.delta", "delta": "Yes.", "item_id": "m", "output_index": 0},
        {"type": kind, "response": {"usage": usage, "error": error}},
    )


def counted_along(prompt: int, output: int) -> bytes:
    """The beginning of an answer whose server counts along with each piece."""
    piece = {"index": 0, "delta": {"content": "Yes."}, "finish_reason": None}
    return sent({"choices": [piece], "usage": {"prompt_tokens": prompt, "completion_tokens": output}})


def started(**usage: Any) -> bytes:
    """The beginning of Anthropic's answer, which reports what was read and one token of the answer."""
    return sent(
        {"type": "message_start", "message": {"usage": {"output_tokens": 1, **usage}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}},
    )


def answered(output: int, *, thinking: int = 0, **usage: Any) -> bytes:
    counts = {"output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking}}
    return started(**usage) + sent(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts},
        {"type": "message_stop"},
    )


CACHED = {"cache_creation_input_tokens": 312, "cache_read_input_tokens": 18_210}
BYOK = {"is_byok": True, "cost_details": {"upstream_inference_cost": 0.00012}}
INVALID = {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}


@dataclass(frozen=True)
class Case:
    """`nano_usd` is what the one call costs, or where `is_least`, what it costs at least. With `stops` the
    user stops the answer at its first words, and the server sends no more than `body`."""

    name: str
    model: str
    body: bytes
    state: str
    nano_usd: int | None
    status: str = "complete"
    stops: bool = False
    is_least: bool = False


CASES = [
    # -- chat completions, at the user's prices: 150, 75, 300 and 600 nano-dollars a token --
    Case(
        "chat: cache and reasoning",
        HOUSE,
        chat(
            {
                "prompt_tokens": 2006,
                "completion_tokens": 40,
                "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 50},
                "completion_tokens_details": {"reasoning_tokens": 30},
            }
        ),
        "estimated",
        36 * 150 + 1920 * 75 + 50 * 300 + 40 * 600,
    ),
    # 1 x 0.25 + 3 x 0.5 is 1.75: rounded once, not 0 + 2 and not 1 for each class.
    Case(
        "chat: a fraction", "local/cheap", chat({"prompt_tokens": 1, "completion_tokens": 3}), "estimated", 2
    ),
    Case("chat: no price", "local/x", chat({"prompt_tokens": 9, "completion_tokens": 3}), "unknown", None),
    Case("chat: nothing reported", HOUSE, chat(None), "unknown", None),
    Case("chat: stopped", HOUSE, chat(None)[:90], "unknown", None, "stopped", stops=True),
    # vLLM counts along: what it had counted when the user stopped is the least.
    Case(
        "chat: counted along, and stopped",
        HOUSE,
        counted_along(10, 1),
        "estimated",
        10 * 150 + 1 * 600,
        "stopped",
        stops=True,
        is_least=True,
    ),
    Case(
        "chat: counted along to the end",
        HOUSE,
        counted_along(10, 1) + chat({"prompt_tokens": 10, "completion_tokens": 4}),
        "estimated",
        10 * 150 + 4 * 600,
    ),
    Case(
        "chat: counted along, and no reason to stop",
        HOUSE,
        counted_along(10, 1) + b"data: [DONE]\n\n",
        "estimated",
        10 * 150 + 1 * 600,
    ),
    # xAI's thoughts are no part of the answer's tokens, only of the total.
    Case(
        "chat: thoughts counted apart",
        HOUSE,
        chat(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            }
        ),
        "estimated",
        32 * 150 + (9 + 94) * 600,
    ),
    # Gemini's are not named at all.
    Case(
        "chat: thoughts in the total alone",
        HOUSE,
        chat({"prompt_tokens": 758, "completion_tokens": 102, "total_tokens": 1725}),
        "estimated",
        758 * 150 + (102 + 865) * 600,
    ),
    Case(
        "chat: a total that says the same",
        HOUSE,
        chat(
            {
                "prompt_tokens": 100,
                "completion_tokens": 651,
                "total_tokens": 751,
                "completion_tokens_details": {"reasoning_tokens": 512},
            }
        ),
        "estimated",
        100 * 150 + 651 * 600,
    ),
    # -- a server of which the user says that it is free: that is known, whatever becomes of the answer --
    Case("free: answered", FREE, chat({"prompt_tokens": 10, "completion_tokens": 5}), "estimated", 0),
    Case("free: nothing reported", FREE, chat(None), "estimated", 0),
    Case("free: stopped", FREE, chat(None)[:90], "estimated", 0, "stopped", stops=True),
    # -- a compatible server that says what the call costs: that counts, whatever the prices are --
    Case("server: billed", HOUSE, billed("0.00014"), "billed", 140_000),
    Case("server: billed without a price", "local/x", billed("0.0123456789"), "billed", 12_345_679),
    Case("server: billed in powers", "local/x", billed("1.5e-9"), "billed", 2),
    Case("server: billed nothing", "local/x", billed("0"), "billed", 0),
    Case("server: billed apart by the maker", HOUSE, billed("0.000006", **BYOK), "billed", 126_000),
    Case("server: a cost that is none", HOUSE, billed('{"total": 1}'), "estimated", 10 * 150 + 5 * 600),
    Case("server: a cost that is absurd", "local/x", billed("1e999999"), "unknown", None),
    Case("server: a cost below nothing", "local/x", billed("-0.5"), "unknown", None),
    # -- OpenAI's responses --
    Case(
        "responses: cache and reasoning",
        GPT,
        responses(
            {
                "input_tokens": 1000,
                "input_tokens_details": {"cached_tokens": 600},
                "output_tokens": 500,
                "output_tokens_details": {"reasoning_tokens": 300},
            }
        ),
        "estimated",
        400 * 2_500 + 600 * 250 + 500 * 15_000,
    ),
    Case(
        "responses: written to the cache",
        GPT,
        responses(
            {"input_tokens": 70, "input_tokens_details": {"cache_write_tokens": 50}, "output_tokens": 1}
        ),
        "estimated",
        # No price of its own: input like any other.
        20 * 2_500 + 50 * 2_500 + 1 * 15_000,
    ),
    Case(
        "responses: the most of the lower tier",
        GPT,
        responses({"input_tokens": 272_000, "output_tokens": 1}),
        "estimated",
        272_000 * 2_500 + 1 * 15_000,
    ),
    Case(
        "responses: the higher tier",
        GPT,
        responses({"input_tokens": 272_001, "output_tokens": 10}),
        "estimated",
        272_001 * 5_000 + 10 * 22_500,
    ),
    Case("responses: stopped", GPT, responses(None)[:120], "unknown", None, "stopped", stops=True),
    Case(
        "responses: failed after usage",
        GPT,
        responses(
            {"input_tokens": 40, "output_tokens": 7},
            kind="response.failed",
            error={"code": "invalid_prompt", "message": "No."},
        ),
        "estimated",
        40 * 2_500 + 7 * 15_000,
        "failed",
    ),
    Case(
        "responses: unknown model",
        "openai/made-up",
        responses({"input_tokens": 40, "output_tokens": 7}),
        "unknown",
        None,
    ),
    # -- Anthropic's messages --
    Case(
        "messages: read from and written to the cache",
        SONNET,
        answered(5, input_tokens=4, **CACHED),
        "estimated",
        4 * 3_000 + 312 * 3_750 + 18_210 * 300 + 5 * 15_000,
    ),
    Case(
        "messages: thinking is output",
        SONNET,
        answered(50, thinking=40, input_tokens=10),
        "estimated",
        10 * 3_000 + 50 * 15_000,
    ),
    Case(
        "messages: cached input decides on the tier, too",
        SONNET,
        answered(10, input_tokens=1, cache_read_input_tokens=200_000),
        "estimated",
        1 * 6_000 + 200_000 * 600 + 10 * 22_500,
    ),
    # What it had reported by then: all input, and one token of the answer.
    Case(
        "messages: stopped",
        SONNET,
        started(input_tokens=19),
        "estimated",
        19 * 3_000 + 1 * 15_000,
        "stopped",
        stops=True,
        is_least=True,
    ),
    Case(
        "messages: stopped after cached input",
        SONNET,
        started(input_tokens=4, **CACHED),
        "estimated",
        4 * 3_000 + 312 * 3_750 + 18_210 * 300 + 1 * 15_000,
        "stopped",
        stops=True,
        is_least=True,
    ),
    # The same, said again by kind of cache: Deskside asks for the one of five minutes.
    Case(
        "messages: written for five minutes",
        SONNET,
        answered(
            5,
            input_tokens=4,
            cache_creation_input_tokens=312,
            cache_creation={"ephemeral_5m_input_tokens": 312, "ephemeral_1h_input_tokens": 0},
        ),
        "estimated",
        4 * 3_000 + 312 * 3_750 + 5 * 15_000,
    ),
    Case(
        "messages: failed after usage",
        SONNET,
        started(input_tokens=19) + sent(INVALID),
        "estimated",
        19 * 3_000 + 1 * 15_000,
        "failed",
        is_least=True,
    ),
    Case("messages: unknown model", "anthropic/x", answered(5, input_tokens=4), "unknown", None),
]


class Files(NoDesktop):
    """A desktop whose user saves where they are asked to, and chooses that file again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def save_file(self, title: str, suggested_name: str, text: str) -> str | None:
        path = self.folder / suggested_name
        path.write_text(text, "utf-8")
        return str(path)

    async def choose_target(self, title: str, suggested_name: str) -> str | None:
        return str(self.folder / "chosen.json")

    async def choose_file(self, title: str, endings: Sequence[str]) -> str | None:
        return str(self.folder / "chosen.json")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    return paths_in(tmp_path)


@asynccontextmanager
async def opened(paths: Paths, server: ProviderServer) -> AsyncIterator[tuple[App, Call]]:
    """The program, and a way to call a command; a refusal is its `Failure`."""
    async with open_app(paths) as app:
        registry = Registry(COMMANDS)
        bridge = Bridge(app, registry, Files(paths.data), Timings())

        async def call(command: str, **params: Any) -> Any:
            answer = await registry.dispatch(bridge, command, msgspec.json.encode(params))
            return answer if isinstance(answer, Failure) else json.loads(bytes(answer))

        servers = [
            Server("local", "My server", server.openai_url),
            Server("free", "My other server", server.openai_url, is_free=True),
        ]
        urls = {"openai_base_url": server.openai_url, "anthropic_base_url": server.anthropic_url}
        await app.settings.change({"servers": servers, **urls})
        yield app, call


async def until(app: App, is_true: Callable[[Any], bool], after: int = 0) -> None:
    async with asyncio.timeout(10):
        while True:
            for event in app.events.since(after, 10_000) or []:
                after += 1
                if is_true(event):
                    return
            await app.events.wait_beyond(after)


def is_end(event: Any, message_id: int) -> bool:
    return (
        isinstance(event, MessageChanged)
        and event.message.id == message_id
        and event.message.status != "streaming"
    )


async def asked(app: App, call: Call, model: str, conversation_id: int | None = None) -> Any:
    """A question and its whole answer, as the page knows them."""
    before = app.events.last
    begun = await call("runs.start", conversation_id=conversation_id, text="Well?", model=model)
    await until(app, lambda event: is_end(event, begun["reply"]["id"]), before)
    return begun


LEDGER = "select state, cost_nano_usd from usage_record order by id"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_call_costs_what_was_worked_out_by_hand(
    case: Case, paths: Paths, server: ProviderServer
) -> None:
    server.script(Reply(case.body, hang_after=len(case.body) if case.stops else None))
    async with opened(paths, server) as (app, call):
        await call("usage.change_price", model=HOUSE, valid_from="2026-01-01", prices=HOUSE_PRICES)
        cheap = {"input": "0.00025", "output": "0.0005"}
        await call("usage.change_price", model="local/cheap", valid_from="2026-01-01", prices=cheap)
        begun = await call("runs.start", text="Well?", model=case.model)
        if case.stops:
            await until(app, lambda event: isinstance(event, TextAppended))
            await call("runs.stop", message_id=begun["reply"]["id"])
        await until(app, lambda event: is_end(event, begun["reply"]["id"]))
        month = await call("usage.month", month=MONTH)
        row = (await call("messages.page", conversation_id=begun["conversation"]["id"]))["messages"][-1]
        of_chat = await call("usage.of_conversation", conversation_id=begun["conversation"]["id"])

    assert case.status == row["status"]
    assert [(case.state, case.nano_usd)] == rows(paths.database, LEDGER)
    total = month["total"]
    assert (1, case.nano_usd or 0) == (total["calls"], total["cost_nano_usd"])
    assert int(case.state == "unknown") == total["unknown_calls"]
    assert int(case.state == "billed") == total["billed_calls"]
    assert int(case.is_least) == total["partial_calls"]
    assert total == of_chat["total"]
    assert [{"message_id": row["id"], "sum": total}] == of_chat["messages"]


# -- prices --------------------------------------------------------------------------------------


async def test_a_price_that_changes_holds_for_the_calls_from_then_on(
    paths: Paths, server: ProviderServer
) -> None:
    used = chat({"prompt_tokens": 10, "completion_tokens": 0})
    today = date.today()
    async with opened(paths, server) as (app, call):
        server.script(*[Reply(used)] * 4)
        await asked(app, call, HOUSE)
        for day, dollars in ((date(2020, 1, 1), "1"), (today + timedelta(days=1), "7")):
            price = {"input": dollars, "output": "0"}
            await call("usage.change_price", model=HOUSE, valid_from=day.isoformat(), prices=price)
        await asked(app, call, HOUSE)
        price = {"input": "2", "output": "0"}
        await call("usage.change_price", model=HOUSE, valid_from=today.isoformat(), prices=price)
        await asked(app, call, HOUSE)
        await call("usage.change_price", model=HOUSE, valid_from=today.isoformat(), prices=None)
    async with opened(paths, server) as (app, call):
        await asked(app, call, HOUSE)
        versions = await call("usage.prices")

    # 10 tokens at no known price, at 1, at 2 dollars, and at none again; what was made is not made anew.
    assert [("unknown", None), ("estimated", 10_000), ("estimated", 20_000), ("unknown", None)] == rows(
        paths.database, LEDGER
    )
    assert ["7", None, "2", "1"] == [version["input"] for version in versions]
    prices = [
        json.loads(price) for (price,) in rows(paths.database, "select price from usage_record") if price
    ]
    assert ["your price from 2020-01-01", f"your price from {today}"] == [price["source"] for price in prices]


async def test_the_users_price_stands_before_the_list_and_a_free_server(
    paths: Paths, server: ProviderServer
) -> None:
    server.script(
        Reply(chat({"prompt_tokens": 10, "completion_tokens": 0})),
        Reply(responses({"input_tokens": 10, "output_tokens": 0})),
    )
    async with opened(paths, server) as (app, call):
        free = Server("local", "My server", server.openai_url, is_free=True)
        await app.settings.change({"servers": [free]})
        for model in (HOUSE, GPT):
            price = {"input": "1.5", "output": "0"}
            await call("usage.change_price", model=model, valid_from="2020-01-01", prices=price)
            await asked(app, call, model)

    assert [("estimated", 15_000)] * 2 == rows(paths.database, LEDGER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"valid_from": "2026-02-30"}, "is no day"),
        ({"valid_from": "tomorrow"}, "valid_from"),
        ({"prices": {"input": "1", "output": "-1"}}, "output"),
        ({"prices": {"input": "1e3", "output": "1"}}, "input"),
        ({"prices": {"input": "0.0000000001", "output": "1"}}, "input"),
        ({"prices": {"input": "1"}}, "output"),
        ({"model": ""}, "model"),
    ],
)
async def test_a_price_that_cannot_be_is_refused(
    changes: Any, said: str, paths: Paths, server: ProviderServer
) -> None:
    right = {"model": HOUSE, "valid_from": "2026-01-01", "prices": {"input": "1", "output": "1"}}
    async with opened(paths, server) as (_, call):
        failure = await call("usage.change_price", **(right | changes))

        assert isinstance(failure, Failure)
        assert said in failure.message
        assert [] == await call("usage.prices")


# -- what stays, and what is shown ----------------------------------------------------------------


async def test_what_a_conversation_cost_is_known_when_it_is_gone(
    paths: Paths, server: ProviderServer
) -> None:
    server.script(*[Reply(billed("0.5"))] * 2)
    async with opened(paths, server) as (app, call):
        first = (await asked(app, call, HOUSE))["conversation"]["id"]
        await call("conversations.rename", id=first, title="What I asked about plums")
        await call("conversations.delete", ids=[first])
        await call("conversations.purge", ids=[first])
        # It takes the number of the one that is gone.
        second = await asked(app, call, HOUSE)
        await call("conversations.rename", id=first, title="=HYPERLINK(1)")
        month = await call("usage.month", month=MONTH)
        of_second = await call("usage.of_conversation", conversation_id=second["conversation"]["id"])
        saved = await call("usage.export", month=MONTH)

    assert first == second["conversation"]["id"]
    parts = month["conversations"]["parts"]
    # Its name goes with it: it was made of what the user said.
    assert [("", True, 500_000_000), ("=HYPERLINK(1)", False, 500_000_000)] == [
        (part["name"], part["is_gone"], part["sum"]["cost_nano_usd"]) for part in parts
    ]
    assert 0 < parts[0]["first_ms"] < parts[1]["first_ms"]
    assert not any(b"about plums" in path.read_bytes() for path in paths.data.rglob("*") if path.is_file())
    assert 500_000_000 == of_second["total"]["cost_nano_usd"]
    lines = list(csv.DictReader(io.StringIO(Path(saved["path"]).read_text("utf-8"))))
    # A spreadsheet would run it.
    assert ["", "'=HYPERLINK(1)"] == [line["conversation"] for line in lines]
    assert ["0.500000000"] * 2 == [line["cost_usd"] for line in lines]
    assert f"deskside-usage-{MONTH}.csv" == Path(saved["path"]).name


async def test_a_conversation_that_comes_back_has_its_cost_again_once(
    paths: Paths, server: ProviderServer
) -> None:
    body = started(input_tokens=19)
    server.script(Reply(billed("0.5")), Reply(body, hang_after=len(body)))

    async def done(call: Call) -> None:
        async with asyncio.timeout(10):
            while (await call("transfers.current"))["state"] in ("looking", "working"):
                await asyncio.sleep(0.01)

    async with opened(paths, server) as (app, call):
        chat_id = (await asked(app, call, HOUSE))["conversation"]["id"]
        last = app.events.last
        stopped = (await call("runs.start", conversation_id=chat_id, text="And?", model=SONNET))["reply"]
        await until(app, lambda event: isinstance(event, TextAppended), last)
        await call("runs.stop", message_id=stopped["id"])
        await until(app, lambda event: is_end(event, stopped["id"]), last)
        before = await call("usage.of_conversation", conversation_id=chat_id)
        await call("transfers.export", format="json", ids=[chat_id])
        await done(call)
        await call("conversations.delete", ids=[chat_id])
        await call("conversations.purge", ids=[chat_id])
        for command in ("transfers.choose_import", "transfers.import_"):
            await call(command)
            await done(call)
        (row,) = (await call("conversations.page"))["conversations"]
        after = await call("usage.of_conversation", conversation_id=row["id"])
        month = await call("usage.month", month=MONTH)

    assert (2, 500_072_000, 1) == tuple(
        before["total"][name] for name in ("calls", "cost_nano_usd", "partial_calls")
    )
    assert before["total"] == after["total"] == month["total"]
    assert [("Well?", False)] == [(part["name"], part["is_gone"]) for part in month["conversations"]["parts"]]


async def test_an_unknown_cost_is_empty_in_the_table_and_named_beside_the_sum(
    paths: Paths, server: ProviderServer
) -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 5}
    server.script(Reply(chat(used)), Reply(billed("0.000000001")))
    async with opened(paths, server) as (app, call):
        begun = await asked(app, call, "local/x")
        await asked(app, call, "local/x", begun["conversation"]["id"])
        month = await call("usage.month", month=MONTH)
        other = await call("usage.month", month="2020-02")
        saved = await call("usage.export", month=MONTH)

    lines = list(csv.DictReader(io.StringIO(Path(saved["path"]).read_text("utf-8"))))
    assert [("unknown", "", ""), ("billed", "0.000000001", "1")] == [
        (line["state"], line["cost_usd"], line["cost_nano_usd"]) for line in lines
    ]
    for sum_ in (month["total"], month["models"]["parts"][0]["sum"], month["days"][0]["sum"]):
        assert (2, 1, 1) == (sum_["calls"], sum_["cost_nano_usd"], sum_["unknown_calls"])
    assert 0 == other["total"]["calls"]
    assert month["first_ms"] == other["first_ms"]


def refusal(status: int, kind: str) -> Reply:
    return error_reply(status, {"type": "error", "error": {"type": kind, "message": "No."}})


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        # A provider that refuses a call has used nothing, and bills nothing.
        (refusal(401, "authentication_error"), [("estimated", 0)]),
        (refusal(404, "not_found_error"), [("estimated", 0)]),
        (refusal(400, "invalid_request_error"), [("estimated", 0)]),
        # Each is made again, and then answered: 4 and 5 tokens.
        (refusal(429, "rate_limit_error"), [("estimated", 0), ("estimated", 87_000)]),
        # What became of these, nobody knows.
        (refusal(529, "overloaded_error"), [("unknown", None), ("estimated", 87_000)]),
        (Reply(status=0), [("unknown", None), ("estimated", 87_000)]),
        (Reply(started(input_tokens=4), cut_after=0), [("unknown", None), ("estimated", 87_000)]),
        # It had begun: 4 tokens in, 1 out.
        (Reply(started(input_tokens=4), cut_after=150), [("estimated", 27_000), ("estimated", 87_000)]),
    ],
)
async def test_every_attempt_is_in_the_ledger_and_one_that_was_refused_cost_nothing(
    reply: Reply, expected: Any, paths: Paths, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    server.script(reply, Reply(answered(5, input_tokens=4)))
    async with opened(paths, server) as (app, call):
        await asked(app, call, SONNET)
        month = await call("usage.month", month=MONTH)

    assert expected == rows(paths.database, LEDGER)
    assert len(expected) == month["total"]["calls"]
    assert expected.count(("unknown", None)) == month["total"]["unknown_calls"]


async def test_a_call_that_reached_nobody_cost_nothing(
    paths: Paths, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with opened(paths, server) as (app, call):
            await app.settings.change({"servers": [Server("local", "My server", address)]})
            await asked(app, call, HOUSE)

    assert {("estimated", 0)} == set(rows(paths.database, LEDGER))


async def test_a_price_that_changes_while_an_answer_comes_holds_from_the_next_call(
    paths: Paths, server: ProviderServer
) -> None:
    body = answered(50, input_tokens=10)
    server.script(Reply(body, hang_after=len(started(input_tokens=10))))
    prices = {"input": "1", "output": "2"}
    async with opened(paths, server) as (app, call):
        begun = await call("runs.start", text="Well?", model=SONNET)
        await until(app, lambda event: isinstance(event, TextAppended))
        await call("usage.change_price", model=SONNET, valid_from="2020-01-01", prices=prices)
        server.release()
        await until(app, lambda event: is_end(event, begun["reply"]["id"]))
        server.script(Reply(body))
        await asked(app, call, SONNET)

    assert [("estimated", 10 * 3_000 + 50 * 15_000), ("estimated", 10 * 1_000 + 50 * 2_000)] == rows(
        paths.database, LEDGER
    )


async def test_a_call_for_a_title_is_in_the_ledger_before_it_is_answered(
    paths: Paths, server: ProviderServer
) -> None:
    begins = started(input_tokens=19)
    server.script(Reply(billed("0.5")), Reply(begins + sent(INVALID), hang_after=len(begins)))
    async with opened(paths, server) as (app, call):
        chat_id = (await asked(app, call, HOUSE))["conversation"]["id"]
        await call("conversations.set_model", id=chat_id, model=SONNET)
        title = asyncio.create_task(call("conversations.name_by_model", id=chat_id))
        async with asyncio.timeout(10):
            while [("unknown", None)] != rows(paths.database, LEDGER)[1:]:
                await asyncio.sleep(0.01)
        server.release()
        failure = await title

    assert isinstance(failure, Failure)
    assert [("billed", 500_000_000), ("estimated", 19 * 3_000 + 15_000)] == rows(paths.database, LEDGER)


async def test_what_another_agent_did_for_a_reply_is_in_its_cost(
    paths: Paths, server: ProviderServer
) -> None:
    asks = b"".join(chat_stream([], ToolCall("c1", "ask_helper", '{"task": "look"}')))
    server.script(Reply(asks), Reply(billed("0.25")), Reply(billed("0.5")), Reply(billed("2")))
    async with opened(paths, server) as (app, call):
        await call("agents.create", name="helper", instructions="Help.")
        assistant = next(row for row in await call("agents.list") if row["name"] == "assistant")
        await call("agents.change", id=assistant["id"], subagents=["helper"])
        begun = await asked(app, call, HOUSE)
        await asked(app, call, HOUSE, begun["conversation"]["id"])
        found = await call("usage.of_conversation", conversation_id=begun["conversation"]["id"])
        month = await call("usage.month", month=MONTH)

    # The first answer's own two calls, of which one says no cost and has no price, and the helper's one.
    first, second = found["messages"]
    assert begun["reply"]["id"] == first["message_id"]
    assert (3, 1, 750_000_000) == tuple(
        first["sum"][name] for name in ("calls", "unknown_calls", "cost_nano_usd")
    )
    assert 2_000_000_000 == second["sum"]["cost_nano_usd"]
    by_agent = {part["name"]: part["sum"]["cost_nano_usd"] for part in month["agents"]["parts"]}
    assert {"Assistant": 2_500_000_000, "helper": 250_000_000} == by_agent


async def test_more_conversations_than_are_listed_are_one_sum(paths: Paths, server: ProviderServer) -> None:
    server.script(*[Reply(billed(f"0.{number:03}")) for number in range(1, 53)])
    async with opened(paths, server) as (app, call):
        for _ in range(52):
            await asked(app, call, HOUSE)
        month = await call("usage.month", month=MONTH)

    conversations = month["conversations"]
    assert (50, 2) == (len(conversations["parts"]), conversations["more"])
    assert 52_000_000 == conversations["parts"][0]["sum"]["cost_nano_usd"]
    assert 3_000_000 == conversations["rest"]["cost_nano_usd"]


# -- limits --------------------------------------------------------------------------------------


async def test_every_change_of_a_limit_is_kept_with_its_day(paths: Paths, server: ProviderServer) -> None:
    day, month = {"cost_nano_usd": 5, "tokens": None}, {"cost_nano_usd": None, "tokens": 9}
    none = {"cost_nano_usd": None, "tokens": None}
    async with opened(paths, server) as (_, call):
        await call("settings.change", limits={"day": day})
        await call("settings.change", limits={"day": day})
        await call("settings.change", user_name="Ann")
        agent = await call("agents.create", name="critic", label="The critic")
        await call("agents.change", id=agent["id"], limits={"month": month})
        await call("agents.change", id=agent["id"], label="The kind critic")
        await call("settings.change", limits={})
        found = await call("usage.limit_changes")

    assert [(None, none), ("The kind critic", none), (None, day)] == [
        (change["agent"], (change["limits"] or change["agent_limits"])["day"]) for change in found
    ]
    assert month == found[1]["agent_limits"]["month"]
    assert all(change["at_ms"] > 0 for change in found)


# -- whatever happens ----------------------------------------------------------------------------

SAYS_TOKENS = chat({"prompt_tokens": 7, "completion_tokens": 3})
ANSWERS = {
    "says tokens": Reply(SAYS_TOKENS),
    "says the cost": Reply(billed("0.000000333")),
    "says nothing of it": Reply(chat(None)),
    # Its row is there before it says what it used.
    "takes its time": Reply(SAYS_TOKENS, piece_bytes=0, delay_s=0.15),
    "hangs": Reply(SAYS_TOKENS, hang_after=90),
    "refuses": error_reply(401, {"error": {"message": "No."}}),
}
# What a row can say: what the server said, 7 and 3 tokens at the first prices or at a dollar, and nothing for
# what was refused.
COSTS = {
    ("unknown", None),
    ("billed", 333),
    ("estimated", 7 * 150 + 3 * 600),
    ("estimated", 10_000),
    ("estimated", 0),
}
ACTS = ["ask", "ask", "ask", "wait", "stop", "price", "delete", "close", "kill"]


# An answer and what it used are there together or not at all.
ANSWERS_WITHOUT_THEIR_ROWS = """
select message.id from message left join run on run.message = message.id
left join usage_record on usage_record.run = run.id where message.usage is not null group by 1
having (ifnull(sum(input_tokens), 0), ifnull(sum(output_tokens), 0))
  is not (message.usage ->> 'input_tokens', message.usage ->> 'output_tokens')"""


# A word of a model is never there without the row of a call.
WORDS_WITHOUT_A_ROW = """
select run.id from message_part join run on run.message = message_part.message
left join usage_record on usage_record.run = run.id
where message_part.kind in ('text', 'reasoning', 'tool_call') and usage_record.id is null"""


async def assert_the_table_says_the_same(call: Call, month: Any) -> None:
    """The lines of the CSV file make the sums, all together and those of each part."""
    saved = await call("usage.export", month=MONTH)
    lines = list(csv.DictReader(io.StringIO(Path(saved["path"]).read_text("utf-8"))))

    def sum_of(lines: list[dict[str, str]]) -> tuple[int, int, int, int]:
        assert all((line["state"] == "unknown") == (line["cost_usd"] == "") for line in lines)
        dollars = sum(Decimal(line["cost_usd"] or 0) for line in lines)
        unknown = sum(line["state"] == "unknown" for line in lines)
        return len(lines), int(dollars * 10**9), unknown, sum(int(line["input_tokens"]) for line in lines)

    def shown(sum_: Any) -> tuple[int, int, int, int]:
        names = ("calls", "cost_nano_usd", "unknown_calls")
        return (*(sum_[name] for name in names), sum_["usage"]["input_tokens"])

    assert shown(month["total"]) == sum_of(lines)
    columns = {"models": "model", "agents": "agent", "conversations": "conversation_id"}
    groups = {"days": [(part["id"], part) for part in month["days"]]}
    groups |= {
        by: [(part["name"] if by == "agents" else part["id"], part) for part in month[by]["parts"]]
        for by in columns
    }
    for by, parts in groups.items():
        for key, part in parts:
            own = [
                line
                for line in lines
                if (line["time"][:10] if by == "days" else line[columns[by]]) == str(key or "")
            ]
            assert shown(part["sum"]) == sum_of(own)


async def act(name: str, app: App, call: Call, begun: list[Any]) -> None:
    """What the user does, whether it is possible or not."""
    match name:
        case "ask":
            begun.append(await call("runs.start", text="Well?", model=HOUSE))
        case "wait":
            await asyncio.sleep(0.02)
        case "stop" if begun:
            await call("runs.stop", message_id=begun[-1]["reply"]["id"])
        case "delete" if begun:
            conversation = begun.pop(0)["conversation"]
            await call("conversations.delete", ids=[conversation["id"]])
            await call("conversations.purge", ids=[conversation["id"]])
        case "price":
            price = {"input": "1", "output": "1"}
            await call("usage.change_price", model=HOUSE, valid_from="2026-01-01", prices=price)


def added(sums: Sequence[Any]) -> Any:
    """Numbers of the same names, added up at every depth."""
    first = sums[0]
    if not isinstance(first, dict):
        return sum(sums)
    return {name: added([each[name] for each in sums]) for name in first}


def assert_parts_make_the_total(month: Any) -> None:
    for parts in (month["days"], *(month[by]["parts"] for by in ("models", "agents", "conversations"))):
        assert month["total"] == (added([part["sum"] for part in parts]) if parts else month["total"])


async def assert_sums_are_right(call: Call, database: Path) -> None:
    """While nothing runs: the total is the sum of the rows, and so is that of each conversation."""
    month = await call("usage.month", month=MONTH)
    assert_parts_make_the_total(month)
    sums = "select count(*), ifnull(sum(cost_nano_usd), 0), count(*) - count(cost_nano_usd) from usage_record"
    total = month["total"]
    assert [(total["calls"], total["cost_nano_usd"], total["unknown_calls"])] == rows(database, sums)
    assert [] == rows(database, ANSWERS_WITHOUT_THEIR_ROWS)
    assert [] == rows(database, WORDS_WITHOUT_A_ROW)
    await assert_the_table_says_the_same(call, month)
    for part in month["conversations"]["parts"]:
        [(here,)] = rows(database, "select conversation from usage_conversation where id = ?", part["id"])
        assert part["is_gone"] == (here is None)
        if here is not None:
            of_chat = await call("usage.of_conversation", conversation_id=here)
            assert part["sum"] == of_chat["total"] == added([each["sum"] for each in of_chat["messages"]])


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    acts=st.lists(st.sampled_from(ACTS), min_size=2, max_size=14),
    answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6),
)
@example(
    acts=["ask", "ask", "ask", "wait", "kill", "ask", "price", "ask", "wait", "stop", "close", "ask"],
    answers=["hangs", "says tokens", "says the cost"],
)
@example(acts=["ask", "ask", *["wait"] * 50, "close"], answers=["takes its time"])
@example(
    acts=["ask", "wait", "ask", "delete", "ask", "wait", "delete", "price", "ask", "wait"],
    answers=["says tokens", "says nothing of it", "refuses"],
)
async def test_totals_are_the_sums_of_the_rows_whatever_happens(acts: list[str], answers: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, ProviderServer() as server:
        server.script(*itertools.islice(itertools.cycle(ANSWERS[name] for name in answers), 50))
        paths, was_killed = paths_in(Path(folder) / "0"), False
        costs: dict[str, tuple[str, int]] = {}
        left = [*acts, "close", "close"]
        for life in itertools.count(1):
            if not left:
                break
            async with opened(paths, server) as (app, call):
                if life == 1:
                    await call(
                        "usage.change_price", model=HOUSE, valid_from="2026-01-01", prices=HOUSE_PRICES
                    )
                await assert_sums_are_right(call, paths.database)
                begun: list[Any] = []
                while (name := left.pop(0)) not in ("close", "kill"):
                    await act(name, app, call, begun)
                assert_parts_make_the_total(await call("usage.month", month=MONTH))
                if name == "kill":
                    was_killed = True
                    target = Path(folder) / str(life)
                    shutil.copytree(paths.data.parent, target, ignore=shutil.ignore_patterns("*-shm"))
            if name == "kill":
                paths, costs = paths_in(target), {}
            found = rows(paths.database, "select call_id, state, cost_nano_usd from usage_record")
            assert COSTS >= {(state, cost) for _, state, cost in found}
            # What a call once cost is never computed again.
            known = {call_id: (state, cost) for call_id, state, cost in found if cost is not None}
            assert costs.items() <= known.items()
            costs = known
        posts = [request for request in server.requests if request.method == "POST"]
        assert was_killed or len(found) >= len(posts)


ANSWERING_UNTIL_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from provider_server import ProviderServer
from stores import paths_in
from test_usage import HOUSE, HOUSE_PRICES, is_said, opened, until

class Address:
    openai_url = anthropic_url = sys.argv[2]

async def main():
    async with opened(paths_in(Path(sys.argv[1])), Address()) as (app, call):
        await call("usage.change_price", model=HOUSE, valid_from="2026-01-01", prices=HOUSE_PRICES)
        for number in range(int(sys.argv[3])):
            await call("runs.start", text=f"{number}?", model=HOUSE)
        await until(app, lambda event: is_said(event, int(sys.argv[4])))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
# Whatever becomes of the other answers, this one comes to its end, slowly.
WORDS = 60
WORD = sent({"choices": [{"index": 0, "delta": {"content": "Yes. "}, "finish_reason": None}]})
LONG = Reply(WORD * WORDS + SAYS_TOKENS, piece_bytes=0, delay_s=0.005)


def is_said(event: Any, words: int) -> bool:
    """Whether so many words of an answer have come."""
    return isinstance(event, TextAppended) and event.offset + len(event.text) >= words * len("Yes. ")


def killed_at(words: int, asked_at_once: int, folder: Path, server: ProviderServer) -> None:
    """Run the program on this folder, and kill it once so many words of an answer have come."""
    arguments = [str(folder), server.openai_url, str(asked_at_once), str(words)]
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests / "bridge"), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", ANSWERING_UNTIL_KILLED, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert -signal.SIGKILL == ended.returncode, ended.stderr


# Each example starts the program again and again: none is made smaller.
@settings(max_examples=10, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    deaths=st.lists(st.integers(1, WORDS), min_size=1, max_size=2),
    asked_at_once=st.integers(2, 6),
    answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=4),
)
async def test_totals_are_the_sums_of_the_rows_after_the_program_was_killed(
    deaths: list[int], asked_at_once: int, answers: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, paths = Path(name), paths_in(Path(name))
        for death in deaths:
            with ProviderServer() as server:
                server.script(LONG, *itertools.islice(itertools.cycle(ANSWERS[name] for name in answers), 9))
                await asyncio.to_thread(killed_at, death, asked_at_once, folder, server)
                before = rows(paths.database, "select call_id, state, cost_nano_usd from usage_record")
                async with opened(paths, server) as (_, call):
                    await assert_sums_are_right(call, paths.database)
                    after = rows(paths.database, "select call_id, state, cost_nano_usd from usage_record")

            assert COSTS >= {(state, cost) for _, state, cost in after}
            assert before == after
