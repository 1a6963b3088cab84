"""After sleep: what nobody answers for any more is asked again, what is only silent goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wire

LIMIT_S = 120.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a program a network of its own")
def test_after_sleep_lost_streams_are_tried_again_and_silent_ones_go_on(tmp_path: Path) -> None:
    script = Path(wire.__file__).with_name("waking_world.py")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(script.parent), *filter(None, sys.path)])}
    command = wire.enter(sys.executable, str(script), str(tmp_path))
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    assert "complete" == report["forgotten"]["status"], report["forgotten"]
    assert "The plums are in the icebox." in "".join(part["text"] for part in report["forgotten"]["parts"])
    assert 2 == report["asked"]
    assert "streaming" == report["meanwhile"]
    assert "complete" == report["silent"]["status"], report["silent"]
    assert 1 == report["asked_once"]
    assert 2 == report["connections"]
    [line] = report["log"]
    assert "looking into" in line
