"""`deskside doctor`: is everything there that Deskside needs, and if not, what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from deskside.backend import leaks
from deskside.backend.errors import AppError
from deskside.backend.log import COMBINED, ERRORS
from deskside.backend.paths import Paths
from deskside.backend.python_children import python_child, run_child
from deskside.shell.client import Client
from deskside.shell.running import session
from deskside.shell.webview2_runtime import HINT, runtime_version

# The bundled model is 100 MB; a migration needs the database twice.
LEAST_FREE_BYTES = 500 * 2**20
ENGINE_LIMIT_S = 60
ENGINE_PROBE = Path(__file__).with_name("engine_probe.py")
WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Check:
    """`message` says what is, or what is wrong; `advice` what to do about it. What is well but has
    advice is a note: Deskside works, and could do better."""

    name: str
    ok: bool
    message: str
    advice: str = ""


def examine(paths: Paths, level: str, *, as_json: bool) -> int:
    """Print one line for each check. Returns 0 when all are well, else 1."""
    checks = []
    for check in _all(paths, level):
        checks.append(check)
        if not as_json:
            print(_line(check), flush=True)
    if as_json:
        healthy = all(check.ok for check in checks)
        print(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}, indent=2))
    return 0 if all(check.ok for check in checks) else 1


def _line(check: Check) -> str:
    verdict = "problem" if not check.ok else "note" if check.advice else "ok"
    return f"{verdict:<7}  {check.name:<12}  {' '.join(filter(None, (check.message, check.advice)))}"


def _all(paths: Paths, level: str) -> Iterator[Check]:
    yield _data_folder(paths.data)
    yield _log_folder(paths.logs)
    yield _disk(paths.data)
    yield _web_engine()
    try:
        with session(paths, level) as client:
            yield Check("store", True, f"{paths.database} opens.")
            yield _keychain(client)
            yield _model(client)
            yield _sandbox(client)
            yield from _errors(client)
            yield from _leaks(client)
            yield _version(client)
    except AppError as error:
        yield Check("store", False, error.message, error.hint)


def _data_folder(folder: Path) -> Check:
    name = "data folder"
    if not folder.exists():
        parent = _existing(folder)
        if os.access(parent, os.W_OK):
            return Check(name, True, f"{folder} will be made.")
        return Check(
            name, False, f"{folder} cannot be made.", f"Give your user the right to write to {parent}."
        )
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check(name, False, f"{folder} cannot be written.", "Give your user the right to write there.")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        return Check(name, False, f"Other users can look into {folder}.", f"Run: chmod 700 '{folder}'")
    return Check(name, True, f"{folder} is yours alone.")


def _log_folder(folder: Path) -> Check:
    if os.access(_existing(folder), os.W_OK):
        return Check("log", True, f"The log is in {folder}: {COMBINED}, and {ERRORS} for what went wrong.")
    return Check("log", False, f"{folder} cannot be written.", "Give your user the right to write there.")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    said = f"{free / 2**30:.1f} GB are free."
    if free >= LEAST_FREE_BYTES:
        return Check("disk", True, said)
    return Check("disk", False, said, "Free some: Deskside needs 0.5 GB to work safely.")


def _existing(path: Path) -> Path:
    """The path itself, or its nearest parent that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _web_engine() -> Check:
    """Loaded in another process: a system library that is missing can end the process that tries."""
    name = "web engine"
    if sys.platform == "darwin":
        return Check(name, True, "WKWebView is a part of macOS.")
    if sys.platform == "win32":
        return _webview2(name)
    wanted = os.environ.get("DESKSIDE_WINDOW")
    tried = []
    for engine, module in (("qt", "PySide6"), ("gtk", "gi")):
        if wanted in (None, "", engine) and importlib.util.find_spec(module) is not None:
            tried.append(outcome := _try_engine(engine))
            if outcome.returncode == 0:
                return Check(name, True, outcome.stdout.strip() + ".")
    advice = "Install one: pip install 'deskside[qt]', or apt install python3-gi gir1.2-webkit2-4.1."
    reason = (tried[-1].stderr.strip().splitlines() or [""])[-1] if tried else "None is installed."
    return Check(name, False, f"No web engine can be loaded. {reason}".rstrip(), advice)


def _try_engine(engine: str) -> subprocess.CompletedProcess[str]:
    arguments = python_child(ENGINE_PROBE, engine)
    try:
        return run_child(arguments, time_limit_s=ENGINE_LIMIT_S)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 1, "", f"It did not load within {ENGINE_LIMIT_S} s.")


def _webview2(name: str) -> Check:
    import winreg

    version = runtime_version(winreg)
    if version is None:
        return Check(name, False, "The WebView2 runtime is missing.", HINT)
    return Check(name, True, f"WebView2 {version}.")


def _keychain(client: Client) -> Check:
    status = client.call("keys.overview")["keychain"]
    if status["state"] in ("ready", "file_ready"):
        return Check("keychain", True, f"Keys are kept in {status['backend']}.")
    if status["state"] == "missing":
        # Common on servers, and no reason to call a machine ill: keys can come from the environment or
        # a file with a passphrase, and the small model needs none.
        return Check("keychain", True, "", status["hint"])
    said = {
        "locked": "The keychain is locked.",
        "file_locked": "The file with your keys wants its passphrase.",
    }
    return Check("keychain", False, said.get(status["state"], status["state"]), status["hint"])


def _sandbox(client: Client) -> Check:
    """One small program, run as a tool that the user wrote is."""
    tool = {"source": "def it(): return 6 * 7", "parameters": {"type": "object"}, "arguments": {}}
    tried = client.call("tools.try_out", tool)
    if tried["ok"] and tried["result"] == "42":
        return Check("sandbox", True, "Python of agents and of your tools runs in the sandbox.")
    return Check("sandbox", False, tried["error"], "Install Deskside again.")


def _errors(client: Client) -> Iterator[Check]:
    """What failed in the last week; a crash of Python itself on its own."""
    since_ms = (time.time() - WEEK_S) * 1000
    rows = client.call("diagnostics.recent_errors", {"limit": 1000})
    recent = [row for row in rows if row["at_ms"] >= since_ms and row["source"] not in ("run", "keys")]
    crashes = [row for row in recent if row["source"] == "crash"]
    others = [row for row in recent if row["source"] != "crash"]
    report = "Look at them in Settings, under Diagnostics, and report them with “Copy report”."
    if crashes:
        yield Check(
            "crashes", False, f"{crashes[0]['message']} ({_times(crashes)} in the last 7 days.)", report
        )
    else:
        yield Check("crashes", True, "Python has not crashed in the last 7 days.")
    if others:
        # What went wrong once need not be wrong now.
        yield Check("errors", True, f"Something failed {_times(others)} in the last 7 days.", report)
    else:
        yield Check("errors", True, "Nothing has failed in the last 7 days.")


def _times(rows: list[dict[str, Any]]) -> str:
    count = sum(row["count"] for row in rows)
    return "once" if count == 1 else f"{count:,} times"


def _leaks(client: Client) -> Iterator[Check]:
    found = client.call("diagnostics.self_check")
    for leak in msgspec.convert(found["leaks"], list[leaks.Leak]):
        yield Check("keys", False, leaks.summary(leak), leaks.advice(leak))
    if found["leaks"]:
        return
    count = found["keys"]
    said = "There is no key to look for in what Deskside has written."
    if count:
        keys = "1 key was" if count == 1 else f"{count:,} keys were"
        said = f"{keys} looked for in the {found['files']:,} files that Deskside has written: none is there."
    advice = ""
    if found["unread"]:
        said += f" {found['unread']:,} could not be read."
        advice = "Unlock the keychain or the file of keys, and run this again."
    elif not found["is_complete"]:
        advice = "The time was up before the last file. Run this again while less is running."
    elif found["unreadable"]:
        advice = f"Give your user the right to read {', '.join(found['unreadable'])}."
    yield Check("keys", True, said, advice)


def _version(client: Client) -> Check:
    """From the last look: to be told how things are is no wish to reach anybody."""
    known = client.call("updates.status")
    said = f"This is Deskside {known['version']}."
    newer = known["newer"]
    if newer is not None:
        advice = (
            f"Read what is new in its window, or get it: {newer['download'] or 'where this one is from'}."
        )
        unsupported = "" if known["is_supported"] else " This one gets no fixes any more."
        return Check(
            "version",
            True,
            f"{said} {newer['version']} of {newer['date']} is available.{unsupported}",
            advice,
        )
    if known["why_not"]:
        return Check("version", True, f"{said} {known['why_not']}")
    if known["problem"]:
        return Check("version", True, f"{said} {known['problem']}", "Look again in Settings, under About.")
    if known["looked_ms"] is None:
        return Check("version", True, f"{said} It has not looked for a newer one yet.")
    day = time.strftime("%Y-%m-%d", time.localtime(known["looked_ms"] / 1000))
    return Check("version", True, f"{said} It was the newest on {day}.")


def _model(client: Client) -> Check:
    state: dict[str, Any] = client.call("app.state")
    if state["default_model"] is not None:
        return Check("model", True, f"New conversations start with {state['default_model']}.")
    device = client.call("device.status")
    reason = "" if device["can_run"] else f" {device['reason']}"
    return Check(
        "model",
        False,
        f"No model is set up.{reason}",
        "Add a key in Settings, set OPENAI_API_KEY or ANTHROPIC_API_KEY, or download the small model.",
    )
