"""Looking for words in what was said: the full-text index with its conversations."""

from __future__ import annotations

import re

import msgspec

from deskside.backend.store.connection import Db

# Ranking looks at every hit; beyond these the newest are taken, which the index gives in order.
RANKED_HITS = 3_000
MOST_WORDS = 12
SNIPPET_WORDS = 30


class FoundMessage(msgspec.Struct, frozen=True):
    """A message with the words. `snippet` is the text around them, which are between ** and **."""

    conversation_id: int
    title: str
    role: str
    created_ms: int
    snippet: str


def find(db: Db, query: str, limit: int, without: int) -> list[FoundMessage]:
    """Messages with all words of `query` (or words that begin so), else with any of them, the best first.

    Deleted conversations and the one `without` are left out. Nothing for a query without a word.
    """
    words = [f'"{word}"*' for word in re.findall(r"\w+", query)[:MOST_WORDS]]
    for joined in dict.fromkeys((" ".join(words), " OR ".join(words))):
        found = _matching(db, joined, limit, without) if joined else []
        if found:
            return found
    return []


def _matching(db: Db, words: str, limit: int, without: int) -> list[FoundMessage]:
    (hits,) = db.sql.execute(
        "select count(*) from (select 1 from message_search where message_search match ? limit ?)",
        (words, RANKED_HITS + 1),
    ).fetchone()
    order = "rank" if hits <= RANKED_HITS else "message_search.rowid desc"
    rows = db.sql.execute(
        "select c.id, c.title, m.role, m.created_ms, "
        f"snippet(message_search, 0, '**', '**', '…', {SNIPPET_WORDS}) "
        "from message_search join message_part p on p.id = message_search.rowid "
        "join message m on m.id = p.message join conversation c on c.id = m.conversation "
        "where message_search match ? and c.deleted_ms is null and c.id <> ? "
        f"order by {order} limit ?",
        (words, without, limit),
    )
    return [FoundMessage(*row) for row in rows]
