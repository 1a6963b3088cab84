"""`deskside backup` and `deskside restore`: they work on the files themselves, beside a running Deskside or
without one, also where its store does not open."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path

from deskside.backend.backups import encryption, restoring
from deskside.backend.backups.comparing import Difference
from deskside.backend.backups.making import make_backup
from deskside.backend.backups.manifest import Manifest, read_folder
from deskside.backend.backups.progress import Phase
from deskside.backend.backups.restoring import Applied, Preview
from deskside.backend.errors import InvalidRequest, NotFound, StoreDamaged
from deskside.backend.paths import Paths
from deskside.backend.store.database import open_store
from deskside.backend.store.sqlite_errors import store_error
from deskside.shell.instance import AlreadyRunning, claim

# Below the folder that the user names, which may hold other things.
FOLDER = "deskside-backups"
SAYS = {
    "daily": "daily",
    "manual": "made by hand",
    "before_migration": "before an update",
    "before_restore": "before a restore",
}
DOES: dict[Phase, str] = {
    "copying": "Copying",
    "checking": "Checking",
    "files": "Attached files",
    "encrypting": "Encrypting",
    "decrypting": "Decrypting",
    "updating": "Bringing it up to date",
    "comparing": "Comparing",
}
SHOW_EVERY_S = 0.2


def back_up(paths: Paths, arguments: argparse.Namespace) -> None:
    """Make a backup, or list those that are there. Raises the store's errors."""
    folder = Path(arguments.to).expanduser().resolve() / FOLDER if arguments.to else paths.backups
    if arguments.list:
        _list(folder)
        return
    if not paths.database.exists():
        raise NotFound(f"There is nothing to back up in {paths.data}.", hint="Is it the right --data-dir?")
    encrypting = encryption.new_encryption(_new_passphrase()) if arguments.passphrase else None
    with _told(paths.database), _progress() as report:
        made = make_backup(paths.database, folder, "manual", encrypting=encrypting, report=report)
    print(folder / f"{made.name}.json")
    if made.missing:
        print(f"{_many(len(made.missing), 'attached file')} could not be found.", file=sys.stderr)


def restore(paths: Paths, arguments: argparse.Namespace) -> None:
    """Show what a backup would change and, after a question, put it in place: at once, or when the Deskside
    that runs is started again."""
    source = _source(paths, arguments.backup)
    with _told(paths.database):
        preview = _prepared(paths, source)
        print(_shown(preview))
        if arguments.dry_run:
            restoring.cancel(paths)
            return
        if not (arguments.yes or _agrees()):
            restoring.cancel(paths)
            raise InvalidRequest("Nothing was changed.", hint="")
        restoring.confirm(paths, preview.source)
        try:
            with claim(paths):
                applied = asyncio.run(_applied(paths))
        except AlreadyRunning:
            print("Deskside is running: the backup takes effect when it is closed and started again.")
            return
    if applied is None or applied.outcome == "failed":
        raise StoreDamaged(applied.message if applied else "The backup was not restored.", hint="")
    print(applied.message)


async def _applied(paths: Paths) -> Applied | None:
    async with open_store(paths) as store:
        return store.applied


def _source(paths: Paths, name: str) -> Path:
    """A file, or the name of a backup as the list says it."""
    listed = paths.backups / f"{name}.json"
    return listed if "/" not in name and listed.is_file() else Path(name).expanduser().resolve()


def _prepared(paths: Paths, source: Path) -> Preview:
    with _progress() as report:
        try:
            return restoring.prepare(paths, source, None, report)
        except restoring.PassphraseWanted:
            pass
        return restoring.prepare(paths, source, _secret("Passphrase: "), report)


def _list(folder: Path) -> None:
    found, unreadable = read_folder(folder) if folder.is_dir() else ([], [])
    for backup in found:
        print(_line(backup))
    for path in unreadable:
        print(f"{path.stem:<44}  damaged, or of a newer Deskside")
    if not found and not unreadable:
        print(f"There is no backup in {folder}.")


def _line(backup: Manifest) -> str:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(backup.made_ms / 1000))
    closed = ", encrypted" if backup.encryption else ""
    conversations = _many(backup.tables.get("conversation", 0), "conversation")
    size = f"{backup.size_bytes / 1e6:,.1f} MB"
    return f"{backup.name:<44}  {made}  {size:>12}  {conversations}, {SAYS[backup.kind]}{closed}"


def _shown(preview: Preview) -> str:
    found = preview.comparison
    lines = [f"The backup has {_many(found.backup.conversations, 'conversation')}."]
    if preview.made_ms is not None:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(preview.made_ms / 1000))
        lines[0] = f"The backup of {made} has {_many(found.backup.conversations, 'conversation')}."
    if preview.schema < preview.newest_schema:
        lines.append("It was made by an older Deskside and has been brought up to date.")
    if preview.missing_files:
        lines.append(f"{_many(preview.missing_files, 'attached file')} of it could not be found.")
    if found.allows:
        lines.append("With it the assistant or its servers may, as they may not now:")
        lines += [f"  {line}" for line in found.allows]
    if found.here is None:
        return "\n".join([*lines, "What is here now cannot be read; its files will be kept."])
    lines += _titles(found.only_here, "would go, as {they} only here")
    lines += _titles(found.only_in_backup, "would come back")
    lines += _titles(found.changed, "would be as {they} then")
    if len(lines) == 1:
        lines.append("Its conversations are the same as those here.")
    return "\n".join([*lines, "What is here now will be backed up first."])


def _titles(difference: Difference, what: str) -> list[str]:
    if difference.count == 0:
        return []
    they = "it is" if difference.count == 1 else "they are"
    if "then" in what:
        they = they.replace("is", "was").replace("are", "were")
    more = difference.count - len(difference.titles)
    lines = [f"{_many(difference.count, 'conversation')} {what.format(they=they)}:"]
    lines += [f"  {title}" for title in difference.titles]
    return [*lines, f"  and {more:,} more"] if more else lines


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest("There is no terminal to ask on.", hint="Read the above, then add --yes.")
    return input("Restore it? [y/N] ").strip().lower() in ("y", "yes")


def _new_passphrase() -> str:
    passphrase = _secret("New passphrase: ")
    if len(passphrase) < encryption.SHORTEST_PASSPHRASE:
        raise InvalidRequest(
            f"A passphrase has at least {encryption.SHORTEST_PASSPHRASE} characters.",
            hint="Choose a longer one.",
        )
    if sys.stdin.isatty() and getpass("Again: ") != passphrase:
        raise InvalidRequest("The two are not the same.", hint="Try again.")
    return passphrase


def _secret(prompt: str) -> str:
    """Typed unseen, or the next line of a pipe."""
    return getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


@contextmanager
def _told(database: Path) -> Iterator[None]:
    """What SQLite and the disk say, as the user would put it."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        told = store_error(error, database)
        if told is None:
            raise
        raise told from error


@contextmanager
def _progress() -> Iterator[_Line]:
    line = _Line()
    try:
        yield line
    finally:
        line.clear()


class _Line:
    """One line on a terminal that says what is done; nothing in a pipe."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._next_s = 0.0
        self._is_dirty = False

    def __call__(self, phase: Phase, part: float) -> None:
        if not self._shows or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + SHOW_EVERY_S
        self._is_dirty = True
        part_said = f" {part:.0%}" if part else ""
        print(f"\r\x1b[K{DOES.get(phase, phase)}{part_said} …", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._is_dirty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
