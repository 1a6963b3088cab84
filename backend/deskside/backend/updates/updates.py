"""Looks once a day whether there is a newer Deskside, and tells the user. It installs nothing.

Invariants
  - Nothing about the user, the machine or this version goes along: one GET of one address, without cookies,
    and no redirect is followed.
  - What is not signed, is older than what was seen before, or is not newer than this program is never shown.
  - A look that nobody asked for is quiet, also when it fails, and is not made offline.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from deskside.backend.errors import AppError, NotFound, UpdateLookFailed
from deskside.backend.events import UpdatesChanged
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.settings import SettingsStore
from deskside.backend.store import settings as rows
from deskside.backend.store.text import now_ms
from deskside.backend.tasks import running
from deskside.backend.updates.manifest import Manifest, numbers_of, read_manifest
from deskside.backend.updates.origin import Origin, find_origin
from deskside.backend.updates.state import NewerRelease, UpdateState
from deskside.backend.version import VERSION

if TYPE_CHECKING:
    import httpx2

    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store

# The start of the program belongs to the user.
FIRST_LOOK_S = 60.0
DAY_MS = 24 * 3600 * 1000
# Whether the day is over, also after the machine has slept. What failed is tried again then.
WAKE_EVERY_S = 3600.0

LIMIT_S = 20.0
# Ten years of notes; what is longer is none of ours.
MOST_BYTES = 512 * 1024
STORED_AS = "updates"


class Seen(msgspec.Struct, frozen=True):
    """What is remembered. `skipped` is the version that the user does not want to hear of."""

    looked_ms: int | None = None
    manifest: Manifest | None = None
    skipped: str | None = None


class Updates:
    """Used from the backend's loop only. Use `open_updates`."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        settings: SettingsStore,
        gate: Gate,
        origin: Origin,
        seen: Seen,
    ) -> None:
        self._store = store
        self._events = events
        self._settings = settings
        self._gate = gate
        self._origin = origin
        self._seen = seen
        self._problem = ""
        self._turn = asyncio.Lock()

    @property
    def state(self) -> UpdateState:
        manifest = self._seen.manifest
        is_supported = manifest is None or numbers_of(VERSION) >= numbers_of(manifest.oldest_supported)
        return UpdateState(
            VERSION, self._origin.why_not, self._seen.looked_ms, self._problem, self._newer(), is_supported
        )

    def _newer(self) -> NewerRelease | None:
        manifest = self._seen.manifest
        if manifest is None or self._origin.why_not:
            return None
        newer = [each for each in manifest.releases if numbers_of(each.version) > numbers_of(VERSION)]
        if not newer:
            return None
        # One is read under the dialog's title; of several, each needs its own.
        notes = [each.notes if len(newer) == 1 else f"## {each.version}\n\n{each.notes}" for each in newer]
        download = {str(system): url for system, url in manifest.downloads.items()}
        return NewerRelease(
            newer[0].version,
            newer[0].date,
            "\n\n".join(notes),
            download.get(platform.system().lower()),
            newer[0].version == self._seen.skipped,
        )

    async def look(self) -> UpdateState:
        """Look now. Raises UpdateLookFailed, and Offline."""
        if self._origin.why_not:
            raise UpdateLookFailed(self._origin.why_not, hint="")
        async with self._turn:
            try:
                manifest = read_manifest(await self._fetch(), self._origin.public_keys)
                self._check_age(manifest)
            except AppError as error:
                self._problem = error.message
                self._events.publish(UpdatesChanged(self.state))
                raise
            self._problem = ""
            logger.info("looked for a newer Deskside: the newest is {}", manifest.newest)
            await self._remember(looked_ms=now_ms(), manifest=manifest)
        return self.state

    async def skip(self, version: str | None) -> UpdateState:
        """Say nothing more of this version; None takes that back. Raises NotFound where there is another by
        now."""
        newer = self._newer()
        if version is not None and (newer is None or newer.version != version):
            raise NotFound(f"{version} is not the newest Deskside any more.", hint="Look at the newest one.")
        await self._remember(skipped=version)
        return self.state

    async def look_when_due(self) -> None:
        """The daily look, where the user wants it and nothing stands against it."""
        looked_ms = self._seen.looked_ms
        # A clock that was set back must not put off the next look for years.
        is_due = looked_ms is None or not 0 <= now_ms() - looked_ms < DAY_MS
        is_wanted = self._settings.current.looks_for_updates and not self._origin.why_not
        if not is_due or not is_wanted or self._gate.is_closed:
            return
        try:
            await self.look()
        except AppError as error:
            logger.info("the look for a newer Deskside failed: {}", error.code)

    def _check_age(self, manifest: Manifest) -> None:
        """Old files stay signed: whoever serves one again must not hide what came after it."""
        seen = self._seen.manifest
        if seen is None:
            return
        if manifest.signed_ms < seen.signed_ms or numbers_of(manifest.newest) < numbers_of(seen.newest):
            raise UpdateLookFailed(
                "What the update server sent is older than what it sent before, and was ignored.",
                hint="Look again later.",
            )

    async def _remember(self, **changes: object) -> None:
        self._seen = msgspec.structs.replace(self._seen, **changes)
        self._events.publish(UpdatesChanged(self.state))
        await self._store.write(rows.save, {STORED_AS: msgspec.to_builtins(self._seen)})

    async def _fetch(self) -> bytes:
        import httpx2

        from deskside.backend.network.http import Client

        # Says nothing: no version, no system, no language; and no compression, so that bytes are bytes.
        headers = {"User-Agent": "Deskside", "Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            with purpose("update_look"):
                async with (
                    asyncio.timeout(LIMIT_S),
                    Client(self._gate, timeout=LIMIT_S, headers=headers, follow_redirects=False) as client,
                    client.stream("GET", self._origin.address) as response,
                ):
                    return await _body(response)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise UpdateLookFailed(f"The update server did not answer within {LIMIT_S:.0f} s.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UpdateLookFailed("The update server could not be reached.") from error


async def _body(response: httpx2.Response) -> bytes:
    if response.status_code != 200:
        raise UpdateLookFailed(f"The update server answered with HTTP {response.status_code}.")
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > MOST_BYTES:
            raise UpdateLookFailed("What the update server sent is too long to be true, and was ignored.")
    return bytes(data)


@asynccontextmanager
async def open_updates(
    store: Store, events: EventBuffer, settings: SettingsStore, gate: Gate
) -> AsyncIterator[Updates]:
    """Look each day, for as long as the context lasts."""
    updates = Updates(store, events, settings, gate, find_origin(), await _stored(store))
    async with running(_look_daily(updates), "updates"):
        yield updates


async def _stored(store: Store) -> Seen:
    """What cannot be read, as after a newer Deskside, is learned anew."""
    try:
        return msgspec.convert((await store.read(rows.load)).get(STORED_AS, {}), Seen)
    except msgspec.ValidationError as error:
        logger.warning("what was known of newer versions cannot be read: {}", error)
        return Seen()


async def _look_daily(updates: Updates) -> None:
    await asyncio.sleep(FIRST_LOOK_S)
    while True:
        await updates.look_when_due()
        await asyncio.sleep(WAKE_EVERY_S)
