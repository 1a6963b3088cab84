"""The promises of conftest.py that every other test stands on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest


def test_a_test_cannot_connect_beyond_this_machine(refused_addresses: list[str]) -> None:
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 443))

    assert ["192.0.2.1"] == refused_addresses
    refused_addresses.clear()


def test_a_test_cannot_look_up_a_name(refused_addresses: list[str]) -> None:
    with pytest.raises(socket.gaierror):
        socket.create_connection(("api.example.com", 443))

    assert ["api.example.com"] == refused_addresses
    refused_addresses.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_test_reaches_a_server_on_this_machine(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            assert port == client.getpeername()[1]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_test_reaches_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "bus")
        server.bind(path)
        server.listen()
        client.connect(path)

        assert path == client.getpeername()


@pytest.fixture(scope="module")
def environment_of_a_shared_fixture() -> dict[str, str]:
    return dict(os.environ)


def test_no_fixture_sees_the_developers_home(
    environment_of_a_shared_fixture: dict[str, str], home: Path
) -> None:
    shared = environment_of_a_shared_fixture["DESKSIDE_DATA_DIR"]

    assert str(home / "data") == os.environ["DESKSIDE_DATA_DIR"]
    assert str(home) == os.path.expanduser("~")
    assert shared != os.environ["DESKSIDE_DATA_DIR"]
    assert shared.startswith(environment_of_a_shared_fixture["HOME"])


def test_no_key_of_the_developer_is_visible() -> None:
    private = [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_"))]

    assert [] == private
