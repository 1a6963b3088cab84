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


# -- two runs -----------------------------------------------------------------------------------


def test_two_runs_stand_side_by_side(terminal: Terminal, provider: ProviderServer) -> None:
    busy = {"error": {"message": "Too busy.", "type": "server_error"}}
    provider.script(error_reply(503, busy))
    left = run_of(terminal, terminal.run("ask", "Say cucumber", "--json").stdout)
    other = terminal.run("ask", "Say tomato", "--model", "openai/gpt-other", "--json")
    right = run_of(terminal, other.stdout)

    compared = terminal.run("trace", str(left), "--compare", str(right))
    told = json.loads(terminal.run("trace", str(left), "--compare", str(right), "--json").stdout)

    lines = compared.stdout.splitlines()
    assert (0, "") == (compared.returncode, compared.stderr)
    assert f"run {left}".ljust(36) + f"run {right}" == lines[0].strip()
    assert "model           openai/gpt-test                     openai/gpt-other" == lines[2]
    assert "model calls     2                                   1 (-1)" == lines[6]
    assert f"0 same (=), 1 changed (~), 1 only in run {left} (<), 0 only in run {right} (>)" in lines
    assert any(line.startswith("< ! model openai/gpt-test (") for line in lines)
    (pair,) = (at for at, line in enumerate(lines) if line.startswith("~"))
    assert "    Model" == lines[pair + 1]
    assert ["      -openai/gpt-test", "      +openai/gpt-other"] == lines[pair + 5 : pair + 7]
    assert any("-Say cucumber" in line for line in lines)
    assert any("+Say tomato" in line for line in lines)
    assert ["only_left", "changed"] == [each["kind"] for each in told["pairs"]]
    assert [left, right] == [told[side]["run_id"] for side in ("left", "right")]


def test_what_cannot_be_compared_says_what_to_give(terminal: Terminal) -> None:
    request = terminal.run("trace", "0123456789ab", "--compare", "1")
    for_telemetry = terminal.run("trace", "1", "--compare", "2", "--otlp")
    missing = terminal.run("trace", "1", "--compare", "2")

    assert [1, 1, 1] == [each.returncode for each in (request, for_telemetry, missing)]
    assert "'0123456789ab' is not the number of a run." in request.stderr
    assert "cannot be printed for OpenTelemetry" in for_telemetry.stderr
    assert "There is no run 1." in missing.stderr
