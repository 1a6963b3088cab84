"""One Deskside for each data folder: who holds it, who may talk to the holder, what a crash leaves."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from deskside.backend.errors import StoreBusy, StoreReadOnly
from deskside.backend.paths import Paths
from deskside.shell.instance import (
    LINE_LIMIT_BYTES,
    AlreadyRunning,
    Instance,
    Remote,
    claim,
    claim_or_send,
    send,
)

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:1/__boot/token"

HOLD = """
import sys, time
from pathlib import Path
from deskside.backend.paths import Paths
from deskside.shell.instance import claim
data = Path(sys.argv[1])
with claim(Paths(data, data / "logs", data / "cache")) as instance:
    instance.boot_url = lambda: sys.argv[2]
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    data = tmp_path / "data"
    return Paths(data, data / "logs", data / "cache")


def say(paths: Paths, line: bytes) -> bytes:
    """Send a raw line to the control socket; all it answers until it hangs up."""
    port = json.loads((paths.data / "instance.json").read_bytes())["port"]
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as connection, suppress(OSError):
        # It may hang up before it has read everything.
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(4096):
            answer += piece
    return answer


def test_a_second_one_cannot_hold_the_same_folder(paths: Paths) -> None:
    with claim(paths), pytest.raises(AlreadyRunning), claim(paths):
        pass


def test_the_folder_is_free_again_afterwards(paths: Paths) -> None:
    with claim(paths):
        pass
    with claim(paths):
        pass

    assert not (paths.data / "instance.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_folder_and_token_are_for_this_user_alone(paths: Paths) -> None:
    with claim(paths):
        assert 0o700 == stat.S_IMODE(paths.data.stat().st_mode)
        assert 0o600 == stat.S_IMODE((paths.data / "instance.json").stat().st_mode)


def test_a_file_that_is_no_text_is_one_that_nobody_answers_for(paths: Paths) -> None:
    with claim(paths):
        (paths.data / "instance.json").write_bytes(b'{"pid": 1, "port": 1, "token": "\xff"}')
        with pytest.raises(AlreadyRunning), send(paths, "show"):
            pass


def test_a_second_one_shows_the_window_of_the_first(paths: Paths) -> None:
    shown = threading.Event()
    with claim(paths) as instance:
        instance.on_show = shown.set
        with claim_or_send(paths, "show") as found:
            assert isinstance(found, Remote)
            assert found.answer.ok

    assert shown.is_set()


def test_the_second_one_lets_the_first_come_forward_on_windows(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[int] = []
    user32 = SimpleNamespace(AllowSetForegroundWindow=allowed.append)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(user32=user32), raising=False)
    with claim(paths) as instance:
        instance.on_show = lambda: allowed.append(0)
        instance.boot_url = lambda: URL
        monkeypatch.setattr(sys, "platform", "win32")
        with send(paths, "boot-url"), send(paths, "show"):
            pass

    assert [os.getpid(), 0] == allowed


def test_without_a_window_the_second_one_is_told_what_to_do(paths: Paths) -> None:
    with claim(paths), send(paths, "show") as remote:
        assert not remote.answer.ok
        assert str(os.getpid()) in remote.answer.message
        assert remote.answer.hint


def test_a_command_gets_a_boot_url(paths: Paths) -> None:
    with claim(paths) as instance:
        instance.boot_url = lambda: URL
        with claim_or_send(paths, "boot-url") as found:
            assert isinstance(found, Remote)
            assert URL == found.answer.url
            assert os.getpid() == found.answer.pid


def test_the_holder_waits_for_those_who_use_its_backend(paths: Paths) -> None:
    with claim(paths) as instance:
        instance.boot_url = lambda: URL
        waiting = threading.Thread(target=instance.wait_for_leases, daemon=True)
        with send(paths, "boot-url") as remote:
            assert remote.answer.ok
            waiting.start()
            with send(paths, "boot-url") as late:
                # Whoever comes now gets nothing: the holder is about to close.
                while late.answer.ok:
                    with send(paths, "boot-url") as late:
                        pass
            assert waiting.is_alive()
        waiting.join(5)

        assert not waiting.is_alive()


def test_whoever_uses_the_backend_is_told_when_it_closes(paths: Paths) -> None:
    gone = threading.Event()
    with claim(paths) as instance:
        instance.boot_url = lambda: URL
        with send(paths, "boot-url") as remote:
            remote.when_gone(gone.set)
            assert not gone.is_set()
            instance.close()

            assert gone.wait(5)


def test_a_wrong_token_learns_nothing(paths: Paths) -> None:
    shown = threading.Event()
    with claim(paths) as instance:
        instance.on_show = shown.set
        instance.boot_url = lambda: URL
        for action in ("show", "boot-url"):
            line = json.dumps({"token": "guess", "action": action}).encode() + b"\n"
            assert b"" == say(paths, line)

    assert not shown.is_set()


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"not json\n", b'{"token": 1, "action": "show"}\n', b"\xff\xfe\n", b""],
)
def test_a_line_it_cannot_read_does_not_disturb_it(paths: Paths, line: bytes) -> None:
    with claim(paths) as instance:
        instance.on_show = lambda: None
        assert b"" == say(paths, line)
        with send(paths, "show") as remote:
            assert remote.answer.ok


def test_a_line_without_an_end_is_cut_off(paths: Paths) -> None:
    with claim(paths) as instance:
        instance.on_show = lambda: None
        assert b"" == say(paths, b"x" * (LINE_LIMIT_BYTES * 50))
        with send(paths, "show") as remote:
            assert remote.answer.ok


@pytest.fixture
def holder(paths: Paths):
    """Another process that holds the folder."""
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(paths.data), URL],
        env={**os.environ, "PYTHONPATH": roots},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert b"held\n" == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_a_killed_holder_leaves_the_folder_free(paths: Paths, holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    holder.wait(10)

    assert (paths.data / "instance.json").exists()
    with claim_or_send(paths, "boot-url") as found:
        assert isinstance(found, Instance)


def test_another_process_is_reached(paths: Paths, holder: subprocess.Popen[bytes]) -> None:
    with claim_or_send(paths, "boot-url") as found:
        assert isinstance(found, Remote)
        assert (URL, holder.pid) == (found.answer.url, found.answer.pid)


def test_a_holder_that_does_not_answer_is_not_waited_for_for_ever(paths: Paths) -> None:
    with (
        claim(paths),  # its boot_url is None: it is still starting
        pytest.raises(StoreBusy, match="does not answer"),
        claim_or_send(paths, "boot-url", patience_s=0.1),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = tmp_path / "file" / "data"

    with pytest.raises(StoreReadOnly, match="cannot be used") as raised, claim(Paths(data, data, data)):
        pass
    assert "--data-dir" in raised.value.hint
