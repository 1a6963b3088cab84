"""What an import found, and what it left out and why."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["conversation", "message", "part", "file", "link", "note"]
"""What was left out: a whole conversation, a message, a part of one, an attachment; a link between two
messages that could not be kept; "note" is something that came, and that the user should know of."""

# Of more the counts are right, but they are not named one by one.
LISTED = 2_000
LONGEST = 200


class Skipped(msgspec.Struct, frozen=True):
    """One thing that was left out. `conversation` is a title."""

    kind: Kind
    conversation: str
    what: str
    reason: str


class SkippedCount(msgspec.Struct, frozen=True):
    """How often something was left out for one reason."""

    kind: Kind
    reason: str
    count: int


class TransferCounts(msgspec.Struct, frozen=True):
    """What is in a file, or came out of it. `already_here` conversations add nothing; `grown` take the place
    of what an earlier import made of them; `beside` have grown, too, but the user went on with the earlier
    one, which stays."""

    conversations: int = 0
    messages: int = 0
    files: int = 0
    already_here: int = 0
    grown: int = 0
    beside: int = 0


class Report:
    """Collects what is left out. `of` sets the conversation that it is told of from then on."""

    def __init__(self) -> None:
        self.items: list[Skipped] = []
        self._counts: dict[tuple[Kind, str], int] = {}
        self._conversation = ""
        self._of_this: list[tuple[Kind, str]] = []
        self._items_before = 0

    def begin(self) -> None:
        """What is told from here on is of another conversation, whose title is not known yet."""
        self._conversation, self._of_this, self._items_before = "", [], len(self.items)

    def forget(self) -> None:
        """Nothing was left out of this conversation: it is left out itself."""
        del self.items[self._items_before :]
        for key in self._of_this:
            self._counts[key] -= 1
        self._of_this = []

    def of(self, conversation: str) -> None:
        self._conversation = _short(conversation)

    def skip(self, kind: Kind, what: str, reason: str) -> None:
        """`reason` is a sentence that does not name the thing, so that those with the same one can be
        counted."""
        key = (kind, _short(reason))
        self._counts[key] = self._counts.get(key, 0) + 1
        self._of_this.append(key)
        if len(self.items) < LISTED:
            self.items.append(Skipped(kind, self._conversation, _short(what), key[1]))

    @property
    def count(self) -> int:
        """Of all that was left out."""
        return sum(self._counts.values())

    @property
    def counts(self) -> list[SkippedCount]:
        """The most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda each: -each[1])
        return [SkippedCount(kind, reason, count) for (kind, reason), count in ordered[:LISTED] if count]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
