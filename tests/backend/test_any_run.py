"""Any run at all: whatever models say and the user does in between, and whenever the program ends.

Hypothesis draws what two agents say in their steps and what the user does after how many events: decide
about what waits, speak, stop, close the program, or kill it. Afterwards nothing may be lost, done twice,
left open, or be other on the page than in the store.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from deskside.backend.agent import loop
from deskside.backend.agent.events import (
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    ReasoningFinished,
    StepFinished,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolFinished,
    ToolRequested,
    Usage,
    UsageReported,
    UserText,
)
from deskside.backend.agent.limits import AgentLimits, RunLimit
from deskside.backend.app import App, open_app
from deskside.backend.errors import BadKey, Conflict, Overloaded, StreamDropped
from deskside.backend.events import (
    AppEvent,
    MessageChanged,
    PartChanged,
    PartsReplaced,
    TextAppended,
)
from deskside.backend.paths import Paths
from deskside.backend.store import agents, conversations, messages
from deskside.backend.store.agents import Agent
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import (
    MessagePart,
    MessageRow,
    NotePart,
    PausePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    UserPart,
)
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import FunctionTool, ToolOutput, tool
from stores import rows

MARK = "text from outside"
STEERED = "and in French"
UNTIL_QUIET = 10_000  # events
QUIET_S = 0.02  # so long without an event, while something waits for the user, is quiet
STUCK_S = 10.0

FAULTS: dict[str, Any] = {
    "drops": lambda: StreamDropped("It broke off."),
    "overloaded": lambda: Overloaded("Too much to do."),
    "bad key": lambda: BadKey("Who are you?"),
}
SAYS = ["text", "text", "think", "work_out", "read_web", "write", "write", "send", "note", "nothing", "bad"]

Said = tuple[list[str], str]
said = st.tuples(
    st.lists(st.sampled_from([*SAYS, "ask_helper", "ask_helper"]), min_size=2, max_size=5),
    st.sampled_from(["ends", "ends", "ends", *FAULTS]),
)
said_below = st.tuples(
    st.lists(st.sampled_from(SAYS), min_size=1, max_size=4), st.sampled_from(["ends", "ends", *FAULTS])
)
DECIDE = ["approve", "deny", "approve for the run", "approve for good", "twice"]
act = st.tuples(
    st.sampled_from([*DECIDE, "speak", "stop", "stop below", "close", "close", "kill", "kill"]),
    st.one_of(st.just(UNTIL_QUIET), st.integers(0, 12)),
)


# -- what models say -----------------------------------------------------------------------------


@dataclass
class Speaker:
    """Says each step once, whatever becomes of it. Words and ids are never the same twice."""

    name: str
    steps: list[Said]
    count: Any
    requests: list[ModelRequest] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    asked: dict[str, ModelRequest] = field(default_factory=dict)  # by call: what was read before it

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        items, end = self.steps.pop(0) if self.steps else (["text"], "ends")
        if not request.may_use_tools:
            items, end = ["text"], "ends"
        yield UsageReported(Usage(1))
        requests: list[ToolRequested] = []
        for item in items:
            n = next(self.count)
            if item in ("text", "think"):
                word = f"<{n}>"
                if item == "text":
                    yield TextDelta(word[:1])
                    yield TextDelta(word[1:])
                else:
                    yield ReasoningDelta(word)
                    yield ReasoningFinished(f'"{n}"')
                self.words.append(word)
            else:
                arguments = f'{{"task": "{n}"}}' if item == "ask_helper" else "{}"
                asked = ToolRequested(f"id{n}", item, "{" if item == "bad" else arguments)
                requests.append(asked)
                self.asked[asked.call_id] = request
                yield ToolCallStarted(asked.call_id, asked.name)
                yield ToolArgumentsDelta(asked.call_id, asked.arguments)
                yield asked
            await asyncio.sleep(0)
        if end != "ends":
            raise FAULTS[end]()
        yield UsageReported(Usage(2))
        yield StepFinished("tool_use" if requests else "answered")


@dataclass
class Ran:
    """A call that had its effect."""

    call_id: str
    name: str


def tools(world: World) -> list[FunctionTool]:
    def ran(context: ToolContext, name: str) -> None:
        world.ran.append(Ran(context.call_id, name))

    @tool(approval="ask", effect="write")
    async def write(context: ToolContext) -> str:
        """Change something."""
        ran(context, "write")
        return "written"

    @tool(approval="always_ask", effect="send")
    async def send(context: ToolContext) -> str:
        """Send something."""
        await asyncio.sleep(0)
        ran(context, "send")
        await asyncio.sleep(0)
        return "sent"

    @tool(approval="never", effect="write")
    async def note(context: ToolContext) -> str:
        """Write into one's own notebook."""
        ran(context, "note")
        return "noted"

    @tool(approval="never")
    async def read_web() -> ToolOutput:
        """Read something."""
        await asyncio.sleep(0)
        return ToolOutput(MARK, "web", "https://example.org/")

    @tool(approval="never")
    async def work_out() -> str:
        """Work something out."""
        return "4"

    @tool(approval="never")
    async def bad(a: int) -> str:
        """Is never understood."""
        return str(a)

    return [write, send, note, read_web, work_out, bad]


# -- a page that applies events ------------------------------------------------------------------


@dataclass
class Page:
    """What a page shows: rows that were asked for, with the events since."""

    shown: dict[int, list[MessagePart]] = field(default_factory=dict)
    status: dict[int, str] = field(default_factory=dict)

    def show(self, row: MessageRow) -> None:
        self.shown[row.id] = list(row.parts)
        self.status[row.id] = row.status

    def apply(self, event: AppEvent) -> None:
        if isinstance(event, MessageChanged):
            self.show(event.message)
        elif isinstance(event, PartsReplaced):
            parts = self.shown[event.message_id]
            assert event.position <= len(parts), "a gap"
            parts[event.position :] = event.parts
        elif isinstance(event, PartChanged):
            parts = self.shown[event.message_id]
            assert event.position <= len(parts), "a gap"
            parts[event.position : event.position + 1] = [event.part]
        elif isinstance(event, TextAppended):
            self._append(event)

    def _append(self, event: TextAppended) -> None:
        parts = self.shown[event.message_id]
        assert event.position <= len(parts), "a gap"
        if event.position == len(parts):
            parts.append(TextPart("") if event.kind == "text" else ReasoningPart(""))
        part = parts[event.position]
        if isinstance(part, ToolCallPart):
            assert event.kind == "arguments"
            text = part.arguments
            assert event.offset <= len(text), "a gap"
            parts[event.position] = msgspec.structs.replace(part, arguments=text[: event.offset] + event.text)
            return
        assert isinstance(part, TextPart | ReasoningPart)
        assert event.kind == ("text" if isinstance(part, TextPart) else "reasoning")
        assert event.offset <= len(part.text), "a gap"
        parts[event.position] = type(part)(part.text[: event.offset] + event.text)

    def waiting(self) -> list[tuple[int, int, MessagePart]]:
        return [
            (message_id, position, part)
            for message_id, parts in sorted(self.shown.items())
            for position, part in enumerate(parts)
            if isinstance(part, ToolCallPart | PausePart) and part.status == "waiting"
        ]


# -- the world -----------------------------------------------------------------------------------


class World:
    """The program, both agents, and the user."""

    def __init__(self, folder: Path, steps: list[Said], below: list[Said], limit: int | None) -> None:
        count = itertools.count(1)
        self.folder = folder
        self.limit = limit
        self.speakers = {name: Speaker(name, steps, count) for name in ("scripted/a", "scripted/b")}
        self.below = Speaker("scripted/helper", below, count)
        self.ran: list[Ran] = []
        self.page = Page()
        self.seen = 0
        self.root = 0
        self.copies = 0
        self.was_killed = False
        self.ends = 0  # stops and closes
        self.has_spoken = False
        self.denied: set[str] = set()

    @property
    def data(self) -> Path:
        return self.folder / str(self.copies)

    @property
    def everyone(self) -> list[Speaker]:
        return [*self.speakers.values(), self.below]

    def knew(self, call_id: str) -> bool:
        """Whether the agent of this call, or who asked it, had read text from outside."""
        request = next(each.asked[call_id] for each in self.everyone if call_id in each.asked)
        return self.reads_outside(request)

    def reads_outside(self, request: ModelRequest) -> bool:
        task = request.history[0]
        assert isinstance(task, UserText)
        return (task.text.isdecimal() and self.knew(f"id{task.text}")) or any(
            item.output == MARK or (item.origin == "agent" and self.was_below_told(item.call_id))
            for item in request.history
            if isinstance(item, ToolFinished)
        )

    def was_below_told(self, call_id: str) -> bool:
        task = UserText(call_id.removeprefix("id"))
        return self.knew(call_id) or any(
            self.reads_outside(request) for request in self.below.requests if request.history[0] == task
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        models: Any = {**self.speakers, self.below.name: self.below}
        async with open_app(Paths(self.data, self.data / "logs", self.data / "cache"), models) as app:
            self.seen = 0
            for message_id in list(self.page.shown):
                self.page.show(await app.store.read(messages.get, message_id))
            yield app

    async def start(self, app: App) -> None:
        def make(db: Db) -> None:
            limits = AgentLimits(RunLimit(tool_calls=self.limit))
            agents.create(db, Agent(name="helper", model="scripted/helper", limits=limits))
            changes = {"subagents": ["helper"], "fallback_models": ["scripted/b"], "limits": limits}
            agents.change(db, agents.default(db).id, changes)

        await app.store.write(make)
        started = await app.runs.start(None, "go", "scripted/a")
        self.root = started.reply.id

    def look(self, app: App) -> int:
        """Apply what is new. Returns how many events that were."""
        events = app.events.since(self.seen, 10_000)
        assert events is not None
        for event in events:
            self.page.apply(event)
        self.seen += len(events)
        return len(events)

    @property
    def has_ended(self) -> bool:
        return self.page.status.get(self.root, "streaming") != "streaming"

    async def until(self, app: App, events: int) -> None:
        """Look on for so many events, or until nothing happens without the user."""
        left = events
        async with asyncio.timeout(STUCK_S):
            while True:
                left -= self.look(app)
                if self.has_ended or left <= 0:
                    return
                try:
                    async with asyncio.timeout(QUIET_S):
                        await app.events.wait_beyond(self.seen)
                except TimeoutError:
                    if self.page.waiting():
                        return

    async def decide(self, app: App, how: str) -> None:
        waiting = self.page.waiting()
        if not waiting:
            return
        message_id, position, part = waiting[next(self.below.count) % len(waiting)]
        if isinstance(part, PausePart):
            words = [app.runs.decide_pause(message_id, position, goes_on=how != "deny")]
            if how == "twice":
                words.append(app.runs.decide_pause(message_id, position, goes_on=False))
        else:
            scope = {"approve for the run": "run", "approve for good": "agent"}.get(how, "once")
            assert isinstance(part, ToolCallPart)
            assert part.approval is not None
            scope = scope if scope in part.approval.scopes else "once"
            word: Any = "denied" if how == "deny" else "approved"
            words = [app.runs.decide(message_id, position, word, scope, None, "")]  # type: ignore[arg-type]
            if how == "twice":
                words.append(app.runs.decide(message_id, position, "denied", "once", None, ""))
        outcomes = await asyncio.gather(*words, return_exceptions=True)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, Conflict), outcome
        assert how != "twice" or [] != [each for each in outcomes if each is not None], "decided twice"
        if how == "deny" and outcomes == [None] and isinstance(part, ToolCallPart):
            self.denied.add(part.call_id)

    async def speak(self, app: App) -> None:
        if not self.has_spoken:
            try:
                await app.runs.steer(self.root, STEERED)
                self.has_spoken = True
            except Conflict:
                pass

    def killed(self) -> None:
        """What a `kill -9` would leave, as the next program's folder."""
        self.was_killed = True
        target = self.folder / str(self.copies + 1)
        shutil.copytree(self.data, target, ignore=shutil.ignore_patterns("*-shm", "logs"))

    async def live(self, acts: list[tuple[str, int]]) -> None:
        """From the question to a reply that has ended, with what the user does meanwhile."""
        left = list(acts)
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(self.opened())
            await self.start(app)
            for _ in range(80):
                how, events = left.pop(0) if left else ("approve", UNTIL_QUIET)
                await self.until(app, events)
                if self.has_ended and not self.page.waiting():
                    if self.page.status[self.root] != "interrupted":
                        break
                    await app.runs.continue_reply(self.root)
                elif how in DECIDE:
                    await self.decide(app, how)
                elif how == "speak":
                    await self.speak(app)
                elif how in ("stop", "stop below"):
                    self.ends += 1
                    below = max(self.page.shown)
                    await app.runs.stop(below if how == "stop below" else self.root)
                else:
                    self.ends += 1
                    ran = len(self.ran)
                    if how == "kill":
                        self.killed()
                        await app.runs.stop(self.root)  # what it does from here on has not happened
                    await stack.aclose()
                    if how == "kill":
                        del self.ran[ran:]
                        self.copies += 1
                        await self.forget()
                    app = await stack.enter_async_context(self.opened())
            self.look(app)
            await self.check_open(app)
        self.check_file()

    async def forget(self) -> None:
        """Nobody was told of messages that the copy does not have."""
        known = {row[0] for row in rows(self.data / "deskside.db", "select id from message")}
        for message_id in set(self.page.shown) - known:
            del self.page.shown[message_id]
            del self.page.status[message_id]

    # -- what must hold --------------------------------------------------------------------------

    async def check_open(self, app: App) -> None:
        assert [] == self.page.waiting()
        for message_id, parts in self.page.shown.items():
            row = await app.store.read(messages.get, message_id)
            assert row.parts == parts, message_id
            assert row.status == self.page.status[message_id]
        line = await app.store.read(conversations.get, row.conversation_id)
        assert not line.is_waiting
        history = await app.store.read(messages.history, self.root)
        assert_paired(ModelRequest(history))
        root = await app.store.read(messages.get, self.root)
        heard = [part.text for part in root.parts if isinstance(part, UserPart)]
        drafted = [line.draft] if line.draft else []
        assert [STEERED] * self.has_spoken == heard + drafted or self.was_killed
        assert len(heard + drafted) <= 1
        if not self.was_killed:
            await self.check_replays(app)

    async def check_replays(self, app: App) -> None:
        """Every run goes as it went when it is run again."""
        done = len(self.ran)
        begun = (
            "select id from run where parent is null "
            "and id in (select run from run_event where items is not null)"
        )
        for (run_id,) in rows(self.data / "deskside.db", begun):
            replayed = await app.recordings.replay(run_id)
            assert [] == replayed.differences
        assert done == len(self.ran)

    def check_file(self) -> None:
        database = self.data / "deskside.db"
        assert [] == rows(database, "select id from message where status = 'streaming'")
        assert [] == rows(database, "select * from message_chunk")
        assert [] == rows(database, "select * from steering")
        for message, positions in rows(
            database, "select message, group_concat(position) from message_part group by message"
        ):
            found = sorted(map(int, positions.split(",")))
            assert list(range(len(found))) == found, message
        self.check_calls()
        self.check_words()
        self.check_usage(database)

    def check_calls(self) -> None:
        calls = {
            part.call_id: part
            for parts in self.page.shown.values()
            for part in parts
            if isinstance(part, ToolCallPart)
        }
        for call in calls.values():
            assert call.status in ("finished", "failed"), call
            assert call.output is not None
        for speaker in self.everyone:
            for request in speaker.requests:
                assert_paired(request)
        assert [] == [each for each, n in Counter(one.call_id for one in self.ran).items() if n > 1]
        for one in self.ran:
            call = calls[one.call_id]
            decision = call.approval.decision if call.approval is not None else ""
            assert one.call_id not in self.denied
            assert decision == "approved" or not self.knew(one.call_id), one
            assert decision == "approved" or one.name != "send"

    def check_words(self) -> None:
        shown = "\n".join(
            part.detail if isinstance(part, NotePart) else getattr(part, "text", "")
            for parts in self.page.shown.values()
            for part in parts
        )
        for word in (word for each in self.everyone for word in each.words):
            assert shown.count(word) == 1 or (self.was_killed and shown.count(word) == 0), word

    def check_usage(self, database: Path) -> None:
        made = sum(len(each.requests) for each in self.everyone)
        ((recorded, tokens),) = rows(
            database, "select count(*), ifnull(sum(input_tokens), 0) from usage_record"
        )
        ((told,),) = rows(
            database,
            "select sum(json_extract(usage, '$.input_tokens')) from message where delegator is null",
        )
        if not self.was_killed:
            assert made <= recorded <= made + 2 * self.ends
            assert tokens == told


def assert_paired(request: ModelRequest) -> None:
    asked = [item.call_id for item in request.history if isinstance(item, ToolRequested)]
    results = [item.call_id for item in request.history if isinstance(item, ToolFinished)]
    assert sorted(asked) == sorted(results)
    assert len(set(asked)) == len(asked)


@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(said, min_size=2, max_size=4),
    st.lists(said_below, max_size=4),
    st.lists(act, min_size=3, max_size=8),
    st.one_of(st.none(), st.integers(0, 3)),
)
@example(  # a pause that was asked about again was two
    [(["text", "ask_helper"], "ends")],
    [(["work_out"], "ends")],
    [("approve", UNTIL_QUIET), ("close", UNTIL_QUIET)],
    0,
)
@example(  # of two calls with words between them one was never gone on with
    [(["write", "text", "work_out"], "ends")], [], [("approve", UNTIL_QUIET), ("close", UNTIL_QUIET)], 0
)
@example(  # a call below a reply that was stopped went on waiting
    [(["text", "ask_helper"], "ends")],
    [(["write"], "ends")],
    [("close", UNTIL_QUIET), ("approve", UNTIL_QUIET), ("stop", 0)],
    None,
)
def test_whatever_happens_nothing_is_lost_done_twice_or_left_open(
    monkeypatch: pytest.MonkeyPatch,
    steps: list[Said],
    below: list[Said],
    acts: list[tuple[str, int]],
    limit: int | None,
) -> None:
    monkeypatch.setattr(loop, "FIRST_WAIT_S", 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        world = World(Path(folder), list(steps), list(below), limit)
        monkeypatch.setattr("deskside.backend.app.TOOLS", tools(world))
        asyncio.run(world.live(acts))
