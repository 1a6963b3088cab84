"""The command line, as a process: what it prints, what it exits with, and whose backend it uses."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from deskside.backend.errors import NotFound
from deskside.backend.paths import Paths
from deskside.backend.version import VERSION
from deskside.shell.ask import ReplyText, ask
from deskside.shell.instance import claim
from deskside.shell.open_target import target_of
from deskside.shell.paths import web_folder
from provider_server import ProviderServer, Reply, error_reply, recording
from release_server import NEWER, ReleaseServer

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0


@dataclass
class Terminal:
    """A data folder, an environment, and `deskside` to be run in them."""

    data: Path
    environ: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
        return subprocess.Popen(
            [sys.executable, "-m", "deskside", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": roots,
                "DESKSIDE_DATA_DIR": str(self.data),
                # Without a screen nobody has to close a dialog.
                "DISPLAY": "",
                "WAYLAND_DISPLAY": "",
                **self.environ,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, errors = process.communicate(stdin, timeout=LIMIT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def tool_call(name: str, arguments: dict[str, object]) -> Reply:
    """An answer of OpenAI's Responses API that asks for one tool."""
    item = {
        "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name,
        "arguments": json.dumps(arguments), "status": "completed",
    }  # fmt: skip
    events = [
        {"type": "response.output_item.added", "item": {**item, "arguments": "", "status": "in_progress"}},
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 5, "output_tokens": 5}}},
    ]
    return Reply("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode())


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        pytest.fail(process.stderr.read())
    return line


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    return process.returncode


def open_session(boot_url: str) -> tuple[int, str]:
    """Status and cookie that a boot URL gives."""
    address = urlsplit(boot_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=LIMIT_S)
    connection.request("GET", address.path)
    reply = connection.getresponse()
    connection.close()
    return reply.status, reply.headers.get("set-cookie", "")


@pytest.fixture(scope="session", autouse=True)
def _built_page() -> None:
    try:
        web_folder()
    except NotFound as error:
        pytest.fail(f"{error.message} {error.hint}")


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


def provider_environment(provider: ProviderServer) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": provider.openai_url,
        "OPENAI_API_KEY": "sk-not-a-key-of-anyone",
        "DESKSIDE_MODEL": "openai/gpt-test",
    }


@pytest.fixture
def terminal(tmp_path: Path, provider: ProviderServer) -> Terminal:
    return Terminal(tmp_path / "data", provider_environment(provider))


@dataclass
class Served:
    terminal: Terminal
    process: subprocess.Popen[str]
    url: str
    pid: int


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, provider: ProviderServer) -> Iterator[Served]:
    """One Deskside without a window, for all tests that only talk to it."""
    terminal = Terminal(tmp_path_factory.mktemp("served") / "data", provider_environment(provider))
    process = terminal.start("--serve")
    try:
        announced = json.loads(read_line(process))
        yield Served(terminal, process, announced["url"], announced["pid"])
    finally:
        assert 0 == end(process)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["ask", "--help"], ["--port", "1"]])
def test_simple_answers_import_nothing_heavy(arguments: list[str]) -> None:
    script = f"""
import sys
from deskside.shell.cli import main
try:
    main({arguments})
except SystemExit:
    pass
heavy = ("webview", "litestar", "openai", "anthropic", "PySide6", "msgspec", "loguru", "asyncio")
sys.exit(", ".join(name for name in heavy if name in sys.modules) or None)
"""
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert 0 == ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["open", "--", "deskside://--version"],  # as Windows passes a link on
        ["open", "--", "--help"],
        ["deskside://--version"],
        ["Deskside://agent?json=%7B%7D --version"],
        [f"{os.sep}--help"],  # as Windows passes a file on
    ],
)
def test_a_link_or_a_file_is_opened_whatever_it_is_called(tmp_path: Path, arguments: list[str]) -> None:
    opened: list[str] = []
    paths = Paths(tmp_path, tmp_path / "logs", tmp_path / "cache")
    with claim(paths) as instance:
        instance.on_show = lambda: None
        instance.on_open = opened.append
        ended = Terminal(tmp_path).run(*arguments)

    assert 0 == ended.returncode, ended.stderr
    assert [target_of(arguments[-1])] == opened


def test_more_than_a_link_is_refused(tmp_path: Path) -> None:
    ended = Terminal(tmp_path).run("open", "--", "deskside://agent", "--data-dir", "elsewhere")

    assert 2 == ended.returncode
    assert "unrecognized arguments" in ended.stderr


def test_a_terminal_that_lacks_a_character_costs_no_answer(served: Served) -> None:
    terminal = Terminal(served.terminal.data, {"PYTHONIOENCODING": "ascii"})
    ended = terminal.run("call", "diagnostics.echo", json.dumps({"text": "caf\u00e9 \u2260 tea"}))

    assert 0 == ended.returncode, ended.stderr
    assert "caf\u00e9 \u2260 tea" == json.loads(ended.stdout)["data"]["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "1"],
        ["--serve", "--port", "99999"],
        ["--serve", "ask", "x"],
        ["--metrics"],
        ["--nonsense"],
        ["nonsense"],
        ["call"],
        ["call", "conversations.page", "{"],
        ["ask", ""],
        ["ask"],
        ["--log-level", "loud"],
    ],
)
def test_wrong_usage_exits_2_and_says_why(terminal: Terminal, arguments: list[str]) -> None:
    ended = terminal.run(*arguments)

    assert 2 == ended.returncode
    assert "usage:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not terminal.data.exists()


def test_serve_prints_one_line_with_a_url_that_works_once(served: Served) -> None:
    first, cookie = open_session(served.url)

    assert (303, served.process.pid) == (first, served.pid)
    assert "HttpOnly" in cookie
    assert 403 == open_session(served.url)[0]


def test_a_call_prints_the_reply(served: Served) -> None:
    ended = served.terminal.run("call", "diagnostics.echo", '{"text": "héllo"}')

    assert (0, "") == (ended.returncode, ended.stderr)
    reply = json.loads(ended.stdout)
    assert (True, {"text": "héllo"}) == (reply["ok"], reply["data"])
    assert reply["requestId"]


def test_parameters_can_be_piped(served: Served) -> None:
    ended = served.terminal.run("call", "diagnostics.echo", "-", stdin='{"text": "piped"}')

    assert {"text": "piped"} == json.loads(ended.stdout)["data"]


def test_a_call_that_fails_prints_the_reply_and_exits_1(served: Served) -> None:
    ended = served.terminal.run("call", "no.such")

    assert 1 == ended.returncode
    assert "not_found" == json.loads(ended.stdout)["error"]["code"]


def test_a_second_serve_gives_a_url_of_the_first_and_ends_with_a_signal(served: Served) -> None:
    second = served.terminal.start("--serve")
    try:
        announced = json.loads(read_line(second))
    finally:
        code = end(second, signal.SIGINT)

    assert (served.pid, 303, 0) == (announced["pid"], open_session(announced["url"])[0], code)
    assert served.process.poll() is None


def test_prometheus_gets_metrics_with_the_token_in_the_file_that_serve_names(terminal: Terminal) -> None:
    tokens = set()
    for _ in range(2):
        process = terminal.start("--serve", "--metrics")
        try:
            announced = json.loads(read_line(process))
            token = Path(announced["metrics_token_file"]).read_text()
            asked = Request(announced["metrics_url"], headers={"Authorization": f"Bearer {token}"})
            with build_opener(ProxyHandler({})).open(asked, timeout=LIMIT_S) as answer:
                text = answer.read().decode()
        finally:
            assert 0 == end(process)
        tokens.add(token)

    assert 1 == len(tokens)
    assert f'deskside_build_info{{version="{VERSION}"}} 1' in text.splitlines()


def test_metrics_beside_a_deskside_that_runs_are_said_to_be_impossible(served: Served) -> None:
    ended = served.terminal.run("--serve", "--metrics")

    assert (1, "") == (ended.returncode, ended.stdout)
    assert f"process {served.pid}" in ended.stderr
    assert "--metrics has no effect" in ended.stderr


def test_a_window_is_not_opened_beside_a_deskside_without_one(served: Served) -> None:
    ended = served.terminal.run()

    assert 1 == ended.returncode
    assert str(served.pid) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_answer_is_printed(served: Served, provider: ProviderServer) -> None:
    ended = served.terminal.run("ask", "Say cucumber")

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "cucumber" in ended.stdout
    assert ended.stdout.endswith("\n")


def test_a_question_can_be_piped_and_the_answer_be_json(served: Served) -> None:
    ended = served.terminal.run("ask", "--json", stdin="Say aubergine\n")

    reply = json.loads(ended.stdout)
    assert (0, "complete") == (ended.returncode, reply["status"])
    assert "aubergine" in reply["text"]
    page = json.loads(
        served.terminal.run(
            "call", "messages.page", json.dumps({"conversation_id": reply["conversation_id"]})
        ).stdout
    )
    assert ["user", "assistant"] == [message["role"] for message in page["data"]["messages"]]


def test_a_model_can_be_chosen(served: Served, provider: ProviderServer) -> None:
    served.terminal.run("ask", "hello", "--model", "openai/gpt-other")

    assert "gpt-other" == provider.requests[-1].json["model"]


def test_a_refused_question_exits_1_with_one_sentence(served: Served, provider: ProviderServer) -> None:
    provider.script(error_reply(401, {"error": {"message": "no", "code": "invalid_api_key"}}))

    ended = served.terminal.run("ask", "hello")

    assert (1, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("deskside: ")
    assert 1 == ended.stderr.count("\n")
    assert "Traceback" not in ended.stderr


def test_an_answer_that_broke_off_is_asked_for_again(served: Served, provider: ProviderServer) -> None:
    provider.script(recording("responses_cut_off"))

    ended = served.terminal.run("ask", "hello")

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "The answer is\n\nYou said: hello \n" == ended.stdout


def test_what_was_said_before_a_failure_is_printed(served: Served, provider: ProviderServer) -> None:
    provider.script(recording("responses_cut_off"), error_reply(401, {"error": {"message": "no"}}))

    ended = served.terminal.run("ask", "hello")

    assert 1 == ended.returncode
    assert ended.stdout.startswith("The answer is")


def test_a_tool_that_asks_is_refused_where_nobody_sits(served: Served, provider: ProviderServer) -> None:
    provider.script(tool_call("run_python", {"code": "1"}))

    ended = served.terminal.run("ask", "hello")

    assert 0 == ended.returncode
    assert "whether run_python may run" in ended.stderr
    assert "You said" in ended.stdout
    results = [item for item in provider.requests[-1].json["input"] if "output" in item]
    assert "Nobody can be asked" in results[0]["output"]


def test_what_was_asked_while_no_event_came_through_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []
    row: dict[str, Any] = {
        "id": 2, "conversation_id": 1, "status": "streaming", "error": None, "model": "m", "usage": None,
        "parts": [{"kind": "tool_call", "status": "running", "is_agent": True, "output": None}],
    }  # fmt: skip
    pause = {"kind": "pause", "status": "waiting", "text": "It costs much."}
    ended = {"type": "message_changed", "message": row | {"status": "complete", "parts": []}}

    class Window:
        def call(self, name: str, params: Any) -> Any:
            calls.append((name, params))
            return {
                "runs.start": {"reply": row},
                "messages.page": {"messages": [row]},
                "messages.delegated": [row | {"id": 3, "parts": [pause]}],
            }.get(name)

        def socket(self) -> Any:
            frames = iter([{"t": "hello"}, {"t": "events", "events": [ended]}])
            return nullcontext(SimpleNamespace(recv=lambda: json.dumps(next(frames))))

    monkeypatch.setattr("sys.stdin", None)
    ask(cast(Any, Window()), "hello", None, False, io.StringIO())

    assert ("runs.decide_pause", {"message_id": 3, "position": 0, "go_on": False}) == calls[-1]


def test_an_unknown_agent_is_refused(served: Served) -> None:
    ended = served.terminal.run("ask", "hello", "--agent", "butler")

    assert (1, "") == (ended.returncode, ended.stdout)
    assert "'butler'" in ended.stderr


def test_questions_asked_at_once_without_a_running_deskside_are_all_answered(terminal: Terminal) -> None:
    processes = [terminal.start("ask", f"Say word{n}") for n in range(3)]
    answers = [process.communicate(timeout=LIMIT_S) for process in processes]

    assert ([0, 0, 0], ["", "", ""]) == (
        [process.returncode for process in processes],
        [errors for _, errors in answers],
    )
    assert all(f"word{n}" in out for n, (out, _) in enumerate(answers))


def test_a_killed_deskside_does_not_keep_the_next_one_from_starting(terminal: Terminal) -> None:
    process = terminal.start("--serve")
    read_line(process)
    process.kill()
    process.communicate(timeout=LIMIT_S)

    assert 0 == terminal.run("call", "diagnostics.echo", "{}").returncode


def test_a_port_that_is_taken_is_said_so(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = terminal.run("--serve", "--port", port)

    assert (1, "") == (ended.returncode, ended.stdout)
    assert f"Port {port} is in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_data_folder_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ended = Terminal(tmp_path / "file").run("call", "app.state")

    assert 1 == ended.returncode
    assert ended.stderr.startswith("deskside: The data folder")
    assert "--data-dir" in ended.stderr


def test_the_doctor_looks_at_everything(served: Served) -> None:
    ended = served.terminal.run("doctor", "--json")

    report = json.loads(ended.stdout)
    names = [check["name"] for check in report["checks"]]
    assert ["data folder", "log", "disk", "web engine", "store", "keychain", "model", "sandbox"] == names[:8]
    assert ["crashes", "errors", "keys", "version"] == names[8:]
    assert all(check["advice"] for check in report["checks"] if not check["ok"])
    assert report["healthy"] == all(check["ok"] for check in report["checks"])
    assert (0 if report["healthy"] else 1) == ended.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_the_doctor_sees_a_folder_that_others_can_read(served: Served) -> None:
    served.terminal.data.chmod(0o755)
    try:
        ended = served.terminal.run("doctor")
    finally:
        served.terminal.data.chmod(0o700)

    assert 1 == ended.returncode
    assert "problem  data folder" in ended.stdout
    assert "chmod 700" in ended.stdout


def test_the_doctor_tells_of_a_key_that_lies_in_a_file_and_of_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-planted-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    (tmp_path / "logs").mkdir(parents=True)
    (tmp_path / "crashes").mkdir()
    (tmp_path / "logs" / "combined.2026-01-01_00-00-00_000000.log").write_text(f"an old line with {key}")
    (tmp_path / "crashes" / "python-1.txt").write_text(" " * 400 + "Fatal Python error: Segmentation fault")

    ended = Terminal(tmp_path).run("doctor")

    assert 1 == ended.returncode
    assert "problem  crashes       Python itself crashed: Segmentation fault." in ended.stdout
    assert "problem  keys          The key 'OpenAI' is in" in ended.stdout
    assert "at byte 17." in ended.stdout
    assert "revoke" in ended.stdout
    assert key not in ended.stdout + ended.stderr


def test_the_doctor_tells_of_a_newer_version_that_was_found_and_reaches_nobody(tmp_path: Path) -> None:
    with ReleaseServer() as server:
        server.say(NEWER)
        terminal = Terminal(tmp_path, server.environ)
        unasked = terminal.run("doctor")
        asked = len(server.requests)
        terminal.run("call", "updates.look")
        told = terminal.run("doctor")

    assert f"ok       version       This is Deskside {VERSION}. It has not looked" in unasked.stdout
    assert 0 == asked
    assert (
        f"note     version       This is Deskside {VERSION}. {NEWER} of 2026-12-01 is available."
        in told.stdout
    )
    assert "get it: https://deskside.example/" in told.stdout


def test_text_that_comes_twice_or_late_is_printed_once() -> None:
    reply = ReplyText()

    printed = reply.append(0, 0, "one ") + reply.append(0, 0, "one ") + reply.append(0, 2, "e two 🙂")
    printed += reply.append(0, 50, "lost") + reply.append(2, 0, "next")
    printed += reply.finish(
        [
            {"kind": "text", "text": "one two 🙂"},
            {"kind": "tool_call"},
            {"kind": "text", "text": "next time"},
        ]
    )

    assert "one two 🙂\n\nnext time" == printed == reply.text
