"""Which backups are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime

from deskside.backend.backups.manifest import Kind, Manifest

DAILY = 7
WEEKLY = 4
MONTHLY = 6
# Besides those: what the user asked for, and what was there before a change, each the newest few.
NEWEST: dict[Kind, int] = {"daily": 1, "manual": 10, "before_migration": 5, "before_restore": 5}


def kept(backups: Iterable[Manifest]) -> set[int]:
    """The numbers of those that stay: the newest of each of the last 7 days, 4 weeks and 6 months that have
    any, and the newest few of each kind.

    Which is the newest says its number, not its time: a clock that was wrong once, or was set back, makes
    no backup look old that was just made. Days are the user's own, weeks begin on Monday.
    """
    newest_first = sorted(backups, key=lambda backup: backup.number, reverse=True)
    generations = [backup for backup in newest_first if backup.kind in ("daily", "manual")]
    found = {
        *_newest_of_each(generations, DAILY, lambda day: day),
        *_newest_of_each(generations, WEEKLY, lambda day: day.isocalendar()[:2]),
        *_newest_of_each(generations, MONTHLY, lambda day: (day.year, day.month)),
    }
    for kind, count in NEWEST.items():
        found.update([backup.number for backup in newest_first if backup.kind == kind][:count])
    return found


def _newest_of_each(
    newest_first: list[Manifest], count: int, period_of: Callable[[date], object]
) -> Iterable[int]:
    newest: dict[object, int] = {}
    for backup in newest_first:
        newest.setdefault(period_of(_day(backup)), backup.number)
    return list(newest.values())[:count]


def _day(backup: Manifest) -> date:
    try:
        return datetime.fromtimestamp(backup.made_ms / 1000).date()
    except (OverflowError, OSError, ValueError):  # beyond what the system's calendar has
        return date.min
