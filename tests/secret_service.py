"""A real Secret Service for tests: GNOME's keyring on a session bus of its own, with nobody to answer
its prompts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = (
    "printf deskside | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
    ' && echo "$DBUS_SESSION_BUS_ADDRESS" && exec cat'
)


@contextmanager
def secret_service() -> Iterator[str]:
    """Yield the address of a session bus with an unlocked keyring. Both end with the block."""
    missing = [name for name in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(name) is None]
    assert not missing, (
        f"{' and '.join(missing)} missing: apt install dbus gnome-keyring, or build/dev.py test"
    )
    # In /tmp, because a socket's path has room for 107 characters only.
    with tempfile.TemporaryDirectory(prefix="ds-", dir="/tmp") as home:
        process = subprocess.Popen(
            ["dbus-run-session", "--", "sh", "-c", START],
            env=_environment(Path(home)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, "gnome-keyring-daemon did not start on a session bus of its own"
            yield address
        finally:
            # `cat` ends, then the bus, then what is on the bus.
            process.stdin.close()
            process.wait(timeout=10)
            process.stdout.close()


def _environment(home: Path) -> dict[str, str]:
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    # No DISPLAY: a prompt that nobody sees is as good as none.
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
    }
