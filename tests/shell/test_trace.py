"""`deskside trace` and `deskside replay`, as processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli import Terminal, provider_environment

from provider_server import ProviderServer, error_reply


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def terminal(tmp_path: Path, provider: ProviderServer) -> Terminal:
    return Terminal(tmp_path / "data", provider_environment(provider))


def run_of(terminal: Terminal, answered: str) -> int:
    """The run of the answer that `ask --json` has printed."""
    asked = json.loads(answered)
    params = json.dumps({"conversation_id": asked["conversation_id"]})
    page: dict[str, Any] = json.loads(terminal.run("call", "messages.page", params).stdout)
    return int(page["data"]["messages"][-1]["run_id"])


def test_a_run_is_told_by_its_number_and_by_its_request(terminal: Terminal, provider: ProviderServer) -> None:
    run_id = run_of(terminal, terminal.run("ask", "Say cucumber", "--json").stdout)

    by_run = terminal.run("trace", str(run_id))
    request_id = by_run.stdout.split()[1]
    by_request = terminal.run("trace", request_id)

    lines = by_run.stdout.splitlines()
    assert (0, "") == (by_run.returncode, by_run.stderr)
    assert f"Run {run_id}: complete, openai/gpt-test, asked for by runs.start" in lines[2]
    assert any("agent   assistant" in line for line in lines)
    assert any("model   openai/gpt-test  [first word after" in line for line in lines)
    log = lines[lines.index("Log") + 1 :]
    assert any(
        re.match(rf"  \d\d:\d\d:\d\d  INFO    run {run_id} started: .*\(\S+runs:\d+\)$", line) for line in log
    )
    assert lines[:9] == by_request.stdout.splitlines()[:9]


def test_a_trace_can_be_json_and_opentelemetry(terminal: Terminal, provider: ProviderServer) -> None:
    run_id = run_of(terminal, terminal.run("ask", "Say cucumber", "--json").stdout)

    told = json.loads(terminal.run("trace", str(run_id), "--json").stdout)
    otlp = json.loads(terminal.run("trace", str(run_id), "--otlp").stdout)

    spans = otlp["resourceSpans"][0]["scopeSpans"][0]["spans"]
    story = told["runs"][0]["story"]
    assert [span["id"] for span in story["spans"]] == [span["spanId"] for span in spans]
    assert {story["trace_id"]} == {span["traceId"] for span in spans}


def test_a_failure_can_be_traced_by_what_its_error_shows(
    terminal: Terminal, provider: ProviderServer
) -> None:
    provider.script(error_reply(401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    terminal.run("ask", "hello")

    told = terminal.run("trace", "1").stdout

    assert "Run 1: failed, openai/gpt-test" in told
    assert "bad_key" in told


def test_what_is_not_known_says_what_to_give(terminal: Terminal) -> None:
    ended = terminal.run("trace", "0123456789ab")

    assert (1, "") == (ended.returncode, ended.stdout)
    assert (
        "deskside: Nothing is known of '0123456789ab'. Give a request id, as an error shows it, or the "
        "number of a run.\n" == ended.stderr
    )


# -- replay -------------------------------------------------------------------------------------


def test_a_saved_run_is_a_test_case(terminal: Terminal, provider: ProviderServer, tmp_path: Path) -> None:
    run_id = run_of(terminal, terminal.run("ask", "Say cucumber", "--json").stdout)
    case = tmp_path / "case.json"
    asked = len(provider.requests)

    saved = terminal.run("replay", str(run_id), "--save", str(case))
    same = terminal.run("replay", str(case), "--check")
    changed = case.read_text("utf-8").replace("You are a helpful assistant", "You are a rude assistant")
    case.write_text(changed, "utf-8")
    other = terminal.run("replay", str(case), "--check")
    as_json = json.loads(terminal.run("replay", str(case), "--json").stdout)

    assert (0, f"Run {run_id} is identical: 1 request and " in saved.stdout) == (saved.returncode, True)
    assert (0, saved.stdout) == (same.returncode, same.stdout)
    assert 1 == other.returncode
    assert "The model is asked with other instructions." in other.stdout
    assert "    -You are a rude assistant" in other.stdout
    assert "    +You are a helpful assistant" in other.stdout
    assert (False, 1) == (as_json["is_identical"], len(as_json["differences"]))
    assert asked == len(provider.requests), "no model is asked"


def test_what_cannot_be_replayed_says_why(terminal: Terminal, tmp_path: Path) -> None:
    none = terminal.run("replay", "77")
    missing = terminal.run("replay", str(tmp_path / "none.json"), "--check")

    assert (1, "") == (none.returncode, none.stdout)
    assert "There is no run 77." in none.stderr
    assert 1 == missing.returncode
    assert "cannot be read" in missing.stderr
