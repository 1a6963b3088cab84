"""Whole conversations out of the store and into it, as exchange/conversation_file.py describes them.

Invariants
  - `put` adds a conversation in one go, or nothing of it; depth, shown path and search index are as
    messages.py and search_index.py promise.
  - Rows are numbered in the order of their ids, and put in the order of their numbers, so that what was put
    is taken again as it was. Messages stand behind their parents, because children are newer than them.
  - What a call of a model used is counted once, however often its conversation is put.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from deskside.backend.agent.events import Usage
from deskside.backend.agent.invisible import without_invisible
from deskside.backend.errors import InvalidRequest
from deskside.backend.exchange.conversation_file import (
    FileAttachment,
    FileConversation,
    FileFolder,
    FileFork,
    FileMessage,
    FileModelCall,
    FilePart,
    FileRun,
    content_of,
    part_of,
)
from deskside.backend.store import conversations, messages, replies, search_index, usage
from deskside.backend.store.agents import STEP_LIMIT
from deskside.backend.store.connection import Db
from deskside.backend.store.messages import MessageError, MessageUsage
from deskside.backend.store.replies import StoredPart
from deskside.backend.store.text import as_json, now_ms, plain_title, storable

_read_error = msgspec.json.Decoder(MessageError).decode
_read_usage = msgspec.json.Decoder(MessageUsage).decode
_read_price = msgspec.json.Decoder(dict[str, Any]).decode


class Source(msgspec.Struct, frozen=True):
    """Where a conversation comes from: the hash of what was read of it, and, where the other program names
    its conversations, which one it is."""

    sha256: str
    id: str | None = None


class Known(msgspec.Struct, frozen=True):
    """An earlier import of the same conversation. `is_same`: nothing has changed at its source;
    `was_changed`: the user went on with it here; `is_deleted`: it is in the trash."""

    conversation_id: int
    is_same: bool
    was_changed: bool
    is_deleted: bool


# -- out ----------------------------------------------------------------------------------------


def ids(db: Db, chosen: Sequence[int] | None) -> list[int]:
    """The conversations that are there of those that were chosen, or all, without the trash; in their
    order."""
    found = db.sql.execute("select id from conversation where deleted_ms is null order by id").fetchall()
    wanted = None if chosen is None else set(chosen)
    return [row for (row,) in found if wanted is None or row in wanted]


def has_files(db: Db, chosen: Sequence[int] | None) -> bool:
    """Whether anything is attached in conversations that were chosen, or in any."""
    within = "in (select value from json_each(?1))"
    of_these = f"conversation {within} or message in (select id from message where conversation {within})"
    where = "" if chosen is None else f"where {of_these}"
    values = () if chosen is None else (msgspec.json.encode(chosen).decode(),)
    return db.sql.execute(f"select 1 from attachment {where} limit 1", values).fetchone() is not None


def folders(db: Db, conversation_ids: Sequence[int] | None) -> list[FileFolder]:
    """The folders that these conversations are in; all, where all are taken."""
    rows = db.sql.execute(
        "select id, name, position, created_ms from folder order by position, id"
    ).fetchall()
    used = set()
    if conversation_ids is not None:
        ids_json = msgspec.json.encode(conversation_ids).decode()
        used = {
            row
            for (row,) in db.sql.execute(
                "select distinct folder from conversation where id in (select value from json_each(?))",
                (ids_json,),
            )
        }
    return [
        FileFolder(name=name, position=max(position, 0), created_ms=created_ms)
        for row, name, position, created_ms in rows
        if conversation_ids is None or row in used
    ]


def take(db: Db, conversation_id: int, number: int, numbers: Mapping[int, int]) -> FileConversation:
    """A conversation with all its versions. `numbers` are those of the conversations that are taken with it,
    by id. What streams is taken as if it had been cut off here. NotFound."""
    row = db.sql.execute(
        "select title, titled_by, agent.name, conversation.model, draft, conversation.created_ms, "
        "conversation.updated_ms, folder.name, pinned_ms, archived_ms, head, forked_from "
        "from conversation left join agent on agent.id = conversation.agent "
        "left join folder on folder.id = conversation.folder "
        "where conversation.id = ? and conversation.deleted_ms is null",
        (conversation_id,),
    ).fetchone()
    if row is None:
        raise conversations.not_found(conversation_id)
    (
        title, titled_by, agent, model, draft, created_ms, updated_ms, folder, pinned_ms, archived_ms, head,
        forked_from,
    ) = row  # fmt: skip
    rows = db.sql.execute(
        "select message.id, parent, role, status, message.model, error, usage, message.created_ms, "
        "finished_ms, delegator, call_position, agent.name "
        "from message left join agent on agent.id = message.agent "
        "where conversation = ? order by message.id",
        (conversation_id,),
    ).fetchall()
    ids = {message[0]: place for place, message in enumerate(rows, 1)}
    parts = _taken_parts(db, conversation_id)
    runs = _taken_runs(db, conversation_id, ids)
    attachments = _taken_attachments(db, conversation_id)
    tags = db.sql.execute(
        "select tag.name from conversation_tag join tag on tag.id = conversation_tag.tag "
        "where conversation = ? order by tag.name",
        (conversation_id,),
    )
    return FileConversation(
        id=number,
        title=title,
        titled_by=titled_by,
        agent=agent,
        model=model,
        draft=draft,
        draft_attachments=attachments.get(None, []),
        created_ms=created_ms,
        updated_ms=updated_ms,
        folder=folder,
        tags=[name for (name,) in tags],
        pinned_ms=pinned_ms,
        archived_ms=archived_ms,
        forked_from=None if forked_from is None else _fork(db, forked_from, numbers),
        shown=ids.get(head),
        messages=[
            FileMessage(
                id=ids[message],
                parent=ids.get(parent),
                role=role,
                status="interrupted" if status == "streaming" else status,
                agent=agent,
                model=model,
                error=None if error is None else _read_error(error),
                usage=None if usage is None else _read_usage(usage),
                created_ms=created_ms,
                finished_ms=finished_ms,
                delegator=ids.get(delegator),
                call_position=call_position,
                parts=parts.get(message, []),
                attachments=attachments.get(message, []),
                runs=runs.get(message, []),
            )
            for (
                message, parent, role, status, model, error, usage, created_ms, finished_ms, delegator,
                call_position, agent,
            ) in rows
        ],
    )  # fmt: skip


def _taken_parts(db: Db, conversation_id: int) -> dict[int, list[FilePart]]:
    stored: dict[int, dict[int, StoredPart]] = {}
    for message, position, step, kind, text, data, provider_data, model in db.sql.execute(
        "select message, position, step, kind, text, data, provider_data, model from message_part "
        "where message in (select id from message where conversation = ?) order by message, position",
        (conversation_id,),
    ):
        part = messages.read_part(kind, text, data)
        stored.setdefault(message, {})[position] = StoredPart(position, step, part, provider_data, model)
    chunks: dict[int, list[Sequence[Any]]] = {}
    for message, *chunk in db.sql.execute(
        "select message, position, kind, text from message_chunk "
        "where message in (select id from message where conversation = ? and status = 'streaming') "
        "order by message, position, n",
        (conversation_id,),
    ):
        chunks.setdefault(message, []).append(chunk)
    for message, said in chunks.items():
        known = stored.setdefault(message, {})
        last_step = max((part.step for part in known.values()), default=0)
        grown = messages.with_chunks({position: part.part for position, part in known.items()}, said)
        stored[message] = {
            position: msgspec.structs.replace(known[position], part=part)
            if position in known
            else StoredPart(position, last_step, part)
            for position, part in grown.items()
        }
    return {
        message: [
            FilePart(
                position=part.position,
                step=part.step,
                content=content_of(part.part),
                provider_data=part.provider_data,
                model=part.model,
            )
            for part in parts.values()
        ]
        for message, parts in stored.items()
    }


def _taken_runs(db: Db, conversation_id: int, order: Mapping[int, int]) -> dict[int, list[FileRun]]:
    calls: dict[int, list[FileModelCall]] = {}
    for (
        run,
        call_id,
        provider,
        model,
        reported,
        cost,
        price,
        state,
        request,
        at_ms,
        agent,
        *tokens,
    ) in db.sql.execute(
        "select run, call_id, provider, usage_record.model, reported, cost_nano_usd, price, state, "
        "usage_record.request_id, at_ms, agent.name, input_tokens, cache_read_tokens, cache_write_tokens, "
        "output_tokens, reasoning_tokens from usage_record left join agent on agent.id = usage_record.agent "
        "where run in (select id from run where conversation = ?) order by usage_record.id",
        (conversation_id,),
    ):
        used = dict(zip(MessageUsage.__struct_fields__, tokens, strict=True))
        calls.setdefault(run, []).append(
            FileModelCall(
                call_id=call_id,
                # `model` is provider/model already; older rows have the name alone.
                model=model if model.startswith(f"{provider}/") else f"{provider}/{model}",
                cost_nano_usd=cost,
                price=None if price is None else _read_price(price),
                is_billed=state == "billed",
                reported=reported,
                request_id=request,
                at_ms=at_ms,
                agent=agent,
                **used,
            )
        )
    rows = db.sql.execute(
        "select run.id, message, agent.name, run.model, status, reason, request_id, started_ms, finished_ms, "
        "parent from run left join agent on agent.id = run.agent where conversation = ?",
        (conversation_id,),
    ).fetchall()
    rows.sort(key=lambda row: (order.get(row[1], 0), row[0]))
    numbers = {row[0]: number for number, row in enumerate(rows, 1)}
    taken: dict[int, list[FileRun]] = {}
    for run, message, agent, model, status, reason, request_id, started_ms, finished_ms, parent in rows:
        taken.setdefault(message, []).append(
            FileRun(
                id=numbers[run],
                agent=agent,
                model=model,
                status="interrupted" if status == "running" else status,
                reason=reason,
                request_id=request_id,
                started_ms=started_ms,
                finished_ms=finished_ms,
                parent=numbers.get(parent),
                calls=calls.get(run, []),
            )
        )
    return taken


def _taken_attachments(db: Db, conversation_id: int) -> dict[int | None, list[FileAttachment]]:
    taken: dict[int | None, list[FileAttachment]] = {}
    for (
        message,
        position,
        name,
        attached_ms,
        sha256,
        size,
        media_type,
        text,
        status,
        error,
        kept_ms,
    ) in db.sql.execute(
        "select message, position, name, attachment.created_ms, sha256, size_bytes, media_type, text, "
        "text_status, text_error, stored_file.created_ms "
        "from attachment join stored_file on stored_file.id = attachment.file "
        "where message in (select id from message where conversation = ?1) "
        "or (message is null and attachment.conversation = ?1) "
        "order by message, position, attachment.id",
        (conversation_id,),
    ):
        taken.setdefault(message, []).append(
            FileAttachment(
                position=position,
                name=name,
                media_type=media_type,
                sha256=sha256,
                size_bytes=size,
                text=text,
                text_status=status,
                text_error=error,
                kept_ms=kept_ms,
                attached_ms=attached_ms,
            )
        )
    return taken


def _fork(db: Db, message_id: int, numbers: Mapping[int, int]) -> FileFork | None:
    row = db.sql.execute(
        "select conversation, (select count(*) from message each "
        "where each.conversation = message.conversation and each.id <= message.id) from message where id = ?",
        (message_id,),
    ).fetchone()
    number = None if row is None else numbers.get(row[0])
    return None if number is None else FileFork(number, row[1])


# -- what is there already ----------------------------------------------------------------------


def known(db: Db, source: Source) -> Known | None:
    """What an earlier import made of the same conversation: the same state of it, else an older one."""
    row = db.sql.execute(
        "select id, 1, 0, deleted_ms is not null from conversation where source_sha256 = ? "
        "order by deleted_ms is not null limit 1",
        (source.sha256,),
    ).fetchone()
    if row is None and source.id is not None:
        row = db.sql.execute(
            "select id, 0, source_messages is not (select count(*) from message where conversation = "
            "conversation.id) or draft <> '', 0 from conversation "
            "where source_id = ? and deleted_ms is null order by id desc limit 1",
            (source.id,),
        ).fetchone()
    return None if row is None else Known(row[0], *map(bool, row[1:]))


def created_at(db: Db) -> dict[int, list[int]]:
    """All conversations by the time they were begun."""
    found: dict[int, list[int]] = {}
    for row, created_ms in db.sql.execute("select id, created_ms from conversation where deleted_ms is null"):
        found.setdefault(created_ms, []).append(row)
    return found


# -- in -----------------------------------------------------------------------------------------


def put_folders(db: Db, folders: Sequence[FileFolder]) -> None:
    """Make the folders that are not there."""
    db.sql.executemany(
        "insert into folder (name, position, created_ms) values (?, ?, ?) on conflict do nothing",
        [(plain_title(folder.name), folder.position, folder.created_ms) for folder in folders],
    )


def put(
    db: Db,
    conversation: FileConversation,
    source: Source,
    *,
    replaces: int | None = None,
    forked_conversation: int | None = None,
) -> int:
    """Add a conversation; returns its id.

    `replaces` is an earlier import of it, which goes to the trash; its folder, tags, pin, archive and, if the
    user gave one, its title stay. `forked_conversation` is where `forked_from` is. Attachments must be on the
    disk already. Raises InvalidRequest for a conversation that does not fit together.
    """
    _check(conversation)
    made = _insert_conversation(db, conversation, source)
    first = _next_id(db, "message")
    ids = {message.id: first + place for place, message in enumerate(conversation.messages)}
    _insert_messages(db, made, conversation.messages, ids)
    _insert_attachments(db, made, None, conversation.draft_attachments)
    for message in conversation.messages:
        _insert_attachments(db, made, ids[message.id], message.attachments)
    _insert_runs(db, made, conversation.messages, ids)
    if conversation.shown is not None:
        messages.show(db, made, ids[conversation.shown])
    if conversation.forked_from is not None and forked_conversation is not None:
        _set_fork(db, made, forked_conversation, conversation.forked_from.message)
    for tag in dict.fromkeys(map(plain_title, conversation.tags)):
        db.sql.execute("insert into tag (name) values (?) on conflict do nothing", (tag,))
        db.sql.execute("insert into conversation_tag select ?, id from tag where name = ?", (made, tag))
    if replaces is not None:
        _take_place(db, replaces, made)
    return made


def _check(conversation: FileConversation) -> None:
    """That numbers rise and name what stands before, and parts have places of their own."""
    seen: dict[int, FileMessage] = {}
    last_run = 0
    for message in conversation.messages:
        if message.id in seen:
            raise _inconsistent(f"message {message.id} is there twice")
        for above in (message.parent, message.delegator):
            if above is not None and above not in seen:
                raise _inconsistent(f"message {message.id} stands before the one it belongs to")
        if message.role == "user" and message.status != "complete":
            raise _inconsistent(f"message {message.id} is a question that is not complete")
        if message.delegator is not None and (message.role, message.parent) != ("assistant", None):
            raise _inconsistent(f"message {message.id} is of an agent and on the path")
        places = [part.position for part in message.parts]
        if len(set(places)) != len(places):
            raise _inconsistent(f"message {message.id} has two parts in one place")
        for run in message.runs:
            if run.id != last_run + 1:
                raise _inconsistent("its runs are not numbered in their order")
            last_run = run.id
        seen[message.id] = message
    if conversation.shown is not None:
        shown = seen.get(conversation.shown)
        if shown is None or shown.delegator is not None:
            raise _inconsistent("the message that it shows is not in it")


def _inconsistent(problem: str) -> InvalidRequest:
    return InvalidRequest(f"The conversation does not fit together: {problem}.", hint="Export it again.")


def _insert_conversation(db: Db, conversation: FileConversation, source: Source) -> int:
    folder = None
    if conversation.folder is not None:
        name = plain_title(conversation.folder)
        db.sql.execute(
            "insert into folder (name, position, created_ms) values (?1, "
            "(select ifnull(max(position) + 1, 0) from folder), ?2) on conflict do nothing",
            (name, now_ms()),
        )
        (folder,) = db.sql.execute("select id from folder where name = ?", (name,)).fetchone()
    made = db.sql.execute(
        "insert into conversation (user, agent, title, titled_by, model, draft, created_ms, updated_ms, "
        "folder, pinned_ms, archived_ms, source_sha256, source_id, source_messages) "
        "values ((select min(id) from user), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _agent(db, conversation.agent),
            plain_title(conversation.title),
            conversation.titled_by,
            conversation.model,
            storable(conversation.draft),
            conversation.created_ms,
            conversation.updated_ms,
            folder,
            conversation.pinned_ms,
            conversation.archived_ms,
            source.sha256,
            source.id,
            len(conversation.messages),
        ),
    ).lastrowid
    assert made is not None
    return made


def _insert_messages(
    db: Db, conversation_id: int, rows: Sequence[FileMessage], ids: Mapping[int, int]
) -> None:
    depths: dict[int, int] = {}
    for message in rows:
        depths[message.id] = 0 if message.parent is None else depths[message.parent] + 1
    db.sql.executemany(
        "insert into message (id, conversation, parent, role, status, model, error, usage, created_ms, "
        "finished_ms, delegator, call_position, depth, agent) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                ids[message.id],
                conversation_id,
                None if message.parent is None else ids[message.parent],
                message.role,
                message.status,
                message.model,
                None if message.error is None else as_json(message.error),
                None if message.usage is None else as_json(message.usage),
                message.created_ms,
                message.finished_ms,
                None if message.delegator is None else ids[message.delegator],
                message.call_position,
                depths[message.id],
                _agent(db, message.agent),
            )
            for message in rows
        ],
    )
    for message in rows:
        parts = [
            StoredPart(part.position, part.step, part_of(part.content), part.provider_data, part.model)
            for part in message.parts
        ]
        replies.put_parts(db, ids[message.id], parts, is_question=message.role == "user")
        search_index.add(db, ids[message.id])


def _insert_attachments(
    db: Db, conversation_id: int, message_id: int | None, attachments: Iterable[FileAttachment]
) -> None:
    for each in attachments:
        text = each.text or ""
        db.sql.execute(
            "insert into stored_file (sha256, size_bytes, media_type, text, text_status, text_error, "
            "hidden_characters, created_ms) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                each.sha256,
                each.size_bytes,
                each.media_type,
                None if each.text is None else storable(text),
                each.text_status,
                storable(each.text_error),
                len(text) - len(without_invisible(text)),
                each.kept_ms,
            ),
        )
        db.sql.execute(
            "insert into attachment (conversation, message, position, name, file, created_ms) "
            "values (?, ?, ?, ?, (select id from stored_file where sha256 = ?), ?)",
            (
                conversation_id if message_id is None else None,
                message_id,
                each.position,
                storable(each.name),
                each.sha256,
                each.attached_ms,
            ),
        )


def _insert_runs(db: Db, conversation_id: int, rows: Sequence[FileMessage], ids: Mapping[int, int]) -> None:
    first = _next_id(db, "run") - 1
    found = [(message, run) for message in rows for run in message.runs]
    count = len(found)
    for message, run in found:
        db.sql.execute(
            "insert into run (id, conversation, message, agent, model, status, reason, request_id, "
            "started_ms, finished_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                first + run.id,
                conversation_id,
                ids[message.id],
                _agent(db, run.agent),
                run.model,
                run.status,
                run.reason,
                run.request_id,
                run.started_ms,
                run.finished_ms,
            ),
        )
    for _, run in found:
        if run.parent is not None and run.parent <= count:
            db.sql.execute("update run set parent = ? where id = ?", (first + run.parent, first + run.id))
        for call in run.calls:
            _insert_call(db, conversation_id, first + run.id, call)


def _insert_call(db: Db, conversation_id: int, run_id: int, call: FileModelCall) -> None:
    used = Usage(**{name: getattr(call, name) for name in Usage.__struct_fields__})
    state: usage.State = "billed" if call.is_billed else "estimated"
    if call.cost_nano_usd is None:
        state = "unknown"
    cost = usage.Cost(state, call.cost_nano_usd, call.price)
    agent_id = _agent(db, call.agent)
    record = usage.UsageRecord(
        call.call_id, run_id, call.model, used, call.at_ms, cost, call.reported, agent_id, conversation_id
    )
    usage.keep(db, record, call.request_id)


def _agent(db: Db, name: str | None) -> int | None:
    """The agent of this name. One that is not here is kept as one that was deleted: it is named where it
    answered, and answers nothing more."""
    if name is None:
        return None
    row = db.sql.execute(
        "select id from agent where name = ? order by deleted_ms is not null, id desc limit 1", (name,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    at_ms = now_ms()
    made = db.sql.execute(
        "insert into agent (name, label, instructions, step_limit, created_ms, updated_ms, deleted_ms) "
        "values (?, '', '', ?, ?, ?, ?)",
        (storable(name), STEP_LIMIT, at_ms, at_ms, at_ms),
    ).lastrowid
    assert made is not None
    return made


def _set_fork(db: Db, conversation_id: int, forked_conversation: int, number: int) -> None:
    db.sql.execute(
        "update conversation set forked_from = (select id from message where conversation = ? order by id "
        "limit 1 offset ?) where id = ?",
        (forked_conversation, number - 1, conversation_id),
    )


def _take_place(db: Db, old: int, new: int) -> None:
    db.sql.execute(
        "update conversation set (folder, pinned_ms, archived_ms, title, titled_by) = (select "
        "ifnull(old.folder, conversation.folder), ifnull(old.pinned_ms, conversation.pinned_ms), "
        "ifnull(old.archived_ms, conversation.archived_ms), "
        "iif(old.titled_by = 'user', old.title, conversation.title), "
        "iif(old.titled_by = 'user', 'user', conversation.titled_by) "
        "from conversation old where old.id = ?) where id = ?",
        (old, new),
    )
    db.sql.execute(
        "insert into conversation_tag select ?, tag from conversation_tag where conversation = ? "
        "on conflict do nothing",
        (new, old),
    )
    db.sql.execute("update conversation set deleted_ms = ? where id = ?", (now_ms(), old))


def _next_id(db: Db, table: str) -> int:
    (highest,) = db.sql.execute(f"select ifnull(max(id), 0) from {table}").fetchone()
    return int(highest) + 1
