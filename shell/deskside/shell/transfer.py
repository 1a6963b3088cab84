"""`deskside export` and `deskside import`: conversations to a file and out of one, from the terminal.

The backend does the work, ours or that of the Deskside that runs; the file's path goes to it over the control
socket. Ctrl-C stops in order: an import keeps the conversations that came, an export leaves no file.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from deskside.backend.errors import Cancelled, InvalidRequest
from deskside.backend.paths import Paths
from deskside.shell.client import Client, Refused
from deskside.shell.running import offer_file, session

LOOK_EVERY_S = 0.1
ENDINGS = {"json": ".json", "markdown": ".md", "html": ".html"}
LISTED = 20


def export(paths: Paths, level: str, arguments: argparse.Namespace) -> None:
    """Write conversations to a file, and say where. Raises Refused with the backend's words."""
    chosen = None if arguments.all else arguments.ids
    target = Path(arguments.to or _usual_name(arguments.format, chosen)).expanduser().absolute()
    if target.is_dir():
        raise InvalidRequest(f"{target} is a folder.", hint="Give --to the path of a file.")
    with session(paths, level) as client:
        ticket = offer_file(paths, target)
        params = {"ticket": ticket, "format": arguments.format, "ids": chosen}
        ended = _ended(client, client.call("transfers.export_to", params))
    print(f"{_counted(ended['counts']['conversations'], 'conversation')} exported to {ended['path']}")


def import_(paths: Paths, level: str, arguments: argparse.Namespace) -> None:
    """Look at a file and, unless it is a dry run, import it. Raises Refused with the backend's words."""
    program = None if arguments.source == "auto" else arguments.source
    path = Path(arguments.file).expanduser().absolute()
    with session(paths, level) as client:
        ticket = offer_file(paths, path)
        ended = _ended(client, client.call("transfers.look", {"ticket": ticket, "program": program}))
        if not arguments.dry_run:
            ended = _ended(client, client.call("transfers.import_"))
        skipped = client.call("transfers.skipped")
        client.call("transfers.put_away")
    print(_summary(ended, is_trial=arguments.dry_run))
    for line in _left_out(skipped):
        print(line)


def _ended(client: Client, transfer: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a transfer. Ctrl-C stops it first."""
    try:
        while transfer["state"] in ("looking", "working"):
            _show(transfer)
            time.sleep(LOOK_EVERY_S)
            transfer = client.call("transfers.current")
    except KeyboardInterrupt:
        client.call("transfers.cancel")
        while transfer["state"] in ("looking", "working"):
            time.sleep(LOOK_EVERY_S)
            transfer = client.call("transfers.current")
    _show(None)
    if transfer["state"] == "failed":
        raise Refused(transfer["message"], hint=transfer["hint"])
    if transfer["state"] == "cancelled":
        count = transfer["counts"]["conversations"]
        is_import = transfer["kind"] == "import"
        hint = f"{_counted(count, 'conversation')} came, and stay." if is_import else "No file was written."
        raise Cancelled("Stopped.", hint=hint)
    return transfer


def _show(transfer: dict[str, Any] | None) -> None:
    """A line on the terminal that is written over; nothing where there is no terminal."""
    if not sys.stderr.isatty():
        return
    line = ""
    if transfer is not None and transfer["total"]:
        line = f"{100 * transfer['done'] // transfer['total']} %"
    print(f"\r{line:<8}", end="" if line else "\r", file=sys.stderr, flush=True)


def _usual_name(format: str, chosen: list[int] | None) -> str:
    if chosen is not None and len(chosen) == 1:
        return f"conversation-{chosen[0]}{ENDINGS[format]}"
    return f"deskside-conversations-{date.today().isoformat()}.zip"


def _summary(ended: dict[str, Any], *, is_trial: bool) -> str:
    counts = ended["counts"]
    verb = "would be imported" if is_trial else "imported"
    brought = ", ".join(
        _counted(counts[name], what)
        for name, what in (("conversations", "conversation"), ("messages", "message"), ("files", "file"))
    )
    parts = [f"{ended['program']}: {brought} {verb}"]
    if counts["already_here"]:
        parts.append(f"{counts['already_here']} are here already")
    if counts["grown"]:
        parts.append(f"{counts['grown']} of them in place of an earlier import")
    if counts["beside"]:
        parts.append(f"{counts['beside']} of them beside an earlier import that was gone on with")
    return "; ".join(parts) + "."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _left_out(skipped: dict[str, Any]) -> list[str]:
    """What was left out by reason, with the first of each."""
    lines = []
    for each in skipped["counts"]:
        lines.append(f"  {each['count']} × {each['kind']}: {each['reason']}")
        those = [
            item
            for item in skipped["items"]
            if (item["kind"], item["reason"]) == (each["kind"], each["reason"])
        ]
        lines += [f"      {item['conversation'] or '(no title)'}: {item['what']}" for item in those[:LISTED]]
        if each["count"] > LISTED:
            lines.append(f"      and {each['count'] - LISTED} more")
    return lines
