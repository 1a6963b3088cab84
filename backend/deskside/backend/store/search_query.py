"""What somebody typed into the search field, as what to look for.

Every text is a query: words, which a message must all have, `"words in this order"`, `begin*`, `-without`,
and filters such as `role:user`. The word at the end may still be half typed. What looks like a filter and is
none is looked for as text, and `notes` says so in words for the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from deskside.backend.store.segmentation import UNSPACED, joined, spelled
from deskside.backend.store.text import storable

MOST_TERMS = 12
# The index knows the begins of words from here on (migration 0009); a shorter one could be anything.
SHORTEST_BEGIN = 3
# A pasted sentence is found by its begin: FTS5 reads all rows of each word, or character of Chinese.
LONGEST_PHRASE = 16

TERM = re.compile(r"""(?P<not>-?)(?:(?P<name>[A-Za-z]+):)?(?:"(?P<quoted>[^"]*)(?P<end>"?)|(?P<bare>\S+))""")
ENDS_UNSPACED = re.compile(f"[{UNSPACED}]\\Z")

FILTERS = ("agent", "model", "role", "has", "in", "is", "after", "before")
CHOICES = {
    "role": ("user", "assistant"),
    "has": ("code", "file", "tool"),
    "is": ("pinned", "archived"),
}
DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")
DAYS_AGO = re.compile(r"(\d{1,4})([dwmy])")
DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


class Term(msgspec.Struct, frozen=True):
    """A word, or several in their order, as the index spells them. `is_begin`: the last may go on. `name` is
    how the index knows the words as a name of code; see segmentation.name_parts."""

    words: str
    is_begin: bool = False
    name: str = ""

    @property
    def phrase(self) -> str:
        """As FTS5 reads it. Nothing in it can mean anything but itself."""
        return f'"{self.name}"*' if self.name else f'"{self.words}"' + "*" * self.is_begin


class Filter(msgspec.Struct, frozen=True):
    """One condition on a message. `value` is a choice, a part of a name, or Unix milliseconds."""

    name: str
    value: str | int
    is_excluding: bool = False


class SearchQuery(msgspec.Struct, frozen=True):
    """What to look for. `notes` are sentences about what was not understood."""

    terms: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def match(self) -> str:
        """The FTS5 expression; empty where there are no words to be found."""
        found = " AND ".join(term.phrase for term in self.terms)
        return f"({found}) NOT ({any_of(self.excluded)})" if found and self.excluded else found

    @property
    def is_empty(self) -> bool:
        return not self.terms and not self.filters


def parse(typed: str, *, now: Callable[[], datetime] = datetime.now) -> SearchQuery:
    """Read what was typed; dates are of the machine's time zone. Never raises."""
    typed = storable(typed).replace("\x00", " ")
    terms: list[Term] = []
    excluded: list[Term] = []
    filters: list[Filter] = []
    notes: list[str] = []
    for found in TERM.finditer(typed):
        name = (found["name"] or "").lower()
        value = found["bare"] if found["quoted"] is None else found["quoted"]
        if name in FILTERS:
            if not value:
                continue
            read = _filter(name, value, now)
            if isinstance(read, str):
                notes.append(read)
            else:
                filters.append(msgspec.structs.replace(read, is_excluding=bool(found["not"])))
            continue
        if name:
            if re.match(r"\w", value) and not value[0].isdigit() and found["quoted"] is None:
                notes.append(f"“{name}:” is no filter, so it is looked for as text.")
            value = f"{name}:{value}"
        if value.rstrip(":").lower() in FILTERS and value.endswith(":"):
            continue  # a filter that is being typed
        is_typed_last = found.end() == len(typed) and not found["end"]
        term = _term(
            value, is_begin=is_typed_last or value.endswith("*"), is_phrase=found["quoted"] is not None
        )
        if term is not None:
            (excluded if found["not"] else terms).append(term)
    if len(terms) + len(excluded) > MOST_TERMS:
        notes.append(f"Only the first {MOST_TERMS} words are looked for.")
    return SearchQuery(
        tuple(terms[:MOST_TERMS]), tuple(excluded[:MOST_TERMS]), tuple(filters), tuple(dict.fromkeys(notes))
    )


def words_in(text: str) -> list[Term]:
    """Just the words of a text, each perhaps a begin: for a model, which writes what it likes."""
    terms = (_term(word, is_begin=True) for word in re.findall(r"\w+", storable(text)))
    return [term for term in terms if term is not None][:MOST_TERMS]


def any_of(terms: Sequence[Term]) -> str:
    """The FTS5 expression for messages with at least one of them."""
    return " OR ".join(term.phrase for term in terms)


def _term(value: str, *, is_begin: bool, is_phrase: bool = False) -> Term | None:
    """None where nothing in it is a word."""
    words = " ".join(spelled(value).replace('"', " ").split()[:LONGEST_PHRASE])
    last = words.rstrip()
    if not any(map(str.isalnum, words)):
        return None
    # What ends with a mark is whole: `foo()`. A character of Chinese is, too.
    is_open = last[-1].isalnum() or last[-1] == "*"
    last = last.rstrip("*")
    length = len(re.split(r"[\W_]", last)[-1])
    is_begin = is_begin and is_open and length >= SHORTEST_BEGIN and not ENDS_UNSPACED.search(last)
    return Term(words, is_begin, "" if is_phrase else joined(value.strip("._()*")))


def _filter(name: str, value: str, now: Callable[[], datetime]) -> Filter | str:
    """The filter, or why there is none."""
    if name in CHOICES:
        # “has:files” and “has:c”, which is being typed, mean one thing only.
        meant = [choice for choice in CHOICES[name] if choice.startswith(value.lower().removesuffix("s"))]
        if len(meant) == 1:
            return Filter(name, meant[0])
        return f"“{name}:” can be {_listed(CHOICES[name])}."
    if name in ("after", "before"):
        at = _moment(value.lower(), now())
        if at is None:
            return f"“{name}:” takes a day such as 2026-03-31, a month, a year, today, or 7d (7 days ago)."
        return Filter(name, int(at.timestamp() * 1000))
    return Filter(name, value)


def _moment(value: str, now: datetime) -> datetime | None:
    """The begin of what is named; None where nothing is."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if value in ("today", "yesterday"):
        return today - timedelta(days=value == "yesterday")
    try:
        if ago := DAYS_AGO.fullmatch(value):
            return today - timedelta(days=int(ago[1]) * DAYS[ago[2]])
        if date := DATE.fullmatch(value):
            moment = datetime(int(date[1]), int(date[2] or 1), int(date[3] or 1))
            moment.timestamp()
            return moment
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _listed(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
