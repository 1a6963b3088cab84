"""API keys. What crosses the bridge towards the page is never more than the last four characters."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.keys import KeyList, KeyTest
from deskside.bridge.registry import command

Provider = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
# One line without spaces: a pasted newline would break a header, and the keychain of some systems.
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class SaveKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: Provider
    secret: Secret


class ProviderId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: Provider


class Passphrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    passphrase: Annotated[str, msgspec.Meta(min_length=8, max_length=1000)]


@command
async def overview(app: App) -> KeyList:
    """The stored and environment keys, and where keys can be kept on this machine."""
    return await app.keys.overview()


@command
async def save(app: App, params: SaveKey) -> KeyList:
    """Store a key, replacing the provider's old one."""
    return await app.keys.save(params.provider, params.secret)


@command
async def delete(app: App, params: ProviderId) -> KeyList:
    """Forget a provider's stored key."""
    return await app.keys.delete(params.provider)


@command
async def test(app: App, params: ProviderId) -> KeyTest:
    """Make one small real call with the provider's key."""
    return await app.models.test_key(params.provider)


@command
async def use_file(app: App, params: Passphrase) -> KeyList:
    """Keep keys in an encrypted file: create it, or unlock it with its passphrase."""
    return await app.keys.use_file(params.passphrase)
