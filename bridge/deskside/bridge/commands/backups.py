"""Backups of the data, and what else concerns the data as a whole.

What leaves the data folder, or takes the place of what is there, is asked for in a dialog of the system,
which no page can answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.backups.encryption import SHORTEST_PASSPHRASE
from deskside.backend.backups.restoring import Preview
from deskside.backend.backups.service import BackupList
from deskside.backend.errors import NeedsWindow, NotFound
from deskside.backend.store.statistics import Statistics
from deskside.backend.store.vacuum import Vacuumed
from deskside.bridge.registry import Bridge, command

FOLDER = "deskside-backups"
BackupName = Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,100}$")]
Passphrase = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class MakeBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`elsewhere` asks the user for a folder, such as one on another disk."""

    elsewhere: bool = False


class BackupMade(msgspec.Struct, frozen=True):
    """`folder` None: the user chose none, and nothing was made."""

    folder: str | None
    missing_files: int = 0


class NamedBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: BackupName


class EncryptBackups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None makes them in the clear again."""

    passphrase: Annotated[str, msgspec.Meta(min_length=SHORTEST_PASSPHRASE, max_length=1000)] | None


class PreviewRestore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup of the list, or None for a file that the user is asked for; `again` is the file that was
    chosen last, now with its passphrase."""

    name: BackupName | None = None
    again: bool = False
    passphrase: Passphrase | None = None


class RestoreChoice(msgspec.Struct, frozen=True):
    """None: the user closed the dialog."""

    preview: Preview | None


class RestoreAnswer(msgspec.Struct, frozen=True):
    """Whether the user said yes. It takes effect at the next start."""

    confirmed: bool


class MovedData(msgspec.Struct, frozen=True):
    """`folder` None: the user chose none."""

    folder: str | None


@command
async def list(app: App) -> BackupList:
    """The backups that there are, and what is under way."""
    return await app.backups.list()


@command
async def make(bridge: Bridge, params: MakeBackup) -> BackupMade:
    """Back everything up; returns when it is done. Progress arrives as events. NeedsWindow for another
    folder without a window."""
    if not params.elsewhere:
        made = await bridge.app.backups.make()
        return BackupMade(str(bridge.app.paths.backups), len(made.missing))
    chosen = await bridge.desktop.choose_folder("Choose where to put the backup")
    if chosen is None:
        return BackupMade(None)
    folder = Path(chosen) / FOLDER
    made = await bridge.app.backups.make(folder=folder)
    return BackupMade(str(folder), len(made.missing))


@command
async def check(app: App, params: NamedBackup) -> None:
    """Read a backup whole. StoreDamaged where it is not what was written."""
    await app.backups.check(params.name)


@command
async def stop(app: App) -> None:
    """Stop what is under way: a backup, a preview, a clean-up. Nothing of it stays."""
    app.backups.stop()


@command
async def encrypt(app: App, params: EncryptBackups) -> BackupList:
    """Encrypt backups from now on with a passphrase, or no longer."""
    await app.backups.encrypt(params.passphrase)
    return await app.backups.list()


@command
async def preview(bridge: Bridge, params: PreviewRestore) -> RestoreChoice:
    """Prepare a backup and say what restoring it would change; nothing is changed yet. PassphraseWanted and
    WrongPassphrase for an encrypted one."""
    if params.name is not None:
        return RestoreChoice(await bridge.app.backups.prepare_named(params.name, params.passphrase))
    if params.again:
        return RestoreChoice(await bridge.app.backups.prepare_again(params.passphrase))
    chosen = await bridge.desktop.choose_file("Choose a backup", ["json", "db"])
    if chosen is None:
        return RestoreChoice(None)
    return RestoreChoice(await bridge.app.backups.prepare(Path(chosen), params.passphrase))


@command
async def restore(bridge: Bridge) -> RestoreAnswer:
    """Ask the user in the system's dialog, then restore what was prepared at the next start. NeedsWindow
    without a window."""
    prepared = bridge.app.backups.prepared
    here = prepared.comparison.here
    goes = (
        f"{prepared.comparison.only_here.count:,} conversations that are only here will be gone"
        if here
        else ""
    )
    text = (
        f"What is here now will be replaced by the backup\n\n{Path(prepared.source).name}\n\n"
        f"{goes or 'What is here cannot be read'}. It is backed up first."
    )
    if prepared.comparison.allows:
        allows = "\n".join(prepared.comparison.allows)
        text += f"\n\nWith it the assistant or its servers may again:\n\n{allows}"
    if not await bridge.desktop.confirm("Restore this backup?", text, "Restore"):
        return RestoreAnswer(False)
    await bridge.app.backups.confirm()
    return RestoreAnswer(True)


@command
async def cancel_restore(app: App) -> None:
    """Forget what was prepared, or was to be restored at the next start."""
    await app.backups.cancel()


@command
async def statistics(app: App) -> Statistics:
    """How much room each table, the attached files and the backups take."""
    return await app.backups.statistics()


@command
async def vacuum(app: App) -> Vacuumed:
    """Give the space of what was deleted back to the disk. StoreFull where it needs more than is free."""
    return await app.backups.vacuum()


@command
async def move(bridge: Bridge) -> MovedData:
    """Let the user choose a folder, and copy all data there. It is used from the next start on; nothing is
    written until then. NeedsWindow without a window."""
    backups = bridge.app.backups
    chosen = await bridge.desktop.choose_folder("Choose a folder for your data")
    return MovedData(None if chosen is None else str(await backups.move(Path(chosen))))


@command
async def delete_old_data(bridge: Bridge) -> None:
    """Ask the user, then delete the data from the folder that they were moved from. NeedsWindow."""
    found = await bridge.app.backups.list()
    if found.moved_from is None:
        raise NotFound("There is no old data folder.", hint="Reload the list.")
    here = bridge.app.paths.data
    text = f"Your data are in {here}. The copy in the old folder will be gone:\n\n{found.moved_from}"
    if await bridge.desktop.confirm("Delete the old copy?", text, "Delete"):
        await bridge.app.backups.delete_old()


@command
async def restart(bridge: Bridge) -> None:
    """Close Deskside and start it again. NeedsWindow without a window."""
    try:
        await bridge.desktop.restart()
    except NeedsWindow as error:
        raise NeedsWindow(error.message, hint="Stop Deskside and start it again.") from error
