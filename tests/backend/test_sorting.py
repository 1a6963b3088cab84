"""Conversations sorted: pinned, archived, in folders, tagged, in the trash and out of it for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deskside.backend.agent.events import Usage
from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store import conversations, folders, replies, search_index, tags, usage
from deskside.backend.store.connection import Db
from deskside.backend.store.conversations import DAY_MS, DAYS_IN_TRASH, ConversationChanges
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.text import now_ms
from deskside.backend.store.usage import UsageRecord
from deskside.backend.trash import empty_expired
from stores import MODEL, answer, ask, paths_in, rows, talk


async def listed(store: Store, **where: Any) -> list[int]:
    page = await store.read(lambda db: conversations.page(db, None, 50, **where))
    return [row.id for row in page.conversations]


async def change(store: Store, *ids: int, **changes: Any) -> list[conversations.ConversationRow]:
    return await store.write(conversations.change, ids, ConversationChanges(**changes))


async def test_what_is_pinned_stays_in_the_list_and_is_found_without_paging(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two, three = [await talk(store, (name, "a")) for name in ("one", "two", "three")]
        await change(store, one, is_pinned=True)
        (row,) = await change(store, two, is_pinned=True)
        assert row.is_pinned

        assert {one, two} == {row.id for row in await store.read(conversations.pinned)}
        assert [three, two, one] == await listed(store)
        await change(store, two, is_pinned=False)
        await change(store, one, is_archived=True)
        assert [] == await store.read(conversations.pinned)


async def test_an_archived_conversation_is_in_the_archive_alone_and_comes_back(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = [await talk(store, (name, "a")) for name in ("one", "two")]
        await change(store, one, is_archived=True)

        assert ([two], [one]) == (await listed(store), await listed(store, place="archived"))
        await conversations_deleted(store, one)
        assert [] == await listed(store, place="archived")
        assert [one] == await listed(store, place="deleted")
        await store.write(conversations.restore, one)
        (row,) = await change(store, one, is_archived=False)

        assert not row.is_archived
        assert [two, one] == await listed(store)


async def conversations_deleted(store: Store, *ids: int) -> None:
    await store.write(conversations.delete, *ids)


async def test_folders_hold_conversations_and_let_them_go(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two, three = [await talk(store, (name, "a")) for name in ("one", "two", "three")]
        work = await store.write(folders.add, " Work\n")
        home = await store.write(folders.add, "Home")
        await change(store, one, two, folder_id=work.id)

        assert [two, one] == await listed(store, folder_id=work.id)
        assert [("Work", 2), ("Home", 0)] == [
            (each.name, each.conversations) for each in await store.read(folders.all_folders)
        ]
        await store.write(folders.move, home.id, 0)
        assert ["Home", "Work"] == [each.name for each in await store.read(folders.all_folders)]
        await change(store, one, folder_id=None)
        assert [one] == [row for row in await listed(store) if row not in (two, three)]
        assert [two] == await store.write(folders.delete, work.id)
        assert None is (await store.read(conversations.get, two)).folder_id
        assert [three, two, one] == await listed(store)


async def test_a_folder_has_a_name_of_its_own(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        work, home = [await store.write(folders.add, name) for name in ("Work", "Home")]

        with pytest.raises(Conflict, match="'Work'"):
            await store.write(folders.add, "Work")
        with pytest.raises(Conflict):
            await store.write(folders.rename, home.id, "Work")
        assert work == await store.write(folders.rename, work.id, "Work")
        assert "Office" == (await store.write(folders.rename, work.id, "Office")).name
        for attempt in (
            store.write(folders.rename, 4711, "x"),
            store.write(folders.move, 4711, 0),
            store.write(folders.delete, 4711),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_tags_are_there_as_long_as_a_conversation_has_them(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = [await talk(store, (name, "a")) for name in ("one", "two")]
        await change(store, one, two, add_tags=["python", "日本"])
        (row,) = await change(store, one, add_tags=["python", "bug"], remove_tags=["日本"])

        assert ["bug", "python"] == row.tags
        assert [two, one] == await listed(store, tag="python")
        assert [two] == await listed(store, tag="日本")
        assert [] == await listed(store, tag="nothing")
        assert {"bug": 1, "python": 2, "日本": 1} == {
            tag.name: tag.conversations for tag in await store.read(tags.all_tags)
        }
        await change(store, one, remove_tags=["bug"])
        assert ["python", "日本"] == [tag.name for tag in await store.read(tags.all_tags)]


async def test_a_change_of_several_is_made_to_all_of_them_or_to_none(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        one, two = [await talk(store, (name, "a")) for name in ("one", "two")]
        await conversations_deleted(store, two)

        for changes in ({"is_pinned": True, "add_tags": ["x"]}, {"folder_id": 4711}):
            with pytest.raises(NotFound):
                await change(store, one, two, **changes)

        row = await store.read(conversations.get, one)
        assert (False, [], None) == (row.is_pinned, row.tags, row.folder_id)


async def test_a_models_title_does_not_replace_the_users(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("Hello", "a"))

        async def by_model(title: str, *, replaces_users: bool = False) -> str:
            row = await store.write(conversations.rename_by_model, id, title, replaces_users=replaces_users)
            return row.title

        assert "Plums" == await by_model("Plums")
        assert "Icebox" == await by_model("Icebox\n")
        await store.write(conversations.rename, id, "Mine")
        assert "Mine" == await by_model("Theirs")
        assert "Theirs" == await by_model("Theirs", replaces_users=True)


async def test_the_trash_keeps_for_thirty_days_and_then_removes_for_good(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    async with open_store(paths) as store:
        kept, gone = await talk(store, ("kept plums", "a")), await talk(store, ("gone plums", "plums"))
        asked = await ask(store, "more plums", gone)
        record = UsageRecord("call", asked.run_id, MODEL, Usage(7), now_ms())
        await store.write(usage.record, record)
        await answer(store, asked)
        await change(store, gone, add_tags=["fruit"])
        deleted_ms = now_ms()
        await conversations_deleted(store, gone)

        await empty_expired(store, deleted_ms + DAYS_IN_TRASH * DAY_MS - 1)
        assert [gone] == await listed(store, place="deleted")
        await empty_expired(store, now_ms() + DAYS_IN_TRASH * DAY_MS)

        assert [] == await listed(store, place="deleted")
        assert [kept] == await listed(store)
        with pytest.raises(NotFound):
            await store.write(conversations.restore, gone)
        assert [] == await store.read(tags.all_tags)
    assert [(1,)] == rows(paths.database, "select count(*) from usage_record where input_tokens = 7")
    assert [] == rows(paths.database, "select id from message where conversation = ?", gone)
    assert [("kept plums",)] == rows(
        paths.database,
        "select text from message_part where message in "
        "(select rowid from message_search where message_search match 'plums')",
    )


async def test_a_long_conversation_can_be_removed_for_good(tmp_path: Path) -> None:
    def make_long(db: Db) -> int:
        id = replies.ask(db, None, "first", MODEL).conversation.id
        db.sql.execute("update message set status = 'complete'")
        (last, depth) = db.sql.execute("select max(id), max(depth) from message").fetchone()
        for n in range(1, 3001):
            db.sql.execute(
                "insert into message (id, conversation, parent, role, status, created_ms, depth, is_shown) "
                "values (?, ?, ?, 'user', 'complete', 0, ?, 1)",
                (last + n, id, last + n - 1, depth + n),
            )
            db.sql.execute(
                "insert into message_part (message, position, step, kind, text, origin) "
                "values (?, 0, 0, 'text', 'plums', 'user')",
                (last + n,),
            )
            search_index.add(db, last + n)
        search_index.add(db, last)
        return id

    async with open_store(paths_in(tmp_path)) as store:
        id = await store.write(make_long)
        await conversations_deleted(store, id)

        await store.write(conversations.purge, id)

        assert [] == await listed(store, place="deleted")
        await store.write(
            lambda db: db.sql.execute(
                "insert into message_search (message_search, rank) values ('integrity-check', 1)"
            )
        )


async def test_what_is_not_in_the_trash_cannot_be_removed_for_good(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        id = await talk(store, ("Hello", "a"))

        await store.write(conversations.purge, id)

        assert [id] == await listed(store)
