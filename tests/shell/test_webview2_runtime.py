"""Is WebView2 there? Asked of a registry that the test fills: its own module is on Windows alone."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

import pytest

from deskside.backend.errors import NotFound
from deskside.shell.hardening_webview2 import prepare
from deskside.shell.webview2_runtime import EVERGREEN, require_runtime, runtime_version

CLIENT = r"Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"
FOR_ALL = rf"machine\SOFTWARE\WOW6432Node\{CLIENT}"
FOR_ALL_ON_32_BIT = rf"machine\SOFTWARE\{CLIENT}"
FOR_ME = rf"user\Software\{CLIENT}"


class Registry:
    """Keys by their path, with the value `pv`; None is a key without it."""

    HKEY_LOCAL_MACHINE = "machine"
    HKEY_CURRENT_USER = "user"

    def __init__(self, **keys: str | int | None) -> None:
        self._keys: dict[str, str | int | None] = keys

    def OpenKey(self, root: str, path: str) -> AbstractContextManager[str]:
        if rf"{root}\{path}" not in self._keys:
            raise FileNotFoundError
        return nullcontext(rf"{root}\{path}")

    def QueryValueEx(self, key: str, name: str) -> tuple[str | int, int]:
        value = self._keys[key]
        if name != "pv" or value is None:
            raise FileNotFoundError
        return value, 1


@pytest.mark.parametrize("place", [FOR_ALL, FOR_ALL_ON_32_BIT, FOR_ME])
def test_a_runtime_is_found_wherever_it_was_installed(place: str) -> None:
    registry = Registry(**{place: "142.0.3595.53"})

    require_runtime(registry)
    assert "142.0.3595.53" == runtime_version(registry)


@pytest.mark.parametrize(
    "keys", [{}, {FOR_ALL: None}, {FOR_ALL: ""}, {FOR_ALL: "0.0.0.0", FOR_ME: "0.0.0.0"}, {FOR_ME: 1}]
)
def test_without_one_the_window_says_where_to_get_it_before_anything_is_loaded(
    keys: dict[str, str | int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "winreg", Registry(**keys))  # type: ignore[arg-type]

    with pytest.raises(NotFound, match="WebView2 runtime") as raised:
        prepare({})

    assert EVERGREEN in raised.value.hint


def test_one_for_this_user_counts_where_another_was_taken_away() -> None:
    assert "142.0.3595.53" == runtime_version(Registry(**{FOR_ALL: "0.0.0.0", FOR_ME: "142.0.3595.53"}))
