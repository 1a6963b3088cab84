"""The dialog that asks before something is run: only the button that says so, pressed in time, means yes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.errors import Conflict, NeedsWindow
from deskside.shell.desktop import WindowDesktop
from window_engines import environment_with_gi

ROOT = Path(__file__).parents[2]
DEEDS = [("enter", False), ("escape", False), ("close", False), ("hasty", False), ("yes", True)]


def answer(engine: str, deed: str, environ: dict[str, str]) -> dict[str, Any]:
    screen = ["xvfb-run", "-a"] if engine == "gtk" else []
    done = subprocess.run(
        [*screen, sys.executable, str(Path(__file__).with_name("asked.py")), engine, deed],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.window
@pytest.mark.parametrize(("deed", "is_yes"), DEEDS)
def test_only_the_button_says_yes_on_qt(deed: str, is_yes: bool) -> None:
    pytest.importorskip("PySide6.QtWebEngineCore", exc_type=ImportError)
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))

    found = answer("qt", deed, {**os.environ, "PYTHONPATH": roots, "QT_QPA_PLATFORM": "offscreen"})

    assert is_yes == found["answer"]
    assert_all_is_shown(found)


@pytest.mark.window
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="GTK needs a screen: apt install xvfb")
@pytest.mark.parametrize(("deed", "is_yes"), DEEDS)
def test_only_the_button_says_yes_on_gtk(deed: str, is_yes: bool, tmp_path: Path) -> None:
    found = answer("gtk", deed, {**os.environ, **environment_with_gi(tmp_path)})

    assert is_yes == found["answer"]
    assert_all_is_shown(found)


def assert_all_is_shown(found: dict[str, Any]) -> None:
    assert found["text"].startswith('Argument 1: "<i>x</i>"\n')
    assert found["text"].endswith("line 499")
    assert (True, "Run it") == (found["default"], found["label"])


class Asking:
    """An engine that keeps its questions."""

    def __init__(self) -> None:
        self.answered: list[Any] = []

    def confirm(self, window: Any, title: str, text: str, accept_label: str, answered: Any) -> None:
        self.answered.append(answered)


async def test_one_question_at_a_time() -> None:
    import asyncio

    desktop = WindowDesktop()
    engine = Asking()
    desktop.window, desktop.engine = object(), engine  # type: ignore[assignment]
    first = asyncio.create_task(desktop.confirm("1", "", "Yes"))
    await asyncio.sleep(0)

    with pytest.raises(Conflict):
        await desktop.confirm("2", "", "Yes")
    engine.answered[0](True)

    assert await first
    assert 1 == len(engine.answered)


async def test_without_a_window_nobody_is_asked() -> None:
    with pytest.raises(NeedsWindow):
        await WindowDesktop().confirm("1", "", "Yes")
