"""What can still be read of a damaged database, as a database of its own.

The damaged file is only read. A table that SQLite reads to its end is copied as it is; of the others every
page is looked at by itself (pages.py), also those that no tree leads to any more. Indexes are made anew, so
damage to one of them costs nothing; where a row is gone that an index still knows, the index says what can be
said of it. Then what refers to nothing is closed up, so that every message that can be read can be reached.

Invariant: a row that is lost is counted, or `may_be_more` says that nobody can know.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec
from loguru import logger
from pony.orm import db_session

from deskside.backend.attachments.content import IS_SHA256
from deskside.backend.errors import StoreDamaged, StoreRefused
from deskside.backend.store import first_start, replies, search_index, segmentation
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import read_error, read_part, read_usage
from deskside.backend.store.migrate import migrate
from deskside.backend.store.pages import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    MAGIC,
    TABLE_LEAF,
    Broken,
    Cell,
    Image,
    Value,
    open_image,
)
from deskside.backend.store.schema import APPLICATION_ID, read_migrations
from deskside.backend.store.text import title_of

NOTHING_LEFT = "Restore a backup; or close Deskside, move the file elsewhere, and begin anew."
LOST_TEXT = "(This text is on a damaged page of the database and cannot be read.)"
LOST_TITLE = "A conversation without its title"
LOST_PLACE = "Messages without their conversation"

# What a reader sees must hang together, whatever rows are gone. In this order, at the schema of the source …
CLOSE_GAPS = (
    """insert into user (id, name, theme, language, created_ms)
      select 1, '', 'system', 'en', 0 where not exists (select 1 from user)""",
    "update conversation set user = (select min(id) from user) where user not in (select id from user)",
    # An index reads it, and refuses what is no JSON.
    """update message_part set kind = 'text', data = null, text = iif(text = '', :text, text)
      where data is not null and not json_valid(data)""",
    # What a message answers was there before it, in the same conversation. (No circle can be left.)
    """update message set parent = (
        select max(id) from message before
        where before.conversation = message.conversation and before.id < message.id
      ) where parent is not null and not exists (
        select 1 from message before where before.id = message.parent
        and before.conversation = message.conversation and before.id < message.id
      )""",
    """update conversation set head = (select max(id) from message where conversation = conversation.id)
      where head is not null and not exists (
        select 1 from message where message.id = head and message.conversation = conversation.id
      )""",
)
# … and at ours.
CLOSE_GAPS_NOW = (
    """with recursive tree (id, depth) as (
        select id, 0 from message where parent is null
        union all select message.id, tree.depth + 1 from tree join message on message.parent = tree.id
      )
      update message set is_shown = 0, depth = tree.depth from tree where tree.id = message.id""",
    """with recursive path (id, parent) as (
        select message.id, message.parent from conversation join message on message.id = conversation.head
        union all select message.id, message.parent from path join message on message.id = path.parent
      )
      update message set is_shown = 1 where id in (select id from path)""",
    """insert into message_part (message, position, step, kind, text, origin)
      select id, 0, 0, 'text', :text, iif(role = 'user', 'user', 'model') from message
      where status = 'complete' and id not in (select message from message_part)""",
)
TEXTS = {"text": LOST_TEXT}
# What SQLite itself adds to a database that it has looked over.
OF_SQLITE = {"sqlite_stat1", "sqlite_stat4"}

Shape = tuple[type, ...]
"""The types of the values of a record."""
WRITTEN_AS: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,), "INT": (int,), "TEXT": (str,), "REAL": (int, float), "BLOB": (bytes,)
}  # fmt: skip


class RescuedTable(msgspec.Struct, frozen=True):
    """`rescued` rows are as they were; `rebuilt` ones were put together from what refers to them; `lost` ones
    are gone. `may_be_more`: a part is damaged that nothing says the size of."""

    name: str
    rescued: int
    rebuilt: int
    lost: int
    may_be_more: bool


class Rescue(msgspec.Struct, frozen=True):
    """What was read of a damaged database. `is_without_wal`: the -wal file beside it does not belong to it,
    or is damaged itself, and was left out."""

    tables: list[RescuedTable]
    schema: int
    is_without_wal: bool

    @property
    def lost(self) -> int:
        return sum(table.lost for table in self.tables)

    @property
    def is_whole(self) -> bool:
        """Every row is there, as far as that can be seen."""
        return not any(table.lost or table.rebuilt or table.may_be_more for table in self.tables)


def open_salvaged(damaged: Path, target: Path, *, busy_timeout_s: float, is_ours: bool) -> Db:
    """Make `target` anew of what can be read, and open it for reading on other threads than this.

    `is_ours` says that no other process writes: replies that stream were cut off then. Raises what `salvage`
    raises.
    """
    salvage(damaged, target)
    return _opened(target, busy_timeout_s, is_ours=is_ours)


def open_outdated(outdated: Path, target: Path, *, busy_timeout_s: float, is_ours: bool) -> Db:
    """The same of a database that is whole, and that a migration has failed on: of each table the columns
    that both schemas have. Raises sqlite3.Error and OSError as they come."""
    remove(target)
    migrate(target, None)
    with closing(_connect(outdated, "ro")) as source, _filling(target) as copy:
        for table in _tables(copy):
            there = source.execute("select name from pragma_table_info(?)", (table.name,)).fetchall()
            columns = [name for name in table.columns if (name,) in there]
            if columns:
                names, marks = ", ".join(columns), ", ".join("?" * len(columns))
                for row in source.execute(f"select {names} from {table.name}"):
                    with suppress(sqlite3.IntegrityError):  # what the new schema does not allow
                        copy.execute(f"insert into {table.name} ({names}) values ({marks})", row)
        for statement in (*CLOSE_GAPS, *CLOSE_GAPS_NOW):
            copy.execute(statement, TEXTS)
        search_index.rebuild(copy)
    return _opened(target, busy_timeout_s, is_ours=is_ours)


def open_empty(target: Path, *, busy_timeout_s: float) -> Db:
    """The same where nothing can be read."""
    remove(target)
    migrate(target, None)
    return _opened(target, busy_timeout_s, is_ours=False)


def _opened(target: Path, busy_timeout_s: float, *, is_ours: bool) -> Db:
    db = Db(target, busy_timeout_s=busy_timeout_s)
    with db_session:
        first_start.make_rows(db)
        if is_ours:
            replies.interrupt_unfinished(db)
    db.disconnect()
    return db


def salvage(damaged: Path, target: Path) -> Rescue:
    """Make `target` anew of what can be read, at the newest schema. Takes about 20 s for 250 MB.

    Raises StoreDamaged where that is nothing, StoreRefused for a newer schema or another program's file,
    sqlite3.Error and OSError where the disk does not take the copy.
    """
    with open_image(damaged) as image:
        found = _copy(image, damaged, target)
        if not found.is_whole and image.has_wal:
            # SQLite cannot tell a -wal of another database from its own: where the file is whole without it,
            # it was another's.
            alone = target.with_name(f"{target.name}-alone")
            try:
                with suppress(StoreDamaged):
                    without = _copy(image.without_wal(), None, alone)
                    if without.is_whole:
                        found = msgspec.structs.replace(without, is_without_wal=True)
                        alone.replace(target)
            finally:
                remove(alone)
    _finish(target)
    for table in found.tables:
        if table.lost or table.rebuilt or table.may_be_more:
            logger.info("{}: {} rows rescued, {} rebuilt, {} lost", *msgspec.structs.astuple(table)[:4])
    return found


def remove(target: Path) -> None:
    """Take the copy away, with the files that SQLite keeps beside it."""
    for end in ("", "-wal", "-shm", "-journal"):
        target.with_name(target.name + end).unlink(missing_ok=True)


@dataclass
class _Table:
    """One table of the copy, and what became of its rows."""

    name: str
    columns: list[str]
    types: list[str]
    must_be: list[bool]
    default: list[bool]
    """Whether a record that was written before there was this column may leave it out."""
    key: list[int]
    order: list[int]
    """In which the columns are in a record."""
    row_id_column: int | None
    whole_indexes: list[str]
    is_without_row_id: bool
    rescued: int = 0
    rebuilt: int = 0
    refused: int = 0
    placed: int = 0
    """Of the rescued ones, those that were on pages which nothing leads to."""
    expected: int | None = None
    is_broken: bool = False
    _fitting: dict[Shape, bool] = field(default_factory=dict)

    @property
    def misses_rows(self) -> bool:
        """The indexes know more than were read."""
        return self.expected is not None and self.expected > self.rescued

    def fits(self, shape: Shape) -> bool:
        """Whether a record of such values can be a row of this table."""
        found = self._fitting.get(shape)
        if found is None:
            found = self._fitting[shape] = self._fits(shape)
        return found

    def _fits(self, shape: Shape) -> bool:
        if len(shape) > len(self.columns):
            return False
        if not all(self.default[column] for column in self.order[len(shape) :]):
            return False
        return all(
            kind is NoneType
            if column == self.row_id_column
            else not self.must_be[column]
            if kind is NoneType
            else kind in WRITTEN_AS[self.types[column]]
            for column, kind in zip(self.order, shape, strict=False)
        )

    def row(self, cell: Cell) -> list[Value] | None:
        """The values of a cell in the order of the columns, None where it is none of this table's."""
        if not self.fits(_shape(cell)):
            return None
        values: list[Value] = [None] * len(self.columns)
        for column, value in zip(self.order, cell.values, strict=False):
            values[column] = cell.row_id if column == self.row_id_column else value
        return values

    def told(self) -> RescuedTable:
        missing = 0 if self.expected is None else self.expected - self.rescued - self.rebuilt
        return RescuedTable(
            self.name,
            self.rescued,
            self.rebuilt,
            lost=max(missing, self.refused, 0),
            may_be_more=self.is_broken and self.expected is None,
        )


def _shape(cell: Cell) -> Shape:
    return tuple(map(type, cell.values))


@dataclass
class _Source:
    """The damaged database: what SQLite can read of it, and its pages."""

    image: Image
    sql: sqlite3.Connection | None
    roots: dict[str, int]
    taken: set[int] = field(default_factory=lambda: {1})


def _copy(image: Image, by_sql: Path | None, target: Path) -> Rescue:
    """What can be read, at the schema that it has, closed up where something is gone."""
    remove(target)
    roots = _roots(image)
    schema = _schema(image)
    migrate(target, None, read_migrations()[:schema])
    with _filling(target) as copy, _readable(by_sql) as sql:
        source = _Source(image, sql, roots)
        tables = _tables(copy)
        for table in tables:
            _copy_table(copy, table, source)
        _place_strays(copy, tables, source)
        if not any(table.rescued for table in tables):
            raise StoreDamaged("Nothing of the damaged database can be read.", hint=NOTHING_LEFT)
        _rebuild(copy, {table.name: table for table in tables}, source)
        for statement in CLOSE_GAPS:
            copy.execute(statement, TEXTS)
        _drop_dangling(copy, tables)
    return Rescue([table.told() for table in tables], schema, is_without_wal=False)


def _finish(target: Path) -> None:
    """The newest schema, and what is worked out from all rows."""
    migrate(target, None)
    with closing(_connect(target, "rw")) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("BEGIN")
        _mend_parts(copy)
        for statement in CLOSE_GAPS_NOW:
            copy.execute(statement, TEXTS)
        search_index.rebuild(copy)
        copy.execute("COMMIT")


# -- where things are -----------------------------------------------------------------------------


def _roots(image: Image) -> dict[str, int]:
    """The first page of each table and index, as far as the schema can be read."""
    roots = {}
    for number in image.walk(1).leaves:
        for cell in image.cells(number)[0]:
            match cell.values:
                case ("table" | "index", str(name), str(), int(root), *_) if root > 1:
                    roots[name] = root
    return roots


def _schema(image: Image) -> int:
    """Which schema the rows have. Raises StoreRefused where it is not one of ours."""
    newest = len(read_migrations())
    header = image.header()
    if header[:16] == MAGIC and int.from_bytes(header[68:72], "big") == APPLICATION_ID:
        version = int.from_bytes(header[60:64], "big")
        if 1 <= version <= newest:
            return version
    recorded = [number for number in range(2, image.count + 1) for number in _migrations_on(image, number)]
    version = max(recorded, default=newest)
    if version > newest:
        raise StoreRefused(
            f"The database was written by a newer Deskside: its schema is {version}, "
            f"this program knows {newest}."
        )
    return version


def _migrations_on(image: Image, number: int) -> Iterator[int]:
    """The numbers of the migrations that a page records."""
    with suppress(Broken):
        if image.page(number)[0] != TABLE_LEAF:
            return
        for cell in image.cells(number)[0]:
            match cell.values:
                case (None, str(name), str(sha256), int()) if re.fullmatch(r"\d{4}_\w+", name):
                    if len(sha256) == 64:
                        yield cell.row_id


@contextmanager
def _readable(database: Path | None) -> Iterator[sqlite3.Connection | None]:
    """The database through SQLite, None where that cannot even read what tables there are."""
    if database is None:
        yield None
        return
    with closing(_connect(database, "ro")) as connection:
        try:
            connection.execute("select count(*) from sqlite_master").fetchone()
        except (
            sqlite3.DatabaseError,
            UnicodeDecodeError,
        ):  # the second: SQLite's complaint quotes the damage
            yield None
        else:
            yield connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    # A damaged text is worth more than none.
    connection.text_factory = lambda text: text.decode(errors="replace")
    segmentation.register(connection)
    return connection


@contextmanager
def _filling(target: Path) -> Iterator[sqlite3.Connection]:
    """The copy, for one transaction and without what must wait until everything is there: the triggers, which
    take texts out of a search index that is only made in the end, and the indexes that read JSON."""
    with closing(_connect(target, "rw")) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # whoever keeps it syncs it when it is done
        copy.execute("BEGIN")
        waiting = copy.execute(
            "select type, name, sql from sqlite_schema "
            "where type = 'trigger' or type = 'index' and sql like '%json_extract%'"
        ).fetchall()
        for kind, name, _ in waiting:
            copy.execute(f"drop {kind} {name}")
        yield copy
        for _, _, sql in waiting:
            copy.execute(sql)
        copy.execute("COMMIT")


def _tables(copy: sqlite3.Connection) -> list[_Table]:
    """Ours, without SQLite's, the search index's, and the one that `migrate` has filled."""
    found = copy.execute(
        "select name, wr from pragma_table_list where schema = 'main' and type = 'table' "
        "and name not like 'sqlite\\_%' escape '\\' and name <> 'migration'"
    )
    return [_table(copy, name, is_without_row_id=bool(without)) for name, without in found.fetchall()]


def _table(copy: sqlite3.Connection, name: str, *, is_without_row_id: bool) -> _Table:
    found = copy.execute(
        'select name, type, "notnull", dflt_value, pk from pragma_table_info(?)', (name,)
    ).fetchall()
    keys = sorted((pk, number) for number, (*_, pk) in enumerate(found) if pk)
    order = list(range(len(found)))
    if is_without_row_id:
        order = [number for _, number in keys] + [number for number, (*_, pk) in enumerate(found) if not pk]
    is_row_id = not is_without_row_id and len(keys) == 1 and found[keys[0][1]][1].upper() == "INTEGER"
    whole = copy.execute(
        "select name from pragma_index_list(?) where not partial and origin <> 'pk'", (name,)
    )
    return _Table(
        name,
        columns=[column for column, *_ in found],
        types=[declared.upper() for _, declared, *_ in found],
        must_be=[bool(must_be) for _, _, must_be, *_ in found],
        default=[default is not None or not must_be for _, _, must_be, default, _ in found],
        key=[number for _, number in keys],
        order=order,
        row_id_column=keys[0][1] if is_row_id else None,
        whole_indexes=[index for (index,) in whole],
        is_without_row_id=is_without_row_id,
    )


# -- one table ------------------------------------------------------------------------------------


def _copy_table(copy: sqlite3.Connection, table: _Table, source: _Source) -> None:
    """Fill one table: by SQLite where it reads to the end, else page by page."""
    if source.sql is not None and _copy_by_sql(copy, table, source.sql):
        table.expected = _count_by_sql(table, source.sql)
        if not table.misses_rows:
            return
    table.refused = 0  # they come again
    table.expected = _count_by_indexes(table, source)
    root = source.roots.get(table.name)
    if root is None:
        table.is_broken = True
        return
    tree = source.image.walk(root)
    table.is_broken = tree.broken > 0
    source.taken |= tree.pages - set(tree.leaves)
    for number in tree.leaves:
        cells, unread = source.image.cells(number)
        rows = [row for cell in cells if (row := table.row(cell)) is not None]
        _insert(copy, table, rows)
        if unread or len(rows) < len(cells):
            table.is_broken = True
        if rows or not cells:  # else it is another table's, whatever led to it
            source.taken.add(number)


def _copy_by_sql(copy: sqlite3.Connection, table: _Table, sql: sqlite3.Connection) -> bool:
    """Whether SQLite has read the table to its end, in order."""
    named = ", ".join(table.columns)
    key = "" if table.is_without_row_id else "rowid, "
    select = f"select {key}{named} from {table.name} not indexed"
    last: Any = None
    in_order = True

    def rows() -> Iterator[Sequence[Value]]:
        nonlocal last, in_order
        for row in sql.execute(select):
            if table.is_without_row_id:
                yield row
                continue
            # A page that took the place of another brings ids that were there before.
            in_order = in_order and (last is None or row[0] > last)
            last = row[0]
            yield row[1:]

    try:
        _insert(copy, table, rows())
        # Whether its pages add up: a damaged count of rows is no error for who only reads them.
        (found,) = sql.execute(f"pragma quick_check({table.name})").fetchone()
    except sqlite3.DatabaseError:
        return False
    return in_order and found == "ok"


def _insert(copy: sqlite3.Connection, table: _Table, rows: Iterable[Sequence[Value]]) -> None:
    """Add rows; those that are there already stay as they are."""
    names, marks = ", ".join(table.columns), ", ".join("?" * len(table.columns))
    statement = f"insert or ignore into {table.name} ({names}) values ({marks})"
    # A key that is in the record can be made another row's by the damage: then the rest tells them apart.
    telling = table.key if table.row_id_column is not None else list(range(len(table.columns)))
    is_there = f"select 1 from {table.name} where " + " and ".join(
        f"{table.columns[number]} is ?" for number in telling
    )
    shown = table.columns.index("is_shown") if "is_shown" in table.columns else None
    for row in rows:
        values = list(row)
        if shown is not None:  # worked out anew; what the damage made of it may contradict another row
            values[shown] = 0
        with suppress(sqlite3.IntegrityError):  # a value that the damage made one of another type
            if copy.execute(statement, values).rowcount:
                table.rescued += 1
                continue
            if copy.execute(is_there, [values[number] for number in telling]).fetchone():
                continue
        table.refused += 1


def _count_by_sql(table: _Table, sql: sqlite3.Connection) -> int | None:
    """How many rows the indexes know, None where none can be read."""
    counts = []
    for index in table.whole_indexes:
        with suppress(sqlite3.DatabaseError):
            counts += sql.execute(f"select count(*) from {table.name} indexed by {index}").fetchone()
    return max(counts, default=None)


def _count_by_indexes(table: _Table, source: _Source) -> int | None:
    """The same, page by page: None where none of the indexes is whole."""
    counts = [
        len(found) for index in table.whole_indexes if (found := _entries(source, index, is_whole=True))
    ]
    return max(counts, default=None)


def _entries(source: _Source, index: str, *, is_whole: bool) -> list[tuple[Value, ...]]:
    """What an index holds; nothing where a part of it is damaged and `is_whole` is wanted."""
    root = source.roots.get(index)
    if root is None:
        return []
    tree = source.image.walk(root)
    found = [source.image.cells(number) for number in tree.leaves]
    if is_whole and (tree.broken or any(unread for _, unread in found)):
        return []
    return [cell.values for cells, _ in found for cell in cells]


# -- pages that no tree leads to ------------------------------------------------------------------


def _place_strays(copy: sqlite3.Connection, tables: list[_Table], source: _Source) -> None:
    """Rows on pages that nothing leads to any more, into the damaged table that they fit. Where the list of
    free pages is damaged too, rows that were deleted may be among them."""
    damaged = [table for table in tables if table.is_broken or table.misses_rows]
    if not damaged:
        return
    entries: list[int] = []
    # A name that none of ours has was damaged: nobody knows whose pages those are.
    named = {str(name) for (name,) in copy.execute("select name from sqlite_master")} | OF_SQLITE
    for number in _strays(source, named - {table.name for table in damaged}):
        with suppress(Broken):
            if source.image.page(number)[0] == TABLE_LEAF:
                _place(copy, [table for table in damaged if not table.is_without_row_id], source, number)
            else:
                entries.append(number)
    # What such a table holds looks like an entry of some index, and is known by what it refers to.
    for number in entries:
        if number not in source.image.overflow:
            with suppress(Broken):
                _place(copy, [table for table in damaged if table.is_without_row_id], source, number)
    if not _has_senseless_pages(source):
        for table in damaged:
            table.is_broken = table.is_broken and table.name in source.roots


def _place(copy: sqlite3.Connection, tables: Sequence[_Table], source: _Source, number: int) -> None:
    """Put what is on a page into the table that most of it fits."""
    cells, _ = source.image.cells(number)
    shapes = Counter(map(_shape, cells))
    fitting = [(sum(shapes[shape] for shape in shapes if table.fits(shape)), table) for table in tables]
    count, best = max(fitting, key=lambda found: (found[0], len(found[1].columns)), default=(0, None))
    if best is None or count == 0:
        return
    rows = [row for cell in cells if (row := best.row(cell)) is not None]
    if best.is_without_row_id and not _refer_to_something(copy, best, rows):
        return
    rescued, refused = best.rescued, best.refused
    _insert(copy, best, rows)
    best.placed += best.rescued - rescued
    best.refused = refused  # nobody knows that they were this table's


def _refer_to_something(copy: sqlite3.Connection, table: _Table, rows: Sequence[Sequence[Value]]) -> bool:
    for target, column in copy.execute(
        'select "table", "from" from pragma_foreign_key_list(?)', (table.name,)
    ).fetchall():
        number = table.columns.index(column)
        is_there = f"select 1 from {target} where id = ?"
        if not all(copy.execute(is_there, (row[number],)).fetchone() for row in rows):
            return False
    return True


def _strays(source: _Source, others: Set[str]) -> Iterator[int]:
    """Pages of rows that are no part of these trees, and of none that was read."""
    image = source.image
    for name, root in source.roots.items():
        if name not in others:
            continue
        tree = image.walk(root)
        source.taken |= tree.pages
        for number in tree.leaves:
            with suppress(Broken):
                image.unread(number)  # says which pages continue a row: whatever is in those is no row
    known = source.taken | image.free_pages()
    for number in range(2, image.count + 1):
        # Looked up each time: a stray that was read shows what continues it.
        if number in known or number in image.overflow:
            continue
        with suppress(Broken):
            if image.page(number)[0] in (TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR):
                yield number


def _has_senseless_pages(source: _Source) -> bool:
    """Whether there are pages that may have held rows, and are none of those that were read."""
    image = source.image
    known = image.overflow | image.free_pages() | {1}
    for number in range(1, image.count + 1):
        if number in known:
            continue
        try:
            if image.unread(number) > 0:
                return True
        except Broken:
            return True
    return False


# -- what hangs together --------------------------------------------------------------------------


def _rebuild(copy: sqlite3.Connection, tables: dict[str, _Table], source: _Source) -> None:
    """Messages whose row is lost, from the indexes that know their place, and from their parts."""
    message = tables["message"]
    places: dict[Value, tuple[Value, Value]] = {}
    if message.is_broken or message.misses_rows or message.refused:
        for values in _entries(source, "message_by_conversation", is_whole=False):
            if len(values) == 2:
                places[values[1]] = (None, values[0])
        for values in _entries(source, "message_by_parent", is_whole=False):
            if len(values) == 3:
                places[values[2]] = (values[0], values[1])
    there = {row_id for (row_id,) in copy.execute("select id from message")}
    for row_id, (parent, conversation) in sorted(places.items(), key=lambda found: str(found[0]).zfill(20)):
        if isinstance(row_id, int) and isinstance(conversation, int) and row_id not in there:
            _add_message(copy, message, row_id, parent, conversation)
    _place_parts(copy, message)
    _add_conversations(copy, tables["conversation"])
    if "stored_file" in tables:
        _add_files(copy, tables["stored_file"], source)


def _add_conversations(copy: sqlite3.Connection, table: _Table) -> None:
    """Conversations that only their messages know, with the title that a new one would get."""
    lost = copy.execute(
        "select conversation, min(id), max(id), min(created_ms), max(created_ms) from message "
        "where conversation not in (select id from conversation) group by conversation"
    ).fetchall()
    for id, first, last, created_ms, updated_ms in lost:
        said = copy.execute(
            "select text from message_part where message = ? and text <> '' order by position limit 1",
            (first,),
        ).fetchone()
        copy.execute(
            "insert into conversation (id, user, title, draft, created_ms, updated_ms, head) "
            "values (?, 1, ?, '', ?, ?, ?)",
            (id, title_of(said[0]) if said else LOST_TITLE, created_ms, updated_ms, last),
        )
        table.rebuilt += 1


def _add_files(copy: sqlite3.Connection, table: _Table, source: _Source) -> None:
    """Attached files whose row is lost, from the index that knows their hashes. Their size is 0, which no
    file's is: what else is known of them is in the files themselves."""
    spoiled = copy.execute("delete from stored_file where sha256 glob '*[^0-9a-f]*'").rowcount
    table.rescued -= spoiled
    table.refused += spoiled
    if not (table.is_broken or table.misses_rows or table.refused):
        return
    for values in _entries(source, "stored_file_by_sha256", is_whole=False):
        match values:
            case (str(sha256), int(id)) if IS_SHA256.fullmatch(sha256):
                added = copy.execute(
                    """insert or ignore into stored_file
                      (id, sha256, size_bytes, media_type, text_status, created_ms)
                      values (?, ?, 0, 'application/octet-stream', 'none', 0)""",
                    (id, sha256),
                )
                table.rebuilt += added.rowcount


def _add_message(
    copy: sqlite3.Connection, table: _Table, row_id: int, parent: Value, conversation: int
) -> None:
    """A question where its first part is the user's, or where nothing else is known and it answers none."""
    added = copy.execute(
        """insert or ignore into message (id, conversation, parent, role, status, created_ms)
          select :id, :conversation, :parent,
            coalesce(
              (select iif(origin = 'user', 'user', 'assistant') from message_part
               where message = :id order by position limit 1),
              (select iif(role = 'user', 'assistant', 'user') from message where id = :parent),
              'user'
            ), 'complete',
            coalesce(
              (select created_ms from message where id = :parent),
              (select created_ms from conversation where id = :conversation), 0
            )""",
        {"id": row_id, "conversation": conversation, "parent": parent},
    )
    table.rebuilt += added.rowcount


def _place_parts(copy: sqlite3.Connection, table: _Table) -> None:
    """Texts whose message nothing knows, in a conversation of their own."""
    orphans = copy.execute(
        "select distinct message from message_part "
        "where message not in (select id from message) order by message"
    ).fetchall()
    if not orphans:
        return
    cursor = copy.execute(
        """insert into conversation (user, title, draft, created_ms, updated_ms)
          select coalesce((select min(id) from user), 1), ?, '', at_ms, at_ms
          from (select coalesce(max(updated_ms), 0) as at_ms from conversation)""",
        (LOST_PLACE,),
    )
    conversation = cursor.lastrowid
    assert conversation is not None
    before = None
    for (row_id,) in orphans:
        _add_message(copy, table, row_id, before, conversation)
        before = row_id


def _mend_parts(copy: sqlite3.Connection) -> None:
    """Where the damage left something else than JSON of ours, the page of messages could not be read."""
    unreadable = []
    for id, kind, text, data in copy.execute(
        "select id, kind, text, data from message_part where data not null"
    ):
        try:
            read_part(kind, text, data)
        except msgspec.DecodeError:
            unreadable.append((text or LOST_TEXT, id))
    copy.executemany("update message_part set kind = 'text', data = null, text = ? where id = ?", unreadable)
    for column, read in (("error", read_error), ("usage", read_usage)):
        found = copy.execute(f"select id, {column} from message where {column} not null").fetchall()
        for id, text in found:
            try:
                read(text)
            except msgspec.DecodeError:
                copy.execute(f"update message set {column} = null where id = ?", (id,))


def _drop_dangling(copy: sqlite3.Connection, tables: list[_Table]) -> None:
    """What refers to a row that is gone refers to none, or goes with it, as its table says."""
    changed = True
    while changed:
        changed = any(_drop_dangling_of(copy, table) for table in tables)


def _drop_dangling_of(copy: sqlite3.Connection, table: _Table) -> bool:
    """Whether anything was changed."""
    changed = 0
    for target, column, on_delete in copy.execute(
        'select "table", "from", on_delete from pragma_foreign_key_list(?)', (table.name,)
    ).fetchall():
        dangling = f"{column} is not null and {column} not in (select id from {target})"
        if on_delete == "SET NULL":
            changed += copy.execute(f"update {table.name} set {column} = null where {dangling}").rowcount
        elif (table.name, column) == ("message", "delegator"):  # the text is worth more than who asked for it
            changed += copy.execute(
                f"update message set delegator = null, call_position = null where {dangling}"
            ).rowcount
        else:
            gone = copy.execute(f"delete from {table.name} where {dangling}").rowcount
            table.rescued -= gone
            placed = min(gone, table.placed)  # perhaps they never were this table's
            table.placed -= placed
            table.refused += gone - placed
            changed += gone
    return changed > 0
