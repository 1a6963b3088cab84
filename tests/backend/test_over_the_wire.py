"""A run over real sockets: whatever a provider does, the conversation stays whole, in all three formats.

The table says what the provider sends, how the reply then reads part by part, and what each call used. What
holds for every case is checked for every case: each tool that was asked for has one result, in the store and
in the next request; the sums are right; and all is the same after the program was closed and opened again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from test_runs import ended, until

from deskside.backend.agent.answer import Patience
from deskside.backend.agent.limits import Limit, Limits
from deskside.backend.app import App, open_app
from deskside.backend.events import AppEvent, PartChanged, ReplyRetried, TextAppended
from deskside.backend.paths import Paths
from deskside.backend.settings import Server
from deskside.backend.store import agents, messages
from deskside.backend.store.messages import (
    MessagePart,
    MessageRow,
    MessageUsage,
    NotePart,
    PausePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from deskside.backend.tools.calculate import calculate
from deskside.backend.tools.declaration import tool
from provider_server import (
    ProviderServer,
    Reply,
    ToolCall,
    chat_stream,
    error_reply,
    messages_stream,
    responses_stream,
)
from stores import rows

# -- the formats ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wire:
    """One format, and a model that speaks it. `error` is how it reports one in the middle of a stream;
    `used_at_once` is the (input, output) tokens that it reports before the answer; with
    `ends_each_call` a call is known to be whole before the next one begins."""

    format: Literal["chat", "responses", "messages"]
    model: str
    stream: Callable[..., Iterator[bytes]]
    error: bytes
    used_at_once: tuple[int, int] = (0, 0)
    ends_each_call: bool = True

    def says(
        self,
        words: str = "",
        *calls: ToolCall,
        thoughts: str = "",
        hangs_after: str = "",
        cut_after: str = "",
        ends_after: str = "",
        fails_after: str = "",
    ) -> Reply:
        """An answer. `…_after` are words of it: there it stops, in one way or another."""
        body = b"".join(self.stream(pieces(words), *calls, reasoning=pieces(thoughts)))
        if fails_after:
            return Reply(body[: behind(body, fails_after)] + self.error)
        if ends_after:
            return Reply(body[: behind(body, ends_after)])
        return Reply(
            body,
            hang_after=behind(body, hangs_after) if hangs_after else None,
            cut_after=behind(body, cut_after) if cut_after else None,
        )


def pieces(text: str) -> list[str]:
    return [f"{word} " for word in text.split()]


def behind(body: bytes, words: str) -> int:
    """Where the event that holds these words ends."""
    return body.index(b"\n\n", body.index(words.encode())) + 2


WIRES = {
    "chat": Wire(
        "chat",
        "local/local-model",
        chat_stream,
        b'data: {"error":{"message":"Busy.","type":"server_error","param":null,"code":null}}\n\n',
        ends_each_call=False,
    ),
    "responses": Wire(
        "responses",
        "openai/gpt-5.4",
        responses_stream,
        b'data: {"type":"error","sequence_number":9,"code":"server_error","message":"Busy."}\n\n',
    ),
    "messages": Wire(
        "messages",
        "anthropic/claude-sonnet-5-5",
        messages_stream,
        b'data: {"type":"error","error":{"type":"overloaded_error","message":"Busy."}}\n\n',
        used_at_once=(19, 1),
    ),
}


def exchanged(body: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """The ids of all tools that a request's history asks for, and the id and text of all results."""
    asked: list[str] = []
    results: list[tuple[str, str]] = []
    for message in body.get("messages") or body["input"]:
        content = message.get("content")
        for each in (
            message,
            *(content if isinstance(content, list) else []),
            *message.get("tool_calls", []),
        ):
            kind = "function_call_output" if each.get("role") == "tool" else each.get("type")
            if kind in ("tool_use", "function_call", "function"):
                asked.append(each.get("call_id") or each["id"])
            elif kind in ("tool_result", "function_call_output"):
                call_id = each.get("tool_use_id") or each.get("tool_call_id") or each.get("call_id")
                results.append((str(call_id), str(each.get("content") or each.get("output"))))
    return asked, results


# -- the program ---------------------------------------------------------------------------------


@tool(approval="never")
def breaks() -> str:
    """Break."""
    raise ValueError("it broke")


@tool(approval="never", time_limit_s=0.05)
async def never_ends() -> str:
    """Take for ever."""
    await asyncio.Event().wait()
    return ""


@tool(approval="never", time_limit_s=600)
async def takes_long() -> str:
    """Take long."""
    await asyncio.Event().wait()
    return ""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("deskside.backend.app.TOOLS", [calculate, breaks, never_ends, takes_long])


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")


@asynccontextmanager
async def opened(paths: Paths, server: ProviderServer) -> AsyncIterator[App]:
    async with open_app(paths) as app:
        await app.settings.change(
            {
                "openai_base_url": server.openai_url,
                "anthropic_base_url": server.anthropic_url,
                "servers": [Server("local", "My server", server.openai_url)],
            }
        )
        yield app


async def shown(app: App, words: str) -> None:
    """Wait until the page has these words."""
    await until(app, lambda event: isinstance(event, TextAppended) and words in event.text)


# -- what holds for every case -------------------------------------------------------------------


def read(part: MessagePart) -> str:
    """A part as one line."""
    match part:
        case TextPart(text=text):
            return text.strip()
        case ReasoningPart(text=text):
            return f"thinks: {text.strip()}"
        case NotePart(what=what, detail=detail):
            return f"{what}: {detail.strip()}"
        case ToolCallPart(name=name, arguments=arguments, status=status, output=output):
            return f"{name} {arguments} {status}: {output}"
        case _:
            pytest.fail(f"an unexpected part: {part}")


def assert_each_call_has_one_result(row: MessageRow, body: Any) -> None:
    """In the stored parts, and in a request that was made after them."""
    calls = [part for part in row.parts if isinstance(part, ToolCallPart)]
    asked, results = exchanged(body)
    assert all(call.status in ("finished", "failed") for call in calls)
    assert asked == [call_id for call_id, _ in results]
    assert len(set(asked)) == len(asked)
    assert [call.call_id for call in calls] == asked
    assert [call.output for call in calls] == [text for _, text in results]


def assert_used(paths: Paths, run_id: int, row: MessageRow, expected: Sequence[tuple[int, int]]) -> None:
    """One record a call, and their sum on the message."""
    sql = "select input_tokens, output_tokens from usage_record where run = ? order by id"
    assert list(expected) == rows(paths.database, sql, run_id)
    sums = MessageUsage(
        input_tokens=sum(used for used, _ in expected), output_tokens=sum(used for _, used in expected)
    )
    assert (sums.input_tokens, sums.output_tokens) == (row.usage.input_tokens, row.usage.output_tokens)


def posts(server: ProviderServer) -> list[Any]:
    return [request.json for request in server.requests if request.method == "POST"]


# -- the table -----------------------------------------------------------------------------------

Used = int | Literal["refused", "broken"]
"""What a call used: so many output tokens, or what is known of one that was refused, or broke off."""


@dataclass(frozen=True)
class Case:
    """`replies` are what the provider sends, `reads` is how the reply then reads, `used` what each call
    used, `retried` how often the page was told of a retry. With `release_at` the provider goes on with
    what hangs once the page has these words."""

    name: str
    replies: Callable[[Wire], Sequence[Reply]]
    reads: Sequence[str]
    used: Sequence[Used]
    status: str = "complete"
    error: str = ""
    retried: int = 0
    release_at: str = ""
    patience: Patience | None = None


BUSY = error_reply(500, {"error": {"type": "api_error", "message": "Busy."}})
SLOW_DOWN = {"error": {"type": "rate_limit_error", "message": "Slow down."}}
LIMITED = error_reply(429, SLOW_DOWN)
LIMITED_WITH_A_WAIT = error_reply(429, SLOW_DOWN, retry_after_ms="2")

SIXTY = " ".join(f"word{number}" for number in range(60))
FIFTY = " ".join(f"word{number}" for number in range(50))


def call(number: int, name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"call_{number}", name, arguments)


def sum_of(number: int) -> ToolCall:
    return call(number, "calculate", f'{{"expression": "{number} + 1"}}')


SCHEMA = msgspec.json.encode(calculate.spec.parameters).decode()
TRUNCATED = (
    "Input data was truncated. The arguments of 'calculate' must be one JSON object that fits " + SCHEMA
)
UNKNOWN = "There is no tool named 'fly'. The tools are: calculate, breaks, never_ends, takes_long."

CASES = [
    Case(
        "limited twice",
        lambda wire: [LIMITED, LIMITED, wire.says("All is well")],
        ["All is well"],
        ["refused", "refused", 3],
        retried=2,
    ),
    Case(
        "limited twice, with a wait",
        lambda wire: [LIMITED_WITH_A_WAIT, LIMITED_WITH_A_WAIT, wire.says("All is well")],
        ["All is well"],
        ["refused", "refused", 3],
        retried=2,
    ),
    Case(
        "a server's fault",
        lambda wire: [BUSY, wire.says("All is well")],
        ["All is well"],
        ["refused", 3],
        retried=1,
    ),
    Case(
        "a server's fault that lasts",
        lambda wire: [BUSY] * 4,
        [],
        ["refused"] * 4,
        status="failed",
        error="overloaded",
        retried=3,
    ),
    Case(
        "a reset after fifty words",
        lambda wire: [wire.says(SIXTY, hangs_after="word49", cut_after="word49"), wire.says("All is well")],
        [f"retried: {FIFTY}", "All is well"],
        ["broken", 3],
        retried=1,
        release_at="word49",
    ),
    Case(
        "an end in good order after fifty words",
        lambda wire: [wire.says(SIXTY, ends_after="word49"), wire.says("All is well")],
        [f"retried: {FIFTY}", "All is well"],
        ["broken", 3],
        retried=1,
    ),
    Case(
        "an end before the end, each time",
        lambda wire: [wire.says("one two three", ends_after="two")] * 4,
        ["retried: one two"] * 3 + ["one two"],
        ["broken"] * 4,
        status="failed",
        error="stream_dropped",
        retried=3,
    ),
    Case(
        "an end in the middle of a call",
        lambda wire: [wire.says("Well", sum_of(1), ends_after="pres"), wire.says("All is well")],
        ['retried: Well \n\ncalculate({"expres)', "All is well"],
        ["broken", 3],
        retried=1,
    ),
    Case(
        "an error in the middle",
        lambda wire: [wire.says("one two three", fails_after="two"), wire.says("All is well")],
        ["retried: one two", "All is well"],
        ["broken", 3],
        retried=1,
    ),
    Case(
        "an error behind a call",
        lambda wire: [
            wire.says("", sum_of(1)),
            wire.says("one two three", sum_of(2), fails_after="two"),
            wire.says("All is well"),
        ],
        ['calculate {"expression": "1 + 1"} finished: 2', "retried: one two", "All is well"],
        [0, "broken", 3],
        retried=1,
    ),
    Case(
        "silence",
        lambda wire: [wire.says(SIXTY, hangs_after="word4"), wire.says("All is well")],
        ["retried: word0 word1 word2 word3 word4", "All is well"],
        ["broken", 3],
        retried=1,
        patience=Patience(10, 10, 0.4),
    ),
    Case(
        "arguments that are no JSON",
        lambda wire: [wire.says("", call(1, "calculate", '{"expression": "1 +')), wire.says("All is well")],
        [
            f'calculate {{"expression": "1 + failed: {TRUNCATED}',
            "All is well",
        ],
        [0, 3],
    ),
    Case(
        "a tool that is not there",
        lambda wire: [wire.says("Let me see", call(1, "fly")), wire.says("All is well")],
        ["Let me see", f"fly {{}} failed: {UNKNOWN}", "All is well"],
        [3, 3],
    ),
    Case(
        "three calls at once",
        lambda wire: [wire.says("", sum_of(1), sum_of(2), sum_of(3)), wire.says("All is well")],
        [
            'calculate {"expression": "1 + 1"} finished: 2',
            'calculate {"expression": "2 + 1"} finished: 3',
            'calculate {"expression": "3 + 1"} finished: 4',
            "All is well",
        ],
        [0, 3],
    ),
    Case(
        "the same id in two steps",
        lambda wire: [
            wire.says("", call(1, "fly")),
            wire.says("", sum_of(1)),
            wire.says("All is well"),
        ],
        [f"fly {{}} failed: {UNKNOWN}", 'calculate {"expression": "1 + 1"} finished: 2', "All is well"],
        [0, 0, 3],
    ),
    Case(
        "the same id twice in a step, and again in the next",
        lambda wire: [
            wire.says("", sum_of(1), call(1, "fly"), sum_of(1)),
            wire.says("", sum_of(1)),
            wire.says("All is well"),
        ],
        [
            'calculate {"expression": "1 + 1"} finished: 2',
            f"fly {{}} failed: {UNKNOWN}",
            'calculate {"expression": "1 + 1"} finished: 2',
            'calculate {"expression": "1 + 1"} finished: 2',
            "All is well",
        ],
        [0, 0, 3],
    ),
    Case(
        "calls without an id",
        lambda wire: [
            wire.says("", ToolCall("", "fly", "{}"), ToolCall("", "calculate", '{"expression": "2 + 1"}')),
            wire.says("All is well"),
        ],
        [f"fly {{}} failed: {UNKNOWN}", 'calculate {"expression": "2 + 1"} finished: 3', "All is well"],
        [0, 3],
    ),
    Case(
        "thoughts before words and a call",
        lambda wire: [wire.says("Let me see", sum_of(1), thoughts="Hm hm"), wire.says("All is well")],
        ["thinks: Hm hm", "Let me see", 'calculate {"expression": "1 + 1"} finished: 2', "All is well"],
        [5, 3],
    ),
    Case(
        "a tool that breaks",
        lambda wire: [wire.says("", call(1, "breaks")), wire.says("All is well")],
        ["breaks {} failed: ValueError: it broke", "All is well"],
        [0, 3],
    ),
    Case(
        "a tool that never ends",
        lambda wire: [wire.says("", call(1, "never_ends"), sum_of(2)), wire.says("All is well")],
        [
            "never_ends {} failed: 'never_ends' was given up after 0.05 s.",
            'calculate {"expression": "2 + 1"} finished: 3',
            "All is well",
        ],
        [0, 3],
    ),
]


def expected_use(wire: Wire, used: Sequence[Used]) -> list[tuple[int, int]]:
    known = {"refused": (0, 0), "broken": wire.used_at_once}
    return [(19, each) if isinstance(each, int) else known[each] for each in used]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_whatever_a_provider_does_the_conversation_stays_whole(
    case: Case, wire: Wire, server: ProviderServer, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.patience is not None:
        monkeypatch.setattr("deskside.backend.agent.transport.Patience", lambda: case.patience)
    server.script(*case.replies(wire))

    async with opened(paths, server) as app:
        started = await app.runs.start(None, "Well?", wire.model)
        if case.release_at:
            await shown(app, case.release_at)
            server.release()
        row = await ended(app, started.reply.id)
        retries = [event for event in app.events.since(0, 10_000) or [] if isinstance(event, ReplyRetried)]
    asked = len(posts(server))
    async with opened(paths, server) as app:
        again = await app.store.read(messages.get, row.id)
        more = await app.runs.start(row.conversation_id, "And now?", wire.model)
        after = await ended(app, more.reply.id)

    assert list(case.reads) == [read(part) for part in row.parts]
    assert (case.status, case.error) == (row.status, row.error.code if row.error else "")
    assert case.retried == len(retries)
    assert len(case.used) == asked
    assert_used(paths, started.run_id, row, expected_use(wire, case.used))
    assert_each_call_has_one_result(row, posts(server)[-1])
    assert row == again
    assert "complete" == after.status
    assert [read(part) for part in after.parts][-1].endswith("And now?")


async def test_an_id_that_an_earlier_answer_has_used_is_not_used_again(
    wire: Wire, server: ProviderServer, paths: Paths
) -> None:
    server.script(wire.says("", sum_of(1)), wire.says("Two"), wire.says("", call(1, "fly")), wire.says("No"))

    async with opened(paths, server) as app:
        first = await app.runs.start(None, "Well?", wire.model)
        await ended(app, first.reply.id)
    async with opened(paths, server) as app:
        second = await app.runs.start(first.conversation.id, "Can you fly?", wire.model)
        await ended(app, second.reply.id)
        third = await app.runs.start(first.conversation.id, "And now?", wire.model)
        await ended(app, third.reply.id)

    asked, results = exchanged(posts(server)[-1])
    assert [(asked[0], "2"), (asked[1], UNKNOWN)] == results
    assert asked[0] != asked[1]


async def test_what_an_earlier_version_stored_with_one_id_is_sent_with_two(
    wire: Wire, server: ProviderServer, paths: Paths
) -> None:
    server.script(wire.says("", sum_of(1), call(2, "fly")), wire.says("Well"))

    async with opened(paths, server) as app:
        started = await app.runs.start(None, "Well?", wire.model)
        await ended(app, started.reply.id)
    with closing(sqlite3.connect(paths.database)) as connection, connection:
        same_id = (
            "update message_part set data = json_set(data, '$.call_id', 'same') where kind = 'tool_call'"
        )
        connection.execute(same_id)
    async with opened(paths, server) as app:
        more = await app.runs.start(started.conversation.id, "And now?", wire.model)
        await ended(app, more.reply.id)

    assert (["same", "same_2"], [("same", "2"), ("same_2", UNKNOWN)]) == exchanged(posts(server)[-1])


async def test_thoughts_go_back_to_whoever_wants_them_with_the_results_of_their_tools(
    wire: Wire, server: ProviderServer, paths: Paths
) -> None:
    server.script(wire.says("", sum_of(1), thoughts="Hm hm"), wire.says("All is well"))

    async with opened(paths, server) as app:
        started = await app.runs.start(None, "Well?", wire.model)
        await ended(app, started.reply.id)
    async with opened(paths, server) as app:
        more = await app.runs.start(started.conversation.id, "And now?", wire.model)
        await ended(app, more.reply.id)

    sent_back = {
        "chat": "",
        "responses": '"encrypted_content":"gAAAAABo8MGj"',
        "messages": '"thinking":"Hm hm ","signature":"EqQBCgIYAhIM"',
    }[wire.format]
    _, with_result, later = (
        request.body.decode().replace(": ", ":").replace(", ", ",")
        for request in server.requests
        if request.method == "POST"
    )
    assert sent_back in with_result
    assert sent_back in later
    assert ("Hm hm" in later) is (wire.format != "chat")


async def test_the_last_step_forbids_the_tools_and_a_call_that_comes_all_the_same_has_a_result(
    wire: Wire, server: ProviderServer, paths: Paths
) -> None:
    server.script(wire.says("", sum_of(1)), wire.says("", sum_of(2)))

    async with opened(paths, server) as app:
        assistant = await app.store.read(agents.default)
        await app.store.write(agents.change, assistant.id, {"step_limit": 2})
        started = await app.runs.start(None, "Well?", wire.model)
        row = await ended(app, started.reply.id)
        more = await app.runs.start(row.conversation_id, "And now?", wire.model)
        await ended(app, more.reply.id)

    first, second, last = posts(server)
    assert [
        'calculate {"expression": "1 + 1"} finished: 2',
        "limit: ",
        f'calculate {{"expression": "2 + 1"}} failed: {CUT_OFF}',
    ] == [read(part) for part in row.parts]
    assert ("failed", "answer_cut") == (row.status, row.error.code if row.error else "")
    assert "tool_choice" not in first
    assert ({"type": "none"} if wire.format == "messages" else "none") == second["tool_choice"]
    assert len(first["tools"]) == len(second["tools"])
    assert_each_call_has_one_result(row, last)


# -- a stop in the middle ------------------------------------------------------------------------

Moment = Callable[[AppEvent], bool]


def words_are_shown(words: str) -> Moment:
    return lambda event: isinstance(event, TextAppended) and words in event.text


def is_retried(event: AppEvent) -> bool:
    return isinstance(event, ReplyRetried)


def call_is(name: str, *statuses: str) -> Moment:
    return lambda event: (
        isinstance(event, PartChanged)
        and isinstance(event.part, ToolCallPart)
        and (event.part.name, event.part.status) == (name, *statuses)
    )


@dataclass(frozen=True)
class Stop:
    """The run is stopped once `moments` have come. `is_answering`: the provider is still sending then."""

    name: str
    replies: Callable[[Wire], Sequence[Reply]]
    moments: Sequence[Moment]
    reads: Sequence[str] | Callable[[Wire], Sequence[str]]
    used: Sequence[Used]
    is_answering: bool = True


UNWRITTEN = "The reply ended before this call was written."
CUT_OFF = "The run was stopped, or broke off, before this tool finished."
WAIT_LONG = error_reply(429, SLOW_DOWN, retry_after="29")

STOPS = [
    Stop("before the first word", lambda wire: [Reply(b" ", hang_after=0)], [], [], ["refused"]),
    Stop(
        "while it waits to ask again",
        lambda wire: [WAIT_LONG],
        [is_retried],
        [],
        ["refused"],
        is_answering=False,
    ),
    Stop(
        "while it asks again after an error",
        lambda wire: [
            wire.says("one two", fails_after="one"),
            wire.says("three four five", hangs_after="four"),
        ],
        [words_are_shown("four")],
        ["retried: one", "three four"],
        ["broken", "broken"],
    ),
    Stop(
        "while it asks again after an early end",
        lambda wire: [
            wire.says("one two", ends_after="one"),
            wire.says("three four five", hangs_after="four"),
        ],
        [words_are_shown("four")],
        ["retried: one", "three four"],
        ["broken", "broken"],
    ),
    Stop(
        "in the middle of fifty words",
        lambda wire: [wire.says(SIXTY, hangs_after="word49")],
        [words_are_shown("word49")],
        [FIFTY],
        ["broken"],
    ),
    Stop(
        "in the middle of a thought",
        lambda wire: [wire.says("one", thoughts="Hm ah oh", hangs_after="ah")],
        [words_are_shown("ah")],
        ["thinks: Hm ah"],
        ["broken"],
    ),
    Stop(
        "between a thought and the words",
        lambda wire: [wire.says("Yes indeed", thoughts="Hm ah", hangs_after="Yes")],
        [words_are_shown("Yes")],
        ["thinks: Hm ah", "Yes"],
        ["broken"],
    ),
    Stop(
        "in the middle of a call's arguments",
        lambda wire: [wire.says("Well", sum_of(1), hangs_after="pres")],
        [words_are_shown("pres")],
        ["Well", f'calculate {{"expres failed: {UNWRITTEN}'],
        ["broken"],
    ),
    Stop(
        "in the second of three calls",
        lambda wire: [wire.says("", sum_of(1), sum_of(2), sum_of(3), hangs_after="2 +")],
        [words_are_shown("2 +")],
        lambda wire: [
            f'calculate {{"expression": "1 + 1"}} failed: {CUT_OFF if wire.ends_each_call else UNWRITTEN}',
            f'calculate {{"expression": "2 +  failed: {UNWRITTEN}',
        ],
        ["broken"],
    ),
    Stop(
        "while one of three tools runs",
        lambda wire: [wire.says("", sum_of(1), call(2, "takes_long"), call(3, "breaks"))],
        [
            call_is("calculate", "finished"),
            call_is("breaks", "failed"),
            call_is("takes_long", "running"),
        ],
        [
            'calculate {"expression": "1 + 1"} finished: 2',
            f"takes_long {{}} failed: {CUT_OFF}",
            "breaks {} failed: ValueError: it broke",
        ],
        [0],
        is_answering=False,
    ),
    Stop(
        "in the answer behind a tool that breaks, one that is not there and one that never ends",
        lambda wire: [
            wire.says("", call(1, "breaks"), call(2, "fly"), call(3, "never_ends")),
            wire.says("one two three", hangs_after="two"),
        ],
        [words_are_shown("two")],
        [
            "breaks {} failed: ValueError: it broke",
            f"fly {{}} failed: {UNKNOWN}",
            "never_ends {} failed: 'never_ends' was given up after 0.05 s.",
            "one two",
        ],
        [0, "broken"],
    ),
]


@pytest.mark.parametrize("case", STOPS, ids=lambda case: case.name)
async def test_a_stop_at_any_moment_leaves_a_conversation_that_goes_on(
    case: Stop, wire: Wire, server: ProviderServer, paths: Paths
) -> None:
    server.script(*case.replies(wire))

    async with opened(paths, server) as app:
        started = await app.runs.start(None, "Well?", wire.model)
        await asyncio.to_thread(server.wait_until_asked)
        for moment in case.moments:
            await until(app, moment)
        await app.runs.stop(started.reply.id)
        row = await app.store.read(messages.get, started.reply.id)
        if case.is_answering:
            assert await asyncio.to_thread(server.requests[-1].gone.wait, 10), "the connection is still open"
    async with opened(paths, server) as app:
        again = await app.store.read(messages.get, row.id)
        await app.runs.continue_reply(row.id)
        continued = await ended(app, row.id)

    reads = case.reads(wire) if callable(case.reads) else case.reads
    assert list(reads) == [read(part) for part in row.parts]
    assert ("stopped", None) == (row.status, row.error)
    assert_used(paths, started.run_id, row, expected_use(wire, case.used))
    assert row == again
    assert "complete" == continued.status
    assert_each_call_has_one_result(continued, posts(server)[-1])


# -- what a server of the user's costs -----------------------------------------------------------

NOTHING_A_DAY = Limits(day=Limit(cost_nano_usd=0))


async def test_a_server_that_the_user_calls_free_passes_no_limit_in_money(
    server: ProviderServer, paths: Paths
) -> None:
    server.script(WIRES["chat"].says("For nothing"))
    free = Server("local", "My server", server.openai_url, is_free=True)

    async with opened(paths, server) as app:
        await app.settings.change({"servers": [free], "limits": NOTHING_A_DAY})
        started = await app.runs.start(None, "Well?", WIRES["chat"].model)
        reply = await ended(app, started.reply.id)

    assert ["For nothing"] == [read(part) for part in reply.parts]
    assert [(0,)] == rows(paths.database, "select cost_nano_usd from usage_record")


async def test_a_server_whose_price_nobody_knows_asks_before_it_passes_a_limit_in_money(
    server: ProviderServer, paths: Paths
) -> None:
    async with opened(paths, server) as app:
        await app.settings.change({"limits": NOTHING_A_DAY})
        started = await app.runs.start(None, "Well?", WIRES["chat"].model)
        await until(app, lambda event: isinstance(event, PartChanged) and isinstance(event.part, PausePart))
        await app.runs.stop(started.reply.id)
        reply = await ended(app, started.reply.id)

    (pause,) = reply.parts
    assert isinstance(pause, PausePart)
    assert (
        "The price of local/local-model is not known, so your limit of $0.00 for a day cannot be kept. "
        "A limit in tokens could be."
    ) == pause.text
    assert [] == posts(server)
