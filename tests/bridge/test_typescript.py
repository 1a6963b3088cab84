"""The page's client is written from the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deskside.backend.events import AppEvent
from deskside.bridge.commands import COMMANDS
from deskside.bridge.registry import Registry
from deskside.bridge.typescript import TypeScript

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_client_matches_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "build/api.py", "--check"], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_has_a_method_and_its_words() -> None:
    registry = Registry(COMMANDS)
    written = TypeScript(registry, AppEvent).render()

    for name, command in registry.commands.items():
        assert f'"{name}"' in written
        assert command.doc.splitlines()[0] in written


def test_what_has_a_default_is_optional_to_send_and_always_there_to_read() -> None:
    import sample_commands

    written = TypeScript(Registry([sample_commands]), AppEvent).render()

    assert (
        "export interface NumberInput {\n  /** ≥ 0, ≤ 1000000 */\n  value: number;\n  note?: string;\n}"
        in written
    )
    assert (
        "export interface Number {\n  /** ≥ 0, ≤ 1000000 */\n  value: number;\n  note: string;\n}" in written
    )
    assert "AsyncIterable<number>" in written


class Odd(msgspec.Struct, tag="odd"):
    value: complex


def test_what_has_no_typescript_is_named() -> None:
    events: Any = Odd | AppEvent

    with pytest.raises(TypeError, match="complex"):
        TypeScript(Registry([]), events).render()
