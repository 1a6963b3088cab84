"""The store's small tables: conversations, settings, keys, agents, usage, the recorder, errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.agent.events import (
    Finished,
    RunEvent,
    StepFinished,
    StepStarted,
    ToolFinished,
    ToolRequested,
    Usage,
    UsageReported,
)
from deskside.backend.diagnosis import report_of
from deskside.backend.errors import InvalidRequest, NotFound
from deskside.backend.keys import KeyRow
from deskside.backend.log import request_id
from deskside.backend.store import agents, api_keys, conversations, errors, runs, settings, usage
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.first_start import STORE_ID
from deskside.backend.store.text import LONGEST_TITLE, NO_TITLE, title_of
from deskside.backend.store.usage import Cost, UsageRecord
from stores import answer, ask, paths_in, rows, talk

# -- conversations ------------------------------------------------------------------------------


async def test_pages_of_the_list_join_without_a_gap_or_a_repeat_while_it_changes(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        ids = [await talk(store, (f"q{n}", "a")) for n in range(7)]
        first = await store.read(conversations.page, None, 3)
        await talk(store, ("new meanwhile", "a"))
        await store.write(conversations.delete, ids[1])

        second = await store.read(conversations.page, first.next_cursor, 3)

        assert ids[:3:-1] == [row.id for row in first.conversations]
        assert [ids[3], ids[2], ids[0]] == [row.id for row in second.conversations]
        assert None is second.next_cursor


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2.3", "-1.2", "1.x", "9" * 50 + ".1"])
async def test_a_cursor_that_is_not_ours_is_refused(cursor: str, tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        with pytest.raises(InvalidRequest, match="not a cursor"):
            await store.read(conversations.page, cursor, 3)


async def test_the_conversation_that_was_used_last_is_first(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = await talk(store, ("one", "a")), await talk(store, ("two", "b"))
        await store.write(conversations.rename, one, "renamed, not used")
        await store.write(conversations.save_draft, one, "typed, not sent")
        assert [two, one] == await _listed(store)

        await answer(store, await ask(store, "more", one))

        assert [one, two] == await _listed(store)


async def _listed(store: Store) -> list[int]:
    return [row.id for row in (await store.read(conversations.page, None, 50)).conversations]


async def test_a_conversation_keeps_its_title_model_and_draft(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("Hello", "Hi"))
        await store.write(conversations.rename, id, "  Two\n words  ")
        await store.write(conversations.set_model, id, "local/llama")
        returned = await store.write(conversations.save_draft, id, " kept as typed \n")

        row = await store.read(conversations.get, id)
        assert ("Two words", "local/llama", " kept as typed \n") == (row.title, row.model, row.draft)
        assert row == returned
        assert (
            "evil title"
            == (await store.write(conversations.rename, id, "\u202eevil\u200b title\u2066")).title
        )
        for unseen in (" \n ", "\u200b\u200b", "\u202e\ufeff", "\u200d"):
            assert NO_TITLE == (await store.write(conversations.rename, id, unseen)).title


async def test_a_deleted_conversation_is_not_found_and_comes_back_whole(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("Hello", "Hi"))
        before = await store.read(conversations.get, id)
        await store.write(conversations.delete, id)

        for attempt in (
            store.read(conversations.get, id),
            store.write(conversations.rename, id, "x"),
            store.write(conversations.set_model, id, "a/b"),
            store.write(conversations.save_draft, id, "x"),
            store.write(conversations.delete, id),
        ):
            with pytest.raises(NotFound, match=f"conversation {id} was deleted"):
                await attempt
        assert [] == await _listed(store)
        assert before == await store.write(conversations.restore, id)
        assert [id] == await _listed(store)
        with pytest.raises(NotFound):
            await store.write(conversations.restore, 4711)


# -- titles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  \n\n  What   is\tthis? \nMore", "What is this?"),
        ("# A heading", "A heading"),
        ("> - quoted **bold** and `code`", "quoted bold and code"),
        ("**All bold**", "All bold"),
        ("- item", "item"),
        ("-5 + 3?", "-5 + 3?"),
        ("#topic", "#topic"),
        ("What is C#", "What is C#"),
        ("2**3**4", "2**3**4"),
        ("why does __init__ run", "why does __init__ run"),
        ("```python\nprint()\n```", "python"),
        ("***\n---\nAfter the rule", "After the rule"),
        ("", NO_TITLE),
        (" \n\t ", NO_TITLE),
        ("***", NO_TITLE),
        ("\0\x1b[31mred", "[31mred"),
        ("word " * 30, "word " * 10 + "word word…"),
        ("x" * 100, "x" * 59 + "…"),
        ("a " + "x" * 100, "a " + "x" * 57 + "…"),
        ("é" * 60, "é" * 60),
        ("word, " * 20, "word, " * 9 + "word…"),
    ],
)
def test_a_title_is_the_first_line_without_marks(text: str, title: str) -> None:
    assert title == title_of(text)


@given(st.text(alphabet=st.sampled_from("ab *_`~#>-\n\t\0…. é😀"), max_size=200) | st.text(max_size=200))
def test_a_title_is_one_short_line_and_never_empty(text: str) -> None:
    title = title_of(text)

    assert 1 <= len(title) <= LONGEST_TITLE
    assert title == " ".join(title.split())
    assert None is re.search(r"[\x00-\x1f\x7f]", title)


def test_a_title_of_a_very_long_text_is_found_at_once() -> None:
    assert "x" * 59 + "…" == title_of(" " * 1_000_000 + "x" * 1_000_000)


# -- settings -----------------------------------------------------------------------------------


async def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    changes = {
        "theme": "dark",
        "default_model": None,
        "servers": [{"id": "local", "label": "Ollama", "base_url": "http://127.0.0.1:11434/v1"}],
        "has_chosen_start": True,
        "models.openai": {"at_ms": 1, "models": []},
    }
    async with open_store(paths) as store:
        await store.write(settings.save, {"theme": "light", "has_chosen_start": False})
        await store.write(settings.save, changes)
    async with open_store(paths) as store:
        stored = await store.read(settings.load)
        assert 32 == len(stored.pop(STORE_ID))
        assert {"language": "en", **changes} == stored

    assert [("dark", "en")] == rows(paths.database, "select theme, language from user")


# -- keys ---------------------------------------------------------------------------------------


async def test_a_key_is_known_by_no_more_than_its_last_four_characters(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        await store.write(api_keys.save, "openai", "OpenAI", "wxyz", "keychain", 1000)
        with pytest.raises(ValueError, match="last four"):
            await store.write(api_keys.save, "anthropic", "Anthropic", "vwxyz", "file", 1000)

        assert [KeyRow("openai", "OpenAI", "wxyz", "keychain", None)] == await store.read(api_keys.rows)


async def test_a_key_is_replaced_touched_and_forgotten(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        await store.write(api_keys.save, "openai", "OpenAI", "aaaa", "keychain", 1000)
        await store.write(api_keys.save, "anthropic", "Anthropic", "", "file", 1000)
        await store.write(api_keys.touch, "openai", 2000)
        assert [None, 2000] == [row.last_used_ms for row in await store.read(api_keys.rows)]

        await store.write(api_keys.save, "openai", "OpenAI", "bbbb", "file", 3000)
        await store.write(api_keys.delete, "anthropic")
        await store.write(api_keys.delete, "anthropic")
        await store.write(api_keys.touch, "anthropic", 3000)

        assert [KeyRow("openai", "OpenAI", "bbbb", "file", None)] == await store.read(api_keys.rows)


# -- agents ------------------------------------------------------------------------------------


async def test_the_default_agent_is_the_assistant(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        agent = await store.read(agents.default)

        assert ("assistant", None, None) == (agent.name, agent.model, agent.temperature)
        assert agent.instructions
        assert agent.step_limit > 1


# -- usage --------------------------------------------------------------------------------------


async def test_a_later_report_of_a_call_replaces_the_earlier_one(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        run = (await ask(store)).run_id
        early = UsageRecord("call-1", run, "openai/gpt-x", Usage(input_tokens=3), 1000)
        cost = Cost("estimated", 2**40, {"input_nano_usd": 2})
        late = UsageRecord("call-1", run, "openai/gpt-x", Usage(3, 4, 5, 6, 7), 2000, cost)
        await store.write(usage.record, early)
        await store.write(usage.record, late)
        await store.write(usage.record, UsageRecord("call-2", None, "local/a/b", Usage(), 3000))

    assert [
        (
            "call-1",
            run,
            "openai",
            "openai/gpt-x",
            3,
            4,
            5,
            6,
            7,
            2**40,
            '{"input_nano_usd":2}',
            "estimated",
            2000,
        ),
        ("call-2", None, "local", "local/a/b", 0, 0, 0, 0, 0, None, None, "unknown", 3000),
    ] == rows(
        paths.database,
        "select call_id, run, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, "
        "output_tokens, reasoning_tokens, cost_nano_usd, price, state, at_ms from usage_record "
        "order by call_id",
    )


async def test_usage_stays_when_its_conversation_is_gone(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        asked = await ask(store)
        await store.write(usage.record, UsageRecord("call", asked.run_id, "a/b", Usage(), 0))

        await store.write(lambda db: db.sql.execute("delete from conversation").rowcount)

    assert [("call", None)] == rows(paths.database, "select call_id, run from usage_record")
    assert [(0, 0, 0)] == rows(
        paths.database,
        "select (select count(*) from message), (select count(*) from message_part), "
        "(select count(*) from run)",
    )


# -- the recorder -------------------------------------------------------------------------------


async def test_events_of_a_run_come_back_in_order_and_once(tmp_path: Path) -> None:
    happened: list[RunEvent] = [
        StepStarted(0, "call-1"),
        ToolRequested("t", "calculate", '{"a": "\0"}'),
        UsageReported(Usage(1, 2, 3, 4, 5)),
        StepFinished("tool_use", "tool_calls"),
        ToolFinished("t", "\ud83d\ude00", True, 12),
        Finished("answered"),
    ]
    recorded = [(n, 1000 + n, event) for n, event in enumerate(happened)]
    async with open_store(paths_in(tmp_path)) as store:
        run = (await ask(store)).run_id
        await store.write(runs.record_events, run, recorded[3:])
        await store.write(runs.record_events, run, recorded[:4])

        found = await store.read(runs.events, run)
        assert [*recorded[:4], (4, 1004, ToolFinished("t", "😀", True, 12)), recorded[5]] == found
        assert [] == await store.read(runs.events, 4711)


# -- errors -------------------------------------------------------------------------------------


async def test_the_error_log_keeps_the_newest_with_their_request(tmp_path: Path) -> None:
    stack = "x" * (errors.LONGEST_DETAIL + 1)

    def record_many(db: object) -> None:
        for n in range(errors.ROWS_KEPT + 5):
            errors.record(db, "window", f"error {n}", f"{n} \ud83d", "chat", stack)  # type: ignore[arg-type]

    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        request_id.set("a1b2c3d4e5f6")
        await store.write(record_many)

        newest, before = await store.read(errors.recent, 2)
        assert (f"{errors.ROWS_KEPT + 4} \ufffd", "chat", "a1b2c3d4e5f6") == (
            newest.message,
            newest.place,
            newest.request_id,
        )
        assert (errors.LONGEST_DETAIL, newest.id - 1) == (len(newest.detail), before.id)
    assert [(errors.ROWS_KEPT,)] == rows(paths.database, "select count(*) from error_log")


async def test_a_failure_that_comes_again_keeps_its_last_requests(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        for n in range(12):
            request_id.set(f"request-{n}")
            await store.write(errors.record, "window", "internal", f"line {n} is odd", "chat", "a stack")

        (row,) = await store.read(errors.recent, 2)
        assert (12, "request-11") == (row.count, row.request_id)
        assert [f"request-{n}" for n in range(10, 1, -1)] == [each.request_id for each in row.earlier]
        assert [row] == await store.read(errors.of_request, "request-2")
        assert [] == await store.read(errors.of_request, "request-1")
        assert "before: request-2, " in report_of(row)
