"""What a reader or the page is promised to know about: commands, events, errors, options."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from deskside.backend import errors
from deskside.backend.errors import AppError
from deskside.backend.events import AppEvent
from deskside.bridge.commands import COMMANDS
from deskside.bridge.registry import Registry

ROOT = Path(__file__).parent.parent
ROOTS = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
README = (ROOT / "README.md").read_text("utf-8")
WRITTEN = README + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PAGE = "\n".join(
    file.read_text("utf-8")
    for file in (ROOT / "frontend" / "src").rglob("*.ts*")
    if file.name != "api.gen.ts" and ".test." not in file.name
)
VARIABLES = (
    "DESKSIDE_DATA_DIR",
    "DESKSIDE_MODEL",
    "DESKSIDE_UPDATE_URL",
    "DESKSIDE_UPDATE_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
)


def all_errors(kind: type[AppError] = AppError) -> list[type[AppError]]:
    """Those of errors.py: a module may refine one for its own use."""
    found = [kind] if kind.__module__ == errors.__name__ and kind is not AppError else []
    return found + [each for below in kind.__subclasses__() for each in all_errors(below)]


@pytest.mark.parametrize("command", Registry(COMMANDS).commands.values(), ids=lambda command: command.name)
def test_a_command_says_in_a_sentence_what_it_does(command: object) -> None:
    first_line = getattr(command, "doc", "").splitlines()[0]

    assert first_line[0].isupper()
    assert "." in getattr(command, "doc", "")


@pytest.mark.parametrize("kind", [event.__struct_config__.tag for event in get_args(AppEvent)])
def test_the_page_knows_what_to_do_with_every_event(kind: str) -> None:
    assert f'"{kind}"' in PAGE


def test_every_error_has_a_code_of_its_own_and_stands_in_the_tree() -> None:
    # To a script a request that cannot be read is as invalid as one that cannot be.
    codes = [error.code for error in all_errors() if error is not errors.MalformedRequest]

    assert sorted(set(codes)) == sorted(codes)
    assert errors.InvalidRequest.code == errors.MalformedRequest.code
    assert [] == [error.__name__ for error in all_errors() if f"─ {error.__name__} " not in errors.__doc__]


def options() -> set[str]:
    """All options of the command line, as its own help lists them."""
    texts = [
        subprocess.run(
            [sys.executable, "-m", "deskside", *command, "--help"],
            env={**os.environ, "PYTHONPATH": ROOTS},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for command in ([], ["ask"], ["call"], ["doctor"], ["grant"], ["mcp", "add"], ["export"], ["import"])
    ]
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(texts))) - {"--help"}


def test_every_option_and_variable_is_written_down() -> None:
    assert [] == [name for name in sorted(options() | set(VARIABLES)) if name not in WRITTEN]
