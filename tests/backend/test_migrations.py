"""Migrations: the runner's promises, each file's effect, and that Pony sees what the files say."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deskside.backend.backups.manifest import read_folder
from deskside.backend.errors import StoreDamaged, StoreRefused
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate
from deskside.backend.store.schema import APPLICATION_ID, Migration, read_migrations
from stores import connected, files_of, rows, run_child, run_to_its_death

NEWEST = len(read_migrations())
MESSAGES = """
insert into user values (1, '', 'system', 'en', 0);
insert into conversation (id, user, title, draft, created_ms, updated_ms) values (1, 1, 'Plums', '', 0, 0);
insert into message (id, conversation, role, status, created_ms) values
  (1, 1, 'user', 'complete', 0), (2, 1, 'assistant', 'complete', 0), (3, 1, 'assistant', 'streaming', 0);
insert into message_part (id, message, position, step, kind, text) values
  (10, 1, 0, 0, 'text', 'Where are the plums?'), (20, 2, 0, 0, 'reasoning', 'the icebox'),
  (21, 2, 1, 0, 'text', 'I have eaten the plums'), (30, 3, 0, 0, 'text', 'plums and');
"""
# Since 0004.
MESSAGES_NOW = re.sub(r"('(?:text|reasoning)', '[^']*')\)", r"\1, 'model')", MESSAGES).replace(
    "text) values", "text, origin) values"
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "deskside.db"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def database_at(database: Path, backups: Path) -> Callable[[int], sqlite3.Connection]:
    """A database as it was after migration N, open for filling it."""

    def at(number: int) -> sqlite3.Connection:
        migrate(database, backups, read_migrations()[:number])
        return connected(database)

    return at


# -- each file ----------------------------------------------------------------------------------


def test_0002_makes_finished_texts_findable(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(1)) as connection:
        connection.executescript(MESSAGES)

    migrate(database, backups, read_migrations()[:2])

    assert [(10,), (21,)] == rows(
        database, "select rowid from message_search where message_search match 'plums' order by rowid"
    )
    assert [] == rows(database, "select rowid from message_search where message_search match 'icebox'")


def test_0003_keeps_keys_and_knows_no_address_of_theirs(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(2)) as connection:
        connection.execute("insert into api_key values ('openai', 'OpenAI', 'wxyz', 'keychain', 1, null)")
        connection.commit()

    migrate(database, backups)

    assert [("openai", "wxyz", None)] == rows(database, "select provider, last_four, address from api_key")


def test_tools_of_before_are_asked_about_until_they_say_what_they_do(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(4)) as connection:
        connection.execute(
            "insert into tool values (1, 'calculate', 'built_in', '', '{}', null, null, 'never', 1, 0, 0)"
        )
        connection.commit()

    migrate(database, backups)

    assert [("calculate", "execute", "", "[]")] == rows(
        database, "select name, effect, category, capabilities from tool"
    )


def test_servers_are_kept_and_none_of_their_tools_is_accepted(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(4)) as connection:
        connection.execute("insert into mcp_server values (1, 'files', 'stdio', 'npx', '[]', '', 1, 0, 0)")
        connection.execute(
            "insert into tool (name, kind, description, parameters, mcp_server, approval, is_enabled, "
            "created_ms, updated_ms) values ('files__read', 'mcp', 'Read.', '{}', 1, 'never', 1, 0, 0)"
        )
        connection.commit()

    migrate(database, backups)

    assert [("files", "[]", "[]", "")] == rows(
        database, "select name, environment, headers, secret_prefix from mcp_server"
    )
    assert [("files__read", None, None, 1)] == rows(
        database, "select name, accepted, offered, is_offered from tool where kind = 'mcp'"
    )


def test_nobody_is_signed_in_at_the_servers_of_before(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(8)) as connection:
        connection.execute(
            "insert into mcp_server (id, name, transport, command, arguments, url, is_enabled, created_ms, "
            "updated_ms) values (1, 'calendar', 'http', '', '[]', 'https://mcp.example.com', 1, 0, 0)"
        )
        connection.commit()

    migrate(database, backups)

    assert [("calendar", None)] == rows(database, "select name, sign_in from mcp_server")


def test_entities_and_files_name_the_same_tables_and_columns(database: Path, backups: Path) -> None:
    migrate(database, backups)
    db = Db(database, busy_timeout_s=1)
    mapped = {entity._table_: sorted(entity._columns_) for entity in db.entities.values()}
    db.disconnect()

    tables = rows(
        database,
        "select name from pragma_table_list where schema = 'main' and type = 'table' "
        "and name not like 'sqlite_%' and name <> 'migration'",
    )
    assert mapped == {
        name: sorted(column for (column,) in rows(database, "select name from pragma_table_info(?)", name))
        for (name,) in tables
    }


def test_every_table_is_strict(database: Path, backups: Path) -> None:
    migrate(database, backups)

    assert [] == rows(
        database,
        "select name from pragma_table_list where schema = 'main' and type = 'table' "
        "and not strict and name not like 'sqlite_%'",
    )


def test_0004_says_of_each_part_where_its_text_comes_from_and_keeps_it_findable(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(3)) as connection:
        connection.executescript(MESSAGES)
        connection.execute(
            "insert into message_part (id, message, position, step, kind, text, data) "
            "values (22, 2, 2, 0, 'tool_call', '', '{\"kind\": \"tool_call\"}')"
        )
        connection.execute("insert into message_search (message_search) values ('rebuild')")
        connection.commit()
    before = rows(
        database, "select id, message, position, step, kind, text, data from message_part order by id"
    )

    migrate(database, backups)

    assert before == rows(
        database, "select id, message, position, step, kind, text, data from message_part order by id"
    )
    assert [(10, "user"), (20, "model"), (21, "model"), (22, "tool"), (30, "model")] == rows(
        database, "select id, origin from message_part order by id"
    )
    assert [(1,), (2,)] == rows(
        database, "select rowid from message_search where message_search match 'plums' order by rowid"
    )


def test_0004_gives_the_name_of_a_deleted_agent_free(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    add = (
        "insert into agent (name, label, instructions, step_limit, created_ms, updated_ms, deleted_ms) "
        "values ('writer', '', '', 20, 0, 0, ?)"
    )
    with closing(database_at(3)) as connection:
        connection.execute(add, (1,))
        connection.commit()

    migrate(database, backups)

    with closing(sqlite3.connect(database)) as connection:
        connection.execute(add, (None,))
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(add, (None,))


def test_0011_knows_the_shown_path_and_how_deep_each_message_is(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(10)) as connection:
        connection.executescript("""
            insert into user values (1, '', 'system', 'en', 0);
            insert into conversation (id, user, title, draft, created_ms, updated_ms) values
              (1, 1, 'Plums', '', 0, 0), (2, 1, 'Empty', '', 0, 0);
            insert into message (id, conversation, parent, role, status, created_ms) values
              (1, 1, null, 'user', 'complete', 0), (2, 1, 1, 'assistant', 'complete', 0),
              (3, 1, 1, 'assistant', 'complete', 0), (4, 1, 2, 'user', 'complete', 0),
              (5, 1, null, 'user', 'complete', 0);
            insert into message (id, conversation, role, status, created_ms, delegator, call_position)
              values (6, 1, 'assistant', 'complete', 0, 2, 0);
            update conversation set head = 4 where id = 1;
        """)
        connection.commit()

    migrate(database, backups)

    assert [(1, 0, 1), (2, 1, 1), (3, 1, 0), (4, 2, 1), (5, 0, 0), (6, 0, 0)] == rows(
        database, "select id, depth, is_shown from message order by id"
    )


def test_0012_keeps_each_error_as_it_was_and_tells_of_none_again(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(11)) as connection:
        connection.executescript("""
            insert into error_log (id, at_ms, source, code, message, place, detail, request_id) values
              (1, 10, 'run', 'bad_key', 'no', 'run 1', '', 'a1'),
              (2, 20, 'run', 'bad_key', 'no', 'run 1', '', 'a2');
        """)
        connection.commit()

    migrate(database, backups)

    assert [(1, 10, "no", "a1", "", 1, 10, 1), (2, 20, "no", "a2", "", 1, 20, 1)] == rows(
        database,
        "select id, at_ms, message, request_id, fingerprint, count, first_ms, is_shown from error_log",
    )


def test_calls_of_before_are_estimates_where_they_have_a_cost_and_know_their_conversation(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    limits = '{"day":{"tokens":5}}'
    with closing(database_at(11)) as connection:
        connection.executescript(MESSAGES_NOW)
        connection.executescript(f"""
            insert into run (id, conversation, message, model, status, request_id, started_ms) values
              (1, 1, 2, 'a/b', 'complete', '', 0);
            insert into usage_record (call_id, run, provider, model, input_tokens, cache_read_tokens,
              cache_write_tokens, output_tokens, reasoning_tokens, cost_nano_usd, request_id, at_ms)
              values ('known', 1, 'a', 'a/b', 1, 0, 0, 0, 0, 0, '', 1),
                ('unknown', 1, 'a', 'a/b', 1, 0, 0, 0, 0, null, '', 1),
                ('a title', null, 'a', 'a/b', 1, 0, 0, 0, 0, 7, '', 1),
                ('broken off', 1, 'a', 'a/b', 0, 0, 0, 0, 0, null, '', 1);
            insert into setting values ('limits', '{limits}', 42);
        """)
        connection.commit()

    migrate(database, backups)

    assert [
        ("known", "estimated", "all", 1),
        ("unknown", "unknown", "all", 1),
        ("a title", "estimated", "all", None),
        ("broken off", "unknown", "nothing", 1),
    ] == rows(
        database,
        "select call_id, state, reported, usage_conversation.conversation from usage_record left join "
        "usage_conversation on usage_conversation.id = usage_record.conversation order by usage_record.id",
    )
    assert [(42, None, limits)] == rows(database, "select at_ms, agent, limits from limit_change")


@pytest.mark.parametrize(
    "wrong",
    ["'unknown', 0", "'unknown', 7", "'estimated', null", "'billed', null", "'billed', -1", "'free', 0"],
)
def test_the_schema_takes_no_cost_for_unknown_and_no_other_state_without_one(
    wrong: str, database: Path, backups: Path
) -> None:
    migrate(database, backups)

    with closing(sqlite3.connect(database)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "insert into usage_record (call_id, provider, model, input_tokens, cache_read_tokens, "
            "cache_write_tokens, output_tokens, reasoning_tokens, reported, request_id, at_ms, state, "
            f"cost_nano_usd) values ('a', 'a', 'a/b', 1, 0, 0, 0, 0, 'all', '', 1, {wrong})"
        )


def test_0009_finds_titles_and_parts_of_words_and_a_message_by_words_of_two_of_its_parts(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(8)) as connection:
        connection.executescript("""
            insert into user values (1, '', 'system', 'en', 0);
            insert into conversation (id, user, title, draft, created_ms, updated_ms) values
              (1, 1, '东京旅行', '', 0, 0);
            insert into message (id, conversation, role, status, created_ms) values
              (1, 1, 'user', 'complete', 0), (2, 1, 'assistant', 'complete', 0),
              (3, 1, 'assistant', 'streaming', 0);
            insert into message_part (message, position, step, kind, text, origin) values
              (1, 0, 0, 'text', '我们明天去东京旅行', 'user'), (2, 1, 0, 'text', 'the icebox', 'model'),
              (2, 0, 0, 'text', 'fetchUserById of plums', 'model'), (3, 0, 0, 'text', 'plums', 'model');
        """)
        connection.commit()

    migrate(database, backups)

    found = "select rowid from message_search where message_search match ?"
    assert [(1,)] == rows(database, found, '"东 京"')
    assert [(2,)] == rows(database, found, "user")
    assert [(2,)] == rows(database, found, "plums icebox")
    assert [(2,)] == rows(database, found, '"plums the"')
    assert [(1,)] == rows(database, "select rowid from title_search where title_search match '\"旅 行\"'")


def test_every_reference_has_an_index(database: Path, backups: Path) -> None:
    migrate(database, backups)
    references = rows(
        database,
        'select m.name, f."from" from sqlite_master m join pragma_foreign_key_list(m.name) f '
        "where m.type = 'table'",
    )
    indexed = rows(
        database,
        "select m.name, c.name from sqlite_master m join pragma_index_list(m.name) i "
        "join pragma_index_info(i.name) c where m.type = 'table' and c.seqno = 0",
    )

    assert set(references) <= set(indexed)


def test_no_table_has_a_place_for_a_secret(database: Path, backups: Path) -> None:
    migrate(database, backups)

    assert [
        ("provider",),
        ("label",),
        ("last_four",),
        ("source",),
        ("created_ms",),
        ("last_used_ms",),
        ("address",),
    ] == rows(database, "select name from pragma_table_info('api_key')")


# -- the runner ---------------------------------------------------------------------------------


def test_a_new_file_gets_every_migration_and_its_record(database: Path, backups: Path) -> None:
    migrate(database, backups)

    recorded = rows(database, "select number, name, sha256 from migration")
    assert [(m.number, m.name, m.sha256) for m in read_migrations()] == recorded
    assert [(NEWEST,)] == rows(database, "pragma user_version")
    assert [(APPLICATION_ID,)] == rows(database, "pragma application_id")
    assert not backups.exists()


def test_only_the_user_may_read_the_file(database: Path, backups: Path) -> None:
    migrate(database, backups)

    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_file_that_is_up_to_date_is_not_written(database: Path, backups: Path) -> None:
    migrate(database, backups)
    before = files_of(database.parent)

    migrate(database, backups)

    assert before == files_of(database.parent)


def test_an_empty_file_that_a_crash_left_is_a_new_one(database: Path, backups: Path) -> None:
    database.touch()

    migrate(database, backups)

    assert [(NEWEST,)] == rows(database, "pragma user_version")


def _edited(database: Path) -> None:
    _execute(database, "update migration set sha256 = 'what it was' where number = 1")


def _newer(database: Path) -> None:
    _execute(database, f"pragma user_version = {NEWEST + 1}")


def _foreign(database: Path) -> None:
    _execute(database, "pragma application_id = 42")


def _foreign_without_id(database: Path) -> None:
    database.unlink()
    _execute(database, "create table notes (text)")


def _execute(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)


REFUSED = {
    _edited: "edited after it ran",
    _newer: "written by a newer Deskside",
    _foreign: "belongs to another program",
    _foreign_without_id: "belongs to another program",
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_a_file_that_is_not_for_this_program_is_refused_and_left_as_it_is(
    spoil: Callable[[Path], None], database: Path, backups: Path
) -> None:
    migrate(database, backups)
    spoil(database)
    before = files_of(database.parent)

    with pytest.raises(StoreRefused, match=REFUSED[spoil]) as raised:
        migrate(database, backups)

    assert before == files_of(database.parent)
    assert str(database) in raised.value.message
    assert raised.value.hint
    assert not backups.exists()


def test_a_refused_file_keeps_what_a_crash_left_in_its_wal(database: Path, backups: Path) -> None:
    migrate(database, backups)
    writer = sqlite3.connect(database)
    writer.execute("pragma journal_mode = wal")
    writer.execute("pragma user_version = 99")
    crashed = database.parent.with_name("crashed")
    shutil.copytree(database.parent, crashed, ignore=shutil.ignore_patterns("*-shm"))
    writer.close()
    before = files_of(crashed)
    assert any(name.endswith("-wal") for name in before)

    with pytest.raises(StoreRefused, match="newer"):
        migrate(crashed / database.name, backups)

    assert before == files_of(crashed)


def test_a_file_that_is_no_database_is_left_as_it_is(database: Path, backups: Path) -> None:
    database.write_bytes(b"Dear diary, today I ate the plums.\n" * 100)
    before = files_of(database.parent)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        migrate(database, backups)

    assert before == files_of(database.parent)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("create table x (y) strict;", "missing datatype"),
        ("create table x (y text) strict;\ncommit;", "not authorized"),
        ("attach 'other.db' as other;", "not authorized"),
        ("create table x (y text) strict; create table z (", "no end"),
    ],
)
def test_a_migration_that_fails_leaves_the_old_schema_and_rows(
    sql: str, problem: str, database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(NEWEST)) as connection:
        connection.executescript(MESSAGES_NOW)
    before = _dump(database)

    with pytest.raises((sqlite3.Error, ValueError), match=problem):
        migrate(database, backups, [*read_migrations(), _migration(sql)])

    assert before == _dump(database)


def test_a_migration_that_breaks_a_reference_is_undone(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(NEWEST)) as connection:
        connection.executescript(MESSAGES_NOW)
    before = _dump(database)

    with pytest.raises(StoreRefused, match="'conversation' refers to a row of 'user'"):
        migrate(database, backups, [*read_migrations(), _migration("delete from user;")])

    assert before == _dump(database)


def test_a_checked_copy_is_kept_before_a_database_is_migrated(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(1)) as connection:
        connection.executescript(MESSAGES)
    before = _dump(database)

    migrate(database, backups)

    (copy,) = backups.glob("*.db")
    (described,) = read_folder(backups)[0]
    assert before == _dump(copy)
    assert ("before_migration", 1, copy.name) == (described.kind, described.schema, described.database)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == described.sha256
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {".lock", copy.name, f"{described.name}.json"} == {path.name for path in backups.iterdir()}


def test_the_copy_has_what_is_still_in_the_wal(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(1)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.executescript(MESSAGES)

        migrate(database, backups)

    (copy,) = backups.glob("*.db")
    assert [("Plums",)] == rows(copy, "select title from conversation")


def test_a_database_that_cannot_be_copied_is_not_migrated(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(1)) as connection:
        connection.executescript(MESSAGES)
    backups.write_text("not a folder")
    before = files_of(database.parent)

    with pytest.raises(FileExistsError):
        migrate(database, backups)

    assert before == files_of(database.parent)


def test_a_damaged_database_is_not_migrated_and_its_copy_is_not_kept(
    database: Path, backups: Path, database_at: Callable[[int], sqlite3.Connection]
) -> None:
    with closing(database_at(1)) as connection:
        connection.executescript(MESSAGES)
    ((page,),) = rows(database, "select rootpage from sqlite_master where name = 'message_part'")
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    before = files_of(database.parent)

    with pytest.raises(StoreDamaged, match="was not updated"):
        migrate(database, backups)

    assert before == files_of(database.parent)
    assert [".lock"] == [path.name for path in backups.iterdir()]


@pytest.mark.parametrize("names", [["0002_late.sql"], ["0001_a.sql", "0003_c.sql"], ["first.sql"]])
def test_files_must_be_numbered_without_gaps(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1;")

    with pytest.raises(ValueError, match="without gaps"):
        read_migrations(tmp_path)


def test_line_ends_that_git_changed_are_not_an_edit(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_bytes(b"-- why\ncreate table a (b text) strict;\n")
    (unix,) = read_migrations(tmp_path)
    (tmp_path / "0001_a.sql").write_bytes(b"-- why\r\ncreate table a (b text) strict;\r\n")

    assert [unix] == read_migrations(tmp_path)


# -- kill -9 ------------------------------------------------------------------------------------

# Dies before its Nth statement on any connection; without a N it says how many there are.
DYING = """
import os, signal, sqlite3, sys
from pathlib import Path

connect, done, last = sqlite3.connect, 0, int(sys.argv[3])

class Dying(sqlite3.Connection):
    def execute(self, *arguments):
        global done
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)

sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Dying, **named)
from deskside.backend.store.migrate import migrate
migrate(Path(sys.argv[1]), Path(sys.argv[2]))
print(done)
"""


@pytest.mark.parametrize("from_number", [0, 1])
def test_a_migration_that_is_killed_anywhere_can_be_done_again(
    from_number: int, database: Path, backups: Path, tmp_path: Path
) -> None:
    before = None
    if from_number:
        migrate(database, backups, read_migrations()[:from_number])
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(MESSAGES)
        before = _dump(database)
    start = tmp_path / "start"
    shutil.copytree(database.parent, start)
    whole = run_child(DYING, database, backups, 0)
    after = _dump(database)
    points = int(whole.stdout)

    # Evenly spread, and the last three: the versions, COMMIT.
    for point in sorted({*range(2, points + 1, max(1, points // 5)), points - 2, points - 1, points}):
        shutil.rmtree(database.parent)
        shutil.copytree(start, database.parent)
        run_to_its_death(DYING, database, backups, point)
        if before is not None:
            assert before == _dump(database), point
        migrate(database, backups)
        assert after == _dump(database), point
        assert [("ok",)] == rows(database, "pragma integrity_check")
    assert [] == list(backups.glob("*.unfinished"))


def _migration(sql: str) -> Migration:
    return Migration(NEWEST + 1, f"{NEWEST + 1:04d}_made_for_a_test", sql, "0" * 64)


def _dump(database: Path) -> list[str]:
    """Schema and rows; without the times of migrations, which differ from run to run."""
    with closing(connected(database)) as connection:
        lines = [line for line in connection.iterdump() if not line.startswith('INSERT INTO "migration"')]
        version = connection.execute("pragma user_version").fetchone()[0]
        numbers = connection.execute("select number from migration").fetchall()
    return [*lines, f"version {version}", f"migrations {numbers}"]
