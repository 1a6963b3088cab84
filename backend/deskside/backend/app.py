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
from deskside.backend.error_reports import ErrorReports, open_error_reports
from deskside.backend.errors import StoreDamaged
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.exchange.transfers import Transfers
from deskside.backend.faults import Faults, open_faults
from deskside.backend.folders import Folders
from deskside.backend.keys import Keys
from deskside.backend.mcp.servers import McpServers
from deskside.backend.metrics.metrics import Metrics, open_metrics
from deskside.backend.network.gate import Gate
from deskside.backend.network.ledger import Ledger, open_ledger
from deskside.backend.network.switch import NetworkSwitch
from deskside.backend.paths import Paths
from deskside.backend.proposals import Proposals
from deskside.backend.recordings.recordings import Recordings
from deskside.backend.recordings.replaying import Replays
from deskside.backend.rescue import Rescues
from deskside.backend.self_checks import SelfChecks, open_self_checks
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
from deskside.backend.updates.updates import Updates, open_updates
from deskside.backend.user_prices import UserPrices, open_user_prices
from deskside.backend.waking import noticing_sleep
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
    faults: Faults
    error_reports: ErrorReports
    self_checks: SelfChecks
    transfers: Transfers
    proposals: Proposals
    rescues: Rescues
    metrics: Metrics
    ledger: Ledger
    network: NetworkSwitch
    recordings: Recordings
    updates: Updates


@asynccontextmanager
async def open_app(
    paths: Paths,
    models: Mapping[str, Model] | None = None,
    *,
    or_read: bool = False,
    is_offline: bool = False,
) -> AsyncIterator[App]:
    """Open everything in the order of these lines, and close it in reverse.

    `models` are used by their name instead of what a provider would give; `is_offline` closes the way out of
    this machine until the user opens it. Raises the store's errors, with what to do, when the database cannot
    be opened; `or_read` as for `open_store`.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(paths, or_read=or_read))
        events = EventBuffer()
        faults = await stack.enter_async_context(open_faults(store, events, paths.crashes))
        settings = await open_settings(store, events, is_offline=is_offline)
        ledger = await stack.enter_async_context(open_ledger(store, events))
        gate = Gate(is_closed=settings.current.is_offline, tell=ledger.tell)
        keys = Keys(store, events, paths)
        device = Device(paths, settings, events, gate=gate)
        stack.push_async_callback(device.close)
        http = await stack.enter_async_context(Http(gate))
        await stack.enter_async_context(noticing_sleep(gate, http))
        error_reports = await stack.enter_async_context(open_error_reports(settings, http, faults))
        user_prices = await open_user_prices(store)
        providers = Models(store, settings, keys, device, http, user_prices, models or {})
        if not store.is_reading_only:
            # Where it is damaged, what is there can be looked at without it, and nothing else be done.
            with suppress(StoreDamaged):
                await store.write(tools.sync_built_in, TOOLS)
        sandbox = Sandbox()
        stack.push_async_callback(sandbox.close)
        web = Web(gate=gate)
        folders = Folders(settings, paths)
        files = WrittenFiles(store, settings, paths)
        user_tools = UserTools(store, events, sandbox, FileTexts(settings, paths), PageTexts(web))
        mcp = McpServers(store, events, keys, user_tools.forget, gate=gate)
        stack.push_async_callback(mcp.close)
        self_checks = await stack.enter_async_context(open_self_checks(paths, keys, mcp, faults))
        services = ToolServices(store, settings, paths, sandbox, web, events, files)
        sources: list[Source] = [user_tools.tools, mcp.tools]
        attachments = await stack.enter_async_context(open_attachments(store, events, paths.files))
        runs = Runs(
            events, providers, device, TOOLS, sources, user_tools.choices, services, attachments, faults.tell
        )
        stack.push_async_callback(runs.close)
        await stack.enter_async_context(emptying_trash(store, attachments, settings))
        await stack.enter_async_context(watching_store(store, events))
        transfers = Transfers(store, events, paths, attachments)
        stack.push_async_callback(transfers.close)
        backups = Backups(store, events, paths, keeping_files=attachments.keeping)
        stack.push_async_callback(backups.close)
        rescues = Rescues(store, paths)
        metrics = await stack.enter_async_context(
            open_metrics(store, paths.data, http.calls, services.timings)
        )
        updates = await stack.enter_async_context(open_updates(store, events, settings, gate))
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
            faults,
            error_reports,
            self_checks,
            transfers,
            Proposals(store, events, transfers),
            rescues,
            metrics,
            ledger,
            NetworkSwitch(gate, settings, [mcp.follow_gate]),
            Recordings(store, paths, Replays(store, runs.toolbox, settings, services)),
            updates,
        )
