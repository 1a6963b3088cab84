"""Calls go down only: shell, then bridge, then backend. The contracts are in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("shell", "bridge", "backend")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    paths = os.pathsep.join(str(root / layer) for layer in LAYERS)
    env = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def copied_sources(tmp_path: Path) -> Path:
    root = tmp_path / "copy"
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, root / layer, ignore=shutil.ignore_patterns("__pycache__", "web"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_calls_go_down_only() -> None:
    result = lint_imports(ROOT)

    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("layer", "statement"),
    [
        ("backend", "import deskside.bridge"),
        ("backend", "import deskside.shell"),
        ("bridge", "import deskside.shell"),
        ("bridge", "import webview"),
        ("backend", "from PySide6 import QtCore"),
    ],
)
def test_a_call_that_goes_up_is_found(copied_sources: Path, layer: str, statement: str) -> None:
    (copied_sources / layer / "deskside" / layer / "upwards.py").write_text(f"{statement}\n", "utf-8")

    result = lint_imports(copied_sources)

    assert 1 == result.returncode, result.stdout + result.stderr
    assert f"deskside.{layer}.upwards" in result.stdout
