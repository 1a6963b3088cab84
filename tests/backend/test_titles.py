"""Titles that a model gives: asked for, or for each new conversation; never in place of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_runs import answer, data, opened, until

from deskside.backend.agent.events import Usage, UsageReported, UserText
from deskside.backend.agent.limits import Limit, Limits
from deskside.backend.errors import BadKey, Conflict, InvalidRequest, NotFound, StreamDropped
from deskside.backend.events import ConversationChanged
from deskside.backend.store import conversations
from deskside.backend.store.connection import Db
from stores import rows

__all__ = ["data"]


def titled(title: str) -> Any:
    return lambda event: isinstance(event, ConversationChanged) and event.conversation.title == title


def tokens_used(db: Db) -> list[tuple[Any, ...]]:
    return db.sql.execute("select input_tokens, run from usage_record order by id").fetchall()


async def test_a_title_is_made_of_what_was_said_and_accounted_for(data: Path) -> None:
    script = [["Plums."], [UsageReported(Usage(11, output_tokens=3)), "“Cold plums**\nand more"]]
    async with opened(data, *script) as (app, model):
        reply = await answer(app, "What was in the icebox?" + "!" * 5000)

        row = await app.runs.titles.make(reply.conversation_id)

        assert "Cold plums" == row.title
        asked = model.requests[1]
        (said,) = asked.history
        assert isinstance(said, UserText)
        assert said.text.startswith("User: What was in the icebox?")
        assert said.text.endswith("Assistant: Plums.")
        assert len(said.text) < 2_100
        assert not asked.tools
        assert (11, None) == (await app.store.read(tokens_used))[-1]


async def test_each_new_conversation_gets_a_title_where_the_user_wants_that(data: Path) -> None:
    async with opened(data, "one", "A title", "two", "three") as (app, model):
        await app.settings.change({"names_conversations": True})
        reply = await answer(app, "first")
        await until(app, titled("A title"))
        await answer(app, "second", reply.conversation_id)
        await app.store.write(conversations.rename, reply.conversation_id, "Mine")
        await answer(app, "third", reply.conversation_id)

        assert 4 == len(model.requests)
        assert "Mine" == (await app.store.read(conversations.get, reply.conversation_id)).title


async def test_no_call_is_made_for_a_title_that_nobody_wants(data: Path) -> None:
    async with opened(data, "one") as (app, model):
        await answer(app, "first")

    assert 1 == len(model.requests)


async def test_a_title_that_cannot_be_made_leaves_the_old_one(data: Path) -> None:
    failures = [[BadKey("no")], ["***"], [UsageReported(Usage(5)), "half", StreamDropped("gone")]]
    async with opened(data, "one", *failures) as (app, _):
        reply = await answer(app, "first")

        for error in (BadKey, StreamDropped, StreamDropped):
            with pytest.raises(error):
                await app.runs.titles.make(reply.conversation_id)

        assert "first" == (await app.store.read(conversations.get, reply.conversation_id)).title
        assert [0, 0, 5] == [used for used, run in await app.store.read(tokens_used) if run is None]
        with pytest.raises(NotFound):
            await app.runs.titles.make(4711)


async def test_a_limit_holds_for_titles_too(data: Path) -> None:
    async with opened(data, [UsageReported(Usage(90)), "one"]) as (app, model):
        reply = await answer(app, "first")
        await app.settings.change({"limits": Limits(day=Limit(tokens=100))})

        with pytest.raises(Conflict, match="day"):
            await app.runs.titles.make(reply.conversation_id)

        assert 1 == len(model.requests)


async def test_nothing_to_give_a_title_to(data: Path) -> None:
    async with opened(data) as (app, _):

        def empty(db: Db) -> int:
            db.sql.execute(
                "insert into conversation (user, title, draft, created_ms, updated_ms) "
                "values (1, 'x', '', 0, 0)"
            )
            return int(db.sql.execute("select max(id) from conversation").fetchone()[0])

        id = await app.store.write(empty)
        await app.store.write(conversations.set_model, id, "scripted/model")
        with pytest.raises(InvalidRequest, match="Nothing was said"):
            await app.runs.titles.make(id)
    assert [] == rows(data / "deskside.db", "select * from usage_record")
