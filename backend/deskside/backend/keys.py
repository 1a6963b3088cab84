"""API keys: in the OS keychain, or in a file encrypted with a passphrase; never anywhere else."""

from __future__ import annotations

from typing import Literal

import msgspec


class KeyRow(msgspec.Struct, frozen=True):
    """What may be known of a key outside the keychain: never more than its last four characters.

    `source` is `environment` for a key from OPENAI_API_KEY or ANTHROPIC_API_KEY, which is used and
    never stored.
    """

    provider: str
    label: str
    last_four: str
    source: Literal["keychain", "file", "environment"]
    last_used_ms: int | None


class KeychainStatus(msgspec.Struct, frozen=True):
    """Where keys can be kept. `missing` and `locked` come with a `hint`; `file_locked` wants the
    passphrase of the encrypted file."""

    state: Literal["ready", "missing", "locked", "file_locked", "file_ready"]
    backend: str
    hint: str


class KeyList(msgspec.Struct, frozen=True):
    keys: list[KeyRow]
    keychain: KeychainStatus


class KeyTest(msgspec.Struct, frozen=True):
    """`message` is a sentence for the user: that it works, or why not and what to do."""

    works: bool
    message: str
    hint: str = ""
