"""A few rounds of build/bench/torture.py; the command runs 200."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TORTURE = Path(__file__).resolve().parents[2] / "build" / "bench" / "torture.py"


def test_a_program_that_is_killed_while_everything_happens_loses_nothing_it_has_acknowledged() -> None:
    done = subprocess.run(
        [sys.executable, str(TORTURE), "--kills", "5", "--seed", "11"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    acknowledged = int(done.stdout.splitlines()[-1].split()[0])
    assert acknowledged > 0
