"""MCP servers, with the official "everything" server as a peer: over pipes and over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.errors import Conflict, InvalidRequest, KeychainUnavailable, McpServerError, NotFound
from deskside.backend.mcp.proposal import KEPT, Proposal, Variable, environment
from deskside.backend.mcp.rows import McpServerRow
from deskside.backend.mcp.tool import ToolFailed
from deskside.backend.store import tools
from deskside.backend.store.messages import Elicitation, ElicitationAnswer
from deskside.backend.tools.declaration import BadArguments
from mcp_parts import (
    Desk,
    context,
    everything,
    everything_over_http,
    hostile,
    open_desk,
    program,
    say_no,
    say_yes,
    tool,
)
from stores import paths_in, rows


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with everything_over_http() as url:
        yield url


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(paths_in(tmp_path), back_off_s=(0.01, 0.01)) as desk:
        yield desk


@pytest.fixture(params=["stdio", "http"])
async def server(request: pytest.FixtureRequest, desk: Desk) -> McpServerRow:
    """The official server, its tools accepted."""
    if request.param == "stdio":
        return await desk.add(program("everything", everything("stdio")))
    return await desk.add(Proposal("everything", "http", url=request.getfixturevalue("address")))


# -- a real server ------------------------------------------------------------------------------


async def test_a_tool_of_a_real_server_answers_with_text_from_outside(
    desk: Desk, server: McpServerRow
) -> None:
    found = (await desk.tools())["everything__get-sum"]

    result = await found.call(context(), found.read_arguments('{"a": 2, "b": 40}'))

    assert "The sum of 2 and 40 is 42." == result.text
    assert ("mcp", "everything") == (result.origin, result.source)
    assert ("ask", "send") == (found.approval, found.effect)


async def test_what_is_no_text_is_described(desk: Desk, server: McpServerRow) -> None:
    image = await desk.call("everything__get-tiny-image")
    links = await desk.call("everything__get-resource-links", {"count": 1})
    structured = await desk.call("everything__get-structured-content", {"location": "Chicago"})

    assert "[An image (image/png, 3 KB), which is not shown.]" in image
    assert "demo://resource/dynamic" in links
    assert 36 == json.loads(structured)["temperature"]


async def test_wrong_arguments_are_said_to_the_model(desk: Desk, server: McpServerRow) -> None:
    found = (await desk.tools())["everything__get-sum"]

    with pytest.raises(BadArguments, match="Missing: b"):
        found.read_arguments('{"a": 2}')
    with pytest.raises(BadArguments):
        found.read_arguments("[1, 2]")
    with pytest.raises(ToolFailed, match="number") as failed:
        await found.call(context(), found.read_arguments('{"a": 2, "b": "x"}'))

    assert ("mcp", "everything") == (failed.value.origin, failed.value.source)


async def test_a_server_asks_the_user_in_the_middle_of_a_call(desk: Desk, server: McpServerRow) -> None:
    asked: list[Elicitation] = []

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        asked.append(question)
        return ElicitationAnswer("accept", {"name": "Ada", "check": True, "integer": 42})

    result = await desk.call("everything__trigger-elicitation-request", elicit=elicit)

    assert "- Name: Ada" in result
    assert ["everything"] == [question.server for question in asked]
    assert asked[0].schema is not None
    assert "name" in asked[0].schema["properties"]


@pytest.mark.parametrize("is_error", [False, True], ids=["asked", "refused until then"])
async def test_a_server_sends_the_user_to_a_page(desk: Desk, server: McpServerRow, is_error: bool) -> None:
    asked: list[str] = []

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        asked.append(question.url)
        return ElicitationAnswer("accept")

    arguments = {"url": "https://example.com/connect", "errorPath": is_error}
    result = await desk.call("everything__trigger-url-elicitation", arguments, elicit)

    assert "https://example.com/connect" in asked
    assert result


async def test_a_server_of_the_newest_protocol_is_used_in_full(desk: Desk) -> None:
    newest = program("newest", [sys.executable, str(Path(__file__).parents[1] / "newest_server.py")])

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        return ElicitationAnswer("accept", {"n": 3})

    row = await desk.add(newest)
    (resource,) = await desk.servers.resources(row.id)

    assert "3" == await desk.call("newest__add", {"a": 1, "b": 2})
    assert "They want 3." == await desk.call("newest__ask", elicit=elicit)
    assert "Buy plums." == (await desk.servers.read_resource(row.id, resource.uri)).text
    assert "Say hello to Ada." == (await desk.servers.get_prompt(row.id, "greet", {"who": "Ada"})).text
    assert "grown" == await desk.call("newest__grow")
    grown = await desk.until(row.id, lambda row: len(row.tools) == 4)
    assert ["another"] == [tool.remote_name for tool in grown.tools if tool.offered is not None]


async def test_two_calls_are_asked_about_apart(desk: Desk, address: str) -> None:
    """Over HTTP a question comes back on the call's own stream."""
    await desk.add(Proposal("everything", "http", url=address))

    async def ask(name: str) -> str:
        async def elicit(question: Elicitation) -> ElicitationAnswer:
            await asyncio.sleep(0)  # let the other one begin
            return ElicitationAnswer("accept", {"name": name, "check": True})

        return await desk.call("everything__trigger-elicitation-request", elicit=elicit)

    first, second = await asyncio.gather(ask("Ada"), ask("Grace"))

    assert "- Name: Ada" in first
    assert "- Name: Grace" in second


async def test_where_nobody_can_be_asked_a_question_is_cancelled(desk: Desk, server: McpServerRow) -> None:
    result = await desk.call("everything__trigger-elicitation-request")

    assert '"cancel"' in result


async def test_resources_and_prompts_can_be_read(desk: Desk, server: McpServerRow) -> None:
    resources = await desk.servers.resources(server.id)
    text = await desk.servers.read_resource(server.id, resources[0].uri)
    prompts = {prompt.name: prompt for prompt in await desk.servers.prompts(server.id)}
    filled = await desk.servers.get_prompt(server.id, "args-prompt", {"city": "Oslo"})

    assert "Everything Server" in text.text
    assert ["city"] == [each.name for each in prompts["args-prompt"].arguments if each.is_required]
    assert "Oslo" in filled.text
    with pytest.raises(McpServerError, match="did not give an answer"):
        await desk.servers.read_resource(server.id, "demo://resource/dynamic/text/none")


async def test_its_log_can_be_looked_at(desk: Desk, server: McpServerRow) -> None:
    lines = await desk.log(server.id)

    assert [line for line in lines if line.startswith("Connected to Everything Reference Server")]


async def test_the_program_gets_none_of_our_keys(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "canary-0123456789")
    variables = [Variable("GREETING", "hello", is_secret=False)]
    await desk.add(program("everything", everything("stdio"), environment=variables))

    found = json.loads(await desk.call("everything__get-env"))

    assert "hello" == found["GREETING"]
    assert "canary" not in json.dumps(found)
    assert [] == [name for name in found if name not in KEPT["posix"].split() and name != "GREETING"]


def test_a_shell_function_is_no_variable_to_hand_on() -> None:
    assert {"PATH": "/bin"} == environment({}, {"PATH": "/bin", "HOME": "() { :; }"}, "linux")


# -- adding one ---------------------------------------------------------------------------------


async def test_nothing_is_started_that_the_user_said_no_to(desk: Desk, tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    row = await desk.servers.propose(hostile("marker", marker), say_no, "a test")

    assert row is None
    assert [] == await desk.servers.servers()
    assert not marker.exists()


async def test_the_question_shows_the_whole_command(desk: Desk) -> None:
    asked: list[str] = []

    async def confirm(title: str, text: str, accept_label: str) -> bool:
        asked.append(text)
        return False

    arguments = ["-c", "import os; os.remove('x')", "", " spaces ", "\u202egnp.exe", "two\nlines"]
    variables = [Variable("LD_PRELOAD", "/tmp/x.so", is_secret=False), Variable("TOKEN", "hush-hush")]
    await desk.servers.propose(
        Proposal("py", "stdio", "python3", arguments, environment=variables), confirm, "a test"
    )

    shown = asked[0]
    assert 'Command: "python3"' in shown
    assert '/python3"' in shown
    for line in (
        "Argument 2: \"import os; os.remove('x')\"",
        'Argument 3: ""',
        'Argument 4: " spaces "',
        'Argument 5: "‹U+202E›gnp.exe"',
        'Argument 6: "two‹U+000A›lines"',
        'Variable LD_PRELOAD = "/tmp/x.so"',
        "Variable TOKEN = (secret, not shown here)",
        "Asked for by: a test",
    ):
        assert line in shown.split("\n")
    assert "hush" not in shown


WRONG = [
    Proposal("x", "stdio", "no-such-program"),
    Proposal("x", "stdio", " "),
    Proposal("x", "stdio", "python3", ["\0"]),
    Proposal("x", "stdio", "python3", ["x" * 4_000] * 3),
    Proposal("x", "stdio", "python3", environment=[Variable("LD_PRELOAD", "/tmp/x.so")]),
    Proposal("x", "stdio", "python3", environment=[Variable("NODE_OPTIONS", "--require /tmp/x.js")]),
    Proposal("x", "stdio", "python3", environment=[Variable("A=B", "1")]),
    Proposal("x", "stdio", "python3", environment=[Variable("A", "1"), Variable("a", "2")]),
    Proposal("x", "stdio", "python3", environment=[Variable("A", "1\n2")]),
    Proposal("x", "stdio", "python3", environment=[Variable("A")]),
    Proposal("x", "stdio", "python3", url="http://127.0.0.1/"),
    Proposal("x", "http", "python3", url="http://127.0.0.1/"),
    Proposal("x", "http", url="file:///etc/passwd"),
    Proposal("x", "http", url="https://name:password@example.com/"),
    Proposal("x", "http", url="https://exa\u202emple.com/"),
    Proposal("x", "http", url="https://example.com/\r\nHost: other"),
    Proposal("x", "http", url="https://"),
    Proposal("x", "http", url="https://example.com/", headers=[Variable("Host", "other", is_secret=False)]),
    Proposal("x", "http", url="https://example.com/", headers=[Variable("A\r\nB", "1", is_secret=False)]),
    Proposal("x", "http", url="https://example.com/", headers=[Variable("A", "ä", is_secret=False)]),
]


@pytest.mark.parametrize("proposal", WRONG, ids=lambda proposal: repr(proposal)[:90])
async def test_what_cannot_be_run_or_read_is_not_even_asked_about(desk: Desk, proposal: Proposal) -> None:
    async def confirm(*_: str) -> bool:
        raise AssertionError("the user was asked")

    with pytest.raises(InvalidRequest):
        await desk.servers.propose(proposal, confirm, "a test")


async def test_a_name_is_taken_once(desk: Desk) -> None:
    await desk.add(hostile("plain"))

    with pytest.raises(InvalidRequest, match="already"):
        await desk.servers.propose(hostile("plain", name="Hostile"), say_yes, "a test")


async def test_a_changed_command_is_asked_about_and_its_tools_are_looked_at_anew(desk: Desk) -> None:
    row = await desk.add(hostile("plain"))

    refused = await desk.servers.propose(hostile("garbage"), say_no, "a test", row.id)
    unchanged = await desk.row(row.id)
    changed = await desk.servers.propose(hostile("garbage"), say_yes, "a test", row.id)

    assert refused is None
    assert unchanged.arguments == row.arguments
    assert changed is not None
    after = await desk.until(row.id, lambda row: row.state == "ready")
    assert None is tool(after).accepted
    assert {} == await desk.tools()


async def test_a_removed_server_is_gone_with_its_tools(desk: Desk) -> None:
    row = await desk.add(hostile("plain"))

    await desk.servers.remove(row.id)

    assert [] == await desk.servers.servers()
    assert {} == await desk.tools()
    with pytest.raises(NotFound):
        await desk.servers.remove(row.id)


# -- secrets ------------------------------------------------------------------------------------


async def test_a_secret_goes_to_the_program_and_nowhere_else(desk: Desk, tmp_path: Path) -> None:
    await desk.keys.use_file("correct horse")
    row = await desk.add(hostile("environment", environment=[Variable("TOKEN", "hush-0123456789")]))

    said = json.loads(await desk.call("hostile__add", {"a": 1, "b": 2}))

    assert "hush-0123456789" == said["TOKEN"]
    assert [("TOKEN", None, "file")] == [(each.name, each.value, each.place) for each in row.environment]
    assert "hush" not in repr(await desk.servers.servers())
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    assert [] == kept


async def test_a_stored_secret_stays_until_another_program_would_get_it(desk: Desk) -> None:
    await desk.keys.use_file("correct horse")
    row = await desk.add(hostile("environment", environment=[Variable("TOKEN", "hush-0123456789")]))
    again = [Variable("TOKEN"), Variable("MORE", "1", is_secret=False)]

    await desk.servers.propose(hostile("environment", environment=again), say_yes, "a test", row.id)
    await desk.accept(await desk.until(row.id, lambda row: row.state == "ready"))
    said = json.loads(await desk.call("hostile__add", {"a": 1, "b": 2}))

    assert ("hush-0123456789", "1") == (said["TOKEN"], said["MORE"])
    with pytest.raises(InvalidRequest, match="TOKEN is missing"):
        await desk.servers.propose(hostile("plain", environment=again), say_yes, "a test", row.id)


async def test_a_secret_without_a_place_adds_nothing(desk: Desk) -> None:
    with pytest.raises(KeychainUnavailable):
        await desk.servers.propose(
            hostile("plain", environment=[Variable("TOKEN", "hush-0123456789")]), say_yes, "a test"
        )

    assert [] == await desk.servers.servers()


async def test_removed_secrets_leave_the_file(desk: Desk, tmp_path: Path) -> None:
    await desk.keys.use_file("correct horse")
    row = await desk.add(hostile("plain", environment=[Variable("TOKEN", "hush-0123456789")]))

    await desk.servers.remove(row.id)

    assert not (tmp_path / "data" / "keys.json").exists()


# -- what the user accepts ----------------------------------------------------------------------


async def test_a_new_tool_is_of_no_use_until_it_is_accepted(desk: Desk) -> None:
    row = await desk.add(hostile("plain"), accept=False)
    before = await desk.tools()
    listed_before = await desk.store.read(tools.listed)

    await desk.accept(row)

    assert {} == before
    assert [False] == [each.is_ready for each in listed_before]
    assert [True] == [each.is_ready for each in await desk.store.read(tools.listed)]
    assert ["hostile__add"] == list(await desk.tools())
    assert "3" == await desk.call("hostile__add", {"a": 1, "b": 2})


async def test_only_what_was_shown_can_be_accepted(desk: Desk) -> None:
    row = await desk.add(hostile("plain"), accept=False)

    with pytest.raises(Conflict, match="changed again"):
        await desk.servers.accept_tools(row.id, {"hostile__add": "0" * 64})
    with pytest.raises(NotFound):
        await desk.servers.accept_tools(row.id, {"hostile__other": "0" * 64})


async def test_what_was_accepted_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.add(hostile("plain"))

    async with open_desk(paths_in(tmp_path)) as desk:
        offered = await desk.tools()
        said = await offered["hostile__add"].call(context(), {"a": 1, "b": 2})

    assert "3" == said.text


async def test_a_switched_off_tool_is_not_offered_and_not_called(desk: Desk) -> None:
    row = await desk.add(hostile("plain"))
    held = (await desk.tools())["hostile__add"]

    await desk.servers.change(row.id, tools={"hostile__add": False})

    assert {} == await desk.tools()
    with pytest.raises(McpServerError, match="switched off"):
        await held.call(context(), {"a": 1, "b": 2})


async def test_a_switched_off_server_does_not_run(desk: Desk) -> None:
    row = await desk.add(hostile("plain"))

    off = await desk.servers.change(row.id, is_enabled=False)
    tools = await desk.tools()
    await desk.servers.change(row.id, is_enabled=True)

    assert "disabled" == off.state
    assert {} == tools
    assert "ready" == (await desk.until(row.id, lambda row: row.state == "ready")).state


async def test_accepting_a_change_takes_back_what_was_allowed_for_good(desk: Desk, tmp_path: Path) -> None:
    database = tmp_path / "data" / "deskside.db"
    row = await desk.add(hostile("rug-pull"))

    def allow(db: Any) -> None:
        db.sql.execute("update tool set approval = 'never' where name = 'hostile__add'")
        db.sql.execute("insert into tool_grant values (1, 'hostile__add', 0)")

    await desk.store.write(allow)
    await desk.call("hostile__add", {"a": 1, "b": 2})
    await desk.accept(await desk.until(row.id, lambda row: tool(row).offered is not None))

    assert [("ask",)] == rows(database, "select approval from tool where kind = 'mcp'")
    assert [] == rows(database, "select * from tool_grant")
