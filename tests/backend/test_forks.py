"""Forks: a conversation that begins as a copy of another one, and leaves that one as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from deskside.backend.agent.events import ApprovalQuestion
from deskside.backend.errors import Conflict, NotFound
from deskside.backend.store import agents, conversations, forks, messages, replies
from deskside.backend.store.database import open_store
from deskside.backend.store.messages import MessageRow, MessageUsage, ReasoningPart, TextPart, ToolCallPart
from deskside.backend.store.replies import StoredPart
from stores import MODEL, answer, ask, finish, paths_in, shown, talk, texts


def alike(row: MessageRow) -> MessageRow:
    """A message without what says which one it is."""
    return replace(row, id=0, conversation_id=0, parent_id=None, run_id=None, versions=[], delegator_id=None)


async def test_a_fork_has_all_up_to_the_message_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        source = await talk(store, ("One", "1"), ("Two", "2"), ("Three", "3"))
        before = await shown(store, source)

        fork = await store.write(forks.fork, before[3].id)
        more = await ask(store, "Other", fork.id)
        await answer(store, more, "4")

        copied = await shown(store, fork.id)
        assert ["One", "1", "Two", "2", "Other", "4"] == texts(copied)
        assert [alike(row) for row in before[:4]] == [alike(row) for row in copied[:4]]
        assert before == await shown(store, source)
        assert ("One (fork)", MODEL, "assistant") == (fork.title, fork.model, fork.agent)
        page = await store.read(conversations.page, None, 10)
        assert [fork.id, source] == [row.id for row in page.conversations]


async def test_a_fork_of_an_older_version_has_that_version(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        first = await ask(store, "One")
        await answer(store, first, "old")
        again = await store.write(replies.answer_again, first.reply.id, None)
        await answer(store, again, "new")

        fork = await store.write(forks.fork, first.reply.id)

        copied = await shown(store, fork.id)
        assert ["One", "old"] == texts(copied)
        assert [1, 1] == [len(row.versions) for row in copied]


async def test_a_fork_has_the_work_of_the_agents_that_were_asked(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        helper = await store.read(agents.by_name, agents.DEFAULT)
        call = ToolCallPart("a", "ask_helper", "{}", "finished", "done", is_agent=True)
        await store.write(replies.save_part, asked.reply.id, StoredPart(0, 0, call))
        below = await store.write(replies.delegate, asked.reply.id, 0, helper.id, MODEL, asked.run_id)
        deeper = await store.write(replies.delegate, below.reply.id, 0, helper.id, MODEL, below.run_id)
        await finish(store, deeper, [StoredPart(0, 0, ReasoningPart("deep"), '{"signature": "s"}')])
        await answer(store, below, "below")
        await finish(store, asked, [StoredPart(1, 1, TextPart("Hi"))], usage=MessageUsage(1, 2, 3, 4, 5))

        fork = await store.write(forks.fork, below.reply.id)

        _, reply = await shown(store, fork.id)
        assert [call, TextPart("Hi")] == reply.parts
        (copied,) = await store.read(messages.delegated, reply.id)
        assert (fork.id, 0, [TextPart("below")]) == (
            copied.conversation_id,
            copied.call_position,
            copied.parts,
        )
        (copied_deeper,) = await store.read(messages.delegated, copied.id)
        assert [ReasoningPart("deep")] == copied_deeper.parts
        assert (await shown(store, asked.conversation.id))[1].id == asked.reply.id


async def test_what_waits_for_the_user_does_not_wait_in_the_fork(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        waiting = ToolCallPart(
            "a", "write_file", "{}", "waiting", approval=ApprovalQuestion([], "write", "Writes a file.")
        )
        await finish(store, asked, [StoredPart(0, 0, waiting)], status="interrupted")

        fork = await store.write(forks.fork, asked.reply.id)

        _, reply = await shown(store, fork.id)
        (call,) = reply.parts
        assert isinstance(call, ToolCallPart)
        assert ("failed", replies.UNDECIDED) == (call.status, call.output)
        assert not (await store.read(conversations.get, fork.id)).is_waiting
        assert (await store.read(conversations.get, asked.conversation.id)).is_waiting


async def test_an_answer_that_is_being_written_cannot_be_forked(tmp_path: Path) -> None:
    async with open_store(paths_in(tmp_path)) as store:
        asked = await ask(store)
        assert asked.question is not None

        with pytest.raises(Conflict):
            await store.write(forks.fork, asked.reply.id)
        with pytest.raises(NotFound):
            await store.write(forks.fork, 4711)
        fork = await store.write(forks.fork, asked.question.id)
        await store.write(conversations.delete, asked.conversation.id)

        assert ["Hello"] == texts(await shown(store, fork.id))
        with pytest.raises(NotFound):
            await store.write(forks.fork, asked.question.id)
