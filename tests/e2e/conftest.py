"""The program, its window, and the providers' peer on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from playwright.sync_api import Playwright, sync_playwright

from provider_server import ProviderServer
from window_engines import WindowEngine


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Of the module, not the session: its event loop would be in the way of other modules' own."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def keyed(provider: ProviderServer) -> dict[str, str]:
    """An environment with both providers' keys, and their addresses on this machine."""
    return {
        "OPENAI_API_KEY": "sk-test-openai-0000000000001234",
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_API_KEY": "sk-ant-test-00000000000000005678",
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
    }


@pytest.fixture
def desk(playwright: Playwright, engine: WindowEngine, tmp_path: Path) -> Iterator[Desk]:
    """The program, not started yet."""
    desk = Desk(playwright, tmp_path / "desk" / "data", engine)
    desk.data.parent.mkdir()
    try:
        yield desk
    finally:
        if desk.process is not None and desk.process.poll() is None:
            desk.kill()
