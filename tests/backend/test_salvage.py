"""Rescue of what a damaged database still holds: never a crash, never a loss that is not told, and everything
that is on a page that is whole."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from damage import DAMAGES, make_database, overwrite
from deskside.backend.errors import StoreDamaged, StoreRefused
from deskside.backend.store import conversations, messages
from deskside.backend.store.database import open_store
from deskside.backend.store.migrate import migrate
from deskside.backend.store.pages import TABLE_LEAF, Image, _values, open_image
from deskside.backend.store.salvage import LOST_PLACE, Rescue, salvage
from deskside.backend.store.schema import read_migrations
from stores import connected, paths_in, rows

SHADOWS = "sqlite_", "message_search", "title_search"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "deskside.db"
    make_database(path)
    return path


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "deskside.db"))


def tables_of(database: Path) -> dict[str, int]:
    """Our tables and their first pages."""
    found = rows(database, "select name, rootpage from sqlite_schema where type = 'table' and rootpage > 0")
    return {name: root for name, root in found if not name.startswith(SHADOWS) and name != "migration"}


def counts_of(database: Path) -> dict[str, int]:
    return {name: rows(database, f"select count(*) from {name}")[0][0] for name in tables_of(database)}


# -- reading pages ------------------------------------------------------------------------------


def as_sqlite_reads(database: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(rows(database, f"select * from {table}"), key=repr)


def as_pages_say(image: Image, database: Path, table: str, root: int) -> list[tuple[Any, ...]]:
    columns = rows(database, "select pk, type from pragma_table_info(?)", table)
    keys = [pk for pk, _ in columns if pk]
    has_row_id_column = keys == [1] and (1, "INTEGER") in [(pk, kind.upper()) for pk, kind in columns]
    found = []
    tree = image.walk(root)
    assert 0 == tree.broken
    for number in tree.leaves:
        cells, broken = image.cells(number)
        assert 0 == broken
        for cell in cells:
            values = list(cell.values) + [None] * (len(columns) - len(cell.values))
            if has_row_id_column and image.page(number)[0] == TABLE_LEAF:
                values[[pk for pk, _ in columns].index(1)] = cell.row_id
            found.append(tuple(values))
    return sorted(found, key=repr)


def test_pages_say_what_sqlite_reads(whole: Path) -> None:
    with open_image(whole) as image:
        for table, root in tables_of(whole).items():
            assert as_sqlite_reads(whole, table) == as_pages_say(image, whole, table, root)


def test_what_was_committed_to_the_wal_file_is_read_and_what_was_not_is_not(damaged: Path) -> None:
    with closing(connected(damaged)) as db:
        db.isolation_level = None
        db.execute("pragma wal_autocheckpoint = 0")
        db.execute("update conversation set title = 'changed' where id = 7")
        expected = as_sqlite_reads(damaged, "conversation")
        db.execute("pragma cache_size = 2")
        db.execute("begin")
        db.execute("update message_part set text = text || 'not committed'")
        copied = Path(shutil.copytree(damaged.parent, damaged.parent / "copied")) / damaged.name
        db.execute("rollback")

    with open_image(copied) as image:
        found = as_pages_say(image, damaged, "conversation", tables_of(damaged)["conversation"])
        parts = as_pages_say(image, damaged, "message_part", tables_of(damaged)["message_part"])

    assert expected == found
    assert as_sqlite_reads(damaged, "message_part") == parts


# -- rescue -------------------------------------------------------------------------------------


def check_rescued(target: Path) -> None:
    """What is in the copy hangs together."""
    assert [("ok",)] == rows(target, "pragma integrity_check")
    assert [] == rows(target, "pragma foreign_key_check")
    with closing(connected(target)) as db:
        for index in ("message_search", "title_search"):
            db.execute(f"insert into {index} ({index}, rank) values ('integrity-check', 1)")
    assert [] == rows(
        target,
        "select child.id from message child join message parent on child.parent = parent.id "
        "where child.depth <> parent.depth + 1 or child.conversation <> parent.conversation",
    )
    assert [] == rows(
        target,
        "select conversation.id from conversation where (select max(depth) + 1 from message "
        "  where message.conversation = conversation.id and is_shown) "
        "<> (select count(*) from message where message.conversation = conversation.id and is_shown)",
    )


def _untouched(image: Image, number: int, spoiled: set[int]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    page = image.page(number)
    count = int.from_bytes(page[3:5], "big")
    for n in range(count):
        offset = int.from_bytes(page[8 + 2 * n : 10 + 2 * n], "big")
        image.overflow.clear()
        row_id, payload, _ = image._cell(page, offset, TABLE_LEAF)
        if not image.overflow & spoiled:
            yield row_id, _values(payload)


CONTENT = {
    "message_part": "select id, text from message_part",
    "conversation": "select id, title from conversation",
    "error_log": "select id, detail from error_log",
    "memory": "select id, text from memory",
}
COLUMN = {"message_part": 5, "conversation": 3, "error_log": 6, "memory": 1}


def check_nothing_readable_is_missing(whole: Path, target: Path, spoiled: set[int]) -> None:
    with open_image(whole) as image:
        for table, select in CONTENT.items():
            there = dict(rows(target, select))
            for row_id, values in _all_untouched(image, tables_of(whole)[table], spoiled):
                assert values[COLUMN[table]] == there.get(row_id), (table, row_id)


def _all_untouched(image: Image, root: int, spoiled: set[int]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for number in image.walk(root).leaves:
        if number not in spoiled:
            yield from _untouched(image, number, spoiled)


def check_losses_are_told(whole: Path, rescue: Rescue) -> None:
    before = counts_of(whole)
    for table in rescue.tables:
        missing = before[table.name] - table.rescued - table.rebuilt
        assert missing <= table.lost or table.may_be_more, (table, before[table.name])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", DAMAGES)
def test_whatever_the_damage_what_is_on_whole_pages_is_rescued_and_what_is_lost_is_told(
    kind: str, seed: int, whole: Path, damaged: Path
) -> None:
    spoiled = DAMAGES[kind](damaged, random.Random(seed))
    before = damaged.read_bytes()
    target = damaged.with_name("rescued.db")

    rescue = salvage(damaged, target)

    check_rescued(target)
    check_losses_are_told(whole, rescue)
    check_nothing_readable_is_missing(whole, target, spoiled)
    assert before == damaged.read_bytes()


def pages_of_every_kind(whole: Path) -> dict[str, int]:
    """One page for each table or index, and each thing that its pages are."""
    found = rows(whole, "select name, pagetype, max(pageno) from dbstat where pageno > 1 group by 1, 2")
    return {f"{name} {kind}": number for name, kind, number in found}


@pytest.mark.slow
def test_each_kind_of_page_can_be_lost(whole: Path, damaged: Path) -> None:
    target = damaged.with_name("rescued.db")
    kinds = pages_of_every_kind(whole)
    for page in kinds.values():
        shutil.copy(whole, damaged)
        overwrite(damaged, {page}, bytes)

        rescue = salvage(damaged, target)

        check_rescued(target)
        check_losses_are_told(whole, rescue)
        check_nothing_readable_is_missing(whole, target, {page})
    assert {"message_part internal", "message_part overflow", "conversation leaf"} <= kinds.keys()


async def test_a_schema_that_is_no_text_any_more_is_damage_like_any_other(
    whole: Path, damaged: Path, tmp_path: Path
) -> None:
    # SQLite's complaint quotes what it cannot read, and then Python cannot read the complaint.
    schema = damaged.read_bytes()
    assert b"CREATE TABLE agent " in schema
    damaged.write_bytes(schema.replace(b"CREATE TABLE agent ", b"CREATE TAB\xffE agent "))
    paths = paths_in(tmp_path)
    paths.database.parent.mkdir(exist_ok=True)
    shutil.copy(damaged, paths.database)
    target = damaged.with_name("rescued.db")

    rescue = salvage(damaged, target)

    check_rescued(target)
    check_losses_are_told(whole, rescue)
    with pytest.raises(StoreDamaged, match="is damaged"):
        async with open_store(paths):
            raise AssertionError("opened")


@pytest.mark.parametrize("table", ["agent", "conversation", "message", "message_part", "run", "setting"])
def test_a_table_whose_name_is_damaged_is_found_by_what_is_in_it(
    whole: Path, damaged: Path, table: str
) -> None:
    schema = damaged.read_bytes()
    entry = f"table{table}{table}".encode()  # kind, name, and the table it is about
    assert 1 == schema.count(entry)
    damaged.write_bytes(schema.replace(entry, f"table{table[:-1]}\x01{table}".encode()))

    target = damaged.with_name("rescued.db")
    rescue = salvage(damaged, target)

    check_rescued(target)
    check_losses_are_told(whole, rescue)
    assert counts_of(whole)[table] == counts_of(target)[table]


def test_a_whole_database_is_rescued_as_it_is(whole: Path, tmp_path: Path) -> None:
    rescue = salvage(whole, tmp_path / "rescued.db")

    assert rescue.is_whole
    assert counts_of(whole) == counts_of(tmp_path / "rescued.db")
    for table in tables_of(whole):
        assert as_sqlite_reads(whole, table) == as_sqlite_reads(tmp_path / "rescued.db", table)


def test_texts_whose_messages_nothing_knows_are_kept_in_a_conversation_of_their_own(
    whole: Path, damaged: Path
) -> None:
    gone = rows(
        whole,
        "select pageno from dbstat where name in ('message', 'message_by_conversation', 'message_by_parent', "
        "'message_shown', 'message_by_agent')",
    )
    overwrite(damaged, {page for (page,) in gone}, bytes)
    target = damaged.with_name("rescued.db")

    rescue = salvage(damaged, target)

    check_rescued(target)
    parts = "select text from message_part where kind = 'text' order by id"
    assert rows(whole, parts) == rows(target, parts)
    assert [(LOST_PLACE,)] == rows(
        target,
        "select distinct title from conversation join message on message.conversation = conversation.id",
    )
    (message,) = [table for table in rescue.tables if table.name == "message"]
    assert (0, counts_of(whole)["message"], True) == (message.rescued, message.rebuilt, message.may_be_more)


def test_conversations_whose_row_is_lost_are_put_together_with_the_title_of_a_new_one(
    whole: Path, damaged: Path
) -> None:
    lost = rows(whole, "select pageno from dbstat where name = 'conversation' and pagetype <> 'internal'")
    overwrite(damaged, {page for (page,) in lost}, bytes)
    target = damaged.with_name("rescued.db")

    rescue = salvage(damaged, target)

    check_rescued(target)
    (table,) = [table for table in rescue.tables if table.name == "conversation"]
    assert (0, 54, 0) == (table.rescued, table.rebuilt, table.lost)
    ids = "select id from conversation order by id"
    assert rows(whole, ids) == rows(target, ids)
    first = rows(target, "select id, title from conversation order by id limit 1")
    begin = "select text from message_part join message on message.id = message where conversation = 1"
    assert first[0][1].removesuffix("…") in rows(whole, f"{begin} order by message.id limit 1")[0][0]


def test_what_looks_like_a_row_is_none_where_only_an_index_has_it(whole: Path, damaged: Path) -> None:
    overwrite(damaged, {1}, bytes)  # so that nothing says which page is whose
    target = damaged.with_name("rescued.db")

    rescue = salvage(damaged, target)

    check_rescued(target)
    assert as_sqlite_reads(whole, "conversation_tag") == as_sqlite_reads(target, "conversation_tag")
    assert 0 == rescue.lost


def test_a_damaged_database_of_an_older_schema_is_rescued_at_the_newest(tmp_path: Path) -> None:
    old = tmp_path / "deskside.db"
    migrate(old, None, read_migrations()[:5])
    with closing(sqlite3.connect(old)) as db:
        db.execute("insert into user values (1, '', 'system', 'en', 1)")
        for n in range(1, 400):
            db.execute(
                "insert into conversation (id, user, title, draft, created_ms, updated_ms) "
                "values (?, 1, ?, '', 1, 1)",
                (n, f"conversation {n} " + "x" * 100),
            )
            db.execute(
                "insert into message (id, conversation, role, status, created_ms) "
                "values (?, ?, 'user', 'complete', 1)",
                (n, n),
            )
            db.execute("update conversation set head = ? where id = ?", (n, n))
        db.commit()
    leaves = rows(old, "select pageno from dbstat where name = 'conversation' and pagetype = 'leaf'")
    overwrite(old, {leaves[1][0]}, bytes)

    rescue = salvage(old, tmp_path / "rescued.db")

    check_rescued(tmp_path / "rescued.db")
    assert 5 == rescue.schema
    assert [(len(read_migrations()),)] == rows(tmp_path / "rescued.db", "pragma user_version")
    assert [(399,)] == rows(tmp_path / "rescued.db", "select count(*) from message")
    (table,) = [table for table in rescue.tables if table.name == "conversation"]
    assert 0 == table.lost
    assert 0 < table.rebuilt < 60
    assert 399 == table.rescued + table.rebuilt


def test_the_wal_file_of_another_database_is_left_out(whole: Path, damaged: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "deskside.db"
    make_database(other, conversations=30, seed=2)
    with closing(connected(other)) as db:
        db.isolation_level = None
        db.execute("pragma wal_autocheckpoint = 0")
        db.execute("update message_part set text = 'of the other ' || text")
        db.execute("update conversation set title = 'of the other'")
        shutil.copy(f"{other}-wal", f"{damaged}-wal")
    target = tmp_path / "rescued.db"

    rescue = salvage(damaged, target)

    assert rescue.is_without_wal
    assert as_sqlite_reads(whole, "message_part") == as_sqlite_reads(target, "message_part")


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "diary.db").write_text("Dear diary\n" * 5000)
    (tmp_path / "empty.db").write_bytes(b"")
    with closing(sqlite3.connect(tmp_path / "newer.db")) as db:
        db.execute(
            "create table migration (number integer primary key, name text, sha256 text, at_ms integer)"
        )
        db.execute("insert into migration values (99, '0099_later', ?, 1)", ("a" * 64,))
        db.commit()

    for name, expected in (("diary", StoreDamaged), ("empty", StoreDamaged), ("newer", StoreRefused)):
        with pytest.raises(expected):
            salvage(tmp_path / f"{name}.db", tmp_path / "rescued.db")
    assert "Dear diary\n" * 5000 == (tmp_path / "diary.db").read_text()


async def test_every_conversation_of_a_rescued_database_can_be_read(whole: Path, tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    paths.data.mkdir()
    shutil.copy(whole, paths.database)
    calls = rows(
        whole,
        "select pageno from dbstat where name = 'message_part' and pagetype = 'leaf'",
    )
    random_ = random.Random(5)
    with paths.database.open("r+b") as file:
        for (page,) in calls:  # in the middle of its texts and its JSON, most of it
            for _ in range(6):
                file.seek((page - 1) * 4096 + random_.randrange(1000, 4096))
                file.write(random_.randbytes(1))

    rescue = salvage(paths.database, tmp_path / "rescued.db")
    (tmp_path / "rescued.db").replace(paths.database)
    async with open_store(paths) as store:
        listed = (await store.read(conversations.page, None, 200)).conversations
        for row in listed:
            assert (await store.read(messages.page, row.id, None, 200)).messages

    assert 54 == len(listed)
    assert not rescue.is_whole
