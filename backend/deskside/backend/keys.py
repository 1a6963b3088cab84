"""API keys: in the OS keychain, or in a file encrypted with a passphrase; never anywhere else.

The store knows which keys there are and where (`KeyRow`), so that looking at them needs no keychain and
shows no prompt. The secret itself is in one place only: the one that the row's `source` names.

  - The encrypted file is used for new keys from the moment it exists; without it the keychain is.
  - An entry without a row is not ours: a second data folder, or a test, must not find the user's keys.
  - A row without an entry was deleted outside, in the system's own program; it goes when that is noticed.
  - A key from the environment is used where nothing is stored, and where the keychain cannot be reached.

A secret that was read stays in memory for `CACHE_S`, because a run asks for it at every step.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec
from loguru import logger

from deskside.backend import redaction
from deskside.backend.errors import AppError, InvalidRequest, KeychainUnavailable, NoKey, NotFound
from deskside.backend.events import KeysChanged, ModelsChanged
from deskside.backend.keychain import LONGEST_SECRET, Look, SystemKeychain
from deskside.backend.secret_file import FileDamaged, FileLocked, SecretFile
from deskside.backend.settings import Server
from deskside.backend.store import api_keys
from deskside.backend.store import settings as stored_settings
from deskside.backend.store.text import now_ms

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.paths import Paths
    from deskside.backend.store.database import Store

ENVIRONMENT = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
LABELS = {"openai": "OpenAI", "anthropic": "Anthropic"}

# A key that was deleted in the system's own program stops being used after this long.
CACHE_S = 60.0
# Only shown as "last used 5 minutes ago": a write to the disk for each step of a run would buy nothing.
TOUCH_EVERY_MS = 60_000
# Four characters of a short secret would be a good part of it.
SHORTEST_WITH_LAST_FOUR = 12


class KeyRow(msgspec.Struct, frozen=True):
    """What may be known of a key outside the keychain: never more than its last four characters.

    `source` is `environment` for a key from OPENAI_API_KEY or ANTHROPIC_API_KEY, which is used and
    never stored. `address` is the server ("http://127.0.0.1:1234") that the key is for; None for a
    provider of which there is one.
    """

    provider: str
    label: str
    last_four: str
    source: Literal["keychain", "file", "environment"]
    last_used_ms: int | None
    address: str | None = None


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


class Keys:
    """The keys of this installation. All methods belong to the loop's thread.

    `environ` is where keys and the keychain's switch are looked up; `keychain` is the system's own.
    """

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        paths: Paths,
        environ: Mapping[str, str] = os.environ,
        keychain: SystemKeychain | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._environ = environ
        self._keychain = keychain or SystemKeychain(environ)
        self._file = SecretFile(paths.data / "keys.json")
        # One change or read of a secret at a time, so that a key cannot be deleted between being read
        # and being remembered.
        self._turn = asyncio.Lock()
        self._remembered: dict[str, _Remembered] = {}
        self._touched_ms: dict[str, int] = {}
        for provider, variable in ENVIRONMENT.items():
            _learn(environ.get(variable, "").strip(), LABELS[provider])

    async def learn_all(self) -> int:
        """Make all stored keys known to the redaction, where that shows no prompt. Returns how many could not
        be read."""
        unread = 0
        for row in await self._store.read(api_keys.rows):
            secret = None
            if await self.reads_quietly(row.source):
                with suppress(KeychainUnavailable):
                    secret = await self._read(row)
            if secret is None:
                unread += 1
            else:
                _learn(secret, row.label)
        return unread

    async def reads_quietly(self, place: str) -> bool:
        """Whether a secret that is kept there can be read without asking the user for anything."""
        if place == "file":
            try:
                return await asyncio.to_thread(lambda: self._file.is_unlocked)
            except FileDamaged:
                return False
        look = await self._keychain.look()
        return look.state == "ready" and look.reads_quietly

    async def overview(self) -> KeyList:
        """All keys and where keys can be kept. Shows no prompt; rows whose secret is gone are dropped."""
        rows = await self._store.read(api_keys.rows)
        has_file = await asyncio.to_thread(lambda: self._file.exists)
        look = None
        if not has_file or any(row.source == "keychain" for row in rows):
            look = await self._keychain.look()
        gone = {row.provider for row in rows if not await self._is_there(row, look)}
        if gone:
            gone = await self._forget_gone(gone, look)
        kept = [row for row in rows if row.provider not in gone]
        status = _keychain_status(look) if look and not has_file else await self._file_status()
        return KeyList([*kept, *self._environment_rows({row.provider for row in kept})], status)

    async def save(self, provider: str, secret: str) -> KeyList:
        """Store a key, replacing the provider's old one. Raises InvalidRequest for what cannot be a key,
        KeychainUnavailable when there is no place for it."""
        secret = clean_secret(secret)
        _learn(secret, LABELS.get(provider, provider))
        async with self._turn:
            server = await self._server(provider)
            before = await self._row(provider)
            source = await self._write(provider, secret)
            if before is not None and before.source != source:
                await self._remove_leftover(before)
            await self._store.write(
                api_keys.save,
                provider,
                LABELS.get(provider) or (server.label if server else provider),
                last_four(secret),
                source,
                now_ms(),
                _address(server),
            )
            self._remembered[provider] = _Remembered(secret, _address(server), time.monotonic())
        self._publish()
        return await self.overview()

    async def delete(self, provider: str) -> KeyList:
        """Forget a provider's stored key. Raises NotFound, KeychainUnavailable; InvalidRequest for a key
        from the environment, which is not ours to delete."""
        async with self._turn:
            row = await self._row(provider)
            if row is None:
                raise self._not_deletable(provider)
            await self._remove(row)
            await self._forget({provider})
        return await self.overview()

    async def use_file(self, passphrase: str) -> KeyList:
        """Keep keys in the encrypted file from now on: create it, or unlock it with its passphrase."""
        async with self._turn:
            await asyncio.to_thread(self._open_file, passphrase)
        self._publish()
        return await self.overview()

    async def secret(self, provider: str) -> str:
        """The provider's key, for a request header. May show the keychain's prompt and wait for it.

        Raises NoKey; KeychainUnavailable where the key is stored but cannot be reached and the
        environment has none.
        """
        async with self._turn:
            address = _address(await self._server(provider))
            remembered = self._remembered.get(provider)
            if remembered is not None and remembered.is_for(address):
                secret: str | None = remembered.secret
            else:
                secret = await self._stored_secret(provider, address)
            if secret is None:
                secret = self._environment_secret(provider)
            else:
                await self._touch(provider)
            return secret

    # -- secrets that are no provider's key --

    async def place(self) -> Literal["keychain", "file"]:
        """Where a secret would be kept. Raises KeychainUnavailable where it could not be; a keychain that is
        only locked asks once it is needed."""
        if await asyncio.to_thread(lambda: self._file.exists):
            if not await asyncio.to_thread(lambda: self._file.is_unlocked):
                raise FileLocked("The file of keys is locked.")
            return "file"
        look = await self._keychain.look()
        if look.state == "missing":
            raise KeychainUnavailable(
                "There is no system keychain.", hint="Choose an encrypted file in Settings, under Keys."
            )
        return "keychain"

    async def keep_secret(self, name: str, secret: str) -> Literal["keychain", "file"]:
        """Store a secret of an MCP server under a name that nobody else uses, where keys are stored too, and
        say where that was. Raises KeychainUnavailable when there is no place for it."""
        _learn(secret, "a secret of an MCP server")
        async with self._turn:
            return await self._write(name, secret)

    async def kept_secret(self, name: str, place: Literal["keychain", "file"]) -> str | None:
        """The secret; None when it is gone. May show the keychain's prompt. Raises KeychainUnavailable."""
        async with self._turn:
            if place == "keychain":
                secret = await self._keychain.read(name)
            else:
                secret = await asyncio.to_thread(self._file.read, name)
        _learn(secret or "", "a secret of an MCP server")
        return secret

    async def drop_secret(self, name: str, place: Literal["keychain", "file"]) -> None:
        """Remove a secret. That it cannot be reached is only noted: what it was for is gone."""
        async with self._turn:
            try:
                if place == "keychain":
                    await self._keychain.remove(name)
                else:
                    await asyncio.to_thread(self._file.remove, name)
            except KeychainUnavailable as error:
                logger.warning("a secret could not be removed from the {}: {}", place, error.code)

    # -- the two places and the environment --

    async def _stored_secret(self, provider: str, address: str | None) -> str | None:
        """The secret that the row's source holds; None for no row, for one that is another server's, or
        where the environment steps in."""
        self._remembered.pop(provider, None)
        row = await self._row(provider)
        if row is None:
            return None
        if row.address != address:
            # The id is only a name: the key must not go to whoever has it now.
            logger.warning("the stored key of {} is for another address and is not used", provider)
            return None
        try:
            secret = await self._read(row)
        except KeychainUnavailable as error:
            if not self._environ.get(ENVIRONMENT.get(provider, ""), "").strip():
                raise
            # Somebody who works over SSH sets the variable for exactly this reason.
            logger.warning("{}: stored key unreachable ({}), using the environment's", provider, error.code)
            return None
        if secret is None:
            await self._forget({provider})
            return None
        _learn(secret, row.label)
        self._remembered[provider] = _Remembered(secret, address, time.monotonic())
        return secret

    def _environment_secret(self, provider: str) -> str:
        variable = ENVIRONMENT.get(provider, "")
        raw = self._environ.get(variable, "")
        if not raw.strip():
            raise NoKey(f"There is no API key for {LABELS.get(provider, provider)}.")
        try:
            secret = clean_secret(raw)
        except InvalidRequest as error:
            raise NoKey(
                f"{variable} cannot be used. {error.message}", hint=f"Set {variable} again."
            ) from None
        self._touched_ms[provider] = now_ms()
        return secret

    def _environment_rows(self, stored: set[str]) -> list[KeyRow]:
        rows = []
        for provider, variable in ENVIRONMENT.items():
            if provider in stored:
                continue
            with suppress(InvalidRequest):
                ending = last_four(clean_secret(self._environ.get(variable, "")))
                used_ms = self._touched_ms.get(provider)
                rows.append(KeyRow(provider, LABELS[provider], ending, "environment", used_ms))
        return rows

    async def _read(self, row: KeyRow) -> str | None:
        if row.source == "keychain":
            return await self._keychain.read(row.provider)
        return await asyncio.to_thread(self._file.read, row.provider)

    async def _write(self, provider: str, secret: str) -> Literal["keychain", "file"]:
        if await asyncio.to_thread(lambda: self._file.exists):
            await asyncio.to_thread(self._file.write, provider, secret)
            return "file"
        await self._keychain.write(provider, secret)
        return "keychain"

    async def _remove(self, row: KeyRow) -> None:
        if row.source == "keychain":
            await self._keychain.remove(row.provider)
        else:
            await asyncio.to_thread(self._file.remove, row.provider)

    async def _remove_leftover(self, row: KeyRow) -> None:
        """Remove the old key from the place that is no longer used. The new one counts either way."""
        try:
            await self._remove(row)
        except KeychainUnavailable as error:
            logger.warning(
                "{}: the old key could not be removed from the {}: {}", row.provider, row.source, error.code
            )

    async def _is_there(self, row: KeyRow, look: Look | None) -> bool:
        """False when the secret is known to be gone. Asks nothing that could show a prompt."""
        try:
            if row.source == "file":
                return await asyncio.to_thread(self._file.has, row.provider)
            if look is not None and look.state == "ready" and look.reads_quietly:
                return await self._keychain.read(row.provider) is not None
        except KeychainUnavailable:
            return True
        return True

    def _open_file(self, passphrase: str) -> None:
        if self._file.exists:
            self._file.unlock(passphrase)
        else:
            self._file.create(passphrase)

    async def _file_status(self) -> KeychainStatus:
        label = "Encrypted file"
        try:
            is_unlocked = await asyncio.to_thread(lambda: self._file.is_unlocked)
        except FileDamaged as error:
            return KeychainStatus("file_locked", label, f"{error.message} {error.hint}")
        if is_unlocked:
            return KeychainStatus("file_ready", label, "")
        return KeychainStatus("file_locked", label, FileLocked.default_hint)

    # -- the rows --

    async def _row(self, provider: str) -> KeyRow | None:
        rows = await self._store.read(api_keys.rows)
        return next((row for row in rows if row.provider == provider), None)

    async def _forget_gone(self, providers: set[str], look: Look | None) -> set[str]:
        """Drop the rows of secrets that were deleted outside. Looks again in turn: a key can have been
        saved since. Returns which are gone."""
        async with self._turn:
            rows = [row for row in await self._store.read(api_keys.rows) if row.provider in providers]
            gone = {row.provider for row in rows if not await self._is_there(row, look)}
            if gone:
                await self._forget(gone)
            return gone

    async def _forget(self, providers: set[str]) -> None:
        for provider in providers:
            self._remembered.pop(provider, None)
            await self._store.write(api_keys.delete, provider)
        self._publish()

    async def _touch(self, provider: str) -> None:
        now = now_ms()
        if now - self._touched_ms.get(provider, 0) >= TOUCH_EVERY_MS:
            self._touched_ms[provider] = now
            await self._store.write_soon(api_keys.touch, provider, now)

    async def _server(self, provider: str) -> Server | None:
        """The server of this name, as the settings have it now; None for OpenAI and Anthropic."""
        if provider in LABELS:
            return None
        stored = await self._store.read(stored_settings.load)
        servers = msgspec.convert(stored.get("servers", []), list[Server])
        return next((server for server in servers if server.id == provider), None)

    def _not_deletable(self, provider: str) -> AppError:
        variable = ENVIRONMENT.get(provider, "")
        if not self._environ.get(variable, "").strip():
            return NotFound(f"There is no stored key for {LABELS.get(provider, provider)}.")
        return InvalidRequest(
            f"The key for {LABELS[provider]} comes from the environment, not from Deskside.",
            hint=f"Remove {variable} from the environment that Deskside starts in, then start it again.",
        )

    def _publish(self) -> None:
        self._events.publish(KeysChanged())
        # Which models there are depends on which keys there are.
        self._events.publish(ModelsChanged())


@dataclass(frozen=True)
class _Remembered:
    secret: str = field(repr=False)
    address: str | None
    at_s: float

    def is_for(self, address: str | None) -> bool:
        return self.address == address and time.monotonic() - self.at_s < CACHE_S


def _address(server: Server | None) -> str | None:
    """Whom a key is for: the server's origin, whatever the path."""
    if server is None:
        return None
    try:
        parts = urlsplit(server.base_url)
    except ValueError:  # "http://[": no request will go there, and none elsewhere
        return server.base_url
    return f"{parts.scheme}://{parts.netloc}".lower()


def _learn(secret: str, name: str) -> None:
    redaction.PROCESS.learn(secret, name)


def clean_secret(text: str) -> str:
    """The key without the white space around it, which comes along when copying.

    Raises InvalidRequest for anything that cannot be in a request header as it is; its message does not
    hold the key.
    """
    secret = text.strip()
    if not secret:
        raise InvalidRequest("The key is empty.", hint="Paste the whole key.")
    if len(secret) > LONGEST_SECRET:
        raise InvalidRequest(f"A key can have up to {LONGEST_SECRET} characters.", hint="Copy it again.")
    if not all("!" <= character <= "~" for character in secret):
        raise InvalidRequest(
            "A key is one line of Latin letters, digits and signs, without spaces.",
            hint="Copy it again, alone, from your provider's page.",
        )
    return secret


def last_four(secret: str) -> str:
    """The end of a key, to tell keys apart; nothing of a key so short that its end gives it away."""
    return secret[-4:] if len(secret) >= SHORTEST_WITH_LAST_FOUR else ""


def _keychain_status(look: Look) -> KeychainStatus:
    return KeychainStatus(look.state, look.backend, look.hint)
