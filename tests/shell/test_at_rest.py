"""What lets a window at rest be at rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deskside.shell.graphics import has_gpu
from window_engines import environment_with_gi

ROOT = Path(__file__).parents[2]
LONGEST_MS = 2**31 - 1
LOADED = "import os; from deskside.shell.engine import load_engine; load_engine(os.environ); "
ON_QT = LOADED + "from PySide6.QtWidgets import QApplication; print(QApplication.cursorFlashTime())"
ON_GTK = LOADED + (
    "from gi.repository import Gtk; found = Gtk.Settings.get_default().props; "
    "print(found.gtk_cursor_blink, found.gtk_cursor_blink_time)"
)


def printed(script: str, environ: dict[str, str], *screen: str) -> str:
    command = [*screen, sys.executable, "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.window
def test_the_caret_is_steady_on_qt() -> None:
    pytest.importorskip("PySide6.QtWebEngineCore", exc_type=ImportError)
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    environ = {**os.environ, "PYTHONPATH": roots, "QT_QPA_PLATFORM": "offscreen", "DESKSIDE_WINDOW": "qt"}
    environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")

    assert "0" == printed(ON_QT, environ)


@pytest.mark.window
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="GTK needs a screen: apt install xvfb")
def test_the_caret_is_steady_on_gtk(tmp_path: Path) -> None:
    environ = {**os.environ, **environment_with_gi(tmp_path)}

    # Not off: WebKitGTK 2.50 then draws 60 times a second.
    assert f"True {LONGEST_MS}" == printed(ON_GTK, environ, "xvfb-run", "-a")


@pytest.mark.parametrize(
    ("device", "is_gpu"),
    [
        ("dri/renderD128", True),
        ("dri/renderD129", True),
        ("nvidiactl", True),
        ("dxg", True),
        ("dri/card0", False),  # shows a picture, but draws none
        ("null", False),
    ],
)
def test_a_graphics_processor_is_found_by_its_device(tmp_path: Path, device: str, is_gpu: bool) -> None:
    (tmp_path / device).parent.mkdir(exist_ok=True)
    (tmp_path / device).touch()

    assert is_gpu is has_gpu(tmp_path)
