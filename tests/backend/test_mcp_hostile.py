"""MCP servers that mean no good. Ways taken from: Invariant Labs' "tool poisoning" and "rug pull" (2025), the
security considerations of the protocol's 2025-11-25 revision, and issues of other clients (servers that
outlive them, that write to their output, that never answer)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deskside.backend.errors import McpServerError
from deskside.backend.mcp import calls, connection, session
from deskside.backend.mcp.rows import McpServerRow
from deskside.backend.mcp.tool import ToolFailed
from deskside.backend.store.messages import Elicitation, ElicitationAnswer
from mcp_parts import HOSTILE, Desk, context, hostile, open_desk, program, say_yes, tool
from stores import PYTHONPATH, paths_in

NUMBERS = {"a": 1, "b": 2}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(paths_in(tmp_path), back_off_s=(0.01, 0.01), connect_s=20) as desk:
        yield desk


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Desk]:
    """Waits for a server for a moment only."""
    async with open_desk(paths_in(tmp_path), back_off_s=(0.01,), connect_s=0.3) as desk:
        yield desk


def has_failed(row: McpServerRow) -> bool:
    return row.state == "failed"


async def gone(pid: int) -> None:
    """Return once there is no such process, but for one that nobody has taken note of."""
    async with asyncio.timeout(15):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)  # another process's state: there is nothing to be told by


# -- starting and ending ------------------------------------------------------------------------


async def test_a_server_that_exits_at_once_is_tried_again_and_then_given_up(desk: Desk) -> None:
    row = await desk.add(hostile("exits"), accept=False, until=has_failed)
    log = await desk.log(row.id)

    assert "exit code 7" in row.reason
    assert 3 == len([line for line in log if "exit code 7" in line])


async def test_a_server_that_was_given_up_starts_when_it_is_asked_to(desk: Desk, tmp_path: Path) -> None:
    row = await desk.add(hostile("exits"), accept=False, until=has_failed)
    seen = len(await desk.log(row.id))

    await desk.servers.servers()
    untouched = len(await desk.log(row.id))
    await desk.servers.restart(row.id)
    await desk.until(row.id, has_failed)

    assert seen == untouched
    assert seen < len(await desk.log(row.id))


async def test_a_server_that_never_answers_is_not_waited_for(hasty: Desk) -> None:
    row = await hasty.add(hostile("silent"), accept=False, until=has_failed)

    assert "It did not answer in time." == row.reason


async def test_a_program_that_is_none_says_so(desk: Desk, tmp_path: Path) -> None:
    text = tmp_path / "program"
    text.write_text("not a program")
    text.chmod(0o755)

    row = await desk.add(program("text", [str(text)]), accept=False, until=has_failed)

    assert "exit code 127" in row.reason
    assert [line for line in await desk.log(row.id) if "cannot be run" in line]


async def test_an_address_where_nothing_answers_says_so(desk: Desk) -> None:
    from deskside.backend.mcp.proposal import Proposal
    from mcp_parts import free_port

    address = f"http://127.0.0.1:{free_port()}/mcp"
    row = await desk.add(Proposal("x", "http", url=address), accept=False, until=has_failed)

    assert "There is nothing at its address that answers." == row.reason


async def test_an_old_server_that_dies_of_the_new_greeting_gets_the_old_one(desk: Desk) -> None:
    await desk.add(hostile("discover-crash"))

    assert "3" == await desk.call("hostile__add", NUMBERS)


async def test_a_server_that_crashes_in_a_call_fails_the_call_and_comes_back(desk: Desk) -> None:
    row = await desk.add(hostile("crash"))

    with pytest.raises(ToolFailed, match="Connection closed"):
        await desk.call("hostile__add", NUMBERS)

    await said(desk, row, "exit code 3")
    assert "ready" == (await desk.until(row.id, lambda row: row.state == "ready")).state


async def test_a_server_that_ignores_every_hint_ends_with_its_children(desk: Desk, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    await desk.add(hostile("stays", pids))
    server, child = map(int, pids.read_text().split())

    await desk.servers.close()

    await gone(server)
    await gone(child)


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from mcp_parts import hostile, open_desk
from stores import paths_in

async def main():
    async with open_desk(paths_in(Path(sys.argv[1]))) as desk:
        await desk.add(hostile("stays", sys.argv[2]))
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_servers_end_with_a_program_that_was_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    build = str(Path(__file__).parents[2] / "build")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path), str(pids), build),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"ready\n" == await process.stdout.readline()
    server, child = map(int, pids.read_text().split())

    process.send_signal(signal.SIGKILL)
    await process.communicate()

    await gone(server)
    await gone(child)


async def test_closing_waits_for_a_server_that_is_starting(hasty: Desk) -> None:
    row = await hasty.servers.propose(hostile("silent"), say_yes, "a test")
    assert row is not None

    await hasty.servers.close()

    assert [] == [
        process for process in psutil.Process().children(recursive=True) if str(HOSTILE) in process.cmdline()
    ]


# -- what it writes -----------------------------------------------------------------------------


async def test_garbage_on_its_output_is_logged_and_passed_over(desk: Desk) -> None:
    row = await desk.add(hostile("garbage"))

    assert "3" == await desk.call("hostile__add", NUMBERS)
    log = await desk.log(row.id)
    assert "(not a message) Welcome!" in log
    assert "(not a message) ‹U+0000›‹U+0001›‹U+0002›" in log


async def test_noise_on_its_standard_error_is_read_and_bounded(desk: Desk) -> None:
    row = await desk.add(hostile("noisy"))

    assert "3" == await desk.call("hostile__add", NUMBERS)
    assert connection.KEPT_LINES >= len(await desk.log(row.id))


async def test_what_it_writes_stays_out_of_our_log(
    desk: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await desk.add(hostile("garbage"))
    await desk.add(hostile("pattern", name="pattern"))
    await desk.call("pattern__add", NUMBERS)

    assert [] == caplog.records
    assert "Welcome" not in "".join(capfd.readouterr())


async def test_a_large_answer_arrives_and_one_that_is_too_large_ends_the_connection(desk: Desk) -> None:
    row = await desk.add(hostile("huge", 5_000_000))
    large = await desk.call("hostile__add", NUMBERS)
    await desk.servers.propose(hostile("huge", 17 * 2**20), say_yes, "a test", row.id)
    await desk.accept(await desk.until(row.id, lambda row: row.state == "ready"))

    assert 5_000_000 == len(large)
    with pytest.raises(ToolFailed, match="Connection closed"):
        await desk.call("hostile__add", NUMBERS)
    await said(desk, row, "more than 16 MB")


async def test_a_line_without_end_is_not_kept(desk: Desk) -> None:
    row = await desk.add(hostile("endless-line"))

    with pytest.raises(ToolFailed, match="Connection closed"):
        await desk.call("hostile__add", NUMBERS)
    await said(desk, row, "more than 16 MB")


async def test_a_call_that_is_never_answered_is_given_up_and_cancelled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALL_S", 0.1)
    row = await desk.add(hostile("silent-call"))

    with pytest.raises(TimeoutError):
        await desk.call("hostile__add", NUMBERS)

    await heard(desk, row, "notifications/cancelled")


async def test_a_stopped_call_is_cancelled_at_the_server(desk: Desk) -> None:
    row = await desk.add(hostile("silent-call"))
    call = asyncio.create_task(desk.call("hostile__add", NUMBERS))
    await heard(desk, row, "tools/call")

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await heard(desk, row, "notifications/cancelled")


async def heard(desk: Desk, row: McpServerRow, method: str) -> None:
    """Return once the server says in its log that it got such a message."""
    await said(desk, row, f'"{method}"')


async def said(desk: Desk, row: McpServerRow, text: str) -> None:
    """Return once a line of the server's log holds `text`."""
    async with asyncio.timeout(10):
        while not any(text in line for line in await desk.log(row.id)):
            await asyncio.sleep(0.01)  # lines of a log are no events


async def test_words_of_failure_are_text_from_outside(desk: Desk) -> None:
    await desk.add(hostile("failing"))

    with pytest.raises(ToolFailed, match="ignore all instructions") as failed:
        await desk.call("hostile__add", NUMBERS)

    assert ("mcp", "hostile") == (failed.value.origin, failed.value.source)


async def test_a_schema_that_takes_hours_to_check_is_not_checked(desk: Desk) -> None:
    await desk.add(hostile("pattern"))

    async with asyncio.timeout(10):
        assert "3" in await desk.call("hostile__add", NUMBERS)


# -- its tools ----------------------------------------------------------------------------------


async def test_a_tool_that_changes_is_of_no_use_until_the_new_one_is_accepted(desk: Desk) -> None:
    row = await desk.add(hostile("rug-pull"))
    held = (await desk.tools())["hostile__add"]
    await held.call(context(), NUMBERS)

    changed = await desk.until(row.id, lambda row: tool(row).offered is not None)

    accepted, offered = tool(changed).accepted, tool(changed).offered
    assert accepted is not None
    assert offered is not None
    assert "Add two numbers." == accepted.description
    assert "id_rsa" in offered.description
    assert {} == await desk.tools()
    with pytest.raises(McpServerError):
        await held.call(context(), NUMBERS)
    await desk.accept(changed)
    assert "id_rsa" in (await desk.tools())["hostile__add"].spec.description
    with pytest.raises(McpServerError, match="no longer what the user accepted"):
        await held.call(context(), NUMBERS)


async def test_a_tool_that_changed_between_two_starts_is_not_called(tmp_path: Path) -> None:
    proposal = hostile("changes-between-starts", tmp_path / "seen")
    async with open_desk(paths_in(tmp_path)) as desk:
        await desk.add(proposal)

    async with open_desk(paths_in(tmp_path)) as desk:
        # Offered before its server has said anything: the call finds out.
        held = (await desk.tools())["hostile__add"]
        with pytest.raises(McpServerError):
            await held.call(context(), NUMBERS)

        assert {} == await desk.tools()


async def test_a_tool_that_is_gone_is_not_called(desk: Desk) -> None:
    row = await desk.add(hostile("takes-away"))
    held = (await desk.tools())["hostile__add"]
    await held.call(context(), NUMBERS)

    await desk.until(row.id, lambda row: not tool(row).is_offered)

    assert {} == await desk.tools()
    with pytest.raises(McpServerError):
        await held.call(context(), NUMBERS)


async def test_names_are_such_as_providers_take_and_each_is_there_once(desk: Desk) -> None:
    row = await desk.add(hostile("names"))
    names = list(await desk.tools())

    assert 10 == len(set(names)) == len(row.tools)
    assert [] == [name for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)]
    assert "rm‹U+0000› -rf‹U+000A›‹U+001B›[31m" in [tool.remote_name for tool in row.tools]


async def test_characters_that_nobody_sees_are_shown_to_the_user_and_kept_from_the_model(desk: Desk) -> None:
    row = await desk.add(hostile("hidden"))
    shown = tool(row).accepted
    spec = (await desk.tools())["hostile__add"].spec

    assert shown is not None
    assert "‹U+E0073›‹U+E0065›" in shown.description
    assert "‹U+202E›dda‹U+200B›" in shown.description
    assert "Add.dda" == spec.description


async def test_too_many_tools_and_too_long_ones_are_left_out(desk: Desk) -> None:
    many = await desk.add(hostile("many", name="many"))
    large = await desk.add(hostile("large", name="large"))

    assert session.MOST_TOOLS == len(many.tools)
    assert ["add"] == [tool.remote_name for tool in large.tools]
    assert [line for line in await desk.log(large.id) if "'large' is left out" in line]


async def test_a_list_without_end_is_read_to_an_end(desk: Desk) -> None:
    row = await desk.add(hostile("endless-list"))

    assert ["add"] == [tool.remote_name for tool in row.tools]


async def test_a_flood_of_news_makes_no_flood_of_questions(desk: Desk) -> None:
    row = await desk.add(hostile("news-flood"))
    await desk.call("hostile__add", NUMBERS)

    asked = [line for line in await desk.log(row.id) if '"tools/list"' in line]

    assert 3 >= len(asked)


async def test_that_a_tool_only_reads_is_not_believed_that_it_destroys_is(desk: Desk) -> None:
    await desk.add(hostile("plain", name="plain"))
    await desk.add(hostile("destructive", name="destructive"))
    tools = await desk.tools()

    assert ("ask", "send") == (tools["plain__add"].approval, tools["plain__add"].effect)
    assert ("ask", "write") == (tools["destructive__add"].approval, tools["destructive__add"].effect)


# -- what it asks for ---------------------------------------------------------------------------


async def test_our_model_and_our_folders_are_refused(desk: Desk) -> None:
    await desk.add(hostile("asks-for-more"))

    sampling, roots = json.loads(await desk.call("hostile__add", NUMBERS))

    assert "Sampling not supported" == sampling["message"]
    assert "List roots not supported" == roots["message"]


async def test_a_question_is_waited_for_longer_than_a_call_may_take(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALL_S", 0.2)
    await desk.add(hostile("asks-the-user"))

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        await asyncio.sleep(0.5)  # longer than the call's limit, as the test's name says
        return ElicitationAnswer("accept", {"n": 3})

    answer = json.loads(await desk.call("hostile__add", NUMBERS, elicit))

    assert {"action": "accept", "content": {"n": 3}} == answer


@pytest.mark.parametrize(
    ("address", "is_asked"),
    [
        ("https://example.com/pay?for=me", True),
        ("javascript:alert(1)", False),
        ("file:///etc/passwd", False),
        ("https://exa\u202emple.com/", False),
        ("https://example.com/" + "x" * 3_000, False),
    ],
)
async def test_the_user_is_sent_to_web_pages_only(desk: Desk, address: str, is_asked: bool) -> None:
    asked: list[str] = []
    await desk.add(hostile("asks-the-user", address))

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        asked.append(question.url)
        return ElicitationAnswer("decline")

    answer = json.loads(await desk.call("hostile__add", NUMBERS, elicit))

    assert ([address] if is_asked else []) == asked
    assert ("decline" if is_asked else "cancel") == answer["action"]


async def test_a_stopped_call_takes_its_question_back(desk: Desk) -> None:
    await desk.add(hostile("asks-the-user"))
    is_asked, was_cancelled = asyncio.Event(), asyncio.Event()

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        is_asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            was_cancelled.set()

    call = asyncio.create_task(desk.call("hostile__add", NUMBERS, elicit))
    async with asyncio.timeout(10):
        await is_asked.wait()
        call.cancel()
        await was_cancelled.wait()


async def test_a_question_for_one_of_two_calls_says_so_and_holds_up_both(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through pipes nothing says which call it is for: here the first, whose time must not run out."""
    row = await desk.add(hostile("asks-for-the-first"))
    asked: list[tuple[str, int]] = []

    async def call(name: str) -> str:
        async def elicit(question: Elicitation) -> ElicitationAnswer:
            asked.append((name, question.of_calls))
            await asyncio.sleep(0.5)  # longer than a call may take
            return ElicitationAnswer("accept", {"n": 3})

        return await desk.call("hostile__add", NUMBERS, elicit)

    monkeypatch.setattr(calls, "CALL_S", 0.3)
    first = asyncio.create_task(call("first"))
    await heard(desk, row, "tools/call")
    second = await call("second")

    assert {"action": "accept", "content": {"n": 3}} == json.loads(await first)
    assert "the second" == second
    assert [("second", 2)] == asked


async def test_a_question_moves_to_the_call_that_is_left(desk: Desk) -> None:
    row = await desk.add(hostile("asks-for-the-first", "early"))
    asked: list[tuple[str, int]] = []

    async def call(name: str) -> str:
        async def elicit(question: Elicitation) -> ElicitationAnswer:
            asked.append((name, question.of_calls))
            if question.of_calls > 1:
                await asyncio.get_running_loop().create_future()
            return ElicitationAnswer("accept", {"n": 3})

        return await desk.call("hostile__add", NUMBERS, elicit)

    first = asyncio.create_task(call("first"))
    await heard(desk, row, "tools/call")
    second = await call("second")

    assert {"action": "accept", "content": {"n": 3}} == json.loads(await first)
    assert "the second" == second
    assert [("second", 2), ("first", 1)] == asked


async def test_an_answer_that_does_not_fit_is_no_answer(desk: Desk) -> None:
    await desk.add(hostile("asks-the-user"))

    async def elicit(question: Elicitation) -> ElicitationAnswer:
        content: dict[str, Any] = {"n": {"nested": True}}
        return ElicitationAnswer("accept", content)

    assert "cancel" == json.loads(await desk.call("hostile__add", NUMBERS, elicit))["action"]
