"""Tools that the user wrote: kept, offered, checked and called, with what they were granted and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from deskside.backend.agent.events import ToolRequested
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.events import ToolsChanged
from deskside.backend.settings import GrantedFolder
from deskside.backend.store import messages
from deskside.backend.store import tools as rows
from deskside.backend.store.messages import MessageRow, ToolCallPart
from deskside.backend.store.tools import NewTool, ToolChanges
from deskside.backend.tools import TOOLS
from deskside.backend.tools.context import ToolContext, ToolServices
from deskside.backend.tools.declaration import BadArguments, OutsideFailure, ToolOutput
from deskside.backend.tools.file_texts import FileTexts
from deskside.backend.tools.run_python import run_python
from deskside.backend.tools.sandbox import CodeFailed, Sandbox
from deskside.backend.tools.signature import draft
from deskside.backend.tools.user_tools import UserTool, UserTools
from deskside.backend.tools.web import Web
from stores import paths_in

ADD = 'def add(a: int, b: int = 1) -> int:\n    """Add two numbers."""\n    return a + b\n'


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path)) as opened:
        yield opened


def new(source: str = ADD, **changes: Any) -> NewTool:
    read = draft(source)
    plain = NewTool(read.name, read.description, read.parameters, source, "Sums", [], "ask", True)
    return msgspec.structs.replace(plain, **changes)


async def only(tools: UserTools) -> UserTool:
    (tool,) = await tools.tools()
    return tool


async def called(tool: UserTool, **arguments: Any) -> ToolOutput:
    read = tool.read_arguments(msgspec.json.encode(arguments).decode())
    return await tool.call(cast(ToolContext, None), read)


# -- keeping and offering -----------------------------------------------------------------------


async def test_a_tool_is_offered_as_it_was_written_and_called_in_the_sandbox(app: App) -> None:
    await app.user_tools.create(new())

    tool = await only(app.user_tools)
    assert ("add", "Add two numbers.") == (tool.spec.name, tool.spec.description)
    assert ["a"] == tool.spec.parameters["required"]
    assert ("ask", "read") == (tool.approval, tool.effect)
    assert ToolOutput("5", "user_tool", "add", False) == await called(tool, a=2, b=3)
    assert ToolOutput("3", "user_tool", "add", False) == await called(tool, a=2)


async def test_changes_are_offered_at_once_and_told_to_the_page(app: App) -> None:
    await app.user_tools.create(new())
    assert 1 == len(await app.user_tools.tools())

    await app.user_tools.change("add", ToolChanges(is_enabled=False))
    assert [] == await app.user_tools.tools()
    await app.user_tools.change("add", ToolChanges(approval="always_ask", is_enabled=True))
    assert "always_ask" == (await only(app.user_tools)).approval
    await app.user_tools.update("add", new(ADD.replace("a + b", "a - b"), name="take"))
    changed = await only(app.user_tools)
    assert ("take", "-1") == (changed.spec.name, (await called(changed, a=0)).text)
    await app.user_tools.delete("take")
    assert [] == await app.user_tools.tools()

    events = app.events.since(0, 100) or []
    assert 5 == sum(isinstance(event, ToolsChanged) for event in events)


async def test_names_are_unique_and_gone_tools_are_not_found(app: App) -> None:
    await app.user_tools.create(new())

    with pytest.raises(Conflict):
        await app.user_tools.create(new())
    with pytest.raises(Conflict):
        await app.user_tools.create(new(name="calculate"))
    with pytest.raises(Conflict):
        await app.user_tools.update("add", new(name="calculate"))
    with pytest.raises(NotFound):
        await app.user_tools.delete("gone")
    with pytest.raises(NotFound):
        await app.user_tools.change("gone", ToolChanges("never"))


async def test_a_tool_cannot_take_the_place_of_an_agent_that_is_asked(app: App) -> None:
    with pytest.raises(InvalidRequest, match="belong to agents"):
        await app.user_tools.create(new(name="ask_writer"))


async def test_code_without_a_function_to_call_is_not_kept(app: App) -> None:
    with pytest.raises(InvalidRequest, match="Write the tool as a function"):
        await app.user_tools.create(new(source="x = 1", name="x"))

    assert [] == await app.store.read(rows.listed, "user")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "array"},
        {"type": "object", "properties": 3},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}},
        {"type": "object", "patternProperties": {"(a+)+$": {}}},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/schema"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "allOf": [{"$dynamicRef": "#"}]},
        {"type": "object", "description": "x" * 30_000},
    ],
)
async def test_parameters_that_are_no_schema_or_could_do_harm_are_not_kept(
    app: App, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="parameters"):
        await app.user_tools.create(new(parameters=parameters))


async def test_a_parameter_may_have_any_name(app: App) -> None:
    source = 'def find(pattern: str) -> str:\n    """Find."""\n    return pattern\n'
    await app.user_tools.create(new(source))

    assert "x" == (await called(await only(app.user_tools), pattern="x")).text


# -- calling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"a": "one"}', "'one' is not of type 'integer' - at `$.a`"),
        ('{"b": 1}', "'a' is a required property"),
        ('{"a": 1, "c": 2}', "'c' was unexpected"),
        ("[1]", "is not of type 'object'"),
        ('{"a": ', "truncated"),
        ("", "'a' is a required property"),
        ('{"a": "\ud800"}', "surrogates"),
        ('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}", "."),
    ],
)
async def test_arguments_that_do_not_fit_tell_the_model_how_to_mend_them(
    app: App, arguments: str, problem: str
) -> None:
    await app.user_tools.create(new())
    tool = await only(app.user_tools)

    with pytest.raises(BadArguments) as refused:
        tool.read_arguments(arguments)

    assert problem in str(refused.value)
    assert "'add'" in str(refused.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return 'plain ünïcode'", "plain ünïcode"),
        ("return {'a': [1, None]}", '{"a": [1, null]}'),
        ("print('seen')\n    return 'text'", "seen\ntext"),
        ("print('seen')", "seen\n"),
        ("pass", "null"),
    ],
)
async def test_what_a_tool_returns_and_prints_is_what_the_model_reads(app: App, body: str, text: str) -> None:
    await app.user_tools.create(new(f'def it():\n    "Does it."\n    {body}\n'))

    assert text == (await called(await only(app.user_tools))).text


async def test_an_error_in_a_tool_says_what_and_where(app: App) -> None:
    await app.user_tools.create(
        new('def it(n: int):\n    "Does it."\n    print("so far")\n    return 1 / n\n')
    )

    with pytest.raises(CodeFailed) as failed:
        await called(await only(app.user_tools), n=0)

    assert "line 4: ZeroDivisionError: division by zero\nIt had printed:\nso far\n" == str(failed.value)


async def test_an_error_of_a_tool_that_may_read_is_text_from_outside(app: App) -> None:
    source = 'def it(n: int):\n    "Does it."\n    return 1 / n\n'
    await app.user_tools.create(new(source, capabilities=["files"]))

    with pytest.raises(OutsideFailure, match="division by zero") as failed:
        await called(await only(app.user_tools), n=0)

    # What it was reading when it failed may be part of that.
    assert ("user_tool", "it") == (failed.value.origin, failed.value.source)


# -- capabilities -------------------------------------------------------------------------------


class FakeWeb:
    async def fetch_text(self, url: str) -> str:
        return f"the page of {url}"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox()
    yield made
    await made.close()


@pytest.fixture
def reaching(app: App, sandbox: Sandbox) -> UserTools:
    return UserTools(app.store, app.events, sandbox, FileTexts(app.settings, app.paths), FakeWeb())


@pytest.fixture
async def granted(app: App, tmp_path: Path) -> Path:
    """A folder that the user granted, with a text, a picture and a folder in it."""
    folder = tmp_path / "granted"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_text("the plums")
    (folder / "b.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "secret.txt").write_text("not yours")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    await app.settings.change({"folders": [GrantedFolder(str(folder))]})
    return folder


@pytest.mark.parametrize(
    ("capabilities", "effect", "reach"),
    [
        ([], "read", "It reaches no files and no network."),
        (["time"], "read", "It may know the time."),
        (["files"], "read", "It may read files in the folders you granted."),
        (["web"], "send", "It may fetch web pages."),
        (["web", "files"], "send", "It may read files in the folders you granted and fetch web pages."),
    ],
)
async def test_what_a_tool_may_reach_is_its_effect_and_is_said_before_it_runs(
    app: App, capabilities: list[Any], effect: str, reach: str
) -> None:
    await app.user_tools.create(new(capabilities=capabilities))

    tool = await only(app.user_tools)
    preview = await tool.preview(cast(ToolContext, None), {"a": 1})
    assert effect == tool.effect
    assert f"Runs your tool add in the sandbox. {reach}" == preview.summary


SOURCES = {
    "files": 'def it():\n    "Reads."\n    return [read_text("GRANTED/a.txt"), list_dir("GRANTED")]\n',
    "web": 'def it() -> str:\n    "Fetches."\n    return fetch_text("https://example.org/")\n',
    "time": 'import datetime\ndef it():\n    "Tells."\n    return datetime.date.today().year // 1000\n',
}
RESULTS = {
    "files": '["the plums", ["a.txt", "b.png", "link.txt", "more/"]]',
    "web": "the page of https://example.org/",
    "time": "2",
}


@pytest.mark.parametrize("capability", SOURCES)
async def test_a_tool_reaches_what_it_was_given_and_nothing_without(
    reaching: UserTools, capability: Any, granted: Path
) -> None:
    source = SOURCES[capability].replace("GRANTED", str(granted))
    await reaching.create(new(source, capabilities=[capability]))
    output = await called(await only(reaching))
    assert (RESULTS[capability], capability != "time") == (output.text, output.is_outside)

    others = [each for each in SOURCES if each != capability]
    await reaching.update("it", new(source, capabilities=others))

    with pytest.raises(OutsideFailure, match=r"not defined|may not look at the clock"):
        await called(await only(reaching))


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/etc/passwd", "PermissionError: "),
        ("GRANTED/../secret.txt", "PermissionError: "),
        ("GRANTED/link.txt", "PermissionError: "),
        ("GRANTED/more", "Error: "),
        ("GRANTED/nothing.txt", "FileNotFoundError: "),
        ("GRANTED/b.png", "ValueError: .*is no text file"),
        ("", "PermissionError: "),
    ],
)
async def test_what_was_not_granted_stays_closed(
    reaching: UserTools, granted: Path, path: str, refusal: str
) -> None:
    source = 'def it(path: str) -> str:\n    "Reads."\n    return read_text(path)\n'
    await reaching.create(new(source, capabilities=["files"]))

    with pytest.raises(OutsideFailure, match=refusal):
        await called(await only(reaching), path=path.replace("GRANTED", str(granted)))


# -- the test bench -----------------------------------------------------------------------------


async def test_the_bench_runs_what_is_not_kept(app: App) -> None:
    tried = await app.user_tools.try_out(ADD + "print('loaded')\n", draft(ADD).parameters, {"a": 2}, [])

    assert (True, "3", "loaded\n", "", None) == (
        tried.ok,
        tried.result,
        tried.printed,
        tried.error,
        tried.line,
    )
    assert tried.duration_ms > 0
    assert [] == await app.store.read(rows.listed, "user")


@pytest.mark.parametrize(
    ("source", "arguments", "error", "line"),
    [
        (ADD, {"a": "x"}, "The arguments do not fit the parameters: 'x' is not of type 'integer'", None),
        (ADD.replace("a + b", "a / 0"), {"a": 1}, "ZeroDivisionError: division by zero", 3),
        (ADD.replace("return", "retrun"), {"a": 1}, "Simple statements must be separated", 3),
        ("x = 1", {"a": 1}, "Write the tool as a function", None),
        (ADD + "def other(): pass\n", {"a": 1}, "Which one is the tool", None),
        (ADD.replace("return a + b", "while True: pass"), {"a": 1}, "It ran for more than 5 s", None),
    ],
)
async def test_the_bench_says_what_is_wrong_and_in_which_line(
    app: App, source: str, arguments: dict[str, Any], error: str, line: int | None
) -> None:
    tried = await app.user_tools.try_out(source, draft(ADD).parameters, arguments, [])

    assert (False, None, line) == (tried.ok, tried.result, tried.line)
    assert error in tried.error


# -- in a run -----------------------------------------------------------------------------------


async def test_a_model_calls_the_users_tool_and_reads_its_result(tmp_path: Path) -> None:
    wanted = [ToolRequested("1", "add", '{"a": 2}'), ToolRequested("2", "add", '{"a": "two"}')]
    model = ScriptedModel([wanted, ["done"]])
    async with open_app(paths_in(tmp_path), {"scripted/m": model}) as app:
        await app.user_tools.create(new(approval="never"))

        started = await app.runs.start(None, "Add 1 to 2", "scripted/m")
        reply = await ended(app, started.reply.id)

    calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    assert [("finished", "3", "user_tool"), ("failed", "tool")] == [
        (calls[0].status, calls[0].output, calls[0].origin),
        (calls[1].status, calls[1].origin),
    ]
    assert "'two' is not of type 'integer'" in (calls[1].output or "")


async def ended(app: App, message_id: int) -> MessageRow:
    async with asyncio.timeout(10):
        while True:
            row = await app.store.read(messages.get, message_id)
            if row.status != "streaming":
                return row
            await asyncio.sleep(0.01)


# -- run_python ---------------------------------------------------------------------------------


async def test_a_model_runs_python_and_reads_prints_and_the_last_value(app: App, sandbox: Sandbox) -> None:
    services = ToolServices(app.store, app.settings, app.paths, sandbox, Web(), app.events, app.files)
    context = ToolContext(services, 1, 1, 1, None, "call-1")
    arguments = run_python.read_arguments(msgspec.json.encode({"code": "print('a')\n[1, 2]"}).decode())

    assert run_python in TOOLS
    assert ("ask", "execute") == (run_python.approval, run_python.effect)
    assert ToolOutput("a\n[1, 2]") == await run_python.call(context, arguments)
    preview = await run_python.preview(context, arguments)
    assert preview.summary.startswith("Runs 2 lines of Python in the sandbox.")
