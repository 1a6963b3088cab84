"""What can be done about a damaged database: rescue what can be read. The damaged one is kept.

No dialog of the system asks: the most that a page could do is what the user of a damaged database needs, and
the damaged files stay.
"""

from __future__ import annotations

from deskside.backend.app import App
from deskside.backend.errors import NeedsWindow
from deskside.backend.rescue import Findings
from deskside.bridge.registry import Bridge, command


@command
async def prepare(app: App) -> Findings:
    """Read what can be read of the damaged database, and say what that is. Nothing is changed yet. Conflict
    where it is not damaged, StoreDamaged where nothing can be read."""
    return await app.rescues.prepare()


@command
async def confirm(bridge: Bridge) -> None:
    """Put what was prepared in the place of the damaged database: Deskside starts again for that. NeedsWindow
    without a window; then it happens at the next start."""
    await bridge.app.rescues.confirm()
    await _restart(bridge)


@command
async def seen(app: App) -> None:
    """The user has seen what was rescued; it is not told again."""
    await app.rescues.forget()


@command
async def restart(bridge: Bridge) -> None:
    """Close Deskside and start it again. NeedsWindow without a window."""
    await _restart(bridge)


async def _restart(bridge: Bridge) -> None:
    try:
        await bridge.desktop.restart()
    except NeedsWindow as error:
        raise NeedsWindow(error.message, hint="Stop Deskside and start it again.") from error
