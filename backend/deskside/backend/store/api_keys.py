"""Which keys there are and where; the secrets are in the keychain and never here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from deskside.backend.store.connection import Db

if TYPE_CHECKING:
    from deskside.backend.keys import KeyRow


def rows(db: Db) -> list[KeyRow]:
    """All stored keys, by provider."""
    from deskside.backend.keys import KeyRow  # keys.py imports this module

    return [
        KeyRow(key.provider, key.label, key.last_four, key.source, key.last_used_ms, key.address)
        for key in db.ApiKey.select().order_by(db.ApiKey.provider)
    ]


def save(
    db: Db,
    provider: str,
    label: str,
    last_four: str,
    source: Literal["keychain", "file"],
    at_ms: int,
    address: str | None = None,
) -> None:
    """Remember that there is a key, in place of the provider's old one; `address` is where it may be
    sent, None the provider's own. Raises ValueError for more of a secret than may be known."""
    if len(last_four) > 4:
        raise ValueError("no more than the last four characters of a key are stored")
    delete(db, provider)
    db.flush()
    db.ApiKey(
        provider=provider,
        label=label,
        last_four=last_four,
        source=source,
        created_ms=at_ms,
        address=address,
    )


def delete(db: Db, provider: str) -> None:
    """Forget a key. Nothing happens if there is none."""
    key = db.ApiKey.get(provider=provider)
    if key is not None:
        key.delete()


def touch(db: Db, provider: str, at_ms: int) -> None:
    """It was used. Nothing happens if it was deleted meanwhile."""
    key = db.ApiKey.get(provider=provider)
    if key is not None:
        key.last_used_ms = at_ms
