"""Every test gets a home, a data folder and an environment of its own, and no way to the internet.

The session gets a home first, so that fixtures wider than a function (a program shared by a file of
tests) do not see the developer's either.

What the guard cannot see: sockets of child processes, and those that uvloop opens in C. Children get the
home and the environment, which hold no address and no key to use.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from deskside.backend import redaction
from deskside.backend.redaction import Redactor
from deskside.bridge.registry import Registry

if TYPE_CHECKING:
    from window_engines import WindowEngine

ENGINES = ("qt", "gtk")
# What would show a test the developer's keys, servers, settings or keychain.
PRIVATE = ("OPENAI_", "ANTHROPIC_", "DESKSIDE_", "DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND")
# What would lead a test through the developer's proxy, or have it trust whom they trust.
NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Where build/dev.py put the on-device model: the checkout's, not the developer's.
SHARED = {"DESKSIDE_BUNDLED_MODELS"}

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("deskside", deadline=None)
hypothesis.settings.load_profile("deskside")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine", choices=ENGINES, help="the window's web engine (default: qt; some tests use both)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of the window on the engine that was asked for, or on those that its marks name."""
    if "engine" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("--engine")
    both = metafunc.definition.get_closest_marker("both_engines") is not None
    only = metafunc.definition.get_closest_marker("only_on")
    engines: list[Any] = [asked] if asked else list(ENGINES) if both else ["qt"]
    if only is not None:
        (name,) = only.args
        skip = pytest.mark.skip(reason=f"only on {name}: {only.kwargs['reason']}")
        # Where both were meant anyway there is nothing to tell.
        engines = [name] if name in engines else [pytest.param(engines[0], marks=skip)]
    metafunc.parametrize("engine", engines, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WindowEngine]:
    """A web engine for the window, and how it is driven."""
    import window_engines  # with Playwright, which most tests do not need

    with window_engines.window_engine(request.param, tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of fixtures that live longer than one test."""
    with own_environment(tmp_path_factory.mktemp("session")) as home:
        yield home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, session_home: Path) -> Iterator[Path]:
    """This test's home folder; the program's data folder is `data` inside it."""
    with own_environment(tmp_path / "home") as home:
        yield home


@contextmanager
def own_environment(home: Path) -> Iterator[Path]:
    home.mkdir(exist_ok=True)
    # Not below `home`: it holds Unix sockets, whose paths end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="deskside-") as runtime, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if (name.startswith(PRIVATE) and name not in SHARED) or name.upper() in NETWORK:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        patch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
        patch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
        patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
        patch.setenv("XDG_RUNTIME_DIR", runtime)
        patch.setenv("DESKSIDE_DATA_DIR", str(home / "data"))
        yield home


@pytest.fixture(autouse=True)
def _own_keys() -> Iterator[None]:
    """No text is searched for the keys of other tests."""
    # Not the fixture `monkeypatch`: begun before `home`, it would put back what a test sets in HOME after it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "PROCESS", Redactor())
        yield


@pytest.fixture(scope="session", autouse=True)
def _checked_results() -> Iterator[None]:
    """Hold what every command returns against what its signature promises the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "checks_results", True)
        yield


@pytest.fixture(scope="session", autouse=True)
def _guarded_network() -> Iterator[list[str]]:
    """Refuse addresses beyond this machine, as an unplugged cable would, and keep what was tried."""
    tried: list[str] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse_beyond_loopback(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse_beyond_loopback(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        if not is_loopback(host):
            tried.append(str(host))
            raise socket.gaierror(socket.EAI_AGAIN, f"tests may not look up {host!r}")
        return getaddrinfo(host, *rest, **named)

    def refuse_beyond_loopback(family: int, address: Any) -> None:
        if family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
            tried.append(str(address[0]))
            raise ConnectionRefusedError(f"tests may not connect to {address[0]!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield tried


@pytest.fixture(autouse=True)
def refused_addresses(_guarded_network: list[str]) -> Iterator[list[str]]:
    """What this test tried to reach beyond this machine. It fails at its end unless the test emptied it:
    code under test may well take the refusal for an ordinary missing network."""
    _guarded_network.clear()
    yield _guarded_network
    assert [] == _guarded_network, "the test tried to reach beyond this machine"


def is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name.endswith(".localhost")
