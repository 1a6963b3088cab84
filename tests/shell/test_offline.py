"""With the switch on, no packet leaves: of no process, in no language, whatever is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wire

TESTS = Path(wire.__file__).parent
LIMIT_S = 300


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a program a network of its own")
def test_offline_nothing_leaves_whatever_is_used(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)]),
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "DESKSIDE_UPDATE_URL": "https://updates.example/latest.json",
    }
    command = wire.enter(sys.executable, str(TESTS / "offline_world.py"), str(tmp_path / "data"))
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    offline, online = report["offline"], report["online"]

    assert [] == offline["sent"]
    # The same things with the switch off do leave: what saw nothing above can see.
    assert len(online["sent"]) > 5
    said = offline["said"]
    for model in ("openai/gpt-5", "anthropic/claude-sonnet-4-5"):
        assert "offline" == said[model]["error"]["code"]
    for here in ("local", "device"):
        assert "complete" == said[here]["status"], said[here]
    assert "Deskside is offline" in said["web_fetch https://page.example/"]
    assert "Deskside is offline" in said["web_search tea"]
    assert "Deskside is offline" in said["own tool"]["error"]
    assert "offline" == said["update"]["error"]["code"]
    assert f"cannot reach {wire.BEHIND}" == said[f"program__reach {wire.BEHIND}"]
    assert "ready" == said["mcp"]["program"][0]
    assert "offline" == said["mcp"]["far"][0]
    assert "Deskside is offline" in said["key"]["message"]
    assert "Deskside is offline" in said["report"]


def test_the_option_does_not_pretend_to_hold_for_a_deskside_that_runs_online(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deskside", "--data-dir", str(tmp_path / "data")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = subprocess.Popen([*command, "--serve"], env=environ, stdout=subprocess.PIPE, text=True)
    with running:
        assert running.stdout is not None
        running.stdout.readline()
        refused = subprocess.run(
            [*command, "--offline", "call", "settings.get"], env=environ, capture_output=True, text=True
        )
        switch = ["call", "network.switch", '{"is_offline": true}']
        subprocess.run([*command, *switch], env=environ, capture_output=True, check=True)
        taken = subprocess.run(
            [*command, "--offline", "call", "settings.get"], env=environ, capture_output=True, text=True
        )
        running.terminate()

    assert 1 == refused.returncode
    assert "--offline holds for one that it starts" in refused.stderr
    assert 0 == taken.returncode, taken.stderr
    assert json.loads(taken.stdout)["data"]["is_offline"]
