"""How the program takes its own place when the user wants it started anew."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deskside.shell import running

PROGRAM = r"C:\Users\Us\AppData\Local\Programs\The Deskside developers\Deskside\Deskside.exe"


def test_on_windows_a_new_process_gets_the_arguments_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft's `exec` would make two of a folder with a blank in its name."""
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", started.append)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it takes arguments apart there"))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", PROGRAM)
    monkeypatch.setattr(sys, "orig_argv", [PROGRAM, "--data-dir", r"D:\my data"])

    with pytest.raises(SystemExit) as ended:
        running._start_again()

    assert ended.value.code is None
    assert [[PROGRAM, "--data-dir", r"D:\my data"]] == started
