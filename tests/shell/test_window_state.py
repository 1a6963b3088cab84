"""Where the window is put, what colour it has, and what it may show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deskside.shell.page_lock import PageLock, describe
from deskside.shell.recovery import Recovery
from deskside.shell.window_state import (
    DARK,
    LIGHT,
    Area,
    WindowState,
    background,
    fit_to_screens,
    load_state,
    save_state,
)

SCREENS = [Area(0, 0, 1920, 1080), Area(1920, 0, 1280, 1024)]


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = WindowState(900, 700, -5, 30, True, "dark")
    save_state(tmp_path / "window.json", state)

    assert state == load_state(tmp_path / "window.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"width": "wide"}', b'{"theme": "pink"}', b"\xff"])
def test_a_file_that_cannot_be_read_means_the_default(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "window.json").write_bytes(content)

    assert WindowState() == load_state(tmp_path / "window.json")


def test_a_folder_that_is_gone_does_not_keep_the_window_from_closing(tmp_path: Path) -> None:
    save_state(tmp_path / "gone" / "window.json", WindowState())

    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1900, 200), (3000, 900), (-900, 0)])
def test_a_window_that_can_be_grabbed_stays_where_it_was(x: int, y: int) -> None:
    state = WindowState(1100, 700, x, y)

    assert state == fit_to_screens(state, SCREENS)


@pytest.mark.parametrize(("x", "y"), [(5000, 0), (0, 1075), (0, -40), (-1050, 0), (None, None), (10, None)])
def test_a_window_that_is_nowhere_is_placed_by_the_system(x: int | None, y: int | None) -> None:
    placed = fit_to_screens(WindowState(1100, 700, x, y), SCREENS)

    assert (None, None) == (placed.x, placed.y)


def test_a_window_is_no_larger_than_a_screen_and_no_smaller_than_useful() -> None:
    large = fit_to_screens(WindowState(9000, 9000), SCREENS)
    small = fit_to_screens(WindowState(1, 1), SCREENS)

    assert (1920, 1080) == (large.width, large.height)
    assert (480, 400) == (small.width, small.height)


@pytest.mark.parametrize(
    ("theme", "system_is_dark", "colour"),
    [
        ("dark", False, DARK),
        ("light", True, LIGHT),
        ("system", True, DARK),
        ("system", False, LIGHT),
    ],
)
def test_the_window_begins_in_the_pages_colour(theme: str, system_is_dark: bool, colour: str) -> None:
    assert colour == background(WindowState(theme=theme), system_is_dark)


def unlocked() -> PageLock:
    lock = PageLock()
    lock.unlock("http://127.0.0.1:4321", lambda: "http://127.0.0.1:4321/__boot/token")
    return lock


def test_nothing_may_be_shown_before_the_page_is_known() -> None:
    lock = PageLock()

    assert not lock.may_show("http://127.0.0.1:4321/")
    assert not lock.may_show("http:///")
    assert not lock.may_show("")
    with pytest.raises(RuntimeError):
        lock.fresh_url()


def test_the_page_may_be_shown() -> None:
    assert unlocked().may_show("http://127.0.0.1:4321/")
    assert unlocked().may_show("http://127.0.0.1:4321/__boot/token")
    assert unlocked().fresh_url().endswith("/__boot/token")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4322/",
        "http://127.0.0.1/",
        "https://127.0.0.1:4321/",
        "http://localhost:4321/",
        "http://127.0.0.1:4321@example.com/",
        "http://user@127.0.0.1:4321/",
        "http://127.0.0.1:4321.example.com/",
        "ws://127.0.0.1:4321/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "blob:http://127.0.0.1:4321/1",
        "about:blank",
        "http://[",
        "",
    ],
)
def test_nothing_else_may_be_shown(url: str) -> None:
    assert not unlocked().may_show(url)


def test_the_page_may_load_its_own_parts_only() -> None:
    lock = unlocked()

    assert lock.may_request("http://127.0.0.1:4321/assets/index.js")
    assert lock.may_request("ws://127.0.0.1:4321/bridge")
    assert lock.may_request("data:image/png;base64,AA==")
    assert lock.may_request("blob:http://127.0.0.1:4321/1")
    assert not lock.may_request("https://example.com/x.js")
    assert not lock.may_request("wss://127.0.0.1:4321/bridge")
    assert not lock.may_request("file:///etc/passwd")
    assert not lock.may_request("http://[")


def test_the_log_never_gets_what_an_address_holds() -> None:
    assert "https://example.com" == describe("https://user:word@example.com:8443/path?q=secret#x")
    assert "data:" == describe("data:text/html,secret")


def test_a_page_that_keeps_dying_is_given_up() -> None:
    recovery = Recovery()

    assert [0.0, 0.5, 2.0, None] == [recovery.next_wait_s(now) for now in (0.0, 1.0, 2.0, 3.0)]


def test_old_deaths_are_forgotten() -> None:
    recovery = Recovery()
    for now in (0.0, 1.0, 2.0):
        recovery.next_wait_s(now)

    assert 0.0 == recovery.next_wait_s(62.1)


def test_the_user_can_ask_for_another_try() -> None:
    recovery = Recovery()
    for now in (0.0, 1.0, 2.0, 3.0):
        recovery.next_wait_s(now)
    recovery.forget()

    assert 0.0 == recovery.next_wait_s(4.0)


def test_the_colours_are_those_of_the_page() -> None:
    tokens = Path(__file__).parents[2] / "frontend" / "src" / "styles" / "tokens.css"

    assert {LIGHT, DARK} == set(re.findall(r"--surface: (#\w+);", tokens.read_text()))
