"""The system's keychain: a real one, a locked one, none, and one that never answers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from tempfile import TemporaryDirectory

import pytest

from deskside.backend.errors import InvalidRequest, KeychainUnavailable
from deskside.backend.keychain import KEYCHAINS, LONGEST_SECRET, SystemKeychain
from secret_service import secret_service

linux = pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keychain")


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    with secret_service() as address:
        yield address


@pytest.fixture
def real(bus: str, monkeypatch: pytest.MonkeyPatch) -> SystemKeychain:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    return SystemKeychain({})


@pytest.fixture
def silent_bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bus that takes connections and never says a word."""
    with TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/bus")
        listener.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={folder}/bus")
        yield


def lock() -> None:
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        secretstorage.get_default_collection(connection).lock()


@linux
async def test_a_secret_goes_into_the_real_keychain_and_comes_back(real: SystemKeychain) -> None:
    await real.write("openai", "sk-first")
    await real.write("openai", "sk-second")

    assert await real.read("openai") == "sk-second"
    assert await real.read("anthropic") is None
    look = await real.look()
    assert (look.state, look.backend, look.reads_quietly) == ("ready", "Secret Service", True)


@linux
async def test_removing_twice_is_removing(real: SystemKeychain) -> None:
    await real.write("openai", "sk-first")

    await real.remove("openai")
    await real.remove("openai")

    assert await real.read("openai") is None


@linux
async def test_a_locked_keychain_is_seen_without_a_prompt_and_refused_when_nobody_answers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with secret_service() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        await asyncio.to_thread(lock)
        keychain = SystemKeychain({})

        assert (await keychain.look()).state == "locked"
        with pytest.raises(KeychainUnavailable, match="locked"):
            await keychain.read("openai")


async def test_without_a_session_bus_the_user_hears_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    keychain = SystemKeychain({})

    look = await keychain.look()
    with pytest.raises(KeychainUnavailable) as refused:
        await keychain.write("openai", "sk-first")

    assert look.state == "missing"
    assert "file" in look.hint
    assert refused.value.hint == look.hint


async def test_a_system_we_know_no_keychain_of_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")

    assert (await SystemKeychain({}).look()).state == "missing"


async def test_keyring_s_own_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    keychain = SystemKeychain({"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"})

    assert (await keychain.look()).state == "missing"
    with pytest.raises(KeychainUnavailable):
        await keychain.read("openai")


@linux
async def test_a_dead_session_bus_costs_a_moment_and_then_nothing(silent_bus: None) -> None:
    keychain = SystemKeychain({}, quick_s=0.1, prompt_s=0.1)

    with pytest.raises(KeychainUnavailable, match="did not answer"):
        await keychain.read("openai")
    with pytest.raises(KeychainUnavailable, match="waiting for an answer"):
        await keychain.read("openai")
    look = await keychain.look()
    assert (look.state, look.reads_quietly) == ("locked", False)


@linux
async def test_a_cancelled_caller_does_not_leave_the_keychain_blocked(real: SystemKeychain) -> None:
    task = asyncio.create_task(real.write("openai", "sk-first"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(10):
        while True:
            try:
                await real.read("openai")
            except KeychainUnavailable:
                # The abandoned call is still on its way: a few milliseconds.
                await asyncio.sleep(0.01)
            else:
                return


async def test_a_bug_behind_the_keychain_is_raised_in_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.keychain._choose", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        await SystemKeychain({}).look()


async def test_what_does_not_fit_into_windows_is_refused_everywhere() -> None:
    with pytest.raises(InvalidRequest):
        await SystemKeychain({}).write("openai", "x" * (LONGEST_SECRET + 1))


def test_no_backend_on_the_list_keeps_plain_text_or_nothing() -> None:
    modules = {kind.module for kinds in KEYCHAINS.values() for kind in kinds}

    assert not {name for name in modules if any(bad in name for bad in ("alt", "null", "fail", "chainer"))}


def test_the_keyring_library_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, deskside.backend.keychain as k; print({'keyring', 'secretstorage'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30
    )

    assert result.stdout.strip() == "set()", result.stderr
