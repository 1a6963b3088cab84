"""What `deskside open` makes of its argument before the window gets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deskside.backend.errors import InvalidRequest
from deskside.backend.proposal import LONGEST_LINK
from deskside.shell.open_target import target_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("link", ["deskside://conversation/1", "javascript:alert(1)", "DESKSIDE://agent"])
def test_a_link_is_passed_on_as_it_is(here: Path, link: str) -> None:
    assert link == target_of(link)


def test_of_a_link_that_is_too_long_so_much_is_passed_on_that_it_is_seen(here: Path) -> None:
    assert LONGEST_LINK + 1 == len(target_of("deskside://agent?json=" + "x" * 1_000_000))


def test_bytes_that_are_no_text_are_passed_on_as_what_no_link_holds(here: Path) -> None:
    assert "deskside://conversation/1\ufffd" == target_of("deskside://conversation/1\udcff")


def test_a_path_is_made_whole(here: Path) -> None:
    assert str(here / "a b.json") == target_of("a b.json")
    assert str(here / "b.json") == target_of("sub/../b.json")


@pytest.mark.parametrize("host", ["", "localhost"])
def test_the_address_of_a_file_here_is_its_path(here: Path, host: str) -> None:
    assert "/tmp/my chats.json" == target_of(f"file://{host}/tmp/my%20chats.json")


def test_a_file_whose_name_looks_like_a_link_is_a_file(here: Path) -> None:
    (here / "notes:today").write_text("")

    assert str(here / "notes:today") == target_of("notes:today")


@pytest.mark.parametrize("target", ["file://elsewhere/tmp/a.json", "file://[/a.json", "a\udcff.json"])
def test_what_cannot_be_a_file_here_is_refused(here: Path, target: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        target_of(target)
    assert refused.value.hint
