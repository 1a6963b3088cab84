"""The running application and the order in which it is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from deskside.backend.agent.device import Device
from deskside.backend.agent.events import Model
from deskside.backend.agent.models import Models
from deskside.backend.agent.runs import Runs
from deskside.backend.agent.transport import Http
from deskside.backend.attachments.attachments import Attachments, open_attachments
from deskside.backend.backups.service import Backups
from deskside.backend.errors import StoreDamaged
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.exchange.transfers import Transfers
from deskside.backend.folders import Folders
from deskside.backend.keys import Keys
from deskside.backend.mcp.servers import McpServers
from deskside.backend.paths import Paths
from deskside.backend.rescue import Rescues
from deskside.backend.settings import SettingsStore, open_settings
from deskside.backend.store import tools
from deskside.backend.store.database import Store, open_store
from deskside.backend.tools import TOOLS
from deskside.backend.tools.context import ToolServices
from deskside.backend.tools.file_texts import FileTexts
from deskside.backend.tools.sandbox import Sandbox
from deskside.backend.tools.toolbox import Source
from deskside.backend.tools.user_tools import UserTools
from deskside.backend.tools.web import Web
from deskside.backend.tools.web_fetch import PageTexts
from deskside.backend.trash import emptying_trash
from deskside.backend.user_prices import UserPrices, open_user_prices
from deskside.backend.watch import watching_store
from deskside.backend.written_files import WrittenFiles


@dataclass(frozen=True)
class App:
    """The running application: everything a command may use."""

    paths: Paths
    store: Store
    events: EventBuffer
    settings: SettingsStore
    keys: Keys
    user_prices: UserPrices
    models: Models
    device: Device
    folders: Folders
    files: WrittenFiles
    mcp: McpServers
    attachments: Attachments
    runs: Runs
    user_tools: UserTools
    backups: Backups
    transfers: Transfers
    rescues: Rescues


@asynccontextmanager
async def open_app(
    paths: Paths, models: Mapping[str, Model] | None = None, *, or_read: bool = False
) -> AsyncIterator[App]:
    """Open everything in the order of these lines, and close it in reverse.

    `models` are used by their name instead of what a provider would give. Raises the store's errors,
    with what to do, when the database cannot be opened; `or_read` as for `open_store`.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(paths, or_read=or_read))
        events = EventBuffer()
        settings = await open_settings(store, events)
        keys = Keys(store, events, paths)
        device = Device(paths, settings, events)
        stack.push_async_callback(device.close)
        http = await stack.enter_async_context(Http())
        user_prices = await open_user_prices(store)
        providers = Models(store, settings, keys, device, http, user_prices, models or {})
        if not store.is_reading_only:
            # Where it is damaged, what is there can be looked at without it, and nothing else be done.
            with suppress(StoreDamaged):
                await store.write(tools.sync_built_in, TOOLS)
        sandbox = Sandbox()
        stack.push_async_callback(sandbox.close)
        web = Web()
        folders = Folders(settings, paths)
        files = WrittenFiles(store, settings, paths)
        user_tools = UserTools(store, events, sandbox, FileTexts(settings, paths), PageTexts(web))
        mcp = McpServers(store, events, keys, user_tools.forget)
        stack.push_async_callback(mcp.close)
        services = ToolServices(store, settings, paths, sandbox, web, events, files)
        sources: list[Source] = [user_tools.tools, mcp.tools]
        attachments = await stack.enter_async_context(open_attachments(store, events, paths.files))
        runs = Runs(events, providers, device, TOOLS, sources, user_tools.choices, services, attachments)
        stack.push_async_callback(runs.close)
        await stack.enter_async_context(emptying_trash(store, attachments))
        await stack.enter_async_context(watching_store(store, events))
        transfers = Transfers(store, events, paths, attachments)
        stack.push_async_callback(transfers.close)
        backups = Backups(store, events, paths)
        stack.push_async_callback(backups.close)
        rescues = Rescues(store, paths)
        yield App(
            paths,
            store,
            events,
            settings,
            keys,
            user_prices,
            providers,
            device,
            folders,
            files,
            mcp,
            attachments,
            runs,
            user_tools,
            backups,
            transfers,
            rescues,
        )
