"""`deskside replay RUN|FILE`: run a recorded run again, and say what is other. A saved run is a test case."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.paths import Paths
from deskside.backend.recordings.recordings import is_run_id
from deskside.backend.recordings.replaying import Replayed
from deskside.shell.running import offer_file, session


def replay(paths: Paths, level: str, arguments: argparse.Namespace) -> int:
    """Replay a run or a saved one, and save it where asked to. Returns 1 where it is other and `--check` is
    given, else 0. Raises Refused with the backend's words."""
    run, is_run = arguments.run, is_run_id(arguments.run)
    if arguments.save and not is_run:
        raise InvalidRequest("--save goes with the number of a run.", hint="A file is saved already.")
    with session(paths, level) as client:
        if is_run:
            found = client.call("recordings.replay", {"run_id": int(run)})
        else:
            path = Path(run).expanduser().absolute()
            found = client.call("recordings.replay_file", {"ticket": offer_file(paths, path)})
        if arguments.save:
            text = client.call("recordings.text", {"run_id": int(run), "format": "json"})
            _save(Path(arguments.save).expanduser(), text)
    replayed = msgspec.convert(found, Replayed)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(replayed), indent=2).decode(), flush=True)
    else:
        for line in _lines(replayed):
            print(line, flush=True)
    return 1 if arguments.check and not replayed.is_identical else 0


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be written: {error.strerror or error}.", hint="Give another path."
        ) from error


def _lines(replayed: Replayed) -> Iterator[str]:
    runs = "" if replayed.runs == 1 else f" of {replayed.runs} runs"
    requests = f"{replayed.requests} request{'' if replayed.requests == 1 else 's'}"
    compared = f"{requests} and {replayed.events} events{runs} compared"
    if replayed.is_identical:
        yield f"Run {replayed.run_id} is identical: {compared}."
        return
    count = len(replayed.differences)
    yield f"Run {replayed.run_id} is other in {count} place{'' if count == 1 else 's'}: {compared}."
    for each in replayed.differences:
        where = f"run {each.run_id}" if each.n is None else f"run {each.run_id}, fact {each.n}"
        yield ""
        yield f"{each.what} ({where})"
        for line in each.diff.splitlines():
            yield f"    {line}"
