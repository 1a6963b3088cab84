"""Imports and exports of conversations. Which file it is, the user says in the system's dialog or in a
terminal; the page never names a path."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from deskside.backend.app import App
from deskside.backend.exchange.exporting import suggested_name
from deskside.backend.exchange.transfers import SkippedReport
from deskside.backend.store import conversations, transfer
from deskside.backend.transfer_state import Transfer
from deskside.bridge.commands.conversations import RowId
from deskside.bridge.registry import Bridge, command

ExportFormat = Literal["json", "markdown", "html"]
Chosen = Annotated[list[RowId], msgspec.Meta(min_length=1, max_length=100_000)]
Ticket = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ExportConversations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ids` None exports all that are not in the trash."""

    format: ExportFormat
    ids: Chosen | None = None


class ExportOffered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `ExportConversations`, to the file that a terminal has offered under this word."""

    ticket: Ticket
    format: ExportFormat
    ids: Chosen | None = None


class LookAtOffered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that a terminal has offered under this word; `program` None finds out whose export it is."""

    ticket: Ticket
    program: Literal["deskside", "chatgpt", "claude", "openwebui", "librechat"] | None = None


@command
async def current(app: App) -> Transfer | None:
    """The import or export that is under way, or the last one until it is put away."""
    return app.transfers.current


@command
async def skipped(app: App) -> SkippedReport:
    """What the current import leaves out, and why."""
    return app.transfers.skipped


@command
async def choose_import(bridge: Bridge) -> Transfer | None:
    """Let the user choose a file to import, and look at it: nothing is imported yet. None when they
    cancelled."""
    path = await bridge.desktop.choose_file("Import conversations", ["json", "zip", "deskside"])
    return None if path is None else await bridge.app.transfers.look(Path(path))


@command
async def look(app: App, params: LookAtOffered) -> Transfer:
    """Look at a file that a terminal has offered. NotFound without such an offer."""
    path = app.transfers.take_offer(params.ticket)
    return await app.transfers.look(path, params.program, is_from_terminal=True)


@command
async def import_(app: App) -> Transfer:
    """Import the file that was looked at. Conflict where none was."""
    return app.transfers.import_()


@command
async def export(bridge: Bridge, params: ExportConversations) -> Transfer | None:
    """Let the user choose where to write conversations, and write them. None when they cancelled."""
    app = bridge.app
    only = None if params.ids is None or len(params.ids) > 1 else params.ids[0]
    title = None if only is None else (await app.store.read(conversations.get, only)).title
    has_files = await app.store.read(transfer.has_files, params.ids)
    name = suggested_name(params.format, title, has_files=has_files, today=date.today().isoformat())
    path = await bridge.desktop.choose_target("Export conversations", name)
    return None if path is None else app.transfers.export(Path(path), params.format, params.ids)


@command
async def export_to(app: App, params: ExportOffered) -> Transfer:
    """Write conversations to the file that a terminal has offered. NotFound without such an offer."""
    path = app.transfers.take_offer(params.ticket)
    return app.transfers.export(path, params.format, params.ids, is_from_terminal=True)


@command
async def cancel(app: App) -> None:
    """Stop the import or export after the conversation that it is at. An import keeps those that came; an
    export leaves no file."""
    app.transfers.cancel()


@command
async def put_away(app: App) -> None:
    """Forget a transfer that has ended, or a file that was looked at."""
    app.transfers.put_away()
