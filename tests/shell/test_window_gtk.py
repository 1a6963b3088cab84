"""The real window on the system's WebKitGTK. It cannot be driven, so the page itself tries to break out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from test_window import START_LIMIT_S, wait_until

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(sys.platform != "linux", reason="WebKitGTK is for Linux"),
    pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="GTK needs a screen: apt install xvfb"),
]

ROOT = Path(__file__).parents[2]
SYSTEM_GI = Path("/usr/lib/python3/dist-packages/gi")


@dataclass
class Attacked:
    """What the page reported after all it tried, the log, and the window's process."""

    report: dict[str, object]
    log: Path
    process: psutil.Process
    data: Path


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    tmp = tmp_path_factory.mktemp("gtk")
    environ = environment_with_gi(tmp)
    log = tmp / "log"
    with log.open("w") as stderr:
        screen = subprocess.Popen(
            ["xvfb-run", "-a", sys.executable, str(Path(__file__).with_name("stand_in.py")), tmp, "attack"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert screen.stdout is not None
        screen.stdout.readline()
        report = screen.stdout.readline()
        assert report, log.read_text()
        (window,) = [
            child
            for child in psutil.Process(screen.pid).children(recursive=True)
            if any(part.endswith("stand_in.py") for part in child.cmdline())
        ]
        yield Attacked(json.loads(report), log, window, tmp)
        if window.is_running():
            window.terminate()
    finally:
        try:
            screen.communicate(timeout=START_LIMIT_S)
        finally:
            screen.kill()


def renderers(attacked: Attacked) -> list[psutil.Process]:
    return [child for child in attacked.process.children() if "WebKitWebPro" in child.name()]


def environment_with_gi(tmp: Path) -> dict[str, str]:
    """python3-gi belongs to the system's Python; a virtual environment of the same version can use it."""
    if SYSTEM_GI.is_dir():
        (tmp / "gi").symlink_to(SYSTEM_GI)
    roots = [str(ROOT / root) for root in ("shell", "bridge", "backend")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, str(tmp)]), "DESKSIDE_WINDOW": "gtk"}
    environ.pop("QT_QPA_PLATFORM", None)
    script = "import gi; gi.require_version('WebKit2', '4.1'); from gi.repository import WebKit2"
    tried = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, timeout=60, check=False
    )
    if tried.returncode != 0:
        pytest.skip("this Python has no WebKitGTK: apt install python3-gi gir1.2-webkit2-4.1")
    return environ


@pytest.mark.parametrize(
    "line",
    [
        "blocked a navigation to https://example.com\n",
        "blocked a navigation to http://127.0.0.1\n",
        "blocked a navigation to https://example.edu\n",
    ],
)
def test_the_page_and_its_frames_cannot_go_elsewhere(attacked: Attacked, line: str) -> None:
    assert line in attacked.log.read_text()
    assert "/attack" == attacked.report["place"]


def test_a_window_is_not_opened(attacked: Attacked) -> None:
    assert 1 == len(renderers(attacked))
    assert "example.org" not in attacked.log.read_text().replace("a window for https://example.org", "")


def test_permissions_are_denied(attacked: Attacked) -> None:
    assert attacked.report["media"] not in ("granted", None)
    assert "denied" == attacked.report["notification"]


def test_a_download_does_not_begin(attacked: Attacked) -> None:
    assert not list(attacked.data.rglob("file.bin*"))


def test_the_page_gets_nothing_from_pywebview(attacked: Attacked) -> None:
    report = attacked.report

    assert ("undefined", "undefined", 0) == (report["pywebview"], report["bridge"], report["styles"])


def test_the_page_comes_back_and_a_signal_closes_the_window(attacked: Attacked) -> None:
    (renderer,) = renderers(attacked)
    renderer.kill()
    wait_until(lambda: "the page's process died" in attacked.log.read_text(), "the death in the log")
    wait_until(lambda: renderer not in (renderers(attacked) or [renderer]), "a new renderer")

    attacked.process.send_signal(signal.SIGTERM)
    attacked.process.wait(START_LIMIT_S)
    assert json.loads((attacked.data / "window.json").read_text())["width"] >= 480
