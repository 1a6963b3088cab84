"""What tests of whole runs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked_runs import Open, opened


@pytest.fixture
def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda *steps: opened(tmp_path / "data", *steps, monkeypatch=monkeypatch)
