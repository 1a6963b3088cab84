"""Replies in the store: asked, streamed, ended, cut off, continued. Nothing that was flushed is lost."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pony.orm import db_session

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.errors import Conflict, InvalidRequest, NotFound
from deskside.backend.store import conversations, first_start, messages, replies
from deskside.backend.store.connection import Db
from deskside.backend.store.database import open_store
from deskside.backend.store.messages import (
    MessageError,
    MessageUsage,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from deskside.backend.store.migrate import migrate
from deskside.backend.store.replies import Chunk, FinishedReply, StoredPart
from stores import (
    MODEL,
    answer,
    ask,
    connected,
    finish,
    paths_in,
    rows,
    run_to_its_death,
    say,
    shown,
    talk,
    texts,
)


def found(database: Path, words: str) -> list[int]:
    """Ids of the messages that the search finds."""
    return [
        row[0]
        for row in rows(
            database,
            "select rowid from message_search where message_search match ? order by rowid",
            words,
        )
    ]


def check_search_index(database: Path) -> None:
    """FTS5 compares the index with the texts it should hold, and raises."""
    with closing(connected(database)) as connection:
        for table in ("message_search", "title_search"):
            connection.execute(f"insert into {table} ({table}, rank) values ('integrity-check', 1)")
        connection.rollback()


# -- asking -------------------------------------------------------------------------------------


async def test_a_first_question_starts_a_conversation_with_a_title_and_an_empty_reply(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store, "# Why is **the sky** blue?\n\nTell me.")

        assert "Why is the sky blue?" == asked.conversation.title
        assert asked.conversation.model == MODEL
        assert asked.question is not None
        assert [TextPart("# Why is **the sky** blue?\n\nTell me.")] == asked.question.parts
        assert ("user", "complete") == (asked.question.role, asked.question.status)
        assert None is asked.question.parent_id
        assert ("assistant", "streaming", []) == (asked.reply.role, asked.reply.status, asked.reply.parts)
        assert (asked.question.id, MODEL, asked.run_id) == (
            asked.reply.parent_id,
            asked.reply.model,
            asked.reply.run_id,
        )
        assert (0, 0) == (asked.next_position, asked.next_step)
        assert [asked.question, asked.reply] == await shown(store, asked.conversation.id)


async def test_the_next_question_follows_the_shown_reply_and_takes_the_draft(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store, "One")
        await answer(store, first, "1")
        await store.write(conversations.save_draft, first.conversation.id, "Tw")

        second = await ask(store, "Two", first.conversation.id)

        assert second.question is not None
        assert first.reply.id == second.question.parent_id
        assert ["One", "1", "Two", ""] == texts(await shown(store, first.conversation.id))
        assert ("", "One") == (second.conversation.draft, second.conversation.title)


async def test_a_conversation_answers_one_question_at_a_time(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)

        with pytest.raises(Conflict, match="still answering"):
            await ask(store, "And another", asked.conversation.id)
        with pytest.raises(Conflict, match="still answering"):
            await store.write(replies.answer_again, asked.reply.id, None)
        with pytest.raises(Conflict, match="still answering"):
            await store.write(replies.reopen, asked.reply.id)

        await ask(store, "Elsewhere it is fine")
        assert ["Hello", ""] == texts(await shown(store, asked.conversation.id))


async def test_a_question_to_a_deleted_conversation_is_refused(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await answer(store, asked)
        await store.write(conversations.delete, asked.conversation.id)

        with pytest.raises(NotFound, match="was deleted"):
            await ask(store, "Still there?", asked.conversation.id)


async def test_another_answer_is_a_version_of_the_first_and_is_shown(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store)
        await answer(store, first, "Hi")

        second = await store.write(replies.answer_again, first.reply.id, "scripted/other")
        await answer(store, second, "Good day")

        shown_now = await shown(store, first.conversation.id)
        assert second.question is None
        assert ["Hello", "Good day"] == texts(shown_now)
        assert [first.reply.id, second.reply.id] == shown_now[1].versions
        assert "scripted/other" == shown_now[1].model


async def test_another_answer_without_a_model_takes_the_old_one(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store)
        await answer(store, first)

        assert MODEL == (await store.write(replies.answer_again, first.reply.id, None)).reply.model


async def test_only_a_reply_can_be_answered_again_or_continued(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await answer(store, asked)
        assert asked.question is not None

        for function in (replies.reopen, lambda db, id: replies.answer_again(db, id, None)):
            with pytest.raises(InvalidRequest, match="not a reply"):
                await store.write(function, asked.question.id)
            with pytest.raises(NotFound):
                await store.write(function, 4711)


# -- versions -----------------------------------------------------------------------------------


async def test_a_question_in_other_words_is_another_version_with_its_own_reply(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("One", "1"), ("Two", "2"), ("Three", "3"))
        old = await shown(store, id)

        asked = await store.write(replies.ask_instead, old[2].id, "Two, please", MODEL)
        await answer(store, asked, "2b")

        new = await shown(store, id)
        assert ["One", "1", "Two, please", "2b"] == texts(new)
        assert [old[2].id, new[2].id] == new[2].versions
        await store.write(messages.show_version, old[2].id)
        assert texts(old) == texts(await shown(store, id))
        first = await store.write(replies.ask_instead, old[0].id, "Zero", MODEL)
        await answer(store, first, "0")
        assert ["Zero", "0"] == texts(await shown(store, id))
        with pytest.raises(InvalidRequest, match="not a question"):
            await store.write(replies.ask_instead, old[1].id, "x", MODEL)
        await ask(store, "Four", id)
        with pytest.raises(Conflict):
            await store.write(replies.ask_instead, old[0].id, "x", MODEL)


async def test_showing_a_version_shows_the_newest_path_below_it(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store, "One")
        await answer(store, first, "1a")
        old_path = await ask(store, "Two", first.conversation.id)
        await answer(store, old_path, "2a")
        newer_leaf = await store.write(replies.answer_again, old_path.reply.id, None)
        await answer(store, newer_leaf, "2b")
        other = await store.write(replies.answer_again, first.reply.id, None)
        await answer(store, other, "1b")
        assert ["One", "1b"] == texts(await shown(store, first.conversation.id))

        assert first.conversation.id == await store.write(messages.show_version, first.reply.id)

        assert ["One", "1a", "Two", "2b"] == texts(await shown(store, first.conversation.id))
        with pytest.raises(NotFound):
            await store.write(messages.show_version, 4711)


# -- pages --------------------------------------------------------------------------------------


async def test_pages_of_a_long_conversation_join_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, *((f"q{n}", f"a{n}") for n in range(6)))
        pages = []
        before = None
        while True:
            found = await store.read(messages.page, id, before, 5)
            pages.append(found.messages)
            before = found.messages[0].id
            if not found.has_more:
                break

        whole = await shown(store, id)
        assert [5, 5, 2] == [len(page) for page in pages]
        assert whole == [message for page in reversed(pages) for message in page]
        assert [] == (await store.read(messages.page, id, before, 5)).messages


async def test_a_page_around_a_message_joins_the_pages_before_and_after_it(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, *((f"q{n}", f"a{n}") for n in range(6)))
        whole = await shown(store, id)

        around = await store.read(messages.page_around, id, whole[6].id, 4)
        before = await store.read(messages.page, id, around.messages[0].id, 50)
        after = await store.read(messages.page_after, id, around.messages[-1].id, 50)
        some_after = await store.read(messages.page_after, id, whole[0].id, 3)

        assert whole[4:8] == around.messages
        assert (True, True) == (around.has_more, around.has_newer)
        assert whole == before.messages + around.messages + after.messages
        assert (False, True) == (before.has_more, before.has_newer)
        assert (True, False) == (after.has_more, after.has_newer)
        assert whole[1:4] == some_after.messages
        assert some_after.has_newer
        end = await store.read(messages.page_around, id, whole[-1].id, 6)
        assert whole[-4:] == end.messages
        assert not end.has_newer


async def test_what_is_shown_is_the_path_to_the_head_whatever_version_was_chosen(tmp_path: Path) -> None:
    def paths(db: Db) -> tuple[list[int], list[int]]:
        flagged = db.sql.execute("select id from message where is_shown = 1 order by depth").fetchall()
        walked = db.sql.execute(
            "with recursive path (id, parent, n) as ("
            "select m.id, m.parent, 0 from conversation c join message m on m.id = c.head "
            "union all select m.id, m.parent, n + 1 from path join message m on m.id = path.parent) "
            "select id from path order by n desc"
        ).fetchall()
        return [row[0] for row in flagged], [row[0] for row in walked]

    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store, "one")
        await answer(store, asked)
        replies_so_far = [asked.reply.id]
        chance = random.Random(7)
        for n in range(40):
            at = chance.choice(replies_so_far)
            match chance.randrange(3):
                case 0:
                    await store.write(messages.show_version, at)
                case 1:
                    again = await store.write(replies.answer_again, at, None)
                    await answer(store, again)
                    replies_so_far.append(again.reply.id)
                case _:
                    more = await ask(store, f"more {n}", asked.conversation.id)
                    await answer(store, more)
                    replies_so_far.append(more.reply.id)
            flagged, walked = await store.read(paths)
            assert walked == flagged


async def test_a_page_needs_a_conversation_and_a_message_of_it(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id, other = await talk(store, ("a", "b")), await talk(store, ("c", "d"))
        elsewhere = (await shown(store, other))[1].id

        for conversation_id, before in ((4711, None), (id, 4711), (id, elsewhere)):
            with pytest.raises(NotFound):
                await store.read(messages.page, conversation_id, before, 50)
        await store.write(conversations.delete, id)
        with pytest.raises(NotFound):
            await store.read(messages.page, id, None, 50)


async def test_a_page_of_fifty_messages_takes_five_queries_however_long_the_conversation(
    tmp_path: Path,
) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store)
        await say(store, asked, "still ", "streaming")
        await store.write(_prepend_messages, asked.conversation.id, 50_000)

        def steps_of(db: Db, limit: int) -> tuple[list[str], int, messages.MessagePage]:
            statements: list[str] = []
            steps = 0

            def count() -> int:
                nonlocal steps
                steps += 1
                return 0

            connection = db.sql
            connection.set_trace_callback(statements.append)
            connection.set_progress_handler(count, 100)
            page = messages.page(db, asked.conversation.id, None, limit)
            connection.set_trace_callback(None)
            connection.set_progress_handler(None, 0)
            return statements, steps * 100, page

        statements, steps, page = await store.read(steps_of, 50)

    assert 5 == len([each for each in statements if "message" in each])
    assert 50 == len(page.messages)
    assert [TextPart("still streaming")] == page.messages[-1].parts
    # Steps of SQLite's virtual machine: some hundreds a message, and none for the 50,000.
    assert steps < 50 * 1000


def _prepend_messages(db: Db, conversation_id: int, count: int) -> None:
    """A long past in front of a conversation's first message."""
    (root,) = db.sql.execute(
        "select id from message where conversation = ? and parent is null", (conversation_id,)
    ).fetchone()
    db.sql.execute("update message set depth = depth + ? where conversation = ?", (count, conversation_id))
    db.sql.executemany(
        "insert into message (id, conversation, parent, role, status, created_ms, depth, is_shown) "
        "values (?, ?, ?, 'user', 'complete', 0, ?, 1)",
        ((1000 + n, conversation_id, 999 + n if n else None, n) for n in range(count)),
    )
    db.sql.executemany(
        "insert into message_part (message, position, step, kind, text, origin) "
        "values (?, 0, 0, 'text', 'past', 'model')",
        ((1000 + n,) for n in range(count)),
    )
    db.sql.execute("update message set parent = ? where id = ?", (999 + count, root))


# -- history ------------------------------------------------------------------------------------


def call(call_id: str, status: Any = "finished", output: str | None = "4") -> ToolCallPart:
    return ToolCallPart(call_id, "calculate", '{"expression":"2+2"}', status, output, 7)


async def test_history_puts_the_results_of_a_step_behind_all_its_requests(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store, "2+2, twice?")
        parts = [
            StoredPart(0, 0, ReasoningPart("hm"), '{"signature":"s"}'),
            StoredPart(1, 0, TextPart("Let me see.")),
            StoredPart(2, 0, call("a")),
            StoredPart(3, 0, call("b", "failed", "overflow")),
            StoredPart(4, 1, call("c", "running", None)),
            StoredPart(5, 2, TextPart("")),
            StoredPart(6, 2, TextPart("It is 4.")),
        ]
        await finish(store, asked, parts)
        await ask(store, "Thanks", asked.conversation.id)

        history = await store.read(messages.history, asked.reply.id)

        def requested(id: str) -> ToolRequested:
            return ToolRequested(id, "calculate", '{"expression":"2+2"}')

        assert [
            UserText("2+2, twice?"),
            AssistantReasoning("hm", '{"signature":"s"}', MODEL),
            AssistantText("Let me see."),
            requested("a"),
            requested("b"),
            ToolFinished("a", "4", False, 7),
            ToolFinished("b", "overflow", True, 7),
            requested("c"),
            ToolFinished("c", "interrupted", True, 7),
            AssistantText("It is 4."),
        ] == history


async def test_history_is_the_path_and_not_the_other_versions(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store, "One")
        await answer(store, first, "1a")
        again = await store.write(replies.answer_again, first.reply.id, None)
        await answer(store, again, "1b")
        last = await ask(store, "Two", first.conversation.id)
        assert last.question is not None

        assert [UserText("One"), AssistantText("1b"), UserText("Two")] == await store.read(
            messages.history, last.question.id
        )
        assert [UserText("One"), AssistantText("1a")] == await store.read(messages.history, first.reply.id)
        with pytest.raises(NotFound):
            await store.read(messages.history, 4711)


async def test_the_history_of_an_empty_reply_ends_with_its_question(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store, "Hm?")

        assert [UserText("Hm?")] == await store.read(messages.history, asked.reply.id)


# -- the end ------------------------------------------------------------------------------------


async def test_a_finished_reply_is_whole_findable_and_first_in_the_list(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store, "Colour of plums?")
        await answer(store, await ask(store, "A later conversation"))
        await say(store, asked, "Pur", "ple")
        usage = MessageUsage(input_tokens=3, output_tokens=5)

        row = await finish(store, asked, [StoredPart(0, 0, TextPart("Purple."))], usage=usage)

        assert ("complete", [TextPart("Purple.")], usage) == (row.status, row.parts, row.usage)
        assert row.finished_ms is not None
        assert row == await store.read(messages.get, asked.reply.id)
        listed = (await store.read(conversations.page, None, 10)).conversations
        assert asked.conversation.id == listed[0].id
    assert [asked.reply.id] == found(paths.database, "purple")
    assert [asked.reply.parent_id] == found(paths.database, "plums")
    assert [] == rows(paths.database, "select * from message_chunk")
    assert [("complete", "answered")] == rows(
        paths.database, "select status, reason from run where id = ?", asked.run_id
    )
    check_search_index(paths.database)


async def test_a_failed_reply_says_why(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        error = MessageError("overloaded", "Too busy: \ud83d", "Press Retry.", True)

        row = await finish(store, await ask(store), status="failed", error=error)

        assert "failed" == row.status
        assert MessageError("overloaded", "Too busy: \ufffd", "Press Retry.", True) == row.error


async def test_text_that_finish_was_not_given_is_kept_as_it_was_flushed(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await say(store, asked, "fir", "st", position=0)
        await say(store, asked, "sec", "ond", position=1, kind="reasoning")

        row = await finish(store, asked, [StoredPart(0, 0, TextPart("first, whole"))])

        assert [TextPart("first, whole"), ReasoningPart("second")] == row.parts


async def test_a_reply_ends_once(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await answer(store, asked, "Hi")

        with pytest.raises(Conflict, match="not streaming"):
            await answer(store, asked, "Hi again")

        assert ["Hello", "Hi"] == texts(await shown(store, asked.conversation.id))


async def test_a_flush_that_comes_after_the_end_changes_nothing(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store)
        await answer(store, asked, "Hi")

        await say(store, asked, "late")

        assert ["Hello", "Hi"] == texts(await shown(store, asked.conversation.id))
    assert [] == rows(paths.database, "select * from message_chunk")


async def test_a_flush_that_is_repeated_is_kept_once(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await say(store, asked, "a", "b")
        await say(store, asked, "a", "b", "c")

        assert ["Hello", "abc"] == texts(await shown(store, asked.conversation.id))


async def test_a_part_of_a_message_that_is_gone_is_refused(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        with pytest.raises(NotFound):
            await store.write(replies.save_part, 4711, StoredPart(0, 0, TextPart("x")))


@pytest.mark.parametrize(
    "text",
    [
        "before\0after",
        "\0",
        "ends in a half \ud83d",
        "\ude00\ud83d",
        "e\u0301 👩\u200d👩\u200d👧 \u200f",
        "\r\n \t",
        "x" * 2_000_000,
    ],
    ids=["nul", "only-nul", "lone-half", "halves-the-wrong-way", "marks", "white", "two-million"],
)
async def test_any_text_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    expected = text.replace("\ud83d", "\ufffd").replace("\ude00", "\ufffd")
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store, text)
        await say(store, asked, text)
        tool = ToolCallPart("a", text, text, "finished", text)
        shown_streaming = texts(await shown(store, asked.conversation.id))

        row = await finish(store, asked, [StoredPart(0, 0, TextPart(text)), StoredPart(1, 0, tool)])

        assert [expected, expected] == shown_streaming
        assert [TextPart(expected), ToolCallPart("a", expected, expected, "finished", expected)] == row.parts
        assert [expected, expected] == texts(await shown(store, asked.conversation.id))
        await store.write(conversations.save_draft, asked.conversation.id, text)
        assert expected == (await store.read(conversations.get, asked.conversation.id)).draft
    check_search_index(paths.database)


async def test_halves_of_a_character_in_one_text_are_joined(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        row = await answer(store, await ask(store), "\ud83d\ude00")

        assert [TextPart("😀")] == row.parts


# -- cut off ------------------------------------------------------------------------------------

# Streams until it is killed: prints how many pieces of each of three replies were certainly flushed.
STREAMING = """
import asyncio, os, signal, sys
from pathlib import Path
from deskside.backend.store import replies
from deskside.backend.store.database import open_store
from stores import ask, paths_in, say

async def main():
    flushes, flushed = int(sys.argv[2]), Path(sys.argv[3])
    async with open_store(paths_in(Path(sys.argv[1]))) as store:
        asked = [await ask(store, f"question {n}") for n in range(3)]
        for n in range(flushes):
            chunks = [replies.Chunk(each.reply.id, n // 4, "text", n, f"{n} ") for each in asked]
            await asyncio.gather(*(store.write_soon(replies.append_chunks, [chunk]) for chunk in chunks))
        flushed.write_text(str(flushes))
        # In the middle of the next flush, which may or may not get there.
        chunks = [replies.Chunk(each.reply.id, 99, "text", 0, "last") for each in asked]
        task = asyncio.gather(*(store.write_soon(replies.append_chunks, [chunk]) for chunk in chunks))
        await asyncio.sleep(float(sys.argv[4]))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_killed_while_streaming_the_next_start_shows_all_that_was_flushed(tmp_path: Path) -> None:
    random_delay = random.Random(7)
    for attempt in range(10):
        folder, flushed = tmp_path / str(attempt), tmp_path / f"{attempt}.flushed"
        await asyncio.to_thread(
            run_to_its_death,
            STREAMING,
            folder,
            attempt * 3,
            flushed,
            random_delay.choice([0, 0.0002, 0.001]),
        )
        expected = "".join(f"{n} " for n in range(int(flushed.read_text())))

        async with open_store(paths_in(folder)) as store:
            listed = (await store.read(conversations.page, None, 10)).conversations
            for each in listed:
                question, reply = await shown(store, each.id)
                text = texts([reply])[0]
                assert "interrupted" == reply.status
                assert text in (expected, expected + "last")
                assert question.parts == [TextPart(each.title)]
        database = paths_in(folder).database
        assert 3 == len(listed)
        assert [("ok",)] == rows(database, "pragma integrity_check")
        assert [(0,)] == rows(database, "select count(*) from message_chunk")
        assert [("interrupted",)] == rows(database, "select distinct status from run")
        check_search_index(database)


async def crashed(tmp_path: Path, name: str) -> Path:
    """The files as they are now, as a crash would leave them, in another folder."""
    target = tmp_path / name

    def copy() -> None:
        (target / "data").mkdir(parents=True)
        for path in (tmp_path / "data").glob("deskside.db*"):
            if not path.name.endswith("-shm"):
                (target / "data" / path.name).write_bytes(path.read_bytes())

    await asyncio.to_thread(copy)
    return target


async def test_a_tool_call_that_was_cut_off_becomes_a_failed_one(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        id = asked.reply.id
        await say(store, asked, "Let me ", "see.")
        await store.write_soon(
            replies.save_part, id, StoredPart(1, 0, ToolCallPart("a", "calculate", "", "writing"))
        )
        await say(store, asked, '{"expre', 'ssion":', position=1, kind="tool_call")
        running = ToolCallPart("b", "calculate", "{}", "running")
        await store.write_soon(replies.save_part, id, StoredPart(2, 0, running))
        done = ToolCallPart("c", "calculate", "{}", "finished", "4", 2)
        await store.write_soon(replies.save_part, id, StoredPart(3, 0, done, '{"id":"x"}'))
        await say(store, asked, "So it", position=4)
        streaming = (await shown(store, asked.conversation.id))[1]
        after_crash = await crashed(tmp_path, "crashed")

    assert ToolCallPart("a", "calculate", '{"expression":', "writing") == streaming.parts[1]
    async with open_store(paths_in(after_crash)) as store:
        reply = await store.read(messages.get, id)
        history = await store.read(messages.history, id)

    assert "interrupted" == reply.status
    assert [
        TextPart("Let me see."),
        ToolCallPart("a", "calculate", '{"expression":', "failed", "interrupted"),
        ToolCallPart("b", "calculate", "{}", "failed", "interrupted"),
        done,
        TextPart("So it"),
    ] == reply.parts
    assert [ToolRequested, ToolRequested, ToolRequested, ToolFinished, ToolFinished, ToolFinished] == [
        type(item) for item in history[2:8]
    ]
    assert AssistantText("So it") == history[8]


async def test_a_continued_reply_goes_on_behind_its_parts_and_is_killed_again_without_loss(
    tmp_path: Path,
) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await say(store, asked, "One, ", "two")
        first_crash = await crashed(tmp_path, "first")
    async with open_store(paths_in(first_crash)) as store:
        again = await store.write(replies.reopen, asked.reply.id)
        assert ("streaming", [TextPart("One, two")]) == (again.reply.status, again.reply.parts)
        assert (1, 1) == (again.next_position, again.next_step)
        assert again.run_id == again.reply.run_id != asked.run_id
        # The same part goes on, and another begins.
        await say(store, again, ", three", position=0)
        await say(store, again, "Four", position=1)
        second_crash = await crashed(first_crash, "second")
    async with open_store(paths_in(second_crash)) as store:
        assert [TextPart("One, two, three"), TextPart("Four")] == (
            await store.read(messages.get, asked.reply.id)
        ).parts
        assert [asked.reply.id] == found(paths_in(second_crash).database, "three")
        last = await store.write(replies.reopen, asked.reply.id)
        row = await answer(store, last, "Five")

    assert ("complete", [asked.reply.id]) == (row.status, row.versions)
    assert [TextPart("One, two, three"), TextPart("Four"), TextPart("Five")] == row.parts
    check_search_index(paths_in(second_crash).database)


async def test_continuing_adds_to_what_the_reply_used(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        used = MessageUsage(input_tokens=10, output_tokens=1)
        await answer(store, asked, "a", status="stopped", usage=used)
        again = await store.write(replies.reopen, asked.reply.id)

        row = await answer(store, again, "b", usage=MessageUsage(input_tokens=12, output_tokens=2))

        assert MessageUsage(input_tokens=22, output_tokens=3) == row.usage


async def test_a_complete_reply_is_not_continued(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        await answer(store, asked)

        with pytest.raises(Conflict, match="complete"):
            await store.write(replies.reopen, asked.reply.id)


async def test_a_reply_that_streams_is_not_found_by_the_search(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store)
        await answer(store, asked, "plums", status="stopped")
        again = await store.write(replies.reopen, asked.reply.id)

        assert [] == found(paths.database, "plums")
        check_search_index(paths.database)
        await answer(store, again, "eaten")
        assert [asked.reply.id] == found(paths.database, "plums eaten OR plums")


@pytest.mark.parametrize("damaged", ["id = 10", "id > 10"], ids=["its structure", "its leaves"])
async def test_a_damaged_search_index_costs_no_reply_and_is_made_anew(damaged: str, tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        await talk(store, ("Where are the plums?", "In the icebox"))
        asked = await ask(store, "Are they good?")
        await store.write(_damage_index, damaged)
        await answer(store, asked, "So sweet")
        # FTS5 reads its old leaves when it merges them, which is every few commits.
        for n in range(12):
            await talk(store, (f"And plum {n}?", "So cold"))

        assert ["Are they good?", "So sweet"] == texts(await shown(store, asked.conversation.id))
    assert [asked.reply.id] == found(paths.database, "sweet")
    assert 12 == len(found(paths.database, "cold"))
    check_search_index(paths.database)


def _damage_index(db: Db, which: str) -> None:
    db.sql.execute(f"update message_search_data set block = x'00' where {which}")


# -- any order ----------------------------------------------------------------------------------

PIECES = st.lists(st.tuples(st.integers(0, 3), st.text(max_size=5)), max_size=12)


@settings(max_examples=60)
@given(
    pieces=PIECES,
    saved_at=st.sets(st.integers(0, 11)),
    ended_by=st.sampled_from(["finish", "finish without parts", "crash"]),
    continued=PIECES,
)
def test_however_a_reply_was_flushed_and_ended_its_text_is_what_was_said(
    pieces: list[tuple[int, str]],
    saved_at: set[int],
    ended_by: str,
    continued: list[tuple[int, str]],
    empty_db: Db,
) -> None:
    """Positions are kinds of parts in an order of their own; some parts are saved as a whole on the way."""
    db = empty_db
    with db_session:
        asked = replies.ask(db, None, "q", MODEL)
        said = _stream(db, asked, pieces, saved_at, {})
        assert _said(said) == _stored(db, asked)
        _end(db, asked, said, ended_by)
        assert _said(said) == _stored(db, asked)
        if ended_by == "crash":
            again = replies.reopen(db, asked.reply.id)
            assert _said(said) == _stored(db, asked)
            said = _stream(db, again, continued, set(), said)
            replies.interrupt_unfinished(db)
            assert _said(said) == _stored(db, asked)
        assert 0 == db.sql.execute("select count(*) from message_chunk").fetchone()[0]
        db.sql.execute("insert into message_search (message_search, rank) values ('integrity-check', 1)")
        db.rollback()


KINDS: list[Any] = ["text", "reasoning", "text", "tool_call"]


def _stream(
    db: Db, asked: replies.Asked, pieces: list[tuple[int, str]], saved_at: set[int], before: dict[int, str]
) -> dict[int, str]:
    said = dict(before)
    for n, (position, text) in enumerate(pieces):
        if position not in said and KINDS[position] == "tool_call":
            replies.save_part(db, asked.reply.id, _part(position, ""))
        said[position] = said.get(position, "") + text
        replies.append_chunks(db, [Chunk(asked.reply.id, position, KINDS[position], n, text)])
        if n in saved_at:
            replies.save_part(db, asked.reply.id, _part(position, said[position]))
    return said


def _part(position: int, text: str) -> StoredPart:
    kind = KINDS[position]
    if kind == "tool_call":
        return StoredPart(position, 0, ToolCallPart("a", "calculate", text, "writing"))
    return StoredPart(position, 0, TextPart(text) if kind == "text" else ReasoningPart(text))


def _end(db: Db, asked: replies.Asked, said: dict[int, str], ended_by: str) -> None:
    if ended_by == "crash":
        replies.interrupt_unfinished(db)
        return
    parts = [_part(position, text) for position, text in said.items()] if ended_by == "finish" else []
    replies.finish(
        db,
        FinishedReply(asked.reply.id, asked.run_id, "stopped", parts, None, MessageUsage(), "stopped"),
    )


def _said(said: dict[int, str]) -> list[tuple[str, str]]:
    return [(KINDS[position], text) for position, text in sorted(said.items())]


def _stored(db: Db, asked: replies.Asked) -> list[tuple[str, str]]:
    stored = []
    for part in messages.get(db, asked.reply.id).parts:
        if isinstance(part, ToolCallPart):
            stored.append(("tool_call", part.arguments))
        else:
            stored.append(("text" if isinstance(part, TextPart) else "reasoning", part.text))
    return stored


@pytest.fixture(scope="module")
def empty_db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Db]:
    """A database of its own, on this thread and without a store. Tests leave it as it was."""
    db = _new_db(tmp_path_factory.mktemp("any-order") / "deskside.db")
    yield db
    db.disconnect()


def _new_db(database: Path) -> Db:
    migrate(database, database.parent)
    db = Db(database, busy_timeout_s=1)
    with db_session:
        first_start.make_rows(db)
    return db


def test_a_tool_call_is_one_json_text_in_its_part(tmp_path: Path) -> None:
    """What other programs that read the file can rely on."""
    db = _new_db(tmp_path / "deskside.db")
    with db_session:
        asked = replies.ask(db, None, "q", MODEL)
        replies.save_part(db, asked.reply.id, _part(3, "{}"))
    db.disconnect()

    ((data,),) = rows(tmp_path / "deskside.db", "select data from message_part where kind = 'tool_call'")
    assert {
        "kind": "tool_call",
        "call_id": "a",
        "name": "calculate",
        "arguments": "{}",
        "status": "writing",
        "output": None,
        "duration_ms": 0,
        "origin": "tool",
        "source": "",
        "is_outside": False,
        "hidden_characters": 0,
        "approval": None,
        "elicitation": None,
        "is_agent": False,
    } == json.loads(data)
