#!/usr/bin/env python3
"""Set up this checkout and use it. Needs Python 3.11 to 3.14 and nothing else.

    python3 build/dev.py run  [program arguments]   set up what is missing, then start Deskside
    python3 build/dev.py test [pytest arguments]    set up what is missing, then run the tests
    python3 build/dev.py lock [--upgrade]           rewrite build/requirements from pyproject.toml (needs uv)
    python3 build/dev.py help                       this text

Set up means: system libraries (apt; as root, or with sudo), .venv with hash-checked packages, the page,
and the small on-device model. Each step is skipped while what it depends on has not changed, so the
second start is fast. Everything but the system libraries stays inside this folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
LOCKS = ROOT / "build" / "requirements"
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = VENV_BIN / ("python.exe" if os.name == "nt" else "python")
SET_UP = VENV / ".set-up"
# More windows and servers at once are slower than they are fast.
MOST_WORKERS = 4
# As `requires-python` says.
OLDEST_PYTHON = (3, 11)
FIRST_UNSUPPORTED_PYTHON = (3, 15)

# Lock file -> what it is compiled from. The first holds everything a checkout runs with; the others
# are held to its versions, so that what is tested is what is shipped.
LOCK_SOURCES = {
    "dev": ["pyproject.toml", "--extra", "qt", "--group", "dev"],
    "app": ["pyproject.toml", "--constraint", "build/requirements/dev.txt"],
    "build": ["--group", "build", "--constraint", "build/requirements/dev.txt"],
    "package": ["--group", "package", "--constraint", "build/requirements/dev.txt"],
    "node": ["--group", "node"],
    # Not held to our versions: each framework wants SDKs of its own.
    "bench": ["--group", "bench"],
}


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0] if arguments else "help"), arguments[1:]
    if command == "run":
        set_up(for_tests=False)
        if sys.platform == "linux" and not rest and not has_display():
            say("no display: the window is drawn off screen; `run --serve` prints an address for a browser")
        become([str(PYTHON), "-m", "deskside", *rest], environment())
    if command == "test":
        set_up(for_tests=True)
        os.chdir(ROOT)
        # Real pages off screen, also where there is a screen: no window jumps into somebody's work. A file's
        # tests stay together, as some share a program; `-n 0` runs all in this process.
        workers = str(min(os.cpu_count() or 1, MOST_WORKERS))
        tests = [str(PYTHON), "-m", "pytest", "-n", workers, "--dist", "loadfile", *rest]
        become(tests, {"QT_QPA_PLATFORM": "offscreen", **environment()})
    if command == "lock":
        return lock(rest)
    if command in ("help", "-h", "--help"):
        print(__doc__)
        return 0
    print(f"dev.py has no command {command!r}\n\n{__doc__}", file=sys.stderr)
    return 2


def set_up(*, for_tests: bool) -> None:
    """Bring this checkout to where the program and, if asked, the tests can start. Exits when it cannot."""
    if sys.platform == "linux":
        import debian

        try:
            debian.ensure_packages(for_tests=for_tests)
        except debian.CannotInstall as error:
            sys.exit(str(error))
    ensure_python_packages()
    if run([PYTHON, ROOT / "build" / "frontend.py"]):
        sys.exit("The page could not be built; the reason is above.")
    ensure_model()


def ensure_python_packages() -> None:
    """Make .venv and install the locked packages and this project, unless that was done for these locks."""
    import frontend

    locks = [LOCKS / "dev.txt"] + ([] if frontend.system_node() else [LOCKS / "node.txt"])
    # A patch release of Python keeps the folder; apt may bring one while this runs.
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    wanted = f"{python}\n{fingerprint([PROJECT, LOCKS / 'build.txt', *locks])}"
    done = SET_UP.read_text("utf-8") if PYTHON.exists() and SET_UP.is_file() else ""
    if done == wanted:
        return
    SET_UP.unlink(missing_ok=True)
    # Without the mark an install was interrupted, and pip takes a half-installed package for installed.
    if done.partition("\n")[0] != python:
        say("making .venv")
        if run([sys.executable, "-m", "venv", "--clear", VENV]):
            sys.exit("Python could not make .venv; the reason is above.")
    say("installing Python packages (hash-checked; the first time takes a minute or two)")
    # First what builds wheels: then nothing that runs during an install was fetched without a hash.
    pip_install("--require-hashes", "--requirement", LOCKS / "build.txt")
    lock_arguments = [argument for path in locks for argument in ("--requirement", path)]
    pip_install("--require-hashes", "--no-build-isolation", *lock_arguments)
    pip_install("--no-deps", "--no-build-isolation", "--editable", ROOT)
    SET_UP.write_text(wanted, "utf-8")


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 over the files' contents and where this checkout is: an editable install does not survive
    a move."""
    digest = hashlib.sha256(f"{ROOT}\0".encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pip_install(*arguments: str | Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    # Else the pip of Python 3.11 runs setup.py itself for a package without a wheel, and warns about it.
    # As a variable: newer pips do so anyway and need not know the option.
    env = {**os.environ, "PIP_USE_PEP517": "1"}
    if subprocess.run([PYTHON, "-m", "pip", "install", *options, *arguments], env=env).returncode:
        sys.exit("pip failed; the reason is above. Check the network, then run this command again.")


def ensure_model() -> None:
    """Fetch the on-device model. Without a network the program works and offers the download itself."""
    result = run([PYTHON, ROOT / "build" / "model.py"])
    if result == 1:
        say("going on without the on-device model")
    elif result:
        sys.exit("The on-device model is not what it should be; the reason is above.")


def environment() -> dict[str, str]:
    """What the program and the tests find in their environment, on top of ours. What is set already wins."""
    defaults = {"DESKSIDE_BUNDLED_MODELS": str(ROOT / ".build" / "models")}
    if sys.platform == "linux":
        if os.geteuid() == 0:
            # Chromium's sandbox refuses to start as root.
            defaults["QTWEBENGINE_DISABLE_SANDBOX"] = "1"
        if not has_display():
            defaults["QT_QPA_PLATFORM"] = "offscreen"
    return {**defaults, **os.environ}


def has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def become(command: list[str], env: dict[str, str]) -> NoReturn:
    """Replace this process, so that signals, the exit code and Ctrl-C belong to what was started."""
    sys.stdout.flush()
    if os.name == "nt":
        # Windows' exec returns to the shell at once.
        sys.exit(subprocess.run(command, env=env).returncode)
    os.execve(command[0], command, env)


def lock(options: list[str]) -> int:
    """Rewrite the lock files. Pins that still fit are kept unless `--upgrade` is given."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(VENV_BIN))
    if uv is None:
        sys.exit("uv writes the locks: install it with `pip install uv`, then run this command again.")
    # Valid for each supported Python and system; no index address, so any mirror can serve it.
    command = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    command += ["--python-version", "3.11", *options]
    for name, sources in LOCK_SOURCES.items():
        if run([*command, "--output-file", LOCKS / f"{name}.txt", *sources], cwd=ROOT):
            return 1
    return 0


def run(command: Sequence[str | Path], cwd: Path | None = None) -> int:
    return subprocess.run(command, cwd=cwd).returncode


def say(text: str) -> None:
    # Not on stdout: that belongs to what is started (`run ask … --json`, `run --serve`).
    print(f"[dev] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if not OLDEST_PYTHON <= sys.version_info < FIRST_UNSUPPORTED_PYTHON:
        sys.exit("Deskside needs Python 3.11 to 3.14; this is " + sys.version.split()[0])
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
