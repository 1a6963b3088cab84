"""Kill the program again and again while everything happens at once, and see whether anything is missing.

    python build/bench/torture.py [--kills 200] [--seed 1]

Each round ends in one `kill -9` at a random moment. Most rounds start `deskside --serve` on the same data
folder and let every activity of torture_activities.py work in a thread of its own; one in five of those is
killed while it still starts. In one round of eight a backup is restored meanwhile, in one of eight the start
brings a store of the schema before this one up to date, in a folder of its own.

Then torture_checks.py looks at a copy of what is left. What an activity was told is done is written down
here, outside of the program; each of these facts must be in the database, and in the backups made since.
Besides: `integrity_check`, `foreign_key_check`, the search index against its table, depth and shown path of
every message, whole imports; and, once the next start has repaired what the crash left, no reply that still
streams, no attached file without a row and no row without its file.

All choices follow from the seed; when the kill falls does not. Exits 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from torture_activities import ACTIVITIES, Worker
from torture_checks import (
    Fact,
    Facts,
    Journal,
    check_backups,
    check_copy,
    check_settled,
    inconsistencies,
    missing,
)
from torture_program import ROOT, Gone, Program, kill, run

sys.path[:0] = [str(ROOT / "backend"), str(ROOT / "tests")]

from deskside.backend.backups.manifest import read_folder  # noqa: E402 - a checkout that is not installed
from deskside.backend.store.migrate import migrate  # noqa: E402
from deskside.backend.store.schema import read_migrations  # noqa: E402
from provider_server import ProviderServer  # noqa: E402
from stores import connected  # noqa: E402

WORKS_S = (0.05, 3.0)  # after the program answers
STARTS_S = (0.0, 2.5)  # where it is killed before that
RESTORES_S = (0.0, 1.5)
RESTORES = MIGRATES = 1 / 8
# Looking at a store takes the longer the more is in it.
ROUNDS_A_STORE = 50
OLD_CONVERSATIONS = 3000


@dataclass
class Round:
    """What happened, and what is wrong."""

    killed: str
    told: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Place:
    """Where a round plays, and what is known of it."""

    data: Path
    environ: dict[str, str]
    old: Path
    """A database of the schema before this one."""
    journal: Journal = field(default_factory=Journal)

    @property
    def files(self) -> Path:
        """For the files that are imported."""
        folder = self.data.with_name(f"{self.data.name} files")
        folder.mkdir(exist_ok=True)
        return folder


def play(place: Place, seed: str) -> Round:
    """One round: start, work, kill, and look."""
    chance = random.Random(seed)
    which = chance.random()
    if which < MIGRATES:
        return migrate_and_kill(place, chance)
    if which < MIGRATES + RESTORES and place.journal.backups:
        return restore_and_kill(place, chance)
    played = work_and_kill(place, chance, seed)
    played.facts = len(place.journal.facts)
    played.wrong += check_copy(place.data, place.journal.facts)
    played.wrong += check_backups(place.data, place.journal)
    return played


def started(data: Path, environ: dict[str, str], wrong: list[str]) -> Program:
    """The program, once it has repaired what the last crash left."""
    program = Program(data, environ)
    try:
        program.wait_until_it_answers()
        wrong += check_settled(data, program)
    except BaseException:
        program.kill()
        raise
    return program


def killed_while_it_starts(data: Path, environ: dict[str, str], chance: random.Random) -> float:
    """Returns how far it came, in seconds."""
    program = Program(data, environ)
    after_s = chance.uniform(*STARTS_S)
    time.sleep(after_s)
    program.kill()
    return after_s


# -- everything at once ---------------------------------------------------------------------------


def work_and_kill(place: Place, chance: random.Random, seed: str) -> Round:
    if chance.random() < 0.2 and (place.data / "deskside.db").exists():
        after_s = killed_while_it_starts(place.data, place.environ, chance)
        return Round(f"{after_s:.2f} s into its start")
    wrong: list[str] = []
    program = started(place.data, place.environ, wrong)
    with ThreadPoolExecutor(len(ACTIVITIES)) as threads:
        try:
            program.call("settings.change", {"max_runs": 2 * len(ACTIVITIES)})
            place.journal.told.clear()
            after_s = chance.uniform(*WORKS_S)
            ended = {
                activity.__name__: threads.submit(
                    activity, Worker(activity.__name__, program, place.journal, seed, place.files)
                )
                for activity in ACTIVITIES
            }
            time.sleep(after_s)
        finally:
            program.kill()
    for name, future in ended.items():
        error = future.exception()
        if not isinstance(error, Gone):
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return Round(f"{after_s:.2f} s into its work", Counter(place.journal.told), wrong=wrong)


# -- a restore ------------------------------------------------------------------------------------


def restore_and_kill(place: Place, chance: random.Random) -> Round:
    """Restore a backup as a terminal does: it is confirmed beside the program, and takes effect at its next
    start. What was acknowledged before is then either all there, or all that the backup had."""
    data, journal = place.data, place.journal
    wrong: list[str] = []
    name = chance.choice(list(journal.backups))
    backup = journal.backups[name]
    program = started(data, place.environ, wrong)
    command = run("restore", name, "--yes", "--data-dir", str(data), environ=place.environ)
    if chance.random() < 0.4:
        after_s = chance.uniform(*RESTORES_S)
        with suppress(subprocess.TimeoutExpired):
            command.wait(after_s)
        kill(command)
        is_confirmed = command.returncode == 0
        program.kill()
        killed = f"{after_s:.2f} s into a restore"
    else:
        _, said = command.communicate(timeout=120)
        is_confirmed = command.returncode == 0
        if not is_confirmed:
            wrong.append(f"{name} was not restored: {said[-500:]}")
        program.kill()
        after_s = killed_while_it_starts(data, place.environ, chance)
        killed = f"{after_s:.2f} s, restoring"
    wrong += check_copy(data, journal.facts, backup)
    started(data, place.environ, wrong).kill()
    if is_confirmed:
        wrong += check_copy(data, backup) + conversations_differ(data, name)
        journal.facts = dict(backup)
    elif check_copy(data, journal.facts):  # it was confirmed, and killed before it could say so
        wrong += check_copy(data, backup)
        journal.facts = dict(backup)
    wrong += check_backups(data, journal)
    return Round(killed, facts=len(journal.facts), wrong=wrong)


def conversations_differ(data: Path, name: str) -> list[str]:
    """Whether the store has other conversations than the backup that was restored last."""
    select = "select count(*), sum(id) from conversation"
    there = []
    for file in (data / "deskside.db", data / "backups" / f"{name}.db"):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            there.append(database.execute(select).fetchone())
    return [] if there[0] == there[1] else [f"conversations: {there[0]} instead of {there[1]}"]


# -- a migration ----------------------------------------------------------------------------------


def migrate_and_kill(place: Place, chance: random.Random) -> Round:
    """Start on a store of the schema before this one. Killed, it is at the one or the other, with all that
    was in it; the next start brings it up to date, from a backup on."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(dir=place.data.parent) as folder:
        data = Path(folder)
        (data / "deskside.db").write_bytes(place.old.read_bytes())
        after_s = killed_while_it_starts(data, place.environ, chance)
        facts = facts_of_old()
        wrong += check_copy(data, facts)
        started(data, place.environ, wrong).kill()
        wrong += check_copy(data, facts)
        wrong += check_backups(data, Journal())
        found, _ = read_folder(data / "backups")
        if "before_migration" not in {backup.kind for backup in found}:
            wrong.append("there is no backup of what was there before the migration")
        for backup in found:
            with closing(connected(data / "backups" / backup.database)) as database:
                wrong += inconsistencies(database) + missing(database, facts)
    return Round(f"{after_s:.2f} s, migrating", facts=len(facts), wrong=wrong)


def make_old(path: Path) -> None:
    """A store of the schema before this one."""
    migrate(path, None, read_migrations()[:-1])
    ids = range(1, OLD_CONVERSATIONS + 1)
    with closing(connected(path)) as database:
        database.execute("insert into user values (1, '', 'system', 'en', 0)")
        database.executemany(
            "insert into conversation (id, user, title, draft, created_ms, updated_ms) "
            "values (?, 1, ?, '', 0, 0)",
            [(id, f"Old {id}") for id in ids],
        )
        for number, role in enumerate(("user", "assistant")):
            rows = [(2 * id + number, id, 2 * id if number else None, number, role) for id in ids]
            database.executemany(
                "insert into message (id, conversation, parent, depth, is_shown, role, status, created_ms) "
                "values (?, ?, ?, ?, 1, ?, 'complete', 0)",
                rows,
            )
            database.executemany(
                "insert into message_part (message, position, step, kind, text, origin) "
                "values (?, 0, 0, 'text', ?, ?)",
                [
                    (row[0], f"{role} {row[0]} " + "and on " * 40, "model" if number else "user")
                    for row in rows
                ],
            )
        database.execute("update conversation set head = 2 * id + 1")
        database.execute("insert into message_search (message_search) values ('rebuild')")
        database.commit()


def facts_of_old() -> Facts:
    return {
        "conversations": Fact("select count(*) from conversation", (), (OLD_CONVERSATIONS,)),
        "messages": Fact("select count(*) from message", (), (2 * OLD_CONVERSATIONS,)),
        "texts": Fact(
            "select count(*) from message_part join message on message.id = message_part.message "
            "where text glob role || ' ' || message.id || ' *'",
            (),
            (2 * OLD_CONVERSATIONS,),
        ),
        "heads": Fact("select count(*) from conversation where head = 2 * id + 1", (), (OLD_CONVERSATIONS,)),
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description="Kill the program while everything happens at once.")
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    names = [activity.__name__ for activity in ACTIVITIES]
    print(f"{'round':>5}  {'killed':<24}" + "".join(f"{name:>8}" for name in names) + f"{'facts':>8}")
    total: Counter[str] = Counter()
    failed = 0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ProviderServer(chunks=25, chunk_delay_s=0.004) as provider,
    ):
        environ = {
            "OPENAI_API_KEY": "sk-test-0000000000000000",
            "OPENAI_BASE_URL": provider.openai_url,
            "DESKSIDE_MODEL": "openai/gpt-test",
        }
        old = Path(folder) / "old.db"
        make_old(old)
        for number in range(1, options.kills + 1):
            if number % ROUNDS_A_STORE == 1:
                place = Place(Path(folder) / f"data {number}", environ, old)
            played = play(place, f"{options.seed} {number}")
            if number % ROUNDS_A_STORE == 0 or number == options.kills:
                started(place.data, environ, played.wrong).kill()
            total += played.told
            failed += bool(played.wrong)
            counts = "".join(f"{played.told[name]:>8}" for name in names)
            print(f"{number:>5}  {played.killed:<24}{counts}{played.facts:>8}", flush=True)
            for each in played.wrong:
                print(f"       WRONG: {each}", flush=True)
    counts = "".join(f"{total[name]:>8}" for name in names)
    print(f"{'all':>5}  {f'{options.kills} kills':<24}{counts}")
    print(f"{sum(total.values())} things were acknowledged; {failed} rounds failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
