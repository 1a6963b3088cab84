"""Install the wheel as its users do, with pip and with pipx, and use what that gives: build/package.py try.

With the locked versions, from the index that pip uses. Whoever has no screen gets Qt's own without one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import debian
import dev

PROVIDER = dev.ROOT / "tests" / "provider_server.py"
QUESTION = "Where are the plums?"
LIMIT_S = 120.0
PAGE_IS_READY = "the page is ready"  # bridge/deskside/bridge/commands/diagnostics.py


def main(wheel: Path) -> None:
    """Exits with the first thing that does not work."""
    try:
        debian.ensure_packages(for_tests=False)
    except debian.CannotInstall as error:
        sys.exit(str(error))
    dev.ensure_model()
    with tempfile.TemporaryDirectory(prefix="deskside-wheel-") as name:
        folder = Path(name)
        versions = folder / "versions.txt"
        versions.write_text(locked_versions(), "utf-8")
        # Both ways hand it on to pip; nothing of the checkout, and nothing of whoever runs this.
        environ = {**dev.environment(), "HOME": name, "PIP_CONSTRAINT": str(versions)}
        environ.pop("PYTHONPATH", None)
        for how, install in (("pip", with_pip), ("pipx", with_pipx)):
            started = time.monotonic()
            program = install(f"{wheel}[qt]", folder / how, environ)
            installed = time.monotonic()
            said = use(program, folder / how / "data", environ)
            took = f"installed in {installed - started:.0f} s, used in {time.monotonic() - installed:.0f} s"
            print(f"{how}: {took}: {said}", flush=True)


def locked_versions() -> str:
    """The pins of the lock that has the web engine, without hashes: those of our wheel are not in it."""
    lock = (dev.LOCKS / "dev.txt").read_text("utf-8")
    return "".join(
        f"{pin}\n" for pin in re.findall(r"^([a-z0-9][^\\\n]*==[^\\\n]*?) *\\?$", lock, re.MULTILINE)
    )


def with_pip(requirement: str, folder: Path, environ: Mapping[str, str]) -> Path:
    run([sys.executable, "-m", "venv", folder], environ)
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", requirement], environ)
    return folder / "bin" / "deskside"


def with_pipx(requirement: str, folder: Path, environ: Mapping[str, str]) -> Path:
    folders = {name: str(folder / name.lower()) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
    run([sys.executable, "-m", "pipx", "install", "--backend", "pip", requirement], {**environ, **folders})
    return Path(folders["PIPX_BIN_DIR"]) / "deskside"


def use(program: Path, data: Path, environ: Mapping[str, str]) -> str:
    """Open the window, ask, close it, and look whether all is there at the next start. Returns the answer."""
    command: list[str | Path] = [program, "--data-dir", data]
    with window(command, data, environ), provider() as url:
        server = {"id": "local", "label": "Here", "base_url": url}
        run([*command, "call", "settings.change", json.dumps({"servers": [server]})], environ)
        answer = run([*command, "ask", "--model", "local/local-model", QUESTION], environ).strip()
        if QUESTION not in answer:  # the provider repeats it
            sys.exit(f"This is no answer: {answer!r}")
        run([*command, "ask", "--model", "device/smollm2-135m", "What is the capital of France?"], environ)
    with window(command, data, environ):
        found = json.loads(run([*command, "call", "conversations.page", "{}"], environ))["data"][
            "conversations"
        ]
    if len(found) != 2:
        sys.exit(f"After a new start there are {len(found)} conversations, not 2.")
    return answer


@contextmanager
def window(command: Sequence[str | Path], data: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """The window, from when its page can be used; it must end well when it is closed."""
    log = data / "logs" / "combined.log"
    before = times_ready(log)
    # The web engine is talkative.
    output = data.with_suffix(".output")
    with output.open("wb") as sink:
        process = subprocess.Popen(command, env=environ, stdout=sink, stderr=sink)
    try:
        give_up = time.monotonic() + LIMIT_S
        while times_ready(log) == before:
            if process.poll() is not None or time.monotonic() > give_up:
                sys.exit(f"{output.read_text('utf-8', 'replace')}\nThe window did not come up.")
            time.sleep(0.1)
        yield
        process.terminate()
        if process.wait(LIMIT_S):
            sys.exit(f"The window ended with exit code {process.returncode}.")
    finally:
        process.kill()


def times_ready(log: Path) -> int:
    return log.read_text("utf-8").count(PAGE_IS_READY) if log.exists() else 0


@contextmanager
def provider() -> Iterator[str]:
    """The address of a server that speaks OpenAI's language, on this machine."""
    command: list[str | Path] = [sys.executable, PROVIDER, "--port", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["openai_url"]
    finally:
        process.kill()
        process.communicate()


def run(command: Sequence[str | Path], environ: Mapping[str, str]) -> str:
    """Run a command and return what it printed. Where it fails, that is shown and all ends."""
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        failed = " ".join(map(str, command))
        sys.exit(f"{done.stdout}{done.stderr}\nThis failed, for the reason above: {failed}")
    return done.stdout


if __name__ == "__main__":
    os.chdir(dev.ROOT)
    main(Path(sys.argv[1]).resolve())
