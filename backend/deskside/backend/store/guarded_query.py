"""One SELECT that somebody else wrote, answered from the user's store without trust.

Invariants
  - The statement sees the VIEWS below and nothing else: no key, setting, log, event or deleted conversation,
    no schema, no pragma. SQLite's authorizer refuses what is not on a list here, at compile time.
  - Nothing is written: a connection of its own, opened read-only, which also refuses to write.
  - It ends: time, memory, rows and bytes are bounded, and so is compiling it.

A view comes in two layers. The inner one has a name that nobody can guess, new for each statement, and only
below that name may the tables be read: a common table expression that takes the name of an outer view gets
no further.

Source: https://sqlite.org/security.html, "Untrusted SQL Inputs", and https://sqlite.org/c3ref/set_authorizer.html
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

LOCAL_TIME = "datetime({} / 1000, 'unixepoch', 'localtime')"
NOT_DELETED = "exists (select 1 from conversation c where c.id = {} and c.deleted_ms is null)"
AGENT_NAME = "(select a.name from agent a where a.id = {})"

VIEWS: dict[str, str] = {
    "conversations": f"""
        select id, title, model, {AGENT_NAME.format("conversation.agent")} as agent,
          {LOCAL_TIME.format("created_ms")} as created_at, {LOCAL_TIME.format("updated_ms")} as updated_at
        from conversation where deleted_ms is null""",
    "messages": f"""
        select id, conversation as conversation_id, role, status, model,
          (select group_concat(p.text, char(10)) from message_part p
           where p.message = message.id and p.kind in ('text', 'user')) as text,
          {LOCAL_TIME.format("created_ms")} as created_at
        from message where {NOT_DELETED.format("message.conversation")}""",
    "tool_calls": f"""
        select p.message as message_id, json_extract(p.data, '$.name') as tool,
          json_extract(p.data, '$.status') as status, json_extract(p.data, '$.duration_ms') as duration_ms,
          {LOCAL_TIME.format("m.created_ms")} as created_at
        from message_part p join message m on m.id = p.message
        where p.kind = 'tool_call' and {NOT_DELETED.format("m.conversation")}""",
    "runs": f"""
        select id, conversation as conversation_id, message as message_id,
          {AGENT_NAME.format("run.agent")} as agent, model, status, reason,
          {LOCAL_TIME.format("started_ms")} as started_at, (finished_ms - started_ms) / 1000.0 as seconds
        from run where {NOT_DELETED.format("run.conversation")}""",
    "usage": f"""
        select run as run_id, provider, model, {AGENT_NAME.format("usage_record.agent")} as agent,
          input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
          cost_nano_usd / 1e9 as cost_usd, state as cost_state,
          {LOCAL_TIME.format("at_ms")} as used_at
        from usage_record""",
    "agents": "select name, label, instructions, model from agent where deleted_ms is null",
    "tools": "select name, kind, description, is_enabled from tool",
    "memories": f"""
        select id, text, conversation as conversation_id, {LOCAL_TIME.format("created_ms")} as created_at
        from memory""",
}

# Per table, what the views above need of it.
READABLE: dict[str, set[str]] = {
    "conversation": {"id", "title", "model", "agent", "created_ms", "updated_ms", "deleted_ms"},
    "message": {"id", "conversation", "role", "status", "model", "created_ms"},
    "message_part": {"message", "kind", "text", "data"},
    "run": {
        "id", "conversation", "message", "agent", "model", "status", "reason", "started_ms", "finished_ms"
    },
    "usage_record": {
        "run", "provider", "model", "agent", "input_tokens", "cache_read_tokens", "cache_write_tokens",
        "output_tokens", "reasoning_tokens", "cost_nano_usd", "state", "at_ms"
    },
    "agent": {"id", "name", "label", "instructions", "model", "deleted_ms"},
    "tool": {"name", "kind", "description", "is_enabled"},
    "memory": {"id", "text", "conversation", "created_ms"},
}  # fmt: skip

# Not here: what makes bytes out of nothing (printf, zeroblob, randomblob, hex), what reads the connection,
# files or JSON, and what takes a pattern without a limit.
FUNCTIONS = {
    "abs", "avg", "cast", "ceil", "char", "coalesce", "concat", "concat_ws", "count", "cume_dist", "date",
    "datetime", "dense_rank", "first_value", "floor", "glob", "group_concat", "ifnull", "iif", "instr",
    "julianday", "lag", "last_value", "lead", "length", "like", "lower", "ltrim", "max", "min", "mod",
    "nth_value", "ntile", "nullif", "percent_rank", "rank", "replace", "round", "row_number", "rtrim", "sign",
    "strftime", "string_agg", "substr", "substring", "sum", "time", "timediff", "total", "trim", "typeof",
    "unicode", "unixepoch", "upper"
}  # fmt: skip
IN_VIEWS = FUNCTIONS | {"json_extract"}

# A longer value cannot be handled. Below it one step of SQLite's, which nothing can interrupt, stays short.
VALUE_LIMIT_BYTES = 4_000_000
# What is looked for in a text: SQLite's own search is quadratic.
NEEDLE_LIMIT = 1_000
# How often common table expressions may be put in place of their names, all in all. SQLite does that while
# it compiles, where no limit of its own holds: 26 that each use the one before twice would take minutes.
EXPANSION_LIMIT = 500
CHECK_EVERY_OPS = 1_000
CHECK_MEMORY_EVERY_S = 0.005


class QueryRefused(Exception):
    """The statement was refused or given up. The text is for whoever wrote it."""


@dataclass(frozen=True)
class Limits:
    """`growth_bytes` is how much memory the process may gain meanwhile. The others are of the result."""

    time_s: float = 3.0
    growth_bytes: int = 256_000_000
    rows: int = 200
    result_bytes: int = 60_000
    cell_characters: int = 4_000
    sql_characters: int = 4_000


class Answer(msgspec.Struct, frozen=True):
    """`has_more` says that rows were left out because of a limit."""

    columns: list[str]
    rows: list[list[Any]]
    has_more: bool


LIMITS = Limits()


def query(
    database: Path, sql: str, *, limits: Limits = LIMITS, is_stopped: Callable[[], bool] = lambda: False
) -> Answer:
    """Answer one SELECT. It blocks: call it on a thread. `is_stopped` is asked all the time.

    Raises QueryRefused, whatever is wrong.
    """
    if len(sql) > limits.sql_characters:
        raise QueryRefused(f"the statement is longer than {limits.sql_characters:,} characters")
    check_expansions(sql)
    guard = _Guard(limits, is_stopped)
    try:
        with closing(_connect(database, limits)) as connection:
            guard.watch(connection)
            return _read(connection.execute(sql), limits)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        raise QueryRefused(guard.reason(error)) from error


def check_expansions(sql: str) -> None:
    """Raises QueryRefused for common table expressions that would multiply beyond EXPANSION_LIMIT."""
    words = [*_words(sql)]
    defined = Counter(name for place in range(len(words)) if (name := _defined_at(words, place)))
    expansions = 1
    for name, times in defined.items():
        if times > 1:
            raise QueryRefused(f"give the two WITH queries named {name!r} different names")
        expansions *= max(1, words.count(name) - 1)
        if expansions > EXPANSION_LIMIT:
            raise QueryRefused("the WITH queries use each other too often; write it with fewer of them")


# Comments and what is between words are skipped. A name can be quoted in four ways, also as a text.
WORD = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|(?P<quoted>\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\])"
    r"|(?P<bare>[^\W\d][\w$]*)|(?P<mark>[(),])",
    re.DOTALL,
)


def _words(sql: str) -> Iterator[str]:
    """Names without their quotes, all in lower case, and the marks between them."""
    for found in WORD.finditer(sql):
        quoted = found["quoted"]
        if quoted:
            yield quoted[1:-1].replace(quoted[-1] * 2, quoted[-1]).lower()
        elif found["bare"] or found["mark"]:
            yield found[0].lower()


def _defined_at(words: list[str], place: int) -> str:
    """The name of the common table expression (or window) that is defined here, else nothing."""
    after = place + 1
    if words[place] in ("(", ")", ","):
        return ""
    if words[after : after + 1] == ["("]:
        after = words.index(")", after) + 1 if ")" in words[after:] else len(words)
    if words[after : after + 1] != ["as"]:
        return ""
    follows = [word for word in words[after + 1 : after + 4] if word not in ("not", "materialized")]
    return words[place] if follows[:1] == ["("] else ""


class _Guard:
    """Decides what the statement may read and how long it may take; remembers why it was stopped."""

    def __init__(self, limits: Limits, is_stopped: Callable[[], bool]) -> None:
        self._limits = limits
        self._is_stopped = is_stopped
        self._prefix = f"v{secrets.token_hex(8)}_"
        self._tables: frozenset[str] = frozenset()
        self._refused: list[str] = []
        self._ended = ""
        self._until = time.monotonic() + limits.time_s
        self._next_look = 0.0
        self._resident_bytes = _resident_bytes()
        self._most_bytes = self._resident_bytes() + limits.growth_bytes

    def watch(self, connection: sqlite3.Connection) -> None:
        """Make the views, then let nothing but reading them happen on this connection."""
        for name, body in VIEWS.items():
            connection.execute(f"create temp view {self._prefix}{name} as {body}")
            connection.execute(f"create temp view {name} as select * from {self._prefix}{name}")
        names = connection.execute("select name from sqlite_master union select name from pragma_module_list")
        self._tables = frozenset(name.lower() for (name,) in names)
        # Not before: the store's own indexes and constraints use JSON functions, which count as unsafe there.
        connection.execute("pragma trusted_schema = off")
        connection.execute("pragma query_only = on")
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._must_end, CHECK_EVERY_OPS)

    def reason(self, error: BaseException) -> str:
        """Why the statement failed, for who wrote it."""
        if self._ended:
            return self._ended
        if self._refused:
            return f"not allowed: {', '.join(dict.fromkeys(self._refused))}. You can read {', '.join(VIEWS)}."
        if isinstance(error, MemoryError):
            return "the query needs too much memory"
        return str(error) or type(error).__name__

    def _authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, context: str | None
    ) -> int:
        if self._is_allowed(action, first or "", second or "", schema, context or ""):
            return sqlite3.SQLITE_OK
        what = {sqlite3.SQLITE_READ: f"table {first!r}", sqlite3.SQLITE_FUNCTION: f"function {second}()"}
        self._refused.append(what.get(action, "anything but one SELECT"))
        return sqlite3.SQLITE_DENY

    def _is_allowed(self, action: int, first: str, second: str, schema: str | None, context: str) -> bool:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return True
        if action == sqlite3.SQLITE_FUNCTION:
            return second.lower() in (IN_VIEWS if context.startswith(self._prefix) else FUNCTIONS)
        if action == sqlite3.SQLITE_READ:
            return self._is_readable(first.lower(), second.lower(), schema, context)
        return False

    def _is_readable(self, table: str, column: str, schema: str | None, context: str) -> bool:
        if column == "" and schema is None:
            # Only that there are rows: of a view that was merged into the statement, of a subquery, of a
            # common table expression. A table of that name that may not be read stays refused.
            if table in READABLE or table in VIEWS:
                return True
            return table not in self._tables and not table.startswith("sqlite_")
        if schema == "temp":
            return table in VIEWS or (table.startswith(self._prefix) and context in VIEWS)
        is_ours = schema == "main" and context.startswith(self._prefix)
        return is_ours and (column in READABLE.get(table, ()) or (column == "" and table in READABLE))

    def _must_end(self) -> int:
        now = time.monotonic()
        if now > self._until:
            self._ended = f"the query took longer than {self._limits.time_s:g} s"
        elif self._is_stopped():
            self._ended = "the query was stopped"
        elif now > self._next_look:
            self._next_look = now + CHECK_MEMORY_EVERY_S
            if self._resident_bytes() > self._most_bytes:
                self._ended = "the query needs too much memory"
        return 1 if self._ended else 0


def _resident_bytes() -> Callable[[], int]:
    """How to ask for this process's memory. (psutil takes 30 ms to import, so not before.)"""
    import psutil

    process = psutil.Process()
    return lambda: int(process.memory_info().rss)


def _connect(database: Path, limits: Limits) -> sqlite3.Connection:
    address = f"{database.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=1.0, cached_statements=0)
    # Bytes that are no UTF-8 must not end a query.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    for pragma in ("cell_size_check = on", "mmap_size = 0", "temp_store = memory"):
        connection.execute(f"pragma {pragma}")
    for what, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, VALUE_LIMIT_BYTES),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * limits.sql_characters),
        (sqlite3.SQLITE_LIMIT_COLUMN, 100),
        (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 50),
        (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 20),
        (sqlite3.SQLITE_LIMIT_VDBE_OP, 50_000),
        (sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 20),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
        (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 0),
        (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.setlimit(what, most)
    connection.create_function("instr", 2, _instr, deterministic=True)
    connection.create_function("replace", 3, _replace, deterministic=True)
    for name, strip in (("trim", str.strip), ("ltrim", str.lstrip), ("rtrim", str.rstrip)):
        connection.create_function(name, 2, _trimming(strip), deterministic=True)
    return connection


def _needle(value: Any) -> str:
    text = str(value)
    if len(text) > NEEDLE_LIMIT:
        raise ValueError("the text to look for is too long")
    return text


def _instr(text: Any, wanted: Any) -> int | None:
    return None if text is None or wanted is None else str(text).find(_needle(wanted)) + 1


def _replace(text: Any, old: Any, new: Any) -> str | None:
    if text is None or old is None or new is None:
        return None
    found, replaced = str(text), _needle(old)
    grown = len(found) + found.count(replaced) * len(str(new)) if replaced else 0
    if grown > VALUE_LIMIT_BYTES:
        raise ValueError("the result is too long")
    return found.replace(replaced, str(new)) if replaced else found


def _trimming(strip: Callable[[str, str], str]) -> Callable[[Any, Any], str | None]:
    def trim(text: Any, characters: Any) -> str | None:
        return None if text is None or characters is None else strip(str(text), _needle(characters))

    return trim


def _read(cursor: sqlite3.Cursor, limits: Limits) -> Answer:
    if cursor.description is None:
        raise QueryRefused("write one SELECT statement")
    rows: list[list[Any]] = []
    size_bytes = 0
    for found in cursor:
        row = [_shown(value, limits.cell_characters) for value in found]
        size_bytes += len(msgspec.json.encode(row))
        if len(rows) == limits.rows or size_bytes > limits.result_bytes:
            return Answer([column[0] for column in cursor.description], rows, True)
        rows.append(row)
    return Answer([column[0] for column in cursor.description], rows, False)


def _shown(value: Any, most_characters: int) -> Any:
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if isinstance(value, str) and len(value) > most_characters:
        return f"{value[:most_characters]}… ({len(value) - most_characters:,} more characters)"
    return value
