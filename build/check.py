#!/usr/bin/env python3
"""Check everything that a change must keep. CI runs exactly this, after `build/dev.py test`.

    .venv/bin/python build/check.py                     all but the slow tests
    .venv/bin/python build/check.py --fast              without any tests
    .venv/bin/python build/check.py --slow              the slow tests too
    .venv/bin/python build/check.py --no-python-tests   for CI, which has run them already

One line a step; what a step printed is shown only when it failed. Every step runs, also after one that
failed. Exits 1 if any did.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import frontend

ROOT = Path(__file__).resolve().parents[1]


class Step(NamedTuple):
    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str]
    # How many tests ran is worth a look also when they passed.
    shows_last_line: bool = False


def main() -> int:
    options = read_options()
    try:
        frontend.ensure_packages()
    except frontend.BuildFailed as error:
        print(error)
        return 1
    started = time.monotonic()
    steps = list(steps_for(options))
    failed = [step.name for step in steps if not passes(step)]
    took = f"in {time.monotonic() - started:.0f} s"
    if failed:
        print(f"\n{len(failed)} of {len(steps)} steps failed {took}: {', '.join(failed)}")
        return 1
    print(f"\nAll {len(steps)} steps passed {took}")
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check everything that a change must keep.")
    tests = parser.add_mutually_exclusive_group()
    tests.add_argument("--fast", action="store_true", help="no tests")
    tests.add_argument("--slow", action="store_true", help="the slow tests too")
    tests.add_argument("--no-python-tests", action="store_true", help="of the tests, the page's only")
    return parser.parse_args()


def steps_for(options: argparse.Namespace) -> Iterator[Step]:
    """The steps, those that fail often and quickly first."""
    scripts = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "build").glob("*.py"))]
    yield python("format", "-m", "ruff", "format", "--check", ".")
    # Without its cache: what counts as ours (the order of imports) depends on files that come and go.
    yield python("lint", "-m", "ruff", "check", "--no-cache", ".")
    yield python("our lints", "build/lints.py")
    yield python("layers", str(Path(sys.executable).with_name("lint-imports")), "--no-logo")
    yield python("types", "-m", "mypy")
    yield python("types of build/", "-m", "mypy", *scripts)
    yield python("generated files", "build/api.py", "--check")
    yield page("page types", "exec", "--", "tsc", "--noEmit")
    yield page("page lint", "exec", "--", "biome", "check", ".")
    yield python("page build", "build/frontend.py")
    if not options.fast:
        yield page("page tests", "test")
    if not (options.fast or options.no_python_tests):
        # Without an expression, pytest's own "not slow" (pyproject.toml) is lifted.
        every = ["-m", ""] if options.slow else []
        yield python("tests", "-m", "pytest", *every)._replace(shows_last_line=True)


def python(name: str, *arguments: str) -> Step:
    """A step in this Python. The roots are on its path, so that the project need not be installed."""
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    return Step(name, [sys.executable, *arguments], ROOT, {**os.environ, "PYTHONPATH": roots})


def page(name: str, *arguments: str) -> Step:
    """A step in the page's folder, through npm."""
    environment = {**frontend.npm_environment(), "NO_COLOR": "1"}
    return Step(name, frontend.npm_command(*arguments), frontend.PAGE, environment)


def passes(step: Step) -> bool:
    """Run a step and print its line; what it printed follows when it failed."""
    print(f"  {step.name:<17}", end="", flush=True)
    started = time.monotonic()
    result = subprocess.run(
        step.command,
        cwd=step.folder,
        env=step.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    took = time.monotonic() - started
    output = result.stdout.strip()
    closing = output.rpartition("\n")[2] if step.shows_last_line else ""
    print(f"{took:6.1f} s  {'FAILED' if result.returncode else 'ok'}  {closing}".rstrip(), flush=True)
    if result.returncode:
        print(f"\n{output}\n", flush=True)
    return result.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
