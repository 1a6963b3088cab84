"""`deskside rescue`: works on the files themselves, as the store of a damaged database may not open."""

from __future__ import annotations

import argparse
import sys

import msgspec

from deskside.backend import rescue as rescues
from deskside.backend.errors import Conflict, InvalidRequest
from deskside.backend.paths import Paths
from deskside.backend.store.salvage import Rescue
from deskside.shell.instance import AlreadyRunning, claim


def rescue(paths: Paths, arguments: argparse.Namespace) -> None:
    """Say what can be read and, after a question, put it in the place of the damaged database, which is kept.

    Raises the store's errors, Conflict while Deskside runs, InvalidRequest where the user says no.
    """
    try:
        with claim(paths):
            found = rescues.prepare(paths)
            try:
                _say(found, as_json=arguments.json)
                if not arguments.dry_run:
                    if not (arguments.yes or _agrees()):
                        raise InvalidRequest("Nothing was changed.", hint="")
                    rescues.confirm(paths, found)
            finally:
                done = rescues.apply_pending(paths)  # removes what was not confirmed
    except AlreadyRunning as error:
        raise Conflict(f"Deskside is running on {paths.data}.", hint="Close it first.") from error
    if done is not None:
        print(f"Done. The damaged database is kept in {done.kept}.", file=sys.stderr)


def _say(found: Rescue, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    print(f"{'':<22}{'rescued':>9}{'put together':>14}{'lost':>14}")
    for line in rescues.Findings.of(found).lines:
        lost = f"{line.lost:,}"
        if line.may_be_more:
            lost = f"{lost} or more" if line.lost else "not known"
        print(f"{line.name:<22}{line.rescued:>9,}{line.rebuilt:>14,}{lost:>14}")
    if found.is_without_wal:
        print("The -wal file beside the database belongs to another one, and was left out.")
    if found.is_whole:
        print("Nothing is lost, as far as can be seen.")


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest("There is no terminal to ask on.", hint="Read the above, then add --yes.")
    return input("Put this in the place of the damaged database? [y/N] ").strip().lower() in ("y", "yes")
