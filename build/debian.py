"""What a checkout needs of the operating system, as Debian packages, and installing what is missing.

Each need is probed by what it brings (a library that loads, a program on PATH, a file), never by asking
dpkg: a machine may have the same thing from elsewhere. The lists were found on bare Debian 12 roots;
newer Debian and Ubuntu have the same packages, two of them under another name (`RENAMED`).

Standard library only, and nothing here is imported outside Linux.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Libraries that the wheels of PySide6 and Qt WebEngine expect of the system.
WINDOW_LIBRARIES = {
    # drawing
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libgbm.so.1": "libgbm1",
    "libfontconfig.so.1": "libfontconfig1",
    # sound, bus, event loop, certificates of the web engine
    "libasound.so.2": "libasound2",
    "libdbus-1.so.3": "libdbus-1-3",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libnss3.so": "libnss3",
    # X11 and its keyboard
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbfile.so.1": "libxkbfile1",
    "libXcomposite.so.1": "libxcomposite1",
    "libXdamage.so.1": "libxdamage1",
    "libXrandr.so.2": "libxrandr2",
    "libXtst.so.6": "libxtst6",
}

# The bundled engine of the on-device model is compiled with OpenMP.
MODEL_LIBRARIES = {"libgomp.so.1": "libgomp1"}

# Playwright, which drives the window in tests, brings a Node of its own that wants it.
TEST_LIBRARIES = {"libatomic.so.1": "libatomic1"}

# Programs that only the tests start: a Secret Service on a bus of its own for the keychain's tests, an X
# server for the few tests that look at a window's frame (the others draw off screen), and GnuPG, which signs
# the apt repository.
TEST_PROGRAMS = {
    "dbus-run-session": "dbus",
    "gnome-keyring-daemon": "gnome-keyring",
    "Xvfb": "xvfb",
    "xauth": "xauth",  # xvfb-run wants it
    "xdotool": "xdotool",
    "gpg": "gnupg",
}

# The other engine that the window can use, which the installed program does: Python's bindings, and the
# descriptions of WebKitGTK and of the tray for them.
TEST_FILES = {
    "/usr/lib/python3/dist-packages/gi/__init__.py": "python3-gi",
    "/usr/lib/*/girepository-1.0/WebKit2-4.1.typelib": "gir1.2-webkit2-4.1",
    "/usr/lib/*/girepository-1.0/AyatanaAppIndicator3-0.1.typelib": "gir1.2-ayatanaappindicator3-0.1",
}

# The page brings its own Latin letters; everything else is the system's, and without any font at all
# the web engine draws boxes.
TEXT_FONT = "fonts-dejavu-core"
EMOJI_FONT = "fonts-noto-color-emoji"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")

# Names in Debian 13 and Ubuntu 24.04, where time became 64 bits wide.
RENAMED = {"libasound2": "libasound2t64", "libglib2.0-0": "libglib2.0-0t64"}

# Waiting for another apt is better than failing beside one: fresh machines often run one unasked.
APT_INSTALL = [
    "apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"
]  # fmt: skip


class CannotInstall(Exception):
    """Something of the system is missing and this user cannot install it. The message says what to run."""


def ensure_packages(*, for_tests: bool) -> None:
    """Install what is missing with apt, as root or through sudo. Raises CannotInstall."""
    missing = list(_missing(for_tests=for_tests))
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise CannotInstall(
            "This system lacks what Debian packages as: " + " ".join(missing) + "\n"
            "Install the same with your system's package manager, then run this command again."
        )
    privilege = _privilege()
    if privilege is None:
        raise CannotInstall(
            "Some system packages are missing and this user cannot install them. As root, run:\n"
            f"  apt-get update && {shlex.join([*APT_INSTALL, *_named_here(missing)])}\n"
            "Then run this command again."
        )
    # The names are resolved after the update: a fresh image has no package lists at all.
    _apt(privilege, ["apt-get", "update"], "reading package lists", may_fail=True)
    wanted = _named_here(missing)
    _apt(privilege, [*APT_INSTALL, *wanted], f"installing {' '.join(wanted)}")


def _missing(*, for_tests: bool) -> Iterator[str]:
    if importlib.util.find_spec("ensurepip") is None:
        yield "python3-venv"
    if not _has_certificates():
        yield "ca-certificates"
    libraries = WINDOW_LIBRARIES | MODEL_LIBRARIES | (TEST_LIBRARIES if for_tests else {})
    for library, package in libraries.items():
        if not _loads(library):
            yield package
    names = [path.name.lower() for path in _font_files()]
    if not names:
        yield TEXT_FONT
    if not any("emoji" in name for name in names):
        yield EMOJI_FONT
    if for_tests:
        yield from (package for program, package in TEST_PROGRAMS.items() if not shutil.which(program))
        yield from (package for pattern, package in TEST_FILES.items() if not glob.glob(pattern))


def _has_certificates() -> bool:
    places = ssl.get_default_verify_paths()
    return bool(places.cafile) or any(Path(places.capath).iterdir() if places.capath else ())


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _font_files() -> Iterator[Path]:
    for folder in FONT_FOLDERS:
        for pattern in ("*.ttf", "*.otf", "*.ttc"):
            yield from Path(folder).expanduser().rglob(pattern)


def _privilege() -> list[str] | None:
    """What to put before a command to run it as root: nothing, sudo, or None where neither works."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    # sudo may still ask for a password, where somebody is there to type it.
    if sys.stdin.isatty() and subprocess.run(["sudo", "-v"]).returncode == 0:
        return ["sudo"]
    return None


def _named_here(packages: list[str]) -> list[str]:
    if not shutil.which("apt-cache"):
        return packages
    listed = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True).stdout.split()
    renamed = {old: new for old, new in RENAMED.items() if new in listed}
    return [renamed.get(package, package) for package in packages]


def _apt(privilege: list[str], command: list[str], doing: str, *, may_fail: bool = False) -> None:
    """Run apt without questions; its output is shown only when it fails. Raises CannotInstall.

    `may_fail` is for the update: one unreachable source of many does not matter if the install works.
    """
    print(f"[system] {doing}", file=sys.stderr, flush=True)
    result = subprocess.run(
        [*privilege, "env", "DEBIAN_FRONTEND=noninteractive", *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if result.returncode == 0:
        return
    print(result.stdout, file=sys.stderr)
    if not may_fail:
        raise CannotInstall(f"apt could not install them (see above). As root, run:\n  {shlex.join(command)}")
