"""Where Deskside keeps its things."""

from __future__ import annotations

from pathlib import Path

import pytest

from deskside.backend.errors import NotFound
from deskside.shell import paths as module
from deskside.shell.paths import find_paths, web_folder


def test_a_chosen_folder_holds_everything(tmp_path: Path) -> None:
    paths = find_paths(str(tmp_path / "here"), {})

    assert (tmp_path / "here", tmp_path / "here" / "logs", tmp_path / "here" / "cache") == (
        paths.data,
        paths.logs,
        paths.cache,
    )


def test_the_option_comes_before_the_variable(tmp_path: Path) -> None:
    environ = {"DESKSIDE_DATA_DIR": str(tmp_path / "variable")}

    assert tmp_path / "variable" == find_paths(None, environ).data
    assert tmp_path / "option" == find_paths(str(tmp_path / "option"), environ).data


def test_a_relative_folder_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "data" == find_paths("data", {}).data


def test_the_tilde_is_the_users_home(home: Path) -> None:
    assert home / "desk" == find_paths("~/desk", {}).data


def test_an_empty_variable_means_the_platforms_folders(home: Path) -> None:
    paths = find_paths(None, {"DESKSIDE_DATA_DIR": ""})

    assert 3 == len({paths.data, paths.logs, paths.cache})
    assert all(home in folder.parents for folder in (paths.data, paths.logs, paths.cache))
    assert all("deskside" in str(folder) for folder in (paths.data, paths.logs, paths.cache))


def test_finding_the_folders_makes_none(tmp_path: Path) -> None:
    find_paths(str(tmp_path / "here"), {})

    assert not (tmp_path / "here").exists()


def test_a_page_that_was_never_built_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HERE", tmp_path / "shell" / "deskside" / "shell")

    with pytest.raises(NotFound) as raised:
        web_folder()
    assert "build/frontend.py" in raised.value.hint


def test_the_checkouts_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HERE", tmp_path / "shell" / "deskside" / "shell")
    built = tmp_path / "frontend" / "dist"
    built.mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html>")

    assert built == web_folder()
