"""Tags of conversations. A tag is there as long as a conversation has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from deskside.backend.store.connection import Db

# One word, as it is typed behind `tag:`.
TagName = Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern='^[^\\s"]+(?!\\n)$')]


class TagRow(msgspec.Struct, frozen=True):
    """`conversations` counts those that are not in the trash."""

    name: str
    conversations: int


def all_tags(db: Db) -> list[TagRow]:
    """All tags by name."""
    rows = db.sql.execute(
        "select name, (select count(*) from conversation_tag join conversation "
        "on conversation.id = conversation_tag.conversation "
        "where conversation_tag.tag = tag.id and deleted_ms is null) from tag order by name"
    )
    return [TagRow(*row) for row in rows.fetchall()]


def add(db: Db, conversation_id: int, names: Iterable[str]) -> None:
    """Give a conversation tags; those that it has already stay."""
    for name in names:
        db.sql.execute("insert into tag (name) values (?) on conflict do nothing", (name,))
        db.sql.execute(
            "insert into conversation_tag (conversation, tag) select ?, id from tag where name = ? "
            "on conflict do nothing",
            (conversation_id, name),
        )


def remove(db: Db, conversation_id: int, names: Iterable[str]) -> None:
    db.sql.executemany(
        "delete from conversation_tag where conversation = ? and tag = (select id from tag where name = ?)",
        [(conversation_id, name) for name in names],
    )


def forget_unused(db: Db) -> None:
    db.sql.execute("delete from tag where id not in (select tag from conversation_tag)")
