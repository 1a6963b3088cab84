"""Going offline and coming back: the setting, the gate, and the programs that would not ask the gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from deskside.backend.network.gate import Gate
from deskside.backend.settings import Settings, SettingsStore


class NetworkSwitch:
    """`follow` are told after each change, one after the other: who runs child processes ends or starts them.
    They look at the gate."""

    def __init__(
        self, gate: Gate, settings: SettingsStore, follow: Sequence[Callable[[], Awaitable[None]]]
    ) -> None:
        self._gate = gate
        self._settings = settings
        self._follow = follow

    async def turn(self, is_offline: bool) -> Settings:
        """Close the gate, or open it, and remember that. When this returns nothing of ours reaches beyond
        this machine any more. A gate that cannot be remembered as closed is closed all the same."""
        if is_offline:
            self._gate.close()
        settings = await self._settings.change({"is_offline": is_offline})
        if not is_offline:
            self._gate.open()
        for each in self._follow:
            await each()
        return settings
