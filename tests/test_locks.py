"""The locks in build/requirements are whole, and say what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {path.stem: path for path in (ROOT / "build" / "requirements").glob("*.txt")}


def pins(lock: str) -> dict[str, set[str]]:
    """Name to the versions it is pinned to: one, or several where systems or Pythons differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCKS[lock].read_text("utf-8"), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def asked_for() -> list[tuple[str, Requirement]]:
    """Each direct dependency with a lock that must hold it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings: dict[str, Any] = tomllib.load(file)
    groups = settings["dependency-groups"]
    lists = {
        "app": settings["project"]["dependencies"],
        "dev": [*settings["project"]["dependencies"], *settings["project"]["optional-dependencies"]["qt"]],
        "build": groups["build"],
        "node": groups["node"],
        "bench": groups["bench"],
        "package": [line for line in groups["package"] if isinstance(line, str)],
    }
    lists["dev"] += [*groups["build"], *(line for line in groups["dev"] if isinstance(line, str))]
    return [(lock, Requirement(line)) for lock, lines in lists.items() for line in lines]


@pytest.mark.parametrize(("lock", "requirement"), asked_for(), ids=str)
def test_a_dependency_is_locked_at_a_version_that_was_asked_for(lock: str, requirement: Requirement) -> None:
    versions = pins(lock).get(canonicalize_name(requirement.name), set())

    assert any(requirement.specifier.contains(version) for version in versions), (
        f"{lock}.txt does not fit pyproject.toml. Run: python3 build/dev.py lock"
    )


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_every_pin_has_a_hash_and_no_line_names_a_server(lock: str) -> None:
    text = LOCKS[lock].read_text("utf-8")
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]

    assert [] == [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("lock", ["app", "build"])
def test_what_is_shipped_is_what_was_tested(lock: str) -> None:
    tested = pins("dev")

    assert {} == {name: found for name, found in pins(lock).items() if not found <= tested[name]}


def test_an_installer_brings_no_web_engine_of_its_own() -> None:
    assert [] == [name for name in pins("app") if name.startswith(("pyside", "pyqt", "shiboken"))]
