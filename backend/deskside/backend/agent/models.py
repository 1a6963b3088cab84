"""All models there are: asks the providers, keeps their lists, and makes a `Model` from its name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec
from loguru import logger

from deskside.backend import prices
from deskside.backend.agent import catalog, providers
from deskside.backend.agent.answer import Patience
from deskside.backend.agent.catalog import OFFLINE_MODELS, FoundServer, ModelInfo
from deskside.backend.agent.device import MOST_CONTEXT_TOKENS
from deskside.backend.agent.events import Model
from deskside.backend.agent.transport import Http, Provider
from deskside.backend.errors import AppError, NoKey
from deskside.backend.keys import ENVIRONMENT, LABELS, KeyTest
from deskside.backend.store import api_keys
from deskside.backend.store import settings as rows
from deskside.backend.store.text import now_ms

if TYPE_CHECKING:
    from deskside.backend.agent.device import Device
    from deskside.backend.keys import Keys
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.database import Store
    from deskside.backend.user_prices import UserPrices

DEVICE = "device"
DEVICE_LABEL = "On this device"
BASE_URLS = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL"}
LIST_KEPT_MS = 3_600_000
# Prices change at some hour of some time zone, and those differ by quarters of an hour.
PRICE_KEPT_MS = 900_000
# Somebody is looking at a menu: a provider that takes longer shows its last list.
LIST_LIMIT_S = 10.0
QUICK_LOOK_S = 3.0  # the first look also imports the SDK, about a second
LIST_PATIENCE = Patience(connect_s=5, first_byte_s=LIST_LIMIT_S, gap_s=LIST_LIMIT_S)

FIRST_SERVER = "local"  # what settings call the first server

Source = Literal["live", "cached", "built_in"]


class ProviderModels(msgspec.Struct, frozen=True):
    """One provider's models. `source` is `live` when the provider was just asked, `cached` from an
    earlier answer, `built_in` when it never answered. `problem` says why it could not be asked now;
    `needs_key` that it has no key yet."""

    provider: str
    label: str
    models: list[ModelInfo]
    source: Source
    needs_key: bool
    problem: str = ""


class KeptList(msgspec.Struct, frozen=True):
    """A provider's last answer, as the store keeps it. It counts for the address it came from."""

    at_ms: int
    base_url: str | None
    models: list[ModelInfo]

    def is_fresh(self) -> bool:
        return 0 <= now_ms() - self.at_ms < LIST_KEPT_MS


class Models:
    """Used on the backend's loop only. `overrides` are models that need no provider, by name."""

    def __init__(
        self,
        store: Store,
        settings: SettingsStore,
        keys: Keys,
        device: Device,
        http: Http,
        user_prices: UserPrices,
        overrides: Mapping[str, Model],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._store = store
        self._settings = settings
        self._keys = keys
        self._device = device
        self._http = http
        self._user_prices = user_prices
        self._overrides = overrides
        self._environ = environ
        self._contexts: dict[str, int | None] = {}
        self._prices: dict[str, tuple[tuple[int, str | None], prices.Price | None]] = {}

    # -- one model ---------------------------------------------------------------------------------

    async def make(self, name: str) -> Model:
        """The model called `name`. Starts the on-device model's process if it is one of those.

        Raises NoModel, NoKey, KeychainUnavailable or DeviceModelError. A model that the provider does
        not have shows at its first call.
        """
        if name in self._overrides:
            return self._overrides[name]
        provider_id = name.partition("/")[0]
        if provider_id == DEVICE:
            running = await self._device.endpoint(name)
            return providers.make_model(
                name,
                key=running.api_key,
                http=self._http,
                base_url=running.base_url,
                label=DEVICE_LABEL,
            )
        base_url = self._base_url(provider_id)
        return providers.make_model(
            name,
            key=await self._key(provider_id),
            http=self._http,
            base_url=base_url,
            label=self._label(provider_id),
        )

    async def context_tokens(self, name: str) -> int | None:
        """How many tokens the model reads at most, where its provider or its file says so."""
        provider_id = name.partition("/")[0]
        if name in self._overrides:
            return None
        if provider_id == DEVICE:
            return self._device.profile(name).context_tokens or MOST_CONTEXT_TOKENS
        if name not in self._contexts:
            kept = await self._kept_list(provider_id)
            listed = kept.models if kept else list(OFFLINE_MODELS.get(provider_id, []))
            self._contexts |= {model.id: model.context_tokens for model in listed}
        return self._contexts.get(name)

    def is_free(self, name: str) -> bool:
        """Whether the user says that the model's server costs nothing."""
        provider_id = name.partition("/")[0]
        return any(server.id == provider_id and server.is_free for server in self._settings.current.servers)

    def price_of(self, name: str, at_ms: int) -> prices.Price | None:
        """As `prices.price_of`, for where the model is asked. What the user says comes first."""
        own = self._user_prices.price_of(name, at_ms)
        if own is not None:
            return own
        if self.is_free(name):
            return prices.FREE_BY_USER
        as_of = (at_ms // PRICE_KEPT_MS, self._base_url(name.partition("/")[0]))
        listed = self._prices.get(name)
        if listed is None or listed[0] != as_of:
            listed = self._prices[name] = (as_of, prices.price_of(name, at_ms, as_of[1]))
        return listed[1]

    def chosen(self) -> str | None:
        """The model that somebody asked for: the setting, else DESKSIDE_MODEL."""
        named = self._settings.current.default_model or self._environ.get("DESKSIDE_MODEL", "").strip()
        return named or None

    async def default(self) -> str | None:
        """The model that a new conversation starts with: the chosen one, else the first that could
        answer. Asks no keychain. None when nothing is configured."""
        chosen = self.chosen()
        if chosen is not None:
            return chosen
        if self._overrides:
            return next(iter(self._overrides))
        with_key = await self._with_key()
        for provider_id in ("anthropic", "openai"):
            if provider_id in with_key:
                return await self._first_model(provider_id)
        for server in self._settings.current.servers:
            listed = await self._servers_models(server.id)
            if listed:
                return listed[0].id
        on_device = (await self._device_models()).models
        return on_device[0].id if on_device else None

    async def test_key(self, provider_id: str) -> KeyTest:
        """Make one small real call with the provider's key, and say in a sentence how it went."""
        try:
            provider = await self._provider(provider_id)
            return KeyTest(True, await providers.check_key(provider, self._http, LIST_PATIENCE))
        except AppError as error:
            return KeyTest(False, error.message, error.hint)

    async def warm_up(self) -> None:
        """Import, in a thread, the SDKs that the first question will need. For after the window is shown."""
        provider_ids = await self._with_key() | {server.id for server in self._settings.current.servers}
        default = await self.default()
        if default is not None and default not in self._overrides:
            provider_ids.add(default.partition("/")[0])
        await providers.warm_up(provider_ids)
        await prices.load()

    # -- the lists ---------------------------------------------------------------------------------

    async def available(self, *, refresh: bool) -> list[ProviderModels]:
        """Every provider with its models, all asked at once. A list of the last hour is not asked for again
        unless `refresh`. Raises nothing: a provider that cannot be asked says why."""
        provider_ids = ["openai", "anthropic", *(server.id for server in self._settings.current.servers)]
        return await asyncio.gather(
            *(self._provider_models(each, refresh=refresh) for each in provider_ids), self._device_models()
        )

    async def find_servers(self) -> list[FoundServer]:
        """The OpenAI-compatible servers that answer on this machine's usual ports."""
        return await catalog.find_servers(self._http)

    async def _provider_models(self, provider_id: str, *, refresh: bool) -> ProviderModels:
        kept = await self._kept_list(provider_id)
        if kept is not None and kept.is_fresh() and not refresh:
            return await self._listed(provider_id, kept)
        try:
            provider = await self._provider(provider_id)
            async with asyncio.timeout(LIST_LIMIT_S):
                models = await catalog.fetch_models(provider, self._http, LIST_PATIENCE)
        except NoKey:
            return await self._listed(provider_id, kept)
        except TimeoutError:
            problem = f"{self._label(provider_id)} did not answer in {LIST_LIMIT_S:g} s."
            return await self._listed(provider_id, kept, problem)
        except AppError as error:
            logger.info("the models of {} could not be asked for: {}", provider_id, error.code)
            return await self._listed(provider_id, kept, error.message)
        await self._keep_list(provider_id, models)
        return ProviderModels(provider_id, self._label(provider_id), models, "live", needs_key=False)

    async def _listed(self, provider_id: str, kept: KeptList | None, problem: str = "") -> ProviderModels:
        """What is known without asking."""
        models = kept.models if kept else list(OFFLINE_MODELS.get(provider_id, []))
        source: Source = "cached" if kept else "built_in"
        needs_key = self._must_have_key(provider_id) and provider_id not in await self._with_key()
        return ProviderModels(provider_id, self._label(provider_id), models, source, needs_key, problem)

    async def _device_models(self) -> ProviderModels:
        status = await self._device.status()
        files = status.files if status.can_run else []
        models = [ModelInfo(f"{DEVICE}/{file.name}", file.label, DEVICE) for file in files]
        problem = "" if status.can_run else status.reason
        return ProviderModels(DEVICE, DEVICE_LABEL, models, "live", needs_key=False, problem=problem)

    async def _first_model(self, provider_id: str) -> str:
        """The first of our own choice that the provider still has; a provider's newest can be anything."""
        kept = await self._kept_list(provider_id)
        ours = [model.id for model in OFFLINE_MODELS[provider_id]]
        offered = [model.id for model in kept.models] if kept else []
        return next((name for name in ours if name in offered), (offered or ours)[0])

    async def _servers_models(self, server_id: str) -> list[ModelInfo]:
        """What a server offered last, however long ago; the window waits for this, so a server that never
        answered is asked for a moment only."""
        kept = await self._kept_list(server_id)
        if kept is not None:
            return kept.models
        try:
            async with asyncio.timeout(QUICK_LOOK_S):
                return (await self._provider_models(server_id, refresh=False)).models
        except TimeoutError:
            return []

    async def _kept_list(self, provider_id: str) -> KeptList | None:
        stored = (await self._store.read(rows.load)).get(_list_name(provider_id))
        try:
            kept = None if stored is None else msgspec.convert(stored, KeptList)
        except msgspec.ValidationError:
            return None  # another version's: it is asked for again
        return kept if kept is not None and kept.base_url == self._base_url(provider_id) else None

    async def _keep_list(self, provider_id: str, models: list[ModelInfo]) -> None:
        self._contexts |= {model.id: model.context_tokens for model in models}
        kept = KeptList(now_ms(), self._base_url(provider_id), models)
        try:
            await self._store.write_soon(rows.save, {_list_name(provider_id): msgspec.to_builtins(kept)})
        except AppError as error:
            logger.warning("the models of {} could not be kept: {}", provider_id, error.code)

    # -- providers ---------------------------------------------------------------------------------

    async def _provider(self, provider_id: str) -> Provider:
        base_url = self._base_url(provider_id)
        if base_url is None and provider_id == FIRST_SERVER:
            # `DESKSIDE_MODEL=local/llama3` needs no settings where a server runs on its usual port.
            found = await self.find_servers()
            base_url = found[0].base_url if found else None
        key = await self._key(provider_id)
        return providers.find_provider(
            provider_id, key=key, base_url=base_url, label=self._label(provider_id)
        )

    def _base_url(self, provider_id: str) -> str | None:
        """The setting, else the SDK's own variable; None is the provider's own address."""
        settings = self._settings.current
        chosen = {"openai": settings.openai_base_url, "anthropic": settings.anthropic_base_url}
        if provider_id in chosen:
            return chosen[provider_id] or self._environ.get(BASE_URLS[provider_id], "").strip() or None
        configured = {server.id: server.base_url for server in settings.servers}
        if provider_id == FIRST_SERVER and provider_id not in configured:
            return self._environ.get(BASE_URLS["openai"], "").strip() or None
        return configured.get(provider_id)

    async def _key(self, provider_id: str) -> str | None:
        """None for a server that may do without. Raises NoKey, KeychainUnavailable."""
        try:
            return await self._keys.secret(provider_id)
        except NoKey:
            if self._must_have_key(provider_id):
                raise
            return None

    def _must_have_key(self, provider_id: str) -> bool:
        """The providers themselves; what stands at another address may be a server that asks for none."""
        return provider_id in BASE_URLS and self._base_url(provider_id) is None

    async def _with_key(self) -> set[str]:
        """The providers that have a key, as far as can be known without asking the keychain."""
        stored = {row.provider for row in await self._store.read(api_keys.rows)}
        return stored | {id for id, name in ENVIRONMENT.items() if self._environ.get(name, "").strip()}

    def _label(self, provider_id: str) -> str:
        servers = {server.id: server.label for server in self._settings.current.servers}
        return LABELS.get(provider_id) or servers.get(provider_id, provider_id)


def _list_name(provider_id: str) -> str:
    return f"models.{provider_id}"
