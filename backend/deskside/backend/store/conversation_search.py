"""Looking for messages and titles in the whole history.

Invariants
  - What a search costs does not grow with the history. Hits are taken in blocks from the newest on; the best
    are put first where one block holds them all, otherwise the newest. A search whose filters leave next to
    nothing ends after SEARCH_FOR_S, says how far back it got, and goes on from there when asked.
  - Nothing of a deleted conversation is found, and no reply that is still being written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.store import replies
from deskside.backend.store.connection import Db
from deskside.backend.store.search_query import Filter, SearchQuery, Term, any_of, parse, words_in
from deskside.backend.store.snippets import Piece, cut, find_hits, snippet
from deskside.backend.store.text import now_ms

# Ranking looks at every hit; beyond these the newest are taken, which the index gives in order.
RANKED_HITS = 3_000
SEARCH_FOR_S = 0.25
# How many of them are looked at before asking whether that is enough.
SLICE = 300
MOST_TITLES = 5
# A message of today counts twice, one of two months ago half as much again as one of years ago.
FADES_MS = 60 * 24 * 3600 * 1000


class FoundMessage(msgspec.Struct, frozen=True):
    """A message that matches. `root_id` is the message of the path that it is shown in: itself, or the reply
    whose agents asked for it. `is_shown`: that one is on the path that its conversation shows."""

    message_id: int
    root_id: int
    conversation_id: int
    title: str
    role: str
    created_ms: int
    model: str | None
    agent: str | None
    is_shown: bool
    is_archived: bool
    snippet: list[Piece]


class FoundTitle(msgspec.Struct, frozen=True):
    """A conversation whose title matches."""

    conversation_id: int
    title: list[Piece]
    updated_ms: int
    is_archived: bool


class SearchPage(msgspec.Struct, frozen=True):
    """Titles first (on the first page only), then messages, the best or the newest first.

    There are `total` messages, or more than that where `is_more`. `next_cursor` goes into the next call; None
    at the end. `notes` are sentences for the user about the query. `searched_back_to_ms` is there where the
    time was up: nothing older was looked at yet.
    """

    titles: list[FoundTitle]
    messages: list[FoundMessage]
    total: int
    is_more: bool
    next_cursor: str | None
    notes: list[str]
    searched_back_to_ms: int | None = None


def search(
    db: Db, typed: str, limit: int, cursor: str | None = None, conversation_id: int | None = None
) -> SearchPage:
    """What matches a text as `search_query.parse` reads it, in the whole history or in one conversation.
    InvalidRequest for a cursor that is not one of ours."""
    kind, place, total = _read_cursor(cursor)
    query = parse(typed)
    notes = list(query.notes)
    if query.is_empty:
        return SearchPage([], [], 0, False, None, notes)
    condition = _condition(db, query.filters, notes)
    titles = _titles(db, query) if cursor is None and conversation_id is None else []
    span = EVERYWHERE
    if conversation_id is not None:
        condition = condition.also("m.conversation = ?1", conversation_id)
        span = _span_of(db, conversation_id)
    if kind == "n":
        newest = _newest(db, query, condition, _block(db, query, span.before(place)), span, limit)
    else:
        block = _block(db, query, span)
        if len(block) < RANKED_HITS:
            ids = _ranked(db, query, _passing(db, block, condition))
            more = f"r{place + limit}.0" if len(ids) > place + limit else None
            found = _found(db, ids[place : place + limit], query.terms)
            return SearchPage(titles, found, len(ids), False, more, notes)
        is_everything = not query.filters and conversation_id is None
        total = RANKED_HITS if is_everything else len(_passing(db, block, condition))
        newest = _newest(db, query, condition, block, span, limit)
    found = _found(db, newest.ids, query.terms)
    more = None if newest.before is None else f"n{newest.before}.{total}"
    return SearchPage(titles, found, total, True, more, notes, newest.searched_back_to_ms)


def find(db: Db, text: str, limit: int, without: int) -> list[FoundMessage]:
    """Messages with all words of `text` (or words that begin so), else with any of them, the best first.

    Deleted conversations and the one `without` are left out. Nothing for a text without a word.
    """
    terms = words_in(text)
    if not terms:
        return []
    query = SearchQuery(tuple(terms))
    for match in dict.fromkeys((query.match, any_of(terms))):
        block = _matching(db, match, EVERYWHERE)
        passing = _passing(db, block, Condition().also("c.id <> ?1", without))
        # Among the words of which any will do, one may be everywhere.
        ids = list(passing) if len(block) == RANKED_HITS else _ranked_by(db, match, passing)
        if ids:
            return _found(db, ids[:limit], terms)
    return []


# -- which messages ------------------------------------------------------------------------------


class Condition(msgspec.Struct, frozen=True):
    """What a message `m` and its conversation `c` must be: SQL, and the values of its marks from ?2 on."""

    sql: str = "1"
    values: tuple[str | int, ...] = ()

    def also(self, sql: str, *values: str | int, is_excluding: bool = False) -> Condition:
        """With another one, in which ?1 is its value."""
        sql = sql.replace("?1", f"?{len(self.values) + 2}")
        return Condition(f"{self.sql} and {'not ' * is_excluding}({sql})", (*self.values, *values))


class Span(msgspec.Struct, frozen=True):
    """The ids from `first` on and below `end`."""

    first: int
    end: int

    def before(self, id: int) -> Span:
        return Span(self.first, min(id, self.end))


EVERYWHERE = Span(0, 2**62)


class Newest(msgspec.Struct, frozen=True):
    """`before` is where to go on: None at the end."""

    ids: list[int]
    before: int | None = None
    searched_back_to_ms: int | None = None


# A negation must not come upon null, which is neither.
CONDITIONS = {
    "agent": "exists (select 1 from run where run.message = m.id "
    "and run.agent in (select value from json_each(?1)))",
    "in": "ifnull(c.folder in (select value from json_each(?1)), 0)",
    "model": "instr(lower(ifnull(m.model, '')), ?1)",
    "role": "m.role = ?1",
    "after": "m.created_ms >= ?1",
    "before": "m.created_ms < ?1",
    "code": "exists (select 1 from message_part where message = m.id and kind in ('text', 'user') "
    "and instr(text, '```'))",
    "file": "exists (select 1 from attachment where attachment.message = m.id)",
    "tool": "exists (select 1 from message_part where message = m.id and kind = 'tool_call')",
    "pinned": "c.pinned_ms is not null",
    "archived": "c.archived_ms is not null",
}
# A conversation by itself, without a message, has these.
OF_CONVERSATIONS = {"in", "is"}
NAMES = {"agent": "select id, name, label from agent", "in": "select id, name, '' from folder"}


def _condition(db: Db, filters: Sequence[Filter], notes: list[str]) -> Condition:
    """All filters in one. Adds a note where there is no agent or folder of the name."""
    condition = Condition()
    for each in filters:
        is_excluding = each.is_excluding
        if each.name in ("has", "is"):
            condition = condition.also(CONDITIONS[str(each.value)], is_excluding=is_excluding)
            continue
        value = each.value
        if each.name in NAMES:
            ids = _ids_of(db, NAMES[each.name], str(value))
            if not ids:
                kind = "agent" if each.name == "agent" else "folder"
                notes.append(f"There is no {kind} with “{value}” in its name.")
            value = msgspec.json.encode(ids).decode()
        elif each.name == "model":
            value = str(value).lower()
        condition = condition.also(CONDITIONS[each.name], value, is_excluding=is_excluding)
    return condition


def _ids_of(db: Db, names: str, part: str) -> list[int]:
    """Those with this in one of their names. In Python, because SQLite folds the letters of English alone."""
    wanted = part.casefold()
    rows = db.sql.execute(names)
    return [id for id, name, label in rows if wanted in name.casefold() or wanted in label.casefold()]


def _span_of(db: Db, conversation_id: int) -> Span:
    ends = "select ifnull(min(id), 0), ifnull(max(id), 0) from message where conversation = ?"
    first, last = db.sql.execute(ends, (conversation_id,)).fetchone()
    return Span(first, last + 1)


def _block(db: Db, query: SearchQuery, span: Span) -> list[int]:
    """The newest messages of a span that have the words, newest first, whether or not they pass the filters:
    RANKED_HITS of them, or all there are."""
    if query.terms:
        return _matching(db, query.match, span)
    if any(each.name == "has" and each.value == "file" and not each.is_excluding for each in query.filters):
        source = "select distinct message as id from attachment where message >= ? and message < ?"
    else:
        source = "select id from message where id >= ? and id < ?"
    newest = db.sql.execute(f"{source} order by id desc limit ?", (span.first, span.end, RANKED_HITS))
    ids = [row[0] for row in newest]
    if query.excluded and ids:
        having = "select rowid from message_search where message_search match ? and rowid between ? and ?"
        without = {row[0] for row in db.sql.execute(having, (any_of(query.excluded), ids[-1], ids[0]))}
        # What is left out still counts as looked at: a block must not look like the last one.
        ids = [-id if id in without else id for id in ids]
    return ids


def _matching(db: Db, match: str, span: Span) -> list[int]:
    rows = db.sql.execute(
        "select rowid from message_search where message_search match ? and rowid >= ? and rowid < ? "
        "order by rowid desc limit ?",
        (match, span.first, span.end, RANKED_HITS),
    )
    return [row[0] for row in rows]


def _passing(db: Db, ids: Sequence[int], condition: Condition) -> dict[int, int]:
    """Those of the ids that pass, newest first, with the time of each."""
    rows = db.sql.execute(
        "select m.id, m.created_ms from json_each(?) hit join message m on m.id = hit.value "
        "join conversation c on c.id = m.conversation "
        f"where c.deleted_ms is null and m.status <> 'streaming' and {condition.sql} order by m.id desc",
        (msgspec.json.encode(ids).decode(), *condition.values),
    )
    return dict(rows.fetchall())


def _newest(
    db: Db, query: SearchQuery, condition: Condition, block: list[int], span: Span, limit: int
) -> Newest:
    """The newest messages that pass, from a block on and through those after it, while there is time."""
    until = time.monotonic() + SEARCH_FOR_S
    ids: list[int] = []
    while block:
        for at in range(0, len(block), SLICE):
            part = block[at : at + SLICE]
            ids += _passing(db, part, condition)
            if len(ids) > limit:
                return Newest(ids[:limit], ids[limit - 1])
            last = abs(part[-1])
            if time.monotonic() > until:
                (at_ms,) = db.sql.execute("select created_ms from message where id = ?", (last,)).fetchone()
                return Newest(ids, last, at_ms)
        block = _block(db, query, span.before(last)) if len(block) == RANKED_HITS else []
    return Newest(ids)


# -- in which order ------------------------------------------------------------------------------


def _ranked(db: Db, query: SearchQuery, passing: dict[int, int]) -> list[int]:
    """The best first, or the newest where no word tells more of one message than of another.

    A word that is everywhere says nothing, and takes seconds: bm25 reads every row it is in. Those are left
    to the match, and only the rare words count.
    """
    terms = tuple(term for term in query.terms if _is_rare(db, term))
    return _ranked_by(db, SearchQuery(terms).match, passing) if terms else list(passing)


def _is_rare(db: Db, term: Term) -> bool:
    """Of a phrase: one of its words. To find out how rare the phrase is, bm25 would read all rows of each."""
    words = [Term(word) for word in re.findall(r"[^\W_]+", term.words)]
    is_phrase = len(words) > 1 and not term.name
    return any(_has_few_hits(db, word) for word in words) if is_phrase else _has_few_hits(db, term)


def _has_few_hits(db: Db, term: Term) -> bool:
    (hits,) = db.sql.execute(
        "select count(*) from (select 1 from message_search where message_search match ? limit ?)",
        (term.phrase, RANKED_HITS),
    ).fetchone()
    return bool(hits < RANKED_HITS)


def _ranked_by(db: Db, match: str, passing: dict[int, int]) -> list[int]:
    """bm25 times a bonus for what is new. (bm25 is negative: the less, the better.)"""
    now = now_ms()
    ranks = dict(
        db.sql.execute("select rowid, rank from message_search where message_search match ?", (match,))
    )

    def score(id: int) -> float:
        age = max(0, now - passing[id]) / FADES_MS
        return float(ranks[id]) * (1 + 1 / (1 + age))

    return sorted(passing, key=score)


# -- as they are shown ---------------------------------------------------------------------------

ROWS = """
  select m.id, m.conversation, c.title, m.role, m.created_ms, m.model,
    (select ifnull(nullif(agent.label, ''), agent.name) from run join agent on agent.id = run.agent
      where run.message = m.id order by run.id desc limit 1),
    m.is_shown, c.archived_ms is not null, m.delegator is not null,
    (select group_concat(text, char(10)) from (
      select text from message_part
      where message_part.message = m.id and kind in ('text', 'user') order by position
    ))
  from json_each(?) hit join message m on m.id = hit.value join conversation c on c.id = m.conversation"""


def _found(db: Db, ids: Sequence[int], terms: Sequence[Term]) -> list[FoundMessage]:
    rows = {row[0]: row for row in db.sql.execute(ROWS, (msgspec.json.encode(ids).decode(),))}
    return [_found_message(db, rows[id], terms) for id in ids]


def _found_message(db: Db, row: Sequence[Any], terms: Sequence[Term]) -> FoundMessage:
    (
        id, conversation, title, role, created_ms, model, agent, is_shown, is_archived, is_delegated, text
    ) = row  # fmt: skip
    root = id
    if is_delegated:
        root = replies.root_of(db, id)
        (is_shown,) = db.sql.execute("select is_shown from message where id = ?", (root,)).fetchone()
    return FoundMessage(
        message_id=id,
        root_id=root,
        conversation_id=conversation,
        title=title,
        role=role,
        created_ms=created_ms,
        model=model,
        agent=agent,
        is_shown=bool(is_shown),
        is_archived=bool(is_archived),
        snippet=snippet(text or "", terms),
    )


def _titles(db: Db, query: SearchQuery) -> list[FoundTitle]:
    """Conversations by their title, the last used first; none where a filter is about messages."""
    if not query.terms or any(each.name not in OF_CONVERSATIONS for each in query.filters):
        return []
    condition = _condition(db, query.filters, [])
    rows = db.sql.execute(
        "select c.id, c.title, c.updated_ms, c.archived_ms is not null "
        "from title_search join conversation c on c.id = title_search.rowid "
        f"where title_search match ?1 and c.deleted_ms is null and {condition.sql} "
        "order by c.updated_ms desc limit ?",
        (query.match, *condition.values, MOST_TITLES),
    )
    return [
        FoundTitle(id, cut(title, find_hits(title, query.terms)), updated_ms, bool(is_archived))
        for id, title, updated_ms, is_archived in rows
    ]


def _read_cursor(cursor: str | None) -> tuple[str, int, int]:
    """How the hits are ordered (ranked, or newest first), where to go on, and how many there are."""
    if cursor is None:
        return "r", 0, 0
    read = re.fullmatch(r"([rn])(\d{1,18})\.(\d{1,9})", cursor)
    if read is None:
        raise InvalidRequest(f"{cursor!r} is not a cursor of a search")
    return read[1], int(read[2]), int(read[3])
